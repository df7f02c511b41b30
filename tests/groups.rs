//! Requests answered in groups are answered, and counted, as each by itself.
//!
//! The same numbers on every run; `WINDROSE_SEED=n` gives others.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod config_support;
mod dns_support;

use std::net::IpAddr;

use dns_support::{Random, requests, rich, serving};
use windrose::answer::{Outcome, Peer, Prepared, Scratch, answer, prepare_all};
use windrose::metrics::Transport;
use windrose::snapshot::Serving;

const GROUPS: usize = 4_000;
const GROUP_MAX: usize = 16;

/// What became of one request, with the reply's bytes.
type Made = (Outcome, Vec<u8>);

fn one(serving: &Serving, scratch: &mut Scratch, request: &[u8], peer: Peer) -> Made {
    let mut out = vec![0xaa; 65_535];
    let outcome = answer(serving, &serving.workers[0], scratch, request, peer, &mut out);
    (outcome, cut(outcome, &out))
}

fn cut(outcome: Outcome, out: &[u8]) -> Vec<u8> {
    match outcome {
        Outcome::Reply { length, .. } => out[..length].to_vec(),
        Outcome::Drop(_) => Vec::new(),
    }
}

fn group(serving: &Serving, scratch: &mut Scratch, asked: &[(Vec<u8>, Peer)]) -> Vec<Made> {
    let worker = &serving.workers[0];
    let mut prepared = [const { None::<Prepared<'_>> }; GROUP_MAX];
    prepare_all(
        serving,
        worker,
        asked.iter().map(|(request, peer)| (&**request, *peer)),
        &mut prepared,
    );
    let prepared = prepared.iter().flatten();
    // Replies share one buffer, as a batch's do: nothing is promised of its bytes.
    let mut out = vec![0xaa; 65_535];
    let made: Vec<Made> = prepared
        .map(|prepared| {
            let outcome = prepared.answer(serving, worker, scratch, &mut out);
            (outcome, cut(outcome, &out))
        })
        .collect();
    assert_eq!(made.len(), asked.len());
    made
}

fn counts(serving: &Serving) -> Vec<(String, String, u64)> {
    let mut all = Vec::new();
    serving.each_answer_count(|wip, member, count| all.push((wip.into(), member.into(), count)));
    serving.each_fail_open_count(|wip, count| all.push((wip.into(), String::new(), count)));
    all
}

#[test]
fn requests_in_groups_are_answered_and_counted_as_each_by_itself() {
    let seed = std::env::var("WINDROSE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut random = Random(seed);
    let (alone, together) = (rich::serving(), rich::serving());
    let (mut scratch_alone, mut scratch_together) = (Scratch::default(), Scratch::default());
    let (mut replies, mut drops) = (0, 0);
    for round in 0..GROUPS {
        if round == GROUPS / 2 {
            for serving in [&alone, &together] {
                serving::set_member(serving, "fra", "down").unwrap();
            }
        }
        let asked: Vec<(Vec<u8>, Peer)> = (0..=random.below(GROUP_MAX))
            .map(|_| {
                let request = match random.below(4) {
                    0 => requests::spoiled(&mut random),
                    _ => requests::query(&mut random),
                };
                let addresses = ["192.0.2.53", "81.1.2.3", "2001:db8::53", "::ffff:81.1.2.3"];
                let address: IpAddr = random.pick(&addresses).parse().unwrap();
                let transport = *random.pick(&Transport::ALL);
                (request, Peer { address, transport })
            })
            .take(GROUP_MAX)
            .collect();
        let together = group(&together, &mut scratch_together, &asked);
        for ((request, peer), together) in asked.iter().zip(together) {
            let alone = one(&alone, &mut scratch_alone, request, *peer);
            assert_eq!(alone, together, "{}", request.escape_ascii());
            let counter = if together.1.is_empty() { &mut drops } else { &mut replies };
            *counter += 1;
        }
    }
    assert_eq!(counts(&alone), counts(&together));
    let answered: u64 = counts(&alone).iter().map(|(_, _, count)| count).sum();
    // The generator reaches decided answers, other replies, and silence.
    assert!(answered > 1_000 && replies > 10_000 && drops > 100, "{answered} {replies} {drops}");
}
