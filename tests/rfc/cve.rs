//! What brought down other servers: each class of flaw as a message.
//!
//! Work is bounded by a message's bytes: a hundred of the largest messages are read in
//! seconds here, without optimisation and on a busy machine, and would take hours if any
//! step were quadratic in them.

use std::time::{Duration, Instant};

use crate::dns_support::asked::Asked;
use crate::dns_support::message;
use crate::support::Server;
use windrose::answer::Peer;
use windrose::metrics::Transport;

/// Messages of each class.
const MESSAGES: usize = 100;
/// What they may take together.
const LONGEST: Duration = Duration::from_secs(20);
const TCP: Peer = Peer {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    transport: Transport::Tcp,
};

fn server() -> Server {
    Server::of_zone("www A 192.0.2.80\n*.w A 192.0.2.81")
}

/// A query for www.example.com with these counts behind the question, and what follows.
fn query(answer: u16, authority: u16, additional: u16, tail: &[u8]) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 0, 0, 0, 1];
    for count in [answer, authority, additional] {
        message.extend(count.to_be_bytes());
    }
    message.extend(b"\x03www\x07example\x03com\0\0\x01\0\x01");
    message.extend(tail);
    message.truncate(65_535);
    message
}

/// An OPT record with these options.
fn opt(options: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0];
    record.extend((options.len() as u16).to_be_bytes());
    record.extend(options);
    record
}

/// The rcode of the reply to a message, which is small and in time.
#[track_caller]
fn bounded(message: &[u8]) -> u16 {
    let mut server = server();
    let (mut rcode, started) = (0, Instant::now());
    for _ in 0..MESSAGES {
        let reply = server.send(message, TCP).expect("a whole header gets a reply");
        assert!(reply.len() <= 512, "{} bytes", reply.len());
        rcode = message::read(&reply).unwrap().rcode();
    }
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
    rcode
}

/// Point 4 (CVE-2024-8508, CVE-2000-0333): names that point at names that point at names.
#[test]
fn chains_of_pointers_are_not_followed() {
    let mut tail = Vec::new();
    let mut target = 12u16;
    while tail.len() < 60_000 {
        let at = (33 + tail.len()) as u16;
        tail.extend([1, b'a']);
        tail.extend((0xc000 | target & 0x3fff).to_be_bytes());
        tail.extend([0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        target = at;
    }
    let records = (tail.len() / 14) as u16;
    assert_eq!(bounded(&query(0, 0, records, &tail)), 0, "sound, and of no meaning");
    assert_eq!(bounded(&query(0, 0, records + 1, &tail)), 1, "one record is missing");
}

/// Point 4 (CVE-2017-9445 and its like): a pointer to itself.
#[test]
fn loops_of_pointers_are_not_entered() {
    let record = [0xc0, 33, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0xc0, 45];
    assert_eq!(bounded(&query(0, 0, 1, &record)), 0);
    let question_loop = Asked::read("hex abcd 0000 0001 0000 0000 0000 c00c 0001 0001").unwrap();
    assert_eq!(bounded(&question_loop.message), 1);
}

/// Point 4 (CVE-2015-7547 and its like): owners over 255 bytes.
#[test]
fn oversized_owner_names_are_format_errors() {
    let mut name = Vec::new();
    for _ in 0..5 {
        name.push(63);
        name.extend([b'x'; 63]);
    }
    name.extend([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bounded(&query(0, 0, 1, &name)), 1);
    let mut question = vec![0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(&name[..name.len() - 6]);
    assert_eq!(bounded(&question), 1);
}

/// Points 4 and 13: an OPT of thousands of options.
#[test]
fn floods_of_options_cost_their_bytes() {
    let unknown: Vec<u8> = [0xfd, 0xe9, 0, 0].repeat(16_000);
    assert_eq!(bounded(&query(0, 0, 1, &opt(&unknown))), 0);
    let nsid: Vec<u8> = [0, 3, 0, 0].repeat(16_000);
    assert_eq!(bounded(&query(0, 0, 1, &opt(&nsid))), 0);
    let padding = [&[0, 12, 0xff, 0x00][..], &[0; 0xff00]].concat();
    let rcode = bounded(&query(0, 0, 1, &opt(&padding)));
    assert_eq!(rcode, 0);
}

/// Points 4 and 31: sections of thousands of records (CVE-2024-11187 was many in additional).
#[test]
fn floods_of_records_cost_their_bytes() {
    let empty = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    let tail = empty.repeat(5_900);
    for counts in [(5_900, 0, 0), (0, 5_900, 0), (0, 0, 5_900)] {
        let (answer, authority, additional) = counts;
        assert_eq!(bounded(&query(answer, authority, additional, &tail)), 0, "{counts:?}");
    }
    assert_eq!(bounded(&query(65_535, 65_535, 65_535, &tail)), 1, "counts that lie");
}

/// Points 13 and 31: two OPTs, or one that hides behind thousands of records.
#[test]
fn opt_is_one_wherever_it_stands() {
    let mut tail = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0].repeat(5_000);
    tail.extend(opt(&[]));
    assert_eq!(bounded(&query(0, 0, 5_001, &tail)), 0);
    tail.extend(opt(&[]));
    assert_eq!(bounded(&query(0, 0, 5_002, &tail)), 1);
}

/// Points 4 and 21 (CVE-2020-8617, CVE-2024-1975): signatures cost nothing to who has no
/// key, SIG(0) is not looked at.
#[test]
fn signatures_of_strangers_are_not_verified() {
    let mut server = server();
    for (rtype, rdata) in [(250u16, 60_000u16), (24, 60_000), (250, 0), (24, 0)] {
        let mut record = vec![0];
        record.extend(rtype.to_be_bytes());
        record.extend([0, 255, 0, 0, 0, 0]);
        record.extend(rdata.to_be_bytes());
        record.extend(vec![0xa5; usize::from(rdata)]);
        let message = query(0, 0, 1, &record);
        let started = Instant::now();
        for _ in 0..MESSAGES {
            let reply = server.send(&message, TCP).expect("it is a query");
            assert!(reply.len() <= 512, "type {rtype}: {} bytes", reply.len());
        }
        assert!(started.elapsed() < LONGEST, "type {rtype}: {:?}", started.elapsed());
    }
}

/// Point 16 (CVE-2023-50868, CVE-2023-50387): no hash of NSEC3 is ever made. What asks for
/// it is denied as any other type is.
#[test]
fn queries_for_nsec3_are_as_any_other() {
    let mut server = server();
    for name in ["www", "absent", "a.b.c.d.e.f.absent", "x.w"] {
        let expected = server.shows(&format!("{name}.example.com TYPE65280 size=1232 do"));
        for rtype in ["TYPE50", "TYPE51", "TYPE47", "TYPE46"] {
            let shown = server.shows(&format!("{name}.example.com {rtype} size=1232 do"));
            assert_eq!(shown, expected, "{name} {rtype}");
        }
    }
}

/// Point 24: what browsers and scanners send to port 53 over TCP. Its first two bytes are
/// a length of tens of thousands that never comes; taken as a message, it is none.
#[test]
fn http_and_tls_are_no_queries() {
    let http = b"GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n";
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnopqrstuvwxyz";
    let mut server = server();
    for bytes in [&http[..], &tls[..]] {
        for from in [0, 2] {
            if let Some(reply) = server.send(&bytes[from..], TCP) {
                let rcode = message::read(&reply).unwrap().rcode();
                assert!([1, 4].contains(&rcode), "{bytes:?}: {rcode}");
            }
        }
    }
}

/// Points 6 and 24: names at random cost no more than their labels, however deep.
#[test]
fn the_deepest_names_at_random_are_denied() {
    let mut server = server();
    let started = Instant::now();
    for number in 0..2_000 {
        let labels: String = (0..100).map(|at| format!("{}.", (number + at) % 10)).collect();
        let reply = server.raw(&format!("{labels}example.com A"));
        assert_eq!(message::read(&reply).unwrap().rcode(), 3);
    }
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}
