//! Who may ask, and what those get who may not.

use std::net::IpAddr;

use windrose::answer::{Outcome, Peer, Scratch, answer};
use windrose::geo::BaseTable;
use windrose::metrics::{DropReason, Refusal, Transport};
use windrose::snapshot::Serving;

use crate::config_support::MemoryFiles;
use crate::dns_support::asked::Asked;
use crate::dns_support::{message, serving};

const ZONE: &str = "[zone.\"example.com\"]\nnameservers = [\"ns1.example.net\"]\n\
                    hostmaster = \"hostmaster@example.com\"\nrecords = [\"www A 192.0.2.80\"]\n";

pub(crate) fn serve(config: &str) -> Serving {
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", format!("{config}\n{ZONE}"));
    serving::load("windrose.toml", &files, BaseTable::from_networks(&[])).unwrap()
}

fn outcome(
    serving: &Serving,
    client: &str,
    transport: Transport,
    query: &str,
) -> (Outcome, Vec<u8>) {
    let address: IpAddr = client.parse().unwrap();
    let request = Asked::read(query).unwrap().message;
    let mut out = vec![0; 65_535];
    let peer = Peer { address, transport };
    let scratch = &mut Scratch::default();
    let outcome = answer(serving, &serving.workers[0], scratch, &request, peer, &mut out);
    if let Outcome::Reply { length, .. } = outcome {
        out.truncate(length);
    }
    (outcome, out)
}

fn is_denied(serving: &Serving, client: &str, transport: Transport) -> bool {
    let (outcome, _) = outcome(serving, client, transport, "www.example.com A");
    matches!(outcome, Outcome::Reply { refusal: Some(Refusal::Access), .. })
}

/// Point 25; RFC 8914 4.19: Prohibited.
#[test]
fn who_may_not_ask_is_refused_with_the_extended_error() {
    let serving = serve("[access]\ndeny = \"198.51.100.0/24\"");
    let (refused, reply) =
        outcome(&serving, "198.51.100.7", Transport::Udp, "www.example.com A rd size=1232");
    assert!(
        matches!(refused, Outcome::Reply { refusal: Some(Refusal::Access), .. }),
        "{refused:?}"
    );
    let request = Asked::read("www.example.com A rd size=1232").unwrap().message;
    let shown = message::show(&reply, &request).unwrap();
    assert!(shown.starts_with("REFUSED rd\n") && shown.contains("ede=18"), "{shown}");
    assert!(reply.len() <= request.len() + 6, "an extended error is all that is added");
    assert!(!is_denied(&serving, "198.51.101.7", Transport::Udp));
}

/// Point 25.
#[test]
fn who_is_denied_in_silence_gets_nothing_whatever_it_sends() {
    let serving = serve("[access]\ndeny = \"198.51.100.0/24\"\naction = \"drop\"");
    for query in [
        "www.example.com A",
        "www.example.com A version=1 size=512",
        "hex 0000 2800 0000 0000 0000 0000",
    ] {
        let (dropped, _) = outcome(&serving, "198.51.100.7", Transport::Tcp, query);
        assert_eq!(dropped, Outcome::Drop(DropReason::Denied), "{query}");
        let (answered, _) = outcome(&serving, "192.0.2.1", Transport::Tcp, query);
        assert!(matches!(answered, Outcome::Reply { .. }), "{query}");
    }
}

/// Point 25: exceptions within exceptions.
#[test]
fn the_most_specific_network_decides() {
    let serving = serve(
        "[access]\ndeny = [\"10.0.0.0/8\", \"10.1.1.0/24\"]\nallow = [\"10.1.0.0/16\", \"0.0.0.0/0\"]",
    );
    for (client, denied) in [
        ("10.0.0.1", true),
        ("10.1.0.1", false),
        ("10.1.1.1", true),
        ("192.0.2.1", false),
        // There is an `allow`, and it names no IPv6.
        ("2001:db8::1", true),
        ("::ffff:10.1.0.1", false),
    ] {
        assert_eq!(is_denied(&serving, client, Transport::Udp), denied, "{client}");
    }
}

/// Point 25.
#[test]
fn lists_of_a_transport_come_on_top_of_the_general_ones() {
    let serving = serve(
        "[access]\ndeny = \"198.51.100.0/24\"\nudp = { allow = \"0.0.0.0/0\", deny = \"192.0.2.0/24\" }",
    );
    for transport in Transport::ALL {
        assert!(is_denied(&serving, "198.51.100.1", transport), "{transport}");
        let is_udp = transport == Transport::Udp;
        assert_eq!(is_denied(&serving, "192.0.2.1", transport), is_udp, "{transport}");
        assert!(!is_denied(&serving, "203.0.113.1", transport), "{transport}");
    }
}

/// Point 25: in a group as alone.
#[test]
fn a_group_is_admitted_one_by_one() {
    use windrose::answer::{Prepared, prepare_all};
    let serving = serve("[access]\ndeny = \"198.51.100.0/24\"");
    let request = Asked::read("www.example.com A").unwrap().message;
    let clients = ["198.51.100.1", "192.0.2.1", "198.51.100.2"];
    let mut prepared = [const { None::<Prepared<'_>> }; 3];
    let asked = clients.iter().map(|client| {
        (&*request, Peer { address: client.parse().unwrap(), transport: Transport::Udp })
    });
    prepare_all(&serving, &serving.workers[0], asked, &mut prepared);
    let mut out = [0; 4_096];
    let refusals = prepared.iter().flatten().map(|prepared| {
        match prepared.answer(&serving, &serving.workers[0], &mut Scratch::default(), &mut out) {
            Outcome::Reply { refusal, .. } => refusal,
            Outcome::Drop(_) => panic!("a refusal is a reply"),
        }
    });
    let refusals: Vec<_> = refusals.collect();
    assert_eq!(refusals, [Some(Refusal::Access), None, Some(Refusal::Access)]);
}
