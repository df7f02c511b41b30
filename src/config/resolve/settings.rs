//! What a WIP says, completed by `[wip_defaults]`.

use super::{Resolver, needs_host};
use crate::config::mistakes;
use crate::config::model::{PoolId, ServiceBinding, WipSettings, Wips};
use crate::config::raw::{JoinedWips, RawSettings};
use crate::config::reader::At;
use crate::health::plan::Failback;
use crate::problem::{Problem, Spot};
use crate::steer::Policy;

/// Least TTL that health may give unless the config says, in seconds (docs/HEALTH.md).
const TTL_MIN_DEFAULT_S: u32 = 5;

impl Resolver<'_> {
    /// References of `[wip_defaults]` hold even where no WIP takes them.
    pub(super) fn check_defaults(&mut self) {
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
    pub(super) fn all_settings(&mut self, joined: &JoinedWips) -> Vec<WipSettings> {
        let resolved: Vec<WipSettings> = joined
            .settings
            .iter()
            .zip(&joined.firsts)
            .map(|(own, first)| self.settings(own, joined.wips.spot(*first)))
            .collect();
        self.wildcards_have_hosts(&joined.wips, &resolved);
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
        let mut settings = WipSettings {
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
            failback: or(own.failback, defaults.failback),
            ramp_ms: or(own.ramp_ms, defaults.ramp_ms),
            https: binding(&own.https, &defaults.https),
            svcb: binding(&own.svcb, &defaults.svcb),
            srv: own.srv.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        };
        self.members_are_of_one_kind(own, &mut settings, wip);
        self.comes_back(own, &settings);
        settings
    }

    /// Warns of ways to come back that surprise, or that nothing ever takes.
    fn comes_back(&mut self, own: &RawSettings, settings: &WipSettings) {
        let pools = || settings.pools.iter().filter_map(|id| self.pools.get(*id as usize));
        let spreads = |policy: Policy| !matches!(policy, Policy::Failover | Policy::Geo);
        let spread = pools().any(|pool| spreads(pool.policy) && pool.members.len() > 1)
            || spreads(settings.policy) && settings.pools.len() > 1;
        let gates = pools().flat_map(|pool| &pool.members).any(|member| {
            let site = member.datacenter.and_then(|id| self.datacenters.get(id as usize));
            site.is_some_and(|site| !site.health_checks.is_empty())
        });
        if settings.failback == Failback::Manual
            && spread
            && let Some(at) = own.failback.or(self.defaults.failback)
        {
            let title = "members that share the load come back by hand only";
            self.problems.push(
                Problem::warning("failback-shrinks", title)
                    .at_with(at.spot, "each that ever fails stays out")
                    .note("under round-robin, weighted and hash fewer and fewer carry all of it")
                    .help("write \"after:10m\" for members that flap, or watch those held back"),
            );
        }
        if !settings.health_checks.is_empty() || gates {
            return;
        }
        let failback = own.failback.filter(|at| at.value != Failback::Auto);
        let ramp = own.ramp_ms.filter(|at| at.value > 0);
        let written = [("failback", failback.map(|at| at.spot)), ("ramp", ramp.map(|at| at.spot))];
        for (key, spot) in written {
            if let Some(spot) = spot {
                self.problems.push(
                    Problem::warning("no-effect", format!("`{key}` has no effect"))
                        .at_with(spot, "no member has a check: none goes down")
                        .help("add: health_check = \"…\""),
                );
            }
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

    fn wildcards_have_hosts(&mut self, wips: &Wips, settings: &[WipSettings]) {
        for wip in wips.wildcards() {
            if wips.check_host(wip).is_some() {
                continue;
            }
            let checks = &settings[wips.settings(wip) as usize].health_checks;
            let check = checks
                .iter()
                .filter_map(|id| self.health_checks.get(*id as usize))
                .find(|check| needs_host(check));
            if let (Some(check), Some(spot)) = (check, wips.spot(wip)) {
                let title = format!("a wildcard WIP has no host for its check \"{}\"", check.name);
                self.problems.push(
                    Problem::error("check-needs-host", title)
                        .at_with(spot, "`*` cannot be asked for")
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

/// The WIP's own, or what it inherits; "false" is none.
fn binding(
    own: &Option<At<Option<ServiceBinding>>>,
    inherited: &Option<At<Option<ServiceBinding>>>,
) -> Option<ServiceBinding> {
    own.as_ref().or(inherited.as_ref())?.value.clone()
}

fn or<T: Copy + Default>(own: Option<At<T>>, inherited: Option<At<T>>) -> T {
    own.or(inherited).map(|at| at.value).unwrap_or_default()
}
