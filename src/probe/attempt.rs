//! One probe from its first packet to its outcome, under one deadline.

use std::net::SocketAddr;
use std::time::Duration;

use super::bounded::Bounded;
use super::busy::Busy;
use super::connect::connect;
use super::prepared::Tools;
use super::resolve::Resolver;
use super::tls::{Offer, TLS_BYTES_MAX, handshake};
use super::{Phase, Progress, dns, exec, file, grpc, http, icmp, tcp};
use crate::clock::Clock;
use crate::health::check::{ProbeKind, Route, TcpProbe, TextMatch, TlsProbe};
use crate::health::plan::{ProbeAddress, Target};
use crate::health::{Failure, FailureKind};

/// A deadline that fires this much too late was missed by us: the process was
/// starved or stopped, and the target cannot be blamed.
const STALL_MS: u64 = 500;

/// A deadline that fires after more than a quarter of the time went by in waiting
/// for means of ours blames those; so does one while the threads are as late.
const WAITED_SHARE: u64 = 4;

/// What all probes share, whatever the plan.
#[derive(Debug, Default)]
pub(super) struct Commons {
    pub(super) resolver: Resolver,
    pub(super) turns: exec::Turns,
    pub(super) reads: file::Reads,
    pub(super) busy: Busy,
}

/// Makes one probe of `target`; what it sees on the way goes to `progress`.
pub(super) async fn attempt(
    target: &Target,
    tools: &Tools,
    commons: &Commons,
    clock: Clock,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let started_us = clock.mono_us();
    let deadline = Duration::from_millis(u64::from(target.timeout_ms.max(1)));
    let run = run(target, tools, commons, clock, progress);
    match tokio::time::timeout(deadline, run).await {
        Ok(result) => result,
        Err(_) => {
            let elapsed_ms = (clock.mono_us() - started_us) / 1_000;
            let late_ms = elapsed_ms.saturating_sub(deadline.as_millis() as u64);
            Err(if late_ms > STALL_MS {
                let detail = format!("the prober stood still for {late_ms} ms");
                Failure::new(FailureKind::Internal, detail)
            } else {
                let is_heavy = is_heavy(&target.identity.probe);
                let busy_ms = if is_heavy { commons.busy.late_ms(clock.now().mono_ms) } else { 0 };
                out_of_time(target.timeout_ms, busy_ms, progress)
            })
        }
    }
}

/// Whether a probe takes a processor for longer than a few system calls do: the
/// arithmetic of a TLS handshake, a pattern over a body, the start of a process. The
/// helpers make those.
pub(super) fn is_heavy(probe: &ProbeKind) -> bool {
    match probe {
        ProbeKind::Http(http) => {
            // A redirect may lead to TLS.
            let pattern = matches!(http.expect_body, Some(TextMatch::Regex(_)));
            http.tls.is_some() || http.redirects_max > 0 || pattern
        }
        ProbeKind::Tcp(tcp) => tcp.tls.is_some(),
        ProbeKind::Grpc(grpc) => grpc.tls.is_some(),
        ProbeKind::Exec(_) => true,
        ProbeKind::Icmp(_) | ProbeKind::Dns(_) | ProbeKind::File(_) | ProbeKind::Always => false,
    }
}

/// `busy_ms`: how late the threads were that made the probe.
fn out_of_time(timeout_ms: u32, busy_ms: u64, progress: &Progress) -> Failure {
    let missing = progress.phase.missing();
    let detail = format!("{missing} within {timeout_ms} ms");
    match progress.waited {
        Some((phase, waited_ms)) if waited_ms * WAITED_SHARE > u64::from(timeout_ms) => {
            let detail = format!("{detail}, {waited_ms} ms of them with {}", phase.missing());
            Failure::new(phase.kind(), detail)
        }
        _ if busy_ms * WAITED_SHARE > u64::from(timeout_ms) => {
            let detail = format!("{detail}, and the prober was too busy: {busy_ms} ms late");
            Failure::new(FailureKind::Internal, detail)
        }
        _ => Failure::new(progress.phase.kind(), detail),
    }
}

/// Waits for `what` in `phase`, and keeps how long.
async fn wait_for<T>(
    phase: Phase,
    what: impl Future<Output = T>,
    clock: Clock,
    progress: &mut Progress,
) -> T {
    let (before, started_us) = (progress.phase, clock.mono_us());
    progress.phase = phase;
    let done = what.await;
    progress.phase = before;
    progress.waited = Some((phase, (clock.mono_us() - started_us) / 1_000));
    done
}

async fn run(
    target: &Target,
    tools: &Tools,
    commons: &Commons,
    clock: Clock,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let probe = &target.identity.probe;
    let Some(route) = route_of(probe) else {
        return match probe {
            ProbeKind::Exec(probe) => {
                let turn = wait_for(Phase::Turn, commons.turns.take(), clock, progress).await?;
                Box::pin(exec::run(probe, target, turn, progress)).await
            }
            ProbeKind::File(probe) => {
                file::read(probe, &target.identity.address, &commons.reads, progress).await
            }
            _ => Ok(()),
        };
    };
    let address = match &target.identity.address {
        ProbeAddress::Ip(address) => *address,
        ProbeAddress::Host(host) => {
            let lookup = commons.resolver.resolve(host, route, clock);
            wait_for(Phase::Resolve, lookup, clock, progress).await?
        }
    };
    match probe {
        ProbeKind::Http(probe) => Box::pin(http::check(probe, address, tools, progress)).await,
        ProbeKind::Tcp(probe) => {
            tcp_probe(probe, SocketAddr::new(address, probe.port), tools, progress).await
        }
        ProbeKind::Icmp(probe) => Box::pin(icmp::exchange(probe, address, progress)).await,
        ProbeKind::Dns(probe) => {
            let to = SocketAddr::new(address, probe.port);
            Box::pin(dns::exchange(probe, to, progress)).await
        }
        ProbeKind::Grpc(probe) => {
            Box::pin(grpc::check(probe, address, target.timeout_ms, tools, progress)).await
        }
        ProbeKind::Exec(_) | ProbeKind::File(_) | ProbeKind::Always => Ok(()),
    }
}

/// How packets get to the target; none for probes that send none, whose address
/// need not be resolved.
fn route_of(probe: &ProbeKind) -> Option<&Route> {
    match probe {
        ProbeKind::Http(probe) => Some(&probe.route),
        ProbeKind::Tcp(probe) => Some(&probe.route),
        ProbeKind::Icmp(probe) => Some(&probe.route),
        ProbeKind::Dns(probe) => Some(&probe.route),
        ProbeKind::Grpc(probe) => Some(&probe.route),
        ProbeKind::Exec(_) | ProbeKind::File(_) | ProbeKind::Always => None,
    }
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
    let stream = Bounded::new(stream, tcp::READ_BYTES_MAX + TLS_BYTES_MAX);
    let exchange = async {
        let stream = handshake(tls, Offer::Nothing, &name, stream, tools, progress).await?;
        tcp::exchange(probe, stream, progress).await
    };
    // Boxed, as the other kinds are: a plain TCP probe has no need of the room.
    Box::pin(exchange).await
}

fn tls_name(tls: &TlsProbe, to: SocketAddr) -> String {
    tls.sni.clone().unwrap_or_else(|| to.ip().to_string())
}
