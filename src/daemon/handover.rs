//! From one snapshot to the next: one swap, and then the counts.
//!
//! It must not know where a snapshot comes from.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::overrides::HeldStill;
use super::publisher::{Publisher, RETIRE_LOOKS, RETIRE_PAUSE};
use crate::snapshot::Serving;

impl Publisher {
    /// Swaps `serving` in, under what operators say, and gives back what was served before
    /// it. Counts follow when no worker counts under the old snapshot any more, which takes
    /// no longer than a batch. The caller holds `current`, a serving of that snapshot.
    pub(super) fn hand_over(
        &self,
        serving: &Serving,
        current: &Arc<Serving>,
        overrides: &HeldStill<'_>,
    ) -> Arc<Serving> {
        let _no_scrape = self.lock_handover();
        let (old, serving) = overrides.lay_over(serving, &self.cell);
        let ours = 1 + usize::from(Arc::ptr_eq(&old, current));
        for _ in 0..RETIRE_LOOKS {
            // Whatever overlay it is under, a worker counts in the same place.
            if Arc::strong_count(&old) <= ours && self.overrides.free_replaced(current) {
                break;
            }
            std::thread::sleep(RETIRE_PAUSE);
        }
        // What workers counted before they let go of it is seen from here on.
        fence(Ordering::Acquire);
        serving.take_counts_of(&old);
        old
    }

    /// What is served, with counts that are whole for as long as the guard lives.
    pub(super) fn counted(&self) -> (MutexGuard<'_, ()>, Arc<Serving>) {
        (self.lock_handover(), self.serving())
    }

    fn lock_handover(&self) -> MutexGuard<'_, ()> {
        self.handover.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
