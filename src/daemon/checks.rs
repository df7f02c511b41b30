//! Health for the API: as a whole, what is probed, and how each probe is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::publisher::Publisher;
use crate::admin::ApiError;
use crate::admin::types::{
    CheckStatus, ChecksPage, ChecksRequest, DatacenterLosses, HealthStatus, LimiterState,
    ProberStatus,
};
use crate::dns::Name;
use crate::health::check::ProbeKind;
use crate::health::plan::{Plan, Target, TargetId, VerdictId};
use crate::health::table::State;
use crate::health::{Engine, FailureKind, LimiterPhase, LimiterStatus, Now, TargetStatus};
use crate::snapshot::{REFERENCE_CHECK, Serving, Snapshot};

/// Longest wait for the prober, which answers between two probes.
pub(super) const PROBER_WAIT: Duration = Duration::from_secs(2);

/// Asks the prober of `publisher`; none: it does not answer.
pub(super) fn look<T: Send + 'static>(
    publisher: &Publisher,
    runtime: &Handle,
    look: impl FnOnce(&Engine, Now) -> T + Send + 'static,
) -> Option<T> {
    let prober = publisher.prober()?;
    runtime.block_on(async { timeout(PROBER_WAIT, prober.look(look)).await.ok()?.ok() })
}

/// The state of some targets of `serving`; empty where the prober does not answer,
/// or follows another config by now.
pub(super) fn statuses(
    publisher: &Publisher,
    runtime: &Handle,
    serving: &Serving,
    ids: Vec<TargetId>,
) -> HashMap<TargetId, TargetStatus> {
    let table = Arc::clone(&serving.health);
    let found = look(publisher, runtime, move |engine, _| {
        if !Arc::ptr_eq(engine.table(), &table) {
            return HashMap::new();
        }
        ids.into_iter().filter_map(|id| Some((id, engine.status(id)?))).collect()
    });
    found.unwrap_or_default()
}

//------------ Summary --------------------------------------------------------

/// Health as a whole; needs no answer of the prober's.
pub(super) fn health(publisher: &Publisher, serving: &Serving) -> HealthStatus {
    let Some(prober) = publisher.prober() else { return HealthStatus::default() };
    let (summary, metrics) = (prober.summary(), prober.metrics());
    let states = summary.states();
    HealthStatus {
        up: states[State::Up as usize],
        down: states[State::Down as usize],
        unknown: states[State::Unknown as usize],
        pending: summary.pending,
        silent: summary.silent,
        certificates_expiring: summary.certificates_expiring,
        limiter: limiter(&summary.limiter, serving),
        prober: ProberStatus {
            lag_ms: (metrics.lag_s * 1_000.0) as u64,
            in_flight: metrics.in_flight,
            waiting: metrics.waiting,
            unresponsive: metrics.stalled || metrics.lag_s >= PROBER_WAIT.as_secs_f64(),
        },
    }
}

fn limiter(limiter: &LimiterStatus, serving: &Serving) -> LimiterState {
    let names = &serving.snapshot.config.datacenters;
    let datacenters = limiter.datacenters.iter().filter_map(|loss| {
        Some(DatacenterLosses {
            name: names.get(loss.datacenter as usize)?.name.clone(),
            targets: u64::from(loss.targets),
            counted: u64::from(loss.counted),
            lost: u64::from(loss.lost),
        })
    });
    let phase = match limiter.phase {
        LimiterPhase::Armed => "armed",
        LimiterPhase::Tripped => "tripped",
        LimiterPhase::Overruled => "overruled",
    };
    LimiterState {
        phase: phase.to_owned(),
        since_s: (limiter.since_s > 0).then_some(u64::from(limiter.since_s)),
        held: u64::from(limiter.held),
        trips: limiter.trips,
        datacenters: datacenters.collect(),
    }
}

/// The prober says nothing.
pub(super) fn no_answer() -> ApiError {
    ApiError::NotReady(format!("The prober did not answer within {} s.", PROBER_WAIT.as_secs()))
}

//------------ Checks ---------------------------------------------------------

/// What a page takes from the engine.
struct Found {
    plan: Arc<Plan>,
    now: Now,
    total: u64,
    /// At most as many as asked for, and one more where there are more.
    targets: Vec<(TargetId, TargetStatus)>,
}

/// One page of checks.
pub(super) fn checks(
    publisher: &Publisher,
    runtime: &Handle,
    request: &ChecksRequest,
) -> Result<ChecksPage, ApiError> {
    let serving = publisher.serving();
    let of_wip = match &request.wip {
        Some(name) => Some(targets_of(&serving.snapshot, name)?),
        None => None,
    };
    if let Some(name) = &request.check {
        let checks = &serving.snapshot.config.health_checks;
        // References are probed by a check of their own.
        if name != REFERENCE_CHECK && !checks.iter().any(|check| check.name == *name) {
            return Err(ApiError::NotFound(format!("there is no health check \"{name}\"")));
        }
    }
    let wanted = request.clone();
    let table = Arc::clone(&serving.health);
    let found = look(publisher, runtime, move |engine, now| {
        // Which targets a WIP has is known from the config in force alone.
        let is_in_force = Arc::ptr_eq(engine.table(), &table);
        (is_in_force || of_wip.is_none()).then(|| find(engine, now, &wanted, of_wip.as_ref()))
    });
    let found = found.ok_or_else(no_answer)?;
    let mut found =
        found.ok_or_else(|| ApiError::NotReady("A config is being loaded.".to_owned()))?;
    let limit = request.limit as usize;
    let next = (found.targets.len() > limit).then(|| found.targets[limit - 1].0);
    found.targets.truncate(limit);
    let datacenters = &serving.snapshot.config.datacenters;
    let checks = found.targets.iter().map(|(id, status)| {
        let target = &found.plan.targets[*id as usize];
        let datacenter = target.datacenter.and_then(|id| datacenters.get(id as usize));
        let datacenter = datacenter.map(|datacenter| datacenter.name.clone());
        CheckStatus { datacenter, ..check_status(target, status, found.now) }
    });
    Ok(ChecksPage {
        generation: serving.snapshot.generation,
        now_s: u64::from(found.now.unix_s),
        total: found.total,
        checks: checks.collect(),
        next,
    })
}

/// Runs on the prober's thread: it reads every target, and copies a page.
fn find(
    engine: &Engine,
    now: Now,
    request: &ChecksRequest,
    of_wip: Option<&HashSet<TargetId>>,
) -> Found {
    let plan = Arc::clone(engine.plan());
    let (mut total, mut targets) = (0, Vec::new());
    for (id, target) in (0..).zip(&plan.targets) {
        let is = |want: &Option<String>, has: &str| want.as_ref().is_none_or(|want| want == has);
        let is_wanted = of_wip.is_none_or(|ids| ids.contains(&id))
            && is(&request.member, &target.member)
            && is(&request.check, &target.check)
            && engine.glance(id).is_some_and(|glance| is(&request.state, glance.state.as_str()));
        if !is_wanted {
            continue;
        }
        total += 1;
        let is_later = request.after.is_none_or(|after| id > after);
        if is_later && targets.len() <= request.limit as usize {
            targets.extend(engine.status(id).map(|status| (id, status)));
        }
    }
    Found { plan, now, total, targets }
}

/// The index of WIP `name`, or of the one that it is another name of.
pub(super) fn find_wip(snapshot: &Snapshot, name: &Name) -> Result<u32, ApiError> {
    let wips = &snapshot.config.wips;
    let named = wips.iter().find(|(_, wire, _)| *wire == name.wire()).map(|(wip, ..)| wip);
    let alias = || wips.aliases().find(|(alias, _)| *alias == name).map(|(_, wip)| wip);
    let wip = named.or_else(alias);
    wip.ok_or_else(|| ApiError::NotFound(format!("there is no WIP \"{name}\"")))
}

/// Every target that the answers of WIP `name` depend on.
fn targets_of(snapshot: &Snapshot, name: &Name) -> Result<HashSet<TargetId>, ApiError> {
    let wip = find_wip(snapshot, name)?;
    let entry = &snapshot.wips[wip as usize];
    let plan = &snapshot.plan;
    let verdict = |id: VerdictId| plan.verdicts.get(id as usize);
    let own = snapshot.verdicts(entry, snapshot.strategy(entry));
    let own = own.iter().filter_map(|&id| verdict(id));
    let with_gates = own.flat_map(|own| [Some(own), own.gate.and_then(verdict)]);
    Ok(with_gates.flatten().flat_map(|verdict| verdict.targets.iter().copied()).collect())
}

fn check_status(target: &Target, status: &TargetStatus, now: Now) -> CheckStatus {
    let probed = status.last_at_s > 0;
    let failure = status.last_failure.as_ref();
    let failed = FailureKind::ALL.iter().zip(&status.results.failed);
    let states = [State::Unknown, State::Up, State::Down];
    CheckStatus {
        check: target.check.clone(),
        kind: kind(&target.identity.probe).to_owned(),
        wip: target.wip.clone(),
        member: target.member.clone(),
        datacenter: None,
        address: target.identity.address.to_string(),
        state: status.state.as_str().to_owned(),
        eligible: status.eligible,
        stale: status.stale,
        silent: status.silent,
        since_s: (status.since_s > 0).then_some(u64::from(status.since_s)),
        last_result: probed.then(|| if status.failing { "failed" } else { "passed" }.to_owned()),
        last_at_s: probed.then_some(u64::from(status.last_at_s)),
        last_latency_ms: probed.then_some(status.last_duration_ms),
        last_failure: failure.map(|failure| failure.kind.as_str().to_owned()),
        last_failure_detail: failure.map(|failure| failure.detail.clone()),
        next_probe_ms: status
            .next_ms
            .map(|next_ms| if status.in_flight { 0 } else { next_ms.saturating_sub(now.mono_ms) }),
        failures: status.failures,
        successes: status.successes,
        results_needed: status.results_needed,
        rise_effective: status.rise_effective,
        passed: u64::from(status.results.passed),
        failed: failed
            .filter(|(_, count)| **count > 0)
            .map(|(kind, count)| (kind.as_str().to_owned(), u64::from(*count)))
            .collect(),
        transitions: states
            .iter()
            .map(|state| {
                (state.as_str().to_owned(), u64::from(status.transitions[*state as usize]))
            })
            .collect(),
        certificate_expires_s: status
            .certificate_expires_s
            .map(|at_s| at_s as i64 - i64::from(now.unix_s)),
    }
}

fn kind(probe: &ProbeKind) -> &'static str {
    match probe {
        ProbeKind::Http(http) if http.tls.is_some() => "https",
        ProbeKind::Http(_) => "http",
        ProbeKind::Tcp(_) => "tcp",
        ProbeKind::Icmp(_) => "icmp",
        ProbeKind::Dns(_) => "dns",
        ProbeKind::Grpc(_) => "grpc",
        ProbeKind::Exec(_) => "exec",
        ProbeKind::File(_) => "file",
        ProbeKind::Always => "always",
    }
}
