//! When the last answer that names a member taken out has expired.
//!
//! It must not know who took it out, or what resolvers do that keep answers for longer than
//! they may.

use crate::health::table::Override;
use crate::snapshot::Serving;
use crate::steer::overlay::{Laid, Overlay};

/// An answer of the last moment of a second lives into the next one.
const ROUNDING_S: u64 = 1;

/// When, if `after` is laid in the place of `before`'s overlay at `now_s`; none: it takes
/// nobody out that was not out before. `said_at_s` is when TTLs began to be short for those
/// that `before` announces.
pub(super) fn drained_at_s(
    before: &Serving,
    after: &Overlay,
    now_s: u64,
    said_at_s: u64,
) -> Option<u64> {
    let snapshot = &before.snapshot;
    let mut latest = None;
    for (wip, entry) in snapshot.wips.iter().enumerate() {
        let now_laid = after.row(wip as u32, entry.strategy);
        let was_laid = before.overlay.row(wip as u32, entry.strategy);
        for (vip, laid) in now_laid.iter().enumerate() {
            let was = was_laid.get(vip).copied().unwrap_or_default();
            if !takes_out(*laid) || takes_out(was) {
                continue;
            }
            let strategy = snapshot.strategy(entry);
            let (ttl_s, ttl_min_s) = (u64::from(strategy.ttl_s), u64::from(strategy.ttl_min_s));
            // Those before the announcement lived for the whole TTL, those since for the least.
            let expired_s = match was.leaves_soon {
                true => (said_at_s + ttl_s).max(now_s + ttl_min_s),
                false => now_s + ttl_s,
            };
            latest = latest.max(Some(expired_s + ROUNDING_S));
        }
    }
    latest
}

fn takes_out(laid: Laid) -> bool {
    matches!(laid.over, Override::Drained | Override::ForcedDown)
}
