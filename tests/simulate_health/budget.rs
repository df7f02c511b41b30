//! What comes on top of steady probes, when everything happens at once. That first
//! and confirm probes stay within twice the steady rate in any second is checked at
//! every probe of every simulation.

use windrose::health::FailureKind;
use windrose::health::plan::Plan;

use super::DETECTION_MS;
use super::simulation::Simulation;
use super::world::{DATACENTERS, INTERVAL_MS, TIMEOUT_MS, plan};

const TARGETS: u32 = 10_000;

/// Everything may go down at once.
fn without_limiter(numbers: &[u32]) -> Plan {
    let mut plan = plan(numbers);
    plan.limiter.max_down_fraction = 1.0;
    plan
}

#[test]
fn ten_thousand_targets_that_fail_at_once_are_confirmed_within_the_budget() {
    for kind in [FailureKind::Refused, FailureKind::Timeout] {
        let mut simulation = Simulation::of(3, (0..TARGETS).collect(), without_limiter);
        simulation.until(20_000);
        let (steady, calm) = (simulation.steady_per_s(), simulation.most_in_second);
        simulation.world.cut = Some(kind);
        simulation.most_extra_in_second = 0;
        let start_ms = simulation.now_ms;
        // Beyond the budget each waits for its interval: no member waits for longer.
        let most_ms = 3 * u64::from(INTERVAL_MS) * 105 / 100 + u64::from(TIMEOUT_MS);
        while simulation.eligible() > 0 {
            assert!(simulation.now_ms < start_ms + most_ms, "{} left", simulation.eligible());
            simulation.until(simulation.now_ms + 100);
        }
        let (most, extra) = (simulation.most_in_second, simulation.most_extra_in_second);
        println!("{kind:?}: all after {} ms, {most} a second", simulation.now_ms - start_ms);
        println!("steady {steady}, calm at most {calm}, first and confirm at most {extra}");
        assert!(extra as f64 > 1.5 * steady, "the budget is used");
        assert!(most as f64 <= 3.1 * steady, "{most} in a second");
    }
}

#[test]
fn a_reload_that_adds_many_leaves_room_to_notice_a_loss() {
    let mut simulation = Simulation::of(4, (0..2_000).collect(), plan);
    simulation.until(20_000);
    simulation.numbers = (0..TARGETS).collect();
    simulation.reload(|_| false);
    simulation.most_extra_in_second = 0;
    simulation.world.dead_targets =
        (0..2_000).filter(|n| n % DATACENTERS == 3).map(|n| (n, FailureKind::Refused)).collect();
    let start_ms = simulation.now_ms;
    simulation.until(start_ms + u64::from(INTERVAL_MS) * 55 / 100);
    assert!(simulation.engine.first_verdicts_done(), "all started in half an interval");
    simulation.until(start_ms + DETECTION_MS);
    let words = simulation.words_of_singles();
    let dead = simulation.world.dead_targets.keys();
    let up = dead.filter(|number| words[number].available()).count();
    assert_eq!(up, 0, "still up");
    println!("first and confirm at most {} a second", simulation.most_extra_in_second);
}

#[test]
fn a_mass_recovery_leaves_room_to_notice_a_loss() {
    let mut simulation = Simulation::of(5, (0..TARGETS).collect(), plan);
    simulation.until(20_000);
    for datacenter in 0..DATACENTERS - 1 {
        simulation.world.dead.insert(datacenter, FailureKind::Refused);
    }
    simulation.until(60_000);
    assert_eq!(simulation.trips, 0);
    assert_eq!(simulation.eligible(), TARGETS as usize / 8);
    // Seven come back in the moment in which the eighth dies.
    simulation.world.dead.clear();
    simulation.world.dead.insert(DATACENTERS - 1, FailureKind::Timeout);
    simulation.until(60_000 + DETECTION_MS);
    simulation.assert_dead(DATACENTERS - 1);
    simulation.until(90_000);
    assert_eq!(simulation.eligible(), TARGETS as usize / 8 * 7);
}
