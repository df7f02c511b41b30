//! When time did something while nobody called: a stall, a wall clock that jumped.
//!
//! - **Stall**: the engine was to be called and was not: the process was stopped, the
//!   machine paused or starved. What failed in flight meanwhile blames nobody; the
//!   time counts towards nobody's silence; what fell due is spread again, each target
//!   to its next slot, for all at once would be a storm of our making.
//! - **Wall clock**: it decides nothing. Moments kept in its seconds are moved with
//!   it, so that "since two minutes" stays true and losses keep their order.
//!
//! It must not know verdicts.

use super::super::event::{Now, Purpose};
use super::super::failure::{Failure, FailureKind, Outcome};
use super::super::schedule;
use super::Engine;

/// Being called this much too late is a stall, in milliseconds.
const STALL_MS: u64 = 500;
/// Late again so soon after a stall, in milliseconds, it is no pause but too much work:
/// to excuse that would be never to notice anything. Later than this is always a pause.
const AWAKE_MS_MIN: u64 = 10_000;
/// Clocks that part by less are only read at different moments, in seconds.
const JUMP_S: i64 = 2;

/// The engine's memory of both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// The last call.
    seen_ms: u64,
    /// When the next one is to come at the latest, although nothing may be due.
    promised_ms: Option<u64>,
    /// The end of the last stall; none yet.
    woke_ms: Option<u64>,
    /// A moment at which both clocks were read, and are held to agree.
    agreed: Now,
}

impl Clocks {
    pub(super) fn new(now: Now) -> Clocks {
        Clocks { seen_ms: now.mono_ms, promised_ms: None, woke_ms: None, agreed: now }
    }

    /// How far the wall clock has jumped, in seconds.
    fn jumped_s(&self, now: Now) -> i64 {
        let passed_s = now.mono_ms.saturating_sub(self.agreed.mono_ms) / 1_000;
        i64::from(now.unix_s) - i64::from(self.agreed.unix_s) - passed_s as i64
    }
}

impl Engine {
    /// Whoever drives it will call again by `at_ms`, also if nothing is due: coming
    /// later is a stall.
    pub fn promise(&mut self, at_ms: u64) {
        self.clocks.promised_ms = Some(at_ms);
    }

    /// To be called first thing in every call that brings the time.
    pub(super) fn wake(&mut self, now: Now) {
        if now.mono_ms <= self.clocks.seen_ms {
            return;
        }
        let promised_ms = self.clocks.promised_ms.take();
        let wanted_ms = self.next_ms().into_iter().chain(promised_ms).min();
        let wanted_ms = wanted_ms.unwrap_or(u64::MAX).max(self.clocks.seen_ms);
        let late_ms = now.mono_ms.saturating_sub(wanted_ms);
        self.clocks.seen_ms = now.mono_ms;
        let awake = |woke_ms: u64| wanted_ms.saturating_sub(woke_ms).max(late_ms) >= AWAKE_MS_MIN;
        if late_ms > STALL_MS && self.clocks.woke_ms.is_none_or(awake) {
            self.clocks.woke_ms = Some(now.mono_ms);
            self.resume(late_ms, now);
        }
        let jumped_s = self.clocks.jumped_s(now);
        if jumped_s.abs() >= JUMP_S {
            self.clocks.agreed = now;
            self.move_seconds(jumped_s);
        }
    }

    /// When a probe that started at `started_ms` counts as started: not before the end
    /// of a stall, or all that were under way in it would be followed at once.
    pub(super) fn started_ms(&self, started_ms: u64) -> u64 {
        started_ms.max(self.clocks.woke_ms.unwrap_or(0))
    }

    /// Failures of probes that were under way in a stall are ours.
    pub(super) fn excuse(&self, outcome: Outcome, started_ms: u64) -> Outcome {
        match outcome.result {
            Err(failure)
                if failure.kind.judges()
                    && self.clocks.woke_ms.is_some_and(|woke_ms| started_ms < woke_ms) =>
            {
                let detail = format!("the prober stood still meanwhile ({failure})");
                let result = Err(Failure::new(FailureKind::Internal, detail));
                Outcome { result, ..outcome }
            }
            _ => outcome,
        }
    }

    fn resume(&mut self, late_ms: u64, now: Now) {
        self.returns.stalled(late_ms);
        for (id, (target, tracked)) in (0..).zip(self.plan.targets.iter().zip(&mut self.targets)) {
            tracked.judged_ms = (tracked.judged_ms + late_ms).min(now.mono_ms);
            // First and confirm probes ask the budget anyway.
            let overdue = !tracked.in_flight && tracked.due_ms <= now.mono_ms;
            if overdue && !tracked.idle && tracked.purpose != Purpose::First {
                tracked.steady_ms = schedule::steady_due_ms(target, tracked.phase, now.mono_ms);
                if tracked.purpose == Purpose::Steady {
                    tracked.due_ms = tracked.steady_ms;
                    self.due.push(tracked.due_ms, id);
                }
            }
        }
    }

    fn move_seconds(&mut self, jumped_s: i64) {
        for tracked in &mut self.targets {
            for moment_s in [&mut tracked.since_s, &mut tracked.last_at_s, &mut tracked.lost_at_s] {
                *moment_s = moved(*moment_s, jumped_s);
            }
        }
        for (id, before_s) in (0..).zip(&mut self.lost_before) {
            *before_s = moved(*before_s, jumped_s);
            let word = self.table.word(id);
            self.table.set(id, word.with_lost_at_s(moved(word.lost_at_s(), jumped_s)));
        }
        self.returns.move_seconds(|moment_s| moved(moment_s, jumped_s));
        self.limiter_since_s = moved(self.limiter_since_s, jumped_s);
    }
}

/// A unix second in a clock that has jumped; 0 means never and stays.
fn moved(moment_s: u32, jumped_s: i64) -> u32 {
    match moment_s {
        0 => 0,
        _ => (i64::from(moment_s) + jumped_s).clamp(1, i64::from(u32::MAX)) as u32,
    }
}
