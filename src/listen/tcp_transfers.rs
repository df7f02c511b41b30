//! Replies of many messages that one connection is sent: taken in turns, one message at
//! a time, so that a zone of any size costs a message's memory, and requests that come
//! meanwhile are answered between (RFC 7766 section 6.2.1.1).
//!
//! Must not know what they hold, nor who writes them out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Messages;

/// Transfers of one connection at a time. One more may wait, and nothing else is read then.
const TRANSFERS_MAX: usize = 4;

/// How long a connection waits for others to end their transfers.
pub(super) const TRANSFER_WAIT: Duration = Duration::from_secs(60);

/// Those of one connection.
#[derive(Default)]
pub(super) struct Transfers {
    queue: VecDeque<Box<dyn Messages>>,
    /// Leave to send: there are so many at once, over all connections.
    permit: Option<OwnedSemaphorePermit>,
}

impl Transfers {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// No other request is taken until one has ended.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() > TRANSFERS_MAX
    }

    /// Whether there is a message to be sent now.
    pub(super) fn is_sending(&self) -> bool {
        self.permit.is_some()
    }

    /// Adds one. It begins when `leave` is to be had.
    pub(super) fn begin(&mut self, messages: Box<dyn Messages>, leave: &Arc<Semaphore>) {
        self.queue.push_back(messages);
        if self.permit.is_none() {
            self.permit = Arc::clone(leave).try_acquire_owned().ok();
        }
    }

    /// Waits for leave to send.
    pub(super) async fn permitted(&mut self, leave: &Arc<Semaphore>) {
        // On the heap, or every connection would have the room for it. Never closed.
        self.permit = Box::pin(Arc::clone(leave).acquire_owned()).await.ok();
    }

    /// The next message of one of them, each in turn.
    pub(super) fn next<'o>(&mut self, out: &'o mut [u8]) -> Option<&'o [u8]> {
        while let Some(mut messages) = self.queue.pop_front() {
            let length = messages.next(out);
            // One that says it wrote more than there was room for is over, too.
            if (1..=out.len()).contains(&length) {
                self.queue.push_back(messages);
                return Some(&out[..length]);
            }
        }
        self.permit = None;
        None
    }
}
