//! A query read in one pass over its bytes, and what is wrong with it if it
//! cannot be answered (RFC 1035 4.1, RFC 6891, RFC 8906, RFC 9619).

use super::edns::Edns;
use super::name;
use super::types::{Rcode, opcode, rtype};

/// OPT's type: its upper byte is 0.
const OPT_LOW: u8 = rtype::OPT as u8;
/// Length of a message header.
pub const HEADER_LENGTH: usize = 12;

//------------ Query ----------------------------------------------------------

/// One well-formed query.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Message ID and flags as sent.
    pub header: Header,
    /// The question as sent: name, type and class, to be echoed.
    pub question: &'a [u8],
    /// The name in wire form, case as sent.
    pub qname: &'a [u8],
    /// The type asked for.
    pub qtype: u16,
    /// The class asked for.
    pub qclass: u16,
    /// The OPT record's content, if there is one.
    pub edns: Option<Edns<'a>>,
}

/// What of a query's header an answer needs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// Message ID, to be echoed.
    pub id: [u8; 2],
    /// Opcode, to be echoed.
    pub opcode: u8,
    /// Recursion desired, to be echoed.
    pub recursion_desired: bool,
}

/// Why a message is not answered as a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unanswerable<'a> {
    /// Fewer than twelve bytes: silence.
    Short,
    /// It says it is a response: silence, or two servers talk for ever.
    Response,
    /// No question but a cookie: the client wants one of ours (RFC 7873 5.4).
    CookieOnly {
        /// What of the header the reply echoes.
        header: Header,
        /// The OPT record, which has a cookie.
        edns: Edns<'a>,
    },
    /// To be read as a whole: it is signed, or NOTIFY or UPDATE.
    Special {
        /// All of it.
        message: &'a [u8],
    },
    /// To be answered with an rcode alone.
    Error {
        /// What of the header the reply echoes.
        header: Header,
        /// FORMERR, NOTIMP or BADVERS.
        rcode: Rcode,
        /// The question as sent; empty where it could not be read.
        question: &'a [u8],
        /// Present when a readable OPT record was, so that the reply has one.
        edns: Option<Edns<'a>>,
    },
}

impl<'a> Query<'a> {
    /// Reads a message. The work is bounded by its length.
    pub fn parse(message: &'a [u8]) -> Result<Query<'a>, Unanswerable<'a>> {
        let (fixed, body) = message.split_at_checked(HEADER_LENGTH).ok_or(Unanswerable::Short)?;
        if fixed[2] & 0x80 != 0 {
            return Err(Unanswerable::Response);
        }
        let header = Header {
            id: [fixed[0], fixed[1]],
            opcode: fixed[2] >> 3 & 0x0f,
            recursion_desired: fixed[2] & 1 != 0,
        };
        let error = |rcode, question, edns| Unanswerable::Error { header, rcode, question, edns };
        if header.opcode != opcode::QUERY {
            if matches!(header.opcode, opcode::NOTIFY | opcode::UPDATE) {
                return Err(Unanswerable::Special { message });
            }
            // Other opcodes give the counts other meanings (RFC 8906 3.1.4).
            return Err(error(Rcode::NOTIMP, &[], None));
        }
        let count = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        if count(4) == 0 {
            return Err(without_question(header, body, [count(6), count(8), count(10)]));
        }
        if count(4) != 1 {
            return Err(error(Rcode::FORMERR, &[], None));
        }
        let (question, name_length) =
            split_question(body).ok_or(error(Rcode::FORMERR, &[], None))?;
        let tail = &question[name_length..];
        let mut records = Records::new(&body[question.len()..]);
        let found = records.find_opt(u32::from(count(6)) + u32::from(count(8)), count(10));
        if records.is_signed {
            return Err(Unanswerable::Special { message });
        }
        let edns = found.map_err(|edns| error(Rcode::FORMERR, question, edns))?;
        if edns.is_some_and(|edns| edns.version != 0) {
            return Err(error(Rcode::BADVERS, question, edns));
        }
        Ok(Query {
            header,
            question,
            qname: &question[..name_length],
            qtype: u16::from_be_bytes([tail[0], tail[1]]),
            qclass: u16::from_be_bytes([tail[2], tail[3]]),
            edns,
        })
    }
}

/// What a query without a question is: its records follow the header.
#[cold]
fn without_question<'a>(header: Header, body: &'a [u8], counts: [u16; 3]) -> Unanswerable<'a> {
    let skipped = u32::from(counts[0]) + u32::from(counts[1]);
    let found = Records::new(body).find_opt(skipped, counts[2]);
    let (edns, is_good) = found.map_or_else(|edns| (edns, false), |edns| (edns, true));
    let rcode = match edns {
        Some(edns) if edns.version != 0 => Rcode::BADVERS,
        Some(edns) if is_good && edns.cookie.is_some() => {
            return Unanswerable::CookieOnly { header, edns };
        }
        _ => Rcode::FORMERR,
    };
    Unanswerable::Error { header, rcode, question: &[], edns }
}

impl Query<'_> {
    /// The question of any message, name, type and class as sent; none: it cannot be read.
    pub fn question_of(message: &[u8]) -> Option<&[u8]> {
        Some(split_question(message.get(HEADER_LENGTH..)?)?.0)
    }
}

/// The question at the start of `body`, and the length of its name. A
/// compression pointer has nothing to point at there, so it is refused.
fn split_question(body: &[u8]) -> Option<(&[u8], usize)> {
    let name_length = name::wire_length(body).ok()?;
    Some((body.get(..name_length + 4)?, name_length))
}

//------------ Records --------------------------------------------------------

/// The records behind the question.
struct Records<'a> {
    rest: &'a [u8],
    /// There was a TSIG record among those passed so far.
    is_signed: bool,
}

impl<'a> Records<'a> {
    fn new(rest: &'a [u8]) -> Records<'a> {
        Records { rest, is_signed: false }
    }

    /// Walks all records to the message's end and returns the OPT record. The
    /// error is a malformed message, with OPT's fixed part where it was read.
    // In place where every query passes: a call would copy what it gives back.
    #[inline(always)]
    fn find_opt(
        &mut self,
        skipped: u32,
        additional: u16,
    ) -> Result<Option<Edns<'a>>, Option<Edns<'a>>> {
        // The usual query has nothing here, or one OPT record.
        if skipped == 0 && additional == 0 {
            return if self.rest.is_empty() { Ok(None) } else { Err(None) };
        }
        if let (0, 1, Some((fixed, rdata))) = (skipped, additional, self.rest.split_first_chunk())
            && let &[0, 0, OPT_LOW, a, b, c, d, e, f, g, h] = fixed
            && rdata.len() == usize::from(u16::from_be_bytes([g, h]))
        {
            return Edns::parse(u16::from_be_bytes([a, b]), [c, d, e, f], rdata)
                .map(Some)
                .map_err(Some);
        }
        for _ in 0..skipped {
            if self.next().ok_or(None)?.rtype == rtype::OPT {
                return Err(None); // OPT belongs in the additional section
            }
        }
        let mut found = None;
        for _ in 0..additional {
            let record = self.next().ok_or(found)?;
            if record.rtype != rtype::OPT {
                continue;
            }
            if !record.owner_is_root || found.is_some() {
                return Err(found);
            }
            match Edns::parse(record.class, record.ttl, record.rdata) {
                Ok(edns) => found = Some(edns),
                Err(edns) => return Err(Some(edns)),
            }
        }
        if self.rest.is_empty() { Ok(found) } else { Err(found) }
    }

    fn next(&mut self) -> Option<Record<'a>> {
        let owner_length = owner_length(self.rest)?;
        let (fixed, rest) = self.rest.get(owner_length..)?.split_at_checked(10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let (rdata, rest) = rest.split_at_checked(length)?;
        let record = Record {
            owner_is_root: self.rest[0] == 0,
            rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            ttl: [fixed[4], fixed[5], fixed[6], fixed[7]],
            rdata,
        };
        self.is_signed |= record.rtype == rtype::TSIG;
        self.rest = rest;
        Some(record)
    }
}

struct Record<'a> {
    owner_is_root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    rdata: &'a [u8],
}

/// Length of a record's owner where it stands: a pointer ends it and is not
/// followed, so that no loop can be entered.
fn owner_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < name::NAME_LENGTH_MAX {
        let length = *bytes.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
    None
}
