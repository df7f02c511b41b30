//! RFC 1995: incremental transfers, which are answered as whole ones.

use crate::transfers::{CONFIG, Primary, answers, ixfr, question, rcode};

/// Point 21, section 4: a server without the history answers with the whole zone.
#[test]
fn ixfr_from_an_older_serial_is_the_whole_zone() {
    let primary = Primary::new(CONFIG);
    let whole = answers(&primary.transfer(&question(0, "example.com", 252), "192.0.2.1"));
    for serial in [6, 0, 7_u32.wrapping_sub(1 << 30)] {
        let records = answers(&primary.transfer(&ixfr("example.com", serial), "192.0.2.1"));
        assert_eq!(records, whole, "{serial}");
    }
}

/// Point 21, section 2: who is current, or ahead, is told by the SOA alone.
#[test]
fn ixfr_from_the_serial_in_force_is_the_soa_alone() {
    let primary = Primary::new(CONFIG);
    for serial in [7, 8] {
        let records = answers(&primary.transfer(&ixfr("example.com", serial), "192.0.2.1"));
        assert_eq!((records.len(), records[0].rtype), (1, 6), "{serial}");
    }
    // Without the serial there is nothing to go by.
    let bare = primary.transfer(&question(0, "example.com", 251), "192.0.2.1");
    assert_eq!(rcode(&bare[0]), 1);
}

/// Point 10, section 2: over UDP a single SOA, and only for whom the zone is granted.
#[test]
fn over_udp_ixfr_is_a_single_soa_when_granted() {
    let mut primary = Primary::new(CONFIG);
    let reply = primary.udp(&ixfr("example.com", 1), "192.0.2.1").unwrap();
    let records = answers(std::slice::from_ref(&reply));
    assert_eq!((rcode(&reply), records.len(), records[0].rtype), (0, 1, 6));
    let reply = primary.udp(&ixfr("example.com", 1), "192.0.2.2").unwrap();
    assert_eq!((rcode(&reply), answers(&[reply]).len()), (5, 0));
    let reply = primary.udp(&ixfr("nowhere.example", 1), "192.0.2.1").unwrap();
    assert_eq!(rcode(&reply), 9);
}
