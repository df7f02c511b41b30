//! The listeners' way to an answer: a snapshot held for a batch, the pure
//! answer function, one outcome counted for each request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};

use super::limiting::Limiting;
use super::publisher::Publisher;
use crate::answer::{self, News, Outcome, Peer, Prepared, Scratch};
use crate::clock;
use crate::dns::cookie::Secret;
use crate::listen::{GROUP_MAX, Meta, Replies, Request, Responder, ResponderFactory};
use crate::metrics::{DropReason, Family, Registry, WorkerCounters};
use crate::querylog::{Exchange, QueryLog, Tap};
use crate::snapshot::Serving;

/// One response in so many is timed, in a group as its share of the whole: reading the
/// clock is not free.
const TIMED_EVERY: u32 = 256;

/// Makes responders.
pub(super) struct Factory {
    cell: Arc<ArcSwap<Serving>>,
    registry: Arc<Registry>,
    query_log: Arc<QueryLog>,
    udp_threads: usize,
    /// One for each UDP thread.
    news: Vec<Arc<News>>,
    cookie_secret: Option<Secret>,
}

impl Factory {
    pub(super) fn new(
        publisher: &Publisher,
        query_log: &Arc<QueryLog>,
        udp_threads: usize,
    ) -> Factory {
        Factory {
            cell: Arc::clone(&publisher.cell),
            registry: Arc::clone(&publisher.registry),
            query_log: Arc::clone(query_log),
            udp_threads,
            news: (0..udp_threads).map(|_| Arc::default()).collect(),
            cookie_secret: publisher.cookie_secret,
        }
    }

    /// Where the UDP threads say whom they limit.
    pub(super) fn news(&self) -> Vec<Arc<News>> {
        self.news.clone()
    }

    fn responder(&self, worker: usize) -> DnsResponder {
        let mut scratch = Scratch::default();
        scratch.set_cookie_secret(self.cookie_secret);
        DnsResponder {
            cell: Arc::clone(&self.cell),
            guard: None,
            worker,
            scratch,
            counters: self.registry.worker(),
            timer: Timer::default(),
            tap: self.query_log.tap(worker),
            limiting: self.news.get(worker).map(|news| Limiting::new(Arc::clone(news))),
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
    timer: Timer,
    tap: Option<Tap>,
    /// Of replies over UDP.
    limiting: Option<Limiting>,
}

impl Responder for DnsResponder {
    fn begin_batch(&mut self) {
        self.scratch.set_time(clock::unix_s_coarse());
        let serving = self.guard.insert(self.cell.load());
        if let Some(limiting) = &mut self.limiting {
            limiting.begin_batch(serving.snapshot.rate_rules.as_ref());
        }
        if let Some(tap) = &mut self.tap {
            tap.begin_batch();
        }
    }

    fn respond(&mut self, request: &[u8], meta: &Meta, out: &mut [u8]) -> usize {
        let serving = self.guard.get_or_insert_with(|| self.cell.load());
        let Some(state) = serving.workers.get(self.worker) else { return 0 };
        let start = self.timer.begin(1);
        let scratch = &mut self.scratch;
        let peer = peer_of(meta);
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
        let length = count(&self.counters, peer, outcome);
        see(&mut self.tap, request, meta, out.get(..length).unwrap_or_default());
        length
    }

    fn respond_all(&mut self, requests: &[Request<'_>], replies: &mut Replies<'_>) {
        let serving = self.guard.get_or_insert_with(|| self.cell.load());
        let Some(state) = serving.workers.get(self.worker) else { return };
        let start = self.timer.begin(requests.len() as u32);
        let (scratch, counters, tap) = (&mut self.scratch, &self.counters, &mut self.tap);
        let mut limiter = self.limiting.as_mut().and_then(Limiting::limiter);
        // As above; whoever panicked is found below, where each is answered by itself.
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let mut prepared = [const { None::<Prepared<'_>> }; GROUP_MAX];
            let asked = requests.iter().map(|request| (request.bytes, peer_of(&request.meta)));
            answer::prepare_all(serving, state, asked, &mut prepared);
            for (request, prepared) in requests.iter().zip(prepared.iter().flatten()) {
                let peer = peer_of(&request.meta);
                replies.put(|out| {
                    let mut outcome = prepared.answer(serving, state, scratch, out);
                    if let Some(limiter) = &mut limiter {
                        let limited;
                        (outcome, limited) =
                            prepared.limit(limiter, serving, state, scratch, outcome, out);
                        if let Some((class, action)) = limited {
                            counters.rate_limited(class, action);
                        }
                    }
                    let length = count(counters, peer, outcome);
                    see(tap, request.bytes, &request.meta, out.get(..length).unwrap_or_default());
                    length
                });
            }
        }));
        if answered.is_ok() {
            if let Some(start) = start {
                let each_ns = start.elapsed().as_nanos() as u64 / requests.len().max(1) as u64;
                self.counters.response_time(each_ns);
            }
        } else {
            for request in &requests[replies.count()..] {
                replies.put(|out| self.respond(request.bytes, &request.meta, out));
            }
        }
    }

    fn end_batch(&mut self) {
        self.guard = None;
    }
}

#[inline]
fn peer_of(meta: &Meta) -> Peer {
    Peer { address: meta.client.ip(), transport: meta.transport }
}

/// Shows the query log a request and its reply.
#[inline]
fn see(tap: &mut Option<Tap>, query: &[u8], meta: &Meta, reply: &[u8]) {
    if let Some(tap) = tap
        && tap.is_on()
    {
        tap.saw(&Exchange {
            client: meta.client,
            local: meta.local,
            transport: meta.transport,
            query,
            reply,
        });
    }
}

/// Counts a request and its outcome; the length of the reply, 0 for none.
#[inline]
fn count(counters: &WorkerCounters, peer: Peer, outcome: Outcome) -> usize {
    counters.query(peer.transport, Family::of(peer.address));
    match outcome {
        Outcome::Reply { length, rcode, refusal, .. } => {
            counters.response(peer.transport, rcode.0);
            if let Some(reason) = refusal {
                counters.refused(reason);
            }
            length
        }
        Outcome::Drop(reason) => {
            counters.dropped(reason);
            0
        }
    }
}

//------------ Timer ----------------------------------------------------------

/// Says which answers are timed.
#[derive(Debug, Default)]
struct Timer {
    /// Requests until the next one.
    left: u32,
}

impl Timer {
    /// The time, if one of the next `requests` is to be timed.
    #[inline]
    fn begin(&mut self, requests: u32) -> Option<Instant> {
        let timed = self.left < requests;
        self.left = if timed { TIMED_EVERY } else { self.left } - requests.min(TIMED_EVERY);
        timed.then(Instant::now)
    }
}

#[cfg(test)]
mod tests;
