//! RFC 7871: Client subnet in DNS queries.

use crate::support::Server;

const CONFIG: &str = "
[zone.\"example.com\"]
nameservers = [\"ns1.example.com\"]
hostmaster = \"hostmaster@example.com\"
serial = 1
records = [\"static A 192.0.2.80\", \"towip CNAME geo\"]
[datacenter.north]
vip = \"192.0.2.30\"
[datacenter.west]
vip = \"192.0.2.10\"
serves = [\"198.51.100.0/25\"]
[datacenter.east]
vip = \"192.0.2.20\"
serves = [\"203.0.113.0/24\", \"2001:db8:e::/48\"]
[health_check.port]
type = \"tcp\"
port = 443
[wip_defaults]
members = [\"north\", \"west\", \"east\"]
health_check = \"port\"
ttl = \"30s\"
[wip.\"geo.example.com\"]
policy = \"geo\"
[wip.\"first.example.com\"]
policy = \"failover\"
[wip.\"deaf.example.com\"]
policy = \"geo\"
ecs = false
";

/// The option of a query's reply, as text.
fn ecs(server: &mut Server, query: &str) -> Option<String> {
    let shown = server.shows(query);
    shown.split_whitespace().find_map(|word| word.strip_prefix("ecs=")).map(str::to_owned)
}

/// Point 15, section 7.1.2: family, source length, address and padding bits.
#[test]
fn a_malformed_option_is_a_format_error() {
    let mut server = Server::new(CONFIG, &[]);
    for data in [
        "",
        "0001",
        "000118",
        "00011800",         // no address
        "000118000102",     // too short
        "0001180001020304", // too long
        "0001160001020f",   // bits beyond the length
        "0001210001020304", // over 32
        "00028100",         // over 128
        "0003180001020300", // no such family
        "00000800",         // a length without a family
        "0001181801020300", // a scope in a query
    ] {
        for name in ["geo", "static", "no"] {
            let reply = server.ask(&format!("{name}.example.com A option=8:{data}"));
            assert_eq!(reply.rcode(), 1, "{name} {data}");
        }
    }
    let twice = server.ask("geo.example.com A ecs=192.0.2.0/24 ecs=192.0.2.0/24");
    assert_eq!(twice.rcode(), 1);
}

/// Point 15, section 7.2.1.
#[test]
fn family_source_and_address_are_echoed() {
    let mut server = Server::new(CONFIG, &[]);
    for (asked, echoed) in [
        ("203.0.113.0/24", "1:cb0071/24/"),
        ("203.0.113.128/25", "1:cb007180/25/"),
        ("2001:db8:e::/56", "2:20010db8000e00/56/"),
        ("128.0.0.0/1", "1:80/1/"),
    ] {
        for name in ["geo", "first", "static", "no", "deaf"] {
            let ecs = ecs(&mut server, &format!("{name}.example.com A ecs={asked}")).unwrap();
            assert!(ecs.starts_with(echoed), "{name}: {ecs}");
        }
    }
}

/// Point 15, section 7.2.1: no option in, no option out.
#[test]
fn the_option_is_given_to_those_alone_who_sent_it() {
    let mut server = Server::new(CONFIG, &[]);
    assert_eq!(ecs(&mut server, "geo.example.com A edns"), None);
    assert_eq!(ecs(&mut server, "geo.example.com A"), None);
}

/// Point 15, section 7.2.1.
#[test]
fn what_does_not_depend_on_the_client_has_scope_0() {
    let mut server = Server::new(CONFIG, &[]);
    for query in [
        "static.example.com A",
        "static.example.com MX",
        "no.example.com A",
        "example.com SOA",
        "example.com NS",
        "first.example.com A",
        "example.net A",
    ] {
        let ecs = ecs(&mut server, &format!("{query} ecs=203.0.113.0/24")).unwrap();
        assert!(ecs.ends_with("/24/0"), "{query}: {ecs}");
    }
}

/// Point 15, section 7.2.1: the subnet decides, and the scope says how much of it.
#[test]
fn the_subnet_is_the_client_that_is_steered() {
    let mut server = Server::new(CONFIG, &[]);
    let mut asked = |subnet: &str| {
        let query = format!("geo.example.com A client=203.0.113.1 ecs={subnet}");
        let address = server.ask(&query).records[0].rdata.clone();
        (address, ecs(&mut server, &query).unwrap())
    };
    assert_eq!(asked("203.0.113.0/24"), ("192.0.2.20".into(), "1:cb0071/24/24".into()));
    assert_eq!(asked("198.51.100.0/25"), ("192.0.2.10".into(), "1:c6336400/25/25".into()));
    assert_eq!(asked("2001:db8:e::/56").0, "192.0.2.20");
}

/// Point 15, section 7.2.1: a cache must not give the denial to more than the answer.
#[test]
fn a_denial_at_a_steered_name_has_the_scope_of_an_answer_there() {
    let mut server = Server::new(CONFIG, &[]);
    let mut of_type = |rtype: &str| {
        ecs(&mut server, &format!("geo.example.com {rtype} ecs=203.0.113.0/24")).unwrap()
    };
    assert_eq!(of_type("TXT"), of_type("A"));
}

/// Point 15, section 7.1.2: the client does not want to be told apart.
#[test]
fn source_length_0_is_answered_from_the_packets_source_with_scope_0() {
    let mut server = Server::new(CONFIG, &[]);
    for (source, address) in [("198.51.100.1", "192.0.2.10"), ("203.0.113.1", "192.0.2.20")] {
        for subnet in ["ecs=0.0.0.0/0", "ecs=::/0", "option=8:00000000"] {
            let query = format!("geo.example.com A client={source} {subnet}");
            assert_eq!(server.ask(&query).records[0].rdata, address);
            assert!(ecs(&mut server, &query).unwrap().ends_with(":/0/0"));
        }
    }
}

/// Point 7, section 7.2.1: one scope describes one answer.
#[test]
fn a_cname_to_a_steered_name_is_not_followed_for_a_subnet() {
    let mut server = Server::new(CONFIG, &[]);
    let count = |server: &mut Server, query: &str| {
        server.ask(query).records.iter().filter(|record| record.section == 0).count()
    };
    assert_eq!(count(&mut server, "towip.example.com A"), 2);
    assert_eq!(count(&mut server, "towip.example.com A edns"), 2);
    assert_eq!(count(&mut server, "towip.example.com A ecs=203.0.113.0/24"), 1);
}

/// Point 15, section 7.2.1: an option that is not honoured is echoed with scope 0.
#[test]
fn where_subnets_are_off_the_packets_source_counts() {
    let mut server = Server::new(CONFIG, &[]);
    let query = "deaf.example.com A client=198.51.100.1 ecs=203.0.113.0/24";
    assert_eq!(server.ask(query).records[0].rdata, "192.0.2.10");
    assert_eq!(ecs(&mut server, query).unwrap(), "1:cb0071/24/0");
}
