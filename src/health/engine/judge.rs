//! From targets' states to table words, after each change.
//!
//! ```text
//!   target ──► its verdicts ──► those they gate
//!      └─ its other family, where this host has no route for that one
//! ```
//!
//! It must not know results, schedules or why a target is in its state.

use std::sync::Arc;

use super::super::event::{Event, Now};
use super::super::hold::Probed;
use super::super::plan::{TargetId, VerdictId};
use super::super::table::{Override, State, TTL_CAP_NONE, Word};
use super::super::verdict::{Vote, rule};
use super::Engine;

/// Why verdicts are judged again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cause {
    /// A result, a silence, a reload.
    Result,
    /// The limiter undid losses: what comes back was never gone.
    Undone,
}

impl Engine {
    /// Writes every word again, whoever wrote to it since it was judged.
    pub fn rejudge_all(&mut self, now: Now) -> Vec<Event> {
        self.judge_all(now)
    }

    /// Writes every word: gates first, for the others read them.
    pub(super) fn judge_all(&mut self, now: Now) -> Vec<Event> {
        let mut events = Vec::new();
        for gated in [false, true] {
            for id in 0..self.plan.verdicts.len() as VerdictId {
                if self.plan.verdicts[id as usize].gate.is_some() == gated {
                    self.judge(id, Cause::Result, now, &mut events);
                }
            }
        }
        events
    }

    /// Judges again all that depends on target `id`.
    pub(super) fn rejudge(
        &mut self,
        id: TargetId,
        cause: Cause,
        now: Now,
        events: &mut Vec<Event>,
    ) {
        let links = Arc::clone(&self.links);
        for &verdict in links.of_target(id) {
            self.judge_with_gated(verdict, cause, now, events);
        }
        for &sibling in links.siblings(id) {
            if self.targets[sibling as usize].unrouted() {
                for &verdict in links.of_target(sibling) {
                    self.judge_with_gated(verdict, cause, now, events);
                }
            }
        }
    }

    pub(super) fn judge_with_gated(
        &mut self,
        verdict: VerdictId,
        cause: Cause,
        now: Now,
        events: &mut Vec<Event>,
    ) {
        if self.judge(verdict, cause, now, events) {
            let links = Arc::clone(&self.links);
            for &gated in links.of_gate(verdict) {
                self.judge(gated, cause, now, events);
            }
        }
    }

    /// Judges one verdict; true when its word changed.
    fn judge(&mut self, id: VerdictId, cause: Cause, now: Now, events: &mut Vec<Event>) -> bool {
        let verdict = &self.plan.verdicts[id as usize];
        let mut votes: Vec<Vote> =
            verdict.targets.iter().map(|target| self.vote_of(*target)).collect();
        let gate = verdict.gate.map(|gate| self.table.word(gate));
        let ruling = rule(&mut votes, verdict.require, gate);
        let up = ruling.state == State::Up && gate.is_none_or(|gate| gate.state() == State::Up);
        let undone = cause == Cause::Undone;
        let probed = Probed { available: ruling.available, up: up && ruling.available, undone };
        let standing = self.returns.judge(id, verdict, probed, now);
        let old = self.table.word(id);
        let lost_before = &mut self.lost_before[id as usize];
        let lost_at_s = match (old.available() || old.is_held(), ruling.available) {
            (true, false) => {
                *lost_before = old.lost_at_s();
                now.unix_s
            }
            // It was no loss.
            (false, true) if undone => *lost_before,
            _ => old.lost_at_s(),
        };
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
