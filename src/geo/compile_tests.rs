//! Whole random tables against the plainest possible reading of the rules.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;

use super::super::client::{Block, TUNNELS, UNROUTABLE_V4, UNROUTABLE_V6};
use super::super::{BaseTable, Map, Place, compile, is_unroutable};

/// What a client subnet leads to, as far as other clients may share it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Row(u32),
    /// Not used: the block's first address, and the row of those who come
    /// from there themselves.
    Ignored(IpAddr, u32),
    /// The hidden client decides: nobody else shares it.
    Alone(IpAddr),
}

#[derive(Debug)]
struct World {
    base: Vec<(IpNet, Place)>,
    networks: Vec<IpNet>,
    rows: u32,
    uniform: bool,
    /// Every address where anything may change, of both families.
    boundaries: BTreeSet<IpAddr>,
}

fn row_of(rows: u32, place: &Place, containing: &[usize]) -> u32 {
    let asn = place.asn.unwrap_or(0);
    containing.iter().fold(asn, |sum, &index| sum.wrapping_mul(31) + index as u32 + 1) % rows
}

impl World {
    fn new(base: Vec<(IpNet, u32)>, networks: Vec<IpNet>, rows: u32) -> World {
        let base: Vec<(IpNet, Place)> = base
            .into_iter()
            .map(|(net, asn)| (net, Place { asn: Some(asn), ..Place::default() }))
            .collect();
        let blocks_v4 = UNROUTABLE_V4.iter().map(|&block| network(block, false));
        let blocks_v6 = UNROUTABLE_V6.iter().chain(&TUNNELS).map(|&block| network(block, true));
        let mut boundaries =
            BTreeSet::from([IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]);
        let all = base.iter().map(|(net, _)| *net).chain(networks.iter().copied());
        for net in all.chain(blocks_v4).chain(blocks_v6) {
            boundaries.insert(net.network());
            boundaries.extend(after(net.broadcast()));
        }
        let mut world = World { base, networks, rows, uniform: false, boundaries };
        let rows: BTreeSet<u32> =
            world.boundaries.iter().map(|&address| world.row(address)).collect();
        world.uniform = rows.len() == 1;
        world
    }

    fn row(&self, address: IpAddr) -> u32 {
        let unknown = Place::default();
        let longest = self.base.iter().filter(|(net, _)| net.contains(&address));
        let place = longest.max_by_key(|(net, _)| net.prefix_len()).map_or(&unknown, |(_, p)| p);
        row_of(self.rows, place, &self.containing(address))
    }

    fn containing(&self, address: IpAddr) -> Vec<usize> {
        let mut containing: Vec<usize> =
            (0..self.networks.len()).filter(|&at| self.networks[at].contains(&address)).collect();
        containing.sort_by_key(|&at| std::cmp::Reverse(self.networks[at].prefix_len()));
        containing
    }

    fn outcome(&self, address: IpAddr) -> Outcome {
        let row = self.row(address);
        if self.uniform {
            return Outcome::Row(row);
        }
        if TUNNELS.iter().any(|&tunnel| network(tunnel, true).contains(&address)) {
            return Outcome::Alone(address);
        }
        match is_unroutable(address) {
            Some(length) if self.containing(address).is_empty() => {
                Outcome::Ignored(IpNet::new(address, length).unwrap().network(), row)
            }
            _ => Outcome::Row(row),
        }
    }

    /// Whether every address of a network has this outcome.
    fn all_alike(&self, net: IpNet, outcome: Outcome) -> bool {
        self.outcome(net.network()) == outcome
            && self
                .boundaries
                .range(net.network()..=net.broadcast())
                .all(|&boundary| self.outcome(boundary) == outcome)
            && (!matches!(outcome, Outcome::Alone(_)) || net.prefix_len() == net.max_prefix_len())
    }

    fn check(&self, map: &Map, address: IpAddr) -> Result<(), TestCaseError> {
        let (row, scope) = map.lookup(address);
        let outcome = self.outcome(address);
        prop_assert_eq!(row, self.row(address), "{}", address);
        let ignored = matches!(outcome, Outcome::Ignored(..)).then_some(scope);
        prop_assert_eq!(map.ignores(address), ignored, "{}", address);
        let net = IpNet::new(address, scope).unwrap();
        prop_assert!(self.all_alike(net.trunc(), outcome), "{} is not all {:?}", net, outcome);
        if scope > 0 && !matches!(outcome, Outcome::Alone(_)) {
            let larger = IpNet::new(address, scope - 1).unwrap().trunc();
            prop_assert!(!self.all_alike(larger, outcome), "{} is all {:?}", larger, outcome);
        }
        Ok(())
    }
}

impl World {
    /// The ranges ascend, have their rows, and leave out only what is special.
    fn check_ranges(&self, map: &Map) -> Result<(), TestCaseError> {
        let mut ranges = Vec::new();
        map.for_each_range(&mut |first, last, row| ranges.push((first, last, row)));
        prop_assert!(ranges.iter().all(|(first, last, _)| first <= last));
        prop_assert!(ranges.is_sorted_by(|a, b| a.1 < b.0));
        for &boundary in &self.boundaries {
            let held = ranges.iter().find(|(first, last, _)| (first..=last).contains(&&boundary));
            let expected = match self.outcome(boundary) {
                Outcome::Row(row) => Some(row),
                Outcome::Ignored(..) | Outcome::Alone(_) => None,
            };
            prop_assert_eq!(held.map(|&(.., row)| row), expected, "{}", boundary);
        }
        Ok(())
    }
}

fn network(block: Block, v6: bool) -> IpNet {
    let address = match v6 {
        false => IpAddr::V4(Ipv4Addr::from(block.first as u32)),
        true => IpAddr::V6(Ipv6Addr::from(block.first)),
    };
    IpNet::new(address, block.length).unwrap()
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(v6) => u128::from(v6).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_sub(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(v6) => u128::from(v6).checked_sub(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

/// Networks that crowd around a few places, special ones among them.
fn any_network() -> impl Strategy<Value = IpNet> {
    let v4 = prop::sample::select(vec!["10.0.0.0", "9.255.0.0", "203.0.113.0", "255.255.255.0"]);
    let v6 = prop::sample::select(vec![
        "::",
        "64:ff9b::",
        "2001:0:ffff::",
        "2001:1::",
        "2002::",
        "2003::",
        "2a00:1450::",
        "fc00::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:0",
    ]);
    let v4 = (v4, 0u32..=0xffff, 0u8..=32).prop_map(|(near, low, length)| {
        let near: Ipv4Addr = near.parse().unwrap();
        IpNet::new(IpAddr::V4((u32::from(near) ^ low).into()), length).unwrap().trunc()
    });
    let bits = prop_oneof![Just(0u32), Just(62), Just(64), Just(96), 0u32..112];
    let v6 = (v6, any::<u16>(), bits, 0u8..=128).prop_map(|(near, low, shift, length)| {
        let near: Ipv6Addr = near.parse().unwrap();
        let address = u128::from(near) ^ (u128::from(low) << shift);
        IpNet::new(IpAddr::V6(address.into()), length).unwrap().trunc()
    });
    prop_oneof![v4, v6]
}

fn any_world() -> impl Strategy<Value = World> {
    let base = prop::collection::vec((any_network(), 0u32..5), 0..20);
    let networks = prop::collection::vec(any_network(), 0..8);
    (base, networks, 1u32..5).prop_map(|(base, networks, rows)| {
        // Equal networks: the last decides, as `max_by_key` has it.
        World::new(base, networks, rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rows_are_right_and_scopes_are_the_largest_true_networks(
        world in any_world(),
        strangers in prop::collection::vec((any::<u32>(), any::<u128>()), 10),
    ) {
        let table = BaseTable::from_networks(&world.base);
        let map = compile(&table, &world.networks, &mut |place, containing| {
            row_of(world.rows, place, containing)
        });
        for &boundary in &world.boundaries {
            world.check(&map, boundary)?;
            for beside in after(boundary).into_iter().chain(before(boundary)) {
                world.check(&map, beside)?;
            }
        }
        world.check_ranges(&map)?;
        for (v4, v6) in strangers {
            world.check(&map, IpAddr::V4(v4.into()))?;
            world.check(&map, IpAddr::V6(v6.into()))?;
        }
    }
}

#[test]
fn one_row_for_all_has_scope_0_everywhere() {
    let base = [("2a00::/12", 1), ("10.0.0.0/8", 2), ("0.0.0.0/1", 3)];
    let base = base.map(|(net, asn)| (net.parse().unwrap(), asn));
    let world = World::new(base.to_vec(), vec!["10.1.0.0/16".parse().unwrap()], 1);
    let table = BaseTable::from_networks(&world.base);
    let map = compile(&table, &world.networks, &mut |_, _| 0);
    for address in ["10.1.2.3", "10.2.2.3", "200.1.1.1", "2a00::1", "2002::1", "fd00::1"] {
        assert_eq!(map.lookup(address.parse().unwrap()), (0, 0), "{address}");
        assert_eq!(map.ignores(address.parse().unwrap()), None);
    }
}

#[test]
fn an_ignored_private_prefix_has_its_blocks_length() {
    let base = vec![("192.0.0.0/3".parse().unwrap(), 1)];
    let world = World::new(base, vec!["172.16.0.0/13".parse().unwrap()], 4);
    let table = BaseTable::from_networks(&world.base);
    let map = compile(&table, &world.networks, &mut |place, containing| {
        row_of(world.rows, place, containing)
    });
    for (address, ignored) in [
        ("10.1.2.3", Some(8)),
        ("192.168.7.7", Some(16)),
        ("fd12::1", Some(7)),
        ("8.8.8.8", None),
        // Half of 172.16/12 is the operator's; of the other half we know nothing.
        ("172.16.1.1", None),
        ("172.24.1.1", Some(13)),
    ] {
        assert_eq!(map.ignores(address.parse().unwrap()), ignored, "{address}");
    }
}

#[test]
fn each_class_is_asked_about_once_per_innermost_network() {
    let base: Vec<(IpNet, Place)> = (0..64u32)
        .map(|at| {
            let net = IpNet::new(IpAddr::V4((at << 26).into()), 6).unwrap();
            (net, Place { asn: Some(at % 4), ..Place::default() })
        })
        .collect();
    let networks = ["11.0.0.0/8", "11.1.0.0/16"].map(|net| net.parse().unwrap());
    let table = BaseTable::from_networks(&base);
    let mut asked = Vec::new();
    compile(&table, &networks, &mut |place, containing| {
        asked.push((place.asn, containing.to_vec()));
        0
    });
    asked.sort();
    let plain = |asn| (asn, vec![]);
    assert_eq!(
        asked,
        [
            plain(None),
            plain(Some(0)),
            plain(Some(1)),
            plain(Some(2)),
            (Some(2), vec![0]),
            (Some(2), vec![1, 0]),
            plain(Some(3)),
        ]
    );
}
