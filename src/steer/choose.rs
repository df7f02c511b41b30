//! One decision: the WIP tier walks pools, the pool tier picks members
//! (docs/STEERING.md).
//!
//! ```text
//! available, each pool's own minimum ─► available, minimum 1 ┬─► kept out but healthy
//!   ▲                                                         │    ─► on_all_down over all
//!   └── once more, ramps ignored, if they left somebody out ──┘       not forced down
//! ```
//!
//! The first stage that finds a usable pool decides. Nothing here allocates,
//! and the work is bounded by the members of the WIP.

use super::calm;
use super::candidates::{Candidates, Seen};
pub use super::decision::{Chosen, Decision, Outcome, Stage};
use super::hash::ClientNetwork;
use super::overlay::Laid;
use super::pick::{POOL_STEPS, Picker, weighted_position};
use super::set::{MEMBERS_MAX, Set};
use super::strategy::{PoolEntry, Row, Strategy};
use super::{Families, OnAllDown, Policy};
use crate::health::plan::VerdictId;
use crate::health::table::{Override, TTL_CAP_NONE, Table, Word};

/// Most pools of one WIP that a policy may order otherwise than by config.
pub const POOLS_MAX: usize = 256;

//------------ Room -----------------------------------------------------------

/// Room for one decision, reused from query to query.
#[derive(Debug)]
pub struct Room {
    chosen: [Chosen; MEMBERS_MAX],
    chosen_count: usize,
    seen: Seen,
    pools: [u16; POOLS_MAX],
}

impl Default for Room {
    fn default() -> Room {
        Room {
            chosen: [Chosen::default(); MEMBERS_MAX],
            chosen_count: 0,
            seen: Seen { caps: [0; MEMBERS_MAX], left_out: false },
            pools: [0; POOLS_MAX],
        }
    }
}

impl Room {
    /// The VIPs chosen by the last decision, best first.
    pub fn chosen(&self) -> &[Chosen] {
        &self.chosen[..self.chosen_count]
    }
}

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The WIP's strategy.
    pub strategy: &'a Strategy,
    /// For each VIP of the strategy, its verdict.
    pub verdicts: &'a [VerdictId],
    /// Health.
    pub table: &'a Table,
    /// For each VIP of the strategy, what an operator says of it; empty: nothing.
    pub laid: &'a [Laid],
    /// The client's order.
    pub row: &'a Row,
    /// The client, for `hash`.
    pub network: ClientNetwork,
    /// How many queries of this WIP and type came before.
    pub turn: u32,
    /// A or AAAA.
    pub rtype: u16,
}

/// Decides.
#[inline]
pub fn choose(question: &Question<'_>, room: &mut Room) -> Decision {
    match calm::choose(question) {
        Some((pool, chosen)) => {
            room.chosen[0] = chosen;
            room.chosen_count = 1;
            let ttl_s = question.strategy.ttl_s;
            Decision { outcome: Outcome::Members, ttl_s, stage: Stage::Available, pool }
        }
        None => choose_by_walk(question, room),
    }
}

/// Decides, whatever the health.
#[inline(never)]
pub(super) fn choose_by_walk(question: &Question<'_>, room: &mut Room) -> Decision {
    let strategy = question.strategy;
    room.chosen_count = 0;
    let pool_count = question.order_pools(room);
    room.seen.left_out = false;
    let mut walk = Walk { question, cap_s: TTL_CAP_NONE, turn: question.turn };
    for (stage, candidates) in STAGES {
        if candidates == Candidates::Available && !room.seen.left_out {
            continue;
        }
        if let Some(pool) = walk.pools(stage, candidates, pool_count, room) {
            let ttl_s = match stage {
                Stage::Drained => strategy.ttl_min_s,
                _ => strategy.ttl(walk.cap_s),
            };
            return Decision { outcome: Outcome::Members, ttl_s, stage, pool };
        }
    }
    walk.all_down(pool_count, room)
}

/// The stages before the last resort, and whom they take. To a client that a ramp
/// leaves out a member is as good as down; only when nobody else is available is a
/// cold site better than none.
pub(super) const STAGES: [(Stage, Candidates); 5] = [
    (Stage::Available, Candidates::Taking),
    (Stage::BelowMinimum, Candidates::Taking),
    (Stage::Available, Candidates::Available),
    (Stage::BelowMinimum, Candidates::Available),
    (Stage::Drained, Candidates::KeptOutHealthy),
];

impl Strategy {
    /// The TTL that health gives (docs/HEALTH.md).
    fn ttl(&self, cap_s: u16) -> u32 {
        if cap_s == TTL_CAP_NONE {
            return self.ttl_s;
        }
        u32::from(cap_s).clamp(self.ttl_min_s, self.ttl_s)
    }
}

//------------ Walk -----------------------------------------------------------

/// A walk over pools, and the shortest TTL of what it has consulted.
struct Walk<'q, 'a> {
    question: &'q Question<'a>,
    cap_s: u16,
    /// How many queries came before to the pool that is picked from.
    turn: u32,
}

impl Walk<'_, '_> {
    /// Picks from the first usable pool; its index, or none.
    fn pools(
        &mut self,
        stage: Stage,
        candidates: Candidates,
        pool_count: usize,
        room: &mut Room,
    ) -> Option<u16> {
        // What the first stage consulted counts in the second too: a pool that
        // gets its minimum back takes the answer over.
        // So does what the ramps' stages consulted where they are ignored.
        let goes_on = stage == Stage::BelowMinimum && pool_count > 1;
        if !goes_on && candidates != Candidates::Available {
            self.cap_s = TTL_CAP_NONE;
        }
        let mut pass_over = self.pass_over(stage, candidates, pool_count, room);
        for position in 0..pool_count {
            let index = room.pools[position];
            let pool = self.question.strategy.pools.get(usize::from(index))?;
            let set = self.question.members(pool, candidates, &mut room.seen);
            if !pool.is_usable(stage, set) {
                self.consult_all(pool, room);
            } else if pass_over > 0 {
                pass_over -= 1;
            } else {
                self.pick(pool, set, candidates, room);
                return Some(index);
            }
        }
        None
    }

    /// How many usable pools come before the one whose turn it is: 0 but for
    /// round-robin over pools, which is over the usable ones alone, lest the one
    /// behind a lost pool get its share too.
    fn pass_over(
        &mut self,
        stage: Stage,
        candidates: Candidates,
        pool_count: usize,
        room: &mut Room,
    ) -> u32 {
        let question = self.question;
        if question.strategy.policy != Policy::RoundRobin || pool_count < 2 {
            return 0;
        }
        let usable = |pool: &&PoolEntry| {
            pool.is_usable(stage, question.members(pool, candidates, &mut room.seen))
        };
        let count = question.strategy.pools[..pool_count].iter().filter(usable).count() as u32;
        // A pool sees every so-many-th query. Counting all of them, its members
        // would never come up but in step with the pools.
        self.turn = question.turn / count.max(1);
        question.turn % count.max(1)
    }

    /// Nobody is available: what the operator said (docs/STEERING.md).
    fn all_down(&mut self, pool_count: usize, room: &mut Room) -> Decision {
        let strategy = self.question.strategy;
        let stage = Stage::AllDown;
        let decision = |outcome, pool| Decision { outcome, ttl_s: strategy.ttl_min_s, stage, pool };
        if self.question.all_forced_down() {
            return Decision { stage: Stage::ForcedDown, ..decision(Outcome::NoData, 0) };
        }
        let candidates = match &strategy.on_all_down {
            OnAllDown::Addresses(_) => return decision(Outcome::Addresses, 0),
            OnAllDown::NoData => return decision(Outcome::NoData, 0),
            OnAllDown::ServFail => return decision(Outcome::ServFail, 0),
            OnAllDown::Refuse => return decision(Outcome::Refuse, 0),
            OnAllDown::All | OnAllDown::First => Candidates::NotForcedDown,
            OnAllDown::LastKnownGood => Candidates::LostLast { at_s: self.question.lost_last() },
        };
        match self.pools(stage, candidates, pool_count, room) {
            Some(pool) => decision(Outcome::Members, pool),
            None => Decision { stage: Stage::ForcedDown, ..decision(Outcome::NoData, 0) },
        }
    }

    /// Takes up to `max_answers` members out of `set`, best first.
    fn pick(&mut self, pool: &PoolEntry, set: Set, candidates: Candidates, room: &mut Room) {
        let question = self.question;
        let ordered = matches!(pool.policy, Policy::Failover | Policy::Geo);
        if !ordered {
            self.consult_all(pool, room);
        }
        let mut picker = Picker::new(question, pool, set, self.turn);
        let mut last = None;
        let mut members = 0;
        let first_alone = candidates == Candidates::NotForcedDown
            && question.strategy.on_all_down == OnAllDown::First;
        let members_max = if first_alone { 1 } else { question.strategy.max_answers };
        while members < members_max {
            let Some(member) = picker.next() else { break };
            last = Some(member);
            // A round of members before the next VIP, so that every pair comes up.
            let turn = if ordered { self.turn } else { self.turn / set.count().max(1) };
            match question.vip_of(pool, member, candidates, turn) {
                Some(vip) if room.has_address_of(vip, question) => {}
                Some(vip) => {
                    room.chosen[room.chosen_count] = Chosen { member, vip };
                    room.chosen_count += 1;
                    members += 1;
                }
                None => members += 1,
            }
        }
        if let (true, Some(last)) = (ordered, last) {
            self.consult_until(pool, last, room);
        }
    }

    fn consult_all(&mut self, pool: &PoolEntry, room: &Room) {
        let count = pool.members.len().min(MEMBERS_MAX);
        self.cap_s = room.seen.caps[..count].iter().copied().fold(self.cap_s, u16::min);
    }

    /// Those skipped before `last`, and `last` itself; of those that share the
    /// client by hash, all.
    fn consult_until(&mut self, pool: &PoolEntry, last: u16, room: &Room) {
        let tied = self.question.tied(pool);
        let mut seen_last = false;
        for (position, &member) in self.question.ordered_members(pool).iter().enumerate() {
            if seen_last && position >= tied {
                break;
            }
            let slot = usize::from(member.wrapping_sub(pool.members.start));
            self.cap_s = self.cap_s.min(room.seen.caps.get(slot).copied().unwrap_or(TTL_CAP_NONE));
            seen_last |= member == last;
        }
    }
}

impl PoolEntry {
    pub(super) fn is_usable(&self, stage: Stage, set: Set) -> bool {
        let minimum = if stage == Stage::Available { self.min_available } else { 1 };
        set.count() >= u32::from(minimum.max(1))
    }
}

impl Room {
    fn has_address_of(&self, vip: u16, question: &Question<'_>) -> bool {
        let vips = &question.strategy.vips;
        let record = &vips[usize::from(vip)].record;
        self.chosen().iter().any(|chosen| vips[usize::from(chosen.vip)].record.same_address(record))
    }
}

//------------ Question -------------------------------------------------------

impl<'a> Question<'a> {
    #[inline]
    pub(super) fn word(&self, vip: u16) -> Word {
        let verdict = self.verdicts.get(usize::from(vip));
        let word = verdict.map_or(Word::UP, |&verdict| self.table.word(verdict));
        self.laid.get(usize::from(vip)).map_or(word, |laid| laid.over(word))
    }

    /// Whether a VIP counts for this client and query when members are judged.
    #[inline]
    pub(super) fn counts(&self, vip: u16) -> bool {
        self.row.sees(vip)
            && (self.strategy.families == Families::Together
                || self.strategy.vips[usize::from(vip)].record.rtype() == self.rtype)
    }

    /// A pool's members in this client's order.
    pub(super) fn ordered_members(&self, pool: &PoolEntry) -> &'a [u16] {
        let row: &'a Row = self.row;
        row.members
            .get(usize::from(pool.members.start)..usize::from(pool.members.end))
            .unwrap_or_default()
    }

    /// How many of a pool's first members share this client by hash.
    pub(super) fn tied(&self, pool: &PoolEntry) -> usize {
        let pools = &self.strategy.pools;
        let index = pools.iter().position(|other| other.members.start == pool.members.start);
        let tied = index.and_then(|index| self.row.tied.get(index));
        if pool.policy == Policy::Geo { tied.copied().map_or(0, usize::from) } else { 0 }
    }

    /// Writes the order of pools and returns how many.
    fn order_pools(&self, room: &mut Room) -> usize {
        let pools = &self.strategy.pools;
        let count = pools.len().min(POOLS_MAX);
        if count == 1 {
            room.pools[0] = 0;
            return 1;
        }
        let order = &mut room.pools[..count];
        for (index, pool) in order.iter_mut().enumerate() {
            *pool = index as u16;
        }
        match self.strategy.policy {
            // Whose turn it is depends on how many are usable.
            Policy::Failover | Policy::RoundRobin => {}
            Policy::Geo => order.copy_from_slice(&self.row.pools[..count]),
            Policy::Weighted => {
                for position in 0..count {
                    let left = &mut order[position..];
                    let weight = |at: usize| pools[usize::from(left[at])].weight;
                    let step = POOL_STEPS[position % POOL_STEPS.len()];
                    let pick = weighted_position(self.turn, step, left.len(), weight);
                    left[..=pick].rotate_right(1);
                }
            }
            Policy::Hash => {
                let score = |index: u16| {
                    let pool = &pools[usize::from(index)];
                    self.network.score(pool.name_hash, pool.weight.max(1))
                };
                order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
            }
        }
        count
    }

    /// True when an operator took every VIP out: then there is no last resort.
    fn all_forced_down(&self) -> bool {
        let vips = 0..self.strategy.vips.len() as u16;
        let mut words = vips.filter(|&vip| self.counts(vip)).map(|vip| self.word(vip)).peekable();
        words.peek().is_some() && words.all(|word| word.over() == Override::ForcedDown)
    }

    /// When the last of the WIP's VIPs stopped being available.
    pub(super) fn lost_last(&self) -> u32 {
        let vips = 0..self.strategy.vips.len() as u16;
        vips.filter(|&vip| self.counts(vip))
            .map(|vip| self.word(vip))
            .filter(|word| word.over() != Override::ForcedDown)
            .map(Word::lost_at_s)
            .max()
            .unwrap_or(0)
    }
}
