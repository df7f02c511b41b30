//! States that are thought: what is served, with some sites lost. Nothing here is served.

use std::sync::Arc;

use crate::admin::ApiError;
use crate::admin::types::{OverrideKind, OverrideTarget, ThoughtOverride};
use crate::health::plan::VerdictId;
use crate::health::table::{Table, Word};
use crate::overrides::{self, Book, Entry, Kind, Stage, Target};
use crate::snapshot::{Serving, Snapshot};
use crate::steer::overlay::Laid;

/// Most overrides that are thought of at once.
const THOUGHT_MAX: usize = 20;

/// `serving` with every VIP of some datacenters down; none when there are none
/// to think down. The error names a datacenter that is not there.
pub(crate) fn think_down(serving: &Serving, down: &[String]) -> Result<Option<Serving>, String> {
    if down.is_empty() {
        return Ok(None);
    }
    let snapshot = &serving.snapshot;
    let datacenters = &snapshot.config.datacenters;
    let lost = down.iter().map(|name| {
        datacenters.iter().position(|datacenter| datacenter.name == *name).ok_or_else(|| {
            let known: Vec<&str> = datacenters.iter().map(|known| known.name.as_str()).collect();
            format!("there is no datacenter \"{name}\"; there are {}", known.join(", "))
        })
    });
    let lost: Vec<usize> = lost.collect::<Result<_, _>>()?;
    // Not in health's table: members of several sites that nobody checks share one word.
    let overlay = serving.overlay.changed(
        snapshot.strategies.len() as u32,
        |wip| snapshot.wips[wip as usize].strategy,
        |strategy, row| {
            let members = &snapshot.strategies[strategy as usize].members;
            let vips = snapshot.strategies[strategy as usize].vips.len();
            let mut row = row.to_vec();
            row.resize(vips, Laid::default());
            for (member, said) in members.iter().zip(snapshot.members_of(strategy)) {
                if said.datacenter.is_some_and(|id| lost.contains(&(id as usize))) {
                    let vips = usize::from(member.vips.start)..usize::from(member.vips.end);
                    row[vips].iter_mut().for_each(|laid| laid.lost = true);
                }
            }
            row
        },
    );
    Ok(Some(serving.with_overlay(Arc::new(overlay))))
}

/// `serving` under words of operators that are thought said now, oldest first; over those
/// that are in force. The error is what is wrong with them.
pub(crate) fn think_said(
    serving: &Serving,
    thought: &[ThoughtOverride],
) -> Result<Option<Serving>, ApiError> {
    if thought.is_empty() {
        return Ok(None);
    }
    if thought.len() > THOUGHT_MAX {
        let count = thought.len();
        return Err(ApiError::Invalid(format!("{count} overrides: at most {THOUGHT_MAX}")));
    }
    let snapshot = &serving.snapshot;
    let mut book = Book::default();
    for said in thought {
        let entry = entry(said)?;
        let alone = overrides::overlay(snapshot, &Book::default().set(entry.clone()), 0);
        if alone.overlay.is_empty() {
            return Err(ApiError::NotFound(format!("no member matches {}", entry.target)));
        }
        book = book.set(entry);
    }
    let newer = overrides::overlay(snapshot, &book, 0).overlay;
    let strategies = snapshot.strategies.len() as u32;
    let strategy_of = |wip: u32| snapshot.wips[wip as usize].strategy;
    let overlay = serving.overlay.under(&newer, strategies, strategy_of);
    Ok(Some(serving.with_overlay(Arc::new(overlay))))
}

/// An override in force, said by nobody.
fn entry(said: &ThoughtOverride) -> Result<Entry, ApiError> {
    let OverrideTarget { datacenter, wip, member } = &said.target;
    let target = Target::new(datacenter.as_deref(), wip.as_deref(), member.as_deref())
        .map_err(|error| ApiError::Invalid(format!("the target of an override: {error}")))?;
    Ok(Entry {
        id: 0,
        kind: match said.kind {
            OverrideKind::Drain => Kind::Drain,
            OverrideKind::ForceUp => Kind::ForceUp,
            OverrideKind::ForceDown => Kind::ForceDown,
        },
        target,
        reason: String::new(),
        actor: String::new(),
        created_at_s: 0,
        at_s: None,
        until_s: None,
        break_glass: None,
        stage: Stage::InForce,
    })
}

/// The same with health as it is now, which then stands still.
pub(crate) fn frozen(serving: &Serving) -> Serving {
    let health = Table::new(serving.health.len());
    for id in 0..serving.health.len() as VerdictId {
        health.set(id, serving.health.word(id));
    }
    let overlay = Arc::clone(&serving.overlay);
    Serving { health: Arc::new(health), ..serving.with_overlay(overlay) }
}

/// A config of which nothing was probed: all count as up.
pub(crate) fn all_up(snapshot: Snapshot) -> Serving {
    let health = Table::new(snapshot.plan.verdicts.len());
    for id in 0..health.len() as VerdictId {
        health.set(id, Word::UP);
    }
    Serving::new(Arc::new(snapshot), Arc::new(health), 0, None)
}
