//! Whatever the bytes: a proper reply or silence, never a panic; and good queries
//! between them are answered as if nothing had been.
//!
//! The same numbers on every run; `WINDROSE_SEED=n` gives others and
//! `WINDROSE_ROUNDS=n` more. The fuzz targets in `fuzz/` check the same.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod config_support;
mod dns_support;

use std::net::IpAddr;

use dns_support::{Random, invariants, message, requests, rich, serving};
use hickory_proto::op::Message as HickoryMessage;
use windrose::answer::{Peer, Scratch};
use windrose::dns::Name;
use windrose::dns::query::Query;
use windrose::metrics::Transport;

const ROUNDS: usize = 60_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn random() -> (Random, usize) {
    let seed = setting("WINDROSE_SEED", 1);
    (Random(seed), setting("WINDROSE_ROUNDS", ROUNDS as u64) as usize)
}

fn peer(random: &mut Random) -> Peer {
    let addresses = ["192.0.2.53", "81.1.2.3", "10.1.2.3", "2001:db8::53", "::ffff:81.1.2.3"];
    let address: IpAddr = random.pick(&addresses).parse().unwrap();
    let transport = if random.below(4) == 0 { Transport::Tcp } else { Transport::Udp };
    Peer { address, transport }
}

#[test]
fn every_well_formed_query_gets_a_proper_reply() {
    let (mut random, rounds) = random();
    let serving = rich::serving();
    let mut scratch = Scratch::default();
    let mut rcodes = std::collections::BTreeMap::new();
    for round in 0..rounds {
        let request = requests::query(&mut random);
        let peer = peer(&mut random);
        let reply = serving::ask(&serving, &mut scratch, &request, peer);
        check(round, &request, reply.as_deref(), peer);
        let rcode = message::read(&reply.unwrap()).unwrap().rcode();
        *rcodes.entry(rcode).or_insert(0) += 1;
    }
    // The generator reaches all of them.
    assert_eq!(rcodes.keys().copied().collect::<Vec<_>>(), [0, 1, 3, 4, 5, 6, 9, 16], "{rcodes:?}");
}

#[test]
fn every_spoiled_query_gets_a_proper_reply_or_silence_and_harms_no_other() {
    let (mut random, rounds) = random();
    let serving = rich::serving();
    let mut scratch = Scratch::default();
    let good = good_query();
    let peer_of_good = Peer { address: [192, 0, 2, 53].into(), transport: Transport::Udp };
    let expected = serving::ask(&serving, &mut scratch, &good, peer_of_good).unwrap();
    for round in 0..rounds {
        let request = requests::spoiled(&mut random);
        let peer = peer(&mut random);
        let reply = serving::ask(&serving, &mut scratch, &request, peer);
        check(round, &request, reply.as_deref(), peer);
        if round % 64 == 0 {
            let reply = serving::ask(&serving, &mut scratch, &good, peer_of_good).unwrap();
            assert_eq!(reply, expected, "after round {round}");
        }
    }
}

/// What is read as a query here is one to another reader too. Stricter there:
/// records that are passed over here (their data is not looked at, pointers in
/// their owners are not followed) and data of options that mean nothing here.
#[test]
fn what_is_taken_for_a_query_is_one() {
    let (mut random, rounds) = random();
    let (mut taken, mut known) = (0, 0);
    for round in 0..rounds {
        let request = requests::spoiled(&mut random);
        let Ok(query) = Query::parse(&request) else { continue };
        taken += 1;
        let Ok(theirs) = HickoryMessage::from_vec(&request) else {
            let plain = request[6..10] == [0; 4] && request[10..12] == [0; 2];
            assert!(!plain, "round {round}: refused by the other reader: {request:02x?}");
            known += 1;
            continue;
        };
        assert_eq!(theirs.queries.len(), 1, "round {round}");
        let asked = &theirs.queries[0];
        assert_eq!(u16::from(asked.query_type()), query.qtype, "round {round}");
        assert_eq!(u16::from(asked.query_class()), query.qclass, "round {round}");
        let mut labels = windrose::dns::name::labels(query.qname);
        assert!(asked.name().iter().eq(&mut labels), "round {round}");
        assert_eq!(theirs.edns.is_some(), query.edns.is_some(), "round {round}");
    }
    assert!(taken > rounds / 20 && known < taken / 10, "{taken} taken, {known} refused");
}

fn good_query() -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(Name::parse("a.b.w.example.com").unwrap().wire());
    message.extend([0, 15, 0, 1]);
    message
}

/// Says which request it was; what was wrong with the reply has been said before.
fn check(round: usize, request: &[u8], reply: Option<&[u8]>, peer: Peer) {
    let outcome = std::panic::catch_unwind(|| invariants::check(request, reply, peer));
    if outcome.is_err() {
        let shown = reply.map(|reply| message::show(reply, request));
        panic!("round {round}, {peer:?}\nrequest {request:02x?}\nreply {shown:#?}");
    }
}
