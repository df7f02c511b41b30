//! What is allowed and probably not meant: things unused, families, places, weights.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::model::{Config, DatacenterId, Member, Pool, PoolId, SettingsId, WipSettings};
use super::origins::Origins;
use super::values;
use crate::problem::{Problem, Problems, Spot};
use crate::steer::{Families, Policy};

/// Most names listed in one warning.
const LISTED_MAX: usize = 6;

/// What something refers to, by index.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) checks: Vec<bool>,
    pub(super) datacenters: Vec<bool>,
    pub(super) pools: Vec<bool>,
}

/// Warns of a config whose references all hold.
pub(super) fn check(config: &Config, used: &Used, origins: &Origins, problems: &mut Problems) {
    let mut warner = Warner { config, origins, problems };
    warner.unused(used);
    for (id, pool) in config.pools.iter().enumerate() {
        warner.pool(id as PoolId, pool);
    }
    for (id, settings) in config.wip_settings.iter().enumerate() {
        warner.settings(id, settings);
    }
    warner.sites();
    warner.references();
    warner.slow_for_the_limiter(used);
}

struct Warner<'w> {
    config: &'w Config,
    origins: &'w Origins,
    problems: &'w mut Problems,
}

impl Warner<'_> {
    fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Before the first WIP everything is unused, and nothing is said of it.
    fn unused(&mut self, used: &Used) {
        if self.config.wips.is_empty() {
            return;
        }
        let names = self.config.health_checks.iter().map(|check| check.name.as_str());
        self.unused_of("health check", names, &used.checks, &self.origins.health_checks);
        let names = self.config.datacenters.iter().map(|site| {
            // A site with names of its own is used by them.
            if site.wildcard.is_some() { "" } else { site.name.as_str() }
        });
        self.unused_of("datacenter", names, &used.datacenters, &self.origins.datacenters);
        let names = self.config.pools.iter().map(|pool| pool.name.as_deref().unwrap_or_default());
        self.unused_of("pool", names, &used.pools, &self.origins.pools);
    }

    /// Names that are empty are passed over.
    fn unused_of<'n>(
        &mut self,
        what: &str,
        names: impl Iterator<Item = &'n str>,
        used: &[bool],
        spots: &[Spot],
    ) {
        for ((name, used), spot) in names.zip(used).zip(spots) {
            if !used && !name.is_empty() {
                self.problems.push(
                    Problem::warning("unused", format!("the {what} \"{name}\" is not used"))
                        .at_with(*spot, "nothing refers to it"),
                );
            }
        }
    }

    fn pool(&mut self, id: PoolId, pool: &Pool) {
        let Some(spot) = self.origins.pool(id) else { return };
        let weighs = matches!(pool.policy, Policy::Weighted | Policy::Hash);
        if weighs && pool.members.iter().all(|member| member.weight == 0) {
            self.push(
                Problem::warning("no-weight", "every member has weight 0")
                    .at_with(spot, "members share equally, as a last resort")
                    .help("give one a positive weight"),
            );
        }
        if pool.policy == Policy::Geo && pool.members.len() > 1 {
            self.places(spot, pool);
        }
    }

    /// Under `geo`, a member without place and clients comes last, always.
    fn places(&mut self, pool_spot: Spot, pool: &Pool) {
        for member in pool.members.iter().filter(|member| placeless(member)) {
            let site = member.datacenter.and_then(|id| self.origins.datacenter(id));
            let title = match site {
                Some(_) => format!("the datacenter of member \"{}\" has no place", member.name),
                None => format!("the member \"{}\" has no place", member.name),
            };
            let mut problem = Problem::warning("no-location", title);
            if let Some(site) = site {
                problem = problem.at_with(site, "needs `location` or `serves`");
            }
            self.push(
                problem
                    .at_with(pool_spot, "chosen by place here")
                    .note("under the policy \"geo\" it comes after all that have a place")
                    .help("add, for example: location = { country = \"DE\" }"),
            );
        }
    }

    fn settings(&mut self, id: usize, settings: &WipSettings) {
        if settings.families == Families::Independent {
            return;
        }
        let pools: Vec<(PoolId, &Pool)> = settings
            .pools
            .iter()
            .filter_map(|id| Some((*id, self.config.pools.get(*id as usize)?)))
            .collect();
        for (pool_id, pool) in &pools {
            let Some(spot) = self.origins.pool(*pool_id) else { continue };
            let sets = pool.members.iter().map(|m| (m.name.as_str(), families(&m.vips)));
            self.differing("members", &sets.collect::<Vec<_>>(), spot);
        }
        let sets: Vec<(&str, Family)> = pools
            .iter()
            .map(|(_, pool)| {
                let all: Vec<_> = pool.members.iter().flat_map(|m| m.vips.clone()).collect();
                (pool.name.as_deref().unwrap_or_default(), families(&all))
            })
            .collect();
        if sets.len() < 2 {
            return;
        }
        let wip = self.config.wips.first_of(id as SettingsId);
        if let Some(spot) = wip.and_then(|wip| self.origins.wip(wip)) {
            self.differing("pools", &sets, spot);
        }
    }

    fn differing(&mut self, what: &str, sets: &[(&str, Family)], spot: Spot) {
        for (family, has) in
            [("IPv4", Family::has_v4 as fn(&Family) -> bool), ("IPv6", Family::has_v6)]
        {
            let without: Vec<&str> =
                sets.iter().filter(|(_, set)| !has(set)).map(|(name, _)| *name).collect();
            if without.is_empty() || without.len() == sets.len() {
                continue;
            }
            let title =
                format!("{what} differ in address families: {} without {family}", list(&without));
            self.push(
                Problem::warning("families-differ", title)
                    .at_with(
                        spot,
                        format!(
                            "chosen together, whatever the family: no {family} answer from those"
                        ),
                    )
                    .help("give all the same families, or write families = \"independent\""),
            );
        }
    }

    /// A reference tells our own faults from the members', so it is none of them.
    fn references(&mut self) {
        let references = &self.config.health.references;
        let asked: HashSet<IpAddr> = references.iter().map(SocketAddr::ip).collect();
        if asked.is_empty() {
            return;
        }
        let sites = self.config.datacenters.iter().flat_map(|site| &site.vips);
        let members = self.config.pools.iter().flat_map(|pool| &pool.members);
        let vips = sites.chain(members.flat_map(|member| &member.vips));
        let found: HashSet<IpAddr> =
            vips.map(|vip| vip.address).filter(|address| asked.contains(address)).collect();
        for (reference, spot) in references.iter().zip(&self.origins.references) {
            if found.contains(&reference.ip()) {
                let title = format!("the reference {reference} is a VIP itself");
                self.problems.push(
                    Problem::warning("reference-is-vip", title)
                        .at_with(*spot, "fails together with what it is to vouch for")
                        .help("name addresses outside the datacenters: gateways, public resolvers"),
                );
            }
        }
    }

    fn sites(&mut self) {
        let mut owners: HashMap<IpAddr, DatacenterId> = HashMap::new();
        for (id, site) in self.config.datacenters.iter().enumerate() {
            let Some(spot) = self.origins.datacenter(id as DatacenterId) else { continue };
            if !site.vips.is_empty() && site.vips.iter().all(|vip| !vip.clients.is_empty()) {
                let title = format!("the datacenter \"{}\" has no address for everyone", site.name);
                self.push(
                    Problem::warning("no-plain-vip", title)
                        .at_with(spot, "every VIP has `for`")
                        .note("clients outside those networks get no address from it"),
                );
            }
            for vip in &site.vips {
                let first = *owners.entry(vip.address).or_insert(id as DatacenterId);
                if let Some(other) = self.origins.datacenter(first).filter(|_| first as usize != id)
                {
                    let title = format!("two datacenters have the VIP {}", vip.address);
                    self.push(
                        Problem::warning("shared-vip", title)
                            .at_with(spot, "this one")
                            .at_with(other, "and this one"),
                    );
                }
            }
        }
    }
}

impl Warner<'_> {
    /// Losses of one moment are noticed over an interval: when the share that trips the
    /// limiter takes longer than its window, it never does.
    fn slow_for_the_limiter(&mut self, used: &Used) {
        let health = &self.config.health;
        let sites = self.config.datacenters.len();
        let may_trip = sites > 1 || (sites == 1 && !health.references.is_empty());
        if health.limiter.max_down_fraction >= 1.0 || !may_trip {
            return;
        }
        let noticed_ms =
            |interval_ms: u32| health.limiter.max_down_fraction * f64::from(interval_ms);
        let window_ms = health.limiter.window_ms;
        let checks = self.config.health_checks.iter().zip(&used.checks);
        let slow = checks.zip(&self.origins.health_checks).find(|((check, used), _)| {
            **used && noticed_ms(check.interval_ms) >= f64::from(window_ms)
        });
        let Some(((check, _), spot)) = slow else { return };
        let title = format!(
            "the limiter cannot protect members checked every {}",
            values::duration_text(u64::from(check.interval_ms))
        );
        let window = values::duration_text(u64::from(window_ms));
        self.push(
            Problem::warning("limiter-too-quick", title)
                .at_with(*spot, "noticed too late to be counted together")
                .note(format!(
                    "losses of one moment are noticed over an interval, and the limiter counts \
                     those of {window}"
                ))
                .help(
                    "raise `limiter_window` in [health] above the interval, or lower the interval",
                ),
        );
    }
}

//------------ Families -------------------------------------------------------

/// Which address families something has.
#[derive(Clone, Copy, Debug)]
struct Family {
    v4: bool,
    v6: bool,
}

impl Family {
    fn has_v4(&self) -> bool {
        self.v4
    }

    fn has_v6(&self) -> bool {
        self.v6
    }
}

fn families(vips: &[super::model::Vip]) -> Family {
    Family {
        v4: vips.iter().any(|vip| vip.address.is_ipv4()),
        v6: vips.iter().any(|vip| vip.address.is_ipv6()),
    }
}

fn placeless(member: &Member) -> bool {
    member.location.is_none() && member.serves.is_empty()
}

fn list(names: &[&str]) -> String {
    match names.len() {
        0..=LISTED_MAX => names.join(", "),
        many => format!("{} and {} more", names[..LISTED_MAX].join(", "), many - LISTED_MAX),
    }
}
