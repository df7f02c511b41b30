//! From a request's bytes to a reply's bytes: one pure function for every
//! transport.
//!
//! ```text
//! admit ─► lookup ─┬─ WIP ──────► client ─► steer ─► ready records ─┐
//! (FORMERR …,      ├─ site's own name ─────────► ready records ─────┤
//!  silence)        └─ static: CNAME, DNAME, referral, negative ──────┴► OPT, flags
//! ```
//!
//! Nothing here allocates, locks, waits, formats or panics on what a peer sends.
//! It must not know sockets, threads, files or time.

mod alias;
mod binding;
mod chaos;
mod client;
pub mod explain;
pub mod limit;
mod limited;
mod prepared;
mod rare;
mod refusal;
mod resolve;
mod signed;
pub mod transfer;
mod wip;

use std::net::IpAddr;

use crate::dns::cookie::{CookieState, Secret};
use crate::dns::edns::UDP_SIZE_MIN;
use crate::dns::encode::{Opt, Rare, Status, Writer};
use crate::dns::query::Query;
use crate::dns::types::{Rcode, class};
use crate::metrics::{DropReason, Refusal, Transport};
use crate::snapshot::{Serving, WorkerState};
use crate::steer::choose::Room;
use crate::zone::{Located, Lookup};

pub use client::{Client, Source};
pub use limited::{Limited, News};
pub use prepared::{Prepared, prepare_all};

/// Largest reply over a stream (RFC 1035 4.2.2).
const STREAM_SIZE_MAX: usize = 65_535;

//------------ answer ---------------------------------------------------------

/// What became of a request. Exactly one of these is counted for each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A reply stands in the buffer.
    Reply {
        /// Its length in bytes.
        length: usize,
        /// Its response code.
        rcode: Rcode,
        /// Why it is no answer, if it is a refusal.
        refusal: Option<Refusal>,
        /// What the query's cookie is worth: a valid one proves the client's address.
        cookie: CookieState,
    },
    /// Silence.
    Drop(DropReason),
}

/// Room that one worker reuses from query to query.
#[derive(Debug, Default)]
pub struct Scratch {
    room: Room,
    names: resolve::Names,
    /// Number of the zone that the last query was about.
    zone: u32,
    /// Unix time of this batch, in seconds.
    now_s: u32,
    /// The process's own secret for cookies, where the config has none.
    cookie_secret: Option<Secret>,
}

impl Scratch {
    /// Says what time it is, in unix seconds: once a batch is enough for cookies and
    /// limits, and nothing that answers reads a clock.
    pub fn set_time(&mut self, now_s: u32) {
        self.now_s = now_s;
    }

    /// Gives the process's own secret for cookies, which counts where the config has
    /// none; without either there are no cookies.
    pub fn set_cookie_secret(&mut self, secret: Option<Secret>) {
        self.cookie_secret = secret;
    }

    /// The time that was set last.
    pub fn now_s(&self) -> u32 {
        self.now_s
    }
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The packet's source address.
    pub address: IpAddr,
    /// How it came.
    pub transport: Transport,
}

/// Answers one request into `out`, which holds at least 4,096 bytes over UDP and
/// 65,535 over a stream.
pub fn answer(
    serving: &Serving,
    worker: &WorkerState,
    scratch: &mut Scratch,
    request: &[u8],
    peer: Peer,
    out: &mut [u8],
) -> Outcome {
    let mut prepared = Prepared::read(request, peer);
    prepared.admit(serving);
    prepared.locate(serving);
    prepared.answer(serving, worker, scratch, out)
}

/// Flags, counts and OPT: a reply's end.
fn finish(writer: Writer<'_>, status: Status, opt: &Opt<'_>) -> Outcome {
    let length = writer.finish(status, opt);
    Outcome::Reply { length, rcode: status.rcode, refusal: None, cookie: opt.cookie_state() }
}

//------------ Context --------------------------------------------------------

/// One query and all it is answered from.
#[derive(Clone, Copy)]
struct Context<'a> {
    serving: &'a Serving,
    worker: &'a WorkerState,
    peer: Peer,
    query: &'a Query<'a>,
    /// What the query's rare options are answered with.
    rare: Option<&'a Rare<'a>>,
}

impl<'a> Context<'a> {
    fn respond(&self, located: Located, scratch: &mut Scratch, out: &mut [u8]) -> Outcome {
        if self.query.qclass != class::IN {
            scratch.zone = 0;
            return chaos::respond(self, out);
        }
        if let Some((rcode, refusal)) = refusal::of_type(self.query.qtype) {
            if refusal == Refusal::Transfer {
                return transfer::alone(self, None, out);
            }
            return self.refuse(rcode, refusal, out);
        }
        match self.serving.snapshot.zones.finish(self.query.qname, located, self.query.qtype) {
            Lookup::NotOurs => self.refuse(Rcode::REFUSED, Refusal::NotOurs, out),
            Lookup::Found { zone, outcome } => {
                scratch.zone = zone.id().0;
                if self.serving.snapshot.secondaries.is_down(zone.id().0) {
                    return self.not_ready(out);
                }
                match outcome {
                    crate::zone::Outcome::Wip { wip, node } => {
                        wip::respond(self, zone, wip, node, scratch, out)
                    }
                    other => resolve::respond(self, zone, other, scratch, out),
                }
            }
        }
    }

    /// A writer for this query's reply, with room kept for `opt`.
    fn writer<'o>(&self, out: &'o mut [u8], opt: &Opt<'_>) -> Writer<'o> {
        let mut writer =
            Writer::new(out, self.size_limit(), self.query.header, self.query.question);
        writer.reserve(opt.length());
        writer
    }

    /// Most bytes the reply may have (RFC 6891 6.2.5, RFC 9715).
    fn size_limit(&self) -> usize {
        match self.peer.transport {
            Transport::Udp => {
                self.query.edns.map_or(usize::from(UDP_SIZE_MIN), |edns| edns.udp_limit())
            }
            _ => STREAM_SIZE_MAX,
        }
    }

    /// OPT of a reply whose answer does not depend on the client.
    fn opt(&self) -> Opt<'a> {
        Opt {
            query: self.query.edns,
            identity: self.serving.snapshot.identity(),
            rare: self.rare,
            ..Opt::default()
        }
    }

    /// A reply that is an rcode alone.
    fn rcode(&self, rcode: Rcode, out: &mut [u8]) -> Outcome {
        let opt = self.opt();
        let writer = self.writer(out, &opt);
        finish(writer, self.failure(rcode), &opt)
    }

    /// The status of a reply that tells nothing of the name: no AA.
    fn failure(&self, rcode: Rcode) -> Status {
        Status { rcode, authoritative: false, truncated: false }
    }
}
