//! Whether this host has a way out in an address family at all.
//!
//! A default route says so. A host may have none and still reach its sites, by routes to
//! each of them (BGP within an organisation): there a route that is withdrawn is a loss
//! of that site, and not of the family. So what was reached without a default counts, too.

use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};

/// The families of this host.
pub(super) static FAMILIES: Families = Families::new(default_route);

/// Nothing was reached since it was last asked for a default route in vain.
const UNKNOWN: u8 = 0;
/// There was a default route.
const DEFAULT: u8 = 1;
/// Something was reached without one.
const SPECIFIC: u8 = 2;

/// What is known of IPv4 and of IPv6.
#[derive(Debug)]
pub(super) struct Families {
    known: [AtomicU8; 2],
    default_route: fn(bool) -> bool,
}

impl Families {
    const fn new(default_route: fn(bool) -> bool) -> Families {
        Families { known: [AtomicU8::new(UNKNOWN), AtomicU8::new(UNKNOWN)], default_route }
    }

    fn of(&self, address: IpAddr) -> &AtomicU8 {
        &self.known[usize::from(address.is_ipv6())]
    }

    /// A probe heard from `address`. The routing table is asked at the first time only.
    pub(super) fn reached(&self, address: IpAddr) {
        let known = self.of(address);
        // Loopback is there without any network.
        if known.load(Ordering::Relaxed) == UNKNOWN && !address.is_loopback() {
            let default = (self.default_route)(address.is_ipv6());
            known.store(if default { DEFAULT } else { SPECIFIC }, Ordering::Relaxed);
        }
    }

    /// Whether the family of `address`, to which there is no route, has any other.
    pub(super) fn routed(&self, address: IpAddr) -> bool {
        let known = self.of(address);
        if (self.default_route)(address.is_ipv6()) {
            known.store(DEFAULT, Ordering::Relaxed);
            return true;
        }
        // A default that is gone: what is reached from now on tells whether more is.
        let _ = known.compare_exchange(DEFAULT, UNKNOWN, Ordering::Relaxed, Ordering::Relaxed);
        known.load(Ordering::Relaxed) == SPECIFIC
    }
}

/// Connecting a UDP socket asks the routing table and sends nothing.
fn default_route(ipv6: bool) -> bool {
    // Root servers A and M: far away, and never on a network of ours.
    let (local, far): (&str, [&str; 2]) = if ipv6 {
        ("[::]:0", ["[2001:503:ba3e::2:30]:53", "[2001:dc3::35]:53"])
    } else {
        ("0.0.0.0:0", ["198.41.0.4:53", "202.12.27.33:53"])
    };
    let Ok(socket) = UdpSocket::bind(local) else { return false };
    far.iter().any(|address| socket.connect(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const SIX: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    #[test]
    fn a_default_route_is_a_way_out_whatever_was_reached() {
        let families = Families::new(|_| true);
        assert!(families.routed(FOUR) && families.routed(SIX));
    }

    #[test]
    fn without_a_default_a_site_that_was_reached_shows_that_the_family_is_routed() {
        let families = Families::new(|_| false);
        assert!(!families.routed(FOUR), "nothing was ever reached");
        families.reached([127, 0, 0, 1].into());
        assert!(!families.routed(FOUR), "loopback is no way out");
        families.reached(FOUR);
        assert!(families.routed(FOUR));
        assert!(!families.routed(SIX), "the other family is another matter");
    }

    #[test]
    fn a_host_that_lost_its_default_is_unrouted_unless_more_is_reached() {
        static DEFAULT_GONE: std::sync::atomic::AtomicBool =
            std::sync::atomic::AtomicBool::new(false);
        let families = Families::new(|_| !DEFAULT_GONE.load(Ordering::Relaxed));
        families.reached(SIX);
        assert!(families.routed(SIX));
        DEFAULT_GONE.store(true, Ordering::Relaxed);
        assert!(!families.routed(SIX), "it was reached by the default");
        families.reached(SIX);
        assert!(families.routed(SIX), "and now without");
    }
}
