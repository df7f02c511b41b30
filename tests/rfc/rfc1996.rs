//! RFC 1996: NOTIFY.

use std::sync::atomic::Ordering;

use crate::transfers::{CONFIG, NOW_S, Primary, question, rcode, signed};

const NOTIFY: u8 = 4;

fn was_notified(primary: &Primary) -> bool {
    let zone = primary.serving.snapshot.config.zones.iter();
    let index = zone.map(|zone| zone.origin.to_string()).position(|name| name == "corp.example");
    let state = primary.serving.snapshot.secondaries.state(index.unwrap() as u32).unwrap();
    state.notified.swap(false, Ordering::Relaxed)
}

/// Point 21, sections 3.10 and 4.7: from a primary it is taken, and answered with AA.
#[test]
fn notify_is_taken_from_a_primary_and_from_nobody_else() {
    let mut primary = Primary::new(CONFIG);
    let plain = question(NOTIFY, "corp.example", 6);
    let (with_key, mut session) = signed(&plain, "transfer", u64::from(NOW_S));
    for (message, from, expected) in [
        (&plain, "192.0.2.53", true),
        (&plain, "192.0.2.54", true),
        (&with_key, "192.0.2.99", true),
        (&plain, "192.0.2.99", false),
    ] {
        let reply = primary.udp(message, from).unwrap();
        assert_eq!(rcode(&reply), if expected { 0 } else { 5 }, "{from}");
        assert_eq!(reply[2], 0x80 | NOTIFY << 3 | if expected { 4 } else { 0 }, "{from}");
        assert_eq!(was_notified(&primary), expected, "{from}");
    }
    let reply = primary.udp(&with_key, "192.0.2.54").unwrap();
    session.check(&reply, u64::from(NOW_S)).unwrap();
}

/// Point 21: of a zone that is this server's own, and of one that is not here.
#[test]
fn notify_of_other_zones_is_refused() {
    let mut primary = Primary::new(CONFIG);
    for (name, expected) in [("example.com", 5), ("example.net", 9), ("www.corp.example", 9)] {
        let reply = primary.udp(&question(NOTIFY, name, 6), "192.0.2.53").unwrap();
        assert_eq!(rcode(&reply), expected, "{name}");
        assert!(!was_notified(&primary));
    }
}

/// Point 21, RFC 1034 4.3.5: a secondary without data answers with an error, and the rest
/// of the server is unmoved.
#[test]
fn a_zone_that_was_never_transferred_is_servfail() {
    let mut primary = Primary::new(CONFIG);
    for (name, expected) in [("corp.example", 2), ("www.corp.example", 2), ("www.example.com", 0)] {
        let reply = primary.udp(&question(0, name, 1), "192.0.2.99").unwrap();
        assert_eq!(rcode(&reply), expected, "{name}");
    }
}
