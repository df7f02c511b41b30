//! Time that does what it likes.

use windrose::health::plan::TargetId;
use windrose::health::table::State;
use windrose::health::{FailureKind, LimiterPhase};

use super::simulation::Simulation;
use super::world::INTERVAL_MS;

const TARGETS: u32 = 2_000;

fn states(simulation: &Simulation, state: State) -> usize {
    let ids = 0..simulation.engine.plan().targets.len() as TargetId;
    let is = |id: &TargetId| simulation.engine.status(*id).expect("it is there").state == state;
    ids.filter(is).count()
}

#[test]
fn a_pause_blames_nobody_and_is_followed_by_no_storm() {
    for pause_ms in [600, 3_000, 30_000, 8 * 3_600_000] {
        let mut simulation = Simulation::new(91, TARGETS);
        simulation.until(30_000);
        // Whatever is in flight when it begins runs into its deadline.
        simulation.world.cut = Some(FailureKind::Timeout);
        simulation.run_to(30_400);
        simulation.world.heal(30_400);
        simulation.world.healed_ms = None;
        simulation.stall(pause_ms);
        let woke_ms = simulation.now_ms;
        simulation.most_in_second = 0;
        simulation.until(woke_ms + 1_000);
        assert_eq!(states(&simulation, State::Up), TARGETS as usize, "{pause_ms} ms");
        let (steady, most) = (simulation.steady_per_s(), simulation.most_in_second);
        println!("{pause_ms} ms: {most} in the busiest second after it, steady {steady}");
        assert!(most as f64 <= 1.2 * steady, "{most} in a second, steady {steady}");
        // Everything is probed again within an interval.
        let before = simulation.started;
        simulation.until(woke_ms + u64::from(INTERVAL_MS) * 105 / 100);
        assert!(simulation.started - before >= u64::from(TARGETS) * 3 / 4);
        simulation.until(woke_ms + 20_000);
        assert_eq!(states(&simulation, State::Up), TARGETS as usize);
        assert!(simulation.downs.is_empty());
        assert_eq!(simulation.engine.limiter().phase, LimiterPhase::Armed);
    }
}

#[test]
fn a_death_during_a_pause_is_noticed_after_it() {
    let mut simulation = Simulation::new(92, TARGETS);
    simulation.until(30_000);
    simulation.world.dead.insert(4, FailureKind::Refused);
    simulation.stall(30_000);
    simulation.until(60_000 + super::DETECTION_MS);
    simulation.assert_dead(4);
}

#[test]
fn the_wall_clock_decides_nothing() {
    let run = |jumps: bool| {
        let mut simulation = Simulation::new(93, 400);
        for slot in 0..40_i64 {
            if slot == 7 {
                simulation.world.dead.insert(1, FailureKind::Refused);
            }
            if slot == 20 {
                simulation.world.dead.clear();
                simulation.world.dead.insert(5, FailureKind::Timeout);
            }
            if jumps {
                // A day back, two ahead, and so on: ages are checked every second.
                simulation.jump((slot % 2 * 3 - 1) * 86_400);
            }
            simulation.until(simulation.now_ms + 2_000);
        }
        (simulation.started, simulation.downs, simulation.engine)
    };
    let (started, downs, _) = run(false);
    let (started_too, downs_too, engine) = run(true);
    assert_eq!((started, &downs), (started_too, &downs_too));
    // Losses keep their order: datacenter 5 was lost after datacenter 1.
    let status = |id| engine.status(id).expect("it is there");
    let (back, lost) = (status(17), status(13));
    assert_eq!((back.state, lost.state), (State::Up, State::Down));
    assert!(lost.since_s < back.since_s + 30 && lost.last_at_s >= lost.since_s);
}
