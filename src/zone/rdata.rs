//! The shape of record data on the wire: where the names are, and whether the
//! bytes have their type's form.
//!
//! Types it does not know are opaque (RFC 3597 3). It must not know zones.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use crate::dns::name;

/// Record type numbers that zones treat specially.
pub mod rtype {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Name server.
    pub const NS: u16 = 2;
    /// Canonical name.
    pub const CNAME: u16 = 5;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// Mail exchange.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// Service location.
    pub const SRV: u16 = 33;
    /// Subtree redirection.
    pub const DNAME: u16 = 39;
    /// Delegation signer.
    pub const DS: u16 = 43;
    /// Signature.
    pub const RRSIG: u16 = 46;
    /// Denial.
    pub const NSEC: u16 = 47;
    /// General service binding.
    pub const SVCB: u16 = 64;
    /// HTTPS service binding.
    pub const HTTPS: u16 = 65;
}

/// Names inside the data of a type: fixed bytes, strings, then names.
#[derive(Clone, Copy)]
struct Layout {
    fixed: usize,
    strings: usize,
    names: usize,
    /// Bytes after the last name, at least; `exact`: no more than those.
    tail: usize,
    exact: bool,
}

const fn layout(fixed: usize, strings: usize, names: usize, tail: usize, exact: bool) -> Layout {
    Layout { fixed, strings, names, tail, exact }
}

fn layout_of(rtype: u16) -> Option<Layout> {
    Some(match rtype {
        // NS MD MF CNAME MB MG MR PTR NSAP-PTR DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 23 | 39 => layout(0, 0, 1, 0, true),
        // SOA
        6 => layout(0, 0, 2, 20, true),
        // MINFO RP TALINK
        14 | 17 | 58 => layout(0, 0, 2, 0, true),
        // MX AFSDB RT KX LP
        15 | 18 | 21 | 36 | 107 => layout(2, 0, 1, 0, true),
        // SIG RRSIG
        24 | 46 => layout(18, 0, 1, 1, false),
        // PX
        26 => layout(2, 0, 2, 0, true),
        // NXT NSEC
        30 | 47 => layout(0, 0, 1, 0, false),
        // SRV
        33 => layout(6, 0, 1, 0, true),
        // NAPTR
        35 => layout(4, 3, 1, 0, true),
        // SVCB HTTPS
        64 | 65 => layout(2, 0, 1, 0, false),
        // DSYNC
        66 => layout(5, 0, 1, 0, true),
        _ => return None,
    })
}

/// Where the names in `rdata` stand. Nothing for types without names, and
/// nothing more once the data is not of its type's form.
pub fn names(rtype: u16, rdata: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let layout = layout_of(rtype);
    let mut at = layout.and_then(|layout| first_name(layout, rdata));
    (0..layout.map_or(0, |layout| layout.names)).map_while(move |_| {
        let start = at?;
        let end = start + name::wire_length(rdata.get(start..)?).ok()?;
        at = Some(end);
        Some(start..end)
    })
}

/// The name whose addresses belong in the additional section: of NS, MX, SRV,
/// SVCB and HTTPS (RFC 1034 4.3.2 step 6, RFC 2782, RFC 9460 4.1).
pub fn target(rtype: u16, rdata: &[u8]) -> Option<&[u8]> {
    match rtype {
        rtype::NS | rtype::MX | rtype::SRV | rtype::SVCB | rtype::HTTPS => {
            names(rtype, rdata).next().map(|range| &rdata[range])
        }
        _ => None,
    }
}

/// `rdata` with its names in lower case: equal for equal records (RFC 4034 6.2).
pub fn canonical(rtype: u16, rdata: &[u8]) -> Cow<'_, [u8]> {
    let mut canonical = Cow::Borrowed(rdata);
    for range in names(rtype, rdata) {
        if rdata[range.clone()].iter().any(u8::is_ascii_uppercase) {
            canonical.to_mut()[range].make_ascii_lowercase();
        }
    }
    canonical
}

/// Says what is wrong with `rdata` as data of its type; types unknown here are
/// opaque and never wrong (RFC 3597 3).
pub fn check(rtype: u16, rdata: &[u8]) -> Result<(), &'static str> {
    if rdata.len() > usize::from(u16::MAX) {
        return Err("longer than 65,535 bytes");
    }
    match rtype {
        rtype::A if rdata.len() != 4 => return Err("an IPv4 address has four bytes"),
        rtype::AAAA if rdata.len() != 16 => return Err("an IPv6 address has sixteen bytes"),
        rtype::TXT if rdata.is_empty() || !all_strings(rdata) => {
            return Err("text is one string or more, each behind its length");
        }
        0 | 41 | 249..=255 => return Err("a type for queries and messages, not for zones"),
        _ => {}
    }
    if !lengths(rtype).contains(&rdata.len()) {
        return Err("the wrong length");
    }
    let Some(layout) = layout_of(rtype) else { return Ok(()) };
    let end = names(rtype, rdata).last().map(|range| range.end);
    if names(rtype, rdata).count() != layout.names {
        return Err("a name is missing, malformed or compressed");
    }
    let left = rdata.len() - end.unwrap_or(0);
    if left < layout.tail || layout.exact && left > layout.tail {
        return Err("the wrong length");
    }
    Ok(())
}

/// How long the data of a type can be, where no name or string decides.
fn lengths(rtype: u16) -> RangeInclusive<usize> {
    const MAX: usize = u16::MAX as usize;
    match rtype {
        // LOC
        29 => 16..=16,
        // KEY DNSKEY CDNSKEY: a key behind four bytes
        25 | 48 | 60 => 5..=MAX,
        // DS CDS TA DLV: a digest behind four bytes
        43 | 59 | 32768 | 32769 => 5..=MAX,
        // SSHFP
        44 => 3..=MAX,
        // TLSA SMIMEA
        52 | 53 => 4..=MAX,
        // ZONEMD: digests have at least twelve bytes (RFC 8976 2.2.4)
        63 => 18..=MAX,
        // NID L64
        104 | 106 => 10..=10,
        // L32
        105 => 6..=6,
        // EUI48
        108 => 6..=6,
        // EUI64
        109 => 8..=8,
        _ => 0..=MAX,
    }
}

fn first_name(layout: Layout, rdata: &[u8]) -> Option<usize> {
    let mut at = layout.fixed;
    for _ in 0..layout.strings {
        at += 1 + usize::from(*rdata.get(at)?);
    }
    (at <= rdata.len()).then_some(at)
}

fn all_strings(mut rdata: &[u8]) -> bool {
    while let Some((&length, rest)) = rdata.split_first() {
        match rest.get(usize::from(length)..) {
            Some(rest) => rdata = rest,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_behind_numbers_and_strings() {
        let mx = b"\x00\x0a\x04Mail\x07Example\x00";
        assert_eq!(target(rtype::MX, mx), Some(&mx[2..]));
        assert_eq!(&*canonical(rtype::MX, mx), b"\x00\x0a\x04mail\x07example\x00");
        let naptr = b"\x00\x01\x00\x02\x01s\x03SIP\x00\x01A\x00";
        assert!(names(35, naptr).eq(std::iter::once(11..14)));
        assert_eq!(&*canonical(35, naptr), b"\x00\x01\x00\x02\x01s\x03SIP\x00\x01a\x00");
    }

    #[test]
    fn data_of_the_wrong_form_is_refused() {
        for (rtype, rdata) in [
            (rtype::A, &b"\x01\x02\x03"[..]),
            (rtype::AAAA, b"\x01\x02\x03\x04"),
            (rtype::NS, b""),
            (rtype::NS, b"\x01a"),
            (rtype::NS, b"\xc0\x0c"),
            (rtype::NS, b"\x01a\x00\x00"),
            (rtype::MX, b"\x00"),
            (rtype::SOA, b"\x00\x00"),
            (rtype::TXT, b""),
            (rtype::TXT, b"\x05abc"),
            (35, b"\x00\x01\x00\x02\xff"),
            (255, b""),
        ] {
            assert!(check(rtype, rdata).is_err(), "{rtype} {rdata:?}");
        }
        assert_eq!(check(65280, b""), Ok(()));
        assert_eq!(check(rtype::TXT, b"\x00"), Ok(()));
    }
}
