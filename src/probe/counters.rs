//! What probes add up to, per check: results, durations, lag.
//!
//! Kept behind a lock that is held for nanoseconds, and read without the
//! prober's help: a prober that is stuck must still show that it is.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::session::Handshake;
use crate::health::FailureKind;

/// Upper bounds of the duration buckets, in microseconds; one more holds the rest.
pub const BUCKETS_US: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000,
];

/// Upper bounds of the buckets of start lags, in milliseconds; one more holds the rest.
pub const LAG_BUCKETS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// Probes of one check.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CheckCounters {
    /// Probes that passed.
    pub passed: u64,
    /// Failed ones, in the order of [`FailureKind::ALL`].
    pub failed: [u64; FailureKind::ALL.len()],
    /// Per bucket of [`BUCKETS_US`], not cumulative, the last without bound.
    pub buckets: [u64; BUCKETS_US.len() + 1],
    /// All durations together, in microseconds.
    pub duration_us_sum: u64,
    /// TLS handshakes with the server's certificate.
    pub handshakes_full: u64,
    /// TLS handshakes that resumed a session.
    pub handshakes_resumed: u64,
}

impl CheckCounters {
    /// How many probes.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn add(
        &mut self,
        failure: Option<FailureKind>,
        duration_us: u64,
        handshake: Option<Handshake>,
    ) {
        match failure {
            None => self.passed += 1,
            Some(kind) => self.failed[kind as usize] += 1,
        }
        self.buckets[BUCKETS_US.partition_point(|bound| *bound < duration_us)] += 1;
        self.duration_us_sum += duration_us;
        match handshake {
            Some(Handshake::Full) => self.handshakes_full += 1,
            Some(Handshake::Resumed) => self.handshakes_resumed += 1,
            None => {}
        }
    }
}

/// All a scrape asks for.
#[derive(Clone, Debug, Default)]
pub struct ProbeMetrics {
    /// By name of the check.
    pub checks: BTreeMap<String, CheckCounters>,
    /// How far probing is behind its schedule, in seconds: it grows without end
    /// when the prober is stuck or dead.
    pub lag_s: f64,
    /// Starts by how late they were, per bucket of [`LAG_BUCKETS_MS`], not
    /// cumulative, the last without bound.
    pub start_lag_buckets: [u64; LAG_BUCKETS_MS.len() + 1],
    /// All lags together, in milliseconds.
    pub start_lag_ms_sum: u64,
    /// Probes running now.
    pub in_flight: u64,
    /// Probes that wait for a slot.
    pub waiting: u64,
    /// The prober is stuck or dead: every word is unknown.
    pub stalled: bool,
}

/// Probes of each datacenter, for series: what they add up to under one plan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SiteProbes {
    /// Which plan: counts begin anew with each, for another may number datacenters
    /// otherwise.
    pub plan: u64,
    /// By number of the datacenter; those above have no probe yet.
    pub sites: Vec<SiteCounters>,
}

/// Probes of one datacenter that passed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SiteCounters {
    /// How many.
    pub passed: u64,
    /// How long they took together, in microseconds.
    pub duration_us_sum: u64,
}

/// What one lock holds.
#[derive(Debug, Default)]
struct Sums {
    checks: BTreeMap<String, CheckCounters>,
    sites: SiteProbes,
}

/// Where the runner writes and scrapes read.
#[derive(Debug, Default)]
pub(super) struct Counters {
    sums: Mutex<Sums>,
    /// Monotonic time of the runner's last turn.
    pub turn_ms: AtomicU64,
    /// See [`Lag`].
    pub lag_ms: AtomicU64,
    start_lag_buckets: [AtomicU64; LAG_BUCKETS_MS.len() + 1],
    start_lag_ms_sum: AtomicU64,
    pub in_flight: AtomicU64,
    pub waiting: AtomicU64,
}

/// The runner turns at least this often, so a longer pause is lag.
pub(super) const TURN_MS_MAX: u64 = 500;

impl Counters {
    pub(super) fn add(
        &self,
        check: &str,
        datacenter: Option<u32>,
        failure: Option<FailureKind>,
        duration_us: u64,
        handshake: Option<Handshake>,
    ) {
        let Sums { checks, sites } = &mut *self.lock();
        if let (Some(datacenter), None) = (datacenter, failure) {
            sites.add(datacenter as usize, duration_us);
        }
        if let Some(counters) = checks.get_mut(check) {
            counters.add(failure, duration_us, handshake);
        } else {
            checks.entry(check.to_owned()).or_default().add(failure, duration_us, handshake);
        }
    }

    /// A probe started `lag_ms` late.
    pub(super) fn started(&self, lag_ms: u64) {
        let at = LAG_BUCKETS_MS.partition_point(|bound| *bound < lag_ms);
        self.start_lag_buckets[at].fetch_add(1, Ordering::Relaxed);
        self.start_lag_ms_sum.fetch_add(lag_ms, Ordering::Relaxed);
    }

    /// A plan took the place of another: drops the counters of all checks but
    /// `names`, and those of datacenters.
    pub(super) fn keep<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let names: HashSet<&str> = names.collect();
        let mut sums = self.lock();
        sums.checks.retain(|name, _| names.contains(name.as_str()));
        sums.sites = SiteProbes { plan: sums.sites.plan + 1, sites: Vec::new() };
    }

    pub(super) fn sites(&self) -> SiteProbes {
        self.lock().sites.clone()
    }

    pub(super) fn read(&self, now_ms: u64) -> ProbeMetrics {
        let since_turn_ms = now_ms.saturating_sub(self.turn_ms.load(Ordering::Relaxed));
        let lag_ms =
            self.lag_ms.load(Ordering::Relaxed).max(since_turn_ms.saturating_sub(TURN_MS_MAX));
        ProbeMetrics {
            checks: self.lock().checks.clone(),
            lag_s: lag_ms as f64 / 1_000.0,
            start_lag_buckets: self
                .start_lag_buckets
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
            start_lag_ms_sum: self.start_lag_ms_sum.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            stalled: false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sums> {
        // Counters hold no invariant that a panic could break.
        self.sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl SiteProbes {
    fn add(&mut self, datacenter: usize, duration_us: u64) {
        if self.sites.len() <= datacenter {
            self.sites.resize(datacenter + 1, SiteCounters::default());
        }
        self.sites[datacenter].passed += 1;
        self.sites[datacenter].duration_us_sum += duration_us;
    }
}

/// The latest start of the last ten to twenty seconds, so that a scrape sees it.
#[derive(Debug, Default)]
pub(super) struct Lag {
    before_ms: u64,
    current_ms: u64,
    turned_at_ms: u64,
}

/// How long a lag is shown at least.
const LAG_SHOWN_MS: u64 = 10_000;

impl Lag {
    /// A probe started `lag_ms` late.
    pub(super) fn add(&mut self, lag_ms: u64, now_ms: u64) {
        self.turn(now_ms);
        self.current_ms = self.current_ms.max(lag_ms);
    }

    pub(super) fn most_ms(&mut self, now_ms: u64) -> u64 {
        self.turn(now_ms);
        self.current_ms.max(self.before_ms)
    }

    fn turn(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.turned_at_ms);
        if passed_ms >= LAG_SHOWN_MS {
            self.before_ms = if passed_ms < 2 * LAG_SHOWN_MS { self.current_ms } else { 0 };
            self.current_ms = 0;
            self.turned_at_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_is_counted_once_in_result_and_bucket() {
        let counters = Counters::default();
        counters.add("ready", Some(1), None, 500, Some(Handshake::Full));
        counters.add("ready", Some(1), None, 501, Some(Handshake::Resumed));
        counters.add("ready", Some(1), Some(FailureKind::Status), 60_000_000, None);
        counters.add("other", None, Some(FailureKind::Timeout), 0, None);
        let seen = counters.read(0).checks;
        let ready = &seen["ready"];
        assert_eq!((ready.passed, ready.failed[FailureKind::Status as usize]), (2, 1));
        assert_eq!((ready.buckets[0], ready.buckets[1], ready.buckets[13]), (1, 1, 1));
        assert_eq!((ready.count(), ready.duration_us_sum), (3, 60_001_001));
        assert_eq!((ready.handshakes_full, ready.handshakes_resumed), (1, 1));
        assert_eq!(seen["other"].count(), 1);
    }

    #[test]
    fn sites_add_up_what_passed_under_one_plan() {
        let counters = Counters::default();
        counters.keep(["ready"].into_iter());
        counters.add("ready", Some(1), None, 500, None);
        counters.add("other", Some(1), None, 700, None);
        counters.add("ready", Some(1), Some(FailureKind::Timeout), 9_000, None);
        counters.add("ready", None, None, 9_000, None);
        let site = SiteCounters { passed: 2, duration_us_sum: 1_200 };
        let expected = SiteProbes { plan: 1, sites: vec![SiteCounters::default(), site] };
        assert_eq!(counters.sites(), expected);
        counters.keep(["ready"].into_iter());
        assert_eq!(counters.sites(), SiteProbes { plan: 2, sites: Vec::new() });
    }

    #[test]
    fn a_late_start_is_shown_for_ten_to_twenty_seconds() {
        let mut lag = Lag::default();
        lag.add(700, 12_000);
        lag.add(30, 13_000);
        assert_eq!((lag.most_ms(13_000), lag.most_ms(22_500)), (700, 700));
        assert_eq!(lag.most_ms(33_000), 0);
        lag.add(5, 90_000);
        assert_eq!(lag.most_ms(90_000), 5);
    }

    #[test]
    fn every_start_is_counted_once_by_its_lag() {
        let counters = Counters::default();
        for lag_ms in [0, 1, 2, 99, 100, 101, 60_000] {
            counters.started(lag_ms);
        }
        let seen = counters.read(0);
        assert_eq!(seen.start_lag_buckets, [2, 1, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 1]);
        assert_eq!(seen.start_lag_ms_sum, 60_303);
    }

    #[test]
    fn a_runner_that_turns_no_more_shows_as_lag() {
        let counters = Counters::default();
        counters.turn_ms.store(10_000, Ordering::Relaxed);
        assert!(counters.read(10_400).lag_s < 0.001);
        assert!((counters.read(70_500).lag_s - 60.0).abs() < 0.001);
    }
}
