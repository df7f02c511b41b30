//! What is refused, with its code and its counter.

use windrose::answer::{Outcome, Scratch, answer};
use windrose::metrics::Refusal;

use crate::access::serve;
use crate::dns_support::asked::Asked;

/// The code and the counter of the reply to a query in words.
fn refusal(config: &str, query: &str) -> (u16, Option<Refusal>) {
    let serving = serve(config);
    let asked = Asked::read(query).unwrap();
    let mut out = vec![0; 65_535];
    let scratch = &mut Scratch::default();
    match answer(&serving, &serving.workers[0], scratch, &asked.message, asked.peer, &mut out) {
        Outcome::Reply { rcode, refusal, .. } => (rcode.0, refusal),
        Outcome::Drop(reason) => panic!("silence to {query}: {reason:?}"),
    }
}

/// Points 3, 4, 5, 10, 13, 22 and 23.
#[test]
fn every_refusal_has_its_code_and_its_counter() {
    for (query, rcode, reason) in [
        // Status, and an opcode of nobody's, with counts that lie.
        ("hex abcd 1000 0001 0000 0000 0000", 4, Refusal::Opcode),
        ("hex abcd 7800 ffff ffff ffff ffff", 4, Refusal::Opcode),
        ("hex abcd 0000 0002 0000 0000 0000 00 0001 0001 00 0001 0001", 1, Refusal::Format),
        ("hex abcd 0000 0001 0000 0000 0000 c00c 0001 0001", 1, Refusal::Format),
        ("www.example.com A size=1232 version=1", 16, Refusal::EdnsVersion),
        ("version.bind TXT class=3", 5, Refusal::Chaos),
        ("hostname.bind TXT class=3", 5, Refusal::Chaos),
        ("id.server TXT class=3", 5, Refusal::Chaos),
        ("version.server TXT class=3", 5, Refusal::Chaos),
        ("www.example.com A class=4", 5, Refusal::Class),
        ("www.example.com A class=255", 5, Refusal::Class),
        ("www.example.com TYPE254", 4, Refusal::Type),
        ("www.example.com TYPE253", 4, Refusal::Type),
        ("www.example.com TYPE249", 4, Refusal::Type),
        ("www.example.com TYPE41", 1, Refusal::Type),
        ("www.example.com TYPE250", 1, Refusal::Type),
        ("www.example.com TYPE0", 1, Refusal::Type),
        ("www.example.net A rd", 5, Refusal::NotOurs),
        (". NS", 5, Refusal::NotOurs),
        (". A rd", 5, Refusal::NotOurs),
        ("example.onion A rd", 5, Refusal::NotOurs),
        ("printer.local A rd", 5, Refusal::NotOurs),
        ("localhost A rd", 5, Refusal::NotOurs),
        ("com NS rd", 5, Refusal::NotOurs),
    ] {
        assert_eq!(refusal("", query), (rcode, Some(reason)), "{query}");
    }
}

/// Point 10: nobody is granted a transfer by default.
#[test]
fn a_transfer_that_is_not_granted_is_refused() {
    let query = "example.com AXFR";
    assert_eq!(refusal("", query), (5, Some(Refusal::Transfer)));
}

/// Point 22.
#[test]
fn chaos_names_say_what_is_configured_and_no_more() {
    let config = "[server]\nchaos_version = \"none of your business\"";
    for (query, expected) in [
        ("version.bind TXT class=3", (0, None)),
        ("version.server TXT class=3", (0, None)),
        ("VERSION.bind ANY class=3", (0, None)),
        ("version.bind A class=3", (5, Some(Refusal::Chaos))),
        ("hostname.bind TXT class=3", (5, Some(Refusal::Chaos))),
        ("authors.bind TXT class=3", (5, Some(Refusal::Chaos))),
        ("version.bind TXT", (5, Some(Refusal::NotOurs))),
    ] {
        assert_eq!(refusal(config, query), expected, "{query}");
    }
}

/// Points 5 and 23: what is served, and what is not there, is no refusal.
#[test]
fn answers_and_denials_count_as_no_refusal() {
    for (query, rcode) in
        [("www.example.com A", 0), ("www.example.com TXT", 0), ("no.example.com A", 3)]
    {
        assert_eq!(refusal("", query), (rcode, None), "{query}");
    }
}

/// Points 5, 23 and 26: a refusal is no larger than its query.
#[test]
fn a_refusal_is_no_larger_than_its_query() {
    let serving = serve("");
    for query in [
        "www.example.net A rd",
        "a.very.long.name.that.is.in.no.zone.at.all.example ANY size=4096",
        "version.bind TXT class=3 size=512",
    ] {
        let asked = Asked::read(query).unwrap();
        let mut out = vec![0; 65_535];
        let scratch = &mut Scratch::default();
        let outcome =
            answer(&serving, &serving.workers[0], scratch, &asked.message, asked.peer, &mut out);
        let Outcome::Reply { length, .. } = outcome else { panic!("silence to {query}") };
        // What an extended error may add: a code of two bytes under a header of four.
        assert!(length <= asked.message.len() + 6, "{query}: {length}");
    }
}
