//! The limiter's word on what results did: losses held, losses undone.
//!
//! It must not know when it trips: that is the [limiter's](super::super::limiter).

use super::super::event::{Event, Now};
use super::super::limiter::{Answer, Before, Change, LimiterPhase, LimiterStatus, Seen};
use super::super::plan::TargetId;
use super::Engine;
use super::judge::Cause;

impl Engine {
    /// What the blast-radius limiter does, and what it sees.
    pub fn limiter(&self) -> LimiterStatus {
        self.limiter.status(self.limiter_since_s)
    }

    /// An operator's word that the losses are true: nothing is held any more, and
    /// what still fails goes DOWN with its next failure. The limiter does not trip
    /// again until it would have released by itself. Nothing happens unless it has
    /// tripped.
    pub fn release_limiter(&mut self, now: Now) -> Vec<Event> {
        self.wake(now);
        let mut events = Vec::new();
        if let Some(held) = self.limiter.overrule() {
            self.limiter_since_s = now.unix_s;
            self.let_go(held, true, now, &mut events);
        }
        events
    }

    /// Tells the limiter what a result of target `id` came to. `before`: what the
    /// target was, if it went DOWN.
    pub(super) fn limit(
        &mut self,
        id: TargetId,
        before: Option<Before>,
        was_eligible: bool,
        held: bool,
        now: Now,
        events: &mut Vec<Event>,
    ) {
        let target = &self.plan.targets[id as usize];
        let tracked = &self.targets[id as usize];
        // A failure of our own leaves the successes before it in a row, and is no calm.
        let calm = tracked.machine.calm(&target.thresholds) && !tracked.failing;
        let eligible = tracked.machine.eligible();
        let seen = match before {
            Some(before) if !eligible => Seen::Lost(before),
            _ if held => Seen::Held,
            _ if eligible && !was_eligible => Seen::Risen,
            _ if calm => Seen::Calm,
            _ => Seen::Other,
        };
        let failing = tracked.failing;
        let phase = self.limiter.phase();
        let change = self.limiter.see(id, seen, now.mono_ms);
        self.change(change, phase, now, events);
        let phase = self.limiter.phase();
        let answer = Answer { passed: !failing, calm, down: !eligible };
        let change = self.limiter.see_reference(id, answer, now.mono_ms);
        self.change(change, phase, now, events);
    }

    /// Lets the limiter look again, for a reload may have changed what it counts.
    pub(super) fn settle_limiter(&mut self, now: Now, events: &mut Vec<Event>) {
        let phase = self.limiter.phase();
        let change = self.limiter.settle(now.mono_ms);
        self.change(change, phase, now, events);
    }

    fn change(
        &mut self,
        change: Option<Change>,
        before: LimiterPhase,
        now: Now,
        events: &mut Vec<Event>,
    ) {
        if self.limiter.phase() != before {
            self.limiter_since_s = now.unix_s;
        }
        match change {
            Some(Change::Trip(losses)) => self.undo(losses, now, events),
            Some(Change::Release(held)) => self.let_go(held, false, now, events),
            None => {}
        }
    }

    /// Undoes `losses`: each target is what it was, one failure before it was lost,
    /// and is probed at the confirm interval.
    fn undo(&mut self, losses: Vec<(TargetId, Before)>, now: Now, events: &mut Vec<Event>) {
        let undone = losses.len() as u32;
        events.push(Event::LimiterTripped { undone, targets: self.limiter.targets() });
        let ids: Vec<TargetId> = losses.iter().map(|(id, _)| *id).collect();
        for (id, before) in losses {
            let tracked = &mut self.targets[id as usize];
            tracked.undo(before);
            events.push(Event::Undone { target: id, to: tracked.machine.state() });
            self.hasten(id, now);
        }
        for id in ids {
            self.rejudge(id, Cause::Undone, now, events);
        }
    }

    fn let_go(&mut self, held: u32, by_operator: bool, now: Now, events: &mut Vec<Event>) {
        events.push(Event::LimiterReleased { held, by_operator });
        for id in 0..self.targets.len() as TargetId {
            if std::mem::take(&mut self.targets[id as usize].held) {
                self.rejudge(id, Cause::Result, now, events);
            }
        }
    }
}
