//! RFC 4035: DNSSEC protocol modifications, as far as they meet a server without
//! signed zones.

use crate::support::{SOA, Server};

/// Point 1, section 3.1.6; Z of RFC 1035 4.1.1 has stayed zero.
#[test]
fn ad_cd_and_z_are_cleared_in_replies() {
    let mut server = Server::of_zone("www A 192.0.2.80");
    for query in ["www.example.com A", "no.example.com A", "example.net A", "www.example.com MX"] {
        for flags in ["ad", "cd", "z", "ad cd z rd ra", "cd edns do"] {
            let reply = server.ask(&format!("{query} {flags}"));
            assert_eq!(reply.flags[1] & 0xf0, 0, "{query} {flags}");
        }
    }
}

const PARENT: &str = "
sub  NS ns.sub
ns.sub A 192.0.2.10
sub  DS 12345 13 2 abababababababababababababababababababababababababababababababab
bare NS ns.bare
ns.bare A 192.0.2.11
";

/// Point 9, section 3.1.4.1.
#[test]
fn ds_is_answered_with_aa_on_the_parents_side_of_a_cut() {
    let mut server = Server::of_zone(PARENT);
    let reply = server.ask("sub.example.com DS");
    assert_eq!(reply.flags[0] & 4, 4, "AA");
    assert_eq!((reply.records.len(), reply.records[0].rtype), (1, 43));
    assert_eq!(reply.records[0].section, 0);
    server.gets("bare.example.com DS", &format!("NOERROR aa\n{SOA}"));
    // Below the cut it is no business of ours.
    assert_eq!(server.ask("x.sub.example.com DS").flags[0] & 4, 0);
}

/// Point 9, section 3.1.4.1: at an apex it is the parent's too, if that is served.
#[test]
fn ds_at_an_apex_is_sought_in_the_parent_zone() {
    let parent = format!("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{PARENT}");
    let child = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.2\n";
    let both = "[zone.\"example.com\"]\nfile = \"parent\"\n\
                [zone.\"sub.example.com\"]\nfile = \"child\"\n";
    let files = [("parent", parent.as_str()), ("child", child)];
    let mut server = Server::new(both, &files);
    assert_eq!(server.ask("sub.example.com DS").records[0].rtype, 43);
    let mut alone = Server::new("[zone.\"sub.example.com\"]\nfile = \"child\"\n", &files[1..]);
    alone.gets(
        "sub.example.com DS",
        "NOERROR aa
         authority sub.example.com. 5 SOA ns.sub.example.com. h.sub.example.com. 1 2 3 4 5",
    );
}

/// Point 16, section 3.1: DNSSEC data asked for is data; it is not added by itself.
#[test]
fn dnssec_records_of_a_zone_come_when_asked_for() {
    let mut server = Server::of_zone(
        "www A 192.0.2.80\nwww RRSIG A 13 3 3600 20300101000000 20200101000000 1 example.com. AQID",
    );
    assert_eq!(server.ask("www.example.com RRSIG").records[0].rtype, 46);
    server.gets("www.example.com A", "NOERROR aa\nanswer www.example.com. 3600 A 192.0.2.80");
    server.gets(
        "www.example.com A do",
        "NOERROR aa
         answer www.example.com. 3600 A 192.0.2.80
         opt size=1232 do",
    );
}
