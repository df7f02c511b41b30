//! Verdicts that were lost and come back: what time and operators do to them.
//!
//! It must not know probes, targets' states or the schedule.

use super::super::event::{Event, Now};
use super::super::hold::{Return, ReturnPhase};
use super::super::plan::VerdictId;
use super::Engine;
use super::judge::Cause;

impl Engine {
    /// Lets the held verdicts that `select` names take part again: what follows, and
    /// how many they were.
    pub fn fail_back(
        &mut self,
        select: impl Fn(VerdictId) -> bool,
        now: Now,
    ) -> (Vec<Event>, usize) {
        self.wake(now);
        let mut events = Vec::new();
        let held = |found: &Return| found.phase == ReturnPhase::Held && select(found.verdict);
        let ids: Vec<VerdictId> =
            self.returns.all().filter(held).map(|found| found.verdict).collect();
        for &id in &ids {
            self.returns.release(id, &self.plan.verdicts[id as usize], now);
            self.judge_with_gated(id, Cause::Result, now, &mut events);
        }
        (events, ids.len())
    }

    /// Verdicts that are lost, held or ramp up, where `failback` or a ramp is asked
    /// for; in the order of the plan.
    pub fn returns(&self) -> impl Iterator<Item = Return> {
        self.returns.all()
    }

    /// The same of one verdict; none: it is in service, or comes back by itself.
    pub fn return_of(&self, id: VerdictId) -> Option<Return> {
        self.returns.get(id)
    }

    /// Verdicts are where they were when an earlier process saved them. `watched`:
    /// that was a short time ago, and a time without a break goes on.
    pub fn restore_returns(&mut self, kept: &[Return], watched: bool, now: Now) {
        for kept in kept {
            if (kept.verdict as usize) < self.plan.verdicts.len() {
                self.returns.restore(*kept, watched, now);
            }
        }
        self.judge_all(now);
    }

    /// Takes ramps on and ends holds whose time has come; some, if there are many.
    pub(super) fn come_back(&mut self, now: Now, events: &mut Vec<Event>) {
        while let Some(id) = self.returns.pop_due(now) {
            self.judge_with_gated(id, Cause::Result, now, events);
        }
    }
}
