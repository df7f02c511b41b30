//! The loop of one UDP thread: one socket, one responder, nothing shared that is
//! written per query.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::Socket;

use super::proxy::Proxies;
use super::udp_batch::{Batch, wake};
use super::udp_proxy::respond_behind;
use super::{DropCounts, Drops, Responder, Wait};

/// Batches answered after the word to stop: what the kernel had queued by then, and
/// not what a flood goes on to send.
const DRAIN_BATCHES_MAX: usize = 128;

/// Pause after a receive call failed for a reason that may last.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// What one thread works with. The responder writes to itself with every query; spawned,
/// it may live on the heap, where nothing else may share its lines.
#[repr(align(128))]
pub(super) struct Worker<R> {
    pub(super) socket: Arc<Socket>,
    pub(super) local: IpAddr,
    pub(super) batch: usize,
    pub(super) responder: R,
    /// Sources that say who their client is.
    pub(super) proxies: Option<Arc<Proxies>>,
    pub(super) drops: Arc<Drops>,
    pub(super) stop: Arc<Stop>,
}

/// The word to stop, on a cache line of its own: every thread reads it with each batch,
/// and nothing else may make that line move.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Stop(AtomicBool);

impl Stop {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<R: Responder> Worker<R> {
    /// Serves until told to stop, then answers what is already queued. The socket goes on:
    /// another process may read it too.
    pub(super) fn run(mut self) {
        if let Err(error) = wake::may_be_woken() {
            tracing::warn!(%error, "a UDP thread will only stop with its next query");
        }
        let mut batch = Batch::new(self.local, self.batch);
        while !self.stop.is_set() {
            match batch.receive(self.socket.as_fd(), Wait::ForOne) {
                Ok(_) => self.serve(&mut batch),
                Err(error) => self.receive_failed(&error),
            }
        }
        for _ in 0..DRAIN_BATCHES_MAX {
            match batch.receive(self.socket.as_fd(), Wait::No) {
                // A full batch, or there is no more.
                Ok(count) => {
                    self.serve(&mut batch);
                    if count < batch.capacity() {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
    }

    fn serve(&mut self, batch: &mut Batch) {
        self.responder.begin_batch();
        let (responder, mut bad_header) = (&mut self.responder, 0);
        let refused = match &self.proxies {
            None => batch.answer_groups(|requests, replies| {
                responder.respond_all(requests, replies);
            }),
            Some(proxies) => batch.answer_groups(|requests, replies| {
                bad_header += respond_behind(proxies, responder, requests, replies);
            }),
        };
        self.responder.end_batch();
        let sent = batch.send(self.socket.as_fd());
        self.drops.served();
        let drops = DropCounts {
            port_zero: refused.port_zero,
            oversized: refused.oversized,
            unaddressed: refused.unaddressed,
            bad_header,
            send_failed: sent.failed,
            send_full: sent.full,
            ..DropCounts::default()
        };
        if !drops.is_zero() {
            self.drops.add(&drops);
        }
    }

    /// ICMP errors for earlier replies and signals are nothing; anything else could
    /// repeat at once, and must not spin.
    fn receive_failed(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, Interrupted, NetworkUnreachable};
        match error.kind() {
            Interrupted | ConnectionRefused | HostUnreachable | NetworkUnreachable => {}
            _ => {
                self.drops.add(&DropCounts { receive_errors: 1, ..DropCounts::default() });
                std::thread::sleep(ERROR_PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Meta;

    struct Silent;

    impl Responder for Silent {
        fn respond(&mut self, _: &[u8], _: &Meta, _: &mut [u8]) -> usize {
            0
        }
    }

    #[test]
    fn neighbours_share_no_cache_line() {
        assert_eq!(align_of::<Worker<Silent>>(), 128);
        assert_eq!(align_of::<Stop>(), 128);
    }
}
