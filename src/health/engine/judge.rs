//! From targets' states to table words, after each change.
//!
//! ```text
//!   target ──► its verdicts ──► those they gate
//!      └─ its other family, where this host has no route for that one
//! ```
//!
//! It must not know results, schedules or why a target is in its state.

use super::super::event::{Event, Now};
use super::super::plan::{TargetId, VerdictId};
use super::super::table::{Override, Word};
use super::super::verdict::{Vote, rule};
use super::Engine;

impl Engine {
    /// Writes every word again, whoever wrote to it since it was judged.
    pub fn rejudge_all(&mut self, now: Now) {
        self.judge_all(now);
    }

    /// Writes every word: gates first, for the others read them.
    pub(super) fn judge_all(&mut self, now: Now) {
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
    pub(super) fn rejudge(&self, id: TargetId, now: Now, events: &mut Vec<Event>) {
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
