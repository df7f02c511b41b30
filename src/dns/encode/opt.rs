//! OPT of a reply: the record that stands last, with the options that the query
//! asked for or the answer calls for.

use super::{Section, Writer, copy_short};
use crate::dns::ecs;
use crate::dns::edns::{Asked, Edns, OPTION_EXTENDED_ERROR, OPTION_NSID, UDP_SIZE_MAX};
use crate::dns::types::{Rcode, rtype};

/// What OPT of a reply holds, beside the rcode's upper bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opt<'a> {
    /// The query's OPT; none: no OPT is written.
    pub query: Option<Edns<'a>>,
    /// Scope of the answer, echoed with the query's subnet.
    pub scope: u8,
    /// The server's identifier, given when asked for.
    pub identity: Option<&'a [u8]>,
    /// An extended error: code and text (RFC 8914).
    pub extended_error: Option<(u16, &'static str)>,
}

impl<'a> Opt<'a> {
    /// Bytes the OPT record takes; 0 when there is none.
    pub fn length(&self) -> usize {
        let Some(edns) = &self.query else { return 0 };
        11 + self.nsid().map_or(0, |identity| 4 + identity.len())
            + edns.subnet.map_or(0, |subnet| 4 + subnet.data_length())
            + self.extended_error.map_or(0, |(_, text)| 6 + text.len())
    }

    fn nsid(&self) -> Option<&'a [u8]> {
        self.identity.filter(|_| self.query.is_some_and(|edns| edns.asked.has(Asked::NSID)))
    }
}

impl Writer<'_> {
    /// Writes OPT into the room kept for it.
    #[inline]
    pub(super) fn put_opt(&mut self, edns: &Edns<'_>, rcode: Rcode, opt: &Opt<'_>) {
        let length = opt.length();
        let end = self.at + length;
        let Some(out) = self.out.get_mut(self.at..end) else { return };
        let size = UDP_SIZE_MAX.to_be_bytes();
        let flags = u8::from(edns.dnssec_ok) << 7;
        let upper = (rcode.0 >> 4) as u8;
        out[..9].copy_from_slice(&[0, 0, rtype::OPT as u8, size[0], size[1], upper, 0, flags, 0]);
        out[9..11].copy_from_slice(&((length - 11) as u16).to_be_bytes());
        let mut rest = &mut out[11..];
        if let Some(identity) = opt.nsid() {
            rest = put_option(rest, OPTION_NSID, identity.len(), |data| {
                copy_short(data, identity);
            });
        }
        if let Some(subnet) = &edns.subnet {
            rest = put_option(rest, ecs::OPTION_CODE, subnet.data_length(), |data| {
                subnet.write(opt.scope, data);
            });
        }
        if let Some((code, text)) = opt.extended_error {
            put_option(rest, OPTION_EXTENDED_ERROR, 2 + text.len(), |data| {
                data[..2].copy_from_slice(&code.to_be_bytes());
                data[2..].copy_from_slice(text.as_bytes());
            });
        }
        self.counts[Section::Additional as usize] += 1;
        self.at = end;
    }
}

/// Writes one option and returns what is left behind it.
fn put_option(out: &mut [u8], code: u16, length: usize, fill: impl FnOnce(&mut [u8])) -> &mut [u8] {
    let (option, rest) = out.split_at_mut(4 + length);
    option[..2].copy_from_slice(&code.to_be_bytes());
    option[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    fill(&mut option[4..]);
    rest
}
