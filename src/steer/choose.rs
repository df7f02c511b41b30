//! One decision: the WIP tier walks pools, the pool tier picks members
//! (SEMANTICS §1 and §2).
//!
//! ```text
//! available, each pool's own minimum ─► available, minimum 1 ─► drained but healthy
//!                                          ─► on_all_down over all not forced down
//! ```
//!
//! The first stage that finds a usable pool decides. Nothing here allocates,
//! and the work is bounded by the members of the WIP.

use super::candidates::Candidates;
use super::hash::ClientNetwork;
use super::pick::{POOL_STEPS, Picker, weighted_position};
use super::set::{MEMBERS_MAX, Set};
use super::strategy::{PoolEntry, Row, Strategy};
use super::{Families, OnAllDown, Policy};
use crate::health::plan::VerdictId;
use crate::health::table::{Override, TTL_CAP_NONE, Table, Word};

/// Most pools of one WIP that a policy may order otherwise than by config.
pub const POOLS_MAX: usize = 256;
//------------ Decision -------------------------------------------------------

/// What was decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What is to be answered.
    pub outcome: Outcome,
    /// TTL of the answer, in seconds; a negative one lives no longer either.
    pub ttl_s: u32,
    /// The stage that decided.
    pub stage: Stage,
    /// The pool that was chosen; without meaning where no member was.
    pub pool: u16,
}

/// Kinds of answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The chosen VIPs; none of the asked family: NODATA.
    Members,
    /// The addresses of `on_all_down`.
    Addresses,
    /// An empty answer.
    NoData,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refuse,
}

/// Stages of a decision, in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// A pool had its minimum of available members.
    Available,
    /// No pool had its minimum; one had an available member.
    BelowMinimum,
    /// Only drained members are healthy.
    Drained,
    /// Nobody is healthy: `on_all_down`.
    AllDown,
    /// Every member is forced down.
    ForcedDown,
}

/// One chosen VIP: indices into the strategy's lists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Chosen {
    /// Index into [`Strategy::members`].
    pub member: u16,
    /// Index into [`Strategy::vips`].
    pub vip: u16,
}

/// Room for one decision, reused from query to query.
#[derive(Debug)]
pub struct Room {
    chosen: [Chosen; MEMBERS_MAX],
    chosen_count: usize,
    caps: [u16; MEMBERS_MAX],
    pools: [u16; POOLS_MAX],
}

impl Default for Room {
    fn default() -> Room {
        Room {
            chosen: [Chosen::default(); MEMBERS_MAX],
            chosen_count: 0,
            caps: [0; MEMBERS_MAX],
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
pub fn choose(question: &Question<'_>, room: &mut Room) -> Decision {
    let strategy = question.strategy;
    room.chosen_count = 0;
    let pool_count = question.order_pools(room);
    let mut walk = Walk { question, cap_s: TTL_CAP_NONE };
    for stage in [Stage::Available, Stage::BelowMinimum, Stage::Drained] {
        if let Some(pool) = walk.pools(stage, Candidates::of(stage), pool_count, room) {
            let ttl_s = match stage {
                Stage::Drained => strategy.ttl_min_s,
                _ => strategy.ttl(walk.cap_s),
            };
            return Decision { outcome: Outcome::Members, ttl_s, stage, pool };
        }
    }
    walk.all_down(pool_count, room)
}

impl Strategy {
    /// The TTL that health gives (SEMANTICS §4).
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
        self.cap_s = TTL_CAP_NONE;
        for position in 0..pool_count {
            let index = room.pools[position];
            let pool = self.question.strategy.pools.get(usize::from(index))?;
            let set = self.question.members(pool, candidates, &mut room.caps);
            let minimum = if stage == Stage::Available { pool.min_available } else { 1 };
            if set.count() >= u32::from(minimum.max(1)) {
                self.pick(pool, set, candidates, room);
                return Some(index);
            }
            self.consult_all(pool, room);
        }
        None
    }

    /// Nobody is available: what the operator said (SEMANTICS §1.6).
    fn all_down(&mut self, pool_count: usize, room: &mut Room) -> Decision {
        let strategy = self.question.strategy;
        let stage = Stage::AllDown;
        let decision = |outcome, pool| Decision { outcome, ttl_s: strategy.ttl_min_s, stage, pool };
        let candidates = match &strategy.on_all_down {
            OnAllDown::Addresses(_) => return decision(Outcome::Addresses, 0),
            OnAllDown::NoData => return decision(Outcome::NoData, 0),
            OnAllDown::ServFail => return decision(Outcome::ServFail, 0),
            OnAllDown::Refuse => return decision(Outcome::Refuse, 0),
            OnAllDown::All | OnAllDown::First => Candidates::NotForcedDown,
            OnAllDown::LastKnownGood => Candidates::LostLast { at_s: self.question.lost_last() },
        };
        match self.pools(stage, candidates, pool_count, room) {
            Some(pool) => {
                if strategy.on_all_down == OnAllDown::First {
                    room.chosen_count = room.chosen_count.min(1);
                }
                decision(Outcome::Members, pool)
            }
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
        let mut picker = Picker::new(question, pool, set);
        let mut last = None;
        let mut members = 0;
        while members < question.strategy.max_answers {
            let Some(member) = picker.next() else { break };
            last = Some(member);
            // A round of members before the next VIP, so that every pair comes up.
            let turn = question.turn_within() / if ordered { 1 } else { set.count().max(1) };
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
        self.cap_s = room.caps[..count].iter().copied().fold(self.cap_s, u16::min);
    }

    /// Those skipped before `last`, and `last` itself.
    fn consult_until(&mut self, pool: &PoolEntry, last: u16, room: &Room) {
        for &member in self.question.ordered_members(pool) {
            let slot = usize::from(member.wrapping_sub(pool.members.start));
            self.cap_s = self.cap_s.min(room.caps.get(slot).copied().unwrap_or(TTL_CAP_NONE));
            if member == last {
                break;
            }
        }
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
    fn word(&self, vip: u16) -> Word {
        self.verdicts.get(usize::from(vip)).map_or(Word::UP, |&verdict| self.table.word(verdict))
    }

    /// Whether a VIP counts for this client and query when members are judged.
    #[inline]
    fn counts(&self, vip: u16) -> bool {
        self.row.sees(vip)
            && (self.strategy.families == Families::Together
                || self.strategy.vips[usize::from(vip)].record.rtype() == self.rtype)
    }

    /// The members of a pool that have a candidate VIP; each member's TTL cap
    /// goes to `caps`.
    fn members(
        &self,
        pool: &PoolEntry,
        candidates: Candidates,
        caps: &mut [u16; MEMBERS_MAX],
    ) -> Set {
        let mut set = Set::default();
        let members =
            &self.strategy.members[usize::from(pool.members.start)..usize::from(pool.members.end)];
        for (slot, (member, cap_s)) in members.iter().zip(caps).enumerate() {
            *cap_s = TTL_CAP_NONE;
            for vip in member.vips.clone() {
                if self.counts(vip) {
                    let word = self.word(vip);
                    *cap_s = word.ttl_cap_s().min(*cap_s);
                    if candidates.takes(word) {
                        set.insert(slot);
                    }
                }
            }
        }
        set
    }

    /// The VIP of the asked family that a chosen member is answered with: one
    /// of those that are up, in turn, or by hash under `hash`.
    fn vip_of(
        &self,
        pool: &PoolEntry,
        member: u16,
        candidates: Candidates,
        turn: u32,
    ) -> Option<u16> {
        let vips = &self.strategy.members[usize::from(member)].vips;
        let fits = |&vip: &u16| {
            self.row.sees(vip)
                && self.strategy.vips[usize::from(vip)].record.rtype() == self.rtype
                && candidates.takes(self.word(vip))
        };
        let mut fitting = vips.clone().filter(fits);
        let first = fitting.next()?;
        let count = 1 + fitting.count();
        if count == 1 {
            return Some(first);
        }
        if pool.policy == Policy::Hash {
            let score =
                |vip: u16| self.network.score(self.strategy.vips[usize::from(vip)].address_hash, 1);
            return vips.clone().filter(fits).max_by(|&a, &b| score(a).total_cmp(&score(b)));
        }
        vips.clone().filter(fits).nth(turn as usize % count)
    }

    /// A pool's members in this client's order.
    pub(super) fn ordered_members(&self, pool: &PoolEntry) -> &'a [u16] {
        let row: &'a Row = self.row;
        row.members
            .get(usize::from(pool.members.start)..usize::from(pool.members.end))
            .unwrap_or_default()
    }

    /// The turn that counts inside a pool. Under round-robin over pools each pool
    /// sees every n-th turn only, which must not be every n-th member's.
    pub(super) fn turn_within(&self) -> u32 {
        match self.strategy.policy {
            Policy::RoundRobin => self.turn / self.strategy.pools.len().max(1) as u32,
            _ => self.turn,
        }
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
            Policy::Failover => {}
            Policy::Geo => order.copy_from_slice(&self.row.pools[..count]),
            Policy::RoundRobin => order.rotate_left(self.turn as usize % count),
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
                    self.network.rank(pool.name_hash, pool.weight)
                };
                order.sort_by(|&a, &b| {
                    score(b).partial_cmp(&score(a)).unwrap_or(std::cmp::Ordering::Equal)
                });
            }
        }
        count
    }

    /// When the last of the WIP's VIPs stopped being available.
    fn lost_last(&self) -> u32 {
        let vips = 0..self.strategy.vips.len() as u16;
        vips.filter(|&vip| self.counts(vip))
            .map(|vip| self.word(vip))
            .filter(|word| word.over() != Override::ForcedDown)
            .map(Word::lost_at_s)
            .max()
            .unwrap_or(0)
    }
}
