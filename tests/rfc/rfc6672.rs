//! RFC 6672: DNAME redirection in the DNS.

use crate::support::{SOA, Server};

const WORLD: &str = "
d        300 DNAME target
d        TXT \"beside\"
target   A 192.0.2.69
host.target A 192.0.2.70
alias.target CNAME host.target
away     DNAME example.net.
again    DNAME x.again
shrink.one DNAME one
dd1      DNAME dd2
dd2      DNAME dd1
wide     DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.example.net.
*.star   DNAME target
";

/// Point 7, sections 2.2 and 3.1.
#[test]
fn names_below_a_dname_get_it_and_the_cname_it_makes() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "host.d.example.com A",
        "NOERROR aa
         answer d.example.com. 300 DNAME target.example.com.
         answer host.d.example.com. 300 CNAME host.target.example.com.
         answer host.target.example.com. 3600 A 192.0.2.70",
    );
    server.gets(
        "a.b.away.example.com A",
        "NOERROR aa
         answer away.example.com. 3600 DNAME example.net.
         answer a.b.away.example.com. 3600 CNAME a.b.example.net.",
    );
    server.gets(
        "host.d.example.com CNAME",
        "NOERROR aa
         answer d.example.com. 300 DNAME target.example.com.
         answer host.d.example.com. 300 CNAME host.target.example.com.",
    );
}

/// Point 7, section 2.3.
#[test]
fn the_owner_of_a_dname_is_not_redirected() {
    let mut server = Server::of_zone(WORLD);
    server.gets("d.example.com TXT", "NOERROR aa\nanswer d.example.com. 3600 TXT \"beside\"");
    server.gets(
        "d.example.com DNAME",
        "NOERROR aa\nanswer d.example.com. 300 DNAME target.example.com.",
    );
    for rtype in ["A", "CNAME", "MX", "DS"] {
        server.gets(&format!("d.example.com {rtype}"), &format!("NOERROR aa\n{SOA}"));
    }
}

/// Point 7, section 3.1: a name that would be over 255 bytes.
#[test]
fn a_name_that_becomes_too_long_is_yxdomain() {
    let mut server = Server::of_zone(WORLD);
    let long = "a123456789012345678901234567890123456789012345678901234567890";
    let reply = server.ask(&format!("{long}.wide.example.com A"));
    assert_eq!((reply.rcode(), reply.flags[0] & 4), (6, 4));
    assert_eq!(reply.records.iter().map(|record| record.rtype).collect::<Vec<_>>(), [39]);
    // A target of 199 bytes leaves room for 56: one label of 55.
    let fits = "b".repeat(55);
    assert_eq!(server.ask(&format!("{fits}.wide.example.com A")).rcode(), 0);
    assert_eq!(server.ask(&format!("b{fits}.wide.example.com A")).rcode(), 6);
}

/// Point 7, section 3.1: they end, and say what they went through once.
#[test]
fn loops_of_dnames_end() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "x.dd1.example.com A",
        "NOERROR aa
         answer dd1.example.com. 3600 DNAME dd2.example.com.
         answer x.dd1.example.com. 3600 CNAME x.dd2.example.com.
         answer dd2.example.com. 3600 DNAME dd1.example.com.
         answer x.dd2.example.com. 3600 CNAME x.dd1.example.com.",
    );
    server.gets(
        "x.again.example.com A",
        "NOERROR aa
         answer again.example.com. 3600 DNAME x.again.example.com.
         answer x.again.example.com. 3600 CNAME x.x.again.example.com.",
    );
    let deep = format!("x.{}one.example.com", "shrink.".repeat(30));
    let reply = server.ask(&format!("{deep} A size=1232"));
    let cnames = reply.records.iter().filter(|record| record.rtype == 5).count();
    let dnames = reply.records.iter().filter(|record| record.rtype == 39).count();
    assert_eq!((cnames, dnames), (16, 1));
}

/// Point 7, section 3.1.
#[test]
fn a_chain_goes_through_dname_and_cname_alike() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "alias.d.example.com A",
        "NOERROR aa
         answer d.example.com. 300 DNAME target.example.com.
         answer alias.d.example.com. 300 CNAME alias.target.example.com.
         answer alias.target.example.com. 3600 CNAME host.target.example.com.
         answer host.target.example.com. 3600 A 192.0.2.70",
    );
}

/// Points 7 and 8, section 3.3 (and RFC 4592 4.4): left open there; `*` is asked for what
/// it is, and nothing is made from it.
#[test]
fn a_dname_at_a_wildcard_redirects_below_the_asterisk_alone() {
    let mut server = Server::of_zone(WORLD);
    assert_eq!(server.ask("host.*.star.example.com A").records[0].rtype, 39);
    let made = server.ask("host.x.star.example.com A");
    assert!(made.records.iter().all(|record| record.rtype != 5), "{made:?}");
}

/// Section 2.4.
#[test]
#[should_panic(expected = "DNAME")]
fn two_dnames_at_one_name_are_not_loaded() {
    Server::of_zone("twice DNAME a\ntwice DNAME b");
}
