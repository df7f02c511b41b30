//! Writing replies: header, question, RRsets whole or not at all, OPT.
//!
//! A [`Writer`] fills the caller's buffer up to a limit. An RRset that does not
//! fit leaves the message as it was (RFC 2181 9: RRsets are not split). Names
//! are compressed where RFC 1035 4.1.4 and RFC 3597 4 allow it.

use super::edns::{Edns, OPTION_EXTENDED_ERROR, OPTION_NSID, UDP_SIZE_MAX};
use super::query::{HEADER_LENGTH, Header};
use super::types::{Rcode, class, rtype};
use super::{ecs, name};

/// Owner of a record that is the question's name: a pointer to offset 12.
pub const QUESTION_POINTER: [u8; 2] = [0xc0, HEADER_LENGTH as u8];
/// Names remembered for compression. More gain nothing in real answers.
const COMPRESSION_NAMES_MAX: usize = 32;
/// Highest offset a compression pointer reaches.
const POINTER_OFFSET_MAX: usize = 0x3fff;

/// The record does not fit in what is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// Where a record goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    /// Answers.
    Answer,
    /// Authority.
    Authority,
    /// Additional.
    Additional,
}

//------------ Writer ---------------------------------------------------------

/// A reply being written.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    limit: usize,
    counts: [u16; 3],
    offsets: [u16; COMPRESSION_NAMES_MAX],
    offset_count: usize,
}

/// Flags and rcode of a reply.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Response code; what is over 15 goes into OPT.
    pub rcode: Rcode,
    /// Authoritative answer.
    pub authoritative: bool,
    /// Truncated.
    pub truncated: bool,
}

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

impl<'a> Writer<'a> {
    /// Begins a reply of at most `limit` bytes with `header` and the question,
    /// both echoed. `out` has room for both, which the caller's buffer of at
    /// least 512 bytes always has: a question is at most 259 bytes.
    pub fn new(out: &'a mut [u8], limit: usize, header: Header, question: &[u8]) -> Writer<'a> {
        let limit = limit.min(out.len());
        let at = HEADER_LENGTH + question.len();
        let count = u8::from(!question.is_empty());
        out[..HEADER_LENGTH].fill(0);
        out[..2].copy_from_slice(&header.id);
        out[2] = 0x80 | header.opcode << 3 | u8::from(header.recursion_desired);
        out[5] = count;
        out[HEADER_LENGTH..at].copy_from_slice(question);
        let mut writer = Writer {
            out,
            at,
            limit,
            counts: [0; 3],
            offsets: [0; COMPRESSION_NAMES_MAX],
            offset_count: 0,
        };
        if count == 1 {
            writer.remember(HEADER_LENGTH);
        }
        writer
    }

    /// Keeps `length` bytes free for what [`finish`](Self::finish) writes.
    pub fn reserve(&mut self, length: usize) {
        self.limit = self.limit.saturating_sub(length);
    }

    /// Keeps `length` more bytes free, if there are as many.
    pub fn try_reserve(&mut self, length: usize) -> Result<(), Full> {
        self.limit =
            self.limit.checked_sub(length).filter(|&limit| limit >= self.at).ok_or(Full)?;
        Ok(())
    }

    /// Length so far.
    pub fn len(&self) -> usize {
        self.at
    }

    /// True when there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.counts == [0; 3]
    }

    /// Records in a section.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Copies a record that is ready for the wire.
    #[inline]
    pub fn copy_record(&mut self, section: Section, record: &[u8]) -> Result<(), Full> {
        let end = self.at + record.len();
        if end > self.limit {
            return Err(Full);
        }
        self.out[self.at..end].copy_from_slice(record);
        self.at = end;
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// Writes all records of an RRset or none. `owner` is a wire name; a prefix
    /// of the message that ends in it is pointed at instead.
    pub fn put_rrset<'r>(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: u16,
        ttl_s: u32,
        rdatas: impl Iterator<Item = &'r [u8]>,
    ) -> Result<(), Full> {
        let (at, counts, offset_count) = (self.at, self.counts, self.offset_count);
        for rdata in rdatas {
            if self.put_record(section, owner, rtype, ttl_s, rdata).is_err() {
                (self.at, self.counts, self.offset_count) = (at, counts, offset_count);
                return Err(Full);
            }
        }
        Ok(())
    }

    fn put_record(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: u16,
        ttl_s: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.put_name(owner)?;
        self.put(&rtype.to_be_bytes())?;
        self.put(&class::IN.to_be_bytes())?;
        self.put(&ttl_s.to_be_bytes())?;
        let length_at = self.at;
        self.put(&[0, 0])?;
        self.put_rdata(rtype, rdata)?;
        let length = (self.at - length_at - 2) as u16;
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// RDATA, with the names compressed that RFC 1035 defined.
    fn put_rdata(&mut self, rtype: u16, rdata: &[u8]) -> Result<(), Full> {
        let (lead, names) = match rtype {
            rtype::NS
            | rtype::MD
            | rtype::MF
            | rtype::CNAME
            | rtype::MB
            | rtype::MG
            | rtype::MR
            | rtype::PTR => (0, 1),
            rtype::SOA | rtype::MINFO => (0, 2),
            rtype::MX => (2, 1),
            _ => (0, 0),
        };
        let Some((head, mut rest)) = rdata.split_at_checked(lead) else { return self.put(rdata) };
        self.put(head)?;
        for _ in 0..names {
            let Some((name, next)) =
                name::wire_length(rest).ok().and_then(|length| rest.split_at_checked(length))
            else {
                break;
            };
            self.put_name(name)?;
            rest = next;
        }
        self.put(rest)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.at + bytes.len();
        if end > self.limit {
            return Err(Full);
        }
        self.out[self.at..end].copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    /// Writes a name, its longest known suffix as a pointer.
    fn put_name(&mut self, wire: &[u8]) -> Result<(), Full> {
        let start = self.at;
        let mut rest = wire;
        while rest.len() > 1 {
            if let Some(offset) = self.find(rest) {
                let pointer = (0xc000 | offset).to_be_bytes();
                self.put(&wire[..wire.len() - rest.len()])?;
                self.put(&pointer)?;
                if rest.len() != wire.len() {
                    self.remember(start);
                }
                return Ok(());
            }
            match name::parent(rest) {
                Some(next) => rest = next,
                None => break,
            }
        }
        self.put(wire)?;
        if wire.len() > 1 {
            self.remember(start);
        }
        Ok(())
    }

    fn remember(&mut self, offset: usize) {
        if self.offset_count < COMPRESSION_NAMES_MAX && offset <= POINTER_OFFSET_MAX {
            self.offsets[self.offset_count] = offset as u16;
            self.offset_count += 1;
        }
    }

    /// Offset at which `wire` stands in the message already, as a whole name or
    /// as the end of one.
    fn find(&self, wire: &[u8]) -> Option<u16> {
        self.offsets[..self.offset_count].iter().find_map(|&offset| self.find_in(offset, wire))
    }

    fn find_in(&self, offset: u16, wire: &[u8]) -> Option<u16> {
        let mut at = usize::from(offset);
        // A name has at most 127 labels, and each step but a pointer passes one.
        for _ in 0..255 {
            let length = self.out[at];
            match length {
                0 => return None,
                0xc0.. => at = usize::from(length & 0x3f) << 8 | usize::from(self.out[at + 1]),
                // A name that begins within reach may go on beyond it.
                _ if at > POINTER_OFFSET_MAX => return None,
                _ if self.equals(at, wire) => return Some(at as u16),
                _ => at += 1 + usize::from(length),
            }
        }
        None
    }

    /// True when the name at `at`, written before, is `wire`.
    fn equals(&self, mut at: usize, mut wire: &[u8]) -> bool {
        loop {
            let length = self.out[at];
            if length >= 0xc0 {
                at = usize::from(length & 0x3f) << 8 | usize::from(self.out[at + 1]);
                continue;
            }
            let end = 1 + usize::from(length);
            let (Some(label), Some(written)) = (wire.get(..end), self.out.get(at..at + end)) else {
                return false;
            };
            if !label.eq_ignore_ascii_case(written) {
                return false;
            }
            if length == 0 {
                return true;
            }
            wire = &wire[end..];
            at += end;
        }
    }

    /// Takes every record back: what is left is header and question.
    pub fn clear(&mut self, question_length: usize) {
        self.at = HEADER_LENGTH + question_length;
        self.counts = [0; 3];
        self.offset_count = self.offset_count.min(usize::from(question_length > 0));
    }

    /// Writes OPT into the room kept for it, then flags and counts, and returns
    /// the reply's length.
    pub fn finish(mut self, status: Status, opt: &Opt<'_>) -> usize {
        self.limit = (self.limit + opt.length()).min(self.out.len());
        if let Some(edns) = &opt.query {
            self.put_opt(edns, status.rcode, opt);
        }
        self.out[2] |= u8::from(status.authoritative) << 2 | u8::from(status.truncated) << 1;
        self.out[3] = (status.rcode.0 & 0x0f) as u8;
        for (index, count) in self.counts.into_iter().enumerate() {
            let at = 6 + 2 * index;
            self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        self.at
    }

    fn put_opt(&mut self, edns: &Edns<'_>, rcode: Rcode, opt: &Opt<'_>) {
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
                data.copy_from_slice(identity);
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

//------------ Opt ------------------------------------------------------------

impl<'a> Opt<'a> {
    /// Bytes the OPT record takes; 0 when there is none.
    pub fn length(&self) -> usize {
        let Some(edns) = &self.query else { return 0 };
        11 + self.nsid().map_or(0, |identity| 4 + identity.len())
            + edns.subnet.map_or(0, |subnet| 4 + subnet.data_length())
            + self.extended_error.map_or(0, |(_, text)| 6 + text.len())
    }

    fn nsid(&self) -> Option<&'a [u8]> {
        self.identity.filter(|_| self.query.is_some_and(|edns| edns.nsid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;

    fn question(name: &str) -> Vec<u8> {
        let mut question = Name::parse(name).unwrap().wire().to_vec();
        question.extend([0, 1, 0, 1]);
        question
    }

    fn done() -> Status {
        Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false }
    }

    #[test]
    fn names_are_compressed_against_all_that_stands_before() {
        let mut out = [0; 512];
        let question = question("www.example.com");
        let mut writer = Writer::new(&mut out, 512, Header::default(), &question);
        let cname = Name::parse("a.Example.COM").unwrap();
        let owner = Name::parse("WWW.example.com").unwrap();
        let start = writer.len();
        writer
            .put_rrset(Section::Answer, owner.wire(), rtype::CNAME, 60, [cname.wire()].into_iter())
            .unwrap();
        // owner: pointer (2) + fixed (10) + "a" (2) + pointer (2)
        assert_eq!(writer.len() - start, 2 + 10 + 2 + 2);
        let before = writer.len();
        writer
            .put_rrset(
                Section::Answer,
                cname.wire(),
                rtype::A,
                60,
                [&[1u8, 2, 3, 4][..]].into_iter(),
            )
            .unwrap();
        assert_eq!(writer.len() - before, 2 + 10 + 4);
        let length = writer.finish(done(), &Opt::default());
        let message = hickory_proto::op::Message::from_vec(&out[..length]).unwrap();
        assert_eq!(message.answers.len(), 2);
        assert_eq!(message.answers[1].name.to_ascii().to_lowercase(), "a.example.com.");
    }

    #[test]
    fn an_rrset_that_does_not_fit_leaves_no_trace() {
        let mut out = [0; 512];
        let question = question("a.example");
        let mut writer = Writer::new(&mut out, 60, Header::default(), &question);
        let owner = Name::parse("a.example").unwrap();
        let addresses = [[1u8, 2, 3, 4]; 3];
        let before = writer.len();
        let written = writer.put_rrset(
            Section::Answer,
            owner.wire(),
            rtype::A,
            60,
            addresses.iter().map(|a| &a[..]),
        );
        assert_eq!(written, Err(Full));
        assert_eq!(writer.len(), before);
        assert!(writer.is_empty());
    }
}
