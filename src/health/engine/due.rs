//! Which probe comes next: the queue, and the budget for what is not steady.
//!
//! A confirm probe asks the budget when it is due, not when it is wished for, so
//! that no second sees too many of them, wherever they were decided. One that is
//! refused waits for its target's slot; a first probe that is refused, for room.
//!
//! It must not know results.

use super::super::budget::Asker;
use super::super::event::{Due, Now, Purpose};
use super::super::plan::TargetId;
use super::super::schedule;
use super::Engine;

impl Engine {
    /// When [`Engine::take_due`] or [`Engine::expire`] has something to do next,
    /// monotonic milliseconds.
    pub fn next_ms(&self) -> Option<u64> {
        let refused_ms = (!self.refused.is_empty()).then(|| self.budget.again_ms());
        let queued = self.due.next_ms().into_iter().chain(self.silence.next_ms());
        queued.chain(refused_ms).chain(self.returns.next_ms()).min()
    }

    /// The next probe that is due. Call until none is left.
    pub fn take_due(&mut self, now: Now) -> Option<Due> {
        self.wake(now);
        if let Some(due) = self.take_refused(now) {
            return Some(due);
        }
        loop {
            let (due_ms, id) = self.due.pop_due(now.mono_ms)?;
            let tracked = &mut self.targets[id as usize];
            // An entry that was overtaken by a later decision is left lying in the queue.
            if tracked.in_flight || tracked.due_ms != due_ms {
                continue;
            }
            // Its slot has come meanwhile: it needs no leave.
            if tracked.purpose == Purpose::Confirm && tracked.steady_ms <= now.mono_ms {
                tracked.purpose = Purpose::Steady;
            }
            let purpose = tracked.purpose;
            let asker = match purpose {
                Purpose::Steady => None,
                Purpose::First => Some(Asker::First),
                Purpose::Confirm if tracked.machine.eligible() => Some(Asker::Up),
                Purpose::Confirm => Some(Asker::Down),
            };
            if asker.is_none_or(|asker| self.budget.take(asker, now.mono_ms)) {
                tracked.in_flight = true;
                return Some(Due { key: tracked.key, target: id, due_ms, purpose });
            }
            if tracked.purpose == Purpose::First {
                self.refused.push_back(id);
            } else {
                tracked.purpose = Purpose::Steady;
                tracked.due_ms = tracked.steady_ms;
                self.due.push(tracked.due_ms, id);
            }
        }
    }

    /// A first probe that the budget had no room for before.
    fn take_refused(&mut self, now: Now) -> Option<Due> {
        let id = *self.refused.front()?;
        let tracked = &mut self.targets[id as usize];
        if !self.budget.take(Asker::First, now.mono_ms) {
            return None;
        }
        self.refused.pop_front();
        tracked.in_flight = true;
        // It is not late: it was to wait.
        let (key, due_ms) = (tracked.key, now.mono_ms);
        Some(Due { key, target: id, due_ms, purpose: Purpose::First })
    }

    /// Sets when target `id`, whose last probe started at `started_ms`, is probed next.
    pub(super) fn schedule(&mut self, id: TargetId, started_ms: u64) {
        let target = &self.plan.targets[id as usize];
        let tracked = &mut self.targets[id as usize];
        tracked.steady_ms = schedule::steady_due_ms(target, tracked.phase, started_ms);
        let confirm_ms = schedule::confirm_due_ms(target, tracked.phase, started_ms);
        let confirm = tracked.contrary_pending() && confirm_ms < tracked.steady_ms;
        (tracked.purpose, tracked.due_ms) = match confirm {
            true => (Purpose::Confirm, confirm_ms),
            false => (Purpose::Steady, tracked.steady_ms),
        };
        self.due.push(tracked.due_ms, id);
    }

    /// Probes target `id` at the confirm interval from now on, unless it is sooner.
    pub(super) fn hasten(&mut self, id: TargetId, now: Now) {
        let target = &self.plan.targets[id as usize];
        let tracked = &mut self.targets[id as usize];
        let confirm_ms = schedule::confirm_due_ms(target, tracked.phase, now.mono_ms);
        if !tracked.in_flight && tracked.purpose == Purpose::Steady && confirm_ms < tracked.due_ms {
            tracked.steady_ms = tracked.due_ms;
            (tracked.purpose, tracked.due_ms) = (Purpose::Confirm, confirm_ms);
            self.due.push(confirm_ms, id);
        }
    }

    /// Fills the queues of a new engine.
    pub(super) fn queue_all(&mut self) {
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
