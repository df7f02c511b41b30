//! A zone's SOA ready for negative answers: compressed once, and not per query.
//!
//! The message of the template asks for the origin itself. In a reply about a name
//! below it the same bytes stand as much further behind as the name is longer, and
//! so does everything the pointers lead to: each grows by that difference.

use super::{Full, POINTER_OFFSET_MAX, Section, TTL_AT, Writer, copy_short};
use crate::dns::query::{HEADER_LENGTH, Header};
use crate::dns::types::rtype;

/// Longest record: owner, two names, and the fixed parts.
const RECORD_LENGTH_MAX: usize = 3 * 255 + 10 + 20;
/// The owner's pointer, and one at the end of each name of the data.
const POINTERS_MAX: usize = 3;

/// An SOA record compressed against its own origin.
#[derive(Clone, Debug, Default)]
pub struct ReadySoa {
    bytes: Box<[u8]>,
    origin_length: usize,
    /// Where in `bytes` compression pointers stand.
    pointers: [u16; POINTERS_MAX],
    pointer_count: usize,
}

impl ReadySoa {
    /// The SOA of the zone `origin`; none if `rdata` is none, or for the root, whose
    /// owner is no pointer.
    pub fn new(origin: &[u8], rdata: &[u8]) -> Option<ReadySoa> {
        if origin.len() < 2 {
            return None;
        }
        let question = [origin, &[0, 6, 0, 1]].concat();
        let start = HEADER_LENGTH + question.len();
        let mut out = vec![0; start + RECORD_LENGTH_MAX];
        let limit = out.len();
        let mut writer = Writer::new(&mut out, limit, Header::default(), &question);
        writer.put_rrset(Section::Authority, origin, rtype::SOA, 0, [rdata].into_iter()).ok()?;
        let end = writer.len();
        let mut ready = ReadySoa {
            bytes: out[start..end].into(),
            origin_length: origin.len(),
            ..ReadySoa::default()
        };
        let mut at = ready.pass_name(0)? + 10;
        for _ in 0..2 {
            at = ready.pass_name(at)?;
        }
        // What is left are the five numbers.
        (at + 20 == ready.bytes.len()).then_some(ready)
    }

    /// Notes the pointer that ends the name at `at`, if one does; where the name ends.
    fn pass_name(&mut self, mut at: usize) -> Option<usize> {
        loop {
            match *self.bytes.get(at)? {
                0 => return Some(at + 1),
                0xc0.. => {
                    *self.pointers.get_mut(self.pointer_count)? = at as u16;
                    self.pointer_count += 1;
                    return Some(at + 2);
                }
                length => at += 1 + usize::from(length),
            }
        }
    }
}

impl Writer<'_> {
    /// Writes a zone's SOA as the first record. The question's name is the zone's
    /// origin or lies below it.
    pub fn put_soa(&mut self, soa: &ReadySoa, ttl_s: u32) -> Result<(), Full> {
        let lower = (self.question_end - HEADER_LENGTH).saturating_sub(4 + soa.origin_length);
        debug_assert!(self.is_empty(), "the pointers count on it");
        let (start, end) = (self.at, self.at + soa.bytes.len());
        if end > self.limit || end > POINTER_OFFSET_MAX {
            return Err(Full);
        }
        let record = &mut self.out[start..end];
        copy_short(record, &soa.bytes);
        record[TTL_AT..TTL_AT + 4].copy_from_slice(&ttl_s.to_be_bytes());
        for &pointer in &soa.pointers[..soa.pointer_count] {
            let Some(pointer) = record[usize::from(pointer)..].first_chunk_mut() else { continue };
            *pointer = (u16::from_be_bytes(*pointer) + lower as u16).to_be_bytes();
        }
        self.at = end;
        self.counts[Section::Authority as usize] += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;
    use crate::dns::encode::{Opt, Status};
    use crate::dns::types::Rcode;
    use hickory_proto::op::Message;

    fn wire(name: &str) -> Vec<u8> {
        Name::parse(name).unwrap().wire().to_vec()
    }

    /// The reply to a question for `name` with the SOA that `put` writes.
    fn reply(name: &str, put: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = [0; 1024];
        let question = [wire(name), vec![0, 1, 0, 1]].concat();
        let mut writer = Writer::new(&mut out, 1024, Header::default(), &question);
        put(&mut writer);
        let status = Status { rcode: Rcode::NXDOMAIN, authoritative: true, truncated: false };
        let length = writer.finish(status, &Opt::default());
        out[..length].to_vec()
    }

    #[test]
    fn a_ready_soa_reads_as_the_one_that_is_compressed_anew() {
        let origins = ["example.com", "Gslb.Example.com", "a", &"l.".repeat(120)];
        let hosts = ["ns1.gslb.example.com", "ns.other.net", "other.net", ".", "example.com", "a"];
        for origin in origins {
            for host in hosts {
                for mail in ["hostmaster.example.com", "x.other.net", "EXAMPLE.com", "."] {
                    let rdata = [wire(host), wire(mail), (0..20).collect()].concat();
                    let soa = ReadySoa::new(&wire(origin), &rdata).unwrap();
                    for label in ["", "www.", "abcdefghijkl."] {
                        let name = format!("{label}{origin}");
                        let ready = reply(&name, |writer| writer.put_soa(&soa, 300).unwrap());
                        let anew = reply(&name, |writer| {
                            let rdatas = [&rdata[..]].into_iter();
                            let (section, owner) = (Section::Authority, wire(origin));
                            writer.put_rrset(section, &owner, rtype::SOA, 300, rdatas).unwrap();
                        });
                        assert_eq!(ready.len(), anew.len(), "{name} {host} {mail}");
                        let read = |bytes: &[u8]| Message::from_vec(bytes).unwrap();
                        assert_eq!(read(&ready), read(&anew), "{name} {host} {mail}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_soa_that_does_not_fit_leaves_no_trace() {
        let rdata = [wire("ns.example"), wire("mail.example"), vec![0; 20]].concat();
        let soa = ReadySoa::new(&wire("example"), &rdata).unwrap();
        let mut out = [0; 512];
        let question = [wire("a.example"), vec![0, 1, 0, 1]].concat();
        let mut writer = Writer::new(&mut out, 60, Header::default(), &question);
        assert_eq!(writer.put_soa(&soa, 1), Err(Full));
        assert!(writer.is_empty());
    }

    #[test]
    fn bytes_that_are_no_soa_are_not_made_ready() {
        assert!(ReadySoa::new(&wire("example"), b"\x01").is_none());
        assert!(ReadySoa::new(&wire("example"), &[0; 21]).is_none());
        assert!(ReadySoa::new(&[0], &[0; 22]).is_none());
    }
}
