//! Any bytes as the reply to a DNS check: none is taken for another query's, and
//! none passes that does not hold what is expected.

use windrose::health::check::DnsProbe;
use windrose::probe::dns_reply::{Reply, judge, query};

/// A name in the message, and what it must hold.
const EXPECTED: [(u16, &str, &[u8]); 4] = [
    (1, "192.0.2.1", &[192, 0, 2, 1]),
    (28, "2001:db8::1", &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    (15, "10 mail.example.com", &[0, 10]),
    (16, "\"all good\"", b"all good"),
];

pub(crate) fn run(message: &[u8]) {
    let id = message.get(..2).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
    for (rtype, text, bytes) in EXPECTED {
        let probe = DnsProbe {
            name: "shop.example.com".to_owned(),
            rtype,
            expect_answers: vec![text.to_owned()],
            ..DnsProbe::default()
        };
        let asked = query(&probe, id).expect("the name is one");
        assert_eq!(judge(&probe, id, &asked), Reply::NotOurs, "a query is no reply");
        assert_eq!(judge(&probe, !id, message), Reply::NotOurs, "nor that to another one");
        match judge(&probe, id, message) {
            Reply::Judged(Ok(())) => {
                assert!(message.windows(bytes.len()).any(|window| window == bytes));
            }
            Reply::Judged(Err(failure)) => {
                assert!(failure.kind.judges(), "{failure}");
                assert!(!failure.detail.contains(char::is_control));
            }
            Reply::NotOurs | Reply::Truncated => {}
        }
    }
}
