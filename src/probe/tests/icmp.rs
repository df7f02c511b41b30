//! ICMP checks of loopback addresses. Where the system permits no such sockets,
//! that is what they must say.

use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::health::check::{IcmpProbe, Route};

const NOT_PERMITTED: &str = "internal: icmp is not permitted: give the process CAP_NET_RAW, or \
                             its group a place in net.ipv4.ping_group_range";

async fn echo(to: IpAddr, route: Route) -> String {
    let mut target = target(ProbeKind::Icmp(IcmpProbe { route }));
    target.identity.address = to.into();
    target.timeout_ms = 5_000;
    probe_target(target).await
}

fn permitted(domain: socket2::Domain, protocol: socket2::Protocol) -> bool {
    [socket2::Type::DGRAM, socket2::Type::RAW]
        .into_iter()
        .any(|kind| socket2::Socket::new(domain, kind, Some(protocol)).is_ok())
}

#[tokio::test]
async fn loopback_echoes() {
    let ipv4 = permitted(socket2::Domain::IPV4, socket2::Protocol::ICMPV4);
    let expected = if ipv4 { "ok" } else { NOT_PERMITTED };
    let to = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(echo(to, Route::default()).await, expected);
    let from = |source: [u8; 4]| Route { source_ipv4: Some(source.into()), ..Route::default() };
    assert_eq!(echo(to, from([127, 0, 0, 77])).await, expected);
    if ipv4 {
        let seen = echo(to, from([192, 0, 2, 7])).await;
        assert_eq!(seen, "internal: source 192.0.2.7 is not on this host");
    }
    // A host may well have no IPv6.
    if TcpListener::bind("[::1]:0").await.is_ok() {
        let ipv6 = permitted(socket2::Domain::IPV6, socket2::Protocol::ICMPV6);
        let expected = if ipv6 { "ok" } else { NOT_PERMITTED };
        assert_eq!(echo(Ipv6Addr::LOCALHOST.into(), Route::default()).await, expected);
    }
}

#[tokio::test]
async fn many_echoes_at_once_each_find_their_own_reply() {
    if !permitted(socket2::Domain::IPV4, socket2::Protocol::ICMPV4) {
        return;
    }
    let probes: Vec<_> = (0..200_u8)
        .map(|last| tokio::spawn(echo([127, 0, 0, 1 + last % 4].into(), Route::default())))
        .collect();
    for probe in probes {
        assert_eq!(probe.await.unwrap(), "ok");
    }
}
