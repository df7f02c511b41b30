//! From WIPs to probes: distinct targets, and the verdicts queries read
//! (docs/HEALTH.md). WIPs whose probes do not depend on their own name
//! share one list of verdicts.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::problem::{CompileProblem, Subject};
use crate::config::model::{
    CheckId, Config, Datacenter, DatacenterId, Member, SettingsId, WipSettings,
};
use crate::dns::name;
use crate::health::check::{ProbeKind, TcpProbe};
use crate::health::plan::{
    Identity, Plan, ProbeAddress, Target, TargetId, Thresholds, Verdict, VerdictId,
};
use crate::health::schedule;

/// References are probed as a check with all defaults would: fast enough to be
/// down when the targets that share their fate are.
const REFERENCE_THRESHOLDS: Thresholds = Thresholds { fall: 3, rise: 2, clear: 2 };
const REFERENCE_INTERVAL_MS: u32 = 5_000;
const REFERENCE_TIMEOUT_MS: u32 = 2_000;
const REFERENCE_CONFIRM_INTERVAL_MS: u32 = 1_000;

/// The name under which references are probed and shown.
pub const REFERENCE_CHECK: &str = "reference";

/// Collects targets and verdicts while WIPs go by.
pub(super) struct Targets<'a> {
    config: &'a Config,
    plan: Plan,
    target_ids: HashMap<Identity, TargetId>,
    verdict_ids: HashMap<Verdict, VerdictId>,
    lists: Vec<VerdictId>,
    /// List of each setting whose probes do not depend on the WIP's name.
    shared: Vec<Option<u32>>,
    by_host: Vec<bool>,
}

/// Who asks for a probe, for logs.
struct Asker<'a> {
    member: &'a str,
    wip: Option<&'a str>,
    datacenter: Option<DatacenterId>,
    host: &'a str,
}

impl<'a> Targets<'a> {
    pub(super) fn new(config: &'a Config) -> Targets<'a> {
        let by_host = config.wip_settings.iter().map(|settings| needs_host(config, settings));
        Targets {
            config,
            plan: Plan {
                limiter: config.health.limiter,
                certificate_warning_s: config.health.certificate_warning_s,
                ..Plan::default()
            },
            target_ids: HashMap::new(),
            verdict_ids: HashMap::new(),
            lists: Vec::new(),
            shared: vec![None; config.wip_settings.len()],
            by_host: by_host.collect(),
        }
    }

    /// Start of the WIP's list: one verdict for each VIP of its strategy.
    pub(super) fn verdicts_of(&mut self, wip: u32, settings: SettingsId) -> u32 {
        let settings_id = settings as usize;
        if let Some(start) = self.shared[settings_id] {
            return start;
        }
        let settings = &self.config.wip_settings[settings_id];
        let name = text(self.config.wips.name(wip));
        let host = self.config.wips.check_host(wip).unwrap_or(name.as_str());
        let start = self.lists.len() as u32;
        for &pool in &settings.pools {
            for member in &self.config.pools[pool as usize].members {
                self.member(settings, member, &name, host);
            }
        }
        if !self.by_host[settings_id] {
            self.shared[settings_id] = Some(start);
        }
        start
    }

    fn member(&mut self, settings: &WipSettings, member: &Member, wip: &str, host: &str) {
        let asker =
            Asker { member: &member.name, wip: Some(wip), datacenter: member.datacenter, host };
        // A name is probed where it leads: resolved by the prober, whose failures to do so
        // are no verdict.
        let name = member.cname.iter().map(|name| ProbeAddress::Host(name.to_string()));
        let vips = member.vips.iter().map(|vip| ProbeAddress::Ip(vip.address));
        for probed in name.chain(vips) {
            let address = probed.ip().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            let gate = member.datacenter.and_then(|id| self.gate(id, address));
            let targets = self.targets(&settings.health_checks, &probed, &asker);
            let verdict = self.verdict(Verdict {
                targets,
                require: settings.require,
                gate,
                failback: settings.failback,
                ramp_ms: member.ramp_ms.unwrap_or(settings.ramp_ms),
            });
            self.lists.push(verdict);
        }
    }

    /// The datacenter's own verdict on `address`, or on its first VIP of that
    /// family where the address is not one of its own.
    fn gate(&mut self, id: DatacenterId, address: IpAddr) -> Option<VerdictId> {
        let datacenter = &self.config.datacenters[id as usize];
        if datacenter.health_checks.is_empty() {
            return None;
        }
        let address = own_address(datacenter, address);
        let host = host_of_address(address);
        let asker =
            Asker { member: &datacenter.name, wip: None, datacenter: Some(id), host: &host };
        let targets = self.targets(&datacenter.health_checks, &address.into(), &asker);
        Some(self.verdict(Verdict { targets, require: datacenter.require, ..Verdict::default() }))
    }

    fn targets(
        &mut self,
        checks: &[CheckId],
        address: &ProbeAddress,
        asker: &Asker<'_>,
    ) -> Vec<TargetId> {
        let mut ids: Vec<TargetId> =
            checks.iter().map(|&check| self.target(check, address, asker)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn target(&mut self, check: CheckId, address: &ProbeAddress, asker: &Asker<'_>) -> TargetId {
        let check = &self.config.health_checks[check as usize];
        let identity = Identity {
            probe: with_host(&check.probe, asker.host),
            address: check.address.as_ref().unwrap_or(address).clone(),
        };
        let targets = &mut self.plan.targets;
        *self.target_ids.entry(identity).or_insert_with_key(|identity| {
            targets.push(Target {
                identity: identity.clone(),
                check: check.name.clone(),
                member: asker.member.to_owned(),
                wip: asker.wip.map(str::to_owned),
                datacenter: asker.datacenter,
                thresholds: Thresholds { fall: check.fall, rise: check.rise, clear: check.clear },
                interval_ms: check.interval_ms,
                timeout_ms: check.timeout_ms,
                confirm_interval_ms: check.confirm_interval_ms,
            });
            (targets.len() - 1) as TargetId
        })
    }

    /// A target that no verdict depends on. Where a check makes the very same
    /// probe, its target serves.
    fn reference(&mut self, at: SocketAddr) -> TargetId {
        let probe = ProbeKind::Tcp(TcpProbe { port: at.port(), ..TcpProbe::default() });
        let identity = Identity { probe, address: at.ip().into() };
        let targets = &mut self.plan.targets;
        *self.target_ids.entry(identity).or_insert_with_key(|identity| {
            targets.push(Target {
                identity: identity.clone(),
                check: REFERENCE_CHECK.to_owned(),
                member: at.to_string(),
                wip: None,
                datacenter: None,
                thresholds: REFERENCE_THRESHOLDS,
                interval_ms: REFERENCE_INTERVAL_MS,
                timeout_ms: REFERENCE_TIMEOUT_MS,
                confirm_interval_ms: REFERENCE_CONFIRM_INTERVAL_MS,
            });
            (targets.len() - 1) as TargetId
        })
    }

    fn verdict(&mut self, verdict: Verdict) -> VerdictId {
        let verdicts = &mut self.plan.verdicts;
        *self.verdict_ids.entry(verdict).or_insert_with_key(|verdict| {
            verdicts.push(verdict.clone());
            (verdicts.len() - 1) as VerdictId
        })
    }

    /// The plan, the lists, and what is wrong with them.
    pub(super) fn finish(mut self) -> (Plan, Vec<VerdictId>, Vec<CompileProblem>) {
        for &reference in &self.config.health.references {
            let id = self.reference(reference);
            self.plan.references.push(id);
        }
        let health = &self.config.health;
        let problems = budget_problem(&self.plan, health.probe_budget)
            .into_iter()
            .chain(concurrency_problem(&self.plan, health.concurrency));
        let problems = problems.collect();
        (self.plan, self.lists, problems)
    }
}

impl Plan {
    /// Probes per second when all is calm.
    pub fn probes_per_second(&self) -> f64 {
        let probed = |target: &&Target| target.identity.probe != ProbeKind::Always;
        self.targets
            .iter()
            .filter(probed)
            .map(|target| 1_000.0 / f64::from(target.interval_ms))
            // From 0.0, for the sum of nothing is -0.0.
            .fold(0.0, |sum, rate| sum + rate)
    }
}

fn budget_problem(plan: &Plan, budget: u32) -> Option<CompileProblem> {
    let rate = plan.probes_per_second();
    (rate > f64::from(budget)).then(|| {
        CompileProblem::error(
            "probe-budget",
            Subject::Config,
            format!(
                "this config plans {rate:.0} probes per second, over the budget of {budget} \
                 ({} distinct targets)",
                plan.targets.len()
            ),
        )
        .with_help(
            "let WIPs share a check (give the check a `host`), raise its `interval`, \
             or raise `probe_budget` in [health]",
        )
    })
}

/// Probes that time out keep their slots for so long that others would wait for them.
fn concurrency_problem(plan: &Plan, concurrency: u32) -> Option<CompileProblem> {
    let slots = plan.targets.iter().map(schedule::slots_when_silent).sum::<f64>();
    (slots > f64::from(concurrency)).then(|| {
        CompileProblem::warning(
            "probe-concurrency",
            Subject::Config,
            format!(
                "if no member answered, {slots:.0} probes would be in flight at once, and \
                 `concurrency` allows {concurrency}: with more than {:.0} % silent, all are \
                 probed late",
                100.0 * f64::from(concurrency) / slots
            ),
        )
        .with_help(
            "raise `concurrency` in [health], let WIPs share a check (give the check a \
             `host`), or make its `timeout` shorter or its `interval` longer",
        )
    })
}

/// True when a WIP's own name goes into its probes.
fn needs_host(config: &Config, settings: &WipSettings) -> bool {
    settings.health_checks.iter().any(|&check| match &config.health_checks[check as usize].probe {
        ProbeKind::Http(http) => http.host.is_none(),
        ProbeKind::Tcp(tcp) => tcp.tls.as_ref().is_some_and(|tls| tls.sni.is_none()),
        ProbeKind::Grpc(grpc) => grpc.host.is_none(),
        ProbeKind::Exec(exec) => exec.command.iter().any(|word| word.contains("{host}")),
        ProbeKind::Icmp(_) | ProbeKind::Dns(_) | ProbeKind::File(_) | ProbeKind::Always => false,
    })
}

/// The probe with host and SNI filled in.
fn with_host(probe: &ProbeKind, host: &str) -> ProbeKind {
    let mut probe = probe.clone();
    let (tls, name) = match &mut probe {
        ProbeKind::Http(http) => {
            let name = http.host.get_or_insert_with(|| host.to_owned()).clone();
            (http.tls.as_mut(), name)
        }
        ProbeKind::Tcp(tcp) => (tcp.tls.as_mut(), host.to_owned()),
        ProbeKind::Grpc(grpc) => {
            let name = grpc.host.get_or_insert_with(|| host.to_owned()).clone();
            (grpc.tls.as_mut(), name)
        }
        ProbeKind::Exec(exec) => {
            if exec.command.iter().any(|word| word.contains("{host}")) {
                exec.host = Some(host.to_owned());
            }
            (None, String::new())
        }
        ProbeKind::Icmp(_) | ProbeKind::Dns(_) | ProbeKind::File(_) | ProbeKind::Always => {
            (None, String::new())
        }
    };
    if let Some(tls) = tls {
        tls.sni.get_or_insert(name);
    }
    probe
}

fn own_address(datacenter: &Datacenter, address: IpAddr) -> IpAddr {
    let vips = || datacenter.vips.iter().map(|vip| vip.address);
    vips()
        .find(|&vip| vip == address)
        .or_else(|| vips().find(|vip| vip.is_ipv4() == address.is_ipv4()))
        .or_else(|| vips().next())
        .unwrap_or(address)
}

fn host_of_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

fn text(wire: &[u8]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = name::write_presentation(wire, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_do_not_last_for_silent_members_are_warned_of() {
        let target = |number: u8| Target {
            identity: Identity {
                probe: ProbeKind::Tcp(TcpProbe::default()),
                address: IpAddr::from([192, 0, 2, number]).into(),
            },
            check: String::new(),
            member: String::new(),
            wip: None,
            datacenter: None,
            thresholds: REFERENCE_THRESHOLDS,
            interval_ms: 5_000,
            timeout_ms: 2_000,
            confirm_interval_ms: 1_000,
        };
        let plan = Plan { targets: (0..100).map(target).collect(), ..Plan::default() };
        assert!(concurrency_problem(&plan, 40).is_none());
        let problem = concurrency_problem(&plan, 20).unwrap();
        assert!(!problem.is_error && problem.message.contains("50 %"), "{problem:?}");
    }
}
