//! The engine: machines of all targets, the schedule, and the table's words.
//!
//! ```text
//!   take_due ──► (a probe, somewhere else) ──► result ─┬─► machine ─► votes ─► words
//!                                                      └─► next due
//!   expire   ──► no verdict for three intervals ──► UNKNOWN
//! ```
//!
//! One owner drives it; the table it writes is read by every query. A reload
//! makes a new engine from a new plan and the old engine's history
//! (`carry`); probes in flight belong to their [`ProbeKey`], which
//! outlives the reload.
//!
//! It must not know sockets, threads or the clock: time comes as [`Now`].

mod changed;
mod coming_back;
mod due;
mod judge;
mod limit;
mod restore;
mod wake;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use self::judge::Cause;
pub use self::restore::{COUNTERS_KEPT_S, History, Restored};
use self::wake::Clocks;
use super::budget::Budget;
use super::carry;
use super::event::{Event, Now, ProbeKey, Purpose};
use super::failure::Outcome;
use super::hold::Returns;
use super::limiter::Limiter;
use super::links::Links;
use super::plan::{Plan, Target, TargetId};
use super::schedule::{self, Queue};
use super::table::Table;
use super::track::{Glance, TargetStatus, Tracked};

//------------ Engine ---------------------------------------------------------

/// All health state of one plan. See the module's picture.
#[derive(Debug)]
pub struct Engine {
    pub(super) plan: Arc<Plan>,
    pub(super) table: Arc<Table>,
    pub(super) targets: Vec<Tracked>,
    by_key: HashMap<ProbeKey, TargetId>,
    links: Arc<Links>,
    due: Queue,
    silence: Queue,
    /// First probes that the budget had no room for, oldest first.
    refused: VecDeque<TargetId>,
    budget: Budget,
    clocks: Clocks,
    limiter: Limiter,
    /// Unix second at which the limiter's phase began; 0: at the start.
    limiter_since_s: u32,
    /// When each verdict was lost before its last loss, should that one be undone.
    lost_before: Vec<u32>,
    /// Verdicts that were lost and are not in service again.
    pub(super) returns: Returns,
    pub(super) next_key: ProbeKey,
    unjudged: usize,
}

impl Engine {
    /// The engine of `plan`, with the history of `previous` for every probe that
    /// is still in it. Its table is fully written.
    pub fn new(plan: Plan, previous: Option<&Engine>, now: Now) -> Engine {
        let plan = Arc::new(plan);
        let next_key = previous.map_or(0, |engine| engine.next_key);
        let (targets, next_key) = carry::targets(&plan, previous, next_key, now);
        let (table, returns) = carry::verdicts(&plan, &targets, previous);
        let mut engine = Engine {
            links: Arc::new(Links::new(&plan)),
            by_key: targets.iter().zip(0..).map(|(target, id)| (target.key, id)).collect(),
            due: Queue::default(),
            silence: Queue::default(),
            refused: VecDeque::new(),
            budget: budget(&plan, &targets, previous, now),
            clocks: previous.map_or(Clocks::new(now), |engine| engine.clocks),
            limiter: limiter(&plan, &targets, previous),
            limiter_since_s: previous.map_or(0, |engine| engine.limiter_since_s),
            lost_before: (0..table.len()).map(|id| table.word(id as u32).lost_at_s()).collect(),
            unjudged: targets.iter().filter(|target| !target.judged).count(),
            next_key,
            plan,
            table: Arc::new(table),
            targets,
            returns,
        };
        engine.queue_all();
        engine.wake(now);
        // What that changed is told by `changed_since`: every word was new here.
        engine.judge_all(now);
        engine
    }

    /// The words queries read.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What is probed.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Which target the probes named `key` belong to; none: it is gone.
    pub fn target_id(&self, key: ProbeKey) -> Option<TargetId> {
        self.by_key.get(&key).copied()
    }

    /// As [`Engine::target_id`], the target itself.
    pub fn target_of(&self, key: ProbeKey) -> Option<&Target> {
        self.target_id(key).map(|id| &self.plan.targets[id as usize])
    }

    /// Whether the target of `key` is up, and nothing speaks against that.
    pub fn calm(&self, key: ProbeKey) -> bool {
        self.target_id(key).is_some_and(|id| self.targets[id as usize].calm())
    }

    /// True once every target was judged, or cannot be from this host.
    pub fn first_verdicts_done(&self) -> bool {
        self.unjudged == 0
    }

    /// Takes in how the probe `key` ended. A probe of a target that is gone says
    /// nothing to anyone.
    pub fn result(&mut self, key: ProbeKey, outcome: Outcome, now: Now) -> Vec<Event> {
        let Some(&id) = self.by_key.get(&key) else { return Vec::new() };
        self.wake(now);
        let started_ms = now.mono_ms.saturating_sub(u64::from(outcome.duration_ms));
        let outcome = self.excuse(outcome, started_ms);
        let target = &self.plan.targets[id as usize];
        let tracked = &mut self.targets[id as usize];
        let was_eligible = tracked.machine.eligible();
        let falls = tracked.would_fall(target, &outcome);
        self.limiter.route(id, !outcome.unrouted(), was_eligible);
        let hold = falls && self.limiter.holds(id);
        let undo_to = (falls && !hold).then(|| tracked.before());
        let before = (tracked.vote(target), tracked.unrouted());
        let step = tracked.take(target, &outcome, hold, now);
        let changed = before != (tracked.vote(target), tracked.unrouted());
        if tracked.silent && tracked.judged_ms == now.mono_ms {
            tracked.silent = false;
            self.silence.push(tracked.silent_ms(target), id);
        }
        if !tracked.judged && tracked.settled() {
            tracked.judged = true;
            self.unjudged -= 1;
        }
        self.schedule(id, self.started_ms(started_ms));
        let mut events = Vec::new();
        if let Some(transition) = step.transition {
            let failure = outcome.result.err();
            let results_needed = step.results_needed;
            events.push(Event::transition(id, transition, failure, results_needed));
        }
        if changed {
            self.rejudge(id, Cause::Result, now, &mut events);
        }
        self.limit(id, undo_to, was_eligible, hold, now, &mut events);
        events
    }

    /// Makes targets UNKNOWN that had no verdict for [`super::SILENT_INTERVALS`], and
    /// lets verdicts take part again whose time has come.
    pub fn expire(&mut self, now: Now) -> Vec<Event> {
        self.wake(now);
        let mut events = Vec::new();
        self.settle_limiter(now, &mut events);
        while let Some((_, id)) = self.silence.pop_due(now.mono_ms) {
            let target = &self.plan.targets[id as usize];
            let tracked = &mut self.targets[id as usize];
            let at_ms = tracked.silent_ms(target);
            if at_ms > now.mono_ms {
                self.silence.push(at_ms, id);
                continue;
            }
            let (transition, failure) = tracked.forget(now);
            if let Some(transition) = transition {
                events.push(Event::transition(id, transition, failure.clone(), 1));
            }
            events.push(Event::Silent { target: id, failure });
            self.rejudge(id, Cause::Result, now, &mut events);
        }
        // After that: time alone lets nobody in that is unknown.
        self.come_back(now, &mut events);
        events
    }

    /// The least of what is known about target `id`; none past the last.
    pub fn glance(&self, id: TargetId) -> Option<Glance> {
        self.targets.get(id as usize).map(Tracked::glance)
    }

    /// What is known about target `id`; none past the last.
    pub fn status(&self, id: TargetId) -> Option<TargetStatus> {
        Some(self.targets.get(id as usize)?.status(self.plan.targets.get(id as usize)?))
    }
}

/// The budget of `plan`, of which `targets` were probed before, all but those whose
/// first probe is to come.
fn budget(plan: &Plan, targets: &[Tracked], previous: Option<&Engine>, now: Now) -> Budget {
    let both = plan.targets.iter().zip(targets);
    let old = both.filter(|(_, tracked)| tracked.purpose != Purpose::First);
    let old_per_s = schedule::steady_per_s(old.map(|(target, _)| target));
    let steady_per_s = schedule::steady_per_s(&plan.targets);
    Budget::new(steady_per_s, old_per_s, previous.map(|engine| &engine.budget), now.mono_ms)
}

/// The limiter of `plan`, which goes on with what it knows of targets that stay.
fn limiter(plan: &Plan, targets: &[Tracked], previous: Option<&Engine>) -> Limiter {
    let eligible = |id: TargetId| targets[id as usize].machine.eligible();
    let Some(previous) = previous else { return Limiter::new(plan, eligible) };
    let old_id = |id: TargetId| previous.target_id(targets[id as usize].key);
    let mut limiter = Limiter::after(&previous.limiter, old_id, plan, eligible);
    for (id, _) in (0..).zip(targets).filter(|(_, tracked)| tracked.unrouted()) {
        limiter.route(id, false, eligible(id));
    }
    limiter
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
