//! RFC 2136: UPDATE, which is granted to nobody.

use crate::transfers::{CONFIG, NOW_S, Primary, question, rcode, signed};

/// Point 21, section 3.1.1 and 3.3: REFUSED for our zones, NOTAUTH for others, and FORMERR
/// without a zone.
#[test]
fn update_is_granted_to_nobody() {
    let mut primary = Primary::new(CONFIG);
    for (name, expected) in [("example.com", 5), ("corp.example", 5), ("example.net", 9)] {
        let plain = question(5, name, 6);
        let (with_key, _) = signed(&plain, "transfer", u64::from(NOW_S));
        for message in [&plain, &with_key] {
            let reply = primary.udp(message, "192.0.2.1").unwrap();
            assert_eq!((rcode(&reply), reply[2]), (expected, 0x80 | 5 << 3), "{name}");
        }
    }
    let mut two_zones = question(5, "example.com", 6);
    two_zones[5] = 2;
    assert_eq!(rcode(&primary.udp(&two_zones, "192.0.2.1").unwrap()), 1);
}
