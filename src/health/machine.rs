//! The state machine of one target: when a verdict changes (docs/HEALTH.md).
//!
//! ```text
//!              any success                 `fall` counted failures
//!   UNKNOWN ───────────────► UP ─────────────────────────────────► DOWN
//!   (never     `fall` failures │  `clear` successes in a row forget   │
//!    judged) ──────────────────┼──────────────────────────────────►   │
//!                              ◄──────────────────────────────────────┘
//!                                `rise` successes in a row; a failure
//!                                starts again
//!
//!   UP, DOWN ── no verdict for three intervals ──► UNKNOWN
//! ```
//!
//! UNKNOWN is a veil over the last verdict, and a target never judged counts as
//! up beneath it: one result that agrees lifts the veil, one that disagrees must
//! win the count. So a prober that comes back after an outage of its own neither
//! revives a dead member nor kills one, which nothing spoke against before, with
//! a single packet. Failures counted before the silence stay: a member whose results
//! are far between must not be saved by that.
//!
//! Failures while UP are counted, not demanded in a row: a link that loses every
//! second packet must not look healthy. Flap damping doubles `rise` each time a
//! target goes DOWN within ten minutes of coming UP.
//!
//! It must not know schedules, tables or why a probe failed beyond whether the
//! failure judges the target.

use super::failure::FailureKind;
use super::plan::Thresholds;
use super::table::State;

/// Going DOWN this soon after coming UP is a flap; this long UP forgets flaps.
pub const FLAP_WINDOW_MS: u64 = 600_000;
/// Damping never asks for more successes in a row than this (a larger `rise` stands).
pub const RISE_DAMPED_MAX: u8 = 32;
/// More doublings than this change nothing.
const DOUBLINGS_MAX: u8 = 8;

/// What one result did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// Set when the state changed.
    pub transition: Option<Transition>,
    /// Some results speak against the verdict and the matter is not settled:
    /// the next probe comes at the confirm interval.
    pub contrary_pending: bool,
    /// Results in a row that would overturn the verdict.
    pub results_needed: u8,
}

/// A change of state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transition {
    /// Before.
    pub from: State,
    /// After; differs from `from`.
    pub to: State,
}

/// A machine as it is kept over a restart (`saved`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct KeptMachine {
    /// The last verdict; true when never judged.
    pub eligible: bool,
    /// False: UNKNOWN.
    pub known: bool,
    /// Failures counted while eligible.
    pub failures: u8,
    /// Successes in a row.
    pub successes: u8,
    /// How often `rise` is doubled.
    pub doublings: u8,
    /// For so long going DOWN is a flap, in milliseconds.
    pub flap_left_ms: u32,
}

/// State and counters of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Machine {
    /// The last verdict; true when never judged.
    eligible: bool,
    /// False: UNKNOWN.
    known: bool,
    /// Failures counted while eligible.
    failures: u8,
    /// Successes in a row.
    successes: u8,
    /// How often `rise` is doubled.
    doublings: u8,
    /// Going DOWN before this is a flap; none: it did not come UP from DOWN.
    flaps_until_ms: Option<u64>,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            eligible: true,
            known: false,
            failures: 0,
            successes: 0,
            doublings: 0,
            flaps_until_ms: None,
        }
    }
}

impl Machine {
    /// A target that needs no probe: UP.
    pub fn always_up() -> Machine {
        Machine { known: true, ..Machine::default() }
    }

    /// The machine of a changed probe of the same member: the verdict stays, the
    /// counters start at zero.
    pub fn inherit(&self) -> Machine {
        Machine { eligible: self.eligible, known: self.known, ..Machine::default() }
    }

    /// What outlives the process. Times are kept as what is left of them: another
    /// process has another clock.
    pub(super) fn keep(&self, now_ms: u64) -> KeptMachine {
        let left_ms = self.flaps_until_ms.map_or(0, |until_ms| until_ms.saturating_sub(now_ms));
        KeptMachine {
            eligible: self.eligible,
            known: self.known,
            failures: self.failures,
            successes: self.successes,
            doublings: self.doublings,
            flap_left_ms: left_ms.min(FLAP_WINDOW_MS) as u32,
        }
    }

    /// The machine that was kept `age_ms` ago.
    pub(super) fn restore(kept: &KeptMachine, age_ms: u64, now_ms: u64) -> Machine {
        let left_ms = u64::from(kept.flap_left_ms).min(FLAP_WINDOW_MS).saturating_sub(age_ms);
        Machine {
            eligible: kept.eligible,
            known: kept.known,
            failures: kept.failures,
            successes: kept.successes,
            doublings: kept.doublings.min(DOUBLINGS_MAX),
            flaps_until_ms: (left_ms > 0).then(|| now_ms.saturating_add(left_ms)),
        }
    }

    /// The probed state.
    pub fn state(&self) -> State {
        match (self.known, self.eligible) {
            (false, _) => State::Unknown,
            (true, true) => State::Up,
            (true, false) => State::Down,
        }
    }

    /// Whether the last verdict was UP, or there was none yet.
    pub fn eligible(&self) -> bool {
        self.eligible
    }

    /// Failures counted against UP.
    pub fn failures(&self) -> u8 {
        self.failures
    }

    /// Successes in a row.
    pub fn successes(&self) -> u8 {
        self.successes
    }

    /// Successes in a row that make it UP, flap damping counted in.
    pub fn rise_effective(&self, thresholds: &Thresholds) -> u8 {
        let rise = thresholds.rise.max(1);
        let damped = u32::from(rise) << self.doublings.min(DOUBLINGS_MAX);
        damped.min(u32::from(RISE_DAMPED_MAX.max(rise))) as u8
    }

    /// Whether results speak against the verdict and the matter is not settled.
    pub fn contrary_pending(&self) -> bool {
        if self.eligible { self.failures > 0 } else { self.successes > 0 }
    }

    /// Results in a row that would overturn the verdict; at least 1.
    pub fn results_needed(&self, thresholds: &Thresholds) -> u8 {
        let needed = if self.eligible {
            thresholds.fall.saturating_sub(self.failures)
        } else {
            self.rise_effective(thresholds).saturating_sub(self.successes)
        };
        needed.max(1)
    }

    /// Whether one more failure makes it DOWN.
    pub fn would_fall(&self, thresholds: &Thresholds) -> bool {
        self.eligible && self.failures.saturating_add(1) >= thresholds.fall
    }

    /// Whether it is up and has passed often enough in a row to forget failures.
    pub fn calm(&self, thresholds: &Thresholds) -> bool {
        self.eligible && self.successes >= thresholds.clear
    }

    /// Takes in a failure that would make it DOWN, and is held: it stays at the brink.
    pub fn hold(&mut self) -> Step {
        self.successes = 0;
        Step { transition: None, contrary_pending: true, results_needed: 1 }
    }

    /// Takes one result in. `now_ms` is monotonic.
    pub fn step(
        &mut self,
        thresholds: &Thresholds,
        outcome: Result<(), FailureKind>,
        now_ms: u64,
    ) -> Step {
        let from = self.state();
        match outcome {
            Ok(()) if self.eligible => self.success_while_up(thresholds, now_ms),
            Ok(()) => self.success_while_down(thresholds, now_ms),
            Err(kind) if !kind.judges() => {}
            Err(_) if self.eligible => self.failure_while_up(thresholds, now_ms),
            Err(_) => {
                self.successes = 0;
                self.known = true;
            }
        }
        self.finish(from, thresholds)
    }

    /// No verdict for too long: what is known is known no more. Failures stay counted,
    /// and the last verdict stays as eligibility. `waiting`: a result is still to come,
    /// and successes in a row are no less in a row for that.
    pub fn forget(&mut self, waiting: bool) -> Option<Transition> {
        let from = self.state();
        self.known = false;
        if !waiting {
            self.successes = 0;
        }
        (from != State::Unknown).then_some(Transition { from, to: State::Unknown })
    }

    fn success_while_up(&mut self, thresholds: &Thresholds, now_ms: u64) {
        self.known = true;
        self.successes = self.successes.saturating_add(1);
        if self.successes >= thresholds.clear {
            self.failures = 0;
        }
        if !self.flapped(now_ms) {
            self.doublings = 0;
            self.flaps_until_ms = None;
        }
    }

    fn success_while_down(&mut self, thresholds: &Thresholds, now_ms: u64) {
        self.successes = self.successes.saturating_add(1);
        if self.successes >= self.rise_effective(thresholds) {
            *self = Machine {
                known: true,
                doublings: self.doublings,
                flaps_until_ms: Some(now_ms.saturating_add(FLAP_WINDOW_MS)),
                ..Machine::default()
            };
        }
    }

    fn failure_while_up(&mut self, thresholds: &Thresholds, now_ms: u64) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures < thresholds.fall {
            return;
        }
        let mut doublings = 0;
        if self.flapped(now_ms) {
            let at_most = self.rise_effective(thresholds) >= RISE_DAMPED_MAX;
            doublings = self.doublings + u8::from(!at_most);
        }
        *self = Machine { eligible: false, known: true, doublings, ..Machine::default() };
    }

    /// Whether going DOWN now would be a flap.
    fn flapped(&self, now_ms: u64) -> bool {
        self.flaps_until_ms.is_some_and(|until_ms| now_ms < until_ms)
    }

    fn finish(&self, from: State, thresholds: &Thresholds) -> Step {
        let to = self.state();
        Step {
            transition: (from != to).then_some(Transition { from, to }),
            contrary_pending: self.contrary_pending(),
            results_needed: self.results_needed(thresholds),
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
