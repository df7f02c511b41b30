//! What an attacker gains who sends queries under a false address.

use std::fmt::Write;

use crate::dns_support::asked::Asked;
use crate::support::Server;

/// A zone that is as good to amplify as zones are: long texts, many addresses, names of
/// servers that are long and have addresses of both families, delegations with glue.
fn large() -> Server {
    let mut zone = String::from(
        "$GENERATE 1-60 many A 192.0.2.$\n$GENERATE 1-60 many AAAA 2001:db8::$\n\
         $GENERATE 1-40 huge TXT \"number $ of a set that is far larger than any answer over UDP may be at all\"\n\
         $GENERATE 1-12 mail MX $ a-mail-server-with-a-long-name-$\n\
         $GENERATE 1-12 a-mail-server-with-a-long-name-$ A 192.0.2.$\n\
         $GENERATE 1-12 a-mail-server-with-a-long-name-$ AAAA 2001:db8::$\n\
         $GENERATE 1-12 sub NS a-name-server-with-a-long-name-$.sub\n\
         $GENERATE 1-12 a-name-server-with-a-long-name-$.sub A 192.0.2.$\n\
         $GENERATE 1-12 a-name-server-with-a-long-name-$.sub AAAA 2001:db8::$\n\
         $GENERATE 1-12 _s._tcp SRV 0 0 $ a-mail-server-with-a-long-name-$\n\
         c0 CNAME c1\nc1 CNAME c2\nc2 CNAME c3\nc3 CNAME c4\nc4 CNAME many\n\
         *.w TXT \"wild\"\n",
    );
    writeln!(
        zone,
        "text TXT \"{}\" \"{}\" \"{}\" \"{}\"",
        "a".repeat(255),
        "b".repeat(255),
        "c".repeat(255),
        "d".repeat(255)
    )
    .unwrap();
    writeln!(zone, "k DNSKEY 257 3 13 {}", "AAAA".repeat(20)).unwrap();
    let mut config = String::from(
        "[server]\nidentity = \"a-server-whose-identity-is-as-long-as-an-identity-may-be-64-byte\"\n\
         [zone.\"example.com\"]\nfile = \"zone\"\n[wip_defaults]\nhealth_check = \"none\"\n\
         [health_check.none]\ntype = \"always\"\n[wip.\"wip.example.com\"]\nmax_answers = 16\npolicy = \"round-robin\"\nmembers = [",
    );
    for number in 1..=16 {
        write!(
            config,
            "{{ name = \"m{number}\", address = [\"192.0.2.{number}\", \"2001:db8::{number}\"] }},"
        )
        .unwrap();
    }
    config.push_str("]\n");
    let zone = format!(
        "$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n{zone}"
    );
    Server::new(&config, &[("zone", &zone)])
}

const NAMES: [&str; 13] = [
    "", "many.", "huge.", "mail.", "sub.", "x.sub.", "_s._tcp.", "c0.", "text.", "x.w.", "wip.",
    "absent.", "k.",
];
const TYPES: [&str; 14] = [
    "A", "AAAA", "NS", "SOA", "MX", "TXT", "ANY", "SRV", "DNSKEY", "DS", "CNAME", "HTTPS", "RRSIG",
    "TYPE47",
];

/// The largest ratio of the bytes of reply and query, and the query.
fn worst(server: &mut Server, how: &[&str]) -> (f64, usize, String) {
    let mut worst = (0.0, 0, String::new());
    for name in NAMES {
        for rtype in TYPES {
            for how in how {
                let query = format!("{name}example.com {rtype} {how}");
                let asked = Asked::read(&query).unwrap().message.len();
                let replied = server.raw(&query).len();
                let ratio = replied as f64 / asked as f64;
                if ratio > worst.0 {
                    worst = (ratio, replied, query);
                }
            }
        }
    }
    worst
}

/// Point 26: docs/ABUSE.md states these figures.
#[test]
fn the_worst_ratio_over_udp_is_as_stated() {
    let mut server = large();
    let plain = worst(&mut server, &["", "rd"]);
    let edns = worst(
        &mut server,
        &[
            "size=512",
            "size=1232",
            "size=4096",
            "size=65535",
            "size=65535 do",
            "size=65535 nsid",
            "size=65535 ecs=192.0.2.0/24",
            "size=65535 do nsid ecs=2001:db8::/56",
        ],
    );
    println!("without EDNS: {plain:?}, with: {edns:?}");
    assert!(plain.1 <= 512 && plain.0 <= 16.0, "{plain:?}");
    assert!(edns.1 <= 1_232 && edns.0 <= 28.0, "{edns:?}");
    // The battery must find what there is to find.
    assert!(plain.0 > 10.0 && edns.0 > 20.0, "{plain:?} {edns:?}");
}

/// Point 26: names that are steered give an attacker a few times what was sent.
#[test]
fn a_wip_amplifies_little() {
    let mut server = large();
    for (query, largest) in [
        ("wip.example.com A size=65535", 8.0),
        ("wip.example.com AAAA size=65535", 13.0),
        ("wip.example.com ANY size=65535", 2.0),
    ] {
        let ratio =
            server.raw(query).len() as f64 / Asked::read(query).unwrap().message.len() as f64;
        assert!(ratio < largest, "{query}: {ratio}");
    }
}

/// Points 10 and 26: ANY is never the best to ask.
#[test]
fn any_is_no_better_than_its_types() {
    let mut server = large();
    for name in NAMES {
        let any = server.raw(&format!("{name}example.com ANY size=65535")).len();
        let best = TYPES
            .iter()
            .filter(|rtype| **rtype != "ANY")
            .map(|rtype| server.raw(&format!("{name}example.com {rtype} size=65535")).len())
            .max();
        assert!(Some(any) <= best, "{name}: {any} of {best:?}");
    }
}
