//! RFC 9471: DNS glue requirements in referral responses.

use crate::support::Server;

/// Point 12, section 3.1: what a resolver cannot go on without.
#[test]
fn glue_below_the_cut_that_does_not_fit_sets_tc() {
    let mut server = Server::of_zone(
        "$GENERATE 1-13 sub NS nameserver-number-$.sub\n\
         $GENERATE 1-13 nameserver-number-$.sub A 198.51.100.$\n\
         $GENERATE 1-13 nameserver-number-$.sub AAAA 2001:db8::$",
    );
    let short = server.ask("x.sub.example.com A");
    assert_eq!(short.flags[0] & 2, 2);
    assert_eq!(short.records.iter().filter(|record| record.rtype == 2).count(), 13);
    for query in ["x.sub.example.com A tcp", "x.sub.example.com A size=1232"] {
        let whole = server.ask(query);
        assert_eq!(whole.flags[0] & 2, 0);
        assert_eq!(whole.records.iter().filter(|record| record.section == 2).count() & !1, 26);
    }
}

/// Point 12, section 3.2: sibling glue is given while there is room.
#[test]
fn glue_beside_the_cut_that_does_not_fit_is_left_out_without_tc() {
    let mut server = Server::of_zone(
        "sub NS ns.beside\nsub NS ns.sub\nns.sub A 192.0.2.5\nbeside NS ns.beside\n\
         ns.beside A 192.0.2.6\n$GENERATE 1-60 ns.beside AAAA 2001:db8::$",
    );
    server.gets(
        "x.sub.example.com A",
        "NOERROR
         authority sub.example.com. 3600 NS ns.beside.example.com.
         authority sub.example.com. 3600 NS ns.sub.example.com.
         additional ns.sub.example.com. 3600 A 192.0.2.5
         additional ns.beside.example.com. 3600 A 192.0.2.6",
    );
    let whole = server.ask("x.sub.example.com A tcp");
    assert_eq!(whole.records.len(), 2 + 1 + 1 + 60);
}

/// Point 12, section 2: glue below the cut goes first.
#[test]
fn glue_that_is_needed_comes_before_what_merely_helps() {
    let mut server = Server::of_zone(
        "sub NS ns.example.com.\nsub NS ns.beside\nsub NS ns.sub\nns A 192.0.2.4\n\
         ns.sub A 192.0.2.5\nbeside NS ns.beside\nns.beside A 192.0.2.6",
    );
    let reply = server.ask("x.sub.example.com A");
    let glue = reply.records.iter().filter(|record| record.section == 2);
    let owners: Vec<_> = glue.map(|record| record.owner.as_str()).collect();
    assert_eq!(owners, ["ns.sub.example.com.", "ns.example.com.", "ns.beside.example.com."]);
}
