//! The return ramp: whether a member that came back takes this client or query
//! already (docs/STEERING.md).
//!
//! ```text
//! failover, geo, hash     the client's network and the member's name ─► bucket ┐
//! round-robin, weighted   the turn, scrambled; from the name on      ─► bucket ┴─ < share ?
//! ```
//!
//! A bucket is one of 256. A client's never changes, so that it stays with a member
//! whose share grows once it is in; a query's is spread evenly over any run of
//! queries, so that shares come out right without a counter that workers share.
//!
//! It must not know how long a ramp is or why a member was away.

use super::Policy;
use super::choose::Question;
use super::strategy::PoolEntry;
use crate::health::table::{SHARE_FULL, Word};

/// Fractions of 2³² by which buckets step from query to query: by the place of the
/// member, badly approximated and in no simple relation to each other or to those
/// of `pick`, or a ramp would favour some of the turns.
const RAMP_STEPS: [u32; 5] = [0xe19b_01ab, 0xc6d1_d6c9, 0xaf36_d01f, 0x9a69_443f, 0x8814_03b9];

/// What a member's ramp means to a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ramp {
    /// It takes everybody.
    Over,
    /// It takes a share of the clients.
    OfClients {
        /// This one is in it.
        this: bool,
    },
    /// It takes a share of the queries, of this client as of others.
    OfQueries,
}

impl Question<'_> {
    /// What the ramp of a member, one of whose VIPs has this word, means to the client.
    pub fn ramp_of(&self, member: u16, word: Word) -> Ramp {
        let pools = &self.strategy.pools;
        let pool = pools.iter().find(|pool| pool.members.contains(&member));
        match pool {
            Some(pool) if word.share() < SHARE_FULL => match self.takes_turns(pool) {
                true => Ramp::OfQueries,
                false => Ramp::OfClients { this: self.is_taken(pool, member, word) },
            },
            _ => Ramp::Over,
        }
    }

    /// Whether a member takes this client on account of a VIP with this word.
    #[inline]
    pub(super) fn is_taken(&self, pool: &PoolEntry, member: u16, word: Word) -> bool {
        word.share() == SHARE_FULL || self.bucket(pool, member) < word.share()
    }

    #[cold]
    fn bucket(&self, pool: &PoolEntry, member: u16) -> u16 {
        let name_hash = self.strategy.members[usize::from(member)].name_hash;
        if self.takes_turns(pool) {
            let step = RAMP_STEPS[usize::from(member) % RAMP_STEPS.len()];
            return (self.turn.wrapping_mul(step).wrapping_add(name_hash as u32) >> 24) as u16;
        }
        self.network.bucket(name_hash)
    }

    /// Whether the same client gets one pool's members in turn, or the pools.
    fn takes_turns(&self, pool: &PoolEntry) -> bool {
        let turns = |policy| matches!(policy, Policy::RoundRobin | Policy::Weighted);
        turns(pool.policy) || self.strategy.pools.len() > 1 && turns(self.strategy.policy)
    }
}
