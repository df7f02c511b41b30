//! What a UDP thread took from the kernel, or meant to give it, and could not.
//!
//! One writer per [`Drops`], any number of readers: a plain load and store, no
//! locked instruction, and no cache line shared with another thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// One thread's counters. Aligned so that neighbours never share a line
/// (two lines, since processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Drops {
    port_zero: AtomicU64,
    oversized: AtomicU64,
    unaddressed: AtomicU64,
    send_failed: AtomicU64,
    send_full: AtomicU64,
    receive_errors: AtomicU64,
    bad_header: AtomicU64,
    /// Batches served: that it grows shows a thread at work.
    batches: AtomicU64,
}

/// Counts since the start, of one thread or summed over several.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DropCounts {
    /// Requests from source port 0, never asked of the responder.
    pub port_zero: u64,
    /// Requests longer than [`super::udp_batch::REQUEST_MAX`], likewise.
    pub oversized: u64,
    /// Requests whose sender or destination the kernel did not tell, likewise.
    pub unaddressed: u64,
    /// Replies the kernel refused (no route, firewall, out of memory).
    pub send_failed: u64,
    /// Replies given up because the send queue stayed full.
    pub send_full: u64,
    /// Failed receive calls; no request is known to be lost by one.
    pub receive_errors: u64,
    /// Requests of a proxy that does not say who the client is, never asked of the
    /// responder.
    pub bad_header: u64,
    /// Datagrams the kernel threw away: its queue was full, or the checksum wrong. Asked
    /// of the kernel at reading; wraps at 2^32 per socket.
    pub queue_full: u64,
}

impl Drops {
    /// Counts a batch. Only the owning thread may call it.
    pub(super) fn served(&self) {
        let batches = self.batches.load(Ordering::Relaxed).wrapping_add(1);
        self.batches.store(batches, Ordering::Relaxed);
    }

    /// Batches served since the start.
    pub(super) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Adds to the counters, but for `queue_full`. Only the owning thread may call it: of two writers
    /// at once, one would be forgotten.
    pub(super) fn add(&self, more: &DropCounts) {
        let pairs = [
            (&self.port_zero, more.port_zero),
            (&self.oversized, more.oversized),
            (&self.unaddressed, more.unaddressed),
            (&self.send_failed, more.send_failed),
            (&self.send_full, more.send_full),
            (&self.receive_errors, more.receive_errors),
            (&self.bad_header, more.bad_header),
        ];
        for (counter, amount) in pairs {
            if amount != 0 {
                let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
                counter.store(sum, Ordering::Relaxed);
            }
        }
    }

    /// The counts now, but for `queue_full`, which only the kernel knows.
    pub fn counts(&self) -> DropCounts {
        DropCounts {
            port_zero: self.port_zero.load(Ordering::Relaxed),
            oversized: self.oversized.load(Ordering::Relaxed),
            unaddressed: self.unaddressed.load(Ordering::Relaxed),
            send_failed: self.send_failed.load(Ordering::Relaxed),
            send_full: self.send_full.load(Ordering::Relaxed),
            receive_errors: self.receive_errors.load(Ordering::Relaxed),
            bad_header: self.bad_header.load(Ordering::Relaxed),
            queue_full: 0,
        }
    }
}

impl DropCounts {
    /// Whether nothing was dropped.
    pub fn is_zero(&self) -> bool {
        *self == DropCounts::default()
    }
}

impl std::ops::AddAssign for DropCounts {
    fn add_assign(&mut self, other: DropCounts) {
        self.port_zero += other.port_zero;
        self.oversized += other.oversized;
        self.unaddressed += other.unaddressed;
        self.send_failed += other.send_failed;
        self.send_full += other.send_full;
        self.receive_errors += other.receive_errors;
        self.bad_header += other.bad_header;
        self.queue_full += other.queue_full;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_no_cache_line() {
        assert_eq!(align_of::<Drops>(), 128);
        assert_eq!(size_of::<Drops>(), 128);
    }

    #[test]
    fn added_counts_are_read_back_by_reason() {
        let drops = Drops::default();
        let more = DropCounts {
            port_zero: 1,
            oversized: 2,
            unaddressed: 3,
            send_failed: 4,
            send_full: 5,
            receive_errors: 6,
            bad_header: 7,
            queue_full: 0,
        };
        drops.add(&more);
        drops.add(&DropCounts { send_full: 1, ..DropCounts::default() });
        let mut sum = more;
        sum += DropCounts { send_full: 1, ..DropCounts::default() };
        assert_eq!(drops.counts(), sum);
        assert!(!sum.is_zero());
    }
}
