//! Overrides as the API shows them.

use std::sync::Arc;

use super::kept::Kept;
use super::{Keeper, lock};
use crate::admin::types::{
    BrokenRule, OverrideEffect, OverrideKind, OverrideStatus, OverrideTarget, OverridesPage,
    SaidOverride, WipEffect,
};
use crate::overrides::{Broken, Compiled, Effect, Entry, Kind, Stage, Target};

impl Keeper {
    /// All that is said now.
    pub(in crate::daemon) fn page(&self) -> OverridesPage {
        let (kept, compiled) = {
            let now = lock(&self.now);
            (Arc::clone(&now.kept), Arc::clone(&now.compiled))
        };
        OverridesPage {
            now_s: self.now_s(),
            revision: kept.book.revision,
            overrides: kept.book.entries.iter().map(|e| status(e, &compiled, &kept)).collect(),
        }
    }
}

/// An entry, and how it stands.
pub(super) fn status(entry: &Entry, compiled: &Compiled, kept: &Kept) -> OverrideStatus {
    let (phase, refused) = match &entry.stage {
        Stage::Planned if compiled.announced.contains(&entry.id) => ("announced", None),
        Stage::Planned => ("planned", None),
        Stage::InForce => ("in-force", None),
        Stage::Refused { why } => ("refused", Some(why.clone())),
        Stage::Overdue { why } => ("overdue", Some(why.clone())),
    };
    let SaidOverride { kind, target, actor, reason } = said(entry);
    OverrideStatus {
        id: entry.id,
        kind,
        target,
        reason,
        actor,
        created_at_s: entry.created_at_s,
        at_s: entry.at_s,
        until_s: entry.until_s,
        break_glass: entry.break_glass.clone(),
        phase: phase.to_owned(),
        refused,
        members: compiled.deciders.count(entry.id),
        drained_at_s: kept.drained_at_s.get(&entry.id).copied(),
    }
}

/// What an entry says, for events.
pub(super) fn said(entry: &Entry) -> SaidOverride {
    let Target { datacenter, wip, member } = entry.target.clone();
    SaidOverride {
        kind: match entry.kind {
            Kind::Drain => OverrideKind::Drain,
            Kind::ForceUp => OverrideKind::ForceUp,
            Kind::ForceDown => OverrideKind::ForceDown,
        },
        target: OverrideTarget { datacenter, wip, member },
        actor: entry.actor.clone(),
        reason: entry.reason.clone(),
    }
}

pub(super) fn effect(effect: &Effect) -> OverrideEffect {
    let wip = |wip: &crate::overrides::WipEffect| WipEffect {
        wip: wip.wip.clone(),
        members: wip.members.clone(),
        available_before: wip.available_before,
        available_after: wip.available_after,
    };
    OverrideEffect {
        members_matched: effect.members_matched,
        members_changed: effect.members_changed,
        wips_changed: effect.wips_changed,
        datacenters: effect.datacenters.clone(),
        wips: effect.wips.iter().map(wip).collect(),
    }
}

pub(super) fn broken(rules: &[Broken]) -> Vec<BrokenRule> {
    let rule = |broken: &Broken| BrokenRule {
        rule: broken.rule.to_owned(),
        detail: broken.detail.clone(),
        wips: broken.wips.clone(),
        wips_total: broken.wips_total,
    };
    rules.iter().map(rule).collect()
}
