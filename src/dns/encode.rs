//! Writing replies: header, question, RRsets whole or not at all, OPT.
//!
//! A [`Writer`] fills the caller's buffer up to a limit. An RRset that does not
//! fit leaves the message as it was (RFC 2181 9: RRsets are not split). Names
//! are compressed where RFC 1035 4.1.4 and RFC 3597 4 allow it.

mod opt;
mod pieces;
mod soa;

use super::name;
use super::query::{HEADER_LENGTH, Header};
use super::types::{Rcode, class, rtype};

pub use opt::{Opt, Rare};
pub use soa::ReadySoa;

/// Owner of a record that is the question's name: a pointer to offset 12.
pub const QUESTION_POINTER: [u8; 2] = [0xc0, HEADER_LENGTH as u8];
/// Names remembered for compression. More gain nothing in real answers.
const COMPRESSION_NAMES_MAX: usize = 32;
/// Offset of the TTL in a record whose owner is a pointer.
pub const TTL_AT: usize = 6;
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
    /// Where the question ends.
    question_end: usize,
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

impl<'a> Writer<'a> {
    /// Begins a reply of at most `limit` bytes with `header` and the question,
    /// both echoed. `out` has room for both, which the caller's buffer of at
    /// least 512 bytes always has: a question is at most 259 bytes.
    pub fn new(out: &'a mut [u8], limit: usize, header: Header, question: &[u8]) -> Writer<'a> {
        let limit = limit.min(out.len());
        let at = HEADER_LENGTH + question.len();
        let count = u8::from(!question.is_empty());
        let ([a, b], flags) =
            (header.id, 0x80 | header.opcode << 3 | u8::from(header.recursion_desired));
        let fixed: [u8; HEADER_LENGTH] = [a, b, flags, 0, 0, count, 0, 0, 0, 0, 0, 0];
        out[..HEADER_LENGTH].copy_from_slice(&fixed);
        copy_short(&mut out[HEADER_LENGTH..at], question);
        let mut writer = Writer {
            out,
            at,
            limit,
            counts: [0; 3],
            offsets: [0; COMPRESSION_NAMES_MAX],
            offset_count: 0,
            question_end: at,
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

    /// Copies a record that is ready for the wire but for the TTL, whose owner is a
    /// pointer: the first `length` bytes of `record`.
    #[inline]
    pub fn copy_address<const N: usize>(
        &mut self,
        section: Section,
        record: &[u8; N],
        length: usize,
        ttl_s: u32,
    ) -> Result<(), Full> {
        let end = self.at + length;
        if end > self.limit || length > N {
            return Err(Full);
        }
        match self.out[self.at..].first_chunk_mut() {
            // In one piece: what follows the record is written over or not sent.
            Some(room) => *room = *record,
            None => self.out[self.at..end].copy_from_slice(&record[..length]),
        }
        self.out[self.at + TTL_AT..self.at + TTL_AT + 4].copy_from_slice(&ttl_s.to_be_bytes());
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
        let length_at = self.put_head(owner, rtype, ttl_s)?;
        self.put_rdata(rtype, rdata)?;
        self.end_record(section, length_at);
        Ok(())
    }

    /// A record up to its data, whose length stands where this says and is not known yet.
    #[inline]
    fn put_head(&mut self, owner: &[u8], rtype: u16, ttl_s: u32) -> Result<usize, Full> {
        self.put_name(owner)?;
        let ([a, b], [c, d, e, f]) = (rtype.to_be_bytes(), ttl_s.to_be_bytes());
        self.put(&[a, b, 0, class::IN as u8, c, d, e, f, 0, 0])?;
        Ok(self.at - 2)
    }

    #[inline]
    fn end_record(&mut self, section: Section, length_at: usize) {
        let length = (self.at - length_at - 2) as u16;
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.counts[section as usize] += 1;
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
            _ => return self.put(rdata),
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

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.at + bytes.len();
        if end > self.limit {
            return Err(Full);
        }
        copy_short(&mut self.out[self.at..end], bytes);
        self.at = end;
        Ok(())
    }

    /// Writes a name, its longest known suffix as a pointer.
    fn put_name(&mut self, wire: &[u8]) -> Result<(), Full> {
        // Nearly every owner is the question's name, as spelled there.
        if self.offset_count > 0 && self.question_name() == wire && wire.len() > 1 {
            return self.put(&QUESTION_POINTER);
        }
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

    /// The question's name; nothing where there is no question.
    fn question_name(&self) -> &[u8] {
        self.out.get(HEADER_LENGTH..self.question_end.saturating_sub(4)).unwrap_or_default()
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
}

/// Copies `bytes` over all of `out`, which is as long. Short ones are copied as their
/// two ends, which overlap: that is less than the call of a function that copies.
#[inline]
pub(super) fn copy_short(out: &mut [u8], bytes: &[u8]) {
    let copied = match bytes.len() {
        4..8 => copy_ends::<4>(out, bytes),
        8..16 => copy_ends::<8>(out, bytes),
        16..32 => copy_ends::<16>(out, bytes),
        32..=64 => copy_ends::<32>(out, bytes),
        _ => None,
    };
    if copied.is_none() {
        out.copy_from_slice(bytes);
    }
}

#[inline]
fn copy_ends<const N: usize>(out: &mut [u8], bytes: &[u8]) -> Option<()> {
    if out.len() != bytes.len() {
        return None;
    }
    let (first, last) = (bytes.first_chunk::<N>()?, bytes.last_chunk::<N>()?);
    *out.first_chunk_mut()? = *first;
    *out.last_chunk_mut()? = *last;
    Some(())
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
    fn any_number_of_bytes_is_copied_whole() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 0..200 {
            let mut out = vec![0xff; length];
            copy_short(&mut out, &bytes[1..=length]);
            assert_eq!(out, bytes[1..=length]);
        }
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
