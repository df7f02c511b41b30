//! Sockets: bytes in, a pure [`Responder`] asked, bytes out.
//!
//! ```text
//! udp-N thread   recvmmsg ─ begin_batch ─ respond_all × n ─ end_batch ─ sendmmsg
//! TCP (tokio)    accept ─ (PROXY header, TLS) ─ limits ─ framed messages ─ respond ─ write
//! ```
//!
//! A UDP thread owns one socket and blocks in `recvmmsg` on it: with one socket
//! per thread there is nothing to poll, which is the cheapest the kernel offers.
//! So a worker is one thread per listen address, all of a worker's threads
//! sharing its processor. TCP runs on a small runtime of its own, so that no
//! load there starves UDP.
//!
//! Must not know what a DNS message holds, beyond TCP's two-byte length: who is
//! answered, and with what, is the responder's alone.

mod bind;
pub mod doh;
mod doh3;
mod doh3_bounds;
mod doh_connection;
mod doq;
mod drops;
mod encrypted;
pub mod frame;
mod given;
mod inherit;
pub mod proxy;
mod quic;
mod request;
mod running;
mod session;
mod tcp;
mod tcp_accept;
mod tcp_connection;
mod tcp_registry;
mod tcp_transfers;
mod udp;
pub mod udp_batch;
mod udp_proxy;
mod wire;

use std::net::{IpAddr, SocketAddr};

pub use crate::metrics::Transport;
pub use bind::{BindError, BindOptions, Bound, bind, bind_or_take};
pub use drops::{DropCounts, Drops};
pub use encrypted::{InheritedSocket, OfferedSocket};
pub use given::{Given, GivenError, sort};
pub use inherit::{Inherited, Moved, Offered};
pub use request::{GROUP_MAX, Replies, Request, Wait};
pub use running::{Pulse, Running, StartError, StartOptions};
pub use tcp::TcpOptions;
pub use tcp_registry::TcpCounts;

/// What is known of a request besides its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Meta {
    /// The sender; its port is never 0.
    pub client: SocketAddr,
    /// The address the request was sent to, where known; the answer leaves from it.
    pub local: Option<IpAddr>,
    /// How it came.
    pub transport: Transport,
}

/// The answer function with its scratch and counters; one per worker thread.
///
/// `begin_batch` and `end_batch` bracket every run of `respond` and `respond_all`, and no socket is
/// touched between them: what is taken in the one and dropped in the other (a
/// snapshot's guard) is never held while the thread waits.
pub trait Responder: Send {
    /// Requests follow.
    fn begin_batch(&mut self) {}

    /// Writes the reply to `request` into `out`, and says how long it is; 0: no reply.
    ///
    /// `out` has [`udp_batch::REPLY_MAX`] bytes over UDP, 65,535 over TCP, of which
    /// nothing is promised: they hold what an earlier reply left. A length past
    /// its end counts as 0.
    fn respond(&mut self, request: &[u8], meta: &Meta, out: &mut [u8]) -> usize;

    /// Writes the replies to up to [`GROUP_MAX`] requests that came together, in their
    /// order: each as [`Responder::respond`] would. Reading all of them before
    /// answering the first lets their misses of the memory overlap.
    fn respond_all(&mut self, requests: &[Request<'_>], replies: &mut Replies<'_>) {
        for request in requests {
            replies.put(|out| self.respond(request.bytes, &request.meta, out));
        }
    }

    /// Begins the reply to a request that is answered with many messages, as a zone's
    /// transfer is (RFC 5936 2.2), over a stream; none: [`Responder::respond`] answers
    /// it. Asked first of every message over TCP and DoT, so a look at the question's
    /// type must decide.
    fn begin_transfer(&mut self, request: &[u8], meta: &Meta) -> Option<Box<dyn Messages>> {
        let _ = (request, meta);
        None
    }

    /// No request follows before the next `begin_batch`.
    fn end_batch(&mut self) {}
}

/// A reply of many messages, made one by one as the client takes them. Other requests of
/// the connection are answered between them (RFC 7766 6.2.1.1).
pub trait Messages: Send {
    /// Writes the next message into `out`, of 65,535 bytes, and says how long it is; 0:
    /// there is no more.
    fn next(&mut self, out: &mut [u8]) -> usize;
}

/// Makes the responders. All are made before the first request is taken.
pub trait ResponderFactory {
    /// What it makes: one type, so that the UDP loop is compiled around it.
    type Responder: Responder + 'static;

    /// The responder of the UDP thread `index`, counted from 0; there are
    /// [`Bound::udp_threads`] of them.
    fn udp(&self, index: usize) -> Self::Responder;

    /// The TCP responder `index`, counted from 0; connections share
    /// [`TcpOptions::responders`] of them, one at a time each.
    fn tcp(&self, index: usize) -> Self::Responder;
}
