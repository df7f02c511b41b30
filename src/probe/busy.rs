//! How late the helper threads come to their work: a task on them that only sleeps
//! measures it. What they did not get to in time is no target's fault.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// Between measurements.
const EVERY_MS: u64 = 50;
/// The worst of the last one to two of these counts.
const RECENT_MS: u64 = 1_000;

/// What the task measured. It alone writes.
#[derive(Debug, Default)]
pub(super) struct Busy {
    /// Monotonic time of the last measurement; 0: none yet.
    measured_ms: AtomicU64,
    /// The worst since `turned_ms`, and in the time before.
    late_ms: AtomicU64,
    before_ms: AtomicU64,
    turned_ms: AtomicU64,
}

impl Busy {
    /// Measures without end, on the threads where it is spawned.
    pub(super) async fn measure(&self, clock: Clock) {
        loop {
            let before_ms = clock.now().mono_ms;
            self.note(0, before_ms);
            tokio::time::sleep(Duration::from_millis(EVERY_MS)).await;
            let now_ms = clock.now().mono_ms;
            self.note(now_ms.saturating_sub(before_ms + EVERY_MS), now_ms);
        }
    }

    pub(super) fn note(&self, late_ms: u64, now_ms: u64) {
        let worst_ms = self.late_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(self.turned_ms.load(Ordering::Relaxed)) >= RECENT_MS {
            self.before_ms.store(worst_ms, Ordering::Relaxed);
            self.late_ms.store(late_ms, Ordering::Relaxed);
            self.turned_ms.store(now_ms, Ordering::Relaxed);
        } else {
            self.late_ms.store(late_ms.max(worst_ms), Ordering::Relaxed);
        }
        self.measured_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    /// How late the threads are, or were a moment ago.
    pub(super) fn late_ms(&self, now_ms: u64) -> u64 {
        let measured_ms = match self.measured_ms.load(Ordering::Relaxed) {
            0 => return 0,
            at_ms => at_ms,
        };
        // The next measurement itself may be waiting.
        let waiting_ms = now_ms.saturating_sub(measured_ms + EVERY_MS);
        let worst_ms = self.late_ms.load(Ordering::Relaxed);
        worst_ms.max(self.before_ms.load(Ordering::Relaxed)).max(waiting_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_the_last_second_or_two_counts_and_what_is_late_now() {
        let busy = Busy::default();
        assert_eq!(busy.late_ms(60_000), 0, "nothing measured yet");
        busy.note(300, 10_000);
        busy.note(2, 10_050);
        assert_eq!(busy.late_ms(10_060), 300);
        busy.note(1, 11_000);
        assert_eq!(busy.late_ms(11_000), 300);
        busy.note(2, 12_000);
        assert_eq!(busy.late_ms(12_000), 2);
        assert_eq!(busy.late_ms(12_850), 800, "it has not come since");
    }
}
