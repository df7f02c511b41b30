//! Transfers on their way out: the pure transfer, a clock, and counters.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::answer::transfer::Transfer;
use crate::clock;
use crate::listen::Messages;
use crate::snapshot::Serving;

/// One that the connection takes message by message.
pub(super) struct Outgoing {
    transfer: Option<Transfer>,
}

impl Outgoing {
    pub(super) fn new(transfer: Transfer) -> Outgoing {
        Outgoing { transfer: Some(transfer) }
    }
}

impl Messages for Outgoing {
    fn next(&mut self, out: &mut [u8]) -> usize {
        let Some(transfer) = &mut self.transfer else { return 0 };
        let now_s = clock::unix_s_coarse();
        // As for a query; a transfer that broke off has no end, and is not taken.
        catch_unwind(AssertUnwindSafe(|| transfer.next(out, now_s))).unwrap_or_else(|_| {
            tracing::error!("a zone could not be transferred: this is a bug");
            0
        })
    }
}

impl Drop for Outgoing {
    /// It may be the last to hold a snapshot that was replaced meanwhile: freeing a million
    /// names is nothing for a thread that answers.
    fn drop(&mut self) {
        let transfer = self.transfer.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(transfer));
        }
    }
}

/// What a transfer holds: a serving of its own, for a new one comes into force when nobody
/// holds the one before.
pub(super) fn to_hold(serving: &Serving) -> Arc<Serving> {
    Arc::new(serving.with_overlay(Arc::clone(&serving.overlay)))
}
