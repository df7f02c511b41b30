//! Takes the sockets that a service manager bound for this process:
//! sd_listen_fds(3).
//!
//! `LISTEN_FDS` of them begin at descriptor 3; `LISTEN_FDNAMES` says what their socket
//! units call them. From here on they are ours alone: commands that health checks run
//! do not get them.
//!
//! It must not know what a socket is for.

use std::env;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;

/// What a manager calls sockets that have no name.
const NO_NAME: &str = "unknown";

/// A descriptor that is no socket to serve on.
#[derive(Debug, thiserror::Error)]
#[error(
    "socket {number} of the service manager ({name:?}) is of no use: it must be a UDP socket, a \
     TCP socket that listens, or a unix socket that listens"
)]
pub struct ActivationError {
    number: usize,
    name: String,
}

/// Takes them, each with its name; none without a manager, or if they are meant for
/// another process. Only for a process that has one thread as yet: the environment
/// loses what was said in it.
///
/// # Errors
/// One of them is of no use.
pub fn take_sockets() -> Result<Vec<(String, OwnedFd)>, ActivationError> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut given = ListenFd::from_env();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let mut sockets = Vec::with_capacity(given.len());
    for index in 0..given.len() {
        let name = names.next().unwrap_or(NO_NAME).to_owned();
        let socket = take(&mut given, index);
        let number = index + 1;
        let socket = socket.ok_or_else(|| ActivationError { number, name: name.clone() })?;
        sockets.push((name, socket));
    }
    Ok(sockets)
}

fn take(given: &mut ListenFd, index: usize) -> Option<OwnedFd> {
    if let Ok(Some(socket)) = given.take_udp_socket(index) {
        return Some(UdpSocket::into(socket));
    }
    if let Ok(Some(socket)) = given.take_tcp_listener(index) {
        return Some(socket.into());
    }
    given.take_unix_listener(index).ok().flatten().map(OwnedFd::from)
}
