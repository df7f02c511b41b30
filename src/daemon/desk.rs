//! The daemon as the admin listener sees it: status, explain, reload, metrics.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use super::publisher::{Cause, Publisher};
use super::series::Series;
use super::simulate::Simulations;
use super::think::think_down;
use super::upgrade::Upgrader;
use super::watching::Watching;
use super::{checks, log_level, members, metrics, operate, supervised, support, wips};
use crate::admin::types::{
    ChecksPage, ChecksRequest, ClearRequest, ConfigProblem, ConfigStatus, DatacenterStatus,
    DatacentersPage, ExplainRequest, FailbackRequest, FailedBack, LimiterReleased, LogRequest,
    LogStatus, OverrideDone, OverrideRequest, OverridesPage, ReloadRefused, ReloadReport,
    SimulateRequest, Simulation, Status, SupportBundle, Upgraded, WebhookTested, WebhooksPage,
    WipStatus, WipsPage, WipsRequest,
};
use crate::admin::{ApiError, Desk, Journal};
use crate::answer::explain::{self, Request};
use crate::dns::Name;
use crate::dns::types::rtype;
use crate::health::plan::VerdictId;
use crate::health::table::{Override, State};
use crate::listen::Running;
use crate::problem::{Problems, Sources};
use crate::snapshot::Serving;

/// Answers the admin listener. It holds nothing that would keep a stop waiting.
pub(super) struct FrontDesk {
    publisher: Arc<Publisher>,
    running: Weak<Running>,
    upgrader: Arc<Upgrader>,
    runtime: Handle,
    simulations: Simulations,
    series: Arc<Series>,
}

impl FrontDesk {
    pub(super) fn new(
        publisher: &Arc<Publisher>,
        running: &Arc<Running>,
        upgrader: &Arc<Upgrader>,
        runtime: &Handle,
        series: Arc<Series>,
    ) -> FrontDesk {
        FrontDesk {
            publisher: Arc::clone(publisher),
            running: Arc::downgrade(running),
            upgrader: Arc::clone(upgrader),
            runtime: runtime.clone(),
            simulations: Simulations::default(),
            series,
        }
    }

    fn details(&self, serving: &Serving, ids: &[VerdictId]) -> HashMap<VerdictId, String> {
        members::details(&self.publisher, &self.runtime, serving, ids)
    }
}

impl Desk for FrontDesk {
    fn metrics(&self, out: &mut String) {
        if let Some(running) = self.running.upgrade() {
            metrics::page(&self.publisher, &running, out);
        }
    }

    fn ready(&self) -> Result<(), String> {
        supervised::readiness(&self.publisher)
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
            overrides: self.publisher.overrides.page(),
            zones: super::zones::page(&self.publisher),
            members_not_up: members,
            members_not_up_total,
        }
    }

    fn explain(&self, request: &ExplainRequest) -> Result<serde_json::Value, ApiError> {
        let told = self.publisher.overrides.told(&self.publisher.cell);
        let serving = &told.serving;
        let number = rtype::parse(&request.record_type).ok_or_else(|| {
            ApiError::Invalid(format!(
                "\"{}\" is no record type: write A, AAAA or TYPE65",
                request.record_type
            ))
        })?;
        let thought = think_down(serving, &request.down).map_err(ApiError::NotFound)?;
        // What the prober knows belongs to what is served, whatever is thought.
        let detail_of =
            |id: VerdictId| members::detail(&self.publisher, &self.runtime, serving, id);
        let explanation = explain::explain(
            thought.as_ref().unwrap_or(serving),
            &Request {
                name: &request.name,
                rtype: number,
                client: request.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                subnet: request.ecs.map(|network| (network.addr(), network.prefix_len())),
                detail_of: &detail_of,
                said_of: &|wip, member| {
                    let strategy = serving.snapshot.wips.get(wip as usize)?.strategy;
                    told.text(wip, strategy, member)
                },
                probed: true,
            },
        );
        serde_json::to_value(explanation).map_err(|error| ApiError::Invalid(error.to_string()))
    }

    fn simulate(&self, request: &SimulateRequest) -> Result<Simulation, ApiError> {
        self.simulations.run(&self.publisher.serving(), request)
    }

    fn log(&self) -> Result<LogStatus, ApiError> {
        log_level::status()
    }

    fn set_log(&self, request: &LogRequest) -> Result<LogStatus, ApiError> {
        log_level::set(&self.runtime, request, u64::from(self.publisher.clock.now().unix_s))
    }

    fn support_bundle(&self) -> SupportBundle {
        support::of_server(self, &self.publisher, &self.runtime)
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

    fn wips(&self, request: &WipsRequest) -> Result<WipsPage, ApiError> {
        let told = self.publisher.overrides.told(&self.publisher.cell);
        let serving = &told.serving;
        wips::page(serving, request, &|ids| self.details(serving, ids), told.deciders())
    }

    fn wip(&self, name: &Name) -> Result<WipStatus, ApiError> {
        let told = self.publisher.overrides.told(&self.publisher.cell);
        let serving = &told.serving;
        wips::one(serving, name, &|ids| self.details(serving, ids), told.deciders())
    }

    fn datacenters(&self) -> DatacentersPage {
        let mut page = wips::datacenters(&self.publisher.serving());
        self.series.fill(&mut page);
        page
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

    fn overrides(&self) -> OverridesPage {
        self.publisher.overrides.page()
    }

    fn say_override(
        &self,
        request: &OverrideRequest,
        peer: &str,
    ) -> Result<OverrideDone, ApiError> {
        self.publisher.overrides.say(&self.publisher.cell, request, peer)
    }

    fn clear_overrides(
        &self,
        request: &ClearRequest,
        peer: &str,
    ) -> Result<OverrideDone, ApiError> {
        self.publisher.overrides.clear(&self.publisher.cell, request, peer)
    }

    fn reload(&self) -> Result<ReloadReport, ReloadRefused> {
        self.publisher.reload(Cause::Api)
    }

    fn upgrade(&self) -> Result<Upgraded, ApiError> {
        self.upgrader.upgrade("API")
    }
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
    let mut words = Vec::new();
    for (wip, entry) in snapshot.wips.iter().enumerate() {
        let strategy = snapshot.strategy(entry);
        let verdicts = snapshot.verdicts(entry, strategy);
        let datacenters = snapshot.member_datacenters(wip as u32);
        words.clear();
        words.extend(serving.words(wip as u32));
        for (member, datacenter) in strategy.members.iter().zip(datacenters) {
            let Some(status) = datacenter.and_then(|id| statuses.get_mut(id as usize)) else {
                continue;
            };
            for vip in member.vips.clone() {
                let id = verdicts[usize::from(vip)];
                let word = words[usize::from(vip)];
                status.overridden += u64::from(word.over() != Override::None);
                match word.state() {
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
