//! Waiting until no valid answer names a member any more, on every server.

use std::time::{Duration, Instant};

use crate::admin::types::OverrideStatus;
use crate::cli::client::{Client, ClientError};
use crate::cli::fleet::{Outcome, Part};
use crate::cli::{Failed, complain};

/// Longest time between two looks: others may clear it meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A server that cannot be asked for so long is waited for no longer.
const SILENT_MAX: Duration = Duration::from_secs(120);

/// Returns when the override that was just said has done its work on every server that
/// has it; the error says on which it has not, and why.
pub(super) async fn until_drained(parts: &[Part]) -> Result<(), Failed> {
    for part in parts.iter().filter(|part| part.outcome == Outcome::Applied) {
        let added = part.done.as_ref().and_then(|done| done.added.as_ref());
        let Some(added) = added else { continue };
        on(&part.client, &part.server, added.id).await?;
    }
    Ok(())
}

async fn on(client: &Client, server: &str, id: u64) -> Result<(), Failed> {
    let gone = |why: &str| Failed(format!("{server}: not drained: {why}"));
    let mut silent_since: Option<Instant> = None;
    loop {
        let page = match client.overrides().await {
            Ok(page) => page,
            Err(error) => {
                still_waiting(&error, &mut silent_since)?;
                tokio::time::sleep(LOOK_EVERY / 5).await;
                continue;
            }
        };
        silent_since = None;
        let status = page.overrides.iter().find(|status| status.id == id);
        let status = status.ok_or_else(|| {
            gone("the override is no more: it was cleared, replaced, or its time ran out")
        })?;
        if status.phase == "refused" {
            let why = status.refused.as_deref().unwrap_or_default();
            return Err(gone(&format!("when its time came the safety rules forbade it: {why}")));
        }
        if let Some(why) = never(status) {
            return Err(gone(why));
        }
        let Some(left_s) = left_s(status, page.now_s) else { return Ok(()) };
        tokio::time::sleep(Duration::from_secs(left_s).clamp(LOOK_EVERY / 10, LOOK_EVERY)).await;
    }
}

/// Why it is in force and no moment is known at which it is drained; none: one is, or
/// will be.
fn never(status: &OverrideStatus) -> Option<&'static str> {
    let is_in_force = matches!(status.phase.as_str(), "in-force" | "overdue");
    if !is_in_force || status.drained_at_s.is_some() {
        return None;
    }
    Some(match status.members {
        0 => "newer overrides decide of all members that it means",
        _ => super::text::LAST_RESORT,
    })
}

/// Seconds until it is worth another look; none: it is drained.
fn left_s(status: &OverrideStatus, now_s: u64) -> Option<u64> {
    match (status.drained_at_s, status.at_s) {
        (Some(drained_at_s), _) if drained_at_s <= now_s => None,
        (Some(drained_at_s), _) => Some(drained_at_s - now_s),
        (None, Some(at_s)) => Some(at_s.saturating_sub(now_s)),
        (None, None) => Some(0),
    }
}

/// A restart is waited for; a server that refuses, or is gone for good, is not.
fn still_waiting(error: &ClientError, since: &mut Option<Instant>) -> Result<(), Failed> {
    let is_final = matches!(error, ClientError::Unauthorized { .. })
        || matches!(error, ClientError::Problem { problem, .. } if problem.status < 500);
    let began = match since {
        Some(began) => *began,
        None => {
            complain(&format!("windrose: {error}; trying again"));
            *since.insert(Instant::now())
        }
    };
    if is_final || began.elapsed() >= SILENT_MAX {
        return Err(Failed(format!("{error}\nThe override is in force; the wait is over.")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_in_answers_is_not_waited_for() {
        let status = |phase: &str, members, drained_at_s| OverrideStatus {
            phase: phase.to_owned(),
            members,
            drained_at_s,
            ..OverrideStatus::default()
        };
        assert_eq!(never(&status("planned", 0, None)), None);
        assert_eq!(never(&status("in-force", 1, Some(7))), None);
        assert!(never(&status("in-force", 1, None)).unwrap().contains("last resort"));
        assert!(never(&status("in-force", 0, None)).unwrap().contains("newer overrides"));
    }

    #[test]
    fn it_is_drained_when_the_servers_clock_says_so() {
        let status =
            |drained_at_s, at_s| OverrideStatus { drained_at_s, at_s, ..OverrideStatus::default() };
        assert_eq!(left_s(&status(Some(130), None), 100), Some(30));
        assert_eq!(left_s(&status(Some(130), None), 130), None);
        assert_eq!(left_s(&status(None, Some(160)), 100), Some(60), "planned");
        assert_eq!(left_s(&status(None, Some(160)), 161), Some(0), "about to start");
    }
}
