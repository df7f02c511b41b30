//! What a load changes, in words, and whether it may do so by itself.

use std::collections::BTreeMap;

use crate::config::model::{Config, Matched, Wips};
use crate::dns::Name;

/// An automatic reload may remove at most this share of the WIPs, in percent: a
/// truncated file is often valid TOML.
const AUTOMATIC_REMOVAL_MAX_PERCENT: usize = 30;

/// What a load changes, by names.
pub(super) struct Changes {
    before: usize,
    removed: Vec<String>,
    added: Vec<String>,
    datacenters: bool,
    zones: bool,
    health_checks: bool,
    settings: bool,
}

/// Names shown of each kind of change.
const NAMES_SHOWN: usize = 5;

impl Changes {
    pub(super) fn between(old: &Config, new: &Config) -> Changes {
        let matched = new.wips.matched(&old.wips);
        let old_names = names(&old.wips, &matched.other_rest);
        let new_names = names(&new.wips, &matched.rest);
        let settings = settings_differ(old, new)
            || same_names(&matched, &old_names, &new_names).any(|(old_wip, new_wip)| {
                old.wips.settings(old_wip) != new.wips.settings(new_wip)
                    || old.wips.check_host(old_wip) != new.wips.check_host(new_wip)
            });
        Changes {
            before: old.wips.len(),
            removed: missing(&old_names, &new_names),
            added: missing(&new_names, &old_names),
            datacenters: format!("{:?}", old.datacenters) != format!("{:?}", new.datacenters),
            zones: format!("{:?}", old.zones) != format!("{:?}", new.zones),
            health_checks: format!("{:?}", old.health_checks) != format!("{:?}", new.health_checks),
            settings,
        }
    }

    /// The guard against files cut short.
    pub(super) fn allowed_automatically(&self) -> Result<(), String> {
        if self.removed.len() * 100 <= self.before * AUTOMATIC_REMOVAL_MAX_PERCENT {
            return Ok(());
        }
        Err(format!(
            "this change would remove {} of {} WIPs ({}), more than {AUTOMATIC_REMOVAL_MAX_PERCENT} % \
             at once: if that is meant, send SIGHUP or use `windrose reload`",
            self.removed.len(),
            self.before,
            shown(&self.removed),
        ))
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.added.is_empty() {
            lines.push(format!("{} WIPs added: {}", self.added.len(), shown(&self.added)));
        }
        if !self.removed.is_empty() {
            lines.push(format!("{} WIPs removed: {}", self.removed.len(), shown(&self.removed)));
        }
        if self.datacenters {
            lines.push("datacenters changed".to_owned());
        }
        if self.zones {
            lines.push("zones changed".to_owned());
        }
        if self.health_checks {
            lines.push("health checks changed".to_owned());
        }
        if self.settings {
            lines.push("settings of WIPs or pools changed".to_owned());
        }
        lines
    }
}

/// What a load does not change until the next start.
pub(super) fn at_next_start(old: &Config, new: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if old.server.listen != new.server.listen || old.admin != new.admin {
        lines.push("listen addresses changed: they take effect at the next start".to_owned());
    }
    if old.tls != new.tls || old.proxy != new.proxy {
        lines.push("[tls] or [proxy] changed: it takes effect at the next start".to_owned());
    }
    if old.server.state_dir != new.server.state_dir {
        lines.push("state_dir changed: it takes effect at the next start".to_owned());
    }
    lines
}

/// Whether what WIPs can say differs, or which names are aliases of which. Where
/// it does not, indices of settings are the same in both.
fn settings_differ(old: &Config, new: &Config) -> bool {
    fn aliases(config: &Config) -> impl Iterator<Item = (&Name, &[u8])> {
        config.wips.aliases().map(|(alias, wip)| (alias, config.wips.name(wip)))
    }
    format!("{:?}", old.wip_settings) != format!("{:?}", new.wip_settings)
        || format!("{:?}", old.pools) != format!("{:?}", new.pools)
        || !aliases(old).eq(aliases(new))
}

/// WIPs by name.
type Names<'c> = BTreeMap<&'c [u8], u32>;

fn names<'c>(wips: &'c Wips, indices: &[u32]) -> Names<'c> {
    indices.iter().map(|wip| (wips.name(*wip), *wip)).collect()
}

/// WIPs of one name that may say different things, as (old, new).
fn same_names<'m>(
    matched: &'m Matched,
    old: &'m Names<'_>,
    new: &'m Names<'_>,
) -> impl Iterator<Item = (u32, u32)> + 'm {
    let runs = matched.runs.iter().filter(|run| !run.identical);
    let in_runs = runs.flat_map(|run| (0..run.length).map(|at| (run.other + at, run.start + at)));
    let others = new.iter().filter_map(|(name, wip)| Some((*old.get(name)?, *wip)));
    in_runs.chain(others)
}

/// Names of `from` that are not in `others`, in order.
fn missing(from: &Names<'_>, others: &Names<'_>) -> Vec<String> {
    let text = |wire: &[u8]| Name::from_wire(wire).map_or_else(|_| "?".into(), |n| n.to_string());
    let missing = from.keys().filter(|name| !others.contains_key(*name));
    let mut names: Vec<String> = missing.map(|name| text(name)).collect();
    names.sort();
    names
}

fn shown(names: &[String]) -> String {
    let mut text = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_SHOWN {
        text.push_str(", …");
    }
    text
}
