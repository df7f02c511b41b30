//! Returning members: shares while they ramp up, and those that are held.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::choose::{Outcome, Stage};
use super::choose_tests::{Member, THREE, World, any_policy};
use super::hash::ClientNetwork;
use super::{Families, OnAllDown, Policy};
use crate::dns::types::rtype;
use crate::health::table::{Override, SHARE_FULL, State, TTL_CAP_NONE, Word};

const CLIENTS: u32 = 50_000;
const BY_CLIENT: [Policy; 3] = [Policy::Failover, Policy::Geo, Policy::Hash];
const BY_TURN: [Policy; 2] = [Policy::RoundRobin, Policy::Weighted];
const SHARES: [u16; 8] = [1, 3, 26, 95, 128, 200, 240, 255];

/// The client networks that tests ask from: IPv4 and IPv6.
fn client(index: u32) -> ClientNetwork {
    ClientNetwork::of(match index % 2 {
        0 => IpAddr::from((index << 7 | 0x0a00_0000).to_be_bytes()),
        _ => IpAddr::from([0x2001, 0xdb8, (index >> 8) as u16, (index << 8) as u16, 0, 0, 0, 1]),
    })
}

impl World {
    fn answer_to(&mut self, index: u32) -> String {
        self.network = client(index);
        self.ask(rtype::A).2.concat()
    }

    /// How many clients get the address.
    fn clients_of(&mut self, address: &str) -> u32 {
        (0..CLIENTS).map(|index| u32::from(self.answer_to(index) == address)).sum()
    }
}

//------------ Shares ---------------------------------------------------------

#[test]
fn a_returning_member_takes_its_share_of_the_clients_it_would_have() {
    for policy in BY_CLIENT {
        let mut world = World::new(policy, &THREE);
        let all = f64::from(world.clients_of("10.0.0.1"));
        for share in SHARES {
            world.set_share(0, share);
            let part = f64::from(world.clients_of("10.0.0.1")) / all;
            let expected = f64::from(share) / f64::from(SHARE_FULL);
            assert!((part - expected).abs() < 0.01, "{policy:?} {share}: {part} {expected}");
        }
    }
}

#[test]
fn members_that_return_together_take_their_shares_of_different_clients() {
    let mut world = World::new(Policy::Failover, &THREE);
    world.set_share(0, 128);
    world.set_share(1, 128);
    let of = |world: &mut World, address| f64::from(world.clients_of(address)) / f64::from(CLIENTS);
    let (a, b) = (of(&mut world, "10.0.0.1"), of(&mut world, "10.0.0.2"));
    assert!((a - 0.5).abs() < 0.01 && (b - 0.25).abs() < 0.01, "{a} {b}");
}

#[test]
fn a_client_that_a_returning_member_took_stays_and_no_other_member_moves() {
    for policy in BY_CLIENT {
        let mut world = World::new(policy, &THREE);
        world.down(&[1]);
        let mut before: Vec<String> = (0..5_000).map(|index| world.answer_to(index)).collect();
        world.set(1, State::Up, Override::None, TTL_CAP_NONE);
        let mut moved = 0;
        for share in (1..=SHARE_FULL).step_by(15) {
            world.set_share(1, share);
            for (index, before) in (0..).zip(&mut before) {
                let after = world.answer_to(index);
                if after != *before {
                    assert_eq!(after, "10.0.0.2", "{policy:?} {share}: {before} moved");
                    moved += 1;
                    *before = after;
                }
            }
        }
        assert_eq!(moved > 0, policy == Policy::Hash, "behind another, it takes nobody");
    }
}

#[test]
fn the_clients_of_a_share_are_the_same_for_every_wip_and_family() {
    let both: [Member<'_>; 2] =
        [("a", 1, &["10.0.0.1", "fd00::1"]), ("b", 1, &["10.0.0.2", "fd00::2"])];
    let mut world = World::new(Policy::Failover, &both);
    let mut other = World::new(Policy::Geo, &THREE);
    (0..2).for_each(|vip| world.set_share(vip, 100));
    other.set_share(0, 100);
    for index in 0..5_000 {
        let four = world.answer_to(index);
        assert_eq!(four, other.answer_to(index));
        assert_eq!(world.ask(rtype::AAAA).2, [format!("fd00::{}", &four[7..])]);
    }
}

/// The families came back one after the other: the member takes the clients of the
/// larger share in both.
#[test]
fn a_member_that_takes_a_client_has_an_address_of_either_family_for_it() {
    let both: [Member<'_>; 2] =
        [("a", 1, &["10.0.0.1", "fd00::1"]), ("b", 1, &["10.0.0.2", "fd00::2"])];
    let mut world = World::new(Policy::Failover, &both);
    world.set_share(0, 40);
    world.set_share(1, 200);
    for index in 0..5_000 {
        let four = world.answer_to(index);
        assert_eq!(world.ask(rtype::AAAA).2, [format!("fd00::{}", &four[7..])]);
    }
}

#[test]
fn of_several_vips_the_one_that_ramps_up_gets_its_share_alone() {
    let members: [Member<'_>; 1] = [("a", 1, &["10.0.0.1", "10.0.0.2"])];
    let mut world = World::new(Policy::Failover, &members);
    world.set_share(1, 64);
    let part = f64::from(world.clients_of("10.0.0.2")) / f64::from(CLIENTS);
    // In turn among both for a quarter of the clients.
    assert!((part - 0.125).abs() < 0.01, "{part}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// By turns: from whatever turn a worker begins at.
    #[test]
    fn shares_of_queries_are_within_a_percentage_point(
        weights in prop::collection::vec(1..1_000u32, 1..8),
        which in 0..8usize,
        share in 1..SHARE_FULL,
        turn in prop::num::u32::ANY,
    ) {
        let addresses: Vec<String> = (0..weights.len()).map(|i| format!("10.0.0.{i}")).collect();
        let texts: Vec<[&str; 1]> = addresses.iter().map(|address| [address.as_str()]).collect();
        let members: Vec<Member<'_>> =
            texts.iter().zip(&weights).map(|(text, weight)| (text[0], *weight, &text[..])).collect();
        let which = which % weights.len();
        for policy in BY_TURN {
            let mut world = World::new(policy, &members);
            world.turn = turn;
            world.set_share(which as u32, share);
            let shares = world.shares(10_000);
            let weight = |at: usize| match policy {
                Policy::Weighted => f64::from(weights[at]),
                _ => 1.0,
            };
            let total: f64 = (0..weights.len()).map(weight).sum();
            let ramp = if weights.len() == 1 { 1.0 } else { f64::from(share) / 256.0 };
            for (at, address) in addresses.iter().enumerate() {
                let expected = match at == which {
                    true => ramp * weight(at) / total,
                    false => {
                        let alone = weight(at) / (total - weight(which));
                        ramp * weight(at) / total + (1.0 - ramp) * alone
                    }
                };
                let got = f64::from(shares.get(address).copied().unwrap_or(0)) / 10_000.0;
                prop_assert!((got - expected).abs() <= 0.01, "{policy:?} {at}: {got} {expected}");
            }
        }
    }
}

#[test]
fn members_that_return_together_share_turns_as_if_each_were_drawn_alone() {
    for policy in BY_TURN {
        let mut world = World::new(policy, &THREE);
        world.set_share(1, 128);
        world.set_share(2, 128);
        let shares = world.shares(10_000);
        // Of four equal parts: with both, with either, with neither.
        let expected = (1.0 / 3.0 + 1.0 / 2.0) / 4.0;
        for address in ["10.0.0.2", "10.0.0.3"] {
            let got = f64::from(shares[address]) / 10_000.0;
            assert!((got - expected).abs() <= 0.01, "{policy:?} {address}: {got} {expected}");
        }
    }
}

#[test]
fn over_pools_in_turn_a_pool_that_returns_gets_its_share_of_turns() {
    let pools: [(Policy, u16, &[Member<'_>]); 2] =
        [(Policy::Failover, 1, &THREE[..1]), (Policy::Failover, 1, &THREE[1..2])];
    for policy in BY_TURN {
        let mut world = World::tiers(policy, &pools);
        world.set_share(0, 64);
        let shares = world.shares(10_000);
        let got = f64::from(shares["10.0.0.1"]) / 10_000.0;
        assert!((got - 0.125).abs() <= 0.01, "{policy:?}: {got}");
    }
}

//------------ As up or as down -----------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// To each client and query a member that ramps up is as good as up, or as good
    /// as down; down, only while somebody else is available. With the share, never
    /// back to down.
    #[test]
    fn a_member_that_ramps_up_is_as_up_or_as_down(
        over_pools in any_policy(),
        policy in any_policy(),
        words in prop::collection::vec((0..3u8, 0..4u8), 6),
        minimum in 0..4u16,
        which in 0..6u32,
        max_answers in 1..4usize,
        on_all_down in prop::sample::select(vec![OnAllDown::All, OnAllDown::NoData]),
        turn in prop::num::u32::ANY,
        index in 0..CLIENTS,
    ) {
        let addresses: Vec<String> = (0..6).map(|index| format!("10.0.0.{index}")).collect();
        let texts: Vec<[&str; 1]> = addresses.iter().map(|address| [address.as_str()]).collect();
        let members: Vec<Member<'_>> = texts.iter().map(|text| (text[0], 1, &text[..])).collect();
        let mut world = World::tiers(
            over_pools,
            &[(policy, minimum, &members[..3]), (policy, 1, &members[3..])],
        );
        world.strategy.max_answers = max_answers;
        world.strategy.on_all_down = on_all_down;
        world.network = client(index);
        let states = [State::Unknown, State::Up, State::Down];
        let overs = [Override::None, Override::Drained, Override::ForcedUp, Override::ForcedDown];
        for (vip, &(state, over)) in words.iter().enumerate() {
            let (state, over) = (states[usize::from(state)], overs[usize::from(over)]);
            world.set(vip as u32, state, over, TTL_CAP_NONE);
        }
        let mut ask = |word: Word| {
            world.table.set(which, word);
            world.turn = turn;
            let (stage, _, answer) = world.ask(rtype::A);
            (stage, answer)
        };
        let up = ask(Word::UP);
        let down = ask(Word::new(State::Down, false, Override::None, TTL_CAP_NONE, 0));
        let mut was_up = false;
        for share in [1, 2, 40, 128, 200, 255] {
            let ramping = ask(Word::UP.with_share(share));
            let as_down = ramping == down && down.0 <= Stage::BelowMinimum;
            prop_assert!(ramping == up || as_down, "{share}: {ramping:?} {up:?} {down:?}");
            if up != down {
                prop_assert!(!was_up || ramping == up, "{share}: back to down");
                was_up = ramping == up;
            }
        }
    }
}

#[test]
fn a_pool_that_returns_takes_its_share_of_clients_from_the_next() {
    let pools: [(Policy, u16, &[Member<'_>]); 2] =
        [(Policy::Failover, 2, &THREE[..2]), (Policy::Failover, 1, &THREE[2..])];
    let mut world = World::tiers(Policy::Failover, &pools);
    // The second of two that the first pool needs has come back.
    world.set_share(1, 64);
    let mut shares = BTreeMap::new();
    for index in 0..CLIENTS {
        *shares.entry(world.answer_to(index)).or_insert(0) += 1;
    }
    assert_eq!(shares.keys().collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.3"]);
    let part = f64::from(shares["10.0.0.1"]) / f64::from(CLIENTS);
    assert!((part - 0.25).abs() < 0.01, "{part}");
}

#[test]
fn a_cold_site_is_better_than_none() {
    for policy in BY_CLIENT.into_iter().chain(BY_TURN) {
        for families in [Families::Together, Families::Independent] {
            let mut world = World::new(policy, &THREE);
            world.strategy.families = families;
            world.down(&[0, 2]);
            world.set_share(1, 1);
            for index in 0..1_000 {
                world.network = client(index);
                assert_eq!(world.ask(rtype::A), (Stage::Available, 30, vec!["10.0.0.2".into()]));
            }
            // So are several, and they share as if none were cold.
            world.set(2, State::Up, Override::None, TTL_CAP_NONE);
            world.set_share(2, 1);
            assert!((0..1_000).all(|index| !world.answer_to(index).is_empty()));
        }
    }
}

//------------ Held -----------------------------------------------------------

#[test]
fn a_held_member_is_answered_when_nobody_is_available_and_before_failing_open() {
    for policy in BY_CLIENT.into_iter().chain(BY_TURN) {
        let mut world = World::new(policy, &THREE);
        world.set_share(1, 0);
        for index in 0..1_000 {
            assert_ne!(world.answer_to(index), "10.0.0.2", "{policy:?}");
        }
        world.down(&[0, 2]);
        for index in 0..100 {
            world.network = client(index);
            assert_eq!(world.ask(rtype::A), (Stage::Drained, 5, vec!["10.0.0.2".into()]));
        }
    }
}

#[test]
fn a_held_member_is_answered_whatever_on_all_down_says() {
    let mut world = World::new(Policy::Failover, &THREE);
    world.strategy.on_all_down = OnAllDown::NoData;
    world.down(&[0, 1, 2]);
    assert_eq!(world.decide(rtype::A).outcome, Outcome::NoData);
    world.table.set(2, Word::UP.held());
    assert_eq!(world.ask(rtype::A).2, ["10.0.0.3"]);
    // Forced down, it is not.
    world.table.set(2, Word::new(State::Up, false, Override::ForcedDown, 0, 0).held());
    assert_eq!(world.decide(rtype::A).outcome, Outcome::NoData);
}
