//! RFC 9567: DNS error reporting.

use crate::support::Server;

const CHANNEL: &str = "[server]\nreport_channel = \"er.example.com\"";
/// er.example.com, uncompressed.
const OPTION: &str = "option18=026572076578616d706c6503636f6d00";

/// Point 15, section 6.2: unsolicited, once, to those who sent OPT.
#[test]
fn replies_to_queries_with_edns_name_the_agent() {
    let mut server = Server::configured(CHANNEL, &[]);
    for name in ["www.example.com", "no.example.com", "er.example.org"] {
        let shown = server.shows(&format!("{name} A edns"));
        assert_eq!(shown.matches(OPTION).count(), 1, "{shown}");
        assert!(!server.shows(&format!("{name} A")).contains("opt"));
    }
}

/// Point 15: what a client sends in the option is ignored.
#[test]
fn without_an_agent_there_is_no_option() {
    let mut server = Server::configured("", &[]);
    assert!(server.shows("www.example.com A option=18:00").ends_with("opt size=1232\n"));
}

/// Point 15, section 6.3: a report that fails is not to be reported.
#[test]
fn reports_are_not_told_where_to_report() {
    let mut server = Server::configured(CHANNEL, &[]);
    for name in ["_er.1.www.example.com.7._er.er.example.com", "er.example.com", "x.ER.example.COM"]
    {
        let shown = server.shows(&format!("{name} TXT edns"));
        assert!(shown.ends_with("opt size=1232\n"), "{shown}");
    }
}

/// Point 14: the agent goes where there is no room.
#[test]
fn the_agent_never_costs_the_answer() {
    let agent = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "example".to_owned()].join(".");
    let config = format!("[server]\nreport_channel = \"{agent}\"");
    let mut with = Server::configured(&config, &[]);
    let mut without = Server::configured("", &[]);
    let small = with.raw("www.example.com A edns");
    assert!(small.len() > 200);
    for size in [512, 1_232] {
        let query = format!("big.example.com A size={size}");
        let (with, without) = (with.ask(&query), without.ask(&query));
        assert_eq!(with.flags, without.flags);
        assert_eq!(with.records.len(), without.records.len());
    }
}
