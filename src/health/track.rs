//! One target with its history: what a reload must keep.
//!
//! It must not know other targets, verdicts or the queue.

use super::check::ProbeKind;
use super::event::{Now, ProbeKey, Purpose};
use super::failure::{Failure, FailureKind, Outcome};
use super::limiter::Before;
use super::machine::{Machine, Step, Transition};
use super::plan::Target;
use super::schedule;
use super::table::{State, TTL_CAP_NONE};
use super::verdict::Vote;

/// No verdict for so many intervals makes a target UNKNOWN.
pub const SILENT_INTERVALS: u64 = 3;

/// What is known about one target, for the API and metrics.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// Probed state.
    pub state: State,
    /// Last verdict UP, or never judged.
    pub eligible: bool,
    /// The verdict is an earlier process's: no result of this one judged it yet.
    pub stale: bool,
    /// Unix second of the last change of state; 0: none yet.
    pub since_s: u32,
    /// Failures counted against UP.
    pub failures: u8,
    /// Successes in a row.
    pub successes: u8,
    /// Results in a row that would overturn the verdict.
    pub results_needed: u8,
    /// Successes in a row that make it UP, flap damping counted in.
    pub rise_effective: u8,
    /// Unix second of the last result; 0: none yet.
    pub last_at_s: u32,
    /// How long the last probe took, in milliseconds.
    pub last_duration_ms: u32,
    /// The last failure, kept while probes pass; none: none yet.
    pub last_failure: Option<Failure>,
    /// Whether the last result was a failure.
    pub failing: bool,
    /// How often it became unknown, up and down, in the order of [`State`].
    pub transitions: [u32; 3],
    /// Results since the start.
    pub results: Results,
    /// When the certificate last shown expires, in unix seconds; none: none was shown.
    pub certificate_expires_s: Option<u64>,
    /// No verdict for [`SILENT_INTERVALS`].
    pub silent: bool,
    /// When it is probed next, monotonic milliseconds; none: never.
    pub next_ms: Option<u64>,
    /// A probe is under way, or waits for a slot.
    pub in_flight: bool,
}

/// The least of a [`TargetStatus`], for counting: it costs no allocation.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Probed state.
    pub state: State,
    /// Results speak against it.
    pub contrary_pending: bool,
    /// No verdict for [`SILENT_INTERVALS`].
    pub silent: bool,
    /// When the certificate last shown expires, in unix seconds.
    pub certificate_expires_s: Option<u64>,
}

/// How the probes of one target ended. Counts stop at their largest number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Results {
    /// Passed.
    pub passed: u32,
    /// Failed, in the order of [`FailureKind::ALL`].
    pub failed: [u32; FailureKind::ALL.len()],
}

impl Results {
    fn add(&mut self, result: Result<(), FailureKind>) {
        let count = match result {
            Ok(()) => &mut self.passed,
            Err(kind) => &mut self.failed[kind as usize],
        };
        *count = count.saturating_add(1);
    }
}

/// A target with its history.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub key: ProbeKey,
    /// The target of the plan before whose place it took.
    pub heir_of: Option<ProbeKey>,
    pub phase: u64,
    pub machine: Machine,
    /// Not to be probed: always up.
    pub idle: bool,
    pub in_flight: bool,
    pub due_ms: u64,
    /// Why it is probed then.
    pub purpose: Purpose,
    /// When it is probed if the budget has no confirm probe for it.
    pub steady_ms: u64,
    /// It would be DOWN but for the limiter.
    pub held: bool,
    /// Monotonic time of the last result that judges, or of the first wait for one.
    pub judged_ms: u64,
    /// Ever judged.
    pub judged: bool,
    /// The verdict is an earlier process's: no result of this one judged it yet.
    pub stale: bool,
    /// An alert about silence is out.
    pub silent: bool,
    /// Unix second at which it last stopped being eligible; 0: never.
    pub lost_at_s: u32,
    pub since_s: u32,
    pub last_at_s: u32,
    pub last_duration_ms: u32,
    pub last_failure: Option<Failure>,
    pub failing: bool,
    pub transitions: [u32; 3],
    pub results: Results,
    pub certificate_expires_s: Option<u64>,
}

impl Tracked {
    /// A target that was never probed.
    pub(super) fn new(target: &Target, key: ProbeKey, now: Now) -> Tracked {
        let idle = target.identity.probe == ProbeKind::Always;
        Tracked {
            key,
            heir_of: None,
            phase: schedule::phase(&target.identity),
            machine: if idle { Machine::always_up() } else { Machine::default() },
            idle,
            in_flight: false,
            due_ms: now.mono_ms,
            purpose: Purpose::First,
            steady_ms: now.mono_ms,
            held: false,
            judged_ms: now.mono_ms,
            judged: idle,
            stale: false,
            silent: false,
            lost_at_s: 0,
            since_s: 0,
            last_at_s: 0,
            last_duration_ms: 0,
            last_failure: None,
            failing: false,
            transitions: [0; 3],
            results: Results::default(),
            certificate_expires_s: None,
        }
    }

    /// This host has no route for the target's family.
    pub(super) fn unrouted(&self) -> bool {
        self.failing && self.last_failure.as_ref().is_some_and(|failure| failure.family_unrouted)
    }

    /// Up, the last probe passed, and nothing is pending.
    pub(super) fn calm(&self) -> bool {
        let machine = &self.machine;
        machine.state() == State::Up && !self.failing && !machine.contrary_pending()
    }

    /// Takes in one result; `hold`: a failure that would make it DOWN does not.
    pub(super) fn take(
        &mut self,
        target: &Target,
        outcome: &Outcome,
        hold: bool,
        now: Now,
    ) -> Step {
        let was_eligible = self.machine.eligible();
        let result = outcome.result.as_ref().copied().map_err(|failure| failure.kind);
        let step = match hold {
            true => self.machine.hold(),
            false => self.machine.step(&target.thresholds, result, now.mono_ms),
        };
        self.in_flight = false;
        let calm = result.is_ok() && self.machine.calm(&target.thresholds);
        self.held = hold || self.held && !calm;
        self.last_at_s = now.unix_s;
        self.last_duration_ms = outcome.duration_ms;
        self.failing = result.is_err();
        self.results.add(result);
        if outcome.certificate_expires_s.is_some() {
            self.certificate_expires_s = outcome.certificate_expires_s;
        }
        if let Err(failure) = &outcome.result {
            self.last_failure = Some(failure.clone());
        }
        if result.err().is_none_or(FailureKind::judges) {
            self.judged_ms = now.mono_ms;
            self.stale = false;
        }
        self.note(step.transition, now);
        if was_eligible && !self.machine.eligible() {
            self.lost_at_s = now.unix_s;
        }
        step
    }

    /// Whether `outcome` would make it DOWN.
    pub(super) fn would_fall(&self, target: &Target, outcome: &Outcome) -> bool {
        let judges = outcome.result.as_ref().is_err_and(|failure| failure.kind.judges());
        judges && self.machine.would_fall(&target.thresholds)
    }

    /// What a loss that comes now would be undone to.
    pub(super) fn before(&self) -> Before {
        Before { machine: self.machine.clone(), since_s: self.since_s, lost_at_s: self.lost_at_s }
    }

    /// The last loss was none: everything is as it was, one failure before it.
    pub(super) fn undo(&mut self, before: Before) {
        self.machine = before.machine;
        self.since_s = before.since_s;
        self.lost_at_s = before.lost_at_s;
        let downs = &mut self.transitions[State::Down as usize];
        *downs = downs.saturating_sub(1);
        self.held = true;
    }

    /// Whether results speak against the verdict and the matter is not settled.
    pub(super) fn contrary_pending(&self) -> bool {
        self.held || self.machine.contrary_pending()
    }

    /// No verdict for too long. Our own failure, if that is why.
    pub(super) fn forget(&mut self, now: Now) -> (Option<Transition>, Option<Failure>) {
        self.silent = true;
        self.stale = false;
        let transition = self.machine.forget(self.in_flight);
        self.note(transition, now);
        let ours = self.last_failure.as_ref().filter(|f| self.failing && !f.kind.judges());
        (transition, ours.cloned())
    }

    fn note(&mut self, transition: Option<Transition>, now: Now) {
        if let Some(transition) = transition {
            self.since_s = now.unix_s;
            let count = &mut self.transitions[transition.to as usize];
            *count = count.saturating_add(1);
        }
    }

    /// Whether readiness need not wait for it any longer.
    pub(super) fn settled(&self) -> bool {
        self.machine.state() != State::Unknown && !self.stale || self.unrouted()
    }

    /// When silence becomes an alert, monotonic milliseconds.
    pub(super) fn silent_ms(&self, target: &Target) -> u64 {
        self.judged_ms + SILENT_INTERVALS * schedule::interval_ms(target)
    }

    /// What it contributes to its verdicts.
    pub(super) fn vote(&self, target: &Target) -> Vote {
        let machine = &self.machine;
        let pending_s = || {
            let needed = u64::from(machine.results_needed(&target.thresholds));
            let seconds = (needed * u64::from(target.confirm_interval_ms)).div_ceil(1_000);
            seconds.clamp(1, u64::from(TTL_CAP_NONE) - 1) as u16
        };
        let ttl_cap_s = match machine.state() {
            State::Unknown => 0,
            _ if self.stale => 0,
            _ if self.contrary_pending() => pending_s(),
            _ => TTL_CAP_NONE,
        };
        Vote { state: machine.state(), eligible: machine.eligible(), ttl_cap_s }
    }

    pub(super) fn glance(&self) -> Glance {
        Glance {
            state: self.machine.state(),
            contrary_pending: self.machine.contrary_pending(),
            silent: self.silent,
            certificate_expires_s: self.certificate_expires_s,
        }
    }

    pub(super) fn status(&self, target: &Target) -> TargetStatus {
        let machine = &self.machine;
        TargetStatus {
            state: machine.state(),
            eligible: machine.eligible(),
            stale: self.stale,
            since_s: self.since_s,
            failures: machine.failures(),
            successes: machine.successes(),
            results_needed: machine.results_needed(&target.thresholds),
            rise_effective: machine.rise_effective(&target.thresholds),
            last_at_s: self.last_at_s,
            last_duration_ms: self.last_duration_ms,
            last_failure: self.last_failure.clone(),
            failing: self.failing,
            transitions: self.transitions,
            results: self.results,
            certificate_expires_s: self.certificate_expires_s,
            silent: self.silent,
            next_ms: (!self.idle).then_some(self.due_ms),
            in_flight: self.in_flight,
        }
    }
}
