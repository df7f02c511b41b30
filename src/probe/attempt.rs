//! One probe from its first packet to its outcome, under one deadline.

use std::net::SocketAddr;
use std::time::Duration;

use super::connect::connect;
use super::prepared::Tools;
use super::tls::{Offer, handshake};
use super::{Progress, grpc, http, tcp};
use crate::clock::Clock;
use crate::health::check::{ProbeKind, TcpProbe, TlsProbe};
use crate::health::plan::{ProbeAddress, Target};
use crate::health::{Failure, FailureKind};

/// A deadline that fires this much too late was missed by us: the process was
/// starved or stopped, and the target cannot be blamed.
const STALL_MS: u64 = 500;

/// Makes one probe of `target`; what it sees on the way goes to `progress`.
pub(super) async fn attempt(
    target: &Target,
    tools: &Tools,
    clock: Clock,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let started_us = clock.mono_us();
    let deadline = Duration::from_millis(u64::from(target.timeout_ms.max(1)));
    match tokio::time::timeout(deadline, run(target, tools, progress)).await {
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

async fn run(target: &Target, tools: &Tools, progress: &mut Progress) -> Result<(), Failure> {
    let address = match &target.identity.address {
        ProbeAddress::Ip(address) => *address,
        ProbeAddress::Host(_) => return Err(not_built_in()),
    };
    match &target.identity.probe {
        ProbeKind::Http(probe) => http::check(probe, address, tools, progress).await,
        ProbeKind::Tcp(probe) => {
            tcp_probe(probe, SocketAddr::new(address, probe.port), tools, progress).await
        }
        ProbeKind::Icmp(_) => Err(not_built_in()),
        ProbeKind::Dns(_) => Err(not_built_in()),
        ProbeKind::Grpc(probe) => grpc::check(probe, address, tools, progress).await,
        ProbeKind::Exec(_) => Err(not_built_in()),
        ProbeKind::File(_) => Err(not_built_in()),
        ProbeKind::Always => Ok(()),
    }
}

fn not_built_in() -> Failure {
    Failure::new(FailureKind::Internal, "this type of check is not built in")
}

async fn tcp_probe(
    probe: &TcpProbe,
    to: SocketAddr,
    tools: &Tools,
    progress: &mut Progress,
) -> Result<(), Failure> {
    // RST would throw away what was sent last, if nothing is read after it.
    let reset_at_close = probe.send.is_none() || probe.expect.is_some();
    let stream = connect(to, &probe.route, reset_at_close).await?;
    let Some(tls) = &probe.tls else {
        return tcp::exchange(probe, stream, progress).await;
    };
    let name = tls_name(tls, to);
    let stream = handshake(tls, Offer::Nothing, &name, stream, tools, progress).await?;
    tcp::exchange(probe, stream, progress).await
}

fn tls_name(tls: &TlsProbe, to: SocketAddr) -> String {
    tls.sni.clone().unwrap_or_else(|| to.ip().to_string())
}
