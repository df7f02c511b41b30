//! From one snapshot to the next: turns go on, counts never go back
//! (docs/OPERATING.md).

#![allow(clippy::unwrap_used)] // a panic here is a failed test

mod config_support;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use config_support::MemoryFiles;
use windrose::answer::{Peer, Scratch, answer};
use windrose::config;
use windrose::dns::Name;
use windrose::geo::BaseTable;
use windrose::health::table::{Table, Word};
use windrose::metrics::Transport;
use windrose::snapshot::{self, Input, Serials, Serving};

const SITES: &str = r#"
[zone."z.example"]
nameservers = ["ns1.example.net"]
hostmaster = "h@z.example"
[datacenter.a]
vip = "192.0.2.1"
[datacenter.b]
vip = "192.0.2.2"
[datacenter.c]
vip = "192.0.2.3"
"#;
const DEFAULTS: &str = r#"
[wip_defaults]
policy = "round-robin"
members = ["a", "b", "c"]
"#;

fn serving(wips: &str, previous: Option<&Serving>) -> Serving {
    serving_with(&format!("{DEFAULTS}{wips}"), previous)
}

fn serving_with(rest: &str, previous: Option<&Serving>) -> Serving {
    let mut files = MemoryFiles::default();
    files.insert("w.toml", format!("{SITES}{rest}").as_str());
    let loaded = config::load(Path::new("w.toml"), &files);
    let report = loaded.problems.render(&loaded.sources, false);
    let input = Input {
        config: Arc::new(loaded.config.expect(&report)),
        base: Arc::new(BaseTable::from_networks(&[])),
        serials: Serials::default(),
        now_s: 0,
        generation: 1,
    };
    let (snapshot, _) = snapshot::compile(input).unwrap();
    let table = Table::new(snapshot.plan.verdicts.len());
    (0..table.len() as u32).for_each(|id| table.set(id, Word::UP));
    Serving::new(Arc::new(snapshot), Arc::new(table), 1, previous)
}

/// Asks once; the last byte of the address.
fn ask(serving: &Serving, name: &str) -> u8 {
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(Name::parse(name).unwrap().wire());
    query.extend([0, 1, 0, 1]);
    let mut out = vec![0; 4_096];
    let peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), transport: Transport::Udp };
    let mut scratch = Scratch::default();
    match answer(serving, &serving.workers[0], &mut scratch, &query, peer, &mut out) {
        windrose::answer::Outcome::Reply { length, .. } => out[length - 1],
        other => panic!("{other:?}"),
    }
}

fn ask_times(serving: &Serving, times: usize) {
    for _ in 0..times {
        ask(serving, "x.z.example");
    }
}

fn counts(serving: &Serving) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    serving.each_answer_count(|wip, member, count| {
        counts.insert(format!("{wip} {member}"), count);
    });
    counts
}

#[test]
fn round_robin_goes_on_where_it_was() {
    let old = serving("[wip.\"x.z.example\"]\n", None);
    let before = ask(&old, "x.z.example");
    // Another WIP in front moves every place in memory.
    let new = serving("[wip.\"a.z.example\"]\n[wip.\"x.z.example\"]\n", Some(&old));
    let after = ask(&new, "x.z.example");
    assert_eq!(after, before % 3 + 1);
}

#[test]
fn counts_go_on_with_what_is_counted_until_the_last_moment() {
    let old = serving("[wip.\"x.z.example\"]\n[wip.\"gone.z.example\"]\n", None);
    ask_times(&old, 30);
    let new = serving("[wip.\"new.z.example\"]\n[wip.\"x.z.example\"]\n", Some(&old));
    // A worker that still holds the old one while the new one is made.
    ask_times(&old, 30);
    ask_times(&new, 3);
    new.take_counts_of(&old);
    let expected = |member: &str| (format!("x.z.example {member}"), 21);
    let mut all: BTreeMap<String, u64> = ["a", "b", "c"].map(expected).into();
    all.extend(["a", "b", "c"].map(|member| (format!("new.z.example {member}"), 0)));
    assert_eq!(counts(&new), all);

    let newest = serving("[wip.\"x.z.example\"]\nmembers = [\"c\", \"a\"]\n", Some(&new));
    newest.take_counts_of(&new);
    let kept: BTreeMap<String, u64> = ["a", "c"].map(expected).into();
    assert_eq!(counts(&newest), kept, "counts go by names, not by places");
}

#[test]
fn a_member_of_two_pools_is_one_series_that_goes_on_over_loads() {
    let pools = "[pool.near]\nmembers = [\"a\", \"b\"]\n[pool.far]\nmembers = [\"a\", \"c\"]\n\
                 [wip.\"x.z.example\"]\npolicy = \"round-robin\"\npools = [\"near\", \"far\"]\n";
    let sums = |serving: &Serving| {
        let mut sums = BTreeMap::new();
        serving.each_answer_count(|_, member, count| {
            *sums.entry(member.to_owned()).or_insert(0) += count;
        });
        sums
    };
    let old = serving_with(pools, None);
    ask_times(&old, 40);
    let before = sums(&old);
    assert_eq!(before.values().sum::<u64>(), 40);
    let new = serving_with(pools, Some(&old));
    new.take_counts_of(&old);
    assert_eq!(sums(&new), before);
    let newest = serving_with(pools, Some(&new));
    newest.take_counts_of(&new);
    assert_eq!(sums(&newest), before);
}

#[test]
fn a_wip_with_more_addresses_than_can_be_numbered_is_refused() {
    let mut text = String::from(
        "[zone.\"z.example\"]\nnameservers = [\"ns1.example.net\"]\nhostmaster = \"h@z.example\"\n",
    );
    for site in 0..256 {
        let vips: Vec<String> = (0..64).map(|vip| format!("\"10.0.{site}.{vip}\"")).collect();
        text += &format!("[datacenter.s{site}]\nvip = [{}]\n", vips.join(", "));
    }
    let members: Vec<String> = (0..256).map(|site| format!("\"s{site}\"")).collect();
    for pool in 0..4 {
        text += &format!("[pool.p{pool}]\nmembers = [{}]\n", members.join(", "));
    }
    let compiled = |pools: &str| {
        let mut files = MemoryFiles::default();
        let wip = format!("[wip.\"x.z.example\"]\npools = [{pools}]\n");
        files.insert("w.toml", format!("{text}{wip}").as_str());
        let loaded = config::load(Path::new("w.toml"), &files);
        let report = loaded.problems.render(&loaded.sources, false);
        let base = Arc::new(BaseTable::from_networks(&[]));
        let config = Arc::new(loaded.config.expect(&report));
        let serials = Serials::default();
        snapshot::compile(Input { config, base, serials, now_s: 0, generation: 1 }).map(drop)
    };
    assert_eq!(compiled("\"p0\", \"p1\", \"p2\""), Ok(()));
    let problems = compiled("\"p0\", \"p1\", \"p2\", \"p3\"").unwrap_err();
    assert_eq!(problems[0].code, "too-many-addresses");
    assert_eq!(problems[0].message, "its pools have 65536 addresses, each member's counted");
}

/// The next process with these WIPs.
fn taken_over(wips: &str, turns: &[u8]) -> (Serving, usize) {
    let serving = serving(wips, None);
    let taken = serving.take_turns(turns);
    (serving, taken)
}

#[test]
fn turns_go_on_in_another_process_by_name() {
    let x = "[wip.\"x.z.example\"]\n";
    let before = serving(x, None);
    let mut expected = serving(x, Some(&before));
    // Whatever turn it begins with, the next process goes on from there.
    for asked in 0..5 {
        ask_times(&before, 1);
        expected = serving(x, Some(&before));
        let others = format!("[wip.\"a.z.example\"]\n{x}[wip.\"y.z.example\"]\n");
        let (after, taken) = taken_over(&others, &before.turns());
        assert_eq!(taken, 1);
        assert_eq!(ask(&after, "x.z.example"), ask(&expected, "x.z.example"), "{asked}");
    }
    drop(expected);
}

#[test]
fn turns_that_are_cut_or_nonsense_are_taken_as_far_as_they_go() {
    let wips = "[wip.\"x.z.example\"]\n[wip.\"y.z.example\"]\n";
    let before = serving(wips, None);
    ask_times(&before, 1);
    let bytes = before.turns();
    let last_of_first = 4 + (bytes.len() - 4) / 2;
    for length in 0..bytes.len() {
        let (_, taken) = taken_over(wips, &bytes[..length]);
        assert_eq!(taken, usize::from(length >= last_of_first), "{length} bytes");
    }
    assert_eq!(taken_over(wips, &bytes).1, 2);
    // So many workers that no bytes could hold their turns.
    assert_eq!(taken_over(wips, &[255; 300]).1, 0);
    // Other workers than there are here.
    let mut few = 0u32.to_le_bytes().to_vec();
    few.extend_from_slice(&[1, 0]);
    assert_eq!(taken_over(wips, &few).1, 0);
}
