//! When each target is probed next.
//!
//! ```text
//!   steady    on the target's own phase: hash + k · interval, ± 5 %
//!   confirm   confirm_interval after the last probe's start, ± 10 %, while the
//!             shared budget lasts; beyond it, steady
//!   first     spread over 1 s, or over half an interval where that is too steep
//! ```
//!
//! Phases are absolute, so that targets which were all late together (a stall, an
//! outage) part again at their next steady probe. Jitter comes from a hash of the
//! target and the time: the same inputs give the same schedule.
//!
//! It must not know verdicts or how probes end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::plan::{Identity, Target, TargetId};

/// First and confirm probes may always come this often, in probes per second: a
/// small config needs no protection from itself.
pub const BURST_RATE_MIN: u64 = 100;
/// First probes are spread over this long at least.
const START_SPREAD_MS: u64 = 1_000;
/// A steady probe waits for the next phase at least this share of the interval away.
const STEADY_GAP_DIVISOR: u64 = 10;
/// Shortest interval taken at its word; a zero would spin.
const INTERVAL_MS_MIN: u64 = 10;

//------------ Timing of one target -------------------------------------------

/// A target's phase: the same for the same probe, spread over all.
pub(super) fn phase(identity: &Identity) -> u64 {
    let mut hasher = Xxh3::new();
    identity.hash(&mut hasher);
    hasher.finish()
}

/// Time between steady probes, in milliseconds; never 0.
pub(super) fn interval_ms(target: &Target) -> u64 {
    u64::from(target.interval_ms).max(INTERVAL_MS_MIN)
}

/// When the next steady probe is due after one that started at `started_ms`.
pub(super) fn steady_due_ms(target: &Target, phase: u64, started_ms: u64) -> u64 {
    let interval_ms = interval_ms(target);
    let earliest_ms = started_ms + interval_ms / STEADY_GAP_DIVISOR + 1;
    let offset_ms = phase % interval_ms;
    let turns = earliest_ms.saturating_sub(offset_ms).div_ceil(interval_ms);
    let due_ms = offset_ms + turns * interval_ms;
    jittered(due_ms, interval_ms / 20, phase, due_ms)
}

/// When the next confirm probe is due after one that started at `started_ms`.
pub(super) fn confirm_due_ms(target: &Target, phase: u64, started_ms: u64) -> u64 {
    let confirm_ms = u64::from(target.confirm_interval_ms).max(INTERVAL_MS_MIN);
    jittered(started_ms + confirm_ms, confirm_ms / 10, phase, started_ms)
}

/// `at_ms` plus or minus up to `most_ms`, by a hash of `phase` and `salt`.
fn jittered(at_ms: u64, most_ms: u64, phase: u64, salt: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&phase.to_le_bytes());
    bytes[8..].copy_from_slice(&salt.to_le_bytes());
    let shift_ms = xxh3_64(&bytes) % (2 * most_ms + 1);
    (at_ms + shift_ms).saturating_sub(most_ms)
}

//------------ Start ----------------------------------------------------------

/// How first probes are spread when `new` targets start at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// One second for all is not too steep.
    quick: bool,
}

impl Start {
    /// `steady_per_s` is the rate the whole plan settles at.
    pub(super) fn new(new: usize, steady_per_s: f64) -> Start {
        let most = (2.0 * steady_per_s).max(BURST_RATE_MIN as f64);
        Start { quick: new as f64 * 1_000.0 / START_SPREAD_MS as f64 <= most }
    }

    /// When a new target's first probe is due.
    pub(super) fn first_due_ms(self, target: &Target, phase: u64, now_ms: u64) -> u64 {
        let half_ms = interval_ms(target) / 2;
        let spread_ms = if self.quick { START_SPREAD_MS.min(half_ms) } else { half_ms };
        // The upper half of the hash: the lower half is the steady phase.
        now_ms + (phase >> 32) % spread_ms.max(1)
    }
}

/// Probes per second of all targets when nothing is being confirmed.
pub fn steady_per_s<'a>(targets: impl IntoIterator<Item = &'a Target>) -> f64 {
    use super::check::ProbeKind;
    targets
        .into_iter()
        .filter(|target| target.identity.probe != ProbeKind::Always)
        .map(|target| 1_000.0 / interval_ms(target) as f64)
        .sum()
}

//------------ Budget ---------------------------------------------------------

/// Confirm probes share twice the steady rate.
///
/// Half of it is kept for targets that are up: noticing a loss must not wait
/// behind dead members that twitch.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// In thousandths of a probe.
    tokens: u64,
    /// Thousandths of a probe that come each millisecond: probes per second.
    per_ms: u64,
    refilled_at_ms: u64,
}

impl Budget {
    pub(super) fn new(steady_per_s: f64, now_ms: u64) -> Budget {
        let per_ms = ((2.0 * steady_per_s).ceil() as u64).max(BURST_RATE_MIN);
        Budget { tokens: per_ms * 1_000, per_ms, refilled_at_ms: now_ms }
    }

    /// Takes one confirm probe out of the budget, if there is one.
    pub(super) fn take(&mut self, urgent: bool, now_ms: u64) -> bool {
        let most = self.per_ms * 1_000;
        let passed_ms = now_ms.saturating_sub(self.refilled_at_ms);
        self.tokens = self.tokens.saturating_add(passed_ms.saturating_mul(self.per_ms)).min(most);
        self.refilled_at_ms = self.refilled_at_ms.max(now_ms);
        let floor = if urgent { 0 } else { most / 2 };
        let granted = self.tokens >= floor + 1_000;
        if granted {
            self.tokens -= 1_000;
        }
        granted
    }
}

//------------ Queue ----------------------------------------------------------

/// Targets by time, soonest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(u64, TargetId)>>,
}

impl Queue {
    pub(super) fn push(&mut self, at_ms: u64, target: TargetId) {
        self.heap.push(Reverse((at_ms, target)));
    }

    /// The soonest, if it is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<(u64, TargetId)> {
        let Reverse(soonest) = *self.heap.peek()?;
        if soonest.0 > now_ms {
            return None;
        }
        self.heap.pop();
        Some(soonest)
    }

    pub(super) fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at_ms, _))| *at_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{ProbeKind, TcpProbe};
    use super::super::plan::Thresholds;
    use super::*;

    fn target(port: u16, interval_ms: u32) -> Target {
        let probe = ProbeKind::Tcp(TcpProbe { port, ..TcpProbe::default() });
        Target {
            identity: Identity { probe, address: std::net::IpAddr::from([127, 0, 0, 1]).into() },
            check: String::new(),
            member: String::new(),
            wip: None,
            datacenter: None,
            thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
            interval_ms,
            timeout_ms: 1_000,
            confirm_interval_ms: 1_000,
        }
    }

    proptest! {
        #[test]
        fn steady_probes_keep_their_phase_within_a_tenth_of_the_interval(
            port: u16, interval_ms in 100_u32..60_000, start_ms in 0_u64..1_000_000,
        ) {
            let target = target(port, interval_ms);
            let phase = phase(&target.identity);
            let interval_ms = u64::from(interval_ms);
            let mut started_ms = steady_due_ms(&target, phase, start_ms);
            prop_assert!(started_ms > start_ms && started_ms - start_ms <= interval_ms * 116 / 100 + 2);
            for _ in 0..20 {
                let next_ms = steady_due_ms(&target, phase, started_ms);
                let gap_ms = next_ms - started_ms;
                prop_assert!(gap_ms * 10 >= interval_ms * 9 - 20, "{gap_ms} of {interval_ms}");
                prop_assert!(gap_ms * 10 <= interval_ms * 11 + 20, "{gap_ms} of {interval_ms}");
                started_ms = next_ms;
            }
        }

        #[test]
        fn confirm_probes_come_within_a_tenth_of_their_interval(port: u16, start_ms in 0_u64..1_000_000) {
            let target = target(port, 5_000);
            let due_ms = confirm_due_ms(&target, phase(&target.identity), start_ms);
            prop_assert!((900..=1_100).contains(&(due_ms - start_ms)));
        }
    }

    #[test]
    fn phases_are_spread_evenly() {
        let mut per_slot = [0; 10];
        for port in 0..10_000 {
            let target = target(port, 5_000);
            let due_ms = steady_due_ms(&target, phase(&target.identity), 50_000);
            per_slot[(due_ms % 5_000 / 500) as usize] += 1;
        }
        assert!(per_slot.iter().all(|count| (850..1_150).contains(count)), "{per_slot:?}");
    }

    #[test]
    fn few_targets_start_within_a_second_and_many_within_half_an_interval() {
        let last_due_ms = |count: u16| {
            let targets: Vec<Target> = (0..count).map(|port| target(port, 10_000)).collect();
            let start = Start::new(targets.len(), steady_per_s(&targets));
            let due = targets.iter().map(|t| start.first_due_ms(t, phase(&t.identity), 0));
            due.max().unwrap()
        };
        assert!((900..1_000).contains(&last_due_ms(100)));
        assert!((4_900..5_000).contains(&last_due_ms(10_000)));
    }

    #[test]
    fn the_budget_grants_twice_the_steady_rate_and_half_to_members_that_are_down() {
        let mut budget = Budget::new(1_000.0, 0);
        let mut drain =
            |urgent, now_ms| (0..10_000).filter(|_| budget.take(urgent, now_ms)).count();
        assert_eq!(drain(false, 0), 1_000);
        assert_eq!(drain(true, 0), 1_000);
        assert_eq!(drain(true, 500), 1_000);
        assert_eq!(drain(false, 900), 0);
        // Time that stands still or goes back grants nothing.
        assert_eq!((drain(true, 900), drain(true, 100)), (800, 0));
    }
}
