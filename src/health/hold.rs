//! Coming back: verdicts that were lost and are up again (docs/HEALTH.md,
//! "Coming back").
//!
//! ```text
//!              lost by probes                up again
//!   in service ──────────────► AWAY ───────────────────────┐ failback: auto
//!       ▲                       ▲ │ up again               ▼
//!       │ whole                 │ ▼ failback: manual,   RAMPING ──► in service
//!       └────────── RAMPING     │HELD   after           ▲  │
//!                               ▲ ├─── an operator, or ─┘  │ lost
//!                               └─┴─── time ───────────────┘
//! ```
//!
//! Only verdicts that are not in service are kept here, so that it costs nothing
//! where nothing is wrong, and nothing at all where neither failback nor a ramp is
//! asked for. A verdict that was never up was never lost: the first time it comes up
//! is its start.
//!
//! It must not know targets, words or why a verdict was lost.

use std::collections::BTreeMap;

use super::event::Now;
use super::plan::{Failback, Verdict, VerdictId};
use super::schedule::Queue;
use super::table::SHARE_FULL;

/// A ramp goes up in so many steps, or fewer.
const STEPS: u64 = 64;
/// And never faster than this.
const STEP_MS_MIN: u64 = 100;
/// Steps of all verdicts together in one window of time: 10,000 a second.
const STEPS_PER_WINDOW_MAX: u64 = 1_000;
const WINDOW_MS: u64 = 100;

//------------ Words of the interface -----------------------------------------

/// Where a verdict that is not in service stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReturnPhase {
    /// Lost, and not up again.
    Away = 1,
    /// Up again, and kept out of answers.
    Held = 2,
    /// Back, with a share that grows.
    Ramping = 3,
}

impl ReturnPhase {
    /// The number under which it is kept over a restart.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The phase of that number.
    pub fn from_number(number: u8) -> Option<ReturnPhase> {
        [ReturnPhase::Away, ReturnPhase::Held, ReturnPhase::Ramping]
            .into_iter()
            .find(|phase| phase.number() == number)
    }
}

/// A verdict that is not in service, as others see it and as it is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Return {
    /// Which.
    pub verdict: VerdictId,
    /// Where it stands.
    pub phase: ReturnPhase,
    /// Unix second since when.
    pub since_s: u32,
}

/// What a verdict's word says beyond its health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    /// Kept out of answers.
    pub held: bool,
    /// Of [`SHARE_FULL`] parts of its clients.
    pub share: u16,
}

impl Standing {
    const IN_SERVICE: Standing = Standing { held: false, share: SHARE_FULL };
    const HELD: Standing = Standing { held: true, share: SHARE_FULL };
}

/// What probes say of a verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Probed {
    /// It would be available.
    pub available: bool,
    /// By results of its own, not for want of any.
    pub up: bool,
    /// What is available again was never lost: the limiter undid the loss.
    pub undone: bool,
}

//------------ Returns --------------------------------------------------------

/// All verdicts that are not in service. See the module's picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Returns {
    entries: BTreeMap<VerdictId, Entry>,
    /// One bit for each verdict: was up once.
    proven: Vec<u64>,
    ramping: u64,
    queue: Queue,
    /// The window of time that steps were taken in last, and how many.
    window: u64,
    taken: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    at: Since,
    /// What it was when it was lost, should the loss be undone.
    before: Option<Since>,
    /// When it is looked at again, monotonic milliseconds; 0: not planned.
    next_ms: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Since {
    phase: ReturnPhase,
    /// Monotonic; before the clock's start where it outlived a restart.
    ms: i64,
    s: u32,
}

impl Since {
    fn now(phase: ReturnPhase, now: Now) -> Since {
        Since { phase, ms: now.mono_ms as i64, s: now.unix_s }
    }

    fn passed_ms(self, now: Now) -> u64 {
        (now.mono_ms as i64).saturating_sub(self.ms).max(0) as u64
    }
}

impl Returns {
    /// Takes in what probes say of verdict `id`, and says what its word is to say.
    pub(super) fn judge(
        &mut self,
        id: VerdictId,
        verdict: &Verdict,
        probed: Probed,
        now: Now,
    ) -> Standing {
        if probed.up {
            self.prove(id);
        }
        if verdict.failback == Failback::Auto && verdict.ramp_ms == 0 {
            self.remove(id);
            return Standing::IN_SERVICE;
        }
        let at = self.entries.get(&id).map(|entry| entry.at);
        match (at, probed.available) {
            (None, true) => Standing::IN_SERVICE,
            (None, false) if !self.is_proven(id) => Standing::IN_SERVICE,
            (Some(Since { phase: ReturnPhase::Away, .. }), false) => Standing::IN_SERVICE,
            (before, false) => {
                let at = Since::now(ReturnPhase::Away, now);
                self.put(id, Entry { at, before, next_ms: 0 });
                Standing::IN_SERVICE
            }
            (Some(Since { phase: ReturnPhase::Away, .. }), true) if probed.undone => {
                self.undo(id);
                self.judge(id, verdict, Probed { undone: false, ..probed }, now)
            }
            (Some(Since { phase: ReturnPhase::Away, .. }), true) => {
                let held = Since::now(ReturnPhase::Held, now);
                self.put(id, Entry { at: held, before: None, next_ms: 0 });
                self.hold(id, verdict, held, probed, now)
            }
            (Some(at @ Since { phase: ReturnPhase::Held, .. }), true) => {
                self.hold(id, verdict, at, probed, now)
            }
            (Some(at @ Since { phase: ReturnPhase::Ramping, .. }), true) => {
                self.ramp(id, verdict, at, now)
            }
        }
    }

    /// Up again: is it let in?
    fn hold(
        &mut self,
        id: VerdictId,
        verdict: &Verdict,
        at: Since,
        probed: Probed,
        now: Now,
    ) -> Standing {
        let left_ms = match verdict.failback {
            Failback::Auto => 0,
            Failback::Manual => return Standing::HELD,
            Failback::AfterMs(ms) => u64::from(ms).saturating_sub(at.passed_ms(now)),
        };
        if left_ms > 0 {
            self.plan(id, now.mono_ms + left_ms);
            return Standing::HELD;
        }
        // Time alone lets nobody in: the first result that says "up" does.
        if !probed.up && verdict.failback != Failback::Auto {
            return Standing::HELD;
        }
        self.let_in(id, verdict, now)
    }

    /// Lets a verdict take part again.
    fn let_in(&mut self, id: VerdictId, verdict: &Verdict, now: Now) -> Standing {
        let at = Since::now(ReturnPhase::Ramping, now);
        self.put(id, Entry { at, before: None, next_ms: 0 });
        self.ramp(id, verdict, at, now)
    }

    /// The share that the ramp has come to.
    fn ramp(&mut self, id: VerdictId, verdict: &Verdict, at: Since, now: Now) -> Standing {
        let ramp_ms = u64::from(verdict.ramp_ms);
        let passed_ms = at.passed_ms(now);
        if passed_ms >= ramp_ms {
            self.remove(id);
            return Standing::IN_SERVICE;
        }
        let crowd_ms = self.ramping * WINDOW_MS / STEPS_PER_WINDOW_MAX;
        let step_ms = (ramp_ms / STEPS).max(STEP_MS_MIN).max(crowd_ms);
        self.plan(id, now.mono_ms + step_ms.min(ramp_ms - passed_ms));
        let share = passed_ms * u64::from(SHARE_FULL) / ramp_ms;
        Standing { held: false, share: (share as u16).max(1) }
    }

    /// Lets a held verdict in now, whatever its failback; false: it is not held.
    pub(super) fn release(&mut self, id: VerdictId, verdict: &Verdict, now: Now) -> bool {
        let held = self.phase(id) == Some(ReturnPhase::Held);
        if held {
            self.let_in(id, verdict, now);
        }
        held
    }

    /// The loss was none: a verdict that is away is what it was before.
    fn undo(&mut self, id: VerdictId) {
        match self.entries.get(&id).and_then(|entry| entry.before) {
            Some(at) => self.put(id, Entry { at, before: None, next_ms: 0 }),
            None => self.remove(id),
        }
    }

    //------------ Time -------------------------------------------------------

    /// When [`Returns::pop_due`] has something next, monotonic milliseconds.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let full = self.taken >= STEPS_PER_WINDOW_MAX;
        let earliest_ms = if full { (self.window + 1) * WINDOW_MS } else { 0 };
        Some(self.queue.next_ms()?.max(earliest_ms))
    }

    /// A verdict to be judged again, for time has passed.
    pub(super) fn pop_due(&mut self, now: Now) -> Option<VerdictId> {
        if now.mono_ms / WINDOW_MS > self.window {
            (self.window, self.taken) = (now.mono_ms / WINDOW_MS, 0);
        }
        if self.taken >= STEPS_PER_WINDOW_MAX {
            return None;
        }
        loop {
            let (at_ms, id) = self.queue.pop_due(now.mono_ms)?;
            // What was planned anew, or is away, is left lying in the queue.
            if let Some(entry) = self.entries.get_mut(&id).filter(|e| e.next_ms == at_ms) {
                entry.next_ms = 0;
                self.taken += 1;
                return Some(id);
            }
        }
    }

    /// The prober stood still: that time was no time up without a break.
    pub(super) fn stalled(&mut self, late_ms: u64) {
        for entry in self.entries.values_mut().filter(|e| e.at.phase == ReturnPhase::Held) {
            entry.at.ms = entry.at.ms.saturating_add_unsigned(late_ms);
            // It is this that a restart counts from.
            let late_s = u32::try_from(late_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
            entry.at.s = entry.at.s.saturating_add(late_s);
        }
    }

    /// The wall clock jumped.
    pub(super) fn move_seconds(&mut self, moved: impl Fn(u32) -> u32) {
        for entry in self.entries.values_mut() {
            for at in [Some(&mut entry.at), entry.before.as_mut()].into_iter().flatten() {
                at.s = moved(at.s);
            }
        }
    }

    fn plan(&mut self, id: VerdictId, at_ms: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.next_ms == 0 {
            entry.next_ms = at_ms;
            self.queue.push(at_ms, id);
        }
    }

    //------------ Entries ----------------------------------------------------

    pub(super) fn phase(&self, id: VerdictId) -> Option<ReturnPhase> {
        self.entries.get(&id).map(|entry| entry.at.phase)
    }

    /// Every verdict that is not in service, in the order of the plan.
    pub(super) fn all(&self) -> impl Iterator<Item = Return> {
        self.entries.iter().map(|(&verdict, entry)| Return {
            verdict,
            phase: entry.at.phase,
            since_s: entry.at.s,
        })
    }

    /// One of them.
    pub(super) fn get(&self, id: VerdictId) -> Option<Return> {
        let entry = self.entries.get(&id)?;
        Some(Return { verdict: id, phase: entry.at.phase, since_s: entry.at.s })
    }

    /// As verdict `old` of `previous` stood, `id` stands.
    pub(super) fn carry(&mut self, id: VerdictId, previous: &Returns, old: VerdictId) {
        if previous.is_proven(old) {
            self.prove(id);
        }
        if let Some(&entry) = previous.entries.get(&old) {
            self.put(id, Entry { next_ms: 0, ..entry });
        }
    }

    /// As it stood when an earlier process saved it. `watched`: that was so short a
    /// time ago that nothing was missed; else a time without a break begins anew.
    pub(super) fn restore(&mut self, kept: Return, watched: bool, now: Now) {
        let Return { verdict, phase, since_s } = kept;
        self.prove(verdict);
        // Anew for the next restart too, which knows nothing of this one.
        let since_s = match phase {
            ReturnPhase::Held if !watched => now.unix_s,
            _ => since_s.min(now.unix_s),
        };
        let ms = now.mono_ms as i64 - i64::from(now.unix_s - since_s) * 1_000;
        let at = Since { phase, ms, s: since_s };
        self.put(verdict, Entry { at, before: None, next_ms: 0 });
    }

    fn put(&mut self, id: VerdictId, entry: Entry) {
        self.remove(id);
        self.ramping += u64::from(entry.at.phase == ReturnPhase::Ramping);
        self.entries.insert(id, entry);
    }

    fn remove(&mut self, id: VerdictId) {
        let old = self.entries.remove(&id);
        let ramping = old.is_some_and(|entry| entry.at.phase == ReturnPhase::Ramping);
        self.ramping -= u64::from(ramping);
    }

    fn prove(&mut self, id: VerdictId) {
        let at = id as usize / 64;
        if self.proven.len() <= at {
            self.proven.resize(at + 1, 0);
        }
        self.proven[at] |= 1 << (id % 64);
    }

    fn is_proven(&self, id: VerdictId) -> bool {
        self.proven.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
