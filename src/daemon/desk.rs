//! The daemon as the admin listener sees it: status, explain, reload, metrics.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use super::publisher::{Cause, Publisher};
use super::watching::Watching;
use super::{checks, log_level, members, metrics, operate};
use crate::admin::types::{
    ChecksPage, ChecksRequest, ConfigProblem, ConfigStatus, DatacenterStatus, ExplainRequest,
    FailbackRequest, FailedBack, LimiterReleased, LogRequest, LogStatus, ReloadRefused,
    ReloadReport, Status, WebhookTested, WebhooksPage,
};
use crate::admin::{ApiError, Desk, Journal};
use crate::answer::explain::{self, Request};
use crate::dns::types::rtype;
use crate::health::plan::VerdictId;
use crate::health::table::{State, Table, Word};
use crate::listen::Running;
use crate::problem::{Problems, Sources};
use crate::snapshot::{Serving, WorkerState};

/// Answers the admin listener. It holds nothing that would keep a stop waiting.
pub(super) struct FrontDesk {
    publisher: Arc<Publisher>,
    running: Weak<Running>,
    runtime: Handle,
}

impl FrontDesk {
    pub(super) fn new(
        publisher: &Arc<Publisher>,
        running: &Arc<Running>,
        runtime: &Handle,
    ) -> FrontDesk {
        FrontDesk {
            publisher: Arc::clone(publisher),
            running: Arc::downgrade(running),
            runtime: runtime.clone(),
        }
    }
}

impl Desk for FrontDesk {
    fn metrics(&self, out: &mut String) {
        if let Some(running) = self.running.upgrade() {
            metrics::page(&self.publisher, &running, out);
        }
    }

    fn ready(&self) -> Result<(), String> {
        if self.publisher.stopping.load(Ordering::Relaxed) {
            return Err("stopping".to_owned());
        }
        let serving = self.publisher.serving();
        let hold_ms = u64::from(serving.snapshot.config.health.start_hold_ms);
        let judged = self.publisher.prober().is_some_and(|prober| prober.ready());
        if judged || self.publisher.uptime_ms() >= hold_ms {
            return Ok(());
        }
        Err("waiting for the first verdicts of the health checks".to_owned())
    }

    fn status(&self) -> Status {
        let serving = self.publisher.serving();
        let config = &serving.snapshot.config;
        let (members, members_not_up_total) =
            members::members_not_up(&self.publisher, &self.runtime, &serving);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: config.server.identity.clone(),
            started_at_s: self.publisher.started_at_s,
            not_ready: self.ready().err(),
            config: ConfigStatus {
                generation: serving.snapshot.generation,
                loaded_at_s: self.publisher.loaded_at_s.load(Ordering::Relaxed),
                last_reload_refused: self.publisher.refused(),
                zones: config.zones.len() as u64,
                wips: config.wips.len() as u64,
                probes: serving.snapshot.plan.targets.len() as u64,
            },
            health: checks::health(&self.publisher, &serving),
            datacenters: datacenters(&serving),
            members_not_up: members,
            members_not_up_total,
        }
    }

    fn explain(&self, request: &ExplainRequest) -> Result<serde_json::Value, ApiError> {
        let serving = self.publisher.serving();
        let number = rtype::parse(&request.record_type).ok_or_else(|| {
            ApiError::Invalid(format!(
                "\"{}\" is no record type: write A, AAAA or TYPE65",
                request.record_type
            ))
        })?;
        let thought = think_down(&serving, &request.down).map_err(ApiError::NotFound)?;
        // What the prober knows belongs to what is served, whatever is thought.
        let detail_of =
            |id: VerdictId| members::detail(&self.publisher, &self.runtime, &serving, id);
        let explanation = explain::explain(
            thought.as_ref().unwrap_or(&serving),
            &Request {
                name: &request.name,
                rtype: number,
                client: request.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                subnet: request.ecs.map(|network| (network.addr(), network.prefix_len())),
                detail_of: &detail_of,
                probed: true,
            },
        );
        serde_json::to_value(explanation).map_err(|error| ApiError::Invalid(error.to_string()))
    }

    fn log(&self) -> Result<LogStatus, ApiError> {
        log_level::status()
    }

    fn set_log(&self, request: &LogRequest) -> Result<LogStatus, ApiError> {
        log_level::set(&self.runtime, request, u64::from(self.publisher.clock.now().unix_s))
    }

    fn webhooks(&self) -> WebhooksPage {
        self.publisher.watching.get().map(Watching::webhooks).unwrap_or_default()
    }

    fn test_webhook(&self, name: &str) -> Result<WebhookTested, ApiError> {
        let none = || ApiError::NotReady("the server is starting".to_owned());
        let watching = self.publisher.watching.get().ok_or_else(none)?;
        watching.test_webhook(name, self.publisher.clock.unix_us())
    }

    fn checks(&self, request: &ChecksRequest) -> Result<ChecksPage, ApiError> {
        checks::checks(&self.publisher, &self.runtime, request)
    }

    fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.publisher.journal)
    }

    fn fail_back(&self, request: &FailbackRequest) -> Result<FailedBack, ApiError> {
        operate::fail_back(&self.publisher, &self.runtime, request)
    }

    fn release_limiter(&self) -> Result<LimiterReleased, ApiError> {
        operate::release_limiter(&self.publisher, &self.runtime)
    }

    fn reload(&self) -> Result<ReloadReport, ReloadRefused> {
        self.publisher.reload(Cause::Api)
    }
}

/// `serving` with every VIP of some datacenters down; none when there are none
/// to think down. The error names a datacenter that is not there.
pub(crate) fn think_down(serving: &Serving, down: &[String]) -> Result<Option<Serving>, String> {
    if down.is_empty() {
        return Ok(None);
    }
    let snapshot = &serving.snapshot;
    let datacenters = &snapshot.config.datacenters;
    if let Some(unknown) = down.iter().find(|name| !datacenters.iter().any(|dc| dc.name == **name))
    {
        let known: Vec<&str> = datacenters.iter().map(|dc| dc.name.as_str()).collect();
        return Err(format!(
            "there is no datacenter \"{unknown}\"; there are {}",
            known.join(", ")
        ));
    }
    let health = Table::new(serving.health.len());
    for id in 0..serving.health.len() as VerdictId {
        health.set(id, serving.health.word(id));
    }
    for (wip, entry) in snapshot.wips.iter().enumerate() {
        let strategy = snapshot.strategy(entry);
        let verdicts = snapshot.verdicts(entry, strategy);
        for (member, datacenter) in
            strategy.members.iter().zip(snapshot.member_datacenters(wip as u32))
        {
            let named = datacenter.is_some_and(|id| down.contains(&datacenters[id as usize].name));
            if named {
                for vip in member.vips.clone() {
                    let over = health.word(verdicts[usize::from(vip)]).over();
                    let word = Word::new(State::Down, false, over, u16::MAX, 0);
                    health.set(verdicts[usize::from(vip)], word);
                }
            }
        }
    }
    Ok(Some(Serving {
        snapshot: Arc::clone(snapshot),
        health: Arc::new(health),
        overlay: Arc::clone(&serving.overlay),
        workers: Arc::default(),
        counted_before: Arc::new(WorkerState::default()),
    }))
}

/// Problems as the API gives them.
pub(super) fn config_problems(problems: &Problems, sources: &Sources) -> Vec<ConfigProblem> {
    // Both sides are the project's own; a test of the admin types keeps them alike.
    serde_json::from_value(problems.to_json(sources)).unwrap_or_default()
}

fn datacenters(serving: &Serving) -> Vec<DatacenterStatus> {
    let snapshot = &serving.snapshot;
    let mut statuses: Vec<DatacenterStatus> = snapshot
        .config
        .datacenters
        .iter()
        .map(|datacenter| DatacenterStatus {
            name: datacenter.name.clone(),
            ..DatacenterStatus::default()
        })
        .collect();
    for (wip, entry) in snapshot.wips.iter().enumerate() {
        let strategy = snapshot.strategy(entry);
        let verdicts = snapshot.verdicts(entry, strategy);
        let datacenters = snapshot.member_datacenters(wip as u32);
        for (member, datacenter) in strategy.members.iter().zip(datacenters) {
            let Some(status) = datacenter.and_then(|id| statuses.get_mut(id as usize)) else {
                continue;
            };
            for vip in member.vips.clone() {
                let id = verdicts[usize::from(vip)];
                match serving.health.word(id).state() {
                    State::Up => status.up += 1,
                    State::Down => status.down += 1,
                    State::Unknown => status.unknown += 1,
                }
                let gate = snapshot.plan.verdicts.get(id as usize).and_then(|v| v.gate);
                if let Some(gate) = gate {
                    status.gate = Some(serving.health.word(gate).state().as_str().to_owned());
                }
            }
        }
    }
    statuses
}
