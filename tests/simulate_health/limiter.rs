//! This host's own network cut, and all that looks like it.

use windrose::health::plan::{Plan, TargetId};
use windrose::health::{Event, FailureKind, LimiterPhase};

use super::simulation::Simulation;
use super::world::{DATACENTERS, INTERVAL_MS, plan, target};

const TARGETS: u32 = 2_000;
const KINDS: [FailureKind; 3] =
    [FailureKind::Timeout, FailureKind::Unreachable, FailureKind::Refused];

#[test]
fn a_cut_of_this_host_takes_nothing_down_and_no_service_is_emptied() {
    for (seed, kind) in (31..).zip(KINDS) {
        let mut simulation = Simulation::new(seed, TARGETS);
        simulation.until(30_000);
        let served = simulation.wips_served();
        assert_eq!(served.len() as u32, TARGETS / DATACENTERS);
        simulation.world.cut = Some(kind);
        let (mut least_served, mut emptied_ms) = (served.len(), None);
        while simulation.trips == 0 {
            simulation.until(simulation.now_ms + 100);
            let now_served = simulation.wips_served().len();
            least_served = least_served.min(now_served);
            if now_served < served.len() {
                emptied_ms = emptied_ms.or(Some(simulation.now_ms));
            }
            assert!(simulation.now_ms < 45_000, "it does not trip");
        }
        println!("{kind:?}: trips after {} ms", simulation.now_ms - 30_000);
        println!("{} losses undone, {least_served} WIPs served at the least", simulation.undone);
        // Only what is half of everything is known to be too much. Until then a few may
        // have lost all members, and answer as `on_all_down` says.
        let emptied_ms = emptied_ms.map_or(0, |at_ms| simulation.now_ms - at_ms);
        println!("some were without a member for {emptied_ms} ms");
        assert!(emptied_ms <= u64::from(INTERVAL_MS) / 2, "{emptied_ms} ms");
        assert!(least_served >= served.len() * 4 / 5, "{least_served}");
        assert_eq!(simulation.wips_served(), served, "and from then on all have them");
        simulation.downs.clear();
        // Cut for long: every second each WIP is checked to be served as before.
        simulation.until(120_000);
        assert_eq!(simulation.eligible(), TARGETS as usize, "nothing is down");
        assert!(simulation.engine.limiter().held > TARGETS * 9 / 10);
        simulation.world.heal(120_000);
        simulation.until(150_000);
        assert_eq!((simulation.trips, simulation.released), (1, 1));
        assert_eq!(simulation.downs.len(), 0, "nothing goes down after it, either");
        assert_eq!(simulation.eligible(), TARGETS as usize);
        assert_eq!(simulation.engine.limiter().held, 0);
    }
}

#[test]
fn the_loss_of_all_datacenters_but_one_is_never_held_back() {
    for (seed, kind) in (41..).zip(KINDS) {
        let mut simulation = Simulation::new(seed, TARGETS);
        simulation.until(30_000);
        for datacenter in 0..DATACENTERS - 1 {
            simulation.world.dead.insert(datacenter, kind);
        }
        simulation.until(30_000 + super::DETECTION_MS);
        // At the rate at which so many can be confirmed.
        simulation.until(50_000);
        for datacenter in 0..DATACENTERS - 1 {
            simulation.assert_dead(datacenter);
        }
        assert_eq!(simulation.trips, 0);
        // The last one is one datacenter: it is not held back either.
        simulation.world.dead.insert(DATACENTERS - 1, kind);
        simulation.until(80_000);
        assert_eq!((simulation.trips, simulation.eligible()), (0, 0));
    }
}

#[test]
fn what_died_while_the_host_was_cut_goes_down_when_it_is_back() {
    let mut simulation = Simulation::new(51, TARGETS);
    simulation.until(30_000);
    simulation.world.cut = Some(FailureKind::Timeout);
    simulation.until(60_000);
    assert_eq!(simulation.engine.limiter().phase, LimiterPhase::Tripped);
    simulation.world.dead.insert(2, FailureKind::Refused);
    simulation.world.heal(60_000);
    simulation.until(80_000);
    assert_eq!(simulation.released, 1);
    simulation.assert_dead(2);
    assert_eq!(simulation.eligible() as u32, TARGETS / DATACENTERS * 7);
}

#[test]
fn an_operators_word_lets_everything_go_down_once_and_the_next_cut_is_held_again() {
    let mut simulation = Simulation::new(61, TARGETS);
    simulation.until(30_000);
    simulation.world.cut = Some(FailureKind::Refused);
    simulation.until(60_000);
    assert_eq!(simulation.engine.limiter().phase, LimiterPhase::Tripped);
    let events = simulation.engine.release_limiter(simulation.now());
    let released = Event::LimiterReleased { held: TARGETS, by_operator: true };
    assert!(events.contains(&released), "{:?}", events.first());
    simulation.watch(&events);
    simulation.until(75_000);
    assert_eq!((simulation.eligible(), simulation.trips), (0, 1));
    assert_eq!(simulation.engine.limiter().phase, LimiterPhase::Overruled);
    simulation.world.heal(75_000);
    simulation.until(100_000);
    assert_eq!(simulation.eligible(), TARGETS as usize);
    assert_eq!(simulation.engine.limiter().phase, LimiterPhase::Armed);
    simulation.world.cut = Some(FailureKind::Refused);
    simulation.until(130_000);
    assert_eq!((simulation.trips, simulation.eligible()), (2, TARGETS as usize));
}

#[test]
fn the_limiter_outlives_a_reload() {
    let mut simulation = Simulation::new(71, TARGETS);
    simulation.until(30_000);
    simulation.world.cut = Some(FailureKind::Unreachable);
    simulation.until(32_500);
    for _ in 0..20 {
        // Before it trips, while losses are counted, and after.
        simulation.until(simulation.now_ms + 1_000);
        simulation.reload(|_| false);
    }
    assert_eq!((simulation.trips, simulation.released), (1, 0));
    assert_eq!(simulation.eligible(), TARGETS as usize);
    simulation.world.heal(simulation.now_ms);
    simulation.until(simulation.now_ms + 20_000);
    assert_eq!(simulation.released, 1);
}

/// All in one datacenter, the last two of them references.
fn one_datacenter(numbers: &[u32]) -> Plan {
    let mut plan = plan(numbers);
    for target in &mut plan.targets {
        target.datacenter = Some(0);
    }
    for number in 0..2 {
        plan.references.push(plan.targets.len() as TargetId);
        let mut reference = target(1_000_000 + number);
        reference.datacenter = None;
        plan.targets.push(reference);
    }
    plan
}

#[test]
fn with_one_datacenter_references_tell_a_cut_from_a_loss() {
    let numbers = || (8..400).collect();
    let mut simulation = Simulation::of(81, numbers(), one_datacenter);
    simulation.until(30_000);
    // The references answer: the loss is true.
    for datacenter in 0..DATACENTERS {
        simulation.world.dead.insert(datacenter, FailureKind::Timeout);
    }
    simulation.world.spared = vec![1_000_000, 1_000_001];
    simulation.until(50_000);
    assert_eq!((simulation.trips, simulation.eligible()), (0, 2));
    // Nothing answers: the fault is ours.
    let mut simulation = Simulation::of(82, numbers(), one_datacenter);
    simulation.until(30_000);
    simulation.world.cut = Some(FailureKind::Timeout);
    simulation.until(60_000);
    assert_eq!((simulation.trips, simulation.released), (1, 0));
    assert!(simulation.eligible() >= 392, "{}", simulation.eligible());
    simulation.world.heal(60_000);
    simulation.until(80_000);
    assert_eq!((simulation.trips, simulation.released), (1, 1));
    assert_eq!(simulation.eligible(), 394);
}
