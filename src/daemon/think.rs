//! States that are thought: what is served, with some sites lost. Nothing here is served.

use std::sync::Arc;

use crate::health::plan::VerdictId;
use crate::health::table::{Table, Word};
use crate::snapshot::{Serving, Snapshot};
use crate::steer::overlay::Laid;

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
