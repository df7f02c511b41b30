//! The listeners' way to an answer: a snapshot held for a batch, the pure
//! answer function, one outcome counted for each request.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};

use super::publisher::Publisher;
use crate::answer::{self, Outcome, Peer, Scratch};
use crate::listen::{Meta, Responder, ResponderFactory, Transport};
use crate::metrics::{self, Family, Registry, WorkerCounters};
use crate::snapshot::Serving;

/// One response in so many is timed: reading the clock is not free.
const TIMED_EVERY: u32 = 256;

/// Makes responders.
pub(super) struct Factory {
    cell: Arc<ArcSwap<Serving>>,
    registry: Arc<Registry>,
    udp_threads: usize,
}

impl Factory {
    pub(super) fn new(publisher: &Publisher, udp_threads: usize) -> Factory {
        Factory {
            cell: Arc::clone(&publisher.cell),
            registry: Arc::clone(&publisher.registry),
            udp_threads,
        }
    }

    fn responder(&self, worker: usize) -> DnsResponder {
        DnsResponder {
            cell: Arc::clone(&self.cell),
            guard: None,
            worker,
            scratch: Scratch::default(),
            counters: self.registry.worker(),
            until_timed: 0,
        }
    }
}

impl ResponderFactory for Factory {
    type Responder = DnsResponder;

    fn udp(&self, index: usize) -> DnsResponder {
        self.responder(index)
    }

    fn tcp(&self, index: usize) -> DnsResponder {
        self.responder(self.udp_threads + index)
    }
}

/// One worker's responder.
pub(super) struct DnsResponder {
    cell: Arc<ArcSwap<Serving>>,
    guard: Option<Guard<Arc<Serving>>>,
    worker: usize,
    scratch: Scratch,
    counters: WorkerCounters,
    until_timed: u32,
}

impl Responder for DnsResponder {
    fn begin_batch(&mut self) {
        self.guard = Some(self.cell.load());
    }

    fn respond(&mut self, request: &[u8], meta: &Meta, out: &mut [u8]) -> usize {
        let serving = self.guard.get_or_insert_with(|| self.cell.load());
        let Some(state) = serving.workers.get(self.worker) else { return 0 };
        let transport = match meta.transport {
            Transport::Udp => metrics::Transport::Udp,
            Transport::Tcp => metrics::Transport::Tcp,
        };
        let address = meta.client.ip();
        self.counters.query(transport, Family::of(address));
        let timed = self.until_timed == 0;
        self.until_timed = if timed { TIMED_EVERY } else { self.until_timed } - 1;
        let start = timed.then(Instant::now);
        let peer = Peer { address, transport };
        let outcome = answer::answer(serving, state, &mut self.scratch, request, peer, out);
        if let Some(start) = start {
            self.counters.response_time(start.elapsed().as_nanos() as u64);
        }
        match outcome {
            Outcome::Reply { length, rcode } => {
                self.counters.response(transport, rcode.0);
                length
            }
            Outcome::Drop(reason) => {
                self.counters.dropped(reason);
                0
            }
        }
    }

    fn end_batch(&mut self) {
        self.guard = None;
    }
}
