//! An ICMP check: one echo request, until its reply comes (RFC 792, RFC 4443 §4).
//!
//! Datagram sockets come first: they need no privilege where the system's
//! `net.ipv4.ping_group_range` allows them, and the system sorts their replies.
//! Raw sockets need `CAP_NET_RAW` and see every reply of the target, to whomever:
//! identifier, sequence and a payload of its own tell this probe's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::connect::{network_failure, source_failure, told_failure};
use super::families::FAMILIES;
use super::packet::{Strangers, nonce, source};
use super::{Phase, Progress};
use crate::health::check::IcmpProbe;
use crate::health::{Failure, FailureKind};

/// Bytes of an echo's header.
const HEADER_BYTES: usize = 8;
/// Sent with every echo, before its nonce.
const MARK: &[u8; 8] = b"windrose";
/// Longest IPv4 header and the longest reply that can be ours; the rest is cut.
const REPLY_BYTES_MAX: usize = 60 + HEADER_BYTES + 64;

/// What an echo of ours looks like.
#[derive(Clone, Copy)]
struct Echo {
    ipv6: bool,
    raw: bool,
    nonce: u64,
}

/// Asks `to` for an echo.
pub(super) async fn exchange(
    probe: &IcmpProbe,
    to: IpAddr,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let (socket, raw) = open(to)?;
    let source = source(&probe.route, to);
    if !source.is_unspecified() {
        let bound = socket.bind(&SocketAddr::new(source, 0).into());
        bound.map_err(|error| source_failure(&error, source))?;
    }
    // Connected: it hears `to` alone, and errors on the way there.
    let connected = socket.connect(&SocketAddr::new(to, 0).into());
    connected.map_err(|error| network_failure(&error, to, "connect"))?;
    let echo = Echo { ipv6: to.is_ipv6(), raw, nonce: nonce(&to) };
    // The runtime's type for sockets of packets; no word of UDP is spoken over it.
    let socket = socket
        .set_nonblocking(true)
        .and_then(|()| UdpSocket::from_std(OwnedFd::from(socket).into()))
        .map_err(|error| network_failure(&error, to, "socket"))?;
    progress.phase = Phase::Echo;
    let sent = socket.send(&echo.request()).await;
    sent.map_err(|error| network_failure(&error, to, "send"))?;
    let mut buffer = [0; REPLY_BYTES_MAX];
    let mut strangers = Strangers::default();
    loop {
        let received = socket.recv(&mut buffer).await;
        let length = received.map_err(|error| reply_failure(&error, to))?;
        if echo.is_answered_by(&buffer[..length]) {
            FAMILIES.reached(to);
            return Ok(());
        }
        strangers.pass().await;
    }
}

/// A socket for echoes, and whether it is a raw one.
fn open(to: IpAddr) -> Result<(Socket, bool), Failure> {
    let (domain, protocol) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let refused = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => return Ok((socket, false)),
        Err(error) => error,
    };
    match Socket::new(domain, Type::RAW, Some(protocol)) {
        Ok(socket) => Ok((socket, true)),
        Err(error) if is_forbidden(&error) && is_forbidden(&refused) => Err(Failure::new(
            FailureKind::Internal,
            "icmp is not permitted: give the process CAP_NET_RAW, or its group a place in \
             net.ipv4.ping_group_range",
        )),
        Err(error) if is_forbidden(&error) => Err(network_failure(&refused, to, "socket")),
        Err(error) => Err(network_failure(&error, to, "socket")),
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// While a reply is waited for, an error is what a router or the target said.
fn reply_failure(error: &io::Error, to: IpAddr) -> Failure {
    let failure = told_failure(error, to, "echo");
    // A port that nobody listens on is an answer that an echo cannot have.
    let refused = failure.kind == FailureKind::Refused;
    if refused { Failure { kind: FailureKind::Unreachable, ..failure } } else { failure }
}

impl Echo {
    fn identifier(self) -> [u8; 2] {
        (self.nonce as u16).to_be_bytes()
    }

    fn sequence(self) -> [u8; 2] {
        ((self.nonce >> 16) as u16).to_be_bytes()
    }

    fn request(self) -> Vec<u8> {
        let mut packet = vec![if self.ipv6 { 128 } else { 8 }, 0, 0, 0];
        packet.extend_from_slice(&self.identifier());
        packet.extend_from_slice(&self.sequence());
        packet.extend_from_slice(MARK);
        packet.extend_from_slice(&self.nonce.to_be_bytes());
        // The system does it for datagram sockets and for all of IPv6.
        if self.raw && !self.ipv6 {
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    /// Whether `packet`, as the socket gave it, is the reply to this echo.
    fn is_answered_by(self, packet: &[u8]) -> bool {
        // Raw IPv4 sockets give the IP header too.
        let packet = match packet.first() {
            Some(first) if self.raw && !self.ipv6 => {
                packet.get(usize::from(first & 15) * 4..).unwrap_or_default()
            }
            _ => packet,
        };
        let Some((header, payload)) = packet.split_at_checked(HEADER_BYTES) else { return false };
        let reply = if self.ipv6 { 129 } else { 0 };
        let expected = self.request();
        // The system chooses the identifier of datagram sockets, and looks after it.
        header[..2] == [reply, 0]
            && (!self.raw || header[4..6] == self.identifier())
            && header[6..8] == self.sequence()
            && payload == &expected[HEADER_BYTES..]
    }
}

/// RFC 1071, over an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_make_the_whole_add_up() {
        let echo = Echo { ipv6: false, raw: true, nonce: 0x0123_4567_89ab_cdef };
        let packet = echo.request();
        assert_eq!(checksum(&packet), 0, "a receiver's sum over all of it");
        assert_eq!(packet[..2], [8, 0]);
        assert_eq!(packet.len(), 24);
    }

    #[test]
    fn only_the_reply_to_this_very_echo_is_taken() {
        for (ipv6, raw) in [(false, true), (false, false), (true, true), (true, false)] {
            let echo = Echo { ipv6, raw, nonce: 0x0123_4567_89ab_cdef };
            let ip_header: &[u8] = if raw && !ipv6 { &[0x45; 20] } else { &[] };
            let mut reply = [ip_header, &echo.request()].concat();
            let at = ip_header.len();
            assert!(!echo.is_answered_by(&reply), "the request itself, seen on loopback");
            reply[at] = if ipv6 { 129 } else { 0 };
            assert!(echo.is_answered_by(&reply));
            for changed in [at, at + 1, at + 6, at + 7, at + 8, at + 23] {
                let mut other = reply.clone();
                other[changed] ^= 1;
                assert!(!echo.is_answered_by(&other), "byte {changed}");
            }
            let mut other = reply.clone();
            other[at + 5] ^= 1;
            assert_eq!(echo.is_answered_by(&other), !raw, "identifiers of others");
            for length in 0..reply.len() {
                assert!(!echo.is_answered_by(&reply[..length]));
            }
            reply.push(0);
            assert!(!echo.is_answered_by(&reply), "longer than what was sent");
        }
    }

    #[test]
    fn what_routers_say_is_unreachable_and_what_we_lack_is_ours() {
        let to = IpAddr::from([127, 0, 0, 1]);
        let kind = |number| reply_failure(&io::Error::from_raw_os_error(number), to).kind;
        assert_eq!(kind(libc::EHOSTUNREACH), FailureKind::Unreachable);
        assert_eq!(kind(libc::ECONNREFUSED), FailureKind::Unreachable);
        assert_eq!(kind(libc::EACCES), FailureKind::Unreachable);
        assert_eq!(kind(libc::ENOMEM), FailureKind::Internal);
    }
}
