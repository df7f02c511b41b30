//! An operator's word to the prober: releases of the limiter and of held members.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::checks::{PROBER_WAIT, find_wip, no_answer};
use super::publisher::Publisher;
use crate::admin::ApiError;
use crate::admin::types::{FailbackRequest, FailedBack, LimiterReleased};
use crate::dns::Name;
use crate::health::plan::VerdictId;
use crate::health::{Engine, Event, LimiterPhase, Now};
use crate::snapshot::Snapshot;

/// Has `act` done by the prober.
fn act<T: Send + 'static>(
    publisher: &Publisher,
    runtime: &Handle,
    act: impl FnOnce(&mut Engine, Now) -> (Vec<Event>, T) + Send + 'static,
) -> Result<T, ApiError> {
    let prober = publisher.prober().ok_or_else(no_answer)?;
    let done = async { timeout(PROBER_WAIT, prober.act(act)).await.ok()?.ok() };
    runtime.block_on(done).ok_or_else(no_answer)
}

/// Lets the losses that the limiter holds take their course.
pub(super) fn release_limiter(
    publisher: &Publisher,
    runtime: &Handle,
) -> Result<LimiterReleased, ApiError> {
    let held = act(publisher, runtime, |engine, now| {
        let before = engine.limiter();
        let events = engine.release_limiter(now);
        (events, (before.phase == LimiterPhase::Tripped).then_some(before.held))
    })?;
    let held = held.ok_or_else(|| {
        let why = "The limiter holds nothing: it has not tripped, or was released already.";
        ApiError::Conflict(why.to_owned())
    })?;
    Ok(LimiterReleased { held: u64::from(held) })
}

/// Lets held members take part again.
pub(super) fn fail_back(
    publisher: &Publisher,
    runtime: &Handle,
    request: &FailbackRequest,
) -> Result<FailedBack, ApiError> {
    let serving = publisher.serving();
    let ids = named(&serving.snapshot, request)?;
    let table = Arc::clone(&serving.health);
    let released = act(publisher, runtime, move |engine, now| {
        // Which verdicts are meant is known from the config in force alone.
        if !Arc::ptr_eq(engine.table(), &table) {
            return (Vec::new(), None);
        }
        let (events, released) = engine.fail_back(|id| ids.contains(&id), now);
        (events, Some(released as u64))
    })?;
    match released {
        Some(0) => Err(ApiError::Conflict("No member that is meant is held.".to_owned())),
        Some(released) => Ok(FailedBack { released }),
        None => Err(ApiError::NotReady("A config is being loaded.".to_owned())),
    }
}

/// The verdicts that `request` names.
fn named(snapshot: &Snapshot, request: &FailbackRequest) -> Result<HashSet<VerdictId>, ApiError> {
    let wips = match &request.wip {
        Some(text) => {
            let name = Name::parse(text)
                .map_err(|error| ApiError::Invalid(format!("wip \"{text}\": {error}")))?;
            let wip = find_wip(snapshot, &name.to_lowercase())? as usize;
            wip..wip + 1
        }
        None => 0..snapshot.wips.len(),
    };
    let (mut ids, mut known) = (HashSet::new(), false);
    for entry in &snapshot.wips[wips] {
        let strategy = snapshot.strategy(entry);
        let verdicts = snapshot.verdicts(entry, strategy);
        let names = snapshot.member_names(entry);
        for (member, name) in strategy.members.iter().zip(names) {
            if request.member.as_ref().is_none_or(|wanted| wanted == name) {
                known = true;
                ids.extend(member.vips.clone().map(|vip| verdicts[usize::from(vip)]));
            }
        }
    }
    match (&request.member, known) {
        (Some(member), false) => {
            Err(ApiError::NotFound(format!("there is no member \"{member}\" where it is meant")))
        }
        _ => Ok(ids),
    }
}
