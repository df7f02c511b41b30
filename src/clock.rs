//! The only reader of time.
//!
//! Everything below is told what time it is, so that it can be tested at any.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::health::Now;

/// Both clocks, the monotonic one counted from this value's making.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts at zero now. Make one per process and
    /// copy it: times of different clocks cannot be compared.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// This moment.
    pub fn now(self) -> Now {
        Now { mono_ms: self.start.elapsed().as_millis() as u64, unix_s: unix_s() }
    }

    /// Unix microseconds, for what is compared with other programs' records; may jump.
    pub fn unix_us(self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
    }

    /// Microseconds since the start, for durations too short for milliseconds.
    pub fn mono_us(self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// Unix seconds; 0 before 1970, the largest number after 2106.
pub fn unix_s() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// The same as of the kernel's last tick, some milliseconds ago at most: read once a
/// batch of queries, where the cost of the true time would be felt.
pub fn unix_s_coarse() -> u32 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    u32::try_from(now.tv_sec.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_shows_the_same_second_or_the_one_before() {
        let (coarse, fine) = (unix_s_coarse(), unix_s());
        assert!(fine - coarse <= 1, "{coarse} {fine}");
    }
}
