//! Sockets from one process to the next: what a server at work offers, and what one that
//! starts takes instead of binding anew.
//!
//! A UDP socket's queue is lost when its last descriptor closes, and connections that
//! wait to be accepted with their listener's; so the very sockets are passed on. Sockets
//! of an address are all taken, more than are configured too: one that closed would take
//! its queue along.
//!
//! Must not know how descriptors travel.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};

use socket2::{SockRef, Socket, Type};

use super::bind::{BindOptions, BoundAddress, join};

/// The sockets of one listen address, of a server at work.
#[derive(Debug)]
pub struct Offered<'a> {
    /// As configured.
    pub asked: SocketAddr,
    /// UDP, in the order of their workers.
    pub udp: Vec<BorrowedFd<'a>>,
    /// TCP.
    pub tcp: BorrowedFd<'a>,
}

/// The same in the process that takes them.
#[derive(Debug)]
pub struct Inherited {
    /// As configured there.
    pub asked: SocketAddr,
    /// UDP, in the order of their workers.
    pub udp: Vec<OwnedFd>,
    /// TCP.
    pub tcp: OwnedFd,
}

/// A TCP connection between two of its messages, on its way to another process.
#[derive(Debug)]
pub struct Moved {
    /// The connection.
    pub stream: TcpStream,
    /// Its client.
    pub client: SocketAddr,
    /// The beginning of a message whose rest is still to come.
    pub input: Vec<u8>,
    /// Its messages that got no reply.
    pub unanswered: usize,
}

impl Inherited {
    /// The address at work again, if the sockets are what they are said to be.
    pub(super) fn take(self, options: &BindOptions) -> Option<BoundAddress> {
        let Inherited { asked, udp, tcp } = self;
        let tcp = TcpListener::from(tcp);
        let local = tcp.local_addr().ok()?;
        let is_asked = local.ip() == asked.ip() && [0, local.port()].contains(&asked.port());
        let listens = SockRef::from(&tcp).is_listener().unwrap_or(false);
        let mut udp: Vec<Socket> = udp.into_iter().map(Socket::from).collect();
        let fits = |socket: &Socket| {
            let at = socket.local_addr().ok().and_then(|at| at.as_socket());
            at == Some(local) && socket.r#type().is_ok_and(|kind| kind == Type::DGRAM)
        };
        if !is_asked || !listens || udp.is_empty() || !udp.iter().all(fits) {
            tracing::warn!(address = %asked, "what was handed over is no socket of this address");
            return None;
        }
        if udp.len() < options.udp_workers
            && let Err(error) = join(&mut udp, local, options)
        {
            // The system lets sockets of one user alone share a port, for one.
            let workers = udp.len();
            tracing::warn!(
                address = %asked, %error, workers,
                "fewer UDP workers than configured: none can be added to the sockets taken over"
            );
        }
        Some(BoundAddress { asked, local, udp, tcp })
    }
}
