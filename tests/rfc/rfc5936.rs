//! RFC 5936: whole transfers.

use crate::transfers::{CONFIG, Primary, answers, question, rcode, shown, signed};

const AXFR: u16 = 252;

/// Point 21, section 2.2: the SOA first and last, and in between all of the zone, each WIP
/// with what an unknown client is answered, and each site's names as wildcards.
#[test]
fn a_transfer_is_the_zone_between_two_soas() {
    let primary = Primary::new(CONFIG);
    let messages = primary.transfer(&question(0, "example.com", AXFR), "192.0.2.1");
    let records = answers(&messages);
    assert_eq!((records[0].rtype, &records[0]), (6, &records[records.len() - 1]));
    let expected = [
        "*.any.example.com 1 203.0.113.10",
        "*.any.example.com 28 v6",
        "*.fra.example.com 1 203.0.113.10",
        "*.fra.example.com 28 v6",
        "deep.er.example.com 16",
        "example.com 2",
        "ns.sub.example.com 1 192.0.2.9",
        "shop.example.com 1 198.51.100.10",
        "sub.example.com 2",
        "www.example.com 1 192.0.2.80",
    ];
    assert_eq!(shown(&records[1..records.len() - 1]), expected);
    assert!(messages.iter().all(|message| message[2] & 0x84 == 0x84), "QR and AA");
}

/// Point 21: what is transferred does not move with health, nor with who asked before.
#[test]
fn a_transfer_is_the_same_whatever_the_health() {
    let primary = Primary::new(CONFIG);
    let asked = question(0, "example.com", AXFR);
    let before = primary.transfer(&asked, "192.0.2.1");
    for word in ["down", "drained", "forced-down", "pending"] {
        crate::dns_support::serving::set_member(&primary.serving, "iad", word).unwrap();
        assert_eq!(primary.transfer(&asked, "192.0.2.1"), before, "{word}");
    }
}

/// Point 21: by address, by key, by both; and nobody else.
#[test]
fn a_zone_goes_to_those_it_is_granted_to() {
    let primary = Primary::new(CONFIG);
    let plain = question(0, "example.com", AXFR);
    let (with_key, _) = signed(&plain, "transfer", 1_800_000_000);
    for (message, from, expected) in [
        (&plain, "192.0.2.1", 0),
        (&plain, "192.0.2.2", 5),
        (&plain, "198.51.100.7", 5),
        (&with_key, "192.0.2.2", 0),
        (&with_key, "2001:db8::1", 0),
    ] {
        let messages = primary.transfer(message, from);
        assert_eq!(rcode(&messages[0]), expected, "{from}");
        assert_eq!(answers(&messages).is_empty(), expected != 0);
    }
    for (name, expected) in
        [("closed.example", 5), ("www.example.com", 9), ("example.net", 9), ("corp.example", 2)]
    {
        let messages = primary.transfer(&question(0, name, AXFR), "192.0.2.1");
        assert_eq!((messages.len(), rcode(&messages[0])), (1, expected), "{name}");
    }
}

/// Points 10 and 21, section 4.2: there is no AXFR over UDP.
#[test]
fn over_udp_there_is_no_axfr() {
    let mut primary = Primary::new(CONFIG);
    let reply = primary.udp(&question(0, "example.com", AXFR), "192.0.2.1").unwrap();
    assert_eq!((rcode(&reply), answers(&[reply]).len()), (4, 0));
}

/// Point 21: a large zone comes in many messages, none lost between them.
#[test]
fn a_large_zone_comes_in_many_messages() {
    let records: Vec<String> =
        (0..4_000).map(|n| format!("\"h{n} TXT \\\"{}\\\"\"", "x".repeat(50))).collect();
    let config = format!(
        "[zone.\"example.com\"]\nnameservers = [\"ns1.example.net\"]\n\
         hostmaster = \"h@example.net\"\nallow_transfer = \"0.0.0.0/0\"\nrecords = [{}]\n",
        records.join(", ")
    );
    let primary = Primary::new(&config);
    let messages = primary.transfer(&question(0, "example.com", AXFR), "192.0.2.1");
    assert!(messages.len() > 10, "{}", messages.len());
    assert_eq!(answers(&messages).len(), 4_000 + 3);
}
