//! RFC 6891: Extension mechanisms for DNS. The tests of other servers' clients stand in
//! `rfc8906`.

use std::net::IpAddr;

use hickory_proto::op::Message;
use windrose::answer::Peer;
use windrose::metrics::Transport;

use crate::dns_support::{Random, message};
use crate::support::Server;

fn server() -> Server {
    Server::configured("[server]\nidentity = \"gtm1\"", &[])
}

const QUESTION: &str = "03777777 076578616d706c65 03636f6d 00 0001 0001";
const OPT: &str = "00 0029 04d0 00000000 0000";

/// Point 13, sections 6.1.1 and 7.
#[test]
fn opt_answers_opt_and_nothing_else_does() {
    let mut server = server();
    for name in ["www.example.com", "no.example.com", "example.net"] {
        assert!(server.ask(&format!("{name} A")).opt().is_none(), "{name}");
        let asked = server.ask(&format!("{name} A edns"));
        let opt = asked.opt().unwrap();
        assert_eq!((opt.class, opt.ttl), (1232, 0), "{name}");
    }
}

/// Point 13, section 6.1.1: "If a query message with more than one OPT RR is received, a
/// FORMERR MUST be returned".
#[test]
fn two_opt_records_are_a_format_error() {
    let mut server = server();
    let two = format!("hex abcd 0000 0001 0000 0000 0002 {QUESTION} {OPT} {OPT}");
    server.gets(&two, "FORMERR\nopt size=1232");
}

/// Point 13, section 6.1.2: the owner is the root.
#[test]
fn opt_with_a_name_is_a_format_error() {
    let named = format!("hex abcd 0000 0001 0000 0000 0001 {QUESTION} 0161 {OPT}");
    server().gets(&named, "FORMERR");
}

/// Point 13, section 6.1.1: OPT stands in the additional section.
#[test]
fn opt_elsewhere_is_a_format_error() {
    for counts in ["0001 0000 0000", "0000 0001 0000"] {
        let query = format!("hex abcd 0000 0001 {counts} {QUESTION} {OPT}");
        server().gets(&query, "FORMERR");
    }
}

/// Point 13, section 6.1.2: options end where the record does.
#[test]
fn an_option_past_the_records_end_is_a_format_error() {
    for rdata in ["0003 000a 000b 00", "0001 00", "0004 0003 0001"] {
        let opt = format!("00 0029 04d0 00000000 {rdata}");
        let query = format!("hex abcd 0000 0001 0000 0000 0001 {QUESTION} {opt}");
        assert!(server().shows(&query).starts_with("FORMERR"), "{rdata}");
    }
}

/// Points 13 to 16: no mix of options makes a reply that is too large, that another
/// implementation cannot read, or that has an option nobody asked for.
#[test]
fn any_mix_of_options_has_a_reply_within_the_clients_size() {
    let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf\n";
    for (policy, channel) in [("never", ""), ("always", "report_channel = \"er.example.org\"")] {
        let config = format!(
            "[server]\nidentity = \"{}\"\n{channel}\n\
             [cookies]\npolicy = \"{policy}\"\nsecret_file = \"secret\"",
            "i".repeat(64)
        );
        let mut server = Server::configured(&config, &[("secret", secret)]);
        server.set_time(1_800_000_000);
        let mut random = Random(6_891);
        for _ in 0..4_000 {
            let (query, codes) = mix(&mut random);
            let transport = *random.pick(&Transport::ALL);
            let peer = Peer { address: IpAddr::from([192, 0, 2, 53]), transport };
            let reply = server.send(&query, peer).unwrap();
            let read = message::read(&reply).unwrap();
            let opt = read.opt().unwrap();
            Message::from_vec(&reply).unwrap();
            for code in option_codes(&opt.raw) {
                let unasked = [15, 18].contains(&code);
                assert!(unasked || codes.contains(&code), "{code} unasked for");
                assert!(code != 12 || transport.is_encrypted(), "padding over {transport}");
                let keeps = matches!(transport, Transport::Tcp | Transport::Dot);
                assert!(code != 11 || keeps, "keepalive over {transport}");
            }
            assert!(opt.raw.len() < 512 || codes.contains(&12));
        }
    }
}

/// A query with some options, and their codes.
fn mix(random: &mut Random) -> (Vec<u8>, Vec<u16>) {
    let names: [&[u8]; 4] = [
        b"\x03www\x07example\x03com\0",
        b"\x03big\x07example\x03com\0",
        b"\x02no\x07example\x03com\0",
        b"\x07example\x03net\0",
    ];
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend(*random.pick(&names));
    query.extend([0, 1, 0, 1, 0, 0, 41]);
    query.extend(random.pick(&[0_u16, 512, 513, 600, 1_232, 4_096]).to_be_bytes());
    query.extend([0, 0, (random.next() & 0x80) as u8, 0]);
    let (mut options, mut codes) = (Vec::new(), Vec::new());
    for _ in 0..random.below(7) {
        let (code, length): (u16, usize) = match random.below(8) {
            0 => (3, 0),
            1 => (10, *random.pick(&[8, 24, 40, 9])),
            2 => (11, *random.pick(&[0, 0, 2])),
            3 => (12, random.below(300)),
            4 => (8, 7),
            5 => (15, 2),
            6 => (18, 4),
            _ => (65_000, random.below(40)),
        };
        let subnet = [0, 1, 24, 0, 198, 51, 100];
        let data: Vec<u8> = if code == 8 {
            subnet.to_vec()
        } else {
            (0..length).map(|_| random.next() as u8).collect()
        };
        options.extend(code.to_be_bytes());
        options.extend((data.len() as u16).to_be_bytes());
        options.extend(data);
        codes.push(code);
    }
    query.extend((options.len() as u16).to_be_bytes());
    query.extend(options);
    (query, codes)
}

fn option_codes(mut raw: &[u8]) -> Vec<u16> {
    let mut codes = Vec::new();
    while let [a, b, c, d, rest @ ..] = raw {
        codes.push(u16::from_be_bytes([*a, *b]));
        raw = &rest[usize::from(u16::from_be_bytes([*c, *d]))..];
    }
    codes
}
