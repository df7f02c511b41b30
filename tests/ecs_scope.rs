//! ECS scopes are true and as large as they can be (docs/STEERING.md), judged from
//! outside: whole replies over random configs, places and networks.
//!
//! All a config tells apart, and all that is special in the address space,
//! changes at known addresses; between two of them nothing does. So a returned
//! network is checked wholly by asking for every such address in it. What a
//! client gets is its answers under every combination of sites down, in order.

#![allow(clippy::unwrap_used)] // a panic here is a failed test

mod config_support;
mod dns_support;

use std::fmt::Write;
use std::net::IpAddr;

use config_support::MemoryFiles;
use dns_support::{Random, message, serving};
use ipnet::IpNet;
use windrose::answer::{Peer, Scratch};
use windrose::dns::Name;
use windrose::geo::BaseTable;
use windrose::metrics::Transport;
use windrose::snapshot::Serving;

const WORLDS: u64 = 120;
const SITES: usize = 4;
const COUNTRIES: [(&str, &str); SITES] = [("DE", "EU"), ("US", "NA"), ("JP", "AS"), ("BR", "SA")];
/// What rules and places are made of: nested, adjacent, private and whole spaces.
const NETWORKS: [&str; 22] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/23",
    "192.168.0.0/17",
    "100.64.0.0/10",
    "198.51.100.0/24",
    "198.51.100.128/25",
    "198.51.100.200/32",
    "198.51.0.0/16",
    "198.0.0.0/7",
    "203.0.113.0/26",
    "128.0.0.0/1",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "2001:db8:1:2::/64",
    "2001:db8:1:2:8000::/65",
    "2a00::/12",
    "2002::/16",
    "fd00::/8",
    "::/0",
    "2001::/23",
];
/// Blocks in which a client subnet means something else, or nobody.
const SPECIAL: [&str; 23] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "2002::/16",
    "2001::/32",
];
const TUNNELS: usize = 4;

//------------ World ----------------------------------------------------------

/// A server with one WIP, and its config for the report.
struct World {
    serving: Serving,
    scratch: Scratch,
    text: String,
    /// Networks of `serves` and `for`.
    named: Vec<IpNet>,
    /// True when some clients are shared by hash.
    hashes: bool,
    /// True when some are and some are not: by chance they fare alike.
    shares: bool,
}

impl World {
    fn new(random: &mut Random) -> World {
        let mut text = String::from(
            "[zone.\"z.example\"]\nnameservers = [\"ns1.z.example\"]\nhostmaster = \"h@z.example\"\n\
             records = [\"ns1 A 192.0.2.53\"]\n\
             [health_check.c]\ntype = \"tcp\"\nport = 80\n",
        );
        let mut named = Vec::new();
        let mut homes = Vec::new();
        let is_shared = random.below(4) == 0;
        for site in 0..SITES {
            let mut serves = rules(random, &mut named);
            for _ in 0..random.below(2) {
                let (other, continent) = *random.pick(&COUNTRIES);
                serves.push(match random.below(3) {
                    0 => format!("country:{other}"),
                    1 => format!("continent:{continent}"),
                    _ => format!("asn:{}", 64_512 + random.below(3)),
                });
            }
            let mut vips = vec![format!("\"192.0.2.{}\"", 10 * site + 1)];
            if random.below(4) == 0 {
                let clients = rules(random, &mut named);
                if !clients.is_empty() {
                    let address = 10 * site + 2;
                    vips.push(format!("{{ address = \"192.0.2.{address}\", for = {clients:?} }}"));
                }
            }
            writeln!(text, "[datacenter.s{site}]\nvip = [{}]", vips.join(", ")).unwrap();
            writeln!(text, "serves = {serves:?}").unwrap();
            if random.below(4) > 0 {
                let home = if is_shared { random.below(SITES) } else { site };
                let (country, _) = COUNTRIES[home];
                writeln!(text, "location = {{ country = \"{country}\" }}").unwrap();
                homes.push(country);
            }
        }
        let policies = ["geo", "geo", "failover", "hash"];
        let mut used = Vec::new();
        let mut policy = |random: &mut Random| {
            used.push(*random.pick(&policies));
            *used.last().unwrap()
        };
        if random.below(2) == 0 {
            for (pool, members) in [("a", "\"s0\", \"s1\""), ("b", "\"s2\", \"s3\"")] {
                let policy = policy(random);
                writeln!(text, "[pool.{pool}]\npolicy = {policy:?}\nmembers = [{members}]")
                    .unwrap();
            }
            text += "[wip.\"w.z.example\"]\npools = [\"a\", \"b\"]\n";
        } else {
            text += "[wip.\"w.z.example\"]\nmembers = [\"s0\", \"s1\", \"s2\", \"s3\"]\n";
        }
        let policy = policy(random);
        writeln!(text, "policy = {policy:?}\nmax_answers = 4\nhealth_check = \"c\"").unwrap();
        let mut places = Vec::new();
        for _ in 0..random.below(8) {
            // A database that splits a private block would narrow its scope.
            let public: Vec<&str> = NETWORKS.into_iter().filter(|text| !is_private(text)).collect();
            let network: IpNet = random.pick(&public).parse().unwrap();
            let (country, continent) = *random.pick(&COUNTRIES);
            let asn = 64_512 + random.below(3);
            let place = format!("country={country} continent={continent} asn={asn}");
            writeln!(text, "# place {network} {place}").unwrap();
            places.push((network, serving::place(&place).unwrap()));
        }
        let mut files = MemoryFiles::default();
        files.insert("w.toml", text.clone());
        // Sites of one country share its clients by hash.
        let shared = homes.iter().enumerate().any(|(at, home)| homes[..at].contains(home));
        let shares = shared && used.contains(&"geo");
        let hashes = used.contains(&"hash") || shares;
        let serving = serving::load("w.toml", &files, BaseTable::from_networks(&places))
            .unwrap_or_else(|report| panic!("{text}\n{report}"));
        World { serving, scratch: Scratch::default(), text, named, hashes, shares }
    }

    /// What a client subnet of one address is answered: addresses, scope.
    fn ask(&mut self, client: IpAddr) -> (Vec<String>, u8) {
        let request = query(client);
        let peer = Peer { address: [192, 0, 2, 53].into(), transport: Transport::Udp };
        let reply = serving::ask(&self.serving, &mut self.scratch, &request, peer).unwrap();
        let reply = message::read(&reply).unwrap();
        let opt = reply.opt().expect("a query with OPT gets one");
        assert_eq!(opt.raw[..4], [0, 8, 0, opt.raw[3]], "the subnet alone");
        let answers = reply.records.iter().filter(|record| record.section == 0);
        (answers.map(|record| record.rdata.clone()).collect(), opt.raw[7])
    }

    fn set_down(&self, sites: usize) {
        for site in 0..SITES {
            let word = if sites >> site & 1 == 1 { "down" } else { "up" };
            serving::set_member(&self.serving, &format!("s{site}"), word).unwrap();
        }
    }

    /// The special block in which the address is, unless its subnet is used as
    /// any other's.
    fn special(&self, address: IpAddr) -> Option<usize> {
        let holds = |block: &&str| block.parse::<IpNet>().unwrap().contains(&address);
        let block = SPECIAL.iter().position(holds)?;
        let tunnel = block >= SPECIAL.len() - TUNNELS;
        let is_named = self.named.iter().any(|network| network.contains(&address));
        (tunnel || !is_named).then_some(block)
    }
}

/// Whether a network lies in an unroutable block.
fn is_private(text: &str) -> bool {
    let network: IpNet = text.parse().unwrap();
    let blocks = SPECIAL[..SPECIAL.len() - TUNNELS].iter();
    blocks.map(|block| block.parse::<IpNet>().unwrap()).any(|block| block.contains(&network))
}

fn rules(random: &mut Random, named: &mut Vec<IpNet>) -> Vec<String> {
    let mut rules = Vec::new();
    for _ in 0..random.below(4) {
        let rule = *random.pick(&NETWORKS);
        if !rules.iter().any(|known| known == rule) {
            rules.push(rule.to_owned());
            named.push(rule.parse().unwrap());
        }
    }
    rules
}

fn query(client: IpAddr) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend(Name::parse("w.z.example").unwrap().wire());
    message.extend([0, 1, 0, 1, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0]);
    let (family, length, octets) = match client {
        IpAddr::V4(v4) => (1, 32, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, 128, v6.octets().to_vec()),
    };
    let data = [&[0, family, length, 0][..], &octets].concat();
    message.extend((data.len() as u16 + 4).to_be_bytes());
    message.extend([0, 8]);
    message.extend((data.len() as u16).to_be_bytes());
    message.extend(data);
    message
}

//------------ Addresses ------------------------------------------------------

/// Every address at which something may begin or has just ended, and some that
/// hide IPv4 clients of that kind.
fn addresses() -> Vec<IpAddr> {
    let mut all = Vec::new();
    for text in NETWORKS.iter().chain(&SPECIAL) {
        let network: IpNet = text.parse().unwrap();
        all.push(network.network());
        all.push(next(network.broadcast()));
    }
    let hidden: Vec<u32> = all
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(v4) => Some(u32::from(*v4)),
            IpAddr::V6(_) => None,
        })
        .collect();
    for v4 in hidden {
        let v4 = u128::from(v4);
        let mapped = 0xffff_u128 << 32 | v4;
        let nat64 = 0x0064_ff9b_u128 << 96 | v4;
        let six_to_four = 0x2002_u128 << 112 | v4 << 80;
        let teredo = 0x2001_0000_u128 << 96 | u128::from(!(v4 as u32));
        all.extend([mapped, nat64, six_to_four, teredo].map(|bits| IpAddr::V6(bits.into())));
    }
    all.sort();
    all.dedup();
    all
}

/// The address behind; after the last, the first.
fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).wrapping_add(1).into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).wrapping_add(1).into()),
    }
}

//------------ Tests ----------------------------------------------------------

/// What a client gets: answers under every combination, the special block.
type Fate = (Vec<Vec<String>>, Option<usize>);

#[test]
fn a_scope_holds_for_every_address_in_it_and_for_no_larger_network() {
    let all = addresses();
    let (mut checked, mut narrow) = (0, 0);
    for seed in 0..WORLDS {
        let mut world = World::new(&mut Random(seed));
        let mut fates: Vec<Fate> =
            all.iter().map(|&address| (Vec::new(), world.special(address))).collect();
        let mut scopes = Vec::new();
        for sites in 0..1 << SITES {
            world.set_down(sites);
            let asked: Vec<_> = all.iter().map(|&address| world.ask(address)).collect();
            for (fate, (answers, _)) in fates.iter_mut().zip(&asked) {
                fate.0.push(answers.clone());
            }
            let now: Vec<u8> = asked.iter().map(|(_, scope)| *scope).collect();
            if sites == 0 {
                scopes = now;
            } else {
                assert_eq!(scopes, now, "health moved a scope\n{}", world.text);
            }
        }
        // An address of the network with another fate. The network's first
        // address fares as the last one asked for before it.
        let other_in = |network: IpNet, fate: &Fate| {
            let first = all.partition_point(|address| *address <= network.network()) - 1;
            let last = all.partition_point(|address| *address <= network.broadcast()) - 1;
            (first..=last).find(|&at| fates[at] != *fate).map(|at| all[at])
        };
        let constant = scopes.iter().all(|&scope| scope == 0);
        for ((&address, fate), &scope) in all.iter().zip(&fates).zip(&scopes) {
            checked += 1;
            let network = IpNet::new(address, scope).unwrap().trunc();
            let what = format!("seed {seed}: {address} scope {scope}\n{}", world.text);
            // Clients of one order have one fate; where all clients have one
            // order, specials do not matter.
            let fate_of = |fate: &Fate| (fate.0.clone(), fate.1.filter(|_| !constant));
            if constant {
                let same = fates.iter().all(|other| fate_of(other) == fate_of(fate));
                assert!(same, "scope 0 but answers differ: {what}");
                continue;
            }
            let hash_least = if address.is_ipv4() { 24 } else { 56 };
            let in_tunnel = fate.1.is_some_and(|block| block >= SPECIAL.len() - TUNNELS);
            // Beside mapped and NAT64 clients and the discard block, within
            // one /56, nobody lives.
            let beside =
                ["::/56", "64:ff9b::/56", "100::/56"].map(|text| text.parse::<IpNet>().unwrap());
            if world.hashes && beside.iter().any(|network| network.contains(&address)) {
                continue;
            }
            if !in_tunnel {
                let other = other_in(network, fate);
                assert_eq!(other, None, "another fate inside: {what}");
            }
            let least = world.hashes && scope == hash_least;
            if scope > 0 && !in_tunnel && !least && !world.shares {
                narrow += 1;
                let parent = IpNet::new(address, scope - 1).unwrap().trunc();
                assert_ne!(other_in(parent, fate), None, "could be larger: {what}");
            }
        }
    }
    assert!(checked > 10_000 && narrow > 4_000, "{checked} {narrow}");
}

#[test]
fn a_hidden_ipv4_client_gets_its_own_answer_and_scope() {
    for seed in 0..WORLDS {
        let mut world = World::new(&mut Random(seed));
        for address in addresses() {
            let IpAddr::V4(v4) = address else { continue };
            let (answers, scope) = world.ask(address);
            let bits = u128::from(u32::from(v4));
            let six_to_four = 0x2002_u128 << 112 | bits << 80 | 0x1234;
            let teredo = 0x2001_0000_4136_e378_8000_63bf_u128 << 32 | u128::from(!(bits as u32));
            for (hiding, more) in [
                (0xffff_u128 << 32 | bits, 96),
                (0x0064_ff9b_u128 << 96 | bits, 96),
                (six_to_four, 16),
                (teredo, 128),
            ] {
                let hiding = IpAddr::V6(hiding.into());
                let (hidden_answers, hidden_scope) = world.ask(hiding);
                let what = format!("seed {seed}: {address} in {hiding}\n{}", world.text);
                assert_eq!(answers, hidden_answers, "{what}");
                let all_alike = scope == 0 && hidden_scope == 0;
                assert!(all_alike || hidden_scope == (scope + more).min(128), "{what}");
            }
        }
    }
}
