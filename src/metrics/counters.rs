//! Counters of the query path.
//!
//! A responder has counters of its own, which it alone writes: a relaxed load
//! and store, no locked instruction, no cache line shared with another one. The
//! scrape sums all sets.
//!
//! Each request that is read moves `queries` once, and exactly one outcome once:
//! a response or a drop. So once traffic has stopped, queries = responses +
//! drops, those drops left out that happen before reading or after answering
//! ([`DropReason::stage`]).

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::histogram::{Histogram, RESPONSE_BOUNDS_NS};
use super::refusals::{RateAction, RateClass, Refusal};
use super::totals::Totals;

//------------ Labels ---------------------------------------------------------

/// How a request came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// One datagram, the sender's address unproven.
    Udp,
    /// RFC 7766: the sender's address is proven by the handshake.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS (RFC 8484), HTTP/1.1 and HTTP/2.
    Doh,
    /// DNS over QUIC (RFC 9250).
    Doq,
    /// DNS over HTTPS, HTTP/3.
    Doh3,
}

impl Transport {
    /// All, in the order of their numbers.
    pub const ALL: [Transport; 6] = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Dot,
        Transport::Doh,
        Transport::Doq,
        Transport::Doh3,
    ];

    /// The `transport` label.
    pub fn label(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Dot => "dot",
            Transport::Doh => "doh",
            Transport::Doq => "doq",
            Transport::Doh3 => "doh3",
        }
    }

    /// Whether it comes over UDP, as QUIC does; else over TCP.
    pub fn is_datagram(self) -> bool {
        matches!(self, Transport::Udp | Transport::Doq | Transport::Doh3)
    }

    /// Whether nobody on the way can read it.
    pub fn is_encrypted(self) -> bool {
        !matches!(self, Transport::Udp | Transport::Tcp)
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Dot => "DNS over TLS",
            Transport::Doh => "DNS over HTTPS",
            Transport::Doq => "DNS over QUIC",
            Transport::Doh3 => "DNS over HTTP/3",
        })
    }
}

/// The address family a request came over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// IPv4, mapped addresses included.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// All, in the order of their numbers.
    pub const ALL: [Family; 2] = [Family::Ipv4, Family::Ipv6];

    /// The `family` label.
    pub fn label(self) -> &'static str {
        match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        }
    }

    /// The family of `address`; a v4-mapped one counts as IPv4.
    pub fn of(address: std::net::IpAddr) -> Family {
        if address.to_canonical().is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

/// Why a request got no reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DropReason {
    /// Fewer than the 12 bytes of a header.
    Short,
    /// QR was set: answering answers makes loops.
    Response,
    /// Sent from port 0, where no reply can go.
    SourcePortZero,
    /// A datagram longer than any request is.
    Oversized,
    /// The kernel did not tell who sent it, or to which address.
    Unaddressed,
    /// The kernel refused the reply.
    SendFailed,
    /// The send queue stayed full.
    SendFull,
    /// The kernel had no room left for it: queries come faster than they are answered.
    QueueFull,
    /// From a proxy that did not say who the client is.
    ProxyHeader,
    /// Answering it failed inside: a bug, told in the log.
    Fault,
    /// Its client's network had as many replies as it may.
    RateLimited,
    /// Its client may not ask.
    Denied,
}

/// When a request is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DropStage {
    /// Before it is read: it is not among the queries.
    Unread,
    /// Instead of an answer: its outcome.
    Outcome,
    /// After its answer was made: it is among the responses too.
    Unsent,
}

impl DropReason {
    /// All, in the order of their numbers.
    pub const ALL: [DropReason; 12] = [
        DropReason::Short,
        DropReason::Response,
        DropReason::SourcePortZero,
        DropReason::Oversized,
        DropReason::Unaddressed,
        DropReason::SendFailed,
        DropReason::SendFull,
        DropReason::QueueFull,
        DropReason::ProxyHeader,
        DropReason::Fault,
        DropReason::RateLimited,
        DropReason::Denied,
    ];

    /// The `reason` label.
    pub fn label(self) -> &'static str {
        match self {
            DropReason::Short => "short",
            DropReason::Response => "response",
            DropReason::SourcePortZero => "source_port_zero",
            DropReason::Oversized => "oversized",
            DropReason::Unaddressed => "unaddressed",
            DropReason::SendFailed => "send_failed",
            DropReason::SendFull => "send_full",
            DropReason::QueueFull => "queue_full",
            DropReason::ProxyHeader => "proxy_header",
            DropReason::Fault => "fault",
            DropReason::RateLimited => "rate_limited",
            DropReason::Denied => "denied",
        }
    }

    /// When requests are dropped for it.
    pub fn stage(self) -> DropStage {
        match self {
            DropReason::Short
            | DropReason::Response
            | DropReason::Fault
            | DropReason::RateLimited
            | DropReason::Denied => DropStage::Outcome,
            DropReason::SourcePortZero
            | DropReason::Oversized
            | DropReason::Unaddressed
            | DropReason::QueueFull
            | DropReason::ProxyHeader => DropStage::Unread,
            DropReason::SendFailed | DropReason::SendFull => DropStage::Unsent,
        }
    }
}

/// Response codes counted one by one: 0 to 23 (RFC 6895 2.3). Those without a
/// name here, and all above, are counted together as "other".
pub const RCODE_NAMES: [Option<&str>; 24] = [
    Some("NOERROR"),
    Some("FORMERR"),
    Some("SERVFAIL"),
    Some("NXDOMAIN"),
    Some("NOTIMP"),
    Some("REFUSED"),
    Some("YXDOMAIN"),
    Some("YXRRSET"),
    Some("NXRRSET"),
    Some("NOTAUTH"),
    Some("NOTZONE"),
    Some("DSOTYPENI"),
    None,
    None,
    None,
    None,
    Some("BADVERS"),
    Some("BADKEY"),
    Some("BADTIME"),
    Some("BADMODE"),
    Some("BADNAME"),
    Some("BADALG"),
    Some("BADTRUNC"),
    Some("BADCOOKIE"),
];

/// Slots of a count by response code: one each, and "other".
pub const RCODE_SLOTS: usize = RCODE_NAMES.len() + 1;

pub(super) const TRANSPORTS: usize = Transport::ALL.len();
pub(super) const FAMILIES: usize = Family::ALL.len();
pub(super) const REASONS: usize = DropReason::ALL.len();
pub(super) const REFUSALS: usize = Refusal::ALL.len();
pub(super) const RATE_CLASSES: usize = RateClass::ALL.len();
pub(super) const RATE_ACTIONS: usize = RateAction::ALL.len();
const RESPONSE_BUCKETS: usize = RESPONSE_BOUNDS_NS.len();

//------------ Cells ----------------------------------------------------------

/// One set of counters. Aligned so that two sets never share a cache line, nor
/// the pair of lines that some processors fetch together.
#[derive(Debug)]
#[repr(align(128))]
struct Cells {
    queries: [[AtomicU64; FAMILIES]; TRANSPORTS],
    responses: [[AtomicU64; RCODE_SLOTS]; TRANSPORTS],
    dropped: [AtomicU64; REASONS],
    refused: [AtomicU64; REFUSALS],
    rate_limited: [[AtomicU64; RATE_ACTIONS]; RATE_CLASSES],
    response_time: Histogram<RESPONSE_BUCKETS>,
}

/// Adds to a counter that one thread writes. Wraps around after 2^64, which
/// Prometheus reads as a restart.
#[inline]
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

impl Cells {
    fn new() -> Cells {
        Cells {
            queries: [const { [const { AtomicU64::new(0) }; FAMILIES] }; TRANSPORTS],
            responses: [const { [const { AtomicU64::new(0) }; RCODE_SLOTS] }; TRANSPORTS],
            dropped: [const { AtomicU64::new(0) }; REASONS],
            refused: [const { AtomicU64::new(0) }; REFUSALS],
            rate_limited: [const { [const { AtomicU64::new(0) }; RATE_ACTIONS] }; RATE_CLASSES],
            response_time: Histogram::new(&RESPONSE_BOUNDS_NS),
        }
    }

    fn add_to(&self, totals: &mut Totals) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for transport in 0..TRANSPORTS {
            for family in 0..FAMILIES {
                totals.queries[transport][family] += read(&self.queries[transport][family]);
            }
            for rcode in 0..RCODE_SLOTS {
                totals.responses[transport][rcode] += read(&self.responses[transport][rcode]);
            }
        }
        for reason in 0..REASONS {
            totals.dropped[reason] += read(&self.dropped[reason]);
        }
        for (total, refused) in totals.refused.iter_mut().zip(&self.refused) {
            *total += read(refused);
        }
        for (totals, limited) in totals.rate_limited.iter_mut().zip(&self.rate_limited) {
            for (total, limited) in totals.iter_mut().zip(limited) {
                *total += read(limited);
            }
        }
        self.response_time.add_to(&mut totals.response_time);
    }
}

//------------ WorkerCounters -------------------------------------------------

/// The counters of one responder. Neither `Clone` nor `Sync`: it can move to its
/// thread, and nobody else can write it.
#[derive(Debug)]
pub struct WorkerCounters {
    cells: Arc<Cells>,
    one_writer: PhantomData<Cell<()>>,
}

impl WorkerCounters {
    /// A request came.
    #[inline]
    pub fn query(&self, transport: Transport, family: Family) {
        add(&self.cells.queries[transport as usize][family as usize], 1);
    }

    /// Outcome: a reply went out with the whole (extended) response code.
    #[inline]
    pub fn response(&self, transport: Transport, rcode: u16) {
        let slot = usize::from(rcode).min(RCODE_SLOTS - 1);
        add(&self.cells.responses[transport as usize][slot], 1);
    }

    /// Outcome: no reply went out.
    #[inline]
    pub fn dropped(&self, reason: DropReason) {
        add(&self.cells.dropped[reason as usize], 1);
    }

    /// The reply is a refusal: beside its response.
    #[inline]
    pub fn refused(&self, reason: Refusal) {
        add(&self.cells.refused[reason as usize], 1);
    }

    /// A reply was limited: beside its outcome.
    #[inline]
    pub fn rate_limited(&self, class: RateClass, action: RateAction) {
        add(&self.cells.rate_limited[class as usize][action as usize], 1);
    }

    /// How long a sampled answer took to make, in nanoseconds.
    #[inline]
    pub fn response_time(&self, duration_ns: u64) {
        self.cells.response_time.observe(duration_ns);
    }
}

//------------ Registry -------------------------------------------------------

/// Knows every set of counters, so that a scrape can sum them.
#[derive(Debug)]
pub struct Registry {
    /// Sets stay after their worker ends: a counter never goes back.
    workers: Mutex<Vec<Arc<Cells>>>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// A registry without workers.
    pub fn new() -> Registry {
        Registry { workers: Mutex::default() }
    }

    /// A new set of counters for one responder.
    pub fn worker(&self) -> WorkerCounters {
        let cells = Arc::new(Cells::new());
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cells));
        WorkerCounters { cells, one_writer: PhantomData }
    }

    /// The sum of all sets, now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for cells in self.workers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            cells.add_to(&mut totals);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_many_threads_sum_up_while_they_are_scraped() {
        const EACH: u64 = 20_000;
        let registry = Registry::new();
        std::thread::scope(|scope| {
            for number in 0..4u16 {
                let own = registry.worker();
                scope.spawn(move || {
                    for _ in 0..EACH {
                        own.query(Transport::Udp, Family::Ipv4);
                        own.response(Transport::Udp, number);
                        own.response_time(1_500);
                        own.query(Transport::Tcp, Family::Ipv6);
                        own.dropped(DropReason::Response);
                    }
                });
            }
            let mut before = 0;
            for _ in 0..1_000 {
                let now = registry.totals().queries_sum();
                assert!(now >= before, "counters went back from {before} to {now}");
                before = now;
            }
        });
        let totals = registry.totals();
        assert_eq!(totals.queries[..2], [[4 * EACH, 0], [0, 4 * EACH]]);
        assert_eq!(totals.responses[0][..5], [EACH, EACH, EACH, EACH, 0]);
        assert_eq!(totals.dropped[DropReason::Response as usize], 4 * EACH);
        assert_eq!(totals.queries_sum(), totals.responses_sum() + totals.dropped_outcomes_sum());
        assert_eq!(totals.response_time.counts[1], 4 * EACH);
        assert_eq!(totals.response_time.sum, 4 * EACH * 1_500);
    }

    #[test]
    fn a_worker_that_ended_keeps_its_counts() {
        let registry = Registry::new();
        registry.worker().query(Transport::Udp, Family::Ipv6);
        assert_eq!(registry.totals().queries_sum(), 1);
    }

    #[test]
    fn neighbours_share_no_cache_line() {
        assert_eq!(align_of::<Cells>(), 128);
        assert_eq!(size_of::<Cells>() % 128, 0);
    }

    #[test]
    fn any_response_code_has_a_slot() {
        let registry = Registry::new();
        let worker = registry.worker();
        for rcode in [23, 24, 4_095, u16::MAX] {
            worker.response(Transport::Tcp, rcode);
        }
        let responses = registry.totals().responses[Transport::Tcp as usize];
        assert_eq!((responses[23], responses[RCODE_SLOTS - 1]), (1, 3));
    }

    #[test]
    fn labels_stand_at_their_numbers() {
        for (number, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
        }
        for (number, transport) in Transport::ALL.iter().enumerate() {
            assert_eq!(*transport as usize, number);
        }
        for (number, family) in Family::ALL.iter().enumerate() {
            assert_eq!(*family as usize, number);
        }
        assert_eq!(Family::of("::ffff:192.0.2.1".parse().unwrap()), Family::Ipv4);
        assert_eq!(Family::of("2001:db8::1".parse().unwrap()), Family::Ipv6);
    }
}
