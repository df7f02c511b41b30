//! The bodies of the fuzz targets, on their seeds and on what becomes of them when bytes
//! change: what fuzzing at length would find soon is found here.
//!
//! `WINDROSE_ROUNDS=n` for more; `fuzz/` for without end.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod config_support;
mod dns_support;

use std::path::Path;

use dns_support::{Random, oracles};

const ROUNDS: usize = 300;

/// Runs a target on its seeds, and on seeds with some bytes changed.
fn survives(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let rounds = std::env::var("WINDROSE_ROUNDS").ok().and_then(|text| text.parse().ok());
    let mut random = Random(1);
    let mut seeds = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{target}: {error}")) {
        let path = entry.unwrap().path();
        let seed = std::fs::read(&path).unwrap();
        body(&seed);
        seeds += 1;
        for round in 0..rounds.unwrap_or(ROUNDS) {
            let mut changed = seed.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(changed.len().max(1));
                match random.below(4) {
                    0 => changed.truncate(at),
                    1 => changed.insert(at.min(changed.len()), random.next() as u8),
                    2 if at < changed.len() => changed[at] = *random.pick(&[0, 1, 8, 0xc0, 0xff]),
                    _ if at < changed.len() => changed[at] ^= 1 << random.below(8),
                    _ => {}
                }
            }
            let outcome = std::panic::catch_unwind(|| body(&changed));
            assert!(outcome.is_ok(), "{}, round {round}: {changed:02x?}", path.display());
        }
    }
    assert!(seeds > 0, "{target} has no seeds");
}

#[test]
fn any_request_gets_a_reply_that_it_may_get() {
    survives("answer", oracles::answer);
}

#[test]
fn two_readers_of_queries_agree() {
    survives("query", oracles::query);
}

#[test]
fn any_opt_record_is_read_as_the_options_in_it_and_answered() {
    survives("edns", oracles::edns);
}

#[test]
fn two_readers_of_messages_agree() {
    survives("message", oracles::message);
}

#[test]
fn what_is_signed_is_taken_and_what_is_changed_is_not() {
    survives("tsig", oracles::tsig);
}

#[test]
fn messages_of_a_stream_come_out_however_it_is_cut() {
    survives("tcp_framing", oracles::tcp_framing);
}

#[test]
fn a_proxy_header_says_what_stands_in_it() {
    survives("proxy", oracles::proxy);
}

#[test]
fn a_query_string_holds_the_message_that_another_decoder_finds() {
    survives("doh_get", oracles::doh_get);
}
