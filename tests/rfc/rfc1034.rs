//! RFC 1034: Domain names, concepts and facilities: the algorithm of section 4.3.2.

use crate::support::{SOA, Server};

const WORLD: &str = "
www      A 192.0.2.80
mail     A 192.0.2.25
mail     AAAA 2001:db8::25
@        MX 10 mail
@        MX 20 mail
_sip._tcp SRV 1 1 5060 mail
svc      HTTPS 1 mail alpn=h2
one      CNAME two
two      CNAME www
nodata   CNAME mail
away     CNAME www.example.net.
loop     CNAME pool
pool     CNAME loop
self     CNAME self
tocut    CNAME host.sub
deep.er  TXT \"two labels down\"
sub      NS ns.sub
sub      NS ns.beside
sub      NS ns1
sub      NS ns.example.net.
sub      DS 12345 13 2 abababababababababababababababababababababababababababababababab
ns.sub   A 192.0.2.10
ns.sub   AAAA 2001:db8::10
hidden.sub TXT \"not ours\"
*.sub    A 192.0.2.66
under.sub NS ns.under.sub
ns.under.sub A 192.0.2.67
beside   NS ns.beside
ns.beside A 192.0.2.11
";

const REFERRAL: &str = "
    authority sub.example.com. 3600 NS ns.sub.example.com.
    authority sub.example.com. 3600 NS ns.beside.example.com.
    authority sub.example.com. 3600 NS ns1.example.com.
    authority sub.example.com. 3600 NS ns.example.net.
    additional ns.sub.example.com. 3600 A 192.0.2.10
    additional ns.sub.example.com. 3600 AAAA 2001:db8::10
    additional ns.beside.example.com. 3600 A 192.0.2.11
    additional ns1.example.com. 3600 A 192.0.2.1";

/// Point 6, section 4.3.2 step 3.
#[test]
fn a_name_with_names_below_it_exists_and_one_without_does_not() {
    let mut server = Server::of_zone(WORLD);
    server.gets("er.example.com TXT", &format!("NOERROR aa\n{SOA}"));
    server.gets("x.er.example.com TXT", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets("eep.er.example.com TXT", &format!("NXDOMAIN aa\n{SOA}"));
}

/// Point 7, section 3.6.2.
#[test]
fn a_cname_is_given_with_the_target_that_is_served() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "one.example.com A",
        "NOERROR aa
         answer one.example.com. 3600 CNAME two.example.com.
         answer two.example.com. 3600 CNAME www.example.com.
         answer www.example.com. 3600 A 192.0.2.80",
    );
    server.gets(
        "away.example.com A",
        "NOERROR aa
         answer away.example.com. 3600 CNAME www.example.net.",
    );
}

/// Point 7, section 3.6.2.
#[test]
fn a_cname_asked_for_is_not_followed() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "one.example.com CNAME",
        "NOERROR aa
         answer one.example.com. 3600 CNAME two.example.com.",
    );
}

/// Point 7, section 3.6.2.
#[test]
fn loops_of_cnames_end_with_each_record_once() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "loop.example.com A",
        "NOERROR aa
         answer loop.example.com. 3600 CNAME pool.example.com.
         answer pool.example.com. 3600 CNAME loop.example.com.",
    );
    server.gets(
        "self.example.com A",
        "NOERROR aa
         answer self.example.com. 3600 CNAME self.example.com.",
    );
}

/// Point 7, section 5.2.2 (what a chain costs must have a bound).
#[test]
fn a_chain_of_a_hundred_cnames_is_followed_so_far_and_no_farther() {
    let links: String = (0..100).map(|link| format!("c{link} CNAME c{}\n", link + 1)).collect();
    let mut server = Server::of_zone(&format!("{links}c100 A 192.0.2.1"));
    for over in ["", " tcp"] {
        let reply = server.ask(&format!("c0.example.com A size=1232{over}"));
        assert_eq!(reply.records.iter().filter(|record| record.rtype == 5).count(), 16);
        assert_eq!(reply.rcode(), 0);
    }
    let last = server.ask("c90.example.com A");
    assert_eq!(last.records.last().unwrap().rdata, "192.0.2.1");
}

/// Point 7, section 4.3.2 step 3a: the search for a zone begins anew.
#[test]
fn a_chain_goes_on_in_another_zone_of_the_server() {
    let zone = |records: &str| {
        format!("$TTL 60\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1.example.net.\n{records}\n")
    };
    let (first, second) = (zone("a CNAME b.second.example."), zone("b A 192.0.2.2"));
    let config = "[zone.\"first.example\"]\nfile = \"first\"\n\
                  [zone.\"second.example\"]\nfile = \"second\"\n";
    let mut server = Server::new(config, &[("first", &first), ("second", &second)]);
    server.gets(
        "a.first.example A",
        "NOERROR aa
         answer a.first.example. 60 CNAME b.second.example.
         answer b.second.example. 60 A 192.0.2.2",
    );
    // What is denied is denied by the zone where the chain ended.
    server.gets(
        "a.first.example AAAA",
        "NOERROR aa
         answer a.first.example. 60 CNAME b.second.example.
         authority second.example. 5 SOA ns1.second.example. h.second.example. 1 2 3 4 5",
    );
}

/// Point 9, section 4.3.2 step 3b.
#[test]
fn a_referral_has_no_aa_ns_in_authority_and_the_glue_that_is_there() {
    let mut server = Server::of_zone(WORLD);
    for query in ["host.sub.example.com A", "sub.example.com NS", "sub.example.com A"] {
        server.gets(query, &format!("NOERROR{REFERRAL}"));
    }
}

/// Point 9, section 4.2.1.
#[test]
fn what_lies_below_a_cut_is_occluded() {
    let mut server = Server::of_zone(WORLD);
    for name in ["hidden.sub", "x.sub", "ns.sub", "under.sub", "x.under.sub", "*.sub"] {
        for rtype in ["A", "TXT", "NS", "SOA", "CNAME", "ANY", "TYPE65280"] {
            server.gets(&format!("{name}.example.com {rtype}"), &format!("NOERROR{REFERRAL}"));
        }
    }
}

/// Point 9, section 4.3.2 step 3b.
#[test]
fn a_chain_that_comes_to_a_cut_ends_in_its_referral() {
    let mut server = Server::of_zone(WORLD);
    server.gets(
        "tocut.example.com A",
        &format!(
            "NOERROR aa
             answer tocut.example.com. 3600 CNAME host.sub.example.com.{REFERRAL}"
        ),
    );
}

/// Point 9, section 4.2.1: the zone with the longest matching origin is looked into.
#[test]
fn where_parent_and_child_are_served_the_child_answers() {
    let zone = |records: &str| format!("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n{records}\n");
    let parent = zone("ns A 192.0.2.1\nsub NS ns.sub\nns.sub A 192.0.2.66\nx.sub A 192.0.2.66");
    let child = zone("ns A 192.0.2.2");
    let config = "[zone.\"example.com\"]\nfile = \"parent\"\n\
                  [zone.\"sub.example.com\"]\nfile = \"child\"\n";
    let mut server = Server::new(config, &[("parent", &parent), ("child", &child)]);
    server.gets("ns.sub.example.com A", "NOERROR aa\nanswer ns.sub.example.com. 60 A 192.0.2.2");
    server.gets(
        "x.sub.example.com A",
        "NXDOMAIN aa
         authority sub.example.com. 5 SOA ns.sub.example.com. h.sub.example.com. 1 2 3 4 5",
    );
}

/// Point 12, section 4.3.2 step 6.
#[test]
fn addresses_of_named_hosts_come_along_each_once() {
    let mut server = Server::of_zone(WORLD);
    let addresses = "
        additional mail.example.com. 3600 A 192.0.2.25
        additional mail.example.com. 3600 AAAA 2001:db8::25";
    server.gets(
        "example.com MX",
        &format!(
            "NOERROR aa
             answer example.com. 3600 MX 10 mail.example.com.
             answer example.com. 3600 MX 20 mail.example.com.{addresses}"
        ),
    );
    server.gets(
        "_sip._tcp.example.com SRV",
        &format!(
            "NOERROR aa
             answer _sip._tcp.example.com. 3600 SRV 1 1 5060 mail.example.com.{addresses}"
        ),
    );
    server.gets(
        "example.com NS",
        "NOERROR aa
         answer example.com. 3600 NS ns1.example.com.
         additional ns1.example.com. 3600 A 192.0.2.1",
    );
    let reply = server.ask("svc.example.com HTTPS");
    let added = reply.records.iter().filter(|record| record.section == 2);
    assert_eq!(
        added.map(|record| &*record.rdata).collect::<Vec<_>>(),
        ["192.0.2.25", "2001:db8::25"]
    );
}

/// Point 5, section 4.3.2 step 2: no zone, no answer; and never upward referrals.
#[test]
fn names_outside_every_zone_are_refused_with_nothing_beside() {
    let mut server = Server::of_zone(WORLD);
    let names = ["example.net", "com", ".", "xexample.com", "www.example.com.org", "m"];
    for name in names {
        for rtype in ["A", "NS", "SOA", "ANY", "DS"] {
            server.gets(&format!("{name} {rtype} rd"), "REFUSED rd");
        }
    }
}
