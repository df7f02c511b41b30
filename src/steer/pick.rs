//! The pool tier: a pool's candidates one by one, best first (docs/STEERING.md).

use super::Policy;
use super::choose::Question;
use super::set::Set;
use super::strategy::PoolEntry;

/// Gives a pool's candidates one by one, best first.
pub(super) struct Picker<'q, 'a> {
    question: &'q Question<'a>,
    pool: &'q PoolEntry,
    all: Set,
    left: Set,
    taken: u32,
    turn: u32,
}

impl<'q, 'a> Picker<'q, 'a> {
    /// `turn`: how many queries came before to this pool.
    pub(super) fn new(
        question: &'q Question<'a>,
        pool: &'q PoolEntry,
        mut set: Set,
        turn: u32,
    ) -> Self {
        if matches!(pool.policy, Policy::Weighted | Policy::Hash) {
            without_spares(question, pool, &mut set);
        }
        Picker { question, pool, all: set, left: set, taken: 0, turn }
    }

    /// Index into [`Strategy::members`] of the next best.
    pub(super) fn next(&mut self) -> Option<u16> {
        if self.left.is_empty() {
            return None;
        }
        let start = self.pool.members.start;
        let slot = match self.pool.policy {
            Policy::Failover => self.left.first()?,
            Policy::Geo => self.nearest()?,
            // In turn: the n-th, then the ones behind it, around the end.
            Policy::RoundRobin => {
                let first = self.turn % self.all.count();
                self.all.nth(((first + self.taken) % self.all.count()) as usize)?
            }
            Policy::Weighted => self.by_weight()?,
            Policy::Hash => self.by_hash(self.pool.members.clone())?,
        };
        self.taken += 1;
        self.left.remove(slot);
        Some(start + slot as u16)
    }

    fn nearest(&self) -> Option<usize> {
        let start = self.pool.members.start;
        let order = self.question.ordered_members(self.pool);
        let tied = self.question.tied(self.pool);
        if tied > 1 {
            let first = order.iter().take(tied).copied();
            if let Some(slot) = self.by_hash(first) {
                return Some(slot);
            }
        }
        order
            .iter()
            .map(|&member| usize::from(member - start))
            .find(|&slot| self.left.contains(slot))
    }

    fn by_hash(&self, members: impl Iterator<Item = u16>) -> Option<usize> {
        let start = self.pool.members.start;
        let mut best: Option<(f64, usize)> = None;
        for member in members {
            let slot = usize::from(member - start);
            if !self.left.contains(slot) {
                continue;
            }
            let entry = &self.question.strategy.members[usize::from(member)];
            // Spares are here only when there is nobody else: they share alike.
            let score = self.question.network.score(entry.name_hash, entry.weight.max(1));
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, slot));
            }
        }
        best.map(|(_, slot)| slot)
    }

    fn by_weight(&self) -> Option<usize> {
        let start = self.pool.members.start;
        let weight = |slot: usize| {
            let member = usize::from(start) + slot;
            self.question.strategy.members[member].weight
        };
        let count = self.left.count() as usize;
        let step = MEMBER_STEPS[self.taken as usize % MEMBER_STEPS.len()];
        let position = weighted_position(self.turn, step, count, |position| {
            self.left.nth(position).map_or(0, weight)
        });
        self.left.nth(position)
    }
}

/// Takes members of weight 0 out, unless there are no others: they are spares,
/// which `max_answers` does not call for either.
fn without_spares(question: &Question<'_>, pool: &PoolEntry, set: &mut Set) {
    let members =
        &question.strategy.members[usize::from(pool.members.start)..usize::from(pool.members.end)];
    let is_spare = |slot: usize| set.contains(slot) && members[slot].weight == 0;
    let mut positive = *set;
    (0..members.len()).filter(|&slot| is_spare(slot)).for_each(|slot| positive.remove(slot));
    if !positive.is_empty() {
        *set = positive;
    }
}

/// Fractions of 2³² by which weighted choices step from query to query, for the
/// first member of an answer, the second and so on: the golden ratio, and roots
/// that are as badly approximated.
pub(super) const MEMBER_STEPS: [u32; 4] = [0x9e37_79b9, 0xc13f_a9a9, 0x91e1_0da5, 0xd1b5_4a33];
/// The same for pools. They differ from the members', or each pool would always
/// be answered with the same ones of its members.
pub(super) const POOL_STEPS: [u32; 4] = [0xdb4f_0b91, 0xbbe0_5633, 0xa0f2_ec75, 0x89e1_8285];

/// Chooses one of `count` by weight for the `turn`-th query, so that shares come
/// out right over any run of queries: a Weyl sequence spreads the choices
/// evenly. All weights 0: equal shares. `step` is one of those above.
pub(super) fn weighted_position(
    turn: u32,
    step: u32,
    count: usize,
    weight: impl Fn(usize) -> u32,
) -> usize {
    let total: u64 = (0..count).map(|position| u64::from(weight(position))).sum();
    if total == 0 {
        return ((u64::from(turn.wrapping_mul(step)) * count as u64) >> 32) as usize;
    }
    weighted_among(turn, step, total, (0..count).map(weight))
}

/// The same where the sum of the weights is known, and is not 0.
#[inline]
pub(super) fn weighted_among(
    turn: u32,
    step: u32,
    total: u64,
    weights: impl Iterator<Item = u32>,
) -> usize {
    // At most 256 weights of 16 bits times 32 bits: far from overflow.
    let mut left = (u64::from(turn.wrapping_mul(step)) * total) >> 32;
    for (position, weight) in weights.enumerate() {
        let share = u64::from(weight);
        if left < share {
            return position;
        }
        left -= share;
    }
    0
}
