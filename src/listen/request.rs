//! What goes in and out of a batch of datagrams, in plain values.
//!
//! Apart from [`super::udp_batch`], which is kept to what must be next to `unsafe`.
//! Must not know DNS, threads or the kernel's structures.

use super::Meta;
use super::udp_batch::Batch;

/// Most requests that are offered to a responder at once: so many misses of the
/// memory are waited for together, and what is kept of each fits the first-level
/// cache (docs/decisions/0014-size-of-a-group.md).
pub const GROUP_MAX: usize = 16;

/// One request of a group.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The message.
    pub bytes: &'r [u8],
    /// What else is known of it.
    pub meta: Meta,
}

/// Whether to wait for a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// Until there is one at least.
    ForOne,
    /// Take what is there.
    No,
}

/// Requests of a batch that were not asked of the answer function.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Refused {
    /// From source port 0: a reply could reach nobody.
    pub port_zero: u64,
    /// Longer than [`super::udp_batch::REQUEST_MAX`].
    pub oversized: u64,
    /// Sender or, on a wildcard socket, destination unknown.
    pub unaddressed: u64,
}

/// What became of the queued datagrams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Taken by the kernel.
    pub sent: u64,
    /// Refused by the kernel.
    pub failed: u64,
    /// Given up: the queue stayed full.
    pub full: u64,
}

/// Where the replies to a group of requests go, in the order of the requests.
pub struct Replies<'b> {
    batch: &'b mut Batch,
    slots: &'b [usize],
    next: usize,
}

impl<'b> Replies<'b> {
    /// Of the requests that were received in `slots`.
    pub(super) fn new(batch: &'b mut Batch, slots: &'b [usize]) -> Replies<'b> {
        Replies { batch, slots, next: 0 }
    }

    /// Has `fill` write the reply to the next request and say how long it is; none is
    /// sent if that is 0 or past the room.
    #[inline]
    pub fn put(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) {
        if let Some(&slot) = self.slots.get(self.next) {
            self.batch.reply_to(slot, fill);
            self.next += 1;
        }
    }

    /// The place of the replies to the next `count` requests, as if they were a group.
    pub(super) fn of_next(&mut self, count: usize, answer: impl FnOnce(&mut Replies<'_>)) {
        let end = (self.next + count).min(self.slots.len());
        answer(&mut Replies::new(self.batch, &self.slots[self.next..end]));
        self.next = end;
    }

    /// How many of the group's requests are dealt with. One whose `fill` panicked is not.
    #[inline]
    pub fn count(&self) -> usize {
        self.next
    }
}
