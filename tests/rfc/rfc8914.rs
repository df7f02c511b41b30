//! RFC 8914: Extended DNS errors.

use crate::support::Server;

const WIP: &str = r#"
[datacenter.fra]
vip = "203.0.113.10"
[health_check.web]
type = "http"
[wip."app.example.com"]
members = ["fra"]
health_check = "web"
"#;

/// Point 15, sections 4.19 to 4.22.
#[test]
fn refusals_say_why() {
    let mut server = Server::configured("", &[]);
    for (query, rcode, code) in [
        ("example.net A", "REFUSED", 20),
        ("version.bind TXT ch", "REFUSED", 21),
        ("www.example.com A class=4", "REFUSED", 21),
        ("example.com AXFR tcp", "REFUSED", 18),
        ("www.example.com TYPE254", "NOTIMP", 21),
    ] {
        let expected = format!("{rcode}\nopt size=1232 ede={code}:\"\"");
        server.gets(&format!("{query} edns"), &expected);
        server.gets(query, rcode);
    }
}

/// Point 15, section 4.1: code 0, with a text, on a last resort.
#[test]
fn a_last_resort_says_so_to_clients_with_edns() {
    let mut server = Server::configured(WIP, &[]);
    server.set_member("fra", "down");
    let shown = server.shows("app.example.com A edns");
    assert!(shown.ends_with("opt size=1232 ede=0:\"all members down\"\n"), "{shown}");
    assert!(!server.shows("app.example.com A").contains("ede"));
}

/// Point 14 and 15: where space is short the text goes first, then the error, and never
/// the answer.
#[test]
fn an_error_never_costs_the_answer() {
    let addresses: Vec<String> = (1..=29).map(|last| format!("\"192.0.2.{last}\"")).collect();
    let config = WIP.replace(
        "health_check = \"web\"",
        "health_check = \"web\"\non_all_down = { addresses = [ADDRESSES] }",
    );
    let mut forms = std::collections::BTreeSet::new();
    for count in 20..=29 {
        let config = config.replace("ADDRESSES", &addresses[..count].join(", "));
        let mut server = Server::configured(&config, &[]);
        server.set_member("fra", "down");
        for padding in 0..16 {
            // A subnet of any length, to come to each size of a reply.
            let bits = 8 * padding;
            let subnet = format!("ecs=2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/{bits}");
            let query = format!("app.example.com A size=512 {}", masked(&subnet, bits));
            let reply = server.raw(&query);
            let message = crate::dns_support::message::read(&reply).unwrap();
            let raw = &message.opt().unwrap().raw;
            let error = raw.windows(3).position(|head| head == [0, 15, 0]).map(|at| raw[at + 3]);
            if message.flags[0] & 2 == 0 {
                assert_eq!(message.records.len(), count + 1, "all addresses, and OPT");
                forms.insert(error);
            }
        }
    }
    let text = 2 + "all members down".len() as u8;
    assert_eq!(forms, [None, Some(2), Some(text)].into());
}

/// The subnet word with bits beyond the prefix cleared.
fn masked(word: &str, bits: usize) -> String {
    let (key, network) = word.split_once('=').unwrap();
    let (address, _) = network.split_once('/').unwrap();
    let address: std::net::Ipv6Addr = address.parse().unwrap();
    let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits) };
    format!("{key}={}/{bits}", std::net::Ipv6Addr::from(u128::from(address) & mask))
}
