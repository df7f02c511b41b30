//! From targets' states to table words, after each change.
//!
//! ```text
//!   target ──► its verdicts ──► those they gate
//!      └─ its other family, where this host has no route for that one
//! ```
//!
//! It must not know results, schedules or why a target is in its state.

use super::super::event::{Event, Now};
use super::super::hold::Probed;
use super::super::plan::{TargetId, VerdictId};
use super::super::table::{Override, State, TTL_CAP_NONE, Word};
use super::super::verdict::{Vote, rule};
use super::Engine;

impl Engine {
    /// Writes every word: gates first, for the others read them.
    pub(super) fn judge_all(&mut self, now: Now) {
        let mut events = Vec::new();
        for gated in [false, true] {
            for id in 0..self.plan.verdicts.len() as VerdictId {
                if self.plan.verdicts[id as usize].gate.is_some() == gated {
                    self.judge(id, now, &mut events);
                }
            }
        }
    }

    /// Judges again all that depends on target `id`.
    pub(super) fn rejudge(&mut self, id: TargetId, now: Now, events: &mut Vec<Event>) {
        self.rejudge_own(id, now, events);
        for at in 0..self.links.siblings(id).len() {
            let sibling = self.links.siblings(id)[at];
            if self.targets[sibling as usize].unrouted() {
                self.rejudge_own(sibling, now, events);
            }
        }
    }

    fn rejudge_own(&mut self, id: TargetId, now: Now, events: &mut Vec<Event>) {
        for at in 0..self.links.of_target(id).len() {
            let verdict = self.links.of_target(id)[at];
            self.judge_with_gated(verdict, now, events);
        }
    }

    pub(super) fn judge_with_gated(
        &mut self,
        verdict: VerdictId,
        now: Now,
        events: &mut Vec<Event>,
    ) {
        if self.judge(verdict, now, events) {
            for at in 0..self.links.of_gate(verdict).len() {
                let gated = self.links.of_gate(verdict)[at];
                self.judge(gated, now, events);
            }
        }
    }

    /// Judges one verdict; true when its word changed.
    fn judge(&mut self, id: VerdictId, now: Now, events: &mut Vec<Event>) -> bool {
        let verdict = &self.plan.verdicts[id as usize];
        let mut votes: Vec<Vote> =
            verdict.targets.iter().map(|target| self.vote_of(*target)).collect();
        let gate = verdict.gate.map(|gate| self.table.word(gate));
        let ruling = rule(&mut votes, verdict.require, gate);
        let up = ruling.state == State::Up && gate.is_none_or(|gate| gate.state() == State::Up);
        let probed = Probed { available: ruling.available, up: up && ruling.available };
        let standing = self.returns.judge(id, verdict, probed, now);
        let old = self.table.word(id);
        let lost = (old.available() || old.is_held()) && !ruling.available;
        let lost_at_s = if lost { now.unix_s } else { old.lost_at_s() };
        let word =
            |cap_s| Word::new(ruling.state, ruling.available, Override::None, cap_s, lost_at_s);
        let new = match standing.held {
            // No result of a probe lets it in: it makes nothing uncertain.
            true => word(TTL_CAP_NONE).held(),
            false => word(ruling.ttl_cap_s).with_share(standing.share),
        };
        if new == old {
            return false;
        }
        self.table.set(id, new);
        if old.available() != new.available() {
            events.push(Event::Available { verdict: id, available: new.available() });
        }
        if old.is_held() != new.is_held() && ruling.available {
            events.push(Event::Held { verdict: id, held: new.is_held() });
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
