//! When each target is probed next.
//!
//! ```text
//!   steady    on the target's own slots: hash + k · interval, each ± 2.5 %, so
//!             that two in a row are 0.95 to 1.05 intervals apart
//!   confirm   confirm_interval after the last probe's start, ± 10 %, while the
//!             shared budget lasts; beyond it, steady
//!   first     spread over 1 s, or over half an interval where that is too steep;
//!             also within the budget
//! ```
//!
//! Slots are absolute, so that targets which were all late together (a stall, an
//! outage) part again at their next steady probe. No probe is more than 1.05
//! intervals after the one before. Jitter comes from a hash of the target and the
//! slot: the same inputs give the same schedule.
//!
//! It must not know verdicts or how probes end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::plan::{Identity, Target, TargetId};

/// First probes are spread over this long at least.
const START_SPREAD_MS: u64 = 1_000;
/// Slots move by this share of the interval, either way.
const SLOT_JITTER_DIVISOR: u64 = 40;
/// Two steady probes in a row are an interval apart, more or less by this share.
const STEADY_GAP_DIVISOR: u64 = 20;
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

/// When the next steady probe is due after one that started at `started_ms`: at the
/// next slot that is not too close, and never more than 1.05 intervals later.
pub(super) fn steady_due_ms(target: &Target, phase: u64, started_ms: u64) -> u64 {
    let interval_ms = interval_ms(target);
    let earliest_ms = started_ms + interval_ms / STEADY_GAP_DIVISOR + 1;
    let latest_ms = started_ms + interval_ms + interval_ms / STEADY_GAP_DIVISOR;
    let offset_ms = phase % interval_ms;
    let jitter_ms = interval_ms / SLOT_JITTER_DIVISOR;
    let slot_ms = |turn| jittered(offset_ms + turn * interval_ms, jitter_ms, phase, turn);
    // The first whose jitter can bring it past the earliest.
    let turn = earliest_ms.saturating_sub(offset_ms + jitter_ms).div_ceil(interval_ms);
    let due_ms = match slot_ms(turn) {
        due_ms if due_ms >= earliest_ms => due_ms,
        _ => slot_ms(turn + 1),
    };
    due_ms.min(latest_ms)
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
    /// `most_per_s`: what first probes may take of the budget.
    pub(super) fn new(new: usize, most_per_s: u64) -> Start {
        Start { quick: new as u64 <= most_per_s * START_SPREAD_MS / 1_000 }
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

/// How many slots probes of `target` take on average at its steady rate while they
/// all time out.
pub fn slots_when_silent(target: &Target) -> f64 {
    use super::check::ProbeKind;
    match target.identity.probe {
        ProbeKind::Always => 0.0,
        _ => (f64::from(target.timeout_ms) / interval_ms(target) as f64).min(1.0),
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
        fn steady_probes_in_a_row_are_an_interval_apart_by_a_twentieth(
            port: u16, interval_ms in 100_u32..60_000, start_ms in 0_u64..1_000_000,
        ) {
            let target = target(port, interval_ms);
            let phase = phase(&target.identity);
            let interval_ms = u64::from(interval_ms);
            let mut started_ms = start_ms;
            for turn in 0..40 {
                let next_ms = steady_due_ms(&target, phase, started_ms);
                let gap_ms = next_ms - started_ms;
                prop_assert!(gap_ms * 100 <= interval_ms * 105, "{gap_ms} of {interval_ms}");
                prop_assert!(gap_ms * 20 > interval_ms, "{gap_ms} of {interval_ms}");
                // From anywhere it is on its slots after three turns at most.
                if turn >= 3 {
                    prop_assert!((gap_ms + 1) * 100 >= interval_ms * 95, "{gap_ms} of {interval_ms}");
                    let off_ms = (next_ms + interval_ms + interval_ms / 2 - phase % interval_ms) % interval_ms;
                    prop_assert!(off_ms.abs_diff(interval_ms / 2) <= interval_ms / 40, "{off_ms}");
                }
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
        let mut per_slot = [0_u32; 10];
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
            let most_per_s = (2.0 * steady_per_s(&targets)) as u64;
            let start = Start::new(targets.len(), most_per_s.max(100));
            let due = targets.iter().map(|t| start.first_due_ms(t, phase(&t.identity), 0));
            due.max().unwrap()
        };
        assert!((900..1_000).contains(&last_due_ms(100)));
        assert!((4_900..5_000).contains(&last_due_ms(10_000)));
    }
}
