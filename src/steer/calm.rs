//! The decision on a calm day: the members that decide are available and about to
//! change nothing, so that a few loads find what the walk over all stages would.
//!
//! It takes one VIP a family and one answer, and says "none" to all else, which is
//! then walked (`choose`). What it finds is what the walk finds: a test holds them
//! together. Most queries of a healthy service end here; so it is what a decided
//! answer costs.

use super::Policy;
use super::choose::{Chosen, Question};
use super::pick::{MEMBER_STEPS, weighted_among};
use super::strategy::{MemberEntry, NOT_ONE, PoolEntry};
use crate::dns::types::rtype;

/// The pool and the VIP that are answered; none: this is not so simple.
#[inline]
pub(super) fn choose(question: &Question<'_>) -> Option<(u16, Chosen)> {
    let strategy = question.strategy;
    if !strategy.shows_all || strategy.max_answers != 1 || !question.laid.is_empty() {
        return None;
    }
    let index = match strategy.policy {
        _ if strategy.pools.len() == 1 => 0,
        Policy::Failover => 0,
        Policy::Geo => *question.row.pools.first()?,
        Policy::RoundRobin | Policy::Weighted | Policy::Hash => return None,
    };
    let pool = strategy.pools.get(usize::from(index))?;
    let range = usize::from(pool.members.start)..usize::from(pool.members.end);
    let members = strategy.members.get(range)?;
    let family = usize::from(question.rtype == rtype::AAAA);
    let slot = match first_alone(question, index, pool) {
        Some(slot) => {
            let vips = &members.get(slot)?.vips;
            question.all_calm(vips.start, vips.end).then_some(slot)?
        }
        None => {
            let (first, last) = (members.first()?, members.last()?);
            let usable = pool.one_vip_each[family]
                && usize::from(pool.min_available) <= members.len()
                && question.all_calm(first.vips.start, last.vips.end);
            usable.then(|| among_all(question, index, pool, members)).flatten()?
        }
    };
    let vip = members.get(slot)?.only_vip[family];
    let member = pool.members.start + slot as u16;
    (vip != NOT_ONE).then_some((index, Chosen { member, vip }))
}

/// The member that comes first whatever the others are; none: the others count.
#[inline]
fn first_alone(question: &Question<'_>, index: u16, pool: &PoolEntry) -> Option<usize> {
    if pool.min_available > 1 {
        return None;
    }
    match pool.policy {
        Policy::Failover => Some(0),
        Policy::Geo if tied(question, index) < 2 => nearest(question, pool),
        _ => None,
    }
}

/// The one that is chosen out of all, all of them available.
#[inline]
fn among_all(
    question: &Question<'_>,
    index: u16,
    pool: &PoolEntry,
    members: &[MemberEntry],
) -> Option<usize> {
    match pool.policy {
        Policy::Failover => Some(0),
        Policy::Geo => {
            let tied = tied(question, index);
            if tied < 2 {
                return nearest(question, pool);
            }
            let order = question.ordered_members(pool).get(..tied)?;
            let slots = order.iter().map(|&at| usize::from(at - pool.members.start));
            by_hash(question, members, &slots)
        }
        Policy::RoundRobin => Some((question.turn % members.len() as u32) as usize),
        Policy::Weighted if pool.weight > 0 => {
            let weights = members.iter().map(|member| member.weight);
            Some(weighted_among(question.turn, MEMBER_STEPS[0], u64::from(pool.weight), weights))
        }
        Policy::Weighted => None,
        Policy::Hash => by_hash(question, members, &(0..members.len())),
    }
}

/// The one of these slots that the client's network has by hash; none unless all
/// weigh the same.
#[inline]
fn by_hash(
    question: &Question<'_>,
    members: &[MemberEntry],
    slots: &(impl Iterator<Item = usize> + Clone),
) -> Option<usize> {
    let weight = members.get(slots.clone().next()?)?.weight;
    if !slots.clone().all(|slot| members[slot].weight == weight) {
        return None;
    }
    let hashes = slots.clone().map(|slot| members[slot].name_hash);
    slots.clone().nth(question.network.best_of_equals(weight.max(1), hashes)?)
}

/// How many of a pool's first members share this client by hash.
#[inline]
fn tied(question: &Question<'_>, index: u16) -> usize {
    question.row.tied.get(usize::from(index)).map_or(0, |&tied| usize::from(tied))
}

#[inline]
fn nearest(question: &Question<'_>, pool: &PoolEntry) -> Option<usize> {
    let first = *question.ordered_members(pool).first()?;
    Some(usize::from(first - pool.members.start))
}

impl Question<'_> {
    #[inline]
    fn all_calm(&self, first: u16, end: u16) -> bool {
        let verdicts = self.verdicts.get(usize::from(first)..usize::from(end));
        verdicts.is_some_and(|verdicts| self.table.all_calm(verdicts))
    }
}
