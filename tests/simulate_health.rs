//! A seeded world of thousands of targets drives the health engine through
//! outages, loss, partitions, failures of our own, stalls, clock jumps and
//! reloads, and checks every second that what queries read is what health says.
//!
//! A failure prints the seed; `WINDROSE_SEED=n cargo test --test simulate_health`
//! runs that one world again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use windrose::health::check::Require;
use windrose::health::plan::TargetId;
use windrose::health::table::{State, TTL_CAP_NONE, Word};
use windrose::health::{
    Engine, Event, FailureKind, Now, Outcome, ProbeKey, SILENT_INTERVALS, TargetStatus,
};

#[path = "simulate_health/world.rs"]
mod world;

use world::{CONFIRM_MS, DATACENTERS, INTERVAL_MS, Random, TIMEOUT_MS, World, number, plan};

/// Targets in the great worlds.
const TARGETS: u32 = 2_000;
/// One disturbance begins with each slot; short ones end within it.
const SLOT_MS: u64 = 60_000;
const SLOTS: u64 = 12;
/// A steady gap, and `fall` probes that each take the longer of timeout and confirm.
const DETECTION_MS: u64 = INTERVAL_MS as u64 * 11 / 10 + 3 * TIMEOUT_MS as u64 + 100;

//------------ Simulation -----------------------------------------------------

struct Simulation {
    targets: u32,
    engine: Engine,
    world: World,
    random: Random,
    now_ms: u64,
    /// Unix time runs beside the monotonic clock and may jump.
    unix_shift_s: i64,
    in_flight: BinaryHeap<Reverse<(u64, ProbeKey)>>,
    outcomes: BTreeMap<ProbeKey, Outcome>,
    /// Failures that judge, by target number, since it was last seen eligible anew.
    failures: BTreeMap<u32, u32>,
    started: u64,
    downs: BTreeMap<u32, u32>,
}

impl Simulation {
    fn new(seed: u64, targets: u32) -> Simulation {
        let numbers: Vec<u32> = (0..targets).collect();
        let now = Now { mono_ms: 0, unix_s: 1_900_000_000 };
        Simulation {
            targets,
            engine: Engine::new(plan(&numbers), None, now),
            world: World::default(),
            random: Random(seed),
            now_ms: 0,
            unix_shift_s: 0,
            in_flight: BinaryHeap::new(),
            outcomes: BTreeMap::new(),
            failures: BTreeMap::new(),
            started: 0,
            downs: BTreeMap::new(),
        }
    }

    fn now(&self) -> Now {
        let unix_s = 1_900_000_000 + (self.now_ms / 1_000) as i64 + self.unix_shift_s;
        Now { mono_ms: self.now_ms, unix_s: unix_s as u32 }
    }

    /// Runs to `end_ms`, checking each second.
    fn until(&mut self, end_ms: u64) {
        while self.now_ms < end_ms {
            let second_ms = (self.now_ms / 1_000 + 1) * 1_000;
            self.run_to(second_ms.min(end_ms));
            self.check();
        }
    }

    fn run_to(&mut self, end_ms: u64) {
        loop {
            let ends_ms = self.in_flight.peek().map(|Reverse((at_ms, _))| *at_ms);
            let next_ms = self.engine.next_ms().into_iter().chain(ends_ms).min();
            let Some(next_ms) = next_ms.filter(|next_ms| *next_ms <= end_ms) else { break };
            self.now_ms = self.now_ms.max(next_ms);
            while let Some(Reverse((at_ms, key))) = self.in_flight.peek().copied() {
                if at_ms > self.now_ms {
                    break;
                }
                self.in_flight.pop();
                let outcome = self.outcomes.remove(&key).expect("one outcome per probe in flight");
                self.take(key, outcome);
            }
            let now = self.now();
            while let Some(due) = self.engine.take_due(now) {
                self.started += 1;
                let target = &self.engine.plan().targets[due.target as usize];
                let outcome = self.world.probe(target, &mut self.random);
                let ends_ms = self.now_ms + u64::from(outcome.duration_ms);
                self.in_flight.push(Reverse((ends_ms, due.key)));
                let twice = self.outcomes.insert(due.key, outcome).is_some();
                assert!(!twice, "a target is probed once at a time");
            }
            let events = self.engine.expire(now);
            self.watch(&events);
        }
        self.now_ms = end_ms;
    }

    fn take(&mut self, key: ProbeKey, outcome: Outcome) {
        if let Some(target) = self.engine.target_of(key) {
            let judges = outcome.result.as_ref().is_err_and(|failure| failure.kind.judges());
            *self.failures.entry(number(target)).or_default() += u32::from(judges);
        }
        let now = self.now();
        let events = self.engine.result(key, outcome, now);
        self.watch(&events);
    }

    fn watch(&mut self, events: &[Event]) {
        for event in events {
            let Event::Transition { target, to, failure, .. } = event else { continue };
            let number = number(&self.engine.plan().targets[*target as usize]);
            if *to == State::Down {
                let kind = failure.as_ref().expect("a failure takes it down").kind;
                assert!(kind.judges(), "{kind:?} must never count");
                *self.downs.entry(number).or_default() += 1;
            }
            if *to == State::Up {
                self.failures.insert(number, 0);
            }
        }
    }

    /// What queries read is what health says.
    fn check(&self) {
        let table = self.engine.table();
        let plan = self.engine.plan();
        let statuses: Vec<TargetStatus> = (0..plan.targets.len() as TargetId)
            .map(|id| self.engine.status(id).expect("every target has a state"))
            .collect();
        for (status, target) in statuses.iter().zip(&plan.targets) {
            let failures = self.failures.get(&number(target)).copied().unwrap_or(0);
            assert!(status.eligible || failures >= 3, "down without cause: {status:?} {target:?}");
            assert!(status.rise_effective <= 32);
        }
        for (id, verdict) in (0..).zip(&plan.verdicts) {
            let word = table.word(id);
            let own: Vec<&TargetStatus> =
                verdict.targets.iter().map(|target| &statuses[*target as usize]).collect();
            let need = match verdict.require {
                Require::All => own.len(),
                Require::Any => 1,
                Require::AtLeast(need) => own.len().min(usize::from(need)),
            };
            let eligible = own.iter().filter(|status| status.eligible).count();
            let gate = verdict.gate.map_or(Word::UP, |gate| table.word(gate));
            let available = eligible >= need && gate.available();
            assert_eq!(word.available(), available, "verdict {id}: {own:?}");
            assert!(
                u32::from(word.ttl_cap_s()) <= cap_allowed_s(&own, verdict.require, available),
                "verdict {id} gives {} s: {own:?}",
                word.ttl_cap_s()
            );
            if available {
                assert!(word.ttl_cap_s() <= gate.ttl_cap_s());
            }
        }
    }

    fn reload(&mut self) {
        let mut numbers: Vec<u32> = (0..self.targets).collect();
        // A few go, the rest are turned around.
        let gone = DATACENTERS + self.random.below(u64::from(self.targets - DATACENTERS)) as u32;
        numbers.retain(|number| number / 50 != gone / 50 || *number < DATACENTERS);
        let turn = self.random.below(numbers.len() as u64) as usize;
        numbers.rotate_left(turn);
        let before = self.words_of_singles();
        self.engine = Engine::new(plan(&numbers), Some(&self.engine), self.now());
        let after = self.words_of_singles();
        for (number, word) in &after {
            match before.get(number) {
                Some(before) => assert_eq!(word, before, "target {number} over a reload"),
                None => {
                    // New again: its history starts here.
                    self.failures.insert(*number, 0);
                    assert_eq!(word.state(), State::Unknown);
                }
            }
        }
    }

    /// Words of verdicts over one target, by the target's number.
    fn words_of_singles(&self) -> BTreeMap<u32, Word> {
        let plan = self.engine.plan();
        let verdicts = (0..).zip(&plan.verdicts).filter(|(_, verdict)| verdict.targets.len() == 1);
        verdicts
            .filter(|(_, verdict)| verdict.require == Require::All)
            .map(|(id, verdict)| {
                let number = number(&plan.targets[verdict.targets[0] as usize]);
                (number, self.engine.table().word(id))
            })
            .collect()
    }

    fn assert_dead(&self, datacenter: u32) {
        for (id, target) in (0..).zip(&self.engine.plan().targets) {
            if number(target) % DATACENTERS == datacenter {
                let status = self.engine.status(id).expect("every target has a state");
                assert!(!status.eligible, "still up {DETECTION_MS} ms after its death: {status:?}");
            }
        }
    }

    /// One slot with one disturbance.
    fn slot(&mut self) {
        let start_ms = self.now_ms;
        let datacenter = self.random.below(u64::from(DATACENTERS)) as u32;
        match self.random.below(9) {
            0..=2 => {
                let kinds = [FailureKind::Timeout, FailureKind::Refused, FailureKind::Status];
                let kind = kinds[self.random.below(3) as usize];
                self.world.dead.entry(datacenter).or_insert(kind);
                self.until(start_ms + DETECTION_MS);
                self.assert_dead(datacenter);
            }
            3 => self.world.dead.clear(),
            4 => {
                let lossy =
                    DATACENTERS + self.random.below(u64::from(self.targets - DATACENTERS)) as u32;
                self.world.loss.insert(lossy, 50 + self.random.below(500));
            }
            5 => {
                self.world.ours = true;
                let longest_ms = SILENT_INTERVALS * u64::from(INTERVAL_MS) + 10_000;
                let lasts_ms = 1_000 + self.random.below(longest_ms);
                self.until(start_ms + lasts_ms);
                self.world.ours = false;
            }
            6 => {
                self.world.partitioned = true;
                let lasts_ms = 1_000 + self.random.below(20_000);
                self.until(start_ms + lasts_ms);
                self.world.partitioned = false;
            }
            7 => {
                // The process stands still; results that came in wait.
                self.now_ms += 5_000 + self.random.below(40_000);
            }
            _ => self.unix_shift_s += self.random.below(20_000) as i64 - 10_000,
        }
        if self.random.below(2) == 0 {
            self.reload();
        }
        self.until(start_ms + SLOT_MS);
    }
}

/// Most seconds a verdict may promise, found the slow way: by asking how few
/// results from now could change it.
fn cap_allowed_s(own: &[&TargetStatus], require: Require, available: bool) -> u32 {
    let seconds = |status: &TargetStatus| {
        let pending = if status.eligible { status.failures > 0 } else { status.successes > 0 };
        match (status.state, pending) {
            (State::Unknown, _) => 0,
            (_, true) => (u32::from(status.results_needed) * CONFIRM_MS).div_ceil(1_000),
            (_, false) => u32::from(TTL_CAP_NONE),
        }
    };
    match (require, available) {
        // Any one of them takes it away.
        (Require::All, true) => own.iter().map(|status| seconds(status)).min().unwrap_or(u32::MAX),
        // The last of them takes it away.
        (Require::Any, true) => {
            let eligible = own.iter().filter(|status| status.eligible);
            eligible.map(|status| seconds(status)).max().unwrap_or(u32::MAX)
        }
        _ => u32::from(TTL_CAP_NONE),
    }
}

#[test]
fn what_queries_read_is_what_health_says_whatever_happens() {
    let seeds: Vec<u64> = match std::env::var("WINDROSE_SEED") {
        Ok(seed) => vec![seed.parse().expect("WINDROSE_SEED is a number")],
        Err(_) => vec![1, 2],
    };
    for seed in seeds {
        println!("seed {seed}");
        let mut simulation = Simulation::new(seed, TARGETS);
        simulation.until(10_000);
        assert!(simulation.engine.first_verdicts_done());
        for _ in 0..SLOTS {
            simulation.slot();
        }
        // All is well again: everything comes back, calm, however damped it was.
        simulation.world = World::default();
        simulation.until(simulation.now_ms + 6 * SLOT_MS);
        let table = simulation.engine.table();
        let calm =
            |id: &u32| table.word(*id).available() && table.word(*id).ttl_cap_s() == TTL_CAP_NONE;
        let verdicts = simulation.engine.plan().verdicts.len() as u32;
        let calm = (0..verdicts).filter(calm).count();
        assert_eq!(calm, verdicts as usize, "seed {seed}");
    }
}

#[test]
fn probing_stays_within_three_times_the_steady_rate_in_the_worst_of_worlds() {
    let mut simulation = Simulation::new(11, TARGETS);
    simulation.until(30_000);
    // Everything fails half of the time: everything wants to be confirmed, always.
    simulation.world.loss = (0..TARGETS).map(|number| (number, 500)).collect();
    simulation.until(60_000);
    let before = simulation.started;
    simulation.until(120_000);
    let per_s = (simulation.started - before) as f64 / 60.0;
    let steady = f64::from(TARGETS) * 1_000.0 / f64::from(INTERVAL_MS);
    assert!(per_s <= 3.0 * steady * 1.02, "{per_s} a second, steady {steady}");
    assert!(per_s >= steady * 0.95, "{per_s} a second, steady {steady}");
}

#[test]
fn a_path_that_loses_two_fifths_of_its_probes_is_taken_out_and_kept_from_flapping() {
    let mut simulation = Simulation::new(23, 400);
    simulation.until(30_000);
    let lossy: Vec<u32> = (100..150).collect();
    simulation.world.loss = lossy.iter().map(|number| (*number, 400)).collect();
    // All go down, and damping settles.
    simulation.until(simulation.now_ms + 16 * SLOT_MS);
    assert!(lossy.iter().all(|number| simulation.downs.contains_key(number)), "all went down");
    simulation.downs.clear();
    let (mut up_s, seconds) = (0, 30 * SLOT_MS / 1_000);
    for _ in 0..seconds {
        simulation.until(simulation.now_ms + 1_000);
        let eligible = |number: &&u32| simulation.engine.status(**number).unwrap().eligible;
        up_s += lossy.iter().filter(eligible).count();
    }
    let share = up_s as f64 / (seconds as f64 * lossy.len() as f64);
    let downs: u32 = simulation.downs.values().sum();
    println!("up {share:.4} of the time, {downs} times down");
    assert!(share < 0.01, "up {share} of the time");
    // Less than once an hour and member; undamped it is every half minute.
    assert!(downs < 25, "{downs} times down in half an hour, over 50 members");
}

#[test]
fn a_hundred_thousand_targets_are_started_evenly_and_judged() {
    let count = 100_000;
    let numbers: Vec<u32> = (0..count).collect();
    let started = std::time::Instant::now();
    let mut engine = Engine::new(plan(&numbers), None, Now::default());
    println!("planned {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let mut most_in_100_ms = 0;
    // Half an interval, and a little where hashes lie closer than the budget allows.
    for mono_ms in (0..=u64::from(INTERVAL_MS) * 55 / 100).step_by(100) {
        let now = Now { mono_ms, unix_s: 1 };
        let mut probes = 0;
        while let Some(due) = engine.take_due(now) {
            engine.result(
                due.key,
                Outcome { result: Ok(()), duration_ms: 0, certificate_expires_s: None },
                now,
            );
            probes += 1;
        }
        most_in_100_ms = most_in_100_ms.max(probes);
    }
    println!("probed {:?}", started.elapsed());
    assert!(engine.first_verdicts_done());
    // A tenth of a second may see more than a tenth of the budget, which is counted in
    // seconds, and those that come round already.
    assert!(most_in_100_ms <= 7_000, "{most_in_100_ms} in 100 ms");
    let started = std::time::Instant::now();
    let next = Engine::new(plan(&numbers), Some(&engine), Now { mono_ms: 2_800, unix_s: 2 });
    println!("reloaded {:?}", started.elapsed());
    assert!(next.first_verdicts_done());
}
