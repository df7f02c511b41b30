//! Sockets that a service manager bound before this process was started: sorted to the
//! listen addresses they are for, checked, and made as our own are.
//!
//! A manager binds with its own rights, so that the server needs none; and it keeps
//! the sockets while the server is away, so that queries wait for it instead of being
//! refused. An address needs both protocols: a resolver that is told to come again over
//! TCP must find it.
//!
//! One UDP socket is one UDP thread. Where the manager gives several of one address
//! (`ReusePort=yes`), each has its thread; further ones are bound beside them where
//! the system allows it, which is where they belong to the same user.
//!
//! Must not know how descriptors come into this process.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use socket2::{SockRef, Type};
use thiserror::Error;

use super::bind::{BindOptions, TCP_SEND_BUFFER_BYTES, make_ours};
use super::encrypted::make_datagrams;
use super::{Inherited, InheritedSocket, Transport};

/// Why a socket of the service manager cannot be served.
#[derive(Debug, Error)]
pub enum GivenError {
    /// It is no UDP socket and no TCP socket that listens.
    #[error(
        "socket {name:?} of the service manager is of no use: it must be a UDP socket, or a TCP \
         socket that listens (ListenDatagram=, ListenStream=)"
    )]
    Kind {
        /// As the manager calls it.
        name: String,
    },
    /// Neither `[server] listen` nor `[tls]` asks for it.
    #[error(
        "the service manager gives a {protocol} socket on {address}, which is not in [server] \
         listen: {listen}; nor is it an address of [tls]: make the two agree"
    )]
    NotAsked {
        /// UDP or TCP.
        protocol: &'static str,
        /// Where it is bound.
        address: SocketAddr,
        /// What is asked for.
        listen: String,
    },
    /// The other protocol of its address is missing.
    #[error(
        "the service manager gives no {protocol} socket on {address}, but the other one: add \
         {setting}{address} to its socket unit"
    )]
    Half {
        /// What is missing.
        protocol: &'static str,
        /// Of which address.
        address: SocketAddr,
        /// How it is asked for.
        setting: &'static str,
    },
    /// Whoever comes to the second would wait for ever.
    #[error("the service manager gives two {protocol} sockets on {address}: one is enough")]
    Twice {
        /// UDP or TCP.
        protocol: &'static str,
        /// Of which address.
        address: SocketAddr,
    },
    /// Clients over IPv4 would come with addresses that are none of theirs.
    #[error(
        "the service manager's {protocol} socket on {address} takes IPv4 too: set \
         BindIPv6Only=ipv6-only in its socket unit, and list the IPv4 address beside it"
    )]
    BothFamilies {
        /// UDP or TCP.
        protocol: &'static str,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("cannot use the service manager's socket on {address}: {source}")]
    System {
        /// Where it is bound.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
}

/// What a manager gave, by what it is for.
#[derive(Debug, Default)]
pub struct Given {
    /// For plain DNS.
    pub plain: Vec<Inherited>,
    /// For encrypted transports.
    pub encrypted: Vec<InheritedSocket>,
}

/// Sorts `sockets`, each with its name, to `addresses` of plain DNS and `listens` of
/// encrypted transports.
///
/// # Errors
/// One of them cannot be used. All must be: a socket that nobody reads swallows
/// queries.
pub fn sort(
    sockets: Vec<(String, OwnedFd)>,
    addresses: &[SocketAddr],
    listens: &[(Transport, SocketAddr)],
    options: &BindOptions,
) -> Result<Given, GivenError> {
    let mut encrypted: Vec<InheritedSocket> = Vec::new();
    let mut udp: Vec<Vec<OwnedFd>> = addresses.iter().map(|_| Vec::new()).collect();
    let mut tcp: Vec<Option<OwnedFd>> = addresses.iter().map(|_| None).collect();
    for (name, socket) in sockets {
        let (protocol, address) = look(&socket).ok_or(GivenError::Kind { name })?;
        let Some(index) = addresses.iter().position(|asked| *asked == address) else {
            let is_it = |(transport, asked): &&(Transport, SocketAddr)| {
                *asked == address && transport.is_datagram() == (protocol == UDP)
            };
            if let Some(&(transport, asked)) = listens.iter().find(is_it) {
                make_encrypted(&socket, protocol, address, options)?;
                if encrypted.iter().any(|one| one.transport == transport && one.asked == asked) {
                    return Err(GivenError::Twice { protocol, address });
                }
                encrypted.push(InheritedSocket { transport, asked, socket });
                continue;
            }
            let listen = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(GivenError::NotAsked { protocol, address, listen });
        };
        make(&socket, protocol, address, options)?;
        if protocol == UDP {
            udp[index].push(socket);
        } else if tcp[index].replace(socket).is_some() {
            return Err(GivenError::Twice { protocol, address });
        }
    }
    let mut inherited = Vec::new();
    for (asked, (udp, tcp)) in addresses.iter().zip(udp.into_iter().zip(tcp)) {
        let half = |protocol, setting| GivenError::Half { protocol, address: *asked, setting };
        match (udp.is_empty(), tcp) {
            (true, None) => {}
            (false, Some(tcp)) => inherited.push(Inherited { asked: *asked, udp, tcp }),
            (false, None) => return Err(half(TCP, "ListenStream=")),
            (true, Some(_)) => return Err(half(UDP, "ListenDatagram=")),
        }
    }
    Ok(Given { plain: inherited, encrypted })
}

const UDP: &str = "UDP";
const TCP: &str = "TCP";

/// Protocol and address; none for what is neither.
fn look(socket: &OwnedFd) -> Option<(&'static str, SocketAddr)> {
    let socket = SockRef::from(socket);
    let address = socket.local_addr().ok()?.as_socket()?;
    match socket.r#type().ok()? {
        Type::DGRAM => Some((UDP, address)),
        Type::STREAM if socket.is_listener().ok()? => Some((TCP, address)),
        _ => None,
    }
}

/// Gives it what our own sockets have.
fn make(
    socket: &OwnedFd,
    protocol: &'static str,
    address: SocketAddr,
    options: &BindOptions,
) -> Result<(), GivenError> {
    let failed = |source| GivenError::System { address, source };
    let known = SockRef::from(socket);
    if address.is_ipv6() && !known.only_v6().map_err(failed)? {
        return Err(GivenError::BothFamilies { protocol, address });
    }
    known.set_nonblocking(protocol == TCP).map_err(failed)?;
    if protocol == UDP {
        make_ours(socket.as_fd(), address, options).map_err(failed)
    } else {
        known.set_send_buffer_size(TCP_SEND_BUFFER_BYTES).map_err(failed)
    }
}

/// The same for an encrypted transport.
fn make_encrypted(
    socket: &OwnedFd,
    protocol: &'static str,
    address: SocketAddr,
    options: &BindOptions,
) -> Result<(), GivenError> {
    if protocol == TCP {
        return make(socket, protocol, address, options);
    }
    let failed = |source| GivenError::System { address, source };
    if address.is_ipv6() && !SockRef::from(socket).only_v6().map_err(failed)? {
        return Err(GivenError::BothFamilies { protocol, address });
    }
    make_datagrams(socket.as_fd(), address, options).map_err(failed)
}
