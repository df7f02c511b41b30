//! Whether a reply is right: the question asked, the response code and records that were
//! expected, and the client subnet echoed (RFC 7871 section 7.2.1) with a true scope.

use std::net::{IpAddr, Ipv4Addr};

use crate::by_client::ByClient;
use crate::queries::{Expected, HEADER, OPTION_ECS, TYPE_A, TYPE_AAAA, TYPE_OPT};

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
    /// A scope that covers clients whose right answer is another.
    Scope,
}

/// How many kinds of wrong there are.
pub(crate) const WRONG_KINDS: usize = 6;

/// What replies are held against, besides the question's own expectation.
pub(crate) struct Rules {
    /// Addresses an answer may hold; none: any.
    pub(crate) addresses: Vec<IpAddr>,
    /// The right addresses where they depend on the client.
    pub(crate) by_client: Option<ByClient>,
    /// The server knows nothing of client subnets: it may leave them out, and gives an
    /// answer for none in particular.
    pub(crate) no_subnets: bool,
    /// Replies come from the floor, which looks at nothing: only the echo of the question,
    /// NOERROR and OPT are held against it.
    pub(crate) floor: bool,
}

/// Whom a query without a client subnet is from, on loopback.
const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

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
    let floor = Expected { rcode: 0, answers: 0, by_client: false };
    let expected = if rules.floor { floor } else { expected };
    if rcode != expected.rcode {
        return (rcode, Err(Wrong::Rcode));
    }
    (rcode, records(reply, query, HEADER + question, expected, rules))
}

/// Walks the records behind the question, which ends at `end`.
fn records(
    reply: &[u8],
    query: &[u8],
    end: usize,
    expected: Expected,
    rules: &Rules,
) -> Result<(), Wrong> {
    let kind = u16::from_be_bytes([query[end - 4], query[end - 3]]);
    let opt_sent = query.len() > end;
    let subnet = Subnet::sent(query, end);
    let client = subnet.as_ref().map_or(LOCAL, |subnet| subnet.client);
    let by_client = rules.by_client.as_ref().filter(|_| expected.by_client);
    let right = by_client.map(|table| table.find(client));

    let count = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    let answers = count(6);
    let mut matching = 0;
    let mut opt_right = !opt_sent;
    let mut at = end;
    for number in 0..answers + count(8) + count(10) {
        let record = Record::read(reply, &mut at).ok_or(Wrong::Malformed)?;
        if number < answers && record.kind == kind {
            matching += 1;
            let only = right.map(|(address, ..)| address).filter(|_| kind == TYPE_A);
            if !address_allowed(&record, &rules.addresses, only) {
                return Err(Wrong::Answers);
            }
        }
        if record.kind == TYPE_OPT {
            opt_right = opt_sent && subnet_right(record.data, subnet.as_ref(), right, rules)?;
        }
    }
    if at != reply.len() {
        return Err(Wrong::Malformed);
    }
    if matching < usize::from(expected.answers) {
        return Err(Wrong::Answers);
    }
    if opt_right { Ok(()) } else { Err(Wrong::Edns) }
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

/// Whether an address is `only`, or without that one of those `allowed`.
fn address_allowed(record: &Record<'_>, allowed: &[IpAddr], only: Option<Ipv4Addr>) -> bool {
    let address = match record.kind {
        TYPE_A => <[u8; 4]>::try_from(record.data).ok().map(IpAddr::from),
        TYPE_AAAA => <[u8; 16]>::try_from(record.data).ok().map(IpAddr::from),
        _ => return true,
    };
    address.is_some_and(|address| match only {
        Some(only) => address == only,
        None => allowed.is_empty() || allowed.contains(&address),
    })
}

/// The client subnet of a query.
struct Subnet<'a> {
    client: Ipv4Addr,
    /// The option's data: family, source length, scope, address.
    data: &'a [u8],
}

impl<'a> Subnet<'a> {
    /// Of a query made here, whose question ends at `end`: OPT, and one option in it.
    fn sent(query: &'a [u8], end: usize) -> Option<Subnet<'a>> {
        let data = query.get(end + 11 + 4..).filter(|data| !data.is_empty())?;
        let &[a, b, c] = data.get(4..7)?.first_chunk::<3>()?;
        Some(Subnet { client: Ipv4Addr::new(a, b, c, 0), data })
    }
}

/// Whether among the options is the subnet sent, with a scope within which all clients
/// have the answer that is `right`; any scope where that is not known.
fn subnet_right(
    options: &[u8],
    sent: Option<&Subnet<'_>>,
    right: Option<(Ipv4Addr, u32, u32)>,
    rules: &Rules,
) -> Result<bool, Wrong> {
    let Some(sent) = sent.filter(|_| !rules.floor) else { return Ok(true) };
    let Some(scope) = echoed(options, sent.data) else { return Ok(rules.no_subnets) };
    if let Some((_, first, last)) = right {
        let mask = u32::MAX.checked_shl(32 - u32::from(scope.min(32))).unwrap_or(0);
        let from = u32::from(sent.client) & mask;
        if from < first || from | !mask > last {
            return Err(Wrong::Scope);
        }
    }
    Ok(true)
}

/// The scope of the subnet `sent` among the options.
fn echoed(mut options: &[u8], sent: &[u8]) -> Option<u8> {
    while let Some((head, rest)) = options.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let data = rest.get(..length)?;
        if u16::from_be_bytes([head[0], head[1]]) == OPTION_ECS {
            let same = data.len() == sent.len() && data[..3] == sent[..3] && data[4..] == sent[4..];
            return same.then(|| data[3]);
        }
        options = &rest[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::{Edns, Random, finish};

    const QUESTION: &[u8] = b"\x01w\x07example\0\0\x01\0\x01";
    const RECORD: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1];
    const ONE: Expected = Expected { rcode: 0, answers: 1, by_client: false };

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

    fn verdict(reply: &[u8], query: &[u8], expected: Expected) -> Result<(), Wrong> {
        let addresses = vec!["192.0.2.1".parse().unwrap()];
        let rules = Rules { addresses, by_client: None, no_subnets: false, floor: false };
        check(reply, query, QUESTION.len(), expected, &rules).1
    }

    #[test]
    fn a_right_reply_is_right() {
        for edns in [Edns::None, Edns::Plain, Edns::Ecs] {
            let query = query(edns);
            assert_eq!(verdict(&reply(&query), &query, ONE), Ok(()), "{edns:?}");
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
            assert_eq!(verdict(&reply, &plain, ONE), Err(wrong), "{what}");
        }
        let two = Expected { answers: 2, ..ONE };
        assert_eq!(verdict(&reply(&plain), &plain, two), Err(Wrong::Answers));
    }

    #[test]
    fn a_reply_cut_anywhere_is_wrong() {
        let query = query(Edns::Ecs);
        let reply = reply(&query);
        for length in 0..reply.len() {
            assert!(verdict(&reply[..length], &query, ONE).is_err(), "{length}");
        }
    }

    #[test]
    fn opt_and_subnet_must_be_those_sent() {
        let (none, plain, ecs) = (query(Edns::None), query(Edns::Plain), query(Edns::Ecs));
        let mut bare = reply(&ecs);
        bare.truncate(HEADER + QUESTION.len() + RECORD.len());
        bare[11] = 0;
        assert_eq!(verdict(&bare, &ecs, ONE), Err(Wrong::Edns));
        assert_eq!(verdict(&bare, &plain, ONE), Err(Wrong::Edns));
        assert_eq!(verdict(&reply(&plain), &none, ONE), Err(Wrong::Edns));
        let mut other = reply(&ecs);
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(verdict(&other, &ecs, ONE), Err(Wrong::Edns));
        // The scope is the server's to choose.
        let mut scope = reply(&ecs);
        let at = scope.len() - 4;
        scope[at] = 19;
        assert_eq!(verdict(&scope, &ecs, ONE), Ok(()));
    }

    #[test]
    fn an_address_by_client_is_the_only_right_one() {
        let query = query(Edns::Ecs);
        let reply = reply(&query);
        let client = &query[query.len() - 3..];
        let sent = Ipv4Addr::new(client[0], client[1], client[2], 0);
        let verdict = |scope: u8, text: &str, no_subnets: bool| {
            let by_client = Some(ByClient::parse(text).unwrap());
            let rules = Rules { addresses: vec![], by_client, no_subnets, floor: false };
            let mut reply = reply.clone();
            let at = reply.len() - 4;
            reply[at] = scope;
            let expected = Expected { by_client: true, ..ONE };
            check(&reply, &query, QUESTION.len(), expected, &rules).1
        };
        let last = Ipv4Addr::from(u32::from(sent) + 255);
        let text = format!("default 192.0.2.2\n{sent} {last} 192.0.2.1");
        assert_eq!(verdict(24, &text, false), Ok(()));
        assert_eq!(verdict(32, &text, false), Ok(()));
        assert_eq!(verdict(23, &text, false), Err(Wrong::Scope));
        assert_eq!(verdict(0, &text, false), Err(Wrong::Scope));
        assert_eq!(verdict(0, "default 192.0.2.1", false), Ok(()));
        assert_eq!(verdict(0, "default 192.0.2.2", false), Err(Wrong::Answers));
    }

    #[test]
    fn a_server_without_subnets_may_leave_them_out_but_not_opt() {
        let query = query(Edns::Ecs);
        let mut reply = reply(&query);
        let opt = HEADER + QUESTION.len() + RECORD.len();
        reply.truncate(opt + 11);
        reply[opt + 10] = 0;
        let verdict = |reply: &[u8], no_subnets| {
            let rules = Rules { addresses: vec![], by_client: None, no_subnets, floor: false };
            check(reply, &query, QUESTION.len(), ONE, &rules).1
        };
        assert_eq!(verdict(&reply, true), Ok(()));
        assert_eq!(verdict(&reply, false), Err(Wrong::Edns));
        reply.truncate(opt);
        reply[11] = 0;
        assert_eq!(verdict(&reply, true), Err(Wrong::Edns));
    }
}
