//! Latencies, by the bucket.

/// Buckets per power of two: each is at most 1/32 wide, so a percentile is off by 3 % at
/// most.
const SUB_BITS: u32 = 5;

/// Latencies in nanoseconds, up to the full range of a u64, in fixed memory.
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// Without any.
    pub(crate) fn new() -> Histogram {
        Histogram { buckets: vec![0; 64 << SUB_BITS], count: 0, max: 0 }
    }

    /// One more.
    pub(crate) fn add(&mut self, ns: u64) {
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.max = self.max.max(ns);
    }

    /// The latency that `share` (0 to 1) of all do not pass; 0 of none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(index).min(self.max);
            }
        }
        self.max
    }

    /// The longest.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }
}

/// Below 2^SUB_BITS a bucket each, above by the leading bits.
fn bucket(ns: u64) -> usize {
    let top = 63 - (ns | 1).leading_zeros();
    if top < SUB_BITS {
        return ns as usize;
    }
    let shift = top - SUB_BITS;
    (((shift + 1) as usize) << SUB_BITS) + ((ns >> shift) as usize & ((1 << SUB_BITS) - 1))
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let (row, column) = (bucket >> SUB_BITS, (bucket & ((1 << SUB_BITS) - 1)) as u64);
    if row == 0 {
        return column;
    }
    let shift = row as u32 - 1;
    let first = ((1 << SUB_BITS) + column) << shift;
    first + ((1u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_a_bucket_that_holds_it() {
        let mut values: Vec<u64> = (0..2000).collect();
        values.extend((0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        values.extend([u64::MAX - 1, u64::MAX]);
        for ns in values {
            let index = bucket(ns);
            assert!(ns <= upper_end(index), "{ns}");
            assert!(index == 0 || ns > upper_end(index - 1), "{ns}");
            // At most 1/32 too high.
            assert!(upper_end(index) - ns <= ns / 32, "{ns}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), 0);
        for ns in 1..=1000 {
            histogram.add(ns);
        }
        for (share, exact) in [(0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            let found = histogram.quantile(share);
            assert!((exact..=exact + exact / 32).contains(&found), "{share}: {found}");
        }
        assert_eq!(histogram.max(), 1000);
    }
}
