//! OPT of a reply: the record that stands last, with the options that the query
//! asked for or the answer calls for.

use super::{Section, Writer, copy_short};
use crate::dns::cookie::{self, CookieState, Judged};
use crate::dns::ecs;
use crate::dns::edns::{
    Asked, Edns, OPTION_COOKIE, OPTION_EXTENDED_ERROR, OPTION_KEEPALIVE, OPTION_NSID,
    OPTION_PADDING, OPTION_REPORT_CHANNEL, UDP_SIZE_MAX,
};

use crate::dns::types::{Rcode, rtype};

/// Bytes of an option before its data.
const HEADER: usize = 4;
/// Replies are padded to a multiple of so many bytes (RFC 8467 4.1).
const PADDED_TO: usize = 468;

/// What OPT of a reply holds, beside the rcode's upper bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opt<'a> {
    /// The query's OPT; none: no OPT is written.
    pub query: Option<Edns<'a>>,
    /// Scope of the answer, echoed with the query's subnet.
    pub scope: u8,
    /// The server's identifier, given when asked for.
    pub identity: Option<&'a [u8]>,
    /// An extended error: code and text (RFC 8914). Where there is no room its text is
    /// left out, and then all of it: nobody is sent to TCP for it.
    pub extended_error: Option<(u16, &'static str)>,
    /// What few replies hold.
    pub rare: Option<&'a Rare<'a>>,
}

/// Options that few replies hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rare<'a> {
    /// The query's cookie, and the one for the reply.
    pub cookie: Option<Judged>,
    /// How long the connection may idle, in units of 100 ms (RFC 7828).
    pub keepalive_100ms: Option<u16>,
    /// Whether the reply is padded (RFC 7830).
    pub is_padded: bool,
    /// Whom resolvers tell of errors, as a wire name (RFC 9567). Left out where there is
    /// no room.
    pub report_channel: Option<&'a [u8]>,
}

impl<'a> Opt<'a> {
    /// Bytes that the OPT record takes at least; 0 when there is none. Options that may
    /// be left out, and padding, take what is left of the reply's room.
    pub fn length(&self) -> usize {
        let Some(edns) = &self.query else { return 0 };
        11 + self.nsid().map_or(0, |identity| HEADER + identity.len())
            + edns.subnet.map_or(0, |subnet| HEADER + subnet.data_length())
            + self.rare.map_or(0, Rare::length)
    }

    /// What the query's cookie is worth.
    #[inline]
    pub fn cookie_state(&self) -> CookieState {
        self.rare.and_then(|rare| rare.cookie).map_or(CookieState::None, |judged| judged.state)
    }

    fn nsid(&self) -> Option<&'a [u8]> {
        self.identity.filter(|_| self.query.is_some_and(|edns| edns.asked.has(Asked::NSID)))
    }
}

impl<'a> Rare<'a> {
    /// Bytes at least: padding may be of length 0.
    fn length(&self) -> usize {
        self.cookie.map_or(0, |_| HEADER + cookie::REPLY_LENGTH)
            + self.keepalive_100ms.map_or(0, |_| HEADER + 2)
            + if self.is_padded { HEADER } else { 0 }
    }

    /// The report channel, if there is so much room.
    fn report_channel(&self, room: usize) -> Option<&'a [u8]> {
        self.report_channel.filter(|agent| HEADER + agent.len() <= room)
    }

    /// Data bytes of the padding of a reply of `length` bytes, of at most `length_max`.
    fn padding(&self, length: usize, length_max: usize) -> usize {
        let target = length.next_multiple_of(PADDED_TO).min(length_max);
        if self.is_padded { target.saturating_sub(length) } else { 0 }
    }

    #[cold]
    fn put(&self, mut rest: &mut [u8], report_channel: Option<&[u8]>) {
        if let Some(judged) = &self.cookie {
            rest = put_option(rest, OPTION_COOKIE, judged.reply.len(), |data| {
                data.copy_from_slice(&judged.reply);
            });
        }
        if let Some(keepalive) = self.keepalive_100ms {
            rest = put_option(rest, OPTION_KEEPALIVE, 2, |data| {
                data.copy_from_slice(&keepalive.to_be_bytes());
            });
        }
        if let Some(agent) = report_channel {
            rest = put_option(rest, OPTION_REPORT_CHANNEL, agent.len(), |data| {
                data.copy_from_slice(agent);
            });
        }
        if self.is_padded {
            // All that is left, as zeros: what earlier replies left there goes to nobody.
            let length = rest.len().saturating_sub(HEADER);
            put_option(rest, OPTION_PADDING, length, |data| data.fill(0));
        }
    }
}

impl Writer<'_> {
    /// Writes OPT into the room kept for it, and what of it may be left out into what
    /// else is free.
    #[inline]
    pub(super) fn put_opt(&mut self, edns: &Edns<'_>, rcode: Rcode, opt: &Opt<'_>) {
        let mut length = opt.length();
        let mut room = self.limit.saturating_sub(self.at);
        let extended_error = opt.extended_error.and_then(|error| fitting(error, room));
        if let Some((_, text)) = extended_error {
            length += HEADER + 2 + text.len();
            room -= HEADER + 2 + text.len();
        }
        let mut report_channel = None;
        if let Some(rare) = opt.rare {
            report_channel = rare.report_channel(room);
            length += report_channel.map_or(0, |agent| HEADER + agent.len());
            length += rare.padding(self.at + length, self.out.len());
        }
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
        if let Some((code, text)) = extended_error {
            rest = put_option(rest, OPTION_EXTENDED_ERROR, 2 + text.len(), |data| {
                data[..2].copy_from_slice(&code.to_be_bytes());
                data[2..].copy_from_slice(text.as_bytes());
            });
        }
        if let Some(rare) = opt.rare {
            rare.put(rest, report_channel);
        }
        self.counts[Section::Additional as usize] += 1;
        self.at = end;
    }
}

/// The extended error as far as there is room for it.
fn fitting((code, text): (u16, &'static str), room: usize) -> Option<(u16, &'static str)> {
    let text = if HEADER + 2 + text.len() <= room { text } else { "" };
    (HEADER + 2 + text.len() <= room).then_some((code, text))
}

/// Writes one option and returns what is left behind it.
fn put_option(out: &mut [u8], code: u16, length: usize, fill: impl FnOnce(&mut [u8])) -> &mut [u8] {
    let (option, rest) = out.split_at_mut(HEADER + length);
    option[..2].copy_from_slice(&code.to_be_bytes());
    option[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    fill(&mut option[4..]);
    rest
}
