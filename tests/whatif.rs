//! What `simulate` and `diff` say is what clients get: against real queries, asked one by
//! one, over random configs and states of health; and exact cases by hand.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod config_support;
mod dns_support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use config_support::MemoryFiles;
use dns_support::{Random, message, serving};
use windrose::answer::{Peer, Scratch};
use windrose::dns::Name;
use windrose::geo::BaseTable;
use windrose::health::table::{Override, State, TTL_CAP_NONE, Table, Word};
use windrose::metrics::Transport;
use windrose::snapshot::Serving;
use windrose::whatif::{Change, Comparison, Measure, Moves, Stopped, Weighted, compare};

const MAIN: &str = "windrose.toml";
const HEAD: &str = "[zone.\"example.com\"]\nnameservers = [\"ns1.example.net\"]\nhostmaster = \"h@example.net\"\n[health_check.c]\ntype = \"tcp\"\nport = 80\n";

fn load(config: &str, places: &[(&str, &str)]) -> Serving {
    let places: Vec<_> = places
        .iter()
        .map(|(network, place)| (network.parse().unwrap(), serving::place(place).unwrap()))
        .collect();
    let files = MemoryFiles::parse(MAIN, &format!("{HEAD}{config}"));
    serving::load(MAIN, &files, BaseTable::from_networks(&places))
        .unwrap_or_else(|error| panic!("{error}\n{config}"))
}

/// The same config in another state of health: `word_of` a member's name.
fn with_words(serving: &Serving, word_of: impl Fn(&str) -> Word) -> Serving {
    let health = Table::new(serving.health.len());
    let snapshot = &serving.snapshot;
    for entry in &snapshot.wips {
        let strategy = snapshot.strategy(entry);
        let verdicts = snapshot.verdicts(entry, strategy);
        for (name, member) in snapshot.member_names(entry).into_iter().zip(&strategy.members) {
            for vip in member.vips.clone() {
                health.set(verdicts[usize::from(vip)], word_of(name));
            }
        }
    }
    // Turns of its own, so that two states that are asked alike are in step.
    Serving::new(Arc::clone(snapshot), Arc::new(health), 1, None)
}

fn down(at_s: u32) -> Word {
    Word::new(State::Down, false, Override::None, TTL_CAP_NONE, at_s)
}

fn compared(before: &Serving, after: &Serving, weights: &[Weighted]) -> Comparison {
    compare(before, after, weights, 1_000, &|| true).unwrap()
}

fn weighted(list: &[(&str, f64)]) -> Vec<Weighted> {
    list.iter().map(|(network, weight)| Weighted::new(network, *weight).unwrap()).collect()
}

fn flows(moves: &Moves) -> Vec<(String, f64)> {
    let rounded = |share: f64| (share * 1e6).round() / 1e6;
    moves.flows.iter().map(|([a, b], share)| (format!("{a} {b}"), rounded(*share))).collect()
}

//------------ Oracle ---------------------------------------------------------

/// The addresses a client gets, each with its share over so many queries.
///
/// A client asks for the type of its family, or for the other where the WIP has none.
fn ask(serving: &Serving, wip: &str, client: IpAddr, queries: u32) -> BTreeMap<String, f64> {
    let snapshot = &serving.snapshot;
    let index = (0..).find(|index| snapshot.wip_name(*index) == wip).unwrap();
    let strategy = snapshot.strategy(&snapshot.wips[index as usize]);
    let records = strategy.vips.iter().map(|vip| &vip.record).chain(&strategy.fallback);
    let has_v6 = records.clone().any(|record| record.address().is_ipv6());
    let rtype: u8 = if client.is_ipv4() || !has_v6 { 1 } else { 28 };
    let mut request = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    request.extend(Name::parse(wip).unwrap().wire());
    request.extend([0, rtype, 0, 1]);
    let mut scratch = Scratch::default();
    let peer = Peer { address: client, transport: Transport::Tcp };
    let mut shares = BTreeMap::new();
    for _ in 0..queries {
        let reply = serving::ask(serving, &mut scratch, &request, peer).unwrap();
        let reply = message::read(&reply).unwrap();
        let answers: Vec<_> = reply.records.iter().filter(|record| record.section == 0).collect();
        let each = 1.0 / f64::from(queries);
        if answers.is_empty() {
            *shares.entry("nobody".to_owned()).or_default() += each;
        }
        for answer in &answers {
            *shares.entry(answer.rdata.clone()).or_default() += each / answers.len() as f64;
        }
    }
    shares
}

/// Who has an address, as whatif calls it.
fn owner(address: &str) -> String {
    let Ok(address) = address.parse::<IpAddr>() else { return address.to_owned() };
    let number = match address {
        IpAddr::V4(v4) => v4.octets()[2],
        IpAddr::V6(v6) => v6.octets()[5],
    };
    match number {
        200 => format!("{address} (last resort)"),
        100.. => format!("spare{number}"),
        _ => format!("dc{number}"),
    }
}

/// What moves, by asking every client before and after.
fn by_asking(
    states: [&Serving; 2],
    wip: &str,
    clients: &[(IpAddr, f64)],
    queries: u32,
) -> (f64, BTreeMap<String, [f64; 2]>) {
    let all: f64 = clients.iter().map(|(_, weight)| weight).sum();
    let (mut moved, mut shares) = (0.0, BTreeMap::<String, [f64; 2]>::new());
    for &(client, weight) in clients {
        let answers = states.map(|state| ask(state, wip, client, queries));
        let stays: f64 = answers[0]
            .iter()
            .map(|(address, share)| share.min(answers[1].get(address).copied().unwrap_or(0.0)))
            .sum();
        moved += (1.0 - stays) * weight / all;
        for (side, answer) in answers.iter().enumerate() {
            for (address, share) in answer {
                shares.entry(owner(address)).or_default()[side] += share * weight / all;
            }
        }
    }
    (moved, shares)
}

//------------ Random configs -------------------------------------------------

/// Datacenters with addresses in the families some have, WIPs of every policy.
fn random_config(random: &mut Random, checks: &str) -> (String, usize) {
    let mut text = String::new();
    let sites = 2 + random.below(3);
    for site in 0..sites {
        let mut vips = vec![format!("\"192.0.{site}.1\"")];
        if random.below(3) == 0 {
            vips.push(format!("\"192.0.{site}.2\""));
        }
        if random.below(4) == 0 {
            vips.push(format!("{{ address = \"192.0.{site}.9\", for = [\"10.0.0.0/8\"] }}"));
        }
        if random.below(3) > 0 {
            vips.push(format!("\"2001:db8:{site}::1\""));
        }
        let location = random.pick(&["country = \"DE\"", "country = \"US\"", "country = \"JP\""]);
        let serves =
            random.pick(&["", "serves = [\"203.0.113.0/24\"]\n", "serves = [\"country:FR\"]\n"]);
        let vips = vips.join(", ");
        writeln!(
            text,
            "[datacenter.dc{site}]\nvip = [{vips}]\nlocation = {{ {location} }}\n{serves}"
        )
        .unwrap();
    }
    for pool in 0..2 {
        let policy = random.pick(&["geo", "round-robin", "weighted", "failover", "hash"]);
        let first = random.below(sites);
        let mut members = vec![format!("{{ datacenter = \"dc{first}\", weight = 3 }}")];
        members.push(format!("{{ name = \"spare10{pool}\", address = \"192.0.10{pool}.1\" }}"));
        let other = (first + 1) % sites;
        members.push(format!("\"dc{other}\""));
        let least = 1 + random.below(2);
        let members = members.join(", ");
        writeln!(
            text,
            "[pool.p{pool}]\npolicy = \"{policy}\"\nmembers = [{members}]\nmin_available = {least}"
        )
        .unwrap();
    }
    let wips = 4;
    for wip in 0..wips {
        let policy = random.pick(&["geo", "round-robin", "weighted", "failover", "hash"]);
        let members: Vec<String> = (0..sites).map(|site| format!("\"dc{site}\"")).collect();
        let whom = match random.below(3) {
            0 => "pools = [\"p0\", \"p1\"]".to_owned(),
            _ => format!("members = [{}]", members.join(", ")),
        };
        let all_down = random.pick(&[
            "\"all\"",
            "\"first\"",
            "\"nodata\"",
            "\"last-known-good\"",
            "{ addresses = [\"192.0.200.1\", \"2001:db8:200::1\"] }",
        ]);
        let families = random.pick(&["together", "independent"]);
        let answers = 1 + random.below(2);
        writeln!(
            text,
            "[wip.\"w{wip}.example.com\"]\npolicy = \"{policy}\"\n{whom}\nmax_answers = {answers}\n\
             on_all_down = {all_down}\nfamilies = \"{families}\"\n{checks}"
        )
        .unwrap();
    }
    (text, wips)
}

const PLACES: [(&str, &str); 7] = [
    ("203.0.112.0/22", "country=DE"),
    ("198.51.96.0/21", "country=US"),
    ("100.0.0.0/22", "country=FR"),
    ("1.0.0.0/23", "country=JP"),
    ("2a00::/47", "country=DE"),
    ("2600::/46", "country=US"),
    ("2001:200::/48", "country=JP"),
];

/// A state of every member: mostly up.
fn random_word(random: &mut Random) -> Word {
    match random.below(9) {
        0 | 1 => down(1 + random.below(3) as u32),
        2 => Word::UP.with_override(Override::Drained),
        3 => Word::UP.with_override(Override::ForcedDown),
        4 => Word::UP.with_share(1 + random.below(255) as u16),
        5 => Word::UNKNOWN,
        _ => Word::UP,
    }
}

fn random_states(random: &mut Random, serving: &Serving) -> [Serving; 2] {
    let mut state = || {
        let mut words: BTreeMap<String, Word> = BTreeMap::new();
        for site in 0..4 {
            words.insert(format!("dc{site}"), random_word(random));
        }
        (0..2).for_each(|spare| {
            words.insert(format!("spare10{spare}"), random_word(random));
        });
        let calm = random.below(3) == 0;
        with_words(serving, |name| if calm { Word::UP } else { words[name] })
    };
    [state(), state()]
}

/// Clients that are somebody, and some about whom nothing is known.
fn random_clients(random: &mut Random, count: usize) -> Vec<(IpAddr, f64)> {
    let clients = (0..count).map(|_| {
        let low = random.next() as u32;
        let address: IpAddr = match random.below(8) {
            0 => Ipv4Addr::from(0xcb00_7000 | low & 0x3ff).into(),
            1 => Ipv4Addr::from(0xc633_6000 | low & 0x7ff).into(),
            2 => Ipv4Addr::from(0x6400_0000 | low & 0x3ff).into(),
            3 => Ipv4Addr::from(0x0a00_0000 | low & 0xffff).into(),
            4 => Ipv4Addr::from(0x5000_0000 | low & 0xffff).into(),
            5 => Ipv6Addr::from(0x2a00u128 << 112 | u128::from(low) << 64).into(),
            6 => Ipv6Addr::from(0x2600u128 << 112 | u128::from(low) << 65).into(),
            _ => Ipv6Addr::from(0x2001_0200u128 << 96 | u128::from(low) << 40).into(),
        };
        (address, 1.0 + random.below(9) as f64)
    });
    clients.collect()
}

/// One query where nobody takes turns; else a whole cycle, or many.
fn queries_of(serving: &Serving, wip: usize) -> (u32, f64) {
    let snapshot = &serving.snapshot;
    let strategy = snapshot.strategy(&snapshot.wips[wip]);
    if strategy.takes_turns { (480, 0.03) } else { (1, 1e-9) }
}

#[test]
fn what_is_told_is_what_every_client_gets() {
    let mut moving = 0;
    for seed in 0..16 {
        let mut random = Random(seed);
        let (config, wips) = random_config(&mut random, "health_check = \"c\"");
        let served = load(&config, &PLACES);
        let [before, after] = random_states(&mut random, &served);
        let clients = random_clients(&mut random, 8);
        let weights: Vec<Weighted> = clients
            .iter()
            .map(|(address, weight)| Weighted::new(&address.to_string(), *weight).unwrap())
            .collect();
        let told = compared(&before, &after, &weights);
        assert_eq!((told.wips, told.measure), (wips as u64, Measure::Weights));
        let mut mean = 0.0;
        for wip in 0..wips {
            let name = format!("w{wip}.example.com");
            let (queries, tolerance) = queries_of(&served, wip);
            let (moved, shares) = by_asking([&before, &after], &name, &clients, queries);
            let moves = told.names.iter().find(|moves| moves.name == name);
            let said = moves.map_or(0.0, |moves| moves.moves.moved);
            let near = |a: f64, b: f64| (a - b).abs() <= tolerance;
            assert!(near(said, moved), "seed {seed} {name}: told {said}, asked {moved}\n{config}");
            mean += said / wips as f64;
            let Some(moves) = moves else { continue };
            moving += 1;
            for (to, share) in &shares {
                let told = moves.moves.shares.iter().find(|(name, _)| name == to);
                let told = told.map_or([0.0; 2], |(_, share)| *share);
                assert!(
                    near(told[0], share[0]) && near(told[1], share[1]),
                    "seed {seed} {name} to {to}: told {told:?}, asked {share:?}\n{config}"
                );
            }
        }
        assert!((told.all.moved - mean).abs() < 1e-9, "{} {mean}", told.all.moved);
    }
    assert!(moving > 20, "{moving}: too few move to tell anything");
}

#[test]
fn shares_are_whole_and_flows_are_what_moves() {
    for seed in 100..106 {
        let mut random = Random(seed);
        let (config, _) = random_config(&mut random, "health_check = \"c\"");
        let served = load(&config, &PLACES);
        let [before, after] = random_states(&mut random, &served);
        for told in [compared(&before, &after, &[]), compared(&after, &before, &[])] {
            let named = told.names.iter().map(|name| &name.moves);
            for moves in named.chain([&told.all]) {
                for side in 0..2 {
                    let all: f64 = moves.shares.iter().map(|(_, share)| share[side]).sum();
                    assert!((all - 1.0).abs() < 1e-6, "seed {seed}: {all} {moves:?}");
                }
                let flows: f64 = moves.flows.iter().map(|(_, share)| share).sum();
                assert!((flows - moves.moved).abs() < 1e-6, "seed {seed}: {moves:?}");
                let families = (moves.moved_v4 + moves.moved_v6) / 2.0;
                assert!((families - moves.moved).abs() < 1e-6, "seed {seed}: {moves:?}");
                for (to, share) in &moves.shares {
                    let gained: f64 = moves
                        .flows
                        .iter()
                        .map(|([from, into], share)| {
                            share * (f64::from(into == to) - f64::from(from == to))
                        })
                        .sum();
                    assert!((share[1] - share[0] - gained).abs() < 1e-6, "seed {seed}: {moves:?}");
                }
            }
        }
    }
}

#[test]
fn nothing_moves_when_nothing_changes() {
    for seed in 200..205 {
        let mut random = Random(seed);
        let (config, wips) = random_config(&mut random, "health_check = \"c\"");
        let served = load(&config, &PLACES);
        let [state, _] = random_states(&mut random, &served);
        // Itself, and itself loaded again: another snapshot, tables and maps of its own.
        let again = load(&config, &PLACES);
        for id in 0..again.health.len() as u32 {
            again.health.set(id, state.health.word(id));
        }
        for other in [&state, &again] {
            let told = compared(&state, other, &[]);
            assert_eq!((told.wips, told.wips_moved, told.wips_lost), (wips as u64, 0, 0));
            assert_eq!((told.names_added, told.names_removed), (0, 0));
            assert_eq!((told.all.moved, told.names, told.all.flows), (0.0, vec![], vec![]));
            let shares = told.all.shares.iter();
            assert!(shares.into_iter().all(|(_, share)| share[0] == share[1]));
        }
    }
}

//------------ By hand --------------------------------------------------------

/// Two sites in Germany and the United States, and one WIP with these settings.
fn two_sites(wip: &str) -> Serving {
    let sites = "[datacenter.fra]\nvip = \"192.0.0.1\"\nlocation = { country = \"DE\" }\n\
                 [datacenter.iad]\nvip = \"192.0.1.1\"\nlocation = { country = \"US\" }\n";
    load(
        &format!("{sites}[wip.\"w.example.com\"]\nhealth_check = \"c\"\n{wip}"),
        &[
            ("203.0.112.0/24", "country=DE"),
            ("198.51.96.0/22", "country=US"),
            ("2a00::/32", "country=DE"),
        ],
    )
}

#[test]
fn address_space_weighs_by_address_and_each_family_half() {
    let up = two_sites("members = [\"fra\", \"iad\"]");
    let lost = with_words(&up, |name| if name == "iad" { down(1) } else { Word::UP });
    let told = compared(&up, &lost, &[]);
    assert_eq!((told.wips_moved, told.wips_lost, told.measure), (1, 0, Measure::AddressSpace));
    // 4 of 5 known /24s are American; all of known IPv6 is German.
    assert!((told.all.moved_v4 - 0.8).abs() < 1e-9, "{:?}", told.all);
    assert_eq!((told.all.moved_v6, told.names[0].change), (0.0, Change::Moved));
    assert_eq!(flows(&told.all), [("iad fra".to_owned(), 0.4)]);
}

#[test]
fn a_weights_file_is_respected_to_the_letter() {
    let up = two_sites("members = [\"fra\", \"iad\"]");
    let lost = with_words(&up, |name| if name == "fra" { down(1) } else { Word::UP });
    // German, American, half and half, and a /32 about which nothing is known: its order
    // is the config's.
    let list = weighted(&[
        ("203.0.112.0/26", 10.0),
        ("198.51.97.0/24", 20.0),
        ("203.0.112.128/25", 4.0),
        ("203.0.112.0/24", 6.0),
        ("2a00::/48", 8.0),
        ("192.0.2.1", 2.0),
    ]);
    let told = compared(&up, &lost, &list);
    assert_eq!(flows(&told.all), [("fra iad".to_owned(), 0.6)]);
    assert!((told.all.moved_v4 - 22.0 / 42.0).abs() < 1e-9 && told.all.moved_v6 == 1.0);
    // A network half of which is another's: by address space inside it.
    let split =
        compared(&up, &lost, &weighted(&[("203.0.112.0/23", 1.0), ("198.51.96.0/21", 3.0)]));
    // 203.0.113.0/24 and 198.51.100.0/22 are unknown: the first of the config, fra.
    assert_eq!(flows(&split.all), [("fra iad".to_owned(), 0.25 + 0.375)]);
}

#[test]
fn turns_move_what_their_shares_lose() {
    for (policy, share) in [("round-robin", 0.5), ("weighted", 0.25)] {
        let up = two_sites(&format!(
            "policy = \"{policy}\"\nmembers = [{{ datacenter = \"fra\", weight = 1 }}, \
             {{ datacenter = \"iad\", weight = 3 }}]"
        ));
        let lost = with_words(&up, |name| if name == "fra" { down(1) } else { Word::UP });
        let told = compared(&up, &lost, &[]);
        assert!((told.all.moved - share).abs() < 0.001, "{policy}: {}", told.all.moved);
        assert_eq!(told.all.shares.last().unwrap().0, "fra");
    }
}

/// The shares of IPv4 clients among members that take turns, `count` of them: their names
/// and addresses, and in which state.
fn shares_in_turn(members: &[&str], settings: &str, word: impl Fn(&str) -> Word) -> Vec<f64> {
    let sites = members.iter().enumerate();
    let sites: String =
        sites.map(|(n, vips)| format!("[datacenter.dc{n}]\nvip = [{vips}]\n")).collect();
    let names: Vec<String> = (0..members.len()).map(|n| format!("\"dc{n}\"")).collect();
    let names = names.join(", ");
    let wip = format!(
        "[wip.\"w.example.com\"]\nhealth_check = \"c\"\npolicy = \"round-robin\"\n\
         members = [{names}]\n{settings}"
    );
    let up = load(&format!("{sites}{wip}"), &[("203.0.112.0/24", "country=DE")]);
    let state = with_words(&up, word);
    let told = compared(&state, &state, &weighted(&[("203.0.112.0/24", 1.0)]));
    told.all.shares.iter().map(|(_, share)| share[0]).collect()
}

#[test]
fn turns_are_shared_alike_by_those_whose_turn_comes() {
    let thirds = |shares: Vec<f64>, what: &str| {
        let are_thirds = shares.iter().all(|share| (share - 1.0 / 3.0).abs() < 1e-9);
        assert!(are_thirds && shares.len() == 3, "{what}: {shares:?}");
    };
    let v4 = |n: usize| format!("\"192.0.{n}.1\"");
    // One of four has no address of the family, and takes no turn in it.
    let members = ["\"2001:db8::1\"".to_owned(), v4(1), v4(2), v4(3)];
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let independent = "families = \"independent\"";
    thirds(shares_in_turn(&members, independent, |_| Word::UP), "families");
    let members: Vec<String> = (0..7).map(v4).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let is_one_of = |name: &str| ["dc0", "dc3", "dc4"].contains(&name);
    let drained = |name: &str| match is_one_of(name) {
        true => Word::UP.with_override(Override::Drained),
        false => down(1),
    };
    thirds(shares_in_turn(&members, "", drained), "drained in good health");
    let lost_last = |name: &str| down(if is_one_of(name) { 9 } else { 1 });
    let settings = "on_all_down = \"last-known-good\"";
    thirds(shares_in_turn(&members, settings, lost_last), "lost last");
}

#[test]
fn hash_moves_the_lost_members_clients_alone() {
    let up = two_sites("policy = \"hash\"\nmembers = [\"fra\", \"iad\"]");
    let lost = with_words(&up, |name| if name == "iad" { down(1) } else { Word::UP });
    let told = compared(&up, &lost, &[]);
    assert!((0.3..0.7).contains(&told.all.moved), "{}", told.all.moved);
    assert_eq!(told.all.flows.len(), 1, "{:?}", told.all.flows);
    let back = compared(&lost, &up, &[]);
    assert!((back.all.moved - told.all.moved).abs() < 1e-9);
}

#[test]
fn a_last_resort_is_told_and_none_is_nobody() {
    for (all_down, flow, change) in [
        // As if all were up: answers stay where they are, and are worth nothing.
        ("\"all\"", vec![], Change::Lost),
        ("\"nodata\"", vec![("fra nobody".to_owned(), 1.0)], Change::Lost),
        (
            "{ addresses = [\"192.0.2.9\"] }",
            vec![("fra 192.0.2.9 (last resort)".to_owned(), 1.0)],
            Change::Lost,
        ),
    ] {
        let up = two_sites(&format!("members = [\"fra\"]\non_all_down = {all_down}"));
        let lost = with_words(&up, |_| down(1));
        let told = compared(&up, &lost, &[]);
        assert_eq!((told.wips_lost, told.names[0].change), (1, change), "{all_down}");
        assert_eq!(flows(&told.all), flow, "{all_down}");
        let back = compared(&lost, &up, &[]);
        assert_eq!(back.wips_lost, 0, "{all_down}");
    }
}

#[test]
fn a_diff_tells_names_that_come_go_and_change_hands() {
    let sites = "[datacenter.fra]\nvip = \"192.0.0.1\"\n[datacenter.iad]\nvip = \"192.0.1.1\"\n";
    let wip = |name: &str, first: &str, aliases: &str| {
        format!(
            "[wip.\"{name}.example.com\"]\npolicy = \"failover\"\nmembers = [\"{first}\"]\naliases = [{aliases}]\n"
        )
    };
    let places = [("203.0.112.0/24", "country=DE")];
    let old = [
        sites.to_owned(),
        wip("stays", "fra", "\"www.example.com\", \"old.example.com\""),
        wip("moves", "fra", ""),
        wip("goes", "fra", ""),
    ];
    let new = [
        sites.replace("192.0.1.1", "192.0.1.2"),
        wip("stays", "fra", ""),
        wip("moves", "iad", "\"www.example.com\", \"new.example.com\""),
        wip("comes", "iad", ""),
    ];
    let (old, new) = (load(&old.concat(), &places), load(&new.concat(), &places));
    let told = compared(&old, &new, &[]);
    let names: Vec<(&str, bool, Change)> =
        told.names.iter().map(|name| (name.name.as_str(), name.is_alias, name.change)).collect();
    assert_eq!(
        names,
        [
            ("goes.example.com", false, Change::Removed),
            ("old.example.com", true, Change::Removed),
            ("moves.example.com", false, Change::Moved),
            ("www.example.com", true, Change::Moved),
            ("comes.example.com", false, Change::Added),
            ("new.example.com", true, Change::Added),
        ]
    );
    assert_eq!((told.wips, told.wips_moved, told.names_added, told.names_removed), (4, 1, 2, 2));
    assert_eq!(flows(&told.all), [("fra iad".to_owned(), 0.5)]);
    let renumbered =
        load(&[sites.replace("192.0.0.1", "192.0.0.2"), wip("stays", "fra", "")].concat(), &places);
    let before = load(&[sites.to_owned(), wip("stays", "fra", "")].concat(), &places);
    let told = compared(&before, &renumbered, &[]);
    assert_eq!(flows(&told.all), [("fra fra".to_owned(), 1.0)], "another address of it");
}

#[test]
fn whoever_asks_can_stop_it() {
    let up = two_sites("members = [\"fra\", \"iad\"]");
    let lost = with_words(&up, |_| down(1));
    assert_eq!(compare(&up, &lost, &[], 10, &|| false), Err(Stopped));
}

#[test]
fn a_network_that_is_there_twice_counts_twice() {
    let up = two_sites("members = [\"fra\", \"iad\"]");
    let lost = with_words(&up, |name| if name == "fra" { down(1) } else { Word::UP });
    // All of Germany's, and as much again of America's.
    let mut list = vec![("203.0.112.0/24", 1e12); 1_000];
    list.extend([("198.51.96.0/22", 1e15), ("198.51.97.0/24", 1e-9)]);
    let told = compared(&up, &lost, &weighted(&list));
    assert!((told.all.moved - 0.5).abs() < 1e-9, "{:?}", told.all);
}

#[test]
fn no_more_names_are_listed_than_asked_for() {
    let up = two_sites("members = [\"fra\", \"iad\"]");
    let lost = with_words(&up, |name| if name == "fra" { down(1) } else { Word::UP });
    let told = compare(&up, &lost, &[], 0, &|| true).unwrap();
    assert_eq!((told.names.len(), told.wips_moved), (0, 1));
}
