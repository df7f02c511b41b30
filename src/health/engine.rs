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

use std::collections::HashMap;
use std::sync::Arc;

use super::carry;
use super::failure::{Failure, Outcome};
use super::links::Links;
use super::machine::{Step, Transition};
use super::plan::{Plan, Target, TargetId, VerdictId};
use super::schedule::{self, Budget, Queue};
use super::table::{Override, State, Table, Word};
use super::track::{TargetStatus, Tracked};
use super::verdict::{Vote, rule};

//------------ Words of the interface -----------------------------------------

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// Monotonic milliseconds since some start.
    pub mono_ms: u64,
    /// Unix seconds; may jump.
    pub unix_s: u32,
}

/// Names a target's probes across reloads.
pub type ProbeKey = u64;

/// A probe to be made now. Exactly one result must follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Due {
    /// For [`Engine::result`] and [`Engine::target_of`].
    pub key: ProbeKey,
    /// Index into the plan of the engine that gave it.
    pub target: TargetId,
    /// When it should have started, monotonic milliseconds.
    pub due_ms: u64,
}

/// Something worth a log line, a counter, a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A target changed state.
    Transition {
        /// Which.
        target: TargetId,
        /// Before.
        from: State,
        /// After.
        to: State,
        /// The failure that did it; none: successes, or silence.
        failure: Option<Failure>,
        /// Results in a row that would turn it again.
        results_needed: u8,
    },
    /// No verdict for [`super::SILENT_INTERVALS`]: the prober's trouble, not the target's.
    Silent {
        /// Which.
        target: TargetId,
        /// The last failure of our own, if probes ended at all.
        failure: Option<Failure>,
    },
    /// A verdict's availability changed.
    Available {
        /// Which.
        verdict: VerdictId,
        /// After.
        available: bool,
    },
}

impl Event {
    fn transition(
        target: TargetId,
        transition: Transition,
        failure: Option<Failure>,
        results_needed: u8,
    ) -> Event {
        Event::Transition {
            target,
            from: transition.from,
            to: transition.to,
            failure,
            results_needed,
        }
    }
}

//------------ Engine ---------------------------------------------------------

/// All health state of one plan. See the module's picture.
#[derive(Debug)]
pub struct Engine {
    pub(super) plan: Arc<Plan>,
    pub(super) table: Arc<Table>,
    pub(super) targets: Vec<Tracked>,
    by_key: HashMap<ProbeKey, TargetId>,
    links: Links,
    due: Queue,
    silence: Queue,
    budget: Budget,
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
        let table = Arc::new(carry::table(&plan, &targets, previous));
        let mut engine = Engine {
            links: Links::new(&plan),
            by_key: targets.iter().zip(0..).map(|(target, id)| (target.key, id)).collect(),
            due: Queue::default(),
            silence: Queue::default(),
            budget: Budget::new(schedule::steady_per_s(&plan.targets), now.mono_ms),
            unjudged: targets.iter().filter(|target| !target.judged).count(),
            next_key,
            plan,
            table,
            targets,
        };
        engine.queue_all();
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

    /// True once every target was judged, or cannot be from this host.
    pub fn first_verdicts_done(&self) -> bool {
        self.unjudged == 0
    }

    /// When [`Engine::take_due`] or [`Engine::expire`] has something to do next,
    /// monotonic milliseconds.
    pub fn next_ms(&self) -> Option<u64> {
        self.due.next_ms().into_iter().chain(self.silence.next_ms()).min()
    }

    /// The next probe that is due. Call until none is left.
    pub fn take_due(&mut self, now: Now) -> Option<Due> {
        loop {
            let (due_ms, target) = self.due.pop_due(now.mono_ms)?;
            let tracked = &mut self.targets[target as usize];
            // An entry that was overtaken by a later decision is left lying in the queue.
            if !tracked.in_flight && tracked.due_ms == due_ms {
                tracked.in_flight = true;
                return Some(Due { key: tracked.key, target, due_ms });
            }
        }
    }

    /// Takes in how the probe `key` ended. A probe of a target that is gone says
    /// nothing to anyone.
    pub fn result(&mut self, key: ProbeKey, outcome: Outcome, now: Now) -> Vec<Event> {
        let Some(&id) = self.by_key.get(&key) else { return Vec::new() };
        let target = &self.plan.targets[id as usize];
        let tracked = &mut self.targets[id as usize];
        let before = (tracked.vote(target), tracked.unrouted());
        let step = tracked.take(target, &outcome, now);
        let changed = before != (tracked.vote(target), tracked.unrouted());
        if tracked.silent && tracked.judged_ms == now.mono_ms {
            tracked.silent = false;
            self.silence.push(tracked.silent_ms(target), id);
        }
        if !tracked.judged && tracked.settled() {
            tracked.judged = true;
            self.unjudged -= 1;
        }
        let started_ms = now.mono_ms.saturating_sub(u64::from(outcome.duration_ms));
        self.schedule(id, step, started_ms, now);
        let mut events = Vec::new();
        if let Some(transition) = step.transition {
            let failure = outcome.result.err();
            let results_needed = step.results_needed;
            events.push(Event::transition(id, transition, failure, results_needed));
        }
        if changed {
            self.rejudge(id, now, &mut events);
        }
        events
    }

    /// Makes targets UNKNOWN that had no verdict for [`super::SILENT_INTERVALS`].
    pub fn expire(&mut self, now: Now) -> Vec<Event> {
        let mut events = Vec::new();
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
            self.rejudge(id, now, &mut events);
        }
        events
    }

    /// What is known about target `id`; none past the last.
    pub fn status(&self, id: TargetId) -> Option<TargetStatus> {
        Some(self.targets.get(id as usize)?.status(self.plan.targets.get(id as usize)?))
    }

    /// Sets when target `id`, whose last probe started at `started_ms`, is probed next.
    fn schedule(&mut self, id: TargetId, step: Step, started_ms: u64, now: Now) {
        let target = &self.plan.targets[id as usize];
        let tracked = &mut self.targets[id as usize];
        let steady_ms = schedule::steady_due_ms(target, tracked.phase, started_ms);
        let confirm_ms = schedule::confirm_due_ms(target, tracked.phase, started_ms);
        let urgent = tracked.machine.eligible();
        let confirm = step.contrary_pending
            && confirm_ms < steady_ms
            && self.budget.take(urgent, now.mono_ms);
        tracked.due_ms = if confirm { confirm_ms } else { steady_ms };
        self.due.push(tracked.due_ms, id);
    }

    fn queue_all(&mut self) {
        for (id, (target, tracked)) in (0..).zip(self.plan.targets.iter().zip(&self.targets)) {
            if tracked.idle {
                continue;
            }
            if !tracked.in_flight {
                self.due.push(tracked.due_ms, id);
            }
            if !tracked.silent {
                self.silence.push(tracked.silent_ms(target), id);
            }
        }
    }

    /// Writes every word again, whoever wrote to it since it was judged.
    pub fn rejudge_all(&self, now: Now) {
        self.judge_all(now);
    }

    /// Writes every word: gates first, for the others read them.
    fn judge_all(&self, now: Now) {
        let mut events = Vec::new();
        for gated in [false, true] {
            for (id, verdict) in (0..).zip(&self.plan.verdicts) {
                if verdict.gate.is_some() == gated {
                    self.judge(id, now, &mut events);
                }
            }
        }
    }

    /// Judges again all that depends on target `id`.
    fn rejudge(&self, id: TargetId, now: Now, events: &mut Vec<Event>) {
        for &verdict in self.links.of_target(id) {
            self.judge_with_gated(verdict, now, events);
        }
        for &sibling in self.links.siblings(id) {
            if self.targets[sibling as usize].unrouted() {
                for &verdict in self.links.of_target(sibling) {
                    self.judge_with_gated(verdict, now, events);
                }
            }
        }
    }

    fn judge_with_gated(&self, verdict: VerdictId, now: Now, events: &mut Vec<Event>) {
        if self.judge(verdict, now, events) {
            for &gated in self.links.of_gate(verdict) {
                self.judge(gated, now, events);
            }
        }
    }

    /// Judges one verdict; true when its word changed.
    fn judge(&self, id: VerdictId, now: Now, events: &mut Vec<Event>) -> bool {
        let verdict = &self.plan.verdicts[id as usize];
        let mut votes: Vec<Vote> =
            verdict.targets.iter().map(|target| self.vote_of(*target)).collect();
        let gate = verdict.gate.map(|gate| self.table.word(gate));
        let ruling = rule(&mut votes, verdict.require, gate);
        let old = self.table.word(id);
        let lost = old.available() && !ruling.available;
        let lost_at_s = if lost { now.unix_s } else { old.lost_at_s() };
        let new =
            Word::new(ruling.state, ruling.available, Override::None, ruling.ttl_cap_s, lost_at_s);
        if new == old {
            return false;
        }
        self.table.set(id, new);
        if old.available() != new.available() {
            events.push(Event::Available { verdict: id, available: new.available() });
        }
        true
    }

    /// A target's own vote, or its other family's where this host cannot probe it.
    fn vote_of(&self, id: TargetId) -> Vote {
        let own = |id: TargetId| self.targets[id as usize].vote(&self.plan.targets[id as usize]);
        if !self.targets[id as usize].unrouted() {
            return own(id);
        }
        let others = self.links.siblings(id).iter();
        let routed = others.filter(|sibling| !self.targets[**sibling as usize].unrouted());
        routed.map(|sibling| own(*sibling)).max_by_key(|vote| vote.eligible).unwrap_or(own(id))
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
