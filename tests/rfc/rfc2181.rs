//! RFC 2181: Clarifications to the DNS specification.

use crate::support::{SOA, Server};

/// Point 11, section 5.2.
#[test]
fn records_of_one_rrset_have_one_ttl() {
    let mut server = Server::of_zone("two 600 A 192.0.2.2\ntwo 300 A 192.0.2.3");
    server.gets(
        "two.example.com A",
        "NOERROR aa
         answer two.example.com. 300 A 192.0.2.2
         answer two.example.com. 300 A 192.0.2.3",
    );
}

/// Point 11, section 5: a record twice in the file is there once.
#[test]
fn an_rrset_has_no_record_twice() {
    let records = "www A 192.0.2.80\nWWW A 192.0.2.80\nwww TYPE1 \\# 4 c0000250\n\
                   m MX 1 www\nm MX 1 WWW.example.com.";
    let mut server = Server::of_zone(records);
    server.gets("www.example.com A", "NOERROR aa\nanswer www.example.com. 3600 A 192.0.2.80");
    let mail = server.ask("m.example.com MX");
    assert_eq!(mail.records.iter().filter(|record| record.rtype == 15).count(), 1);
}

/// Point 6, section 5.1 and 6.1: NXDOMAIN is about the name, whatever the type.
#[test]
fn a_name_exists_for_all_types_or_for_none() {
    let mut server = Server::of_zone("www A 192.0.2.80");
    for rtype in ["AAAA", "TXT", "MX", "SRV", "CNAME", "DNAME", "DS", "HTTPS", "TYPE65280"] {
        server.gets(&format!("www.example.com {rtype}"), &format!("NOERROR aa\n{SOA}"));
        server.gets(&format!("no.example.com {rtype}"), &format!("NXDOMAIN aa\n{SOA}"));
    }
}

/// Point 30, section 8: a TTL has 31 bits; one with the highest set counts as 0.
#[test]
fn no_ttl_reads_as_negative() {
    let mut server = Server::of_zone("max 2147483647 A 192.0.2.1");
    let reply = server.ask("max.example.com A");
    assert_eq!(reply.records[0].ttl, 2_147_483_647);
    assert!(server.ask("no.example.com A").records.iter().all(|record| record.ttl >> 31 == 0));
}

/// Point 11 and 14, section 9.
#[test]
fn truncation_never_splits_an_rrset() {
    let records = "$GENERATE 1-80 eighty A 198.51.100.$\nalias CNAME eighty";
    let mut server = Server::of_zone(records);
    for size in (512..1400).step_by(7) {
        let reply = server.ask(&format!("alias.example.com A size={size}"));
        let addresses = reply.records.iter().filter(|record| record.rtype == 1).count();
        let truncated = reply.flags[0] & 2 != 0;
        assert!(addresses == if truncated { 0 } else { 80 }, "{addresses} at {size}");
    }
    let whole = server.ask("alias.example.com A tcp");
    assert_eq!(whole.records.len(), 81);
}

/// Point 12, section 9: what is extra is left out in silence.
#[test]
fn additional_data_that_does_not_fit_is_left_out_without_tc() {
    let records = "$GENERATE 1-20 mx MX $ host$\n$GENERATE 1-20 host$ A 198.51.100.$\n\
                   $GENERATE 1-20 host$ AAAA 2001:db8::$";
    let mut server = Server::of_zone(records);
    let (mut before, mut after) = (usize::MAX, 0);
    for size in (512..=1232).step_by(24) {
        let reply = server.ask(&format!("mx.example.com MX size={size}"));
        assert_eq!(reply.flags[0] & 2, 0, "TC at {size}");
        assert_eq!(reply.records.iter().filter(|record| record.rtype == 15).count(), 20);
        after = reply.records.iter().filter(|record| record.section == 2).count();
        before = before.min(after);
    }
    assert!(before < after, "{before} addresses, and {after} with more room");
    assert_eq!(server.ask("mx.example.com MX tcp").records.len(), 60);
}

/// Point 9, section 6.
#[test]
fn a_zone_has_no_authority_over_what_it_delegates() {
    let mut server = Server::of_zone("sub NS ns.example.net.\nx.sub A 192.0.2.1");
    server
        .gets("x.sub.example.com A", "NOERROR\nauthority sub.example.com. 3600 NS ns.example.net.");
}

/// Section 10.1.
#[test]
#[should_panic(expected = "CNAME")]
fn a_zone_with_other_data_beside_a_cname_is_not_loaded() {
    Server::of_zone("both CNAME www\nboth A 192.0.2.1");
}

/// Point 4, section 11: any byte may stand in a label.
#[test]
fn labels_are_bytes() {
    let mut server = Server::of_zone("a\\.b A 192.0.2.3\n\\000x A 192.0.2.4\n\\255 A 192.0.2.5");
    server.gets("a\\.b.example.com A", "NOERROR aa\nanswer a\\.b.example.com. 3600 A 192.0.2.3");
    server.gets("a.b.example.com A", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets("\\000X.example.com A", "NOERROR aa\nanswer \\000X.example.com. 3600 A 192.0.2.4");
    server.gets("\\255.example.com A", "NOERROR aa\nanswer \\255.example.com. 3600 A 192.0.2.5");
}
