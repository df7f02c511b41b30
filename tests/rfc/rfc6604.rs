//! RFC 6604: xNAME RCODE and status bits clarification.

use crate::support::{SOA, Server};

const WORLD: &str = "
www   A 192.0.2.80
good  CNAME www
mid   CNAME lost
lost  CNAME nothing
empty CNAME www
off   CNAME www.example.net.
d     DNAME www
sub   NS ns.example.net.
cut   CNAME x.sub
";

/// Point 7, section 3.
#[test]
fn the_rcode_is_the_last_names() {
    let mut server = Server::of_zone(WORLD);
    for (query, rcode) in [
        ("good.example.com A", 0),
        ("mid.example.com A", 3),
        ("lost.example.com A", 3),
        ("empty.example.com MX", 0),
        ("x.d.example.com A", 3),
        ("off.example.com A", 0),
        ("cut.example.com A", 0),
    ] {
        assert_eq!(server.ask(query).rcode(), rcode, "{query}");
    }
    let lost = server.shows("mid.example.com A");
    assert_eq!(lost.trim_end().lines().last().unwrap(), SOA);
}

/// Points 1 and 7, section 2.1: AA is about the first name.
#[test]
fn aa_is_the_first_names() {
    let mut server = Server::of_zone(WORLD);
    for query in
        ["good.example.com A", "mid.example.com A", "off.example.com A", "cut.example.com A"]
    {
        assert_eq!(server.ask(query).flags[0] & 4, 4, "{query}");
    }
}
