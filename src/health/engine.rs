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

mod judge;

use std::collections::HashMap;
use std::sync::Arc;

use super::carry;
use super::event::{Due, Event, Now, ProbeKey};
use super::failure::Outcome;
use super::links::Links;
use super::machine::Step;
use super::plan::{Plan, Target, TargetId};
use super::schedule::{self, Budget, Queue};
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

    /// The least of what is known about target `id`; none past the last.
    pub fn glance(&self, id: TargetId) -> Option<Glance> {
        self.targets.get(id as usize).map(Tracked::glance)
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
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
