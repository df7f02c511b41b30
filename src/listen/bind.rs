//! Every socket the configuration names, or a clear line why not.
//!
//! All or nothing: when one cannot be bound, those before it are closed. A UDP port
//! held by another process is found although sockets of one user may share a port:
//! the first socket of an address is bound before it allows sharing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::encrypted::BoundSocket;
use super::udp_batch::{fast_open, ignore_path_mtu, size_buffers, tell_destination};
use super::{Inherited, Transport};

/// How often a port chosen by the system for UDP is tried for TCP, before giving up.
const PORT_ATTEMPTS: usize = 32;

/// Connections the kernel holds for one that is not accepted yet.
const TCP_BACKLOG: i32 = 1024;

/// Connections by fast open (RFC 7413) whose handshake is not over yet: what senders with
/// forged addresses can hold. Beyond it clients take the ordinary way.
const TCP_FAST_OPEN_QUEUE: u16 = 256;

/// Send buffer of one TCP connection: what a client that never reads can hold of the
/// kernel's memory.
pub(super) const TCP_SEND_BUFFER_BYTES: usize = 128 * 1024;

/// How to bind.
#[derive(Clone, Copy, Debug)]
pub struct BindOptions {
    /// UDP sockets, and so threads, per address; at least 1.
    pub udp_workers: usize,
    /// Receive and send buffer of each UDP socket, as far as the system allows.
    pub udp_buffer_bytes: usize,
}

impl Default for BindOptions {
    fn default() -> BindOptions {
        // 4 MiB hold about 5,000 queries: what comes in the 20 ms for which a busy
        // scheduler may keep a thread waiting, at 250,000 a second.
        BindOptions { udp_workers: 1, udp_buffer_bytes: 4 << 20 }
    }
}

/// The sockets of every listen address, bound and not yet served.
#[derive(Debug)]
pub struct Bound {
    pub(super) addresses: Vec<BoundAddress>,
    pub(super) encrypted: Vec<BoundSocket>,
}

/// One listen address.
#[derive(Debug)]
pub(super) struct BoundAddress {
    pub(super) asked: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) udp: Vec<Socket>,
    pub(super) tcp: TcpListener,
}

/// Binds UDP and TCP on every address. Port 0 takes one free for both.
///
/// # Errors
/// The first that failed; nothing stays bound then.
pub fn bind(addresses: &[SocketAddr], options: &BindOptions) -> Result<Bound, BindError> {
    bind_or_take(addresses, options, Vec::new())
}

/// The same, with the sockets of another process where it has them.
///
/// # Errors
/// The first that failed; nothing that was bound here stays so then.
pub fn bind_or_take(
    addresses: &[SocketAddr],
    options: &BindOptions,
    mut inherited: Vec<Inherited>,
) -> Result<Bound, BindError> {
    if addresses.is_empty() {
        return Err(BindError::NoAddress);
    }
    let addresses = addresses.iter().map(|&address| {
        let at = inherited.iter().position(|inherited| inherited.asked == address);
        let taken = at.and_then(|at| inherited.swap_remove(at).take(options));
        taken.map_or_else(|| bind_address(address, options), Ok)
    });
    Ok(Bound { addresses: addresses.collect::<Result<_, _>>()?, encrypted: Vec::new() })
}

impl Bound {
    /// The addresses bound, in the order asked, with the port that port 0 became.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|address| address.local).collect()
    }

    /// How many UDP threads [`Bound::start`] makes: workers × addresses.
    pub fn udp_threads(&self) -> usize {
        self.addresses.iter().map(|address| address.udp.len()).sum()
    }
}

fn bind_address(address: SocketAddr, options: &BindOptions) -> Result<BoundAddress, BindError> {
    let mut attempt = 1;
    loop {
        let udp = bind_udp(address, options)?;
        let local = udp[0].local_addr().ok().and_then(|local| local.as_socket());
        let local = local.unwrap_or(address);
        match bind_tcp(local) {
            Ok(tcp) => return Ok(BoundAddress { asked: address, local, udp, tcp }),
            Err(error)
                if address.port() == 0
                    && error.kind() == io::ErrorKind::AddrInUse
                    && attempt < PORT_ATTEMPTS =>
            {
                attempt += 1;
            }
            Err(error) => return Err(BindError::new(local, Transport::Tcp, error)),
        }
    }
}

fn bind_udp(address: SocketAddr, options: &BindOptions) -> Result<Vec<Socket>, BindError> {
    let failed = |error| BindError::new(address, Transport::Udp, error);
    let first = udp_socket(address, options).map_err(failed)?;
    first.bind(&address.into()).map_err(failed)?;
    let local = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    let local = local.as_socket().unwrap_or(address);
    join(&mut sockets, local, options).map_err(failed)?;
    Ok(sockets)
}

/// Binds further sockets to the address of the first, up to one for each worker.
pub(super) fn join(
    sockets: &mut Vec<Socket>,
    local: SocketAddr,
    options: &BindOptions,
) -> io::Result<()> {
    if let (1, Some(first)) = (sockets.len(), sockets.first())
        && options.udp_workers > 1
    {
        first.set_reuse_port(true)?;
    }
    while sockets.len() < options.udp_workers {
        let socket = udp_socket(local, options)?;
        socket.set_reuse_port(true)?;
        socket.bind(&local.into())?;
        sockets.push(socket);
    }
    Ok(())
}

fn udp_socket(address: SocketAddr, options: &BindOptions) -> io::Result<Socket> {
    let v6 = address.is_ipv6();
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    make_ours(socket.as_fd(), address, options)?;
    Ok(socket)
}

/// Sets what a UDP socket at `address` needs, whoever made it.
pub(super) fn make_ours(
    socket: BorrowedFd<'_>,
    address: SocketAddr,
    options: &BindOptions,
) -> io::Result<()> {
    let v6 = address.is_ipv6();
    if address.ip().is_unspecified() {
        tell_destination(socket, v6)?;
    }
    ignore_path_mtu(socket, v6)?;
    size_buffers(socket, options.udp_buffer_bytes);
    Ok(())
}

pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Else a restart finds the port taken by connections the last run closed.
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(TCP_SEND_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    fast_open(socket.as_fd(), TCP_FAST_OPEN_QUEUE);
    Ok(socket.into())
}

// ---- BindError -------------------------------------------------------------------------

/// Why an address cannot be listened on: one line for the operator, with what to do.
#[derive(Debug, Error)]
pub enum BindError {
    /// There is nothing to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// Taken by another process, or twice in our own list.
    #[error(
        "cannot listen on {address} ({transport}): address in use, by another process or \
         an earlier entry of the list"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// Where it is taken.
        transport: Transport,
    },
    /// A port below 1024 without the right to it.
    #[error(
        "cannot listen on {address} ({transport}): permission denied; ports below 1024 need \
         CAP_NET_BIND_SERVICE (setcap cap_net_bind_service=+ep), or use a port from 1024 on"
    )]
    Denied {
        /// The address.
        address: SocketAddr,
        /// Where it was refused.
        transport: Transport,
    },
    /// No interface has the address.
    #[error("cannot listen on {address} ({transport}): no interface of this machine has it")]
    NotLocal {
        /// The address.
        address: SocketAddr,
        /// Where it was refused.
        transport: Transport,
    },
    /// The machine has no IPv6, or no IPv4.
    #[error("cannot listen on {address} ({transport}): this machine has no such address family")]
    NoFamily {
        /// The address.
        address: SocketAddr,
        /// Where it was refused.
        transport: Transport,
    },
    /// Anything else.
    #[error("cannot listen on {address} ({transport}): {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// Where it failed.
        transport: Transport,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    pub(super) fn new(address: SocketAddr, transport: Transport, source: io::Error) -> BindError {
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address, transport },
            io::ErrorKind::PermissionDenied => BindError::Denied { address, transport },
            io::ErrorKind::AddrNotAvailable => BindError::NotLocal { address, transport },
            _ if source.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                BindError::NoFamily { address, transport }
            }
            _ => BindError::Other { address, transport, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_line_with_what_to_do() {
        let address = "[2001:db8::1]:53".parse().unwrap();
        // errno, a word of the line
        let cases = [
            (libc::EADDRINUSE, "in use"),
            (libc::EACCES, "setcap cap_net_bind_service"),
            (libc::EADDRNOTAVAIL, "no interface"),
            (libc::EAFNOSUPPORT, "address family"),
            (libc::ENOBUFS, "buffer space"),
        ];
        for (errno, word) in cases {
            let error = io::Error::from_raw_os_error(errno);
            let line = BindError::new(address, Transport::Tcp, error).to_string();
            assert!(line.starts_with("cannot listen on [2001:db8::1]:53 (TCP): "), "{line}");
            assert!(line.contains(word), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
}
