//! The listeners' way to an answer: a snapshot held for a batch, the pure
//! answer function, one outcome counted for each request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};

use super::publisher::Publisher;
use crate::answer::{self, Outcome, Peer, Scratch};
use crate::listen::{Meta, Responder, ResponderFactory, Transport};
use crate::metrics::{self, DropReason, Family, Registry, WorkerCounters};
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
        let scratch = &mut self.scratch;
        // A panic would end this thread and leave its share of the clients without
        // answers. Nothing but the scratch is half-written by one, and that is
        // written anew by every query.
        let answered = catch_unwind(AssertUnwindSafe(|| {
            answer::answer(serving, state, scratch, request, peer, out)
        }));
        let outcome = answered.unwrap_or_else(|_| {
            tracing::error!(client = %meta.client, request = %request.escape_ascii(), "a query could not be answered: this is a bug");
            Outcome::Drop(DropReason::Fault)
        });
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
