//! What transports must see of a message: the TTLs that an HTTP cache goes by, and an
//! option that some of them forbid.
//!
//! Every record is walked over once and none is understood beyond its fixed part. A message
//! that is not whole gives what stands before the fault: it is the responder's to refuse it.

use crate::dns::query::HEADER_LENGTH;
use crate::dns::types::rtype;

/// EDNS option code of the TCP keepalive (RFC 7828).
const OPTION_KEEPALIVE: u16 = 11;

/// One record.
struct Record<'m> {
    rtype: u16,
    ttl_s: u32,
    rdata: &'m [u8],
}

/// The records of a message, section by section.
struct Records<'m> {
    rest: &'m [u8],
    /// Of answer, authority and additional section, those not read yet.
    counts: [u16; 3],
}

impl<'m> Records<'m> {
    /// None: there is no header, or the questions are not whole.
    fn of(message: &'m [u8]) -> Option<Records<'m>> {
        let (header, mut rest) = message.split_at_checked(HEADER_LENGTH)?;
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        for _ in 0..count(4) {
            rest = skip_name(rest)?.get(4..)?;
        }
        Some(Records { rest, counts: [count(6), count(8), count(10)] })
    }

    /// The next record, with the number of its section.
    fn next(&mut self) -> Option<(usize, Record<'m>)> {
        let section = self.counts.iter().position(|&left| left > 0)?;
        let (fixed, rest) = skip_name(self.rest)?.split_first_chunk::<10>()?;
        let [t0, t1, _, _, l0, l1, l2, l3, r0, r1] = *fixed;
        let length = usize::from(u16::from_be_bytes([r0, r1]));
        let (rdata, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        self.counts[section] -= 1;
        let ttl_s = u32::from_be_bytes([l0, l1, l2, l3]);
        Some((section, Record { rtype: u16::from_be_bytes([t0, t1]), ttl_s, rdata }))
    }
}

/// What stands behind a name, which may end in a pointer.
fn skip_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, rest) = bytes.split_first()?;
        bytes = match length {
            0 => return Some(rest),
            1..=63 => rest.get(usize::from(length)..)?,
            0xc0.. => return rest.get(1..),
            _ => return None,
        };
    }
}

/// For how many seconds a cache may keep `reply` (RFC 8484 5.1): the smallest TTL of its
/// answer section; where that is empty, what its SOA record says of negative answers (RFC
/// 2308 5). None: neither is there, as in an error or a referral.
pub(super) fn fresh_for_s(reply: &[u8]) -> Option<u32> {
    let mut records = Records::of(reply)?;
    let mut fresh_s: Option<u32> = None;
    while let Some((section, record)) = records.next() {
        let ttl_s = match (section, record.rtype) {
            (0, _) => record.ttl_s,
            (1, rtype::SOA) if fresh_s.is_none() => {
                let minimum = record.rdata.last_chunk::<4>().copied().map(u32::from_be_bytes);
                return Some(record.ttl_s.min(minimum?));
            }
            _ => break,
        };
        fresh_s = Some(fresh_s.map_or(ttl_s, |least| least.min(ttl_s)));
    }
    fresh_s
}

/// Whether the message has the TCP keepalive option, which is an error over QUIC (RFC 9250
/// 5.5.2).
pub(super) fn has_keepalive(message: &[u8]) -> bool {
    let Some(mut records) = Records::of(message) else { return false };
    while let Some((section, record)) = records.next() {
        if section != 2 || record.rtype != rtype::OPT {
            continue;
        }
        let mut options = record.rdata;
        while let Some(([c0, c1, l0, l1], rest)) = options.split_first_chunk::<4>() {
            if u16::from_be_bytes([*c0, *c1]) == OPTION_KEEPALIVE {
                return true;
            }
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            let Some(next) = rest.get(length..) else { break };
            options = next;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reply to `a.` with records of (type, TTL, RDATA) in its three sections.
    fn reply(sections: [&[(u16, u32, &[u8])]; 3]) -> Vec<u8> {
        let mut message = vec![0, 0, 0x84, 0, 0, 1];
        for section in sections {
            message.extend_from_slice(&(section.len() as u16).to_be_bytes());
        }
        message.extend_from_slice(&[1, b'a', 0, 0, 1, 0, 1]);
        for (rtype, ttl_s, rdata) in sections.into_iter().flatten() {
            message.extend_from_slice(&[0xc0, 12]);
            message.extend_from_slice(&rtype.to_be_bytes());
            message.extend_from_slice(&[0, 1]);
            message.extend_from_slice(&ttl_s.to_be_bytes());
            message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            message.extend_from_slice(rdata);
        }
        message
    }

    const A: u16 = 1;
    const NS: u16 = 2;

    fn soa(minimum_s: u32) -> Vec<u8> {
        let mut rdata = vec![0; 2 + 16];
        rdata.extend_from_slice(&minimum_s.to_be_bytes());
        rdata
    }

    #[test]
    fn an_answer_is_fresh_for_its_smallest_ttl() {
        let soa = soa(5);
        let authority: &[_] = &[(rtype::SOA, 7, &*soa)];
        type Records = &'static [(u16, u32, &'static [u8])];
        let cases: [(Records, &[_], Option<u32>); 5] = [
            (&[(A, 30, &[1, 2, 3, 4]), (A, 20, &[1, 2, 3, 4])], authority, Some(20)),
            (&[(A, 0, &[1, 2, 3, 4])], &[], Some(0)),
            (&[], authority, Some(5)),
            (&[], &[(NS, 3600, &[0])], None),
            (&[], &[], None),
        ];
        for (answers, authority, expected) in cases {
            // The TTL of an OPT record is none.
            let message = reply([answers, authority, &[(rtype::OPT, 1, &[])]]);
            assert_eq!(fresh_for_s(&message), expected, "{answers:?} {authority:?}");
        }
        let zone = self::soa(900);
        let negative = reply([&[], &[(rtype::SOA, 60, &zone)], &[]]);
        assert_eq!(fresh_for_s(&negative), Some(60), "the TTL is below the minimum");
    }

    #[test]
    fn the_keepalive_option_is_found_in_opt_alone() {
        let keepalive: &[u8] = &[0, 10, 0, 2, 9, 9, 0, 11, 0, 0];
        assert!(has_keepalive(&reply([&[], &[], &[(rtype::OPT, 0, keepalive)]])));
        assert!(!has_keepalive(&reply([&[], &[], &[(A, 0, keepalive)]])));
        assert!(!has_keepalive(&reply([&[], &[], &[(rtype::OPT, 0, &keepalive[..6])]])));
        assert!(!has_keepalive(&reply([&[], &[], &[(rtype::OPT, 0, &[0, 10, 0, 9, 0, 11])]])));
        assert!(!has_keepalive(&[]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_over(message in prop::collection::vec(any::<u8>(), 0..300)) {
            fresh_for_s(&message);
            has_keepalive(&message);
        }
    }
}
