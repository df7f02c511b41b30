//! After how many turns the same answers come again (docs/STEERING.md).
//!
//! For those who ask how a client's answers are spread: over a whole cycle the shares of
//! those who take turns are exact, over any other run of turns they are not.

use super::candidates::{Candidates, Seen};
use super::choose::{Question, STAGES, Stage};
use super::set::{MEMBERS_MAX, Set};
use super::strategy::PoolEntry;
use super::{OnAllDown, Policy};
use crate::health::table::TTL_CAP_NONE;

/// The cycle of this question's answers, its turn aside; [`u32::MAX`]: longer than that.
/// What weights and ramps spread is even over many turns, and has no cycle.
pub fn cycle(question: &Question<'_>) -> u32 {
    let strategy = question.strategy;
    let last = match &strategy.on_all_down {
        OnAllDown::All | OnAllDown::First => Some(Candidates::NotForcedDown),
        OnAllDown::LastKnownGood => Some(Candidates::LostLast { at_s: question.lost_last() }),
        _ => None,
    };
    let stages = STAGES.into_iter().filter(|(_, candidates)| *candidates != Candidates::Taking);
    let mut seen = Seen { caps: [TTL_CAP_NONE; MEMBERS_MAX], left_out: false };
    for (stage, candidates) in stages.chain(last.map(|candidates| (Stage::AllDown, candidates))) {
        let (mut usable, mut all) = (0, 1);
        for pool in &strategy.pools {
            let set = question.members(pool, candidates, &mut seen);
            if pool.is_usable(stage, set) {
                usable += 1;
                all = common(all, question.pool_cycle(pool, set, candidates));
            }
        }
        match strategy.policy {
            _ if usable == 0 => {}
            // Each sees every so-many-th query.
            Policy::RoundRobin => return all.saturating_mul(usable),
            _ => return all,
        }
    }
    1
}

impl Question<'_> {
    /// The cycle of a pool out of which these members may be taken.
    fn pool_cycle(&self, pool: &PoolEntry, set: Set, candidates: Candidates) -> u32 {
        let start = usize::from(pool.members.start);
        let members = &self.strategy.members[start..usize::from(pool.members.end)];
        let taken = members.iter().enumerate().filter(|(slot, _)| set.contains(*slot));
        let vips = taken.fold(1, |all, (_, member)| {
            let fits = |vip: &u16| self.may_answer(*vip, candidates);
            common(all, member.vips.clone().filter(fits).count().max(1) as u32)
        });
        match pool.policy {
            Policy::RoundRobin => vips.saturating_mul(set.count()),
            // Their next VIPs come when as many queries have come as there are members.
            Policy::Weighted if vips > 1 => vips.saturating_mul(set.count()),
            Policy::Weighted | Policy::Hash => 1,
            Policy::Failover | Policy::Geo => vips,
        }
    }
}

/// The least common multiple, or [`u32::MAX`] where that is larger.
pub fn common(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_multiple_does_not_overflow() {
        assert_eq!((common(4, 6), common(1, 7), common(7, 7)), (12, 7, 7));
        assert_eq!(common(u32::MAX, u32::MAX - 1), u32::MAX);
    }
}
