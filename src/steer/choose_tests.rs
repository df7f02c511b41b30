//! Decisions over small, hand-made strategies: the rules of docs/STEERING.md.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::calm;
use super::choose::{Decision, Outcome, Question, Room, Stage, choose, choose_by_walk};
use super::hash::{ClientNetwork, name_hash};
use super::strategy::{
    MemberEntry, PoolEntry, Record, Row, Strategy, VipEntry, one_vip_each, only_vip,
};
use super::{Families, OnAllDown, Policy};
use crate::dns::types::rtype;
use crate::health::table::{Override, SHARE_FULL, State, TTL_CAP_NONE, Table, Word};

//------------ World ----------------------------------------------------------

/// A strategy under test with its health.
pub(super) struct World {
    pub strategy: Strategy,
    pub row: Row,
    pub table: Table,
    pub room: Room,
    pub turn: u32,
    pub network: ClientNetwork,
}

/// Name, weight, addresses.
pub(super) type Member<'a> = (&'a str, u32, &'a [&'a str]);

impl World {
    pub(super) fn new(policy: Policy, members: &[Member<'_>]) -> World {
        World::tiers(Policy::Failover, &[(policy, 1, members)])
    }

    pub(super) fn tiers(policy: Policy, pools: &[(Policy, u16, &[Member<'_>])]) -> World {
        let (mut entries, mut all, mut vips) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (pool_policy, min_available, members)) in pools.iter().enumerate() {
            let first = all.len() as u16;
            for (name, weight, addresses) in *members {
                let start = vips.len() as u16;
                vips.extend(addresses.iter().map(|address| VipEntry {
                    record: Record::new(address.parse().unwrap()),
                    address_hash: name_hash(address),
                }));
                all.push(MemberEntry {
                    vips: start..vips.len() as u16,
                    only_vip: only_vip(start, &vips[usize::from(start)..]),
                    weight: *weight,
                    name_hash: name_hash(name),
                });
            }
            entries.push(PoolEntry {
                policy: *pool_policy,
                members: first..all.len() as u16,
                min_available: *min_available,
                weight: members.iter().map(|(_, weight, _)| weight).sum(),
                name_hash: name_hash(&format!("pool{index}")),
                one_vip_each: one_vip_each(&all[usize::from(first)..]),
            });
        }
        let row = Row {
            pools: (0..entries.len() as u16).collect(),
            members: (0..all.len() as u16).collect(),
            tied: vec![0; entries.len()].into(),
            visible: vec![u64::MAX; vips.len().div_ceil(64)].into(),
        };
        let table = Table::new(vips.len());
        for id in 0..vips.len() as u32 {
            table.set(id, Word::UP);
        }
        let strategy = Strategy {
            bindings: Box::default(),
            names: Box::default(),
            policy,
            pools: entries.into(),
            members: all.into(),
            vips: vips.into(),
            max_answers: 1,
            ttl_s: 30,
            ttl_min_s: 5,
            on_all_down: OnAllDown::All,
            fallback: Box::default(),
            ecs: true,
            families: Families::Together,
            map: None,
            rows: Arc::from([row.clone()]),
            networks: Box::default(),
            takes_turns: true,
            hashes: true,
            has_ties: false,
            shows_all: true,
        };
        let network = ClientNetwork::of("192.0.2.1".parse().unwrap());
        World { strategy, row, table, room: Room::default(), turn: 0, network }
    }

    /// Another order of pools and members, the first of them sharing by hash.
    fn shuffle(&mut self, mut seed: u64, tied: u16) {
        let mut shuffle = |list: &mut [u16]| {
            for at in (1..list.len()).rev() {
                seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                list.swap(at, (seed >> 33) as usize % (at + 1));
            }
        };
        shuffle(&mut self.row.pools);
        for (pool, ties) in self.strategy.pools.iter().zip(&mut self.row.tied) {
            let range = usize::from(pool.members.start)..usize::from(pool.members.end);
            *ties = tied.min(range.len() as u16);
            shuffle(&mut self.row.members[range]);
        }
    }

    pub(super) fn set(&self, vip: u32, state: State, over: Override, ttl_cap_s: u16) {
        let healthy = state != State::Down;
        let available = match over {
            Override::None => healthy,
            Override::ForcedUp => true,
            Override::Drained | Override::ForcedDown => false,
        };
        self.table.set(vip, Word::new(state, available, over, ttl_cap_s, 0));
    }

    /// 0: held; [`SHARE_FULL`]: leaves the word as it is.
    pub(super) fn set_share(&self, vip: u32, share: u16) {
        let word = self.table.word(vip);
        let word = if share == 0 { word.held() } else { word.with_share(share) };
        self.table.set(vip, word);
    }

    pub(super) fn down(&self, vips: &[u32]) {
        vips.iter().for_each(|&vip| self.set(vip, State::Down, Override::None, TTL_CAP_NONE));
    }

    /// Decides once: stage, TTL and addresses.
    pub(super) fn ask(&mut self, rtype: u16) -> (Stage, u32, Vec<String>) {
        let decision = self.decide(rtype);
        let vips = &self.strategy.vips;
        let address = |vip: u16| vips[usize::from(vip)].record.address().to_string();
        let chosen = self.room.chosen().iter().map(|chosen| address(chosen.vip)).collect();
        (decision.stage, decision.ttl_s, chosen)
    }

    pub(super) fn decide(&mut self, rtype: u16) -> Decision {
        let verdicts: Vec<u32> = (0..self.strategy.vips.len() as u32).collect();
        let question = Question {
            strategy: &self.strategy,
            verdicts: &verdicts,
            table: &self.table,
            laid: &[],
            row: &self.row,
            network: self.network,
            turn: self.turn,
            rtype,
        };
        let decision = choose(&question, &mut self.room);
        self.turn = self.turn.wrapping_add(1);
        decision
    }

    pub(super) fn a(&mut self) -> Vec<String> {
        self.ask(rtype::A).2
    }

    /// How often each address is answered first in `count` queries.
    pub(super) fn shares(&mut self, count: u32) -> BTreeMap<String, u32> {
        let mut shares = BTreeMap::new();
        for _ in 0..count {
            for address in self.a().into_iter().take(1) {
                *shares.entry(address).or_default() += 1;
            }
        }
        shares
    }
}

pub(super) const THREE: [Member<'static>; 3] =
    [("a", 1, &["10.0.0.1"]), ("b", 1, &["10.0.0.2"]), ("c", 1, &["10.0.0.3"])];

//------------ Policies -------------------------------------------------------

#[test]
fn failover_takes_the_first_that_is_available() {
    let mut world = World::new(Policy::Failover, &THREE);
    assert_eq!(world.a(), ["10.0.0.1"]);
    world.down(&[0]);
    assert_eq!(world.a(), ["10.0.0.2"]);
    world.down(&[1]);
    assert_eq!(world.a(), ["10.0.0.3"]);
}

#[test]
fn geo_follows_the_clients_order() {
    let mut world = World::new(Policy::Geo, &THREE);
    world.row.members = [2, 0, 1].into();
    assert_eq!(world.a(), ["10.0.0.3"]);
    world.down(&[2]);
    assert_eq!(world.a(), ["10.0.0.1"]);
}

#[test]
fn round_robin_shares_are_within_a_percentage_point() {
    let mut world = World::new(Policy::RoundRobin, &THREE);
    for (_, share) in world.shares(10_000) {
        assert!((3_233..=3_433).contains(&share), "{share}");
    }
    world.down(&[1]);
    let shares = world.shares(10_000);
    assert_eq!(shares.len(), 2);
    assert!(shares.values().all(|share| (4_900..=5_100).contains(share)), "{shares:?}");
}

#[test]
fn round_robin_with_several_answers_rotates_the_set() {
    let mut world = World::new(Policy::RoundRobin, &THREE);
    world.strategy.max_answers = 2;
    let answers: Vec<Vec<String>> = (0..3).map(|_| world.a()).collect();
    assert_eq!(answers[0], ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(answers[1], ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(answers[2], ["10.0.0.3", "10.0.0.1"]);
}

#[test]
fn weighted_shares_are_within_a_percentage_point() {
    let mut world = World::new(
        Policy::Weighted,
        &[("a", 10, &["10.0.0.1"]), ("b", 70, &["10.0.0.2"]), ("c", 20, &["10.0.0.3"])],
    );
    let shares = world.shares(100_000);
    for (address, percent) in [("10.0.0.1", 10), ("10.0.0.2", 70), ("10.0.0.3", 20)] {
        let share = shares[address];
        assert!(share.abs_diff(percent * 1_000) <= 1_000, "{address}: {share}");
    }
}

/// Two tiers in step would leave half of the members without a query.
#[test]
fn every_member_has_its_share_whatever_the_two_tiers_do() {
    use Policy::{RoundRobin, Weighted};
    let a: [Member<'_>; 2] = [("a", 1, &["192.0.2.1"]), ("b", 3, &["192.0.2.2"])];
    let b: [Member<'_>; 2] = [("c", 1, &["192.0.2.3"]), ("d", 3, &["192.0.2.4"])];
    for (over, inside) in [
        (RoundRobin, RoundRobin),
        (RoundRobin, Weighted),
        (Weighted, RoundRobin),
        (Weighted, Weighted),
    ] {
        let mut world = World::tiers(over, &[(inside, 1, &a), (inside, 1, &b)]);
        let light = if inside == Weighted { 12_500 } else { 25_000 };
        for (address, count) in world.shares(100_000) {
            let expected = if address.ends_with(['1', '3']) { light } else { 50_000 - light };
            assert!(count.abs_diff(expected) < 500, "{over:?} {inside:?} {address}: {count}");
        }
    }
}

#[test]
fn round_robin_over_pools_reaches_every_vip_of_a_member() {
    let a: [Member<'_>; 1] = [("a", 1, &["192.0.2.1", "192.0.2.2"])];
    let b: [Member<'_>; 1] = [("b", 1, &["192.0.2.3", "192.0.2.4"])];
    let pools: [(Policy, u16, &[Member<'_>]); 2] =
        [(Policy::Failover, 1, &a), (Policy::Failover, 1, &b)];
    let mut world = World::tiers(Policy::RoundRobin, &pools);
    assert_eq!(world.shares(400).into_values().collect::<Vec<_>>(), [100; 4]);
}

#[test]
fn members_of_weight_zero_share_by_hash_once_they_are_all_that_is_left() {
    let members: [Member<'_>; 3] =
        [("a", 1, &["192.0.2.1"]), ("b", 0, &["192.0.2.2"]), ("c", 0, &["192.0.2.3"])];
    let mut world = World::new(Policy::Hash, &members);
    let shares = |world: &mut World| {
        let mut shares: BTreeMap<String, u32> = BTreeMap::new();
        for client in 0..1_000u32 {
            world.network = ClientNetwork::of(IpAddr::from((client << 8).to_be_bytes()));
            *shares.entry(world.a().remove(0)).or_default() += 1;
        }
        shares
    };
    assert_eq!(shares(&mut world), BTreeMap::from([("192.0.2.1".to_owned(), 1_000)]));
    world.down(&[0]);
    let left = shares(&mut world);
    assert!(left.len() == 2 && left.values().all(|count| (400..600).contains(count)), "{left:?}");
}

#[test]
fn weight_zero_is_used_only_when_no_positive_weight_is_available() {
    for policy in [Policy::Weighted, Policy::Hash] {
        let mut world = World::new(policy, &[("a", 5, &["10.0.0.1"]), ("spare", 0, &["10.0.0.9"])]);
        assert_eq!(world.shares(1_000).keys().collect::<Vec<_>>(), ["10.0.0.1"], "{policy:?}");
        world.down(&[0]);
        assert_eq!(world.a(), ["10.0.0.9"], "{policy:?}");
    }
}

#[test]
fn hash_is_stable_and_a_loss_moves_only_its_own_clients() {
    let mut world = World::new(Policy::Hash, &THREE);
    let ask_all = |world: &mut World| -> Vec<String> {
        (0..2_000u32)
            .map(|index| {
                world.network = ClientNetwork::of(IpAddr::from((index << 8).to_be_bytes()));
                world.a().remove(0)
            })
            .collect()
    };
    let before = ask_all(&mut world);
    assert_eq!(before, ask_all(&mut world), "turns must not matter");
    world.down(&[1]);
    let after = ask_all(&mut world);
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || before == "10.0.0.2", "{before} moved to {after}");
    }
}

#[test]
fn tied_members_share_clients_by_hash_and_the_others_follow() {
    let mut world = World::new(Policy::Geo, &THREE);
    world.row.tied = [2].into();
    let mut seen = BTreeMap::new();
    for index in 0..1_000u32 {
        world.network = ClientNetwork::of(IpAddr::from((index << 8).to_be_bytes()));
        *seen.entry(world.a().remove(0)).or_insert(0) += 1;
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.2"]);
    assert!(seen.values().all(|&share| share > 400), "{seen:?}");
    world.down(&[0, 1]);
    assert_eq!(world.a(), ["10.0.0.3"]);
}

//------------ Tiers, stages, families ----------------------------------------

#[test]
fn a_pool_below_its_minimum_is_passed_over_until_no_pool_has_its_minimum() {
    let mut world = World::tiers(
        Policy::Failover,
        &[(Policy::Failover, 2, &THREE[..2]), (Policy::Failover, 1, &THREE[2..])],
    );
    assert_eq!(world.ask(rtype::A).0, Stage::Available);
    world.down(&[0]);
    assert_eq!(world.ask(rtype::A), (Stage::Available, 30, vec!["10.0.0.3".to_owned()]));
    world.down(&[2]);
    assert_eq!(world.ask(rtype::A), (Stage::BelowMinimum, 30, vec!["10.0.0.2".to_owned()]));
}

#[test]
fn when_nobody_is_available_drained_sites_come_before_failing_open() {
    let mut world = World::new(Policy::Failover, &THREE);
    world.down(&[0, 2]);
    world.set(1, State::Up, Override::Drained, TTL_CAP_NONE);
    assert_eq!(world.ask(rtype::A), (Stage::Drained, 5, vec!["10.0.0.2".to_owned()]));
    world.set(1, State::Down, Override::Drained, TTL_CAP_NONE);
    assert_eq!(world.ask(rtype::A), (Stage::AllDown, 5, vec!["10.0.0.1".to_owned()]));
    world.set(0, State::Up, Override::ForcedDown, TTL_CAP_NONE);
    assert_eq!(world.ask(rtype::A).2, ["10.0.0.2"]);
    for vip in [1, 2] {
        world.set(vip, State::Up, Override::ForcedDown, TTL_CAP_NONE);
    }
    assert_eq!(world.ask(rtype::A), (Stage::ForcedDown, 5, vec![]));
}

#[test]
fn last_known_good_gives_those_that_went_down_last() {
    let mut world = World::new(Policy::Failover, &THREE);
    world.strategy.on_all_down = OnAllDown::LastKnownGood;
    for (vip, lost_at_s) in [(0, 100), (1, 300), (2, 200)] {
        world
            .table
            .set(vip, Word::new(State::Down, false, Override::None, TTL_CAP_NONE, lost_at_s));
    }
    assert_eq!(world.a(), ["10.0.0.2"]);
}

#[test]
fn one_site_is_chosen_for_both_families() {
    let members: [Member<'_>; 2] =
        [("six", 1, &["2001:db8::1"]), ("both", 1, &["10.0.0.2", "2001:db8::2"])];
    let mut world = World::new(Policy::Failover, &members);
    assert_eq!(world.ask(rtype::AAAA).2, ["2001:db8::1"]);
    assert_eq!(world.ask(rtype::A), (Stage::Available, 30, vec![]), "NODATA, not another site");
    world.strategy.families = Families::Independent;
    assert_eq!(world.ask(rtype::A).2, ["10.0.0.2"]);
}

#[test]
fn several_vips_of_a_member_are_given_in_turn_while_they_are_up() {
    let mut world =
        World::new(Policy::Failover, &[("a", 1, &["10.0.0.1", "10.0.0.2", "10.0.0.3"])]);
    assert_eq!(world.shares(300).values().collect::<Vec<_>>(), [&100, &100, &100]);
    world.down(&[1]);
    assert_eq!(world.shares(300).into_keys().collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.3"]);
}

#[test]
fn an_answer_never_holds_an_address_twice() {
    let members: [Member<'_>; 3] =
        [("a", 1, &["10.0.0.1"]), ("again", 1, &["10.0.0.1"]), ("c", 1, &["10.0.0.3"])];
    for policy in [Policy::Failover, Policy::RoundRobin, Policy::Weighted, Policy::Hash] {
        let mut world = World::new(policy, &members);
        world.strategy.max_answers = 3;
        for _ in 0..50 {
            let mut answer = world.a();
            answer.sort();
            assert_eq!(answer, ["10.0.0.1", "10.0.0.3"], "{policy:?}");
        }
    }
}

#[test]
fn ttl_is_the_least_of_the_chosen_and_those_skipped_before_it() {
    let mut world = World::new(Policy::Failover, &THREE);
    world.set(2, State::Up, Override::None, 7);
    assert_eq!(world.ask(rtype::A).1, 30, "behind the chosen one");
    world.set(0, State::Down, Override::None, 12);
    assert_eq!(world.ask(rtype::A).1, 12, "skipped, about to return");
    world.set(0, State::Down, Override::None, 1);
    assert_eq!(world.ask(rtype::A).1, 5, "not under ttl_min");
    for policy in [Policy::RoundRobin, Policy::Weighted, Policy::Hash] {
        let mut world = World::new(policy, &THREE);
        world.set(2, State::Up, Override::None, 7);
        assert_eq!(world.ask(rtype::A).1, 7, "{policy:?} depends on all");
    }
}

//------------ Two tiers ------------------------------------------------------

/// Two pools of two, each member with two VIPs.
const PAIRS: [[Member<'static>; 2]; 2] = [
    [("a", 1, &["10.0.0.1", "10.0.0.2"]), ("b", 1, &["10.0.1.1", "10.0.1.2"])],
    [("c", 1, &["10.1.0.1", "10.1.0.2"]), ("d", 1, &["10.1.1.1", "10.1.1.2"])],
];

fn two_tiers(policy: Policy, inner: Policy) -> World {
    World::tiers(policy, &[(inner, 1, &PAIRS[0]), (inner, 1, &PAIRS[1])])
}

#[test]
fn tiers_that_take_turns_do_not_run_in_step() {
    let turning = [Policy::RoundRobin, Policy::Weighted];
    for policy in turning {
        for inner in turning {
            let shares = two_tiers(policy, inner).shares(100_000);
            assert_eq!(shares.len(), 8, "{policy:?} over {inner:?}: {shares:?}");
            for (address, share) in shares {
                let even = share.abs_diff(12_500) <= 1_000;
                assert!(even, "{policy:?} over {inner:?}: {address} {share}");
            }
        }
        // One site a pool, its VIPs in turn.
        let shares = two_tiers(policy, Policy::Failover).shares(10_000);
        assert_eq!(shares.len(), 4, "{policy:?} over failover: {shares:?}");
        assert!(shares.values().all(|share| share.abs_diff(2_500) <= 100), "{shares:?}");
    }
}

#[test]
fn a_lost_pools_share_goes_to_all_others_in_equal_parts() {
    let one =
        |address: &'static [&'static str; 1]| -> [Member<'static>; 1] { [("a", 1, &address[..])] };
    let pools = [one(&["10.0.0.1"]), one(&["10.0.0.2"]), one(&["10.0.0.3"])];
    for policy in [Policy::RoundRobin, Policy::Weighted] {
        let tiers: Vec<_> = pools.iter().map(|pool| (Policy::Failover, 1, &pool[..])).collect();
        let mut world = World::tiers(policy, &tiers);
        world.down(&[0]);
        let shares = world.shares(10_000);
        assert_eq!(shares.len(), 2);
        let even = shares.values().all(|share| share.abs_diff(5_000) <= 100);
        assert!(even, "{policy:?}: {shares:?}");
    }
}

#[test]
fn several_answers_do_not_call_for_a_spare() {
    for policy in [Policy::Weighted, Policy::Hash] {
        let members: [Member<'_>; 3] =
            [("a", 1, &["10.0.0.1"]), ("b", 1, &["10.0.0.2"]), ("spare", 0, &["10.0.0.9"])];
        let mut world = World::new(policy, &members);
        world.strategy.max_answers = 3;
        let answer = |world: &mut World| {
            let mut answer = world.a();
            answer.sort();
            answer
        };
        assert_eq!(answer(&mut world), ["10.0.0.1", "10.0.0.2"], "{policy:?}");
        world.down(&[0]);
        assert_eq!(answer(&mut world), ["10.0.0.2"], "{policy:?}");
        world.down(&[1]);
        assert_eq!(answer(&mut world), ["10.0.0.9"], "{policy:?}");
    }
}

#[test]
fn a_pool_about_to_have_its_minimum_again_shortens_the_ttl() {
    let mut world = World::tiers(
        Policy::Failover,
        &[(Policy::Failover, 2, &THREE[..2]), (Policy::Failover, 2, &THREE[2..])],
    );
    world.down(&[0, 1]);
    world.set(0, State::Down, Override::None, 9);
    assert_eq!(world.ask(rtype::A), (Stage::BelowMinimum, 9, vec!["10.0.0.3".to_owned()]));
}

#[test]
fn one_of_those_that_share_a_client_shortens_the_ttl_of_all() {
    let mut world = World::new(Policy::Geo, &THREE);
    world.row.tied = [2].into();
    for pending in [0, 1] {
        world.set(pending, State::Down, Override::None, 8);
        assert_eq!(world.ask(rtype::A).1, 8);
        world.set(pending, State::Up, Override::None, TTL_CAP_NONE);
    }
    world.set(2, State::Down, Override::None, 8);
    assert_eq!(world.ask(rtype::A).1, 30, "behind them");
}

//------------ Last resorts ---------------------------------------------------

#[test]
fn the_first_choice_alone_is_given_or_nothing_of_the_asked_family() {
    let members: [Member<'_>; 2] = [("six", 1, &["2001:db8::1"]), ("four", 1, &["10.0.0.2"])];
    let mut world = World::new(Policy::Failover, &members);
    world.strategy.on_all_down = OnAllDown::First;
    world.strategy.max_answers = 2;
    world.down(&[0, 1]);
    assert_eq!(world.ask(rtype::AAAA).2, ["2001:db8::1"]);
    assert_eq!(world.ask(rtype::A), (Stage::AllDown, 5, vec![]));
}

#[test]
fn there_is_no_last_resort_when_an_operator_took_everything_out() {
    for on_all_down in [
        OnAllDown::Addresses(vec!["192.0.2.1".parse().unwrap()]),
        OnAllDown::LastKnownGood,
        OnAllDown::First,
        OnAllDown::ServFail,
        OnAllDown::Refuse,
    ] {
        let mut world = World::new(Policy::Failover, &THREE);
        (0..3).for_each(|vip| world.set(vip, State::Up, Override::ForcedDown, TTL_CAP_NONE));
        world.strategy.on_all_down = on_all_down.clone();
        assert_eq!(world.decide(rtype::A).outcome, Outcome::NoData, "{on_all_down:?}");
    }
}

pub(super) fn any_policy() -> impl proptest::strategy::Strategy<Value = Policy> {
    prop::sample::select(vec![
        Policy::Geo,
        Policy::RoundRobin,
        Policy::Weighted,
        Policy::Failover,
        Policy::Hash,
    ])
}

/// Mostly whole; now and then ramping up, or 0: held.
fn any_share() -> impl proptest::strategy::Strategy<Value = u16> {
    prop_oneof![20 => Just(SHARE_FULL), 2 => 1..SHARE_FULL, 1 => Just(0u16)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    /// From whatever turn a worker begins at, and whoever is down.
    #[test]
    fn shares_are_within_a_percentage_point_whatever_the_weights(
        weights in prop::collection::vec(0..1_000u32, 2..6),
        down in prop::num::u8::ANY,
        turn in prop::num::u32::ANY,
    ) {
        let addresses: Vec<String> = (0..weights.len()).map(|i| format!("10.0.0.{i}")).collect();
        let texts: Vec<[&str; 1]> = addresses.iter().map(|address| [address.as_str()]).collect();
        let members: Vec<Member<'_>> =
            texts.iter().zip(&weights).map(|(text, weight)| (text[0], *weight, &text[..])).collect();
        let is_down = |at: usize| at > 0 && down >> at & 1 == 1;
        let all_down: Vec<u32> =
            (0..weights.len()).filter(|&at| is_down(at)).map(|at| at as u32).collect();
        let up: Vec<usize> = (0..weights.len()).filter(|&at| !is_down(at)).collect();
        for (policy, queries) in [(Policy::RoundRobin, 10_000), (Policy::Weighted, 100_000)] {
            let mut world = World::new(policy, &members);
            world.turn = turn;
            world.down(&all_down);
            let shares = world.shares(queries);
            let weight = |at: usize| match policy {
                Policy::Weighted => f64::from(weights[at]),
                _ => 1.0,
            };
            let total: f64 = up.iter().map(|&at| weight(at)).sum();
            for &at in &up {
                let expected = if total == 0.0 { 1.0 / up.len() as f64 } else { weight(at) / total };
                let share = f64::from(shares.get(&addresses[at]).copied().unwrap_or(0));
                let share = share / f64::from(queries);
                prop_assert!((share - expected).abs() <= 0.01, "{policy:?} {at}: {share} {expected}");
            }
        }
    }
}

proptest! {
    /// Whatever the health: an available member is answered if there is one, a
    /// forced-down one never, and the TTL stays within its bounds.
    #[test]
    fn answers_are_available_and_ttls_within_bounds(
        over_pools in any_policy(),
        policy in any_policy(),
        words in prop::collection::vec((0..3u8, 0..4u8, prop::num::u16::ANY), 6),
        marks in prop::collection::vec(any_share(), 6),
        weights in prop::collection::vec(0..4u32, 6),
        max_answers in 1..4usize,
        turn in prop::num::u32::ANY,
    ) {
        let addresses: Vec<String> = (0..6).map(|index| format!("10.0.0.{index}")).collect();
        let texts: Vec<[&str; 1]> = addresses.iter().map(|address| [address.as_str()]).collect();
        let members: Vec<Member<'_>> =
            texts.iter().zip(&weights).map(|(text, weight)| (text[0], *weight, &text[..])).collect();
        let mut world = World::tiers(
            over_pools,
            &[(policy, 2, &members[..3]), (policy, 1, &members[3..])],
        );
        world.strategy.max_answers = max_answers;
        world.turn = turn;
        let states = [State::Unknown, State::Up, State::Down];
        let overs =
            [Override::None, Override::Drained, Override::ForcedUp, Override::ForcedDown];
        for (vip, &(state, over, cap_s)) in words.iter().enumerate() {
            world.set(vip as u32, states[usize::from(state)], overs[usize::from(over)], cap_s);
            world.set_share(vip as u32, marks[vip]);
        }
        let (stage, ttl_s, answer) = world.ask(rtype::A);
        prop_assert!((5..=30).contains(&ttl_s));
        prop_assert!(answer.len() <= max_answers);
        let word = |address: &String| {
            let index = addresses.iter().position(|known| known == address).unwrap();
            world.table.word(index as u32)
        };
        let any = addresses.iter().any(|address| word(address).available());
        prop_assert_eq!(any, stage <= Stage::BelowMinimum);
        for address in &answer {
            prop_assert!(word(address).over() != Override::ForcedDown);
            prop_assert!(!any || word(address).available());
        }
        let all_forced = addresses.iter().all(|a| word(a).over() == Override::ForcedDown);
        prop_assert_eq!(answer.is_empty(), all_forced);
        prop_assert_eq!(stage == Stage::ForcedDown, all_forced);
    }
}

/// Policy, minimum, and of each member its weight and which VIPs it has.
type AnyPool = (Policy, u16, Vec<(u32, usize)>);

/// Pools of members that have a VIP of one family or both, or two of one.
fn any_pools() -> impl proptest::strategy::Strategy<Value = Vec<AnyPool>> {
    let weight = prop_oneof![Just(100u32), Just(100), 0..4u32];
    let vips = prop_oneof![Just(0usize), Just(0), Just(0), 1..4usize];
    let members = prop::collection::vec((weight, vips), 1..5);
    prop::collection::vec((any_policy(), 0..4u16, members), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Where the calm case finds somebody, the walk over all stages finds the same.
    #[test]
    fn the_calm_case_is_the_walks(
        over_pools in any_policy(),
        pools in any_pools(),
        words in prop::collection::vec(
            prop_oneof![
                20 => Just((1u8, 0u8, TTL_CAP_NONE)),
                1 => (0..3u8, 0..4u8, prop::num::u16::ANY),
            ],
            24,
        ),
        marks in prop::collection::vec(any_share(), 24),
        shuffle in prop::num::u64::ANY,
        tied in 0..4u16,
        max_answers in prop_oneof![Just(1usize), Just(1), Just(2)],
        independent in prop::bool::ANY,
        turn in prop::num::u32::ANY,
        client in prop::num::u32::ANY,
    ) {
        let addresses: Vec<[String; 3]> = (0..12)
            .map(|i| [format!("10.0.0.{i}"), format!("fd00::{i}"), format!("10.0.1.{i}")])
            .collect();
        let lists: Vec<Vec<&str>> = addresses
            .iter()
            .flat_map(|[a, b, c]| [vec![a.as_str(), b], vec![a], vec![b], vec![a, c]])
            .collect();
        let mut next = 0..;
        let pools: Vec<(Policy, u16, Vec<Member<'_>>)> = pools
            .iter()
            .map(|(policy, minimum, members)| {
                let member = |&(weight, vips): &(u32, usize)| {
                    let at: usize = next.next().unwrap_or(0);
                    (addresses[at][0].as_str(), weight, &lists[4 * at + vips][..])
                };
                (*policy, *minimum, members.iter().map(member).collect())
            })
            .collect();
        let pools: Vec<_> = pools.iter().map(|(a, b, members)| (*a, *b, &members[..])).collect();
        let mut world = World::tiers(over_pools, &pools);
        world.shuffle(shuffle, tied);
        world.strategy.max_answers = max_answers;
        world.strategy.families =
            if independent { Families::Independent } else { Families::Together };
        world.network = ClientNetwork::of(IpAddr::from(client.to_be_bytes()));
        let states = [State::Unknown, State::Up, State::Down];
        let overs = [Override::None, Override::Drained, Override::ForcedUp, Override::ForcedDown];
        for (vip, &(state, over, cap_s)) in words.iter().enumerate() {
            world.set(vip as u32, states[usize::from(state)], overs[usize::from(over)], cap_s);
            world.set_share(vip as u32, marks[vip]);
        }
        let verdicts: Vec<u32> = (0..world.strategy.vips.len() as u32).collect();
        for rtype in [rtype::A, rtype::AAAA] {
            let question = Question {
                strategy: &world.strategy,
                verdicts: &verdicts,
                table: &world.table,
                laid: &[],
                row: &world.row,
                network: world.network,
                turn,
                rtype,
            };
            let mut walked = Room::default();
            let decision = choose_by_walk(&question, &mut walked);
            prop_assert_eq!(choose(&question, &mut world.room), decision);
            prop_assert_eq!(world.room.chosen(), walked.chosen());
        }
    }
}

#[test]
fn a_healthy_wip_of_any_policy_is_a_calm_case() {
    for policy in
        [Policy::Geo, Policy::RoundRobin, Policy::Weighted, Policy::Failover, Policy::Hash]
    {
        let world = World::new(policy, &THREE);
        let question = Question {
            strategy: &world.strategy,
            verdicts: &[0, 1, 2],
            table: &world.table,
            laid: &[],
            row: &world.row,
            network: world.network,
            turn: 0,
            rtype: rtype::A,
        };
        assert!(calm::choose(&question).is_some(), "{policy:?}");
    }
}

#[test]
fn nothing_is_answered_when_the_operator_says_so() {
    for (on_all_down, outcome) in [
        (OnAllDown::NoData, Outcome::NoData),
        (OnAllDown::ServFail, Outcome::ServFail),
        (OnAllDown::Refuse, Outcome::Refuse),
    ] {
        let mut world = World::new(Policy::Failover, &THREE);
        world.down(&[0, 1, 2]);
        world.strategy.on_all_down = on_all_down;
        let verdicts = [0, 1, 2];
        let question = Question {
            strategy: &world.strategy,
            verdicts: &verdicts,
            table: &world.table,
            laid: &[],
            row: &world.row,
            network: world.network,
            turn: 0,
            rtype: rtype::A,
        };
        assert_eq!(choose(&question, &mut world.room).outcome, outcome);
        assert!(world.room.chosen().is_empty());
    }
}
