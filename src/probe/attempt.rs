//! One probe from its first packet to its outcome, under one deadline.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::connect::connect;
use super::tls::TlsConfigs;
use super::{Phase, Progress, http, tcp};
use crate::clock::Clock;
use crate::health::check::{HttpProbe, ProbeKind, TcpProbe, TlsProbe};
use crate::health::plan::{ProbeAddress, Target};
use crate::health::{Failure, FailureKind};

/// A deadline that fires this much too late was missed by us: the process was
/// starved or stopped, and the target cannot be blamed.
const STALL_MS: u64 = 500;

/// Makes one probe of `target`; what it sees on the way goes to `progress`.
pub(super) async fn attempt(
    target: &Target,
    tls: &TlsConfigs,
    clock: Clock,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let started_us = clock.mono_us();
    let deadline = Duration::from_millis(u64::from(target.timeout_ms.max(1)));
    match tokio::time::timeout(deadline, run(target, tls, progress)).await {
        Ok(result) => result,
        Err(_) => {
            let elapsed_ms = (clock.mono_us() - started_us) / 1_000;
            let late_ms = elapsed_ms.saturating_sub(deadline.as_millis() as u64);
            Err(if late_ms > STALL_MS {
                let detail = format!("the prober stood still for {late_ms} ms");
                Failure::new(FailureKind::Internal, detail)
            } else {
                let missing = progress.phase.missing();
                let detail = format!("{missing} within {} ms", target.timeout_ms);
                Failure::new(FailureKind::Timeout, detail)
            })
        }
    }
}

async fn run(target: &Target, tls: &TlsConfigs, progress: &mut Progress) -> Result<(), Failure> {
    let address = match &target.identity.address {
        ProbeAddress::Ip(address) => *address,
        ProbeAddress::Host(_) => return Err(not_built_in()),
    };
    match &target.identity.probe {
        ProbeKind::Http(probe) => {
            let host = probe.host.clone().unwrap_or_else(|| host_of(address));
            // Boxed, so that a probe of another kind has no need of the room.
            let to = SocketAddr::new(address, probe.port);
            Box::pin(http_probe(probe, &host, to, tls, progress)).await
        }
        ProbeKind::Tcp(probe) => {
            tcp_probe(probe, SocketAddr::new(address, probe.port), tls, progress).await
        }
        ProbeKind::Icmp(_) => Err(not_built_in()),
        ProbeKind::Dns(_) => Err(not_built_in()),
        ProbeKind::Grpc(_) => Err(not_built_in()),
        ProbeKind::Exec(_) => Err(not_built_in()),
        ProbeKind::File(_) => Err(not_built_in()),
        ProbeKind::Always => Ok(()),
    }
}

fn not_built_in() -> Failure {
    Failure::new(FailureKind::Internal, "this type of check is not built in")
}

/// An address as `Host` has it.
fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

async fn http_probe(
    probe: &HttpProbe,
    host: &str,
    to: SocketAddr,
    configs: &TlsConfigs,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let stream = connect(to, true).await?;
    let Some(tls) = &probe.tls else {
        return http::exchange(probe, host, stream, progress).await;
    };
    progress.phase = Phase::Handshake;
    let name = tls.sni.as_deref().unwrap_or_else(|| without_port(host));
    let stream = configs.handshake(tls, true, name, stream).await?;
    http::exchange(probe, host, stream, progress).await
}

async fn tcp_probe(
    probe: &TcpProbe,
    to: SocketAddr,
    configs: &TlsConfigs,
    progress: &mut Progress,
) -> Result<(), Failure> {
    // RST would throw away what was sent last, if nothing is read after it.
    let reset_at_close = probe.send.is_none() || probe.expect.is_some();
    let stream = connect(to, reset_at_close).await?;
    let Some(tls) = &probe.tls else {
        return tcp::exchange(probe, stream, progress).await;
    };
    progress.phase = Phase::Handshake;
    let name = tls_name(tls, to);
    let exchange = async {
        let stream = configs.handshake(tls, false, &name, stream).await?;
        tcp::exchange(probe, stream, progress).await
    };
    Box::pin(exchange).await
}

fn tls_name(tls: &TlsProbe, to: SocketAddr) -> String {
    tls.sni.clone().unwrap_or_else(|| to.ip().to_string())
}

/// "shop.example.com:8443" and "[2001:db8::1]:8443" without their port.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        // More than one colon: an IPv6 address without brackets.
        Some((name, port)) if !name.contains(':') && port.parse::<u16>().is_ok() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_brackets_are_no_part_of_a_name() {
        for (host, name) in [
            ("shop.example.com", "shop.example.com"),
            ("shop.example.com:8443", "shop.example.com"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:db8::1]:8443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[", ""),
            ("", ""),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
