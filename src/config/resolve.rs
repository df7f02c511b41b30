//! Names to indices: from [`Raw`] to [`Config`], with every dangling reference reported.

use std::collections::HashMap;

use super::mistakes;
use super::model::{
    CheckId, Config, Datacenter, DatacenterId, HealthCheck, Member, Pool, PoolId, WipSettings,
};
use super::origins::Origins;
use super::raw::{Raw, RawDatacenter, RawMember, RawPool, RawSettings};
use super::reader::At;
use super::warnings::Used;
use crate::geo::Serves;
use crate::health::check::{ProbeKind, Require};
use crate::problem::{Problem, Problems, Spot};
use crate::steer::Policy;

/// Least TTL that health may give unless the config says, in seconds (SEMANTICS §4).
const TTL_MIN_DEFAULT_S: u32 = 5;

/// Resolves everything. The config is usable only if no problem is an error.
pub(super) fn resolve(
    raw: Raw,
    settings: &[RawSettings],
    problems: &mut Problems,
) -> (Config, Origins, Used) {
    let mut resolver = Resolver {
        checks: index(raw.health_checks.iter().map(|check| check.value.name.as_str())),
        datacenter_ids: index(raw.datacenters.iter().map(|site| site.name.as_str())),
        pool_ids: index(raw.pools.iter().map(|pool| pool.name.as_str())),
        health_checks: raw.health_checks.iter().map(|check| &check.value).collect(),
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
    let wip_settings = resolver.all_settings(&raw, settings);
    let Resolver { datacenters, pools, pool_spots, used, .. } = resolver;
    let (config, origins) = finish(raw, datacenters, pools, pool_spots, wip_settings);
    (config, origins, used)
}

fn finish(
    raw: Raw,
    datacenters: Vec<Datacenter>,
    pools: Vec<Pool>,
    pool_spots: Vec<Spot>,
    wip_settings: Vec<WipSettings>,
) -> (Config, Origins) {
    let mut wips = raw.wips.rows;
    wips.shrink();
    let origins = Origins {
        zones: raw.zones.iter().map(|zone| zone.spot).collect(),
        master_files: raw.zones.iter().map(|zone| zone.master_file).collect(),
        datacenters: raw.datacenters.iter().map(|site| site.spot).collect(),
        health_checks: raw.health_checks.iter().map(|check| check.spot).collect(),
        pools: pool_spots,
        wips: raw.wips.spots,
        aliases: raw.wips.alias_spots,
    };
    let config = Config {
        server: raw.server,
        admin: raw.admin,
        geo: raw.geo,
        health: raw.health,
        metrics: raw.metrics,
        log: raw.log,
        zones: raw.zones.into_iter().map(|zone| zone.zone).collect(),
        datacenters,
        health_checks: raw.health_checks.into_iter().map(|check| check.value).collect(),
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
                self.problems.push(
                    Problem::error("check-needs-host", title)
                        .at_with(at.spot, "a site is no WIP, whose name could be sent")
                        .help(format!(
                            "add to [health_check.{}]: host = \"www.example.com\" (for tcp: sni)",
                            at.value
                        )),
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

    //--- Pools

    fn named_pool(&mut self, pool: &RawPool) -> Pool {
        Pool {
            name: Some(pool.name.clone()),
            policy: pool.policy,
            members: self.members(&pool.members.value),
            min_available: pool.min_available.value,
        }
    }

    fn own_pool(&mut self, policy: Policy, members: &At<Vec<At<RawMember>>>) -> PoolId {
        let key = (policy, members.value.clone());
        if let Some(id) = self.own_pools.get(&key) {
            return *id;
        }
        let pool =
            Pool { name: None, policy, members: self.members(&members.value), min_available: 1 };
        let id = self.pools.len() as PoolId;
        self.pools.push(pool);
        self.pool_spots.push(members.spot);
        self.own_pools.insert(key, id);
        id
    }

    fn members(&mut self, raw: &[At<RawMember>]) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::with_capacity(raw.len());
        let mut spots: HashMap<String, Spot> = HashMap::new();
        for at in raw {
            let Some(member) = self.member(&at.value) else { continue };
            if let Some(first) = spots.insert(member.name.clone(), at.spot) {
                let title = format!("two members have the name \"{}\"", member.name);
                self.problems.push(
                    Problem::error("duplicate-member", title)
                        .at_with(at.spot, "again here")
                        .at_with(first, "first here")
                        .help("give one another `name`"),
                );
            }
            members.push(member);
        }
        members
    }

    fn member(&mut self, raw: &RawMember) -> Option<Member> {
        let datacenter = match &raw.datacenter {
            None => None,
            Some(name) => Some(self.datacenter_id(name)?),
        };
        self.serves_can_be_decided(raw.serves.as_deref().unwrap_or_default());
        let site = datacenter.and_then(|id| self.datacenters.get(id as usize));
        let vips = match (&raw.vips, site) {
            (Some(vips), _) => plain(vips),
            (None, Some(site)) => site.vips.clone(),
            (None, None) => Vec::new(),
        };
        let name = raw
            .name
            .clone()
            .or_else(|| site.filter(|_| raw.vips.is_none()).map(|site| site.name.clone()))
            .or_else(|| vips.first().map(|vip| vip.address.to_string()))?;
        Some(Member {
            name,
            datacenter,
            vips,
            weight: raw.weight.or(site.map(|site| site.weight)).unwrap_or(1),
            location: raw.location.map(|l| l.0).or(site.and_then(|site| site.location)),
            serves: match (&raw.serves, site) {
                (Some(serves), _) => plain(serves),
                (None, site) => site.map(|site| site.serves.clone()).unwrap_or_default(),
            },
            bias: raw.bias.or(site.map(|site| site.bias)).unwrap_or(0),
        })
    }

    fn datacenter_id(&mut self, name: &At<String>) -> Option<DatacenterId> {
        let id = self.datacenter_ids.get(name.value.as_str()).copied();
        if let Some(id) = id {
            self.used.datacenters[id as usize] = true;
        } else {
            let known = self.datacenter_ids.keys().copied();
            self.problems.push(mistakes::unknown_reference(
                "datacenter",
                "datacenter",
                &name.value,
                name.spot,
                known,
            ));
        }
        id
    }

    //--- WIPs

    /// References of `[wip_defaults]` hold even where no WIP takes them.
    fn check_defaults(&mut self) {
        let defaults = self.defaults;
        if let Some(checks) = &defaults.health_checks {
            self.check_ids(&checks.value);
        }
        if let Some(pools) = &defaults.pools {
            self.pool_references(&pools.value);
        }
        if let Some(members) = &defaults.members {
            self.members(&members.value);
        }
        if let (Some(min), Some(ttl)) = (defaults.ttl_min_s, defaults.ttl_s)
            && min.value > ttl.value
        {
            self.problems.push(ttl_min_over_ttl(min, ttl));
        }
    }

    /// Resolves every distinct settings; the first WIP that uses one stands for all.
    fn all_settings(&mut self, raw: &Raw, settings: &[RawSettings]) -> Vec<WipSettings> {
        let mut first: Vec<Option<u32>> = vec![None; settings.len()];
        for wip in 0..raw.wips.rows.len() as u32 {
            first[raw.wips.rows.settings(wip) as usize].get_or_insert(wip);
        }
        let resolved: Vec<WipSettings> = settings
            .iter()
            .zip(&first)
            .map(|(own, wip)| {
                let spot = wip.and_then(|wip| raw.wips.spots.get(wip as usize).copied());
                self.settings(own, spot)
            })
            .collect();
        self.wildcards_have_hosts(raw, &resolved);
        resolved
    }

    fn settings(&mut self, own: &RawSettings, wip: Option<Spot>) -> WipSettings {
        let defaults = self.defaults;
        let policy = or(own.policy, defaults.policy);
        // Own checks come with their own `require`.
        let (checks, require) = match &own.health_checks {
            Some(checks) => (Some(checks), own.require),
            None => (defaults.health_checks.as_ref(), own.require.or(defaults.require)),
        };
        let checks = checks.map(|at| at.value.as_slice()).unwrap_or_default();
        let (ttl_s, ttl_min_s) = self.ttls(own);
        WipSettings {
            policy,
            pools: self.pools_of(own, policy, wip),
            health_checks: self.check_ids(checks),
            require: self.require(require.filter(|_| !checks.is_empty()), checks),
            ttl_s,
            ttl_min_s,
            max_answers: or(own.max_answers, defaults.max_answers).max(1),
            on_all_down: own
                .on_all_down
                .as_ref()
                .or(defaults.on_all_down.as_ref())
                .map(|at| at.value.clone())
                .unwrap_or_default(),
            ecs: own.ecs.or(defaults.ecs).is_none_or(|at| at.value),
            families: or(own.families, defaults.families),
        }
    }

    /// `members` or `pools`, the WIP's own before those of `[wip_defaults]`.
    fn pools_of(&mut self, own: &RawSettings, policy: Policy, wip: Option<Spot>) -> Vec<PoolId> {
        let from = if own.members.is_some() || own.pools.is_some() { own } else { self.defaults };
        if let Some(members) = &from.members {
            let members = members.clone();
            return vec![self.own_pool(policy, &members)];
        }
        if let Some(pools) = &from.pools {
            return self.pool_references(&pools.value.clone());
        }
        if let Some(spot) = wip {
            self.problems.push(
                Problem::error("missing-key", "a WIP has neither `members` nor `pools`")
                    .at_with(spot, "nothing to choose from")
                    .help("add to it, or to [wip_defaults]: members = [\"DATACENTER\", …]"),
            );
        }
        Vec::new()
    }

    fn pool_references(&mut self, names: &[At<String>]) -> Vec<PoolId> {
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            match self.pool_ids.get(name.value.as_str()) {
                Some(id) => {
                    self.used.pools[*id as usize] = true;
                    ids.push(*id);
                }
                None => {
                    let known = self.pool_ids.keys().copied();
                    let mut problem =
                        mistakes::unknown_reference("pool", "pool", &name.value, name.spot, known);
                    if self.datacenter_ids.contains_key(name.value.as_str()) {
                        problem = problem.help(
                            "that is a datacenter: name it in `members`, or put it into a pool",
                        );
                    }
                    self.problems.push(problem);
                }
            }
        }
        ids
    }

    /// `ttl` and `ttl_min`, in seconds. An inherited `ttl_min` gives way to a shorter own `ttl`.
    fn ttls(&mut self, own: &RawSettings) -> (u32, u32) {
        let ttl = own.ttl_s.or(self.defaults.ttl_s);
        let ttl_s = ttl.map_or(0, |at| at.value);
        let inherited = self.defaults.ttl_min_s.filter(|_| own.ttl_min_s.is_none());
        let ttl_min_s = match own.ttl_min_s {
            Some(min) => min.value,
            None => inherited.map_or(TTL_MIN_DEFAULT_S, |at| at.value).min(ttl_s),
        };
        if let (Some(min), Some(ttl)) = (own.ttl_min_s, ttl)
            && min.value > ttl.value
        {
            self.problems.push(ttl_min_over_ttl(min, ttl));
        }
        (ttl_s, ttl_min_s)
    }

    fn wildcards_have_hosts(&mut self, raw: &Raw, settings: &[WipSettings]) {
        for wip in &raw.wips.wildcards {
            if raw.wips.rows.check_hosts.contains_key(wip) {
                continue;
            }
            let checks = &settings[raw.wips.rows.settings(*wip) as usize].health_checks;
            let check = checks
                .iter()
                .filter_map(|id| self.health_checks.get(*id as usize))
                .find(|check| needs_host(check));
            if let (Some(check), Some(spot)) = (check, raw.wips.spots.get(*wip as usize)) {
                let title = format!("a wildcard WIP has no host for its check \"{}\"", check.name);
                self.problems.push(
                    Problem::error("check-needs-host", title)
                        .at_with(*spot, "`*` cannot be asked for")
                        .help("add: check_host = \"www.example.com\""),
                );
            }
        }
    }
}

/// A `ttl_min` that is above its `ttl`.
fn ttl_min_over_ttl(min: At<u32>, ttl: At<u32>) -> Problem {
    let title = format!("`ttl_min` ({}s) is more than `ttl` ({}s)", min.value, ttl.value);
    Problem::error("out-of-range", title)
        .at_with(min.spot, "must be at most the TTL")
        .at_with(ttl.spot, "the TTL")
}

/// Whether a probe sends a name that the check itself does not give.
fn needs_host(check: &HealthCheck) -> bool {
    match &check.probe {
        ProbeKind::Http(http) => http.host.is_none(),
        ProbeKind::Tcp(tcp) => tcp.tls.as_ref().is_some_and(|tls| tls.sni.is_none()),
        ProbeKind::Always => false,
    }
}

fn or<T: Copy + Default>(own: Option<At<T>>, inherited: Option<At<T>>) -> T {
    own.or(inherited).map(|at| at.value).unwrap_or_default()
}

fn plain<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|at| at.value.clone()).collect()
}
