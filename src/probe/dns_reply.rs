//! What a DNS check asks, and what a reply to it means.
//!
//! Pure: bytes in, judgement out. A reply that could be anybody's is not ours, so
//! that nobody off the path can take a member down by guessing.

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::{Name, ParsedName};
use domain::base::rdata::{ComposeRecordData, ParseAnyRecordData};
use domain::base::{Message, ParsedRecord};
use domain::dep::octseq::Parser;
use domain::rdata::AllRecordData;

use crate::dns::{self, types::rtype};
use crate::health::check::DnsProbe;
use crate::health::{Failure, FailureKind};
use crate::zone::master;

/// What came back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// No reply to this query, or garbage.
    NotOurs,
    /// Cut short: to be asked again over TCP.
    Truncated,
    /// Passed, or why not.
    Judged(Result<(), Failure>),
}

type AnyData<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;

/// Record data in canonical form and in words.
struct Data {
    wire: Vec<u8>,
    text: String,
}

/// The query's message. None: the check's name is no name.
pub fn query(probe: &DnsProbe, id: u16) -> Option<Vec<u8>> {
    let name = name_of(probe)?;
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    // Answers of resolvers can be checked too; others ignore it.
    message.header_mut().set_rd(true);
    let mut question = message.question();
    question.push((name, Rtype::from_int(probe.rtype))).ok()?;
    Some(question.finish())
}

/// Judges `message`, which came back for the query with `id`.
pub fn judge(probe: &DnsProbe, id: u16, message: &[u8]) -> Reply {
    let Ok(message) = Message::from_octets(message) else { return Reply::NotOurs };
    let header = message.header();
    if header.id() != id || !header.qr() || header.opcode() != Opcode::QUERY {
        return Reply::NotOurs;
    }
    if !names_question(probe, &message) {
        return Reply::NotOurs;
    }
    if header.tc() {
        return Reply::Truncated;
    }
    Reply::Judged(judge_ours(probe, &message))
}

/// Whether it repeats our question. An error may come without any.
fn names_question(probe: &DnsProbe, message: &Message<&[u8]>) -> bool {
    let header = message.header();
    if message.header_counts().qdcount() == 0 {
        return header.rcode() != Rcode::NOERROR && message.as_slice().len() == 12;
    }
    let (Ok(question), Some(name)) = (message.sole_question(), name_of(probe)) else {
        return false;
    };
    question.qname() == &name
        && question.qtype() == Rtype::from_int(probe.rtype)
        && question.qclass() == Class::IN
}

fn judge_ours(probe: &DnsProbe, message: &Message<&[u8]>) -> Result<(), Failure> {
    let header = message.header();
    let rcode = header.rcode();
    if u16::from(rcode.to_int()) != probe.expect_rcode {
        let expected = u8::try_from(probe.expect_rcode).ok().and_then(Rcode::checked_from_int);
        let expected = expected.map_or_else(|| probe.expect_rcode.to_string(), |it| it.to_string());
        let lame = if rcode == Rcode::REFUSED { " (lame for the name?)" } else { "" };
        let detail = format!("rcode {rcode}{lame}, expected {expected}");
        return Err(Failure::new(FailureKind::Status, detail));
    }
    if probe.expect_authoritative && !header.aa() {
        return Err(Failure::new(FailureKind::Status, "answer not authoritative: lame"));
    }
    if probe.expect_answers.is_empty() {
        return Ok(());
    }
    let Some(held) = answers(probe, message) else {
        return Err(Failure::new(FailureKind::Protocol, "the answer section cannot be read"));
    };
    for text in &probe.expect_answers {
        let Some(expected) = expected(probe.rtype, text) else {
            let rtype = Rtype::from_int(probe.rtype);
            let detail = format!("expect_answer {text} is no data of type {rtype}");
            return Err(Failure::new(FailureKind::Internal, detail));
        };
        if !held.iter().any(|data| data.wire == expected) {
            let held: Vec<&str> = held.iter().map(|data| data.text.as_str()).collect();
            let detail = match held.is_empty() {
                true => format!("answer is empty, expected {text}"),
                false => format!("answer holds {}, expected {text}", held.join(", ")),
            };
            return Err(Failure::new(FailureKind::Body, detail));
        }
    }
    Ok(())
}

/// Data of the asked type, whatever its owner: an alias leads elsewhere.
fn answers(probe: &DnsProbe, message: &Message<&[u8]>) -> Option<Vec<Data>> {
    let mut held = Vec::new();
    for record in message.answer().ok()? {
        let record = record.ok()?;
        if record.rtype() == Rtype::from_int(probe.rtype) && record.class() == Class::IN {
            held.push(data(&record)?);
        }
    }
    Some(held)
}

fn data(record: &ParsedRecord<'_, &[u8]>) -> Option<Data> {
    let record = record.to_any_record::<AnyData<'_>>().ok()?;
    let wire = canonical(record.data())?;
    Some(Data { wire, text: record.data().to_string() })
}

/// `text` as canonical data of type `rtype`, read as config reads it: as it stands
/// behind the type in a master file, names without a final dot taken for whole.
pub(super) fn expected(rtype: u16, text: &str) -> Option<Vec<u8>> {
    let line = format!("x 0 IN {} {text}\n", rtype::text(rtype));
    let records = master::parse(line.as_bytes(), &dns::Name::root(), 0).ok()?;
    let [record] = records.as_slice() else { return None };
    canonical(
        &AnyData::parse_any_rdata(Rtype::from_int(rtype), &mut Parser::from_ref(&*record.rdata))
            .ok()?,
    )
}

/// As it is compared: names in lower case (RFC 4034 6.2).
fn canonical(data: &AnyData<'_>) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    data.compose_canonical_rdata(&mut wire).ok()?;
    Some(wire)
}

fn name_of(probe: &DnsProbe) -> Option<Name<Vec<u8>>> {
    match probe.name.as_str() {
        "" | "." => Some(Name::root_vec()),
        name => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use domain::zonefile::inplace::{Entry, Zonefile};
    use proptest::prelude::*;

    use super::*;

    const ID: u16 = 0x1234;

    fn probe(rtype: Rtype, expect: &[&str]) -> DnsProbe {
        DnsProbe {
            port: 53,
            name: "shop.example.com".to_owned(),
            rtype: rtype.to_int(),
            expect_answers: expect.iter().map(|text| (*text).to_owned()).collect(),
            ..DnsProbe::default()
        }
    }

    /// A reply to `probe`'s query with `records` in its answer section.
    fn reply(probe: &DnsProbe, rcode: Rcode, records: &[&str]) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec();
        let header = message.header_mut();
        header.set_id(ID);
        header.set_qr(true);
        header.set_aa(true);
        header.set_rcode(rcode);
        let mut question = message.question();
        question.push((name_of(probe).unwrap(), Rtype::from_int(probe.rtype))).unwrap();
        let mut answer = question.answer();
        for record in records {
            let mut file = Zonefile::from(format!("{record}\n").as_bytes());
            file.set_origin(Name::root());
            let Some(Entry::Record(record)) = file.next_entry().unwrap() else { panic!() };
            answer.push(record).unwrap();
        }
        answer.finish()
    }

    fn words(reply: Reply) -> String {
        match reply {
            Reply::Judged(Ok(())) => "ok".to_owned(),
            Reply::Judged(Err(failure)) => failure.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_query_is_plain_and_asks_for_recursion() {
        let message = query(&probe(Rtype::AAAA, &[]), ID).unwrap();
        assert_eq!(message[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&message[12..], b"\x04shop\x07example\x03com\x00\x00\x1c\x00\x01");
        let odd = DnsProbe { name: "a..b".to_owned(), ..DnsProbe::default() };
        assert!(query(&odd, ID).is_none());
        let root = DnsProbe { name: ".".to_owned(), rtype: 2, ..DnsProbe::default() };
        assert_eq!(&query(&root, ID).unwrap()[12..], b"\x00\x00\x02\x00\x01");
    }

    #[test]
    fn record_data_is_compared_by_type() {
        for (rtype, expect, records, seen) in [
            (Rtype::A, &[][..], &[][..], "ok"),
            (Rtype::A, &["192.0.2.1"], &["shop.example.com. 60 IN A 192.0.2.1"], "ok"),
            (
                Rtype::A,
                &["192.0.2.1"],
                &["shop.example.com. 60 IN A 192.0.2.9"],
                "body: answer holds 192.0.2.9, expected 192.0.2.1",
            ),
            (Rtype::A, &["192.0.2.1"], &[], "body: answer is empty, expected 192.0.2.1"),
            (
                Rtype::A,
                &["192.0.2.1", "192.0.2.2"],
                &["x. 60 IN A 192.0.2.2", "x. 60 IN A 192.0.2.1", "x. 60 IN A 192.0.2.3"],
                "ok",
            ),
            (
                Rtype::A,
                &["192.0.2.1", "192.0.2.2"],
                &["x. 60 IN A 192.0.2.2"],
                "body: answer holds 192.0.2.2, expected 192.0.2.1",
            ),
            (Rtype::AAAA, &["2001:DB8:0::1"], &["x. 60 IN AAAA 2001:db8::1"], "ok"),
            // Behind an alias.
            (
                Rtype::A,
                &["192.0.2.1"],
                &[
                    "shop.example.com. 60 IN CNAME x.example.net.",
                    "x.example.net. 1 IN A 192.0.2.1",
                ],
                "ok",
            ),
            (
                Rtype::CNAME,
                &["X.example.NET"],
                &["shop.example.com. 1 IN CNAME x.Example.net."],
                "ok",
            ),
            (
                Rtype::CNAME,
                &["x.example.net."],
                &["shop.example.com. 1 IN CNAME x.example.net."],
                "ok",
            ),
            (Rtype::MX, &["10 mail.example.com"], &["x. 1 IN MX 10 MAIL.example.com."], "ok"),
            (
                Rtype::MX,
                &["10 mail.example.com"],
                &["x. 1 IN MX 20 mail.example.com."],
                "body: answer holds 20 mail.example.com., expected 10 mail.example.com",
            ),
            (Rtype::TXT, &["\"v=spf1 -all\""], &["x. 1 IN TXT \"v=spf1 -all\""], "ok"),
            (Rtype::TXT, &["ready"], &["x. 1 IN TXT ready"], "ok"),
            (
                Rtype::TXT,
                &["ready"],
                &["x. 1 IN TXT Ready"],
                "body: answer holds \"Ready\", expected ready",
            ),
            (Rtype::from_int(65_280), &["\\# 2 0102"], &["x. 1 IN TYPE65280 \\# 2 0102"], "ok"),
            (
                Rtype::A,
                &["shop"],
                &["x. 1 IN A 192.0.2.1"],
                "internal: expect_answer shop is no data of type A",
            ),
        ] {
            let probe = probe(rtype, expect);
            let message = reply(&probe, Rcode::NOERROR, records);
            assert_eq!(words(judge(&probe, ID, &message)), seen, "{rtype} {expect:?} {records:?}");
        }
    }

    #[test]
    fn rcode_and_authority_are_judged_first() {
        let mut wanted = probe(Rtype::A, &["192.0.2.1"]);
        let refused = reply(&wanted, Rcode::REFUSED, &[]);
        let seen = words(judge(&wanted, ID, &refused));
        assert_eq!(seen, "status: rcode REFUSED (lame for the name?), expected NOERROR");
        let missing = reply(&wanted, Rcode::NXDOMAIN, &[]);
        assert_eq!(words(judge(&wanted, ID, &missing)), "status: rcode NXDOMAIN, expected NOERROR");
        let mut good = reply(&wanted, Rcode::NOERROR, &["x. 1 IN A 192.0.2.1"]);
        wanted.expect_authoritative = true;
        assert_eq!(words(judge(&wanted, ID, &good)), "ok");
        good[2] &= !4;
        assert_eq!(words(judge(&wanted, ID, &good)), "status: answer not authoritative: lame");
        let wanted = DnsProbe { expect_rcode: 3, ..probe(Rtype::A, &[]) };
        assert_eq!(words(judge(&wanted, ID, &missing)), "ok");
    }

    #[test]
    fn what_could_be_anybodys_is_not_ours() {
        let wanted = probe(Rtype::A, &["192.0.2.1"]);
        let good = reply(&wanted, Rcode::NOERROR, &["x. 1 IN A 192.0.2.1"]);
        assert_eq!(judge(&wanted, ID, &good), Reply::Judged(Ok(())));
        assert_eq!(judge(&wanted, ID + 1, &good), Reply::NotOurs);
        let other = DnsProbe { name: "web.example.com".to_owned(), ..wanted.clone() };
        assert_eq!(judge(&other, ID, &good), Reply::NotOurs);
        let other = DnsProbe { rtype: 28, ..wanted.clone() };
        assert_eq!(judge(&other, ID, &good), Reply::NotOurs);
        let changed = |at: usize, value: u8| {
            let mut message = good.clone();
            message[at] = value;
            judge(&wanted, ID, &message)
        };
        assert_eq!(changed(2, 0x04), Reply::NotOurs, "a query");
        assert_eq!(changed(2, 0xa4), Reply::NotOurs, "another opcode");
        assert_eq!(changed(5, 2), Reply::NotOurs, "two questions");
        assert_eq!(changed(13, b'S'), Reply::Judged(Ok(())), "names have no case");
        assert_eq!(changed(2, 0x86), Reply::Truncated);
        for length in 0..12 {
            assert_eq!(judge(&wanted, ID, &good[..length]), Reply::NotOurs);
        }
        let cut = words(judge(&wanted, ID, &good[..good.len() - 1]));
        assert_eq!(cut, "protocol: the answer section cannot be read");
        // An error may be a header alone; an answer may not.
        let bare =
            |rcode: u8| judge(&wanted, ID, &[0x12, 0x34, 0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(words(bare(1)), "status: rcode FORMERR, expected NOERROR");
        assert_eq!(bare(0), Reply::NotOurs);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(tail in proptest::collection::vec(any::<u8>(), 0..200), at in 0..64_usize, value: u8) {
            let wanted = probe(Rtype::MX, &["10 mail.example.com"]);
            // Behind a true header and question, and with one byte changed.
            let mut message = reply(&wanted, Rcode::NOERROR, &["x. 1 IN MX 10 mail.example.com."]);
            let changed = at % message.len();
            message[changed] = value;
            judge(&wanted, ID, &message);
            message.truncate(34);
            message.extend_from_slice(&tail);
            judge(&wanted, ID, &message);
            judge(&wanted, ID, &tail);
        }
    }
}
