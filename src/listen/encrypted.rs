//! Sockets of encrypted transports: one of an address, over TCP or UDP as the transport
//! has it; bound here, given by a service manager, or taken from the process before.
//!
//! Plain DNS needs both protocols and many UDP sockets of one address, and so has its own
//! type in [`super::bind`]. Here a socket is a socket, whoever speaks over it.
//!
//! Must not know TLS.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::bind::{BindError, Bound, bind_tcp};
use super::udp_batch::{ignore_path_mtu, size_buffers};
use super::{BindOptions, Transport};

/// The socket of one address, of a server at work.
#[derive(Debug)]
pub struct OfferedSocket<'a> {
    /// What is spoken over it.
    pub transport: Transport,
    /// As configured.
    pub asked: SocketAddr,
    /// It.
    pub socket: BorrowedFd<'a>,
}

/// The same in the process that takes it.
#[derive(Debug)]
pub struct InheritedSocket {
    /// What is spoken over it.
    pub transport: Transport,
    /// As configured there.
    pub asked: SocketAddr,
    /// It.
    pub socket: OwnedFd,
}

/// One of ours, bound and not yet served.
#[derive(Debug)]
pub(super) struct BoundSocket {
    pub(super) transport: Transport,
    pub(super) asked: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) socket: OwnedFd,
}

impl Bound {
    /// Binds the addresses of encrypted transports too, with the sockets of another
    /// process where it has them. Port 0 takes one that is free.
    ///
    /// # Errors
    /// The first that failed; nothing stays bound then.
    pub fn with_encrypted(
        mut self,
        listens: &[(Transport, SocketAddr)],
        options: &BindOptions,
        mut inherited: Vec<InheritedSocket>,
    ) -> Result<Bound, BindError> {
        for &(transport, asked) in listens {
            let is_it = |inherited: &InheritedSocket| {
                inherited.transport == transport && inherited.asked == asked
            };
            let at = inherited.iter().position(is_it);
            let taken = at.and_then(|at| inherited.swap_remove(at).take());
            let bound = taken.map_or_else(|| bind_one(transport, asked, options), Ok);
            self.encrypted.push(bound?);
        }
        Ok(self)
    }

    /// The addresses bound for encrypted transports, with the port that port 0 became.
    pub fn encrypted_addrs(&self) -> Vec<(Transport, SocketAddr)> {
        self.encrypted.iter().map(|bound| (bound.transport, bound.local)).collect()
    }
}

impl BoundSocket {
    /// As what it is over UDP, not blocking.
    pub(super) fn into_datagrams(self) -> std::net::UdpSocket {
        std::net::UdpSocket::from(self.socket)
    }

    /// As what it is over TCP.
    pub(super) fn into_listener(self) -> TcpListener {
        TcpListener::from(self.socket)
    }

    /// Another descriptor of it.
    pub(super) fn copy(&self) -> std::io::Result<BoundSocket> {
        let BoundSocket { transport, asked, local, socket } = self;
        let socket = socket.try_clone()?;
        Ok(BoundSocket { transport: *transport, asked: *asked, local: *local, socket })
    }

    /// As what another process is offered.
    pub(super) fn offered(&self) -> OfferedSocket<'_> {
        let BoundSocket { transport, asked, socket, .. } = self;
        OfferedSocket { transport: *transport, asked: *asked, socket: socket.as_fd() }
    }
}

impl InheritedSocket {
    /// At work again, if the socket is what it is said to be.
    fn take(self) -> Option<BoundSocket> {
        let InheritedSocket { transport, asked, socket } = self;
        let known = SockRef::from(&socket);
        let local = known.local_addr().ok().and_then(|at| at.as_socket());
        let is_asked = local
            .filter(|local| local.ip() == asked.ip() && [0, local.port()].contains(&asked.port()));
        let is_kind = match transport.is_datagram() {
            true => known.r#type().is_ok_and(|kind| kind == Type::DGRAM),
            false => known.is_listener().unwrap_or(false),
        };
        let Some(local) = is_asked.filter(|_| is_kind) else {
            tracing::warn!(address = %asked, "what was handed over is no socket of this address");
            return None;
        };
        Some(BoundSocket { transport, asked, local, socket })
    }
}

fn bind_one(
    transport: Transport,
    asked: SocketAddr,
    options: &BindOptions,
) -> Result<BoundSocket, BindError> {
    let failed = |error| BindError::new(asked, transport, error);
    let socket = match transport.is_datagram() {
        true => bind_datagrams(asked, options).map(OwnedFd::from),
        false => bind_tcp(asked).map(OwnedFd::from),
    };
    let socket = socket.map_err(failed)?;
    let local = SockRef::from(&socket).local_addr().map_err(failed)?.as_socket();
    Ok(BoundSocket { transport, asked, local: local.unwrap_or(asked), socket })
}

fn bind_datagrams(address: SocketAddr, options: &BindOptions) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    make_datagrams(socket.as_fd(), address, options)?;
    Ok(socket)
}

/// Sets what such a UDP socket needs, whoever made it. Whoever speaks over it asks for
/// destinations by himself.
pub(super) fn make_datagrams(
    socket: BorrowedFd<'_>,
    address: SocketAddr,
    options: &BindOptions,
) -> std::io::Result<()> {
    SockRef::from(&socket).set_nonblocking(true)?;
    ignore_path_mtu(socket, address.is_ipv6())?;
    size_buffers(socket, options.udp_buffer_bytes);
    Ok(())
}
