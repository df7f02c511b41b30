//! Drives an engine through the simulated world, and checks at every step what must
//! always hold.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use windrose::health::check::Require;
use windrose::health::plan::{Plan, TargetId};
use windrose::health::table::{State, TTL_CAP_NONE, Word};
use windrose::health::{
    BURST_RATE_MIN, Engine, Event, LimiterPhase, Now, Outcome, ProbeKey, Purpose, TargetStatus,
};

use super::world::{CONFIRM_MS, DATACENTERS, Random, World, number, plan};

/// Unix time at the start.
const UNIX_S: i64 = 1_900_000_000;
/// The limiter may trip so long after the last moment at which every datacenter was
/// cut off: its window.
const WINDOW_MS: u64 = 10_000;

struct InFlight {
    started_ms: u64,
    outcome: Outcome,
}

/// An engine in its world.
pub(super) struct Simulation {
    pub(super) numbers: Vec<u32>,
    pub(super) engine: Engine,
    pub(super) world: World,
    pub(super) random: Random,
    pub(super) now_ms: u64,
    steady_per_s: f64,
    /// Unix time runs beside the monotonic clock and may jump.
    pub(super) unix_shift_s: i64,
    jumps: u32,
    ends: BinaryHeap<Reverse<(u64, ProbeKey)>>,
    in_flight: BTreeMap<ProbeKey, InFlight>,
    /// Failures that judge, by target number, since it was last seen eligible anew.
    failures: BTreeMap<u32, u32>,
    /// When each target last changed, in simulated milliseconds.
    changed_ms: BTreeMap<u32, u64>,
    pub(super) started: u64,
    /// Starts of the second that ends now: all, and those within the budget.
    second: VecDeque<(u64, bool)>,
    pub(super) most_in_second: usize,
    pub(super) most_extra_in_second: usize,
    extra: usize,
    /// When the plan last changed, and the steady rate before.
    reloaded: Option<(u64, f64)>,
    pub(super) downs: BTreeMap<u32, u32>,
    pub(super) trips: u32,
    pub(super) undone: u32,
    pub(super) released: u32,
    /// WIPs that had an available member when the limiter last tripped.
    served: BTreeSet<u32>,
}

impl Simulation {
    pub(super) fn new(seed: u64, targets: u32) -> Simulation {
        Simulation::of(seed, (0..targets).collect(), plan)
    }

    pub(super) fn of(seed: u64, numbers: Vec<u32>, plan: fn(&[u32]) -> Plan) -> Simulation {
        let now = Now { mono_ms: 0, unix_s: UNIX_S as u32 };
        let plan = plan(&numbers);
        Simulation {
            steady_per_s: plan.probes_per_second(),
            engine: Engine::new(plan, None, now),
            numbers,
            world: World::default(),
            random: Random(seed),
            now_ms: 0,
            unix_shift_s: 0,
            jumps: 0,
            ends: BinaryHeap::new(),
            in_flight: BTreeMap::new(),
            failures: BTreeMap::new(),
            changed_ms: BTreeMap::new(),
            started: 0,
            second: VecDeque::new(),
            most_in_second: 0,
            most_extra_in_second: 0,
            extra: 0,
            reloaded: None,
            downs: BTreeMap::new(),
            trips: 0,
            undone: 0,
            released: 0,
            served: BTreeSet::new(),
        }
    }

    pub(super) fn now(&self) -> Now {
        let unix_s = UNIX_S + (self.now_ms / 1_000) as i64 + self.unix_shift_s;
        Now { mono_ms: self.now_ms, unix_s: unix_s as u32 }
    }

    pub(super) fn jump(&mut self, seconds: i64) {
        self.unix_shift_s += seconds;
        self.jumps += 1;
    }

    /// The process stands still; results that came in wait.
    pub(super) fn stall(&mut self, stall_ms: u64) {
        self.now_ms += stall_ms;
        self.world.stalled_ms = self.now_ms;
    }

    /// Probes a second when all is calm.
    pub(super) fn steady_per_s(&self) -> f64 {
        self.steady_per_s
    }

    /// Runs to `end_ms`, checking each second.
    pub(super) fn until(&mut self, end_ms: u64) {
        while self.now_ms < end_ms {
            let second_ms = (self.now_ms / 1_000 + 1) * 1_000;
            self.run_to(second_ms.min(end_ms));
            self.check();
        }
    }

    pub(super) fn run_to(&mut self, end_ms: u64) {
        loop {
            let ends_ms = self.ends.peek().map(|Reverse((at_ms, _))| *at_ms);
            let next_ms = self.engine.next_ms().into_iter().chain(ends_ms).min();
            let Some(next_ms) = next_ms.filter(|next_ms| *next_ms <= end_ms) else { break };
            self.now_ms = self.now_ms.max(next_ms);
            while let Some(Reverse((at_ms, key))) = self.ends.peek().copied() {
                if at_ms > self.now_ms {
                    break;
                }
                self.ends.pop();
                self.take(key);
            }
            let now = self.now();
            while let Some(due) = self.engine.take_due(now) {
                self.count(due.purpose != Purpose::Steady);
                let target = &self.engine.plan().targets[due.target as usize];
                let outcome = self.world.probe(target, &mut self.random);
                let ends_ms = self.now_ms + u64::from(outcome.duration_ms);
                self.ends.push(Reverse((ends_ms, due.key)));
                let probe = InFlight { started_ms: self.now_ms, outcome };
                let twice = self.in_flight.insert(due.key, probe).is_some();
                assert!(!twice, "a target is probed once at a time");
            }
            let events = self.engine.expire(now);
            self.watch(&events);
        }
        self.now_ms = end_ms;
    }

    /// Counts a probe that starts now, and holds the last second to its bounds.
    fn count(&mut self, extra: bool) {
        self.started += 1;
        self.second.push_back((self.now_ms, extra));
        self.extra += usize::from(extra);
        while self.second.front().is_some_and(|(at_ms, _)| at_ms + 1_000 <= self.now_ms) {
            let (_, extra) = self.second.pop_front().expect("it was just seen");
            self.extra -= usize::from(extra);
        }
        self.most_in_second = self.most_in_second.max(self.second.len());
        self.most_extra_in_second = self.most_extra_in_second.max(self.extra);
        // What was granted before a reload was granted under the plan before it.
        let before = self.reloaded.filter(|(at_ms, _)| at_ms + 1_000 > self.now_ms);
        let steady_per_s = self.steady_per_s().max(before.map_or(0.0, |(_, per_s)| per_s));
        let budget = (2.0 * steady_per_s).max(BURST_RATE_MIN as f64);
        assert!(self.extra as f64 <= budget, "{} over {budget} at {}", self.extra, self.now_ms);
    }

    fn take(&mut self, key: ProbeKey) {
        let InFlight { started_ms, mut outcome } =
            self.in_flight.remove(&key).expect("one outcome per probe in flight");
        outcome.duration_ms = (self.now_ms - started_ms) as u32;
        let now = self.now();
        if let Some(target) = self.engine.target_of(key) {
            let judges = outcome.result.as_ref().is_err_and(|failure| failure.kind.judges());
            // What failed while the process stood still is nobody's fault.
            let blames = judges && started_ms >= self.world.stalled_ms;
            *self.failures.entry(number(target)).or_default() += u32::from(blames);
        }
        let events = self.engine.result(key, outcome, now);
        self.watch(&events);
    }

    pub(super) fn watch(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Transition { target, to, failure, .. } => {
                    let target = &self.engine.plan().targets[*target as usize];
                    let number = number(target);
                    self.changed_ms.insert(number, self.now_ms);
                    if *to == State::Down {
                        let kind = failure.as_ref().expect("a failure takes it down").kind;
                        assert!(kind.judges(), "{kind:?} must never count");
                        *self.downs.entry(number).or_default() += 1;
                    }
                    if *to == State::Up {
                        self.failures.insert(number, 0);
                    }
                }
                Event::Undone { target, .. } => {
                    let target = &self.engine.plan().targets[*target as usize];
                    self.changed_ms.remove(&number(target));
                    self.undone += 1;
                }
                Event::LimiterTripped { .. } => {
                    self.trips += 1;
                    let cut_ms = self.world.cut_ms(self.now_ms);
                    assert!(
                        cut_ms.is_some_and(|at_ms| self.now_ms <= at_ms + WINDOW_MS),
                        "one datacenter's loss never trips it: cut {cut_ms:?}, {:?}",
                        self.engine.limiter()
                    );
                }
                Event::LimiterReleased { .. } => self.released += 1,
                _ => {}
            }
        }
        // What each WIP had at a trip is known once its losses are undone.
        if events.iter().any(|event| matches!(event, Event::LimiterTripped { .. })) {
            self.served = self.wips_served();
        }
    }

    /// WIPs with at least one available member.
    pub(super) fn wips_served(&self) -> BTreeSet<u32> {
        let words = self.words_of_singles();
        let available = words.iter().filter(|(_, word)| word.available());
        available.map(|(number, _)| number / DATACENTERS).collect()
    }

    /// What must hold at every step.
    pub(super) fn check(&self) {
        let plan = self.engine.plan();
        let statuses: Vec<TargetStatus> = (0..plan.targets.len() as TargetId)
            .map(|id| self.engine.status(id).expect("every target has a state"))
            .collect();
        let now = self.now();
        for (status, target) in statuses.iter().zip(&plan.targets) {
            let number = number(target);
            let failures = self.failures.get(&number).copied().unwrap_or(0);
            assert!(status.eligible || failures >= 3, "down without cause: {status:?} {target:?}");
            assert!(status.rise_effective <= 32);
            self.check_clocks(number, status, now);
        }
        self.check_words(&statuses, now);
        if self.engine.limiter().phase == LimiterPhase::Tripped {
            let served = self.wips_served();
            let emptied: Vec<&u32> = self.served.difference(&served).collect();
            assert!(emptied.is_empty(), "WIPs without a member: {emptied:?}");
        }
    }

    /// Ages are true whatever the wall clock does.
    fn check_clocks(&self, number: u32, status: &TargetStatus, now: Now) {
        let tolerance_s = i64::from(self.jumps) + 3;
        let later_s = i64::from(status.since_s.max(status.last_at_s)) - i64::from(now.unix_s);
        assert!(later_s <= tolerance_s, "{later_s} s in the future: {status:?}");
        if let Some(changed_ms) = self.changed_ms.get(&number) {
            let age_s = i64::from(now.unix_s) - i64::from(status.since_s);
            let true_s = (self.now_ms - changed_ms) as i64 / 1_000;
            assert!((age_s - true_s).abs() <= tolerance_s, "{age_s} s, in truth {true_s}");
        }
    }

    /// What queries read is what health says.
    fn check_words(&self, statuses: &[TargetStatus], now: Now) {
        let table = self.engine.table();
        for (id, verdict) in (0..).zip(&self.engine.plan().verdicts) {
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
            let lost_later_s = i64::from(word.lost_at_s()) - i64::from(now.unix_s);
            assert!(lost_later_s <= i64::from(self.jumps) + 3, "lost in {lost_later_s} s");
        }
    }

    /// Another order of targets, `gone` of them left out.
    pub(super) fn reload(&mut self, gone: impl Fn(u32) -> bool) {
        let mut numbers = self.numbers.clone();
        numbers.retain(|number| !gone(*number) || *number < DATACENTERS);
        let turn = self.random.below(numbers.len() as u64) as usize;
        numbers.rotate_left(turn);
        // What time did before it belongs to the old one.
        let events = self.engine.expire(self.now());
        self.watch(&events);
        self.reloaded = Some((self.now_ms, self.steady_per_s()));
        let before = self.words_of_singles();
        let plan = plan(&numbers);
        self.steady_per_s = plan.probes_per_second();
        self.engine = Engine::new(plan, Some(&self.engine), self.now());
        let after = self.words_of_singles();
        for (number, word) in &after {
            match before.get(number) {
                Some(before) => assert_eq!(word, before, "target {number} over a reload"),
                None => {
                    // New again: its history starts here.
                    self.failures.insert(*number, 0);
                    self.changed_ms.remove(number);
                    self.served.remove(&(number / DATACENTERS));
                    assert_eq!(word.state(), State::Unknown);
                }
            }
        }
        // A WIP whose last member is not configured any more is served by nobody.
        let left: BTreeSet<u32> = after.keys().map(|number| number / DATACENTERS).collect();
        self.served.retain(|wip| left.contains(wip));
    }

    /// Words of verdicts over one target, by the target's number.
    pub(super) fn words_of_singles(&self) -> BTreeMap<u32, Word> {
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

    /// How many targets are eligible.
    pub(super) fn eligible(&self) -> usize {
        let ids = 0..self.engine.plan().targets.len() as TargetId;
        ids.filter(|id| self.engine.status(*id).is_some_and(|status| status.eligible)).count()
    }

    pub(super) fn assert_dead(&self, datacenter: u32) {
        for (id, target) in (0..).zip(&self.engine.plan().targets) {
            if number(target) % DATACENTERS == datacenter {
                let status = self.engine.status(id).expect("every target has a state");
                assert!(!status.eligible, "still up: {status:?}");
            }
        }
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
