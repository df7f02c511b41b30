//! What one parser says held against another's word, for any bytes: the bodies of the
//! fuzz targets, so that `cargo test` runs them too.
//!
//! The other reader is hickory-proto. It is stricter with what a query has no use for
//! and laxer with names, so that each difference that is allowed is spelled out.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::Message as HickoryMessage;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use windrose::answer::{Peer, Scratch};
use windrose::dns::Name;
use windrose::dns::edns::{Asked, Edns};
use windrose::dns::message::Message;
use windrose::dns::name;
use windrose::dns::query::{Query, Unanswerable};
use windrose::dns::tsig::{self, Algorithm, Key, Keys};
use windrose::dns::types::Rcode;
use windrose::listen::frame::{self, Frame};
use windrose::listen::proxy as proxy_header;
use windrose::metrics::Transport;
use windrose::snapshot::Serving;

use super::{invariants, rich, serving};

/// Unix time of signatures.
const NOW_S: u64 = 1_800_000_000;

thread_local! {
    static SERVER: RefCell<(Serving, Scratch)> =
        RefCell::new((rich::serving(), Scratch::default()));
    static KEY: Arc<Key> = Arc::new(Key::new(
        &Name::parse("key.example").unwrap(),
        Algorithm::Sha256,
        b"a secret of this test",
    ));
}

/// A request of any bytes, by any transport, gets a reply that it may get. The first
/// byte says how it comes.
pub(crate) fn answer(data: &[u8]) {
    let Some((&how, request)) = data.split_first() else { return };
    let transports = [Transport::Udp, Transport::Tcp, Transport::Udp, Transport::Dot];
    let address = if how & 2 == 0 { "81.1.2.3" } else { "2001:db8::53" };
    let transport = transports[usize::from(how & 1 | how >> 2 & 2)];
    let peer = Peer { address: address.parse().unwrap(), transport };
    SERVER.with_borrow_mut(|(server, scratch)| {
        let reply = serving::ask(server, scratch, request, peer);
        invariants::check(request, reply.as_deref(), peer);
    });
}

/// What is read as a query is one to the other reader too, with the same name, type and
/// class; and what it reads as one is refused for reasons that can be named.
pub(crate) fn query(data: &[u8]) {
    let ours = Query::parse(data);
    let theirs = HickoryMessage::from_vec(data);
    match (ours, theirs) {
        (Ok(_), Err(_)) => {
            // It is stricter with records that are passed over here: their data and
            // their owners' pointers are not looked at.
            assert_ne!(data[6..12], [0; 6], "a lone question is refused by the other reader");
        }
        (Ok(query), Ok(theirs)) => {
            assert_eq!(theirs.queries.len(), 1);
            let asked = &theirs.queries[0];
            assert_eq!(u16::from(asked.query_type()), query.qtype);
            assert_eq!(u16::from(asked.query_class()), query.qclass);
            assert!(asked.name().iter().eq(name::labels(query.qname)));
            assert_eq!(theirs.edns.is_some(), query.edns.is_some());
            if let (Some(theirs), Some(ours)) = (&theirs.edns, &query.edns) {
                assert_eq!(theirs.flags().dnssec_ok, ours.dnssec_ok);
                assert_eq!(theirs.version(), ours.version);
            }
        }
        (Err(Unanswerable::Error { rcode: Rcode::FORMERR, question, .. }), Ok(_)) => {
            // It follows pointers in questions, takes any number of them, and does not
            // mind what is left over.
            let one_question = data[4..6] == [0, 1];
            if question.is_empty() && one_question {
                assert!(has_pointer(&data[12..]), "a question is refused: {data:02x?}");
            }
            if !question.is_empty() && data[6..12] == [0; 6] {
                assert!(data.len() > 12 + question.len(), "a query is refused: {data:02x?}");
            }
        }
        _ => {}
    }
}

/// Whether the name that `bytes` begin with has a compression pointer.
fn has_pointer(mut bytes: &[u8]) -> bool {
    while let Some(&length) = bytes.first() {
        match length {
            0 => return false,
            0xc0.. => return true,
            _ => bytes = bytes.get(1 + usize::from(length)..).unwrap_or_default(),
        }
    }
    false
}

/// An OPT record of any class, TTL and data on a query that is sound beside: read as the
/// options that stand in it, and answered.
pub(crate) fn edns(data: &[u8]) {
    let Some((&[how, a, b, c, d, e, f], rdata)) = data.split_first_chunk() else { return };
    let (class, ttl) = (u16::from_be_bytes([a, b]), [c, d, e, f]);
    let rdata = &rdata[..rdata.len().min(4096)];
    let ours = Edns::parse(class, ttl, rdata);
    let read = ours.as_ref().copied().unwrap_or_else(|edns| *edns);
    assert_eq!((read.udp_size, read.version), (class, ttl[1]));
    assert_eq!(read.dnssec_ok, ttl[2] & 0x80 != 0);
    assert!((512..=1232).contains(&read.udp_limit()));
    let request = with_opt(how, class, ttl, rdata);
    if ttl[1] == 0 {
        let options = options(rdata);
        assert!(options.is_some() || ours.is_err(), "a cut option is taken");
        if let (Some(options), Ok(ours)) = (options, &ours) {
            as_the_options_say(ours, &options);
            if let Ok(theirs) = HickoryMessage::from_vec(&request) {
                as_the_other_reader(ours, &theirs);
            }
        }
    }
    answer(&[&[how][..], &request].concat());
}

/// A query with an OPT record alone; the transport's bits of `how` choose the name too.
fn with_opt(how: u8, class: u16, ttl: [u8; 4], rdata: &[u8]) -> Vec<u8> {
    let mut request = vec![0xab, 0xcd, how & 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let names = ["www.example.com", "geo.gslb.example.com", "no.example.com", "example.org"];
    request.extend(Name::parse(names[usize::from(how >> 4 & 3)]).unwrap().wire());
    request.extend([0, if how & 0x40 == 0 { 1 } else { 16 }, 0, 1, 0, 0, 41]);
    request.extend(class.to_be_bytes());
    request.extend(ttl);
    request.extend((rdata.len() as u16).to_be_bytes());
    request.extend(rdata);
    request
}

/// The options of OPT's data; none if one is cut short.
fn options(mut rdata: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut options = Vec::new();
    while !rdata.is_empty() {
        let (&[a, b, c, d], rest) = rdata.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([c, d])))?;
        options.push((u16::from_be_bytes([a, b]), data));
        rdata = rest;
    }
    Some(options)
}

/// What was taken as sound is what the RFCs of the options call sound.
fn as_the_options_say(ours: &Edns<'_>, options: &[(u16, &[u8])]) {
    let of = |code: u16| options.iter().filter(move |(other, _)| *other == code);
    let has = |code: u16| of(code).next().is_some();
    assert_eq!(ours.asked.has(Asked::NSID), has(3), "NSID");
    assert_eq!(ours.subnet.is_some(), has(8), "client subnet");
    assert!(of(8).count() <= 1, "two client subnets are taken");
    assert_eq!(ours.asked.has(Asked::PADDING), has(12), "padding");
    // RFC 7873 5.2: the first counts; 8 bytes, or 16 to 40. Whether another length is a
    // format error depends on whether cookies are on.
    let first = of(10).next().map(|(_, data)| *data);
    let sound = first.filter(|data| matches!(data.len(), 8 | 16..=40));
    assert_eq!(ours.asked.has(Asked::COOKIE), sound.is_some(), "cookie");
    assert_eq!(ours.cookie.map(|cookie| cookie.client().to_vec()), sound.map(|c| c[..8].to_vec()));
    assert_eq!(ours.cookie.map(|cookie| cookie.server()), sound.map(|cookie| &cookie[8..]));
}

fn as_the_other_reader(ours: &Edns<'_>, theirs: &HickoryMessage) {
    let theirs = theirs.edns.as_ref().expect("there is an OPT record");
    assert_eq!(theirs.option(EdnsCode::NSID).is_some(), ours.asked.has(Asked::NSID));
    if let (Some(ours), Some(EdnsOption::Subnet(theirs))) =
        (ours.subnet, theirs.option(EdnsCode::Subnet))
    {
        assert_eq!(ours.source_length(), theirs.source_prefix());
        assert_eq!(theirs.scope_prefix(), 0);
        if let Some(address) = ours.address() {
            assert_eq!(address, theirs.addr());
        }
    }
}

/// A message read record by record: the other reader sees the same records.
pub(crate) fn message(data: &[u8]) {
    let Ok(ours) = Message::parse(data) else { return assert!(data.len() < 12) };
    let _ = ours.question();
    let mut records = Vec::new();
    for entry in ours.entries() {
        let Ok(entry) = entry else { return };
        let (Ok(owner), Ok(rdata)) = (entry.owner(), entry.rdata()) else { return };
        assert!(data.get(entry.data.clone()).is_some());
        assert_eq!(entry.raw_data(), &data[entry.data.clone()]);
        // Decompressed data is no longer than the names in it may be.
        assert!(rdata.len() <= entry.raw_data().len() + 2 * 255, "{rdata:02x?}");
        records.push((owner, entry.rtype, entry.class, entry.ttl_s));
    }
    let Ok(theirs) = HickoryMessage::from_vec(data) else { return };
    let theirs = theirs.answers.iter().chain(&theirs.authorities).chain(&theirs.additionals);
    // It keeps OPT and signatures elsewhere.
    let mut ours = records.iter().filter(|(_, rtype, ..)| !matches!(rtype, 24 | 41 | 250));
    for theirs in theirs {
        if matches!(u16::from(theirs.record_type()), 24 | 41 | 250) {
            continue;
        }
        let (owner, rtype, class, _) = ours.next().expect("the other reader has one more");
        assert!(theirs.name.iter().eq(name::labels(owner.wire())));
        assert_eq!(u16::from(theirs.record_type()), *rtype);
        assert_eq!(u16::from(theirs.dns_class), *class);
    }
}

/// A message with or without TSIG: found, taken off and checked without trouble; and the
/// same message signed by us is taken, and no longer when a bit of it is changed.
pub(crate) fn tsig(data: &[u8]) {
    let keys = KEY.with(|key| Keys::new(vec![Arc::clone(key)]));
    if let Ok(Some(found)) = tsig::find(data) {
        let stripped = tsig::stripped(data, &found);
        assert!(stripped.len() < data.len());
        let taken = tsig::verify(&keys, data, &found, NOW_S).is_ok();
        assert!(!taken, "nobody else has the key");
        return;
    }
    // Only sound messages can be signed.
    if data.len() > 4096 || HickoryMessage::from_vec(data).is_err() || tsig::find(data).is_err() {
        return;
    }
    let mut signed = data.to_vec();
    KEY.with(|key| tsig::sign_request(key, &mut signed, NOW_S));
    let Ok(Some(found)) = tsig::find(&signed) else { return };
    if signed[..found.start].len() != data.len() {
        return; // bytes behind the last record
    }
    assert!(tsig::verify(&keys, &signed, &found, NOW_S).is_ok(), "our own signature");
    let late = tsig::verify(&keys, &signed, &found, NOW_S + 100_000);
    assert!(matches!(late, Err(tsig::Refused::Signed(tsig::error::BADTIME, _))));
    signed[12.min(data.len() - 1)] ^= 1;
    if let Ok(Some(found)) = tsig::find(&signed) {
        assert!(tsig::verify(&keys, &signed, &found, NOW_S).is_err(), "a changed message");
    }
}

/// Bytes of a stream, cut anywhere: the same messages come out as of the whole, in order,
/// and no byte is lost or read twice. The first byte says how it is cut.
pub(crate) fn tcp_framing(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let whole = drain(&mut stream.to_vec());
    let (mut input, mut messages, mut is_empty) = (Vec::new(), Vec::new(), false);
    for piece in stream.chunks(1 + usize::from(cut)) {
        input.extend_from_slice(piece);
        if !is_empty {
            let (of_piece, empty) = drain(&mut input);
            messages.extend(of_piece);
            is_empty = empty;
        }
    }
    assert_eq!((messages, is_empty), whole);
    // What came out and what is left is what went in.
    let mut again = Vec::new();
    for message in &whole.0 {
        frame::put(message, &mut again);
    }
    assert!(stream.starts_with(&again));
    match frame::first(&stream[again.len()..]) {
        Frame::Message(_) => panic!("a message is left"),
        left => assert_eq!(left == Frame::Empty, whole.1),
    }
}

/// Takes all whole messages; and whether an empty one stopped it.
fn drain(input: &mut Vec<u8>) -> (Vec<Vec<u8>>, bool) {
    let mut messages = Vec::new();
    loop {
        match frame::first(input) {
            Frame::Message(message) => {
                let message = message.to_vec();
                assert!(!message.is_empty());
                input.drain(..frame::PREFIX + message.len());
                messages.push(message);
            }
            left => return (messages, left == Frame::Empty),
        }
    }
}

/// Any bytes as a PROXY header: within them, and with the addresses that stand in it; and
/// the header of any two addresses is read as those.
pub(crate) fn proxy(data: &[u8]) {
    if let Ok(header) = proxy_header::parse(data) {
        assert!(header.length <= data.len() && header.length <= proxy_header::LENGTH_MAX);
        assert_eq!(data[12] >> 4, 2, "version 2 alone");
        if let Some((source, destination)) = header.addresses {
            assert_eq!(data[12], 0x21);
            let size = if data[13] >> 4 == 1 { 4 } else { 16 };
            let ports = 16 + 2 * size;
            let port = |at: usize| u16::from_be_bytes([data[at], data[at + 1]]);
            assert_eq!((source.port(), destination.port()), (port(ports), port(ports + 2)));
            assert!(header.length >= ports + 4);
        }
        // What follows changes nothing.
        let longer = [data, b"more"].concat();
        assert_eq!(proxy_header::parse(&longer), Ok(header));
        for length in 0..header.length {
            assert!(proxy_header::parse(&data[..length]).is_err(), "cut to {length}");
        }
    }
    let Some((addresses, more)) = data.split_first_chunk::<12>() else { return };
    let mut forged = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    forged.extend((12 + more.len().min(1000) as u16).to_be_bytes());
    forged.extend(addresses);
    forged.extend(more);
    let read = proxy_header::parse(&forged).expect("a sound header");
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *addresses;
    let at = |address: [u8; 4], port| SocketAddr::from((address, u16::from_be_bytes(port)));
    assert_eq!(read.addresses, Some((at([a, b, c, d], [i, j]), at([e, f, g, h], [k, l]))));
}
