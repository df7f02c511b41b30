//! RFC 4592: The role of wildcards in the domain name system.

use crate::support::{SOA, Server};

/// The zone of section 2.2.1, with what it lacks for the sections after.
const WORLD: &str = "
*           TXT \"this is a wildcard\"
*           MX 10 host1
sub.*       TXT \"this is not a wildcard\"
host1       A 192.0.2.1
_ssh._tcp.host1 SRV 0 0 22 host1
_ssh._tcp.host2 SRV 0 0 22 host1
subdel      NS ns.example.net.
subdel      NS ns.example.org.
*.w         A 192.0.2.60
here.w      TXT \"exists\"
leaf.ent.w  TXT \"makes ent.w an empty non-terminal\"
*.alias     CNAME host1
*.astray    CNAME nothing.sub.host1
*.cut       NS ns.example.net.
*.esc\\.aped A 192.0.2.61
a*b.part    A 192.0.2.62
**.part     A 192.0.2.63
";

/// Point 8, section 2.2.1: the examples of the RFC that are synthesised.
#[test]
fn names_without_records_of_their_own_are_made_from_the_wildcard() {
    let mut server = Server::of_zone(WORLD);
    for name in ["host3", "foo.bar", "ghost.host4.x", "x.y.z"] {
        let text = format!("answer {name}.example.com. 3600 TXT \"this is a wildcard\"");
        server.gets(&format!("{name}.example.com TXT"), &format!("NOERROR aa\n{text}"));
        server.gets(&format!("{name}.example.com A"), &format!("NOERROR aa\n{SOA}"));
    }
    let mail = server.ask("host3.example.com MX");
    assert_eq!(mail.records[0].rdata, "10 host1.example.com.");
}

/// Point 8, section 2.2.1: the examples of the RFC that are not.
#[test]
fn an_existing_name_keeps_the_wildcard_from_it_and_from_below() {
    let mut server = Server::of_zone(WORLD);
    // The name exists, if only for what stands below it.
    server.gets("host1.example.com MX", &format!("NOERROR aa\n{SOA}"));
    server.gets("sub.*.example.com MX", &format!("NOERROR aa\n{SOA}"));
    server.gets("_tcp.host1.example.com TXT", &format!("NOERROR aa\n{SOA}"));
    server.gets("host2.example.com TXT", &format!("NOERROR aa\n{SOA}"));
    // The closest encloser exists and has no wildcard below it.
    server.gets("_telnet._tcp.host1.example.com SRV", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets("x.host1.example.com TXT", &format!("NXDOMAIN aa\n{SOA}"));
    // A delegation is followed first.
    let referral = server.ask("host.subdel.example.com TXT");
    assert_eq!((referral.flags[0] & 4, referral.records[0].section), (0, 1));
}

/// Point 8, section 3.3.1: the closest encloser, not the nearest wildcard upwards.
#[test]
fn only_the_wildcard_at_the_closest_encloser_counts() {
    let mut server = Server::of_zone(WORLD);
    server.gets("x.w.example.com A", "NOERROR aa\nanswer x.w.example.com. 3600 A 192.0.2.60");
    server.gets("x.y.w.example.com A", "NOERROR aa\nanswer x.y.w.example.com. 3600 A 192.0.2.60");
    server.gets("x.w.example.com TXT", &format!("NOERROR aa\n{SOA}"));
    server.gets("x.here.w.example.com A", &format!("NXDOMAIN aa\n{SOA}"));
}

/// Point 8, section 2.2.2.
#[test]
fn an_empty_non_terminal_blocks_the_wildcard() {
    let mut server = Server::of_zone(WORLD);
    server.gets("ent.w.example.com A", &format!("NOERROR aa\n{SOA}"));
    server.gets("x.ent.w.example.com A", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets("w.example.com A", &format!("NOERROR aa\n{SOA}"));
}

/// Point 8, section 2.3.
#[test]
fn an_asterisk_in_a_question_is_a_label_like_another() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "*.example.com TXT",
        "NOERROR aa\nanswer *.example.com. 3600 TXT \"this is a wildcard\"",
    );
    server.gets("*.w.example.com A", "NOERROR aa\nanswer *.w.example.com. 3600 A 192.0.2.60");
    server.gets("*.w.example.com MX", &format!("NOERROR aa\n{SOA}"));
    // `*.example.com` is the closest encloser, and has no wildcard below it.
    server.gets("x.*.example.com TXT", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets("*.*.w.example.com A", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets(
        "sub.*.example.com TXT",
        "NOERROR aa\nanswer sub.*.example.com. 3600 TXT \"this is not a wildcard\"",
    );
}

/// Point 8, section 2.1.1.
#[test]
fn only_the_one_label_asterisk_makes_a_wildcard() {
    let mut server = Server::of_zone(WORLD);
    server.gets("axb.part.example.com A", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets("x.part.example.com A", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets(
        "a*b.part.example.com A",
        "NOERROR aa\nanswer a*b.part.example.com. 3600 A 192.0.2.62",
    );
    server.gets(
        "x.esc\\.aped.example.com A",
        "NOERROR aa\nanswer x.esc\\.aped.example.com. 3600 A 192.0.2.61",
    );
}

/// Point 8, section 4.4.
#[test]
fn a_wildcard_cname_is_followed() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "x.y.alias.example.com A",
        "NOERROR aa
         answer x.y.alias.example.com. 3600 CNAME host1.example.com.
         answer host1.example.com. 3600 A 192.0.2.1",
    );
    server.gets(
        "x.alias.example.com CNAME",
        "NOERROR aa\nanswer x.alias.example.com. 3600 CNAME host1.example.com.",
    );
    server.gets(
        "x.astray.example.com A",
        &format!(
            "NXDOMAIN aa
             answer x.astray.example.com. 3600 CNAME nothing.sub.host1.example.com.
             {SOA}"
        ),
    );
}

/// Point 8, section 4.2: no delegation is made up for a name that has none.
#[test]
fn a_wildcard_ns_makes_no_referral() {
    let mut server = Server::of_zone(WORLD);
    for query in ["x.cut.example.com A", "x.y.cut.example.com TXT"] {
        server.gets(query, &format!("NOERROR aa\n{SOA}"));
    }
}

/// Point 8, section 2.2.3: an RRset that is made has the TTL of the wildcard's, and its
/// addresses of hosts come along.
#[test]
fn what_is_made_is_a_whole_answer() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "Foo.Example.com MX",
        "NOERROR aa
         answer Foo.Example.com. 3600 MX 10 host1.Example.com.
         additional host1.Example.com. 3600 A 192.0.2.1",
    );
}
