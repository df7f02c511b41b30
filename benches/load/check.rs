//! Whether a reply is right: the question asked, the response code and records that were
//! expected, and the client subnet echoed (RFC 7871 section 7.2.1).

use std::net::IpAddr;

use crate::queries::{Edns, Expected, HEADER, OPTION_ECS, TYPE_A, TYPE_AAAA, TYPE_OPT};

/// What is wrong with a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    /// Not a whole message.
    Malformed,
    /// Not the question asked, byte for byte.
    Question,
    /// Not the response code expected.
    Rcode,
    /// Too few records, or an address that is none of those expected.
    Answers,
    /// OPT or the client subnet missing or different.
    Edns,
}

/// How many kinds of wrong there are.
pub(crate) const WRONG_KINDS: usize = 5;

/// What replies are held against, besides the question's own expectation.
pub(crate) struct Rules {
    /// Addresses an answer may hold; none: any.
    pub(crate) addresses: Vec<IpAddr>,
    /// Replies come from the floor, which looks at nothing: only the echo of the question,
    /// NOERROR and OPT are held against it.
    pub(crate) floor: bool,
    /// What was asked with.
    pub(crate) edns: Edns,
}

/// The response code of a reply, and what is wrong with it. `query` is what was sent,
/// with a question of `question` bytes.
pub(crate) fn check(
    reply: &[u8],
    query: &[u8],
    question: usize,
    expected: Expected,
    rules: &Rules,
) -> (u8, Result<(), Wrong>) {
    let Some(header) = reply.first_chunk::<HEADER>() else { return (0, Err(Wrong::Malformed)) };
    let rcode = header[3] & 15;
    if header[2] & 0x80 == 0 {
        return (rcode, Err(Wrong::Malformed));
    }
    let asked = HEADER..HEADER + question;
    if header[4..6] != [0, 1] || reply.get(asked.clone()) != query.get(asked) {
        return (rcode, Err(Wrong::Question));
    }
    let expected = if rules.floor { Expected { rcode: 0, answers: 0 } } else { expected };
    if rcode != expected.rcode {
        return (rcode, Err(Wrong::Rcode));
    }
    let kind = u16::from_be_bytes([query[HEADER + question - 4], query[HEADER + question - 3]]);
    let ecs = query.get(HEADER + question + 11 + 4..);
    (rcode, records(reply, HEADER + question, kind, expected.answers, rules, ecs))
}

/// Walks the records behind the question.
fn records(
    reply: &[u8],
    mut at: usize,
    kind: u16,
    answers_min: u16,
    rules: &Rules,
    ecs: Option<&[u8]>,
) -> Result<(), Wrong> {
    let count = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    let answers = count(6);
    let mut matching = 0;
    let mut edns_right = rules.edns == Edns::None;
    for number in 0..answers + count(8) + count(10) {
        let record = Record::read(reply, &mut at).ok_or(Wrong::Malformed)?;
        if number < answers && record.kind == kind {
            matching += 1;
            if !address_allowed(&record, &rules.addresses) {
                return Err(Wrong::Answers);
            }
        }
        if record.kind == TYPE_OPT {
            edns_right = match rules.edns {
                Edns::None => false,
                Edns::Plain => true,
                Edns::Ecs => rules.floor || ecs.is_some_and(|sent| echoes(record.data, sent)),
            };
        }
    }
    if at != reply.len() {
        return Err(Wrong::Malformed);
    }
    if matching < answers_min {
        return Err(Wrong::Answers);
    }
    if edns_right { Ok(()) } else { Err(Wrong::Edns) }
}

struct Record<'a> {
    kind: u16,
    data: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at `at`, which moves behind it.
    fn read(message: &'a [u8], at: &mut usize) -> Option<Record<'a>> {
        loop {
            let length = *message.get(*at)?;
            match length {
                0 => {
                    *at += 1;
                    break;
                }
                0xc0.. => {
                    *at += 2;
                    break;
                }
                _ => *at += 1 + usize::from(length),
            }
        }
        let fixed = message.get(*at..)?.first_chunk::<10>()?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = message.get(*at + 10..*at + 10 + length)?;
        *at += 10 + length;
        Some(Record { kind: u16::from_be_bytes([fixed[0], fixed[1]]), data })
    }
}

fn address_allowed(record: &Record<'_>, allowed: &[IpAddr]) -> bool {
    let address = match record.kind {
        TYPE_A => <[u8; 4]>::try_from(record.data).ok().map(IpAddr::from),
        TYPE_AAAA => <[u8; 16]>::try_from(record.data).ok().map(IpAddr::from),
        _ => return true,
    };
    address.is_some_and(|address| allowed.is_empty() || allowed.contains(&address))
}

/// Whether among the options is the subnet sent, with any scope. `sent` is the option's
/// data: family, source length, scope, address.
fn echoes(mut options: &[u8], sent: &[u8]) -> bool {
    while let Some((head, rest)) = options.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(data) = rest.get(..length) else { return false };
        if u16::from_be_bytes([head[0], head[1]]) == OPTION_ECS {
            return data.len() == sent.len() && data[..3] == sent[..3] && data[4..] == sent[4..];
        }
        options = &rest[length..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::{Random, finish};

    const QUESTION: &[u8] = b"\x01w\x07example\0\0\x01\0\x01";
    const RECORD: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1];
    const ONE: Expected = Expected { rcode: 0, answers: 1 };

    fn query(edns: Edns) -> Vec<u8> {
        let mut out = [0; 512];
        out[HEADER..HEADER + QUESTION.len()].copy_from_slice(QUESTION);
        let length = finish(7, QUESTION.len(), edns, &mut Random::new(1), &mut out);
        out[..length].to_vec()
    }

    /// The right reply: one address, and the query's OPT given back.
    fn reply(query: &[u8]) -> Vec<u8> {
        let (head, opt) = query.split_at(HEADER + QUESTION.len());
        let mut reply = [head, RECORD, opt].concat();
        reply[2] = 0x84;
        reply[7] = 1;
        reply
    }

    fn verdict(reply: &[u8], query: &[u8], edns: Edns, expected: Expected) -> Result<(), Wrong> {
        let addresses = vec!["192.0.2.1".parse().unwrap()];
        let rules = Rules { addresses, floor: false, edns };
        check(reply, query, QUESTION.len(), expected, &rules).1
    }

    #[test]
    fn a_right_reply_is_right() {
        for edns in [Edns::None, Edns::Plain, Edns::Ecs] {
            let query = query(edns);
            assert_eq!(verdict(&reply(&query), &query, edns, ONE), Ok(()), "{edns:?}");
        }
    }

    #[test]
    fn each_flaw_is_found() {
        let plain = query(Edns::None);
        // what, byte of the reply, value there, verdict
        let cases = [
            ("not a response", 2, 0x04, Wrong::Malformed),
            ("another name", 13, b'x', Wrong::Question),
            ("another case", 15, b'E', Wrong::Question),
            ("no question", 5, 0, Wrong::Question),
            ("SERVFAIL", 3, 2, Wrong::Rcode),
            ("no answer", 7, 0, Wrong::Malformed),
            ("more records than there are", 11, 1, Wrong::Malformed),
            ("another type", HEADER + QUESTION.len() + 3, 5, Wrong::Answers),
            ("another address", HEADER + QUESTION.len() + 15, 2, Wrong::Answers),
        ];
        for (what, at, value, wrong) in cases {
            let mut reply = reply(&plain);
            reply[at] = value;
            assert_eq!(verdict(&reply, &plain, Edns::None, ONE), Err(wrong), "{what}");
        }
        let two = Expected { rcode: 0, answers: 2 };
        assert_eq!(verdict(&reply(&plain), &plain, Edns::None, two), Err(Wrong::Answers));
    }

    #[test]
    fn a_reply_cut_anywhere_is_wrong() {
        let query = query(Edns::Ecs);
        let reply = reply(&query);
        for length in 0..reply.len() {
            assert!(verdict(&reply[..length], &query, Edns::Ecs, ONE).is_err(), "{length}");
        }
    }

    #[test]
    fn opt_and_subnet_must_be_those_sent() {
        let (none, plain, ecs) = (query(Edns::None), query(Edns::Plain), query(Edns::Ecs));
        let mut bare = reply(&ecs);
        bare.truncate(HEADER + QUESTION.len() + RECORD.len());
        bare[11] = 0;
        assert_eq!(verdict(&bare, &ecs, Edns::Ecs, ONE), Err(Wrong::Edns));
        assert_eq!(verdict(&bare, &plain, Edns::Plain, ONE), Err(Wrong::Edns));
        assert_eq!(verdict(&reply(&plain), &none, Edns::None, ONE), Err(Wrong::Edns));
        let mut other = reply(&ecs);
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(verdict(&other, &ecs, Edns::Ecs, ONE), Err(Wrong::Edns));
        // The scope is the server's to choose.
        let mut scope = reply(&ecs);
        let at = scope.len() - 4;
        scope[at] = 19;
        assert_eq!(verdict(&scope, &ecs, Edns::Ecs, ONE), Ok(()));
    }
}
