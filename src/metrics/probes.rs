//! Counters of probes and of changes of health. Probes are few beside queries,
//! so these are shared and added to atomically, and survive reloads: a check
//! that keeps its name keeps its counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::{Histogram, HistogramTotals, PROBE_BOUNDS_NS};

/// Most checks that are counted by name. Later ones share [`OTHERS`]: only a
/// long life with ever new names comes here.
pub const CHECKS_MAX: usize = 4_096;
/// Most (WIP, member, to) that are counted by name, as above.
pub const TRANSITIONS_MAX: usize = 65_536;
/// The label of what is counted together because there are too many.
pub const OTHERS: &str = "(others)";

//------------ ProbeResult ----------------------------------------------------

/// How a probe ended (SEMANTICS "every failure has a kind").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProbeResult {
    /// As expected.
    Success,
    /// Not done at the deadline.
    Timeout,
    /// Connection refused.
    Refused,
    /// Connection reset.
    Reset,
    /// No route.
    Unreachable,
    /// Handshake or certificate.
    Tls,
    /// Not the protocol that was expected.
    Protocol,
    /// Another status than expected.
    Status,
    /// Another body than expected.
    Body,
    /// A name of ours did not resolve: our fault, does not count as down.
    Resolve,
    /// Something else of ours: does not count as down.
    Internal,
}

impl ProbeResult {
    /// All, in the order of their numbers.
    pub const ALL: [ProbeResult; 11] = [
        ProbeResult::Success,
        ProbeResult::Timeout,
        ProbeResult::Refused,
        ProbeResult::Reset,
        ProbeResult::Unreachable,
        ProbeResult::Tls,
        ProbeResult::Protocol,
        ProbeResult::Status,
        ProbeResult::Body,
        ProbeResult::Resolve,
        ProbeResult::Internal,
    ];

    /// The `result` label.
    pub fn label(self) -> &'static str {
        match self {
            ProbeResult::Success => "success",
            ProbeResult::Timeout => "timeout",
            ProbeResult::Refused => "refused",
            ProbeResult::Reset => "reset",
            ProbeResult::Unreachable => "unreachable",
            ProbeResult::Tls => "tls",
            ProbeResult::Protocol => "protocol",
            ProbeResult::Status => "status",
            ProbeResult::Body => "body",
            ProbeResult::Resolve => "resolve",
            ProbeResult::Internal => "internal",
        }
    }
}

//------------ ProbeCounters --------------------------------------------------

/// Results and durations of one check.
#[derive(Debug)]
pub struct CheckCounters {
    results: [AtomicU64; ProbeResult::ALL.len()],
    duration: Histogram<{ PROBE_BOUNDS_NS.len() }, true>,
}

impl CheckCounters {
    /// A probe ended so, after `duration_ns` nanoseconds.
    pub fn record(&self, result: ProbeResult, duration_ns: u64) {
        self.results[result as usize].fetch_add(1, Ordering::Relaxed);
        self.duration.observe(duration_ns);
    }
}

/// Counters of all checks, by name.
#[derive(Debug, Default)]
pub struct ProbeCounters {
    checks: Mutex<BTreeMap<String, Arc<CheckCounters>>>,
}

/// One check's counts as read at one moment.
#[derive(Clone, Debug)]
pub struct CheckTotals {
    /// Name of the check.
    pub check: String,
    /// By [`ProbeResult`].
    pub results: [u64; ProbeResult::ALL.len()],
    /// Durations.
    pub duration: HistogramTotals,
}

impl ProbeCounters {
    /// The counters of check `name`. Asked for once when a plan is taken, then kept.
    pub fn check(&self, name: &str) -> Arc<CheckCounters> {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = checks.contains_key(name) || checks.len() < CHECKS_MAX;
        let name = if known { name } else { OTHERS };
        let new = || {
            Arc::new(CheckCounters {
                results: [const { AtomicU64::new(0) }; ProbeResult::ALL.len()],
                duration: Histogram::new(&PROBE_BOUNDS_NS),
            })
        };
        Arc::clone(checks.entry(name.to_owned()).or_insert_with(new))
    }

    /// All counts, now, in the order of the names.
    pub fn totals(&self) -> Vec<CheckTotals> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks
            .iter()
            .map(|(name, counters)| {
                let mut duration = HistogramTotals::default();
                counters.duration.add_to(&mut duration);
                let results =
                    std::array::from_fn(|at| counters.results[at].load(Ordering::Relaxed));
                CheckTotals { check: name.clone(), results, duration }
            })
            .collect()
    }
}

//------------ TransitionCounters ---------------------------------------------

/// What a probed state changed to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TransitionTo {
    /// No verdict any more.
    Unknown,
    /// Passing.
    Up,
    /// Failing.
    Down,
}

impl TransitionTo {
    /// The `to` label.
    pub fn label(self) -> &'static str {
        match self {
            TransitionTo::Unknown => "unknown",
            TransitionTo::Up => "up",
            TransitionTo::Down => "down",
        }
    }
}

/// Counts changes of health by WIP and member.
#[derive(Debug, Default)]
pub struct TransitionCounters {
    counts: Mutex<BTreeMap<(String, String, TransitionTo), u64>>,
}

impl TransitionCounters {
    /// A target changed. `wip` is empty for a datacenter's own check.
    pub fn record(&self, wip: &str, member: &str, to: TransitionTo) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (wip.to_owned(), member.to_owned(), to);
        let known = counts.contains_key(&key) || counts.len() < TRANSITIONS_MAX;
        let key = if known { key } else { (OTHERS.to_owned(), OTHERS.to_owned(), to) };
        *counts.entry(key).or_insert(0) += 1;
    }

    /// Gives each count to `emit`: WIP, member, new state, how often.
    pub fn each(&self, mut emit: impl FnMut(&str, &str, TransitionTo, u64)) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for ((wip, member, to), count) in counts.iter() {
            emit(wip, member, *to, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_keeps_its_counts_when_it_is_asked_for_again() {
        let probes = ProbeCounters::default();
        probes.check("readiness").record(ProbeResult::Success, 2_000_000);
        probes.check("readiness").record(ProbeResult::Timeout, 2_000_000_000);
        let totals = probes.totals();
        assert_eq!(totals.len(), 1);
        assert_eq!(totals[0].check, "readiness");
        assert_eq!(totals[0].results.iter().sum::<u64>(), 2);
        assert_eq!(totals[0].results[ProbeResult::Timeout as usize], 1);
        assert_eq!(totals[0].duration.sum_ns, 2_002_000_000);
    }

    #[test]
    fn ever_new_names_are_bounded_and_none_is_lost() {
        let probes = ProbeCounters::default();
        for number in 0..CHECKS_MAX + 10 {
            probes.check(&format!("check{number}")).record(ProbeResult::Success, 1);
        }
        let totals = probes.totals();
        assert_eq!(totals.len(), CHECKS_MAX + 1);
        assert_eq!(totals.iter().map(|t| t.results[0]).sum::<u64>(), CHECKS_MAX as u64 + 10);

        let transitions = TransitionCounters::default();
        for number in 0..TRANSITIONS_MAX + 10 {
            transitions.record(&number.to_string(), "fra", TransitionTo::Down);
        }
        let (mut series, mut sum) = (0, 0);
        transitions.each(|_, _, _, count| {
            series += 1;
            sum += count;
        });
        assert_eq!((series, sum), (TRANSITIONS_MAX + 1, TRANSITIONS_MAX as u64 + 10));
    }

    #[test]
    fn labels_stand_at_their_numbers() {
        for (number, result) in ProbeResult::ALL.iter().enumerate() {
            assert_eq!(*result as usize, number);
        }
    }
}
