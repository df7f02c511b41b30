//! Sockets of probes that send one packet, and what tells their replies apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::connect::{network_failure, source_failure};
use crate::health::Failure;
use crate::health::check::Route;

/// Packets of others that a probe passes over as fast as they come.
const STRANGERS_MAX: u32 = 64;
/// Then one is read so often: the probe goes on waiting, and the processor with others.
const STRANGER_EVERY: Duration = Duration::from_millis(1);

/// Counts the packets that are not the reply waited for.
#[derive(Debug, Default)]
pub(super) struct Strangers(u32);

impl Strangers {
    /// One more came. Waits where there were many.
    pub(super) async fn pass(&mut self) {
        self.0 += 1;
        if self.0 > STRANGERS_MAX {
            tokio::time::sleep(STRANGER_EVERY).await;
        }
    }
}

/// Distinct for every probe of this process, and not known from outside: it stands
/// for the address, the time to the nanosecond and the number of the probe.
pub(super) fn nonce(to: &IpAddr) -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // A multiplication by an odd number keeps counts distinct.
    let count = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = count ^ since.as_nanos() as u64;
    match to {
        IpAddr::V4(address) => xxh3_64_with_seed(&address.octets(), seed),
        IpAddr::V6(address) => xxh3_64_with_seed(&address.octets(), seed),
    }
}

/// Where packets to `to` come from; unspecified: the system chooses.
pub(super) fn source(route: &Route, to: IpAddr) -> IpAddr {
    match to {
        IpAddr::V4(_) => route.source_ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED).into(),
        IpAddr::V6(_) => route.source_ipv6.unwrap_or(Ipv6Addr::UNSPECIFIED).into(),
    }
}

/// A socket that hears `to` alone.
pub(super) fn udp_socket(route: &Route, to: SocketAddr) -> Result<UdpSocket, Failure> {
    let source = source(route, to.ip());
    let socket =
        std::net::UdpSocket::bind((source, 0)).map_err(|error| match source.is_unspecified() {
            true => network_failure(&error, to.ip(), "socket"),
            false => source_failure(&error, source),
        })?;
    socket.connect(to).map_err(|error| network_failure(&error, to.ip(), "connect"))?;
    socket
        .set_nonblocking(true)
        .and_then(|()| UdpSocket::from_std(socket))
        .map_err(|error| network_failure(&error, to.ip(), "socket"))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn a_few_strangers_cost_no_time_and_many_no_processor() {
        let mut strangers = Strangers::default();
        let mut waits = || {
            let passed = pin!(strangers.pass());
            passed.poll(&mut Context::from_waker(Waker::noop())).is_pending()
        };
        assert!((0..64).all(|_| !waits()));
        assert!((0..100).all(|_| waits()));
    }
}
