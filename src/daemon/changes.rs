//! What a load changes, in words, and whether it may do so by itself.

use std::collections::HashSet;

use crate::config::model::Config;

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
        let (old_names, new_names) = (names(old), names(new));
        Changes {
            before: old_names.len(),
            removed: missing(&old_names, &new_names),
            added: missing(&new_names, &old_names),
            datacenters: format!("{:?}", old.datacenters) != format!("{:?}", new.datacenters),
            zones: format!("{:?}", old.zones) != format!("{:?}", new.zones),
            health_checks: format!("{:?}", old.health_checks) != format!("{:?}", new.health_checks),
            settings: settings_differ(old, new),
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

fn settings_differ(old: &Config, new: &Config) -> bool {
    let wips = || 0..old.wips.len() as u32;
    format!("{:?}", old.wip_settings) != format!("{:?}", new.wip_settings)
        || format!("{:?}", old.pools) != format!("{:?}", new.pools)
        || old.wips.aliases.len() != new.wips.aliases.len()
        || old.wips.len() == new.wips.len()
            && (wips().any(|wip| old.wips.settings(wip) != new.wips.settings(wip))
                || old.wips.aliases != new.wips.aliases
                || old.wips.check_hosts != new.wips.check_hosts)
}

fn names(config: &Config) -> HashSet<&[u8]> {
    (0..config.wips.len() as u32).map(|wip| config.wips.name(wip)).collect()
}

/// Names of `from` that are not in `others`, in order.
fn missing(from: &HashSet<&[u8]>, others: &HashSet<&[u8]>) -> Vec<String> {
    let text = |wire: &&[u8]| {
        crate::dns::Name::from_wire(wire).map_or_else(|_| "?".to_owned(), |n| n.to_string())
    };
    let mut names: Vec<String> = from.difference(others).map(text).collect();
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
