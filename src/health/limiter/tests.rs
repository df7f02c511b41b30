//! The limiter against a world that counts everything anew each time.

use proptest::prelude::*;

use super::super::check::{ProbeKind, TcpProbe};
use super::super::plan::{Identity, Target, Thresholds};
use super::*;

fn target(datacenter: Option<u32>, number: u32) -> Target {
    let probe = ProbeKind::Tcp(TcpProbe { port: 80, ..TcpProbe::default() });
    let address = std::net::IpAddr::V4(std::net::Ipv4Addr::from(0x0A00_0000 + number));
    Target {
        identity: Identity { probe, address: address.into() },
        check: String::new(),
        member: String::new(),
        wip: None,
        datacenter,
        thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
        interval_ms: 5_000,
        timeout_ms: 1_000,
        confirm_interval_ms: 1_000,
    }
}

/// So many targets for each datacenter, then those without one, then references.
fn plan(datacenters: &[u32], without: u32, references: u32) -> Plan {
    let mut plan = Plan::default();
    for (datacenter, count) in (0..).zip(datacenters) {
        for _ in 0..*count {
            plan.targets.push(target(Some(datacenter), plan.targets.len() as u32));
        }
    }
    for _ in 0..without + references {
        plan.targets.push(target(None, plan.targets.len() as u32));
    }
    let count = plan.targets.len() as u32;
    plan.references = (count - references..count).collect();
    plan
}

fn answer(passed: bool, calm: bool, down: bool) -> Answer {
    Answer { passed, calm, down }
}

fn before() -> Before {
    Before { machine: Machine::default(), since_s: 0, lost_at_s: 0 }
}

fn lose(limiter: &mut Limiter, ids: impl IntoIterator<Item = TargetId>, now_ms: u64) -> Vec<u32> {
    let mut undone = Vec::new();
    for id in ids {
        let seen = if limiter.holds(id) { Seen::Held } else { Seen::Lost(before()) };
        match limiter.see(id, seen, now_ms) {
            Some(Change::Trip(losses)) => undone = losses.into_iter().map(|(id, _)| id).collect(),
            Some(Change::Release(_)) => panic!("a loss releases nothing"),
            None => {}
        }
    }
    undone
}

/// How many were held when it released, if it did.
fn calm(limiter: &mut Limiter, ids: impl IntoIterator<Item = TargetId>) -> Option<u32> {
    ids.into_iter().find_map(|id| match limiter.see(id, Seen::Calm, 0) {
        Some(Change::Release(held)) => Some(held),
        other => other.map(|_| panic!("an answer trips nothing")),
    })
}

#[test]
fn it_trips_when_more_than_the_fraction_of_every_datacenter_is_lost() {
    let mut limiter = Limiter::new(&plan(&[10, 10], 3, 0), |_| true);
    // All of one, and half of the other: not more than the fraction of each.
    assert!(lose(&mut limiter, (0..10).chain(10..15), 0).is_empty());
    // Those without a datacenter count in none.
    assert!(lose(&mut limiter, 20..23, 1_000).is_empty());
    assert_eq!(lose(&mut limiter, 15..17, 9_000).len(), 10 + 3 + 6);
    assert_eq!((limiter.phase(), limiter.held()), (LimiterPhase::Tripped, 20));
    let status = limiter.status(7);
    let shares: Vec<_> = status.datacenters.iter().map(|loss| (loss.lost, loss.counted)).collect();
    assert_eq!((shares, status.trips, status.since_s), (vec![(10, 10), (7, 10)], 1, 7));
    // Held on; released when one datacenter is at the fraction again.
    assert!(lose(&mut limiter, 17..20, 12_000).is_empty());
    assert_eq!(calm(&mut limiter, (0..4).chain(10..14)), None);
    assert_eq!(calm(&mut limiter, 4..10), Some(23 - 9));
    assert_eq!((limiter.phase(), limiter.held()), (LimiterPhase::Armed, 0));
    // What goes down now goes down.
    assert!(lose(&mut limiter, 14..20, 12_000).is_empty());
}

#[test]
fn losses_older_than_the_window_and_members_that_came_back_do_not_count() {
    let mut limiter = Limiter::new(&plan(&[10, 10], 0, 0), |_| true);
    assert!(lose(&mut limiter, 0..10, 0).is_empty());
    // Ten seconds later nothing of the first is left to speak: one is no two.
    assert!(lose(&mut limiter, 10..20, 10_001).is_empty());
    let mut limiter = Limiter::new(&plan(&[10, 10], 0, 0), |_| true);
    assert!(lose(&mut limiter, 0..10, 0).is_empty());
    for id in 0..5 {
        assert!(limiter.see(id, Seen::Risen, 5_000).is_none());
    }
    assert!(lose(&mut limiter, 10..20, 6_000).is_empty());
}

#[test]
fn a_datacenter_that_was_down_already_neither_trips_nor_hinders() {
    let down_before = |id: TargetId| !(20..30).contains(&id);
    let mut limiter = Limiter::new(&plan(&[10, 10, 10], 0, 0), down_before);
    assert!(lose(&mut limiter, 0..10, 0).is_empty());
    assert_eq!(lose(&mut limiter, 10..16, 0).len(), 16);
    // It comes back: that is an answer from somewhere.
    assert!(matches!(limiter.see(20, Seen::Risen, 0), Some(Change::Release(16))));
    // Two of which one was down before are one.
    let mut limiter = Limiter::new(&plan(&[10, 10], 0, 0), |id| id < 10);
    assert!(lose(&mut limiter, 0..10, 0).is_empty());
}

#[test]
fn few_targets_and_a_fraction_of_one_never_trip_it() {
    let mut limiter = Limiter::new(&plan(&[5, 4], 9, 0), |_| true);
    assert!(lose(&mut limiter, 0..18, 0).is_empty());
    let mut off = plan(&[10, 10], 0, 0);
    off.limiter.max_down_fraction = 1.0;
    let mut limiter = Limiter::new(&off, |_| true);
    assert!(lose(&mut limiter, 0..20, 0).is_empty());
}

#[test]
fn one_datacenter_trips_it_only_if_references_that_worked_fail_too() {
    for (passed_first, still_passing, trips) in
        [(true, false, true), (true, true, false), (false, false, false)]
    {
        let mut limiter = Limiter::new(&plan(&[20], 5, 2), |_| true);
        for id in 25..27 {
            limiter.see_reference(id, answer(passed_first, passed_first, false), 0);
        }
        limiter.see_reference(25, answer(false, false, false), 1_000);
        assert!(lose(&mut limiter, 0..25, 1_000).is_empty(), "one reference passes, or none ever");
        let change = limiter.see_reference(26, answer(still_passing, still_passing, false), 2_000);
        assert_eq!(matches!(change, Some(Change::Trip(_))), trips, "{change:?}");
        if trips {
            // One packet through does not open it, enough in a row do.
            assert!(limiter.see_reference(25, answer(true, false, false), 3_000).is_none());
            assert!(limiter.see_reference(25, answer(true, true, false), 4_000).is_some());
        }
    }
    // A reference that has been down for long is no witness.
    let mut limiter = Limiter::new(&plan(&[20], 0, 1), |_| true);
    limiter.see_reference(20, answer(true, true, false), 0);
    limiter.see_reference(20, answer(false, false, true), 1_000);
    assert!(lose(&mut limiter, 0..20, 60_000).is_empty());
}

#[test]
fn an_operators_word_holds_until_it_would_have_released_by_itself() {
    let mut limiter = Limiter::new(&plan(&[10, 10], 0, 0), |_| true);
    assert_eq!(limiter.overrule(), None);
    assert_eq!(lose(&mut limiter, 0..16, 0).len(), 16);
    assert_eq!(limiter.overrule(), Some(16));
    // The same losses, and the rest, do not trip it again: now, or later.
    assert!(lose(&mut limiter, 0..20, 1_000).is_empty());
    assert_eq!((limiter.phase(), limiter.held()), (LimiterPhase::Overruled, 0));
    // Half of one answers again: it watches again.
    for id in 0..5 {
        assert_eq!(limiter.phase(), LimiterPhase::Overruled);
        assert!(limiter.see(id, Seen::Risen, 60_000).is_none());
    }
    assert_eq!(limiter.phase(), LimiterPhase::Armed);
}

#[test]
fn a_reload_keeps_what_is_held_and_releases_where_it_changes_the_world() {
    let mut limiter = Limiter::new(&plan(&[10, 10], 0, 0), |_| true);
    lose(&mut limiter, 0..8, 0);
    // In the window, over a reload in which everything has another index.
    let old_id = |id: TargetId| (id < 20).then_some(19 - id);
    let mut next = plan(&[10, 10], 0, 0);
    let mut limiter = Limiter::after(&limiter, old_id, &next, |id| id < 12);
    let undone = lose(&mut limiter, 0..6, 5_000);
    assert_eq!(undone.len(), 14);
    assert!(undone.contains(&12) && undone.contains(&19) && !undone.contains(&11));
    let limiter = Limiter::after(&limiter, Some, &next, |_| true);
    assert_eq!((limiter.phase(), limiter.held()), (LimiterPhase::Tripped, 14));
    // A third datacenter, of which nothing is known to fail.
    next.targets.extend((0..10).map(|number| target(Some(2), 100 + number)));
    let mut limiter = Limiter::after(&limiter, |id| (id < 20).then_some(id), &next, |_| true);
    assert!(matches!(limiter.settle(6_000), Some(Change::Release(14))));
}

//------------ Against a model ------------------------------------------------

/// One target as the model knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Up,
    /// Lost at this time.
    Lost(u64),
    /// Down for longer than any window.
    Down,
    Held,
}

/// Shares of every datacenter with anything that counts.
fn shares(world: &[Known], plan: &Plan, now_ms: u64) -> Vec<f64> {
    let window_ms = u64::from(plan.limiter.window_ms);
    let datacenters = plan.targets.iter().filter_map(|target| target.datacenter).max().unwrap_or(0);
    let share = |datacenter| {
        let own = world.iter().zip(&plan.targets);
        let own = own.filter(|(_, target)| target.datacenter == Some(datacenter));
        let (mut lost, mut counted) = (0, 0);
        for (known, _) in own {
            let is_lost = match known {
                Known::Lost(at_ms) => at_ms + window_ms >= now_ms,
                Known::Held => true,
                _ => false,
            };
            lost += u32::from(is_lost);
            counted += u32::from(is_lost || *known == Known::Up);
        }
        (counted > 0).then(|| f64::from(lost) / f64::from(counted))
    };
    (0..=datacenters).filter_map(share).collect()
}

proptest! {
    #[test]
    fn it_trips_and_releases_exactly_when_the_shares_say_so(
        sizes in prop::collection::vec(0_u32..9, 1..5),
        fraction in 0.0..1.0_f64,
        steps in prop::collection::vec((0_u32..40, 0_u8..4, 0_u64..4_000), 1..300),
    ) {
        let mut plan = plan(&sizes, 2, 0);
        plan.limiter.max_down_fraction = fraction;
        let count = plan.targets.len() as u32;
        let in_datacenters = sizes.iter().sum::<u32>();
        let mut limiter = Limiter::new(&plan, |_| true);
        let mut world = vec![Known::Up; count as usize];
        let mut tripped = false;
        let mut now_ms = 0;
        for (id, what, gap_ms) in steps {
            let id = id % count;
            now_ms += gap_ms;
            let known = &mut world[id as usize];
            let seen = match (what, *known) {
                // Three in four are losses, so that some trip.
                (1.., Known::Up) if tripped => { *known = Known::Held; Seen::Held }
                (1.., Known::Up) => { *known = Known::Lost(now_ms); Seen::Lost(before()) }
                (1.., Known::Held) => Seen::Held,
                (0, Known::Held) => { *known = Known::Up; Seen::Calm }
                (0, Known::Lost(_) | Known::Down) => { *known = Known::Up; Seen::Risen }
                _ => Seen::Other,
            };
            let change = limiter.see(id, seen, now_ms);
            let shares = shares(&world, &plan, now_ms);
            let excessive = shares.len() >= 2
                && in_datacenters >= plan.limiter.min_targets
                && shares.iter().all(|share| *share > fraction);
            match change {
                Some(Change::Trip(losses)) => {
                    prop_assert!(!tripped && excessive, "{shares:?}");
                    let window_ms = u64::from(plan.limiter.window_ms);
                    let mut undone: Vec<_> = losses.iter().map(|(id, _)| *id).collect();
                    undone.sort_unstable();
                    let recent = |known: &Known| matches!(known, Known::Lost(at_ms) if at_ms + window_ms >= now_ms);
                    let expected: Vec<u32> = (0..).zip(&world).filter(|(_, k)| recent(k)).map(|(id, _)| id).collect();
                    prop_assert_eq!(&undone, &expected, "all of the window, and nothing else");
                    for id in undone {
                        world[id as usize] = Known::Held;
                    }
                    for known in &mut world {
                        if matches!(known, Known::Lost(_)) {
                            *known = Known::Down;
                        }
                    }
                    tripped = true;
                }
                Some(Change::Release(_)) => {
                    prop_assert!(tripped && !excessive, "{shares:?}");
                    tripped = false;
                    for known in &mut world {
                        if *known == Known::Held {
                            *known = Known::Up;
                        }
                    }
                }
                None => prop_assert_eq!(tripped, excessive, "{:?}", shares),
            }
        }
    }

    #[test]
    fn one_datacenters_loss_never_trips_it(
        sizes in prop::collection::vec(1_u32..40, 2..6),
        lost in 0_usize..6,
        noise in prop::collection::vec(0_u32..200, 0..20),
        references in 0_u32..3,
        order in any::<u64>(),
    ) {
        let plan = plan(&sizes, 10, references);
        let lost = lost % sizes.len();
        let mut limiter = Limiter::new(&plan, |_| true);
        for id in plan.references.clone() {
            limiter.see_reference(id, answer(true, true, false), 0);
            limiter.see_reference(id, answer(false, false, false), 0);
        }
        // The whole of one, all without a datacenter, and at most half of each other.
        let mut gone: Vec<TargetId> = Vec::new();
        let mut start = 0;
        for (datacenter, size) in sizes.iter().enumerate() {
            let own = start..start + size;
            start += size;
            match datacenter == lost {
                true => gone.extend(own),
                false => {
                    let some = noise.iter().map(|n| own.start + n % size);
                    let mut some: Vec<_> = some.collect();
                    some.sort_unstable();
                    some.dedup();
                    some.truncate(*size as usize / 2);
                    gone.extend(some);
                }
            }
        }
        gone.extend(start..start + 10);
        let turn = (order % gone.len() as u64) as usize;
        gone.rotate_left(turn);
        prop_assert!(lose(&mut limiter, gone, 1_000).is_empty());
        prop_assert_eq!(limiter.phase(), LimiterPhase::Armed);
    }
}
