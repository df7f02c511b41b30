//! A worker's end: says which requests are logged, and copies them into its ring.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::ring::Ring;
use super::{QUERIES, RESPONSES, Shared, Slot};
use crate::metrics::Transport;

/// Words before the messages.
pub(super) const HEADER: u64 = 7;
/// Bit of the first word: the address it was sent to is known.
const HAS_LOCAL: u64 = 1 << 16;
/// Where the transport's number begins in the first word.
const TRANSPORT_SHIFT: u32 = 24;

/// One worker's end of the log: neither `Clone` nor shared, for its ring has one writer.
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    /// As of this batch.
    mode: u64,
    /// Requests until the next that is logged.
    left: u32,
    /// The time of this batch, in unix nanoseconds.
    now_ns: u64,
    head: u64,
    /// The reader was there when it was looked at last.
    tail: u64,
    dropped: u64,
}

/// One request and its reply.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Who asked.
    pub client: SocketAddr,
    /// Where, if that is known.
    pub local: Option<IpAddr>,
    /// How.
    pub transport: Transport,
    /// The request.
    pub query: &'a [u8],
    /// The reply; empty: none.
    pub reply: &'a [u8],
}

impl Tap {
    pub(super) fn new(shared: Arc<Shared>, slot: Arc<Slot>) -> Tap {
        let head = slot.ring.get().map_or(0, Ring::head);
        Tap { shared, slot, mode: 0, left: 0, now_ns: 0, head, tail: 0, dropped: 0 }
    }

    /// Requests follow.
    #[inline]
    pub fn begin_batch(&mut self) {
        self.mode = self.shared.mode.0.load(Ordering::Acquire);
        if self.mode != 0 {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.now_ns = since.as_nanos() as u64;
        }
    }

    /// Whether anything is logged in this batch.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.mode != 0
    }

    /// One exchange, of which one in so many is kept.
    #[inline]
    pub fn saw(&mut self, exchange: &Exchange<'_>) {
        if self.mode == 0 {
            return;
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                self.left = (self.mode as u32).saturating_sub(1);
                self.keep(exchange);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn slot_dropped(&self) -> u64 {
        self.dropped
    }

    fn keep(&mut self, exchange: &Exchange<'_>) {
        let query = if self.mode & QUERIES != 0 { exchange.query } else { &[] };
        let reply = if self.mode & RESPONSES != 0 { exchange.reply } else { &[] };
        let Some(ring) = self.slot.ring.get() else { return };
        if query.is_empty() && reply.is_empty() {
            return;
        }
        let words = HEADER + query.len().div_ceil(8) as u64 + reply.len().div_ceil(8) as u64;
        if self.head + words > self.tail + ring.capacity() {
            self.tail = ring.tail();
            if self.head + words > self.tail + ring.capacity() {
                self.dropped += 1;
                self.slot.dropped.store(self.dropped, Ordering::Relaxed);
                return;
            }
        }
        let (ip, local) = (octets(exchange.client.ip()), exchange.local.map(octets));
        ring.set(
            self.head,
            u64::from(exchange.client.port())
                | (exchange.transport as u64) << TRANSPORT_SHIFT
                | if local.is_some() { HAS_LOCAL } else { 0 },
        );
        ring.set(self.head + 1, self.now_ns);
        ring.set_bytes(self.head + 2, &ip);
        ring.set_bytes(self.head + 4, &local.unwrap_or_default());
        ring.set(self.head + 6, (query.len() as u64) << 32 | reply.len() as u64);
        let at = ring.set_bytes(self.head + HEADER, query);
        self.head = ring.set_bytes(at, reply);
        ring.publish(self.head);
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

//------------ Kept -----------------------------------------------------------

/// What was kept of one exchange, as the reader finds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Kept {
    pub(super) client: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) transport: Transport,
    pub(super) at_ns: u64,
    /// Empty: not asked for.
    pub(super) query: Vec<u8>,
    /// Empty: there was none, or it was not asked for.
    pub(super) reply: Vec<u8>,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            client: SocketAddr::from(([0; 16], 0)),
            local: None,
            transport: Transport::Udp,
            at_ns: 0,
            query: Vec::new(),
            reply: Vec::new(),
        }
    }
}

impl Kept {
    /// Reads the next one, which is there, and frees its place. Its buffers are used again.
    pub(super) fn read(&mut self, ring: &Ring, bytes: &mut Vec<u8>) {
        let tail = ring.tail();
        let first = ring.get(tail);
        let mut ip = |at: u64| {
            bytes.clear();
            ring.get_bytes(at, 16, bytes);
            let octets: [u8; 16] = bytes.as_slice().try_into().unwrap_or_default();
            Ipv6Addr::from(octets).to_canonical()
        };
        self.client = SocketAddr::new(ip(tail + 2), first as u16);
        self.local = (first & HAS_LOCAL != 0).then(|| ip(tail + 4));
        let transport = Transport::ALL.get((first >> TRANSPORT_SHIFT) as usize);
        self.transport = transport.copied().unwrap_or(Transport::Udp);
        self.at_ns = ring.get(tail + 1);
        let lengths = ring.get(tail + 6);
        self.query.clear();
        self.reply.clear();
        let at = ring.get_bytes(tail + HEADER, (lengths >> 32) as usize, &mut self.query);
        let end = ring.get_bytes(at, lengths as u32 as usize, &mut self.reply);
        ring.free(end);
    }
}
