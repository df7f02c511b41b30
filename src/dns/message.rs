//! Any message, read record by record: replies of other servers, and requests with
//! records of their own. Queries have a faster reader in [`query`](super::query).
//!
//! Compressed names are followed backwards only, so every walk ends; what is read
//! is bounded by the message's length. It must not know what records mean, beyond
//! where the names in their data are.

use std::ops::Range;

use super::Name;
use super::encode::Section;
use super::name::NAME_LENGTH_MAX;
use super::query::HEADER_LENGTH;

/// The bytes are no whole message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the message is malformed")]
pub struct Malformed;

//------------ Message --------------------------------------------------------

/// A message with its header read.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Questions, answers, authority records, additional records.
    counts: [u16; 4],
}

/// The first question of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The name asked for.
    pub name: Name,
    /// The type.
    pub qtype: u16,
    /// The class.
    pub qclass: u16,
}

impl<'a> Message<'a> {
    /// Reads the header.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let fixed = bytes.first_chunk::<HEADER_LENGTH>().ok_or(Malformed)?;
        let count = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        Ok(Message { bytes, counts: [count(4), count(6), count(8), count(10)] })
    }

    /// Message ID.
    pub fn id(&self) -> [u8; 2] {
        [self.bytes[0], self.bytes[1]]
    }

    /// Whether it says it is a response.
    pub fn is_response(&self) -> bool {
        self.bytes[2] & 0x80 != 0
    }

    /// Opcode.
    pub fn opcode(&self) -> u8 {
        self.bytes[2] >> 3 & 0x0f
    }

    /// AA.
    pub fn is_authoritative(&self) -> bool {
        self.bytes[2] & 0x04 != 0
    }

    /// TC.
    pub fn is_truncated(&self) -> bool {
        self.bytes[2] & 0x02 != 0
    }

    /// The four bits of the response code that stand in the header.
    pub fn rcode(&self) -> u16 {
        u16::from(self.bytes[3] & 0x0f)
    }

    /// How many records a section says it has.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[1 + section as usize]
    }

    /// The only question; none where there is no question.
    pub fn question(&self) -> Result<Option<Question>, Malformed> {
        match self.counts[0] {
            0 => Ok(None),
            1 => {
                let (name, at) = read_name(self.bytes, HEADER_LENGTH)?;
                let [a, b, c, d] =
                    *self.bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Malformed)?;
                let (qtype, qclass) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                Ok(Some(Question { name, qtype, qclass }))
            }
            _ => Err(Malformed),
        }
    }

    /// All records, in order.
    pub fn entries(&self) -> Entries<'a> {
        let mut at = Ok(HEADER_LENGTH);
        for _ in 0..self.counts[0] {
            at = at.and_then(|at| skip_name(self.bytes, at)).map(|at| at + 4);
            if at.is_err() {
                break;
            }
        }
        Entries {
            bytes: self.bytes,
            at,
            counts: [self.counts[1], self.counts[2], self.counts[3]],
            section: 0,
        }
    }
}

//------------ Entries --------------------------------------------------------

/// One record where it stands; nothing of it is decompressed yet.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    bytes: &'a [u8],
    /// Its section.
    pub section: Section,
    /// Where it begins in the message.
    pub start: usize,
    /// Its type.
    pub rtype: u16,
    /// Its class.
    pub class: u16,
    /// Its TTL as sent.
    pub ttl_s: u32,
    /// Where its data stands in the message.
    pub data: Range<usize>,
}

impl<'a> Entry<'a> {
    /// Its owner, decompressed.
    pub fn owner(&self) -> Result<Name, Malformed> {
        Ok(read_name(self.bytes, self.start)?.0)
    }

    /// Its data as sent.
    pub fn raw_data(&self) -> &'a [u8] {
        &self.bytes[self.data.clone()]
    }

    /// Its data, names decompressed where they may be compressed (RFC 3597 4).
    pub fn rdata(&self) -> Result<Box<[u8]>, Malformed> {
        let Some((fixed, strings, names)) = compressible(self.rtype) else {
            return Ok(self.raw_data().into());
        };
        let end = self.data.end;
        let mut at = self.data.start + fixed;
        for _ in 0..strings {
            at += 1 + usize::from(*self.bytes.get(at).filter(|_| at < end).ok_or(Malformed)?);
        }
        let lead = self.bytes.get(self.data.start..at).filter(|_| at <= end).ok_or(Malformed)?;
        let mut rdata = lead.to_vec();
        for _ in 0..names {
            let (name, next) = read_name(self.bytes, at)?;
            rdata.extend_from_slice(name.wire());
            at = next;
        }
        rdata.extend_from_slice(self.bytes.get(at..end).ok_or(Malformed)?);
        if rdata.len() > usize::from(u16::MAX) {
            return Err(Malformed);
        }
        Ok(rdata.into())
    }
}

/// The records of a message, one after another. Ends after the first error; the last
/// record is followed by an error if the message goes on behind it.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: Result<usize, Malformed>,
    counts: [u16; 3],
    section: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Result<Entry<'a>, Malformed>> {
        const SECTIONS: [Section; 3] = [Section::Answer, Section::Authority, Section::Additional];
        while self.counts.get(self.section) == Some(&0) {
            self.section += 1;
        }
        let left = self.counts.get_mut(self.section);
        let at = match (self.at, &left) {
            // Said once.
            (Err(_), _) if self.section > 3 => return None,
            (Err(error), _) => {
                self.section = 4;
                return Some(Err(error));
            }
            (Ok(at), None) if at == self.bytes.len() || self.section > 3 => return None,
            (Ok(_), None) => {
                self.section = 4;
                return Some(Err(Malformed));
            }
            (Ok(at), Some(_)) => at,
        };
        left.into_iter().for_each(|left| *left -= 1);
        match read_entry(self.bytes, at, SECTIONS[self.section.min(2)]) {
            Ok(entry) => {
                self.at = Ok(entry.data.end);
                Some(Ok(entry))
            }
            Err(error) => {
                (self.at, self.section) = (Err(error), 4);
                Some(Err(error))
            }
        }
    }
}

fn read_entry(bytes: &[u8], start: usize, section: Section) -> Result<Entry<'_>, Malformed> {
    let fixed_at = skip_name(bytes, start)?;
    let fixed = bytes.get(fixed_at..).and_then(<[u8]>::first_chunk::<10>).ok_or(Malformed)?;
    let [a, b, c, d, e, f, g, h, i, j] = *fixed;
    let data = fixed_at + 10..fixed_at + 10 + usize::from(u16::from_be_bytes([i, j]));
    if data.end > bytes.len() {
        return Err(Malformed);
    }
    Ok(Entry {
        bytes,
        section,
        start,
        rtype: u16::from_be_bytes([a, b]),
        class: u16::from_be_bytes([c, d]),
        ttl_s: u32::from_be_bytes([e, f, g, h]),
        data,
    })
}

/// Fixed bytes, strings and names at the start of the data of types whose names may
/// come compressed.
fn compressible(rtype: u16) -> Option<(usize, usize, usize)> {
    Some(match rtype {
        // NS MD MF CNAME MB MG MR PTR NXT DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 30 | 39 => (0, 0, 1),
        // SOA MINFO RP
        6 | 14 | 17 => (0, 0, 2),
        // MX AFSDB RT KX
        15 | 18 | 21 | 36 => (2, 0, 1),
        // SIG
        24 => (18, 0, 1),
        // PX
        26 => (2, 0, 2),
        // SRV
        33 => (6, 0, 1),
        // NAPTR
        35 => (4, 3, 1),
        _ => return None,
    })
}

//------------ Names ----------------------------------------------------------

/// The name at `at`, pointers followed, and where what comes behind it begins.
pub fn read_name(bytes: &[u8], at: usize) -> Result<(Name, usize), Malformed> {
    let mut wire = [0; NAME_LENGTH_MAX];
    let (mut length, mut at, mut next) = (0, at, None);
    // Pointers lead back only, so a chain of them ends.
    let mut before = at;
    loop {
        let byte = *bytes.get(at).ok_or(Malformed)?;
        match byte {
            0 => break,
            1..=63 => {
                let end = 1 + usize::from(byte);
                let label = bytes.get(at..at + end).ok_or(Malformed)?;
                // One byte is left for the root.
                let room = wire[..NAME_LENGTH_MAX - 1].get_mut(length..length + end);
                room.ok_or(Malformed)?.copy_from_slice(label);
                length += end;
                at += end;
            }
            0xc0.. => {
                let low = *bytes.get(at + 1).ok_or(Malformed)?;
                let target = usize::from(byte & 0x3f) << 8 | usize::from(low);
                next.get_or_insert(at + 2);
                if target >= before {
                    return Err(Malformed);
                }
                (at, before) = (target, target);
            }
            _ => return Err(Malformed),
        }
    }
    let name = Name::from_wire(&wire[..=length]).map_err(|_| Malformed)?;
    Ok((name, next.unwrap_or(at + 1)))
}

/// Where what comes behind the name at `at` begins; no pointer is followed.
fn skip_name(bytes: &[u8], start: usize) -> Result<usize, Malformed> {
    let mut at = start;
    while at < start + NAME_LENGTH_MAX {
        match *bytes.get(at).ok_or(Malformed)? {
            0 => return Ok(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Ok(at + 2),
            _ => return Err(Malformed),
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(counts: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 2, 0x84, 0];
        counts.iter().for_each(|count| bytes.extend([0, *count]));
        bytes.extend(body);
        bytes
    }

    const QUESTION: &[u8] = b"\x03www\x07example\x00\x00\x01\x00\x01";

    #[test]
    fn records_are_read_with_their_names_decompressed() {
        // www.example MX 5 mail.www.example, compressed.
        let record = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x09\x00\x05\x04mail\xc0\x0c";
        let bytes = message([1, 1, 0, 0], &[QUESTION, record].concat());
        let message = Message::parse(&bytes).unwrap();
        assert!(message.is_response() && message.is_authoritative());
        assert_eq!(message.question().unwrap().unwrap().qtype, 1);
        let entries: Vec<_> = message.entries().collect::<Result<_, _>>().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].owner().unwrap().to_string(), "www.example");
        assert_eq!(&*entries[0].rdata().unwrap(), b"\x00\x05\x04mail\x03www\x07example\x00");
        assert_eq!(entries[0].ttl_s, 60);
    }

    #[test]
    fn loops_and_pointers_ahead_are_malformed() {
        for owner in [&b"\xc0\x1d"[..], b"\xc0\x1f", b"\x01a\xc0\x1d", b"\xc0\xff"] {
            let record = [owner, b"\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"].concat();
            let bytes = message([1, 1, 0, 0], &[QUESTION, &record].concat());
            let entry = Message::parse(&bytes).unwrap().entries().next().unwrap().unwrap();
            assert_eq!(entry.owner().unwrap_err(), Malformed, "{owner:?}");
        }
    }

    #[test]
    fn what_ends_too_early_or_goes_on_is_malformed() {
        let whole =
            message([1, 1, 0, 0], &[QUESTION, b"\x00\x00\x01\x00\x01\0\0\0\0\x00\x00"].concat());
        assert_eq!(Message::parse(&whole).unwrap().entries().filter(Result::is_err).count(), 0);
        for length in HEADER_LENGTH..whole.len() {
            let message = Message::parse(&whole[..length]).unwrap();
            assert_eq!(message.entries().filter(Result::is_err).count(), 1, "{length}");
        }
        let trailing = [&whole[..], b"x"].concat();
        let entries: Vec<_> = Message::parse(&trailing).unwrap().entries().collect();
        assert!(entries[0].is_ok() && entries[1].is_err() && entries.len() == 2);
    }
}
