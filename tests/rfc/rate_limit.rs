//! Response rate limiting as a client meets it: which replies count together, and what
//! goes out instead. What the table does is tested beside it (`answer::limit`).

use std::sync::Arc;

use windrose::answer::limit::Limiter;
use windrose::answer::{Outcome, Peer, Prepared, Scratch, prepare_all};
use windrose::geo::BaseTable;
use windrose::metrics::{DropReason, RateAction, RateClass};
use windrose::snapshot::Serving;

use crate::config_support::MemoryFiles;
use crate::dns_support::asked::Asked;
use crate::dns_support::{message, serving};

const ZONE: &str = r#"
[zone."example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.com"
records = ["www A 192.0.2.80", "other A 192.0.2.81", "*.wild A 192.0.2.82", "sub NS ns.example.net"]
[zone."example.org"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.com"
"#;

struct Limited {
    serving: Serving,
    scratch: Scratch,
    limiter: Limiter,
}

/// What became of a query.
struct Got {
    outcome: Outcome,
    limited: Option<(RateClass, RateAction)>,
    reply: Vec<u8>,
}

impl Limited {
    fn new(config: &str) -> Limited {
        let mut files = MemoryFiles::default();
        files.insert("windrose.toml", format!("[rate_limit]\n{config}\n{ZONE}"));
        let serving =
            serving::load("windrose.toml", &files, BaseTable::from_networks(&[])).unwrap();
        let rules = serving.snapshot.rate_rules.clone().expect("something is limited");
        let mut limiter = Limiter::new(rules, 1, Arc::default());
        limiter.set_time(1_000_000_000);
        Limited { serving, scratch: Scratch::default(), limiter }
    }

    fn ask(&mut self, query: &str) -> Got {
        let Asked { message, peer, .. } = Asked::read(query).unwrap();
        let worker = &self.serving.workers[0];
        let mut prepared = [const { None::<Prepared<'_>> }; 1];
        let asked = [(&*message, Peer { address: peer.address, ..peer })].into_iter();
        prepare_all(&self.serving, worker, asked, &mut prepared);
        let prepared = prepared[0].unwrap();
        let mut reply = vec![0; 4_096];
        let outcome = prepared.answer(&self.serving, worker, &mut self.scratch, &mut reply);
        let (outcome, limited) = prepared.limit(
            &mut self.limiter,
            &self.serving,
            worker,
            &self.scratch,
            outcome,
            &mut reply,
        );
        reply.truncate(match outcome {
            Outcome::Reply { length, .. } => length,
            Outcome::Drop(_) => 0,
        });
        Got { outcome, limited, reply }
    }

    /// How many of a hundred queries pass; `{}` in one is its number.
    fn passed(&mut self, query: &str) -> usize {
        let ask =
            |number: &usize| self.ask(&query.replace("{}", &number.to_string())).limited.is_none();
        (0..100).filter(ask).count()
    }
}

/// Point 25.
#[test]
fn replies_count_together_by_what_they_say() {
    let mut server = Limited::new("responses_per_second = 10\nslip = 0");
    for (query, passed) in [
        ("www.example.com A", 10),
        ("WWW.Example.COM AAAA", 10), // NODATA, of the zone
        ("other.example.com TXT", 0), // likewise
        ("other.example.com A", 10),
        ("{}.wild.example.com A", 10), // made up: of the zone
        ("more{}.wild.example.com A", 0),
        ("no{}.example.com A", 10),
        ("never{}.example.com MX", 0),
        ("no{}.example.org A", 10),
        ("x{}.sub.example.com A", 10), // referrals
        ("y{}.sub.example.com TXT", 0),
        ("www.example.net A", 10), // errors, all together
        ("www.example.com A class=3", 0),
        ("www.example.com A size=512 version=3", 0),
        ("hex abcd 1000 0001 0000 0000 0000", 0),
    ] {
        assert_eq!(server.passed(query), passed, "{query}");
    }
}

/// Point 25: case does not make another name.
#[test]
fn a_name_is_one_whatever_its_case() {
    let mut server = Limited::new("responses_per_second = 10\nslip = 0");
    assert_eq!(server.passed("www.example.com A"), 10);
    assert_eq!(server.passed("wWw.eXample.com A"), 0);
}

/// Point 25: what slips sends a real client to TCP, and amplifies nothing.
#[test]
fn what_slips_is_truncated_empty_and_no_larger_than_its_query() {
    let mut server = Limited::new("responses_per_second = 1\nslip = 1");
    for query in
        ["www.example.com A rd", "no.example.com A size=4096", "sub.example.com NS rd size=1232 do"]
    {
        assert!(server.ask(query).limited.is_none(), "{query}");
        let got = server.ask(query);
        assert_eq!(got.limited.map(|(_, action)| action), Some(RateAction::Slip), "{query}");
        let request = Asked::read(query).unwrap().message;
        assert!(got.reply.len() <= request.len(), "{query}");
        let reply = message::read(&got.reply).unwrap();
        assert_eq!((reply.rcode(), reply.flags[0] & 2), (0, 2), "{query}: TC");
        assert_eq!(reply.question, request[12..12 + reply.question.len()]);
        assert!(reply.records.iter().all(|record| record.rtype == 41), "{query}: empty");
    }
}

/// Point 25: an error is short as it is.
#[test]
fn an_error_that_slips_is_the_error() {
    let mut server = Limited::new("responses_per_second = 1\nslip = 1");
    let first = server.ask("www.example.net A").reply;
    let second = server.ask("www.example.net A");
    assert_eq!(second.limited, Some((RateClass::Error, RateAction::Slip)));
    assert_eq!(second.reply, first);
}

/// Point 25: every second one by default, the others get nothing.
#[test]
fn what_does_not_slip_is_dropped() {
    let mut server = Limited::new("responses_per_second = 1");
    server.ask("www.example.com A");
    let outcomes: Vec<bool> = (0..100)
        .map(|_| server.ask("www.example.com A").outcome == Outcome::Drop(DropReason::RateLimited))
        .collect();
    assert_eq!(outcomes.iter().filter(|dropped| **dropped).count(), 50);
}

/// Point 25: each kind of reply has its own rate, if it is given one.
#[test]
fn a_class_may_have_a_rate_of_its_own() {
    let mut server = Limited::new("errors_per_second = 5\nslip = 0");
    assert_eq!(server.passed("www.example.net A"), 5);
    assert_eq!(server.passed("www.example.com A"), 100);
    let mut server = Limited::new("responses_per_second = 5\nnxdomains_per_second = 0\nslip = 0");
    assert_eq!(server.passed("no{}.example.com A"), 100);
}

/// Point 25: listed addresses are never limited.
#[test]
fn exempt_networks_are_left_alone() {
    let mut server = Limited::new("responses_per_second = 1\nexempt = \"192.0.2.0/24\"");
    assert_eq!(server.passed("www.example.com A"), 100);
}
