//! Names to indices: from [`Raw`] to [`Config`], with every dangling reference reported.

mod members;
mod names;
mod settings;

use std::collections::HashMap;

use super::mistakes;
use super::model::{
    CheckId, Config, Datacenter, DatacenterId, HealthCheck, Pool, PoolId, WipSettings, Wips,
};
use super::origins::Origins;
use super::raw::{JoinedWips, Raw, RawDatacenter, RawMember, RawSettings};
use super::reader::At;
use super::sections::transports::check_listens;
use super::warnings::Used;
use crate::geo::Serves;
use crate::health::check::{ProbeKind, Require};
use crate::problem::{Problem, Problems, Spot};
use crate::steer::Policy;

/// Resolves everything. The config is usable only if no problem is an error.
pub(super) fn resolve(
    raw: Raw,
    joined: JoinedWips,
    problems: &mut Problems,
) -> (Config, Origins, Used) {
    let mut resolver = Resolver {
        checks: index(raw.health_checks.iter().map(|raw| raw.check.name.as_str())),
        datacenter_ids: index(raw.datacenters.iter().map(|site| site.name.as_str())),
        pool_ids: index(raw.pools.iter().map(|pool| pool.name.as_str())),
        health_checks: raw.health_checks.iter().map(|raw| &raw.check).collect(),
        datacenters: Vec::new(),
        pools: Vec::new(),
        pool_spots: Vec::new(),
        own_pools: HashMap::new(),
        defaults: &raw.defaults,
        has_databases: !raw.geo.databases.is_empty(),
        used: Used {
            checks: vec![false; raw.health_checks.len()],
            datacenters: vec![false; raw.datacenters.len()],
            pools: vec![false; raw.pools.len()],
        },
        problems,
    };
    for site in &raw.datacenters {
        let site = resolver.datacenter(site);
        resolver.datacenters.push(site);
    }
    for pool in &raw.pools {
        let resolved = resolver.named_pool(pool);
        resolver.pools.push(resolved);
        resolver.pool_spots.push(pool.spot);
    }
    resolver.check_defaults();
    check_listens(&raw.server, &raw.listens, resolver.problems);
    let wip_settings = resolver.all_settings(&joined);
    let Resolver { datacenters, pools, pool_spots, used, .. } = resolver;
    let (config, origins) = finish(raw, joined.wips, datacenters, pools, pool_spots, wip_settings);
    (config, origins, used)
}

fn finish(
    raw: Raw,
    wips: Wips,
    datacenters: Vec<Datacenter>,
    pools: Vec<Pool>,
    pool_spots: Vec<Spot>,
    wip_settings: Vec<WipSettings>,
) -> (Config, Origins) {
    let origins = Origins {
        zones: raw.zones.iter().map(|zone| zone.spot).collect(),
        master_files: raw.zones.iter().map(|zone| zone.master_file).collect(),
        records: raw.zones.iter().map(|zone| zone.record_spots.clone()).collect(),
        datacenters: raw.datacenters.iter().map(|site| site.spot).collect(),
        references: raw.reference_spots,
        health_checks: raw.health_checks.iter().map(|check| check.spot).collect(),
        check_keys: raw.health_checks.iter().map(|check| check.key_spots.clone()).collect(),
        pools: pool_spots,
        wips: wips.clone(),
    };
    let config = Config {
        server: raw.server,
        tls: raw.tls,
        proxy: raw.proxy,
        access: raw.access,
        rate_limit: raw.rate_limit,
        cookies: raw.cookies,
        admin: raw.admin,
        geo: raw.geo,
        health: raw.health,
        safety: raw.safety,
        metrics: raw.metrics,
        log: raw.log,
        query_log: raw.query_log,
        webhooks: raw.webhooks,
        tsig: raw.tsig,
        zones: raw.zones.into_iter().map(|zone| zone.zone).collect(),
        datacenters,
        health_checks: raw.health_checks.into_iter().map(|raw| raw.check).collect(),
        pools,
        wip_settings,
        wips,
        files: Vec::new(),
        include_patterns: Vec::new(),
    };
    (config, origins)
}

fn index<'n>(names: impl Iterator<Item = &'n str>) -> HashMap<&'n str, u32> {
    names.enumerate().map(|(index, name)| (name, index as u32)).collect()
}

//------------ Resolver -------------------------------------------------------

struct Resolver<'r> {
    checks: HashMap<&'r str, CheckId>,
    datacenter_ids: HashMap<&'r str, DatacenterId>,
    pool_ids: HashMap<&'r str, PoolId>,
    health_checks: Vec<&'r HealthCheck>,
    datacenters: Vec<Datacenter>,
    pools: Vec<Pool>,
    pool_spots: Vec<Spot>,
    /// Unnamed pools by what makes them equal.
    own_pools: HashMap<(Policy, Vec<At<RawMember>>), PoolId>,
    defaults: &'r RawSettings,
    /// Whether databases other than the built-in country table are read.
    has_databases: bool,
    used: Used,
    problems: &'r mut Problems,
}

impl Resolver<'_> {
    fn datacenter(&mut self, site: &RawDatacenter) -> Datacenter {
        let health_checks = self.check_ids(&site.health_checks);
        let require = self.require(site.require, &site.health_checks);
        for (at, id) in site.health_checks.iter().zip(&health_checks) {
            if self.health_checks.get(*id as usize).is_some_and(|check| needs_host(check)) {
                let title =
                    format!("the check \"{}\" of a whole site has no host to send", at.value);
                let name = &at.value;
                let help = match &self.health_checks[*id as usize].probe {
                    ProbeKind::Tcp(_) => {
                        format!("add to [health_check.{name}]: sni = \"www.example.com\"")
                    }
                    ProbeKind::Exec(_) => {
                        format!("write what is meant for \"{{host}}\" in [health_check.{name}]")
                    }
                    _ => format!("add to [health_check.{name}]: host = \"www.example.com\""),
                };
                self.problems.push(
                    Problem::error("check-needs-host", title)
                        .at_with(at.spot, "a site is no WIP, whose name could be sent")
                        .help(help),
                );
            }
        }
        self.serves_can_be_decided(&site.serves);
        Datacenter {
            name: site.name.clone(),
            vips: plain(&site.vips),
            location: site.location,
            serves: plain(&site.serves),
            bias: site.bias,
            weight: site.weight,
            wildcard: site.wildcard.as_ref().map(|wildcard| wildcard.value.clone()),
            health_checks,
            require,
            ramp_ms: site.ramp_ms,
        }
    }

    /// Rules that the built-in table of countries knows nothing of.
    fn serves_can_be_decided(&mut self, serves: &[At<Serves>]) {
        for rule in serves.iter().filter(|_| !self.has_databases) {
            let (what, database) = match rule.value {
                Serves::Asn(_) => ("an AS number", "an ASN"),
                Serves::Region(_) => ("a region", "a city"),
                _ => continue,
            };
            let title = format!("no database is given that knows {what}");
            self.problems.push(
                Problem::warning("serves-undecidable", title)
                    .at_with(rule.spot, "never matches")
                    .help(format!("add {database} database: [geo] databases = [\"…\"]")),
            );
        }
    }

    /// Ids of those that exist; the others are reported.
    fn check_ids(&mut self, names: &[At<String>]) -> Vec<CheckId> {
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            match self.checks.get(name.value.as_str()) {
                Some(id) => {
                    self.used.checks[*id as usize] = true;
                    ids.push(*id);
                }
                None => {
                    let known = self.checks.keys().copied();
                    self.problems.push(mistakes::unknown_reference(
                        "health check",
                        "health_check",
                        &name.value,
                        name.spot,
                        known,
                    ));
                }
            }
        }
        ids
    }

    fn require(&mut self, require: Option<At<Require>>, checks: &[At<String>]) -> Require {
        let Some(require) = require else { return Require::All };
        if let Require::AtLeast(number) = require.value
            && usize::from(number) > checks.len()
        {
            let title = format!("`require` asks for {number} checks of {}", checks.len());
            let mut problem =
                Problem::error("out-of-range", title).at_with(require.spot, "could never be met");
            if let Some(first) = checks.first() {
                problem = problem.at_with(first.spot, "the checks");
            }
            self.problems.push(problem);
        }
        require.value
    }
}

/// Whether a probe sends a name that the check itself does not give.
fn needs_host(check: &HealthCheck) -> bool {
    match &check.probe {
        ProbeKind::Http(http) => http.host.is_none(),
        ProbeKind::Tcp(tcp) => tcp.tls.as_ref().is_some_and(|tls| tls.sni.is_none()),
        ProbeKind::Grpc(grpc) => grpc.host.is_none(),
        ProbeKind::Exec(exec) => exec.command.iter().any(|word| word.contains("{host}")),
        ProbeKind::Icmp(_) | ProbeKind::Dns(_) | ProbeKind::File(_) | ProbeKind::Always => false,
    }
}

fn plain<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|at| at.value.clone()).collect()
}
