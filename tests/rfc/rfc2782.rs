//! RFC 2782: A DNS RR for specifying the location of services (SRV).

use crate::support::Server;

const CONFIG: &str = "
[zone.\"example.com\"]
nameservers = [\"ns1.example.net\"]
hostmaster = \"hostmaster@example.com\"
serial = 1
[zone.\"example.org\"]
nameservers = [\"ns1.example.net\"]
hostmaster = \"hostmaster@example.org\"
serial = 1
[datacenter.one]
vip = \"192.0.2.1\"
[wip.\"shop.example.com\"]
members = [\"one\"]
ttl = \"20s\"
aliases = \"shop.example.org\"
srv = { \"_https._tcp\" = { port = 8443 }, \"_ldap._tcp\" = { port = 389, priority = 10, weight = 5 } }
";

/// Point 27: the record stands at the service's name, names the WIP, and lives as long as
/// its answers; the decided addresses are asked for apart.
#[test]
fn a_wips_services_name_it() {
    let mut server = Server::new(CONFIG, &[]);
    server.gets(
        "_https._tcp.shop.example.com SRV",
        "NOERROR aa\nanswer _https._tcp.shop.example.com. 20 SRV 0 0 8443 shop.example.com.",
    );
    server.gets(
        "_LDAP._tcp.shop.example.com SRV",
        "NOERROR aa\nanswer _LDAP._tcp.shop.example.com. 20 SRV 10 5 389 shop.example.com.",
    );
    server.gets("shop.example.com A", "NOERROR aa\nanswer shop.example.com. 20 A 192.0.2.1");
}

/// Point 27: each further name of a WIP has services of its own.
#[test]
fn an_alias_has_services_that_name_the_alias() {
    let mut server = Server::new(CONFIG, &[]);
    server.gets(
        "_https._tcp.shop.example.org SRV",
        "NOERROR aa\nanswer _https._tcp.shop.example.org. 20 SRV 0 0 8443 shop.example.org.",
    );
}

/// Points 6 and 27: the names between are there, and empty.
#[test]
fn names_between_a_service_and_its_wip_are_empty() {
    let mut server = Server::new(CONFIG, &[]);
    let between = server.ask("_tcp.shop.example.com SRV");
    assert_eq!((between.rcode(), between.records[0].rtype), (0, 6));
    assert_eq!(server.ask("_udp.shop.example.com SRV").rcode(), 3);
}
