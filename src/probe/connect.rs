//! A TCP connection to a VIP, and what the system's errors mean.
//!
//! The hard part is telling the target's trouble from ours: running out of file
//! descriptors or ports, or a host without IPv6, must never take a member down.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::Poll;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::bounded::TooMuch;
use super::families::FAMILIES;
use super::proxy_header;
use crate::health::check::Route;
use crate::health::{Failure, FailureKind};

/// Connects the way `route` says. With `reset_at_close` the connection ends with RST: thousands of
/// short connections to one address would otherwise fill the port range with
/// TIME_WAIT.
pub(super) async fn connect(
    to: SocketAddr,
    route: &Route,
    reset_at_close: bool,
) -> Result<TcpStream, Failure> {
    let failed = |error| connect_failure(&error, to.ip());
    let socket = if to.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() };
    let socket = socket.map_err(failed)?;
    if let Some(source) = source(route, to.is_ipv6()) {
        socket.bind(SocketAddr::new(source, 0)).map_err(|error| source_failure(&error, source))?;
    }
    let mut connecting = pin!(socket.connect(to));
    // What the system says at once, it says by itself; later, on others' word.
    let at_once = std::future::poll_fn(|context| Poll::Ready(connecting.as_mut().poll(context)));
    let mut stream = match at_once.await {
        Poll::Ready(connected) => connected.map_err(failed)?,
        Poll::Pending => {
            connecting.await.map_err(|error| told_failure(&error, to.ip(), "connect"))?
        }
    };
    FAMILIES.reached(to.ip());
    // Failing to set an option makes a probe no less true.
    let _ = stream.set_nodelay(true);
    if reset_at_close {
        let _ = stream.set_zero_linger();
    }
    if let Some(version) = route.proxy_header {
        let sent = async {
            let header = proxy_header::encode(version, stream.local_addr()?, stream.peer_addr()?);
            stream.write_all(&header).await
        };
        sent.await.map_err(|error| stream_failure(&error, "PROXY header"))?;
    }
    Ok(stream)
}

/// The address that probes of a family are sent from.
pub(super) fn source(route: &Route, ipv6: bool) -> Option<IpAddr> {
    match ipv6 {
        false => route.source_ipv4.map(IpAddr::V4),
        true => route.source_ipv6.map(IpAddr::V6),
    }
}

/// A socket could not be bound to `source`: ours, whatever the reason.
pub(super) fn source_failure(error: &io::Error, source: IpAddr) -> Failure {
    let detail = match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => format!("source {source} is not on this host"),
        _ => format!("source {source}: {}", plain(error)),
    };
    Failure::new(FailureKind::Internal, detail)
}

/// What went wrong before the connection stood.
fn connect_failure(error: &io::Error, address: IpAddr) -> Failure {
    network_failure(error, address, "connect")
}

/// What the system says about the way to `address` once packets are sent, during `what`:
/// what a router or the target told it. Our own filters are quicker.
pub(super) fn told_failure(error: &io::Error, address: IpAddr, what: &str) -> Failure {
    if is_told(error) {
        return Failure::new(FailureKind::Unreachable, format!("{what}: {}", plain(error)));
    }
    network_failure(error, address, what)
}

/// Whether this is how Linux names an ICMP message (`icmp_err_convert`, and `tab_unreach`
/// and `icmpv6_err_convert` of IPv6) that has no other kind.
fn is_told(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().unwrap_or(0),
        libc::EACCES
            | libc::ENOPROTOOPT
            | libc::ENONET
            | libc::ENETUNREACH
            | libc::EPROTO
            | libc::EMSGSIZE
            | libc::EOPNOTSUPP
    )
}

/// What the system says about the way to `address`, during `what`.
pub(super) fn network_failure(error: &io::Error, address: IpAddr, what: &str) -> Failure {
    use FailureKind::{Internal, Refused, Reset, Timeout, Unreachable};
    let kind = match error.raw_os_error().unwrap_or(0) {
        libc::ECONNREFUSED => {
            FAMILIES.reached(address);
            Refused
        }
        libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE => Reset,
        libc::ETIMEDOUT => Timeout,
        libc::EHOSTUNREACH | libc::EHOSTDOWN => Unreachable,
        libc::ENETUNREACH | libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::ENETDOWN
            if !FAMILIES.routed(address) =>
        {
            let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
            return Failure::unrouted(format!("this host has no route for {family}"));
        }
        libc::ENETUNREACH => Unreachable,
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL (no port left), EACCES (a
        // route that prohibits) and EPERM (a filter of our own): ours. So is whatever we do not know.
        _ => Internal,
    };
    Failure::new(kind, format!("{what}: {}", plain(error)))
}

/// What went wrong on a connection that stood, while waiting for `what`.
pub(super) fn stream_failure(error: &io::Error, what: &str) -> Failure {
    use FailureKind::{Internal, Protocol, Reset, Timeout, Tls, Unreachable};
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Failure::new(Tls, super::tls_verify::explain(tls));
    }
    if let Some(much) = error.get_ref().and_then(|inner| inner.downcast_ref::<TooMuch>()) {
        return Failure::new(Protocol, much.to_string());
    }
    let kind = match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Reset,
        io::ErrorKind::UnexpectedEof => Protocol,
        io::ErrorKind::TimedOut => Timeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Unreachable,
        _ if is_told(error) => Unreachable,
        // Not the system's: a decoder's, about what the peer sent.
        _ if error.raw_os_error().is_none() => Protocol,
        _ => Internal,
    };
    Failure::new(kind, format!("{what}: {}", plain(error)))
}

/// The error's words without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_say_whose_trouble_it_is() {
        let address = IpAddr::from([127, 0, 0, 1]);
        for (number, kind) in [
            (libc::ECONNREFUSED, "refused"),
            (libc::ECONNRESET, "reset"),
            (libc::ETIMEDOUT, "timeout"),
            (libc::EHOSTUNREACH, "unreachable"),
            (libc::EMFILE, "internal"),
            (libc::ENFILE, "internal"),
            (libc::ENOBUFS, "internal"),
            (libc::EPERM, "internal"),
            (libc::EINVAL, "internal"),
        ] {
            let failure = connect_failure(&io::Error::from_raw_os_error(number), address);
            assert_eq!(failure.kind.as_str(), kind, "{failure:?}");
            assert!(!failure.family_unrouted);
        }
    }

    #[test]
    fn what_filters_on_the_way_say_is_theirs_and_what_ours_say_is_ours() {
        let address = "2001:db8::1".parse().unwrap();
        for (number, at_once, later) in [
            (libc::EACCES, "internal", "unreachable"),
            (libc::ENOPROTOOPT, "internal", "unreachable"),
            (libc::ENONET, "internal", "unreachable"),
            (libc::EPROTO, "internal", "unreachable"),
            (libc::EMSGSIZE, "internal", "unreachable"),
            (libc::EPERM, "internal", "internal"),
            (libc::EMFILE, "internal", "internal"),
            (libc::EHOSTUNREACH, "unreachable", "unreachable"),
            (libc::ECONNREFUSED, "refused", "refused"),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(connect_failure(&error, address).kind.as_str(), at_once, "{error}");
            assert_eq!(told_failure(&error, address, "connect").kind.as_str(), later, "{error}");
        }
    }

    #[test]
    fn no_route_is_ours_exactly_when_the_whole_family_has_none() {
        for address in [IpAddr::from([192, 0, 2, 1]), "2001:db8::1".parse().unwrap()] {
            let error = io::Error::from_raw_os_error(libc::ENETUNREACH);
            let failure = connect_failure(&error, address);
            let routed = FAMILIES.routed(address);
            assert_eq!(failure.family_unrouted, !routed);
            assert_eq!(failure.kind == FailureKind::Unreachable, routed);
        }
    }

    #[test]
    fn details_are_plain_words() {
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let failure = connect_failure(&refused, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(failure.detail, "connect: connection refused");
    }
}
