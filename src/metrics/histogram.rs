//! Histograms of durations, in nanoseconds inside and seconds on the page.

use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::add;
use super::text::Value;

/// Upper bounds of the response-time buckets, in nanoseconds. Most answers take
/// a few microseconds; the last bounds catch stalls of the host.
pub const RESPONSE_BOUNDS_NS: [u64; 14] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    1_000_000_000,
];

//------------ Histogram ------------------------------------------------------

/// Counts per bucket and a sum, written by one thread.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    bounds_ns: &'static [u64; N],
    /// Each duration in the first bucket that holds it.
    buckets: [AtomicU64; N],
    /// Durations above the last bound.
    above: AtomicU64,
    sum_ns: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    pub(super) fn new(bounds_ns: &'static [u64; N]) -> Histogram<N> {
        Histogram {
            bounds_ns,
            buckets: [const { AtomicU64::new(0) }; N],
            above: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn observe(&self, duration_ns: u64) {
        let at = self.bounds_ns.partition_point(|&bound| bound < duration_ns);
        add(self.buckets.get(at).unwrap_or(&self.above), 1);
        add(&self.sum_ns, duration_ns);
    }

    /// Adds what was counted so far to `totals`.
    pub(super) fn add_to(&self, totals: &mut HistogramTotals) {
        totals.bounds = self.bounds_ns;
        totals.unit = Unit::Nanoseconds;
        totals.counts.resize(N + 1, 0);
        let all = self.buckets.iter().chain([&self.above]);
        for (total, bucket) in totals.counts.iter_mut().zip(all) {
            *total += bucket.load(Ordering::Relaxed);
        }
        totals.sum = totals.sum.wrapping_add(self.sum_ns.load(Ordering::Relaxed));
    }
}

//------------ HistogramTotals ------------------------------------------------

/// A histogram as read at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HistogramTotals {
    /// What bounds and sum are given in.
    pub unit: Unit,
    /// Upper bounds, ascending.
    pub bounds: &'static [u64],
    /// Durations in each bucket alone, then those above the last bound.
    pub counts: Vec<u64>,
    /// Sum of all durations.
    pub sum: u64,
}

/// A unit of time; the page shows seconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unit {
    /// 10⁻⁹ s.
    #[default]
    Nanoseconds,
    /// 10⁻⁶ s.
    Microseconds,
    /// 10⁻³ s.
    Milliseconds,
}

impl Unit {
    /// `count` of it, as a value.
    pub(super) fn value(self, count: u64) -> Value {
        match self {
            Unit::Nanoseconds => Value::Nanoseconds(count),
            Unit::Microseconds => Value::Microseconds(count),
            Unit::Milliseconds => Value::Milliseconds(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::<14>::new(&RESPONSE_BOUNDS_NS);
        for duration_ns in [0, 1_000, 1_001, 1_000_000_000, 1_000_000_001, u64::from(u32::MAX)] {
            histogram.observe(duration_ns);
        }
        let mut totals = HistogramTotals::default();
        histogram.add_to(&mut totals);
        assert_eq!(totals.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(totals.sum, 1_000 + 1_001 + 2_000_000_001 + u64::from(u32::MAX));
    }

    #[test]
    fn bounds_ascend() {
        assert!(RESPONSE_BOUNDS_NS.is_sorted_by(|a, b| a < b));
    }
}
