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

impl Question<'_> {
    /// Whether a member takes this client on account of a VIP with this word.
    #[inline]
    pub(super) fn is_taken(&self, pool: &PoolEntry, member: u16, word: Word) -> bool {
        word.share() == SHARE_FULL || self.bucket(pool, member) < word.share()
    }

    #[cold]
    fn bucket(&self, pool: &PoolEntry, member: u16) -> u16 {
        let name_hash = self.strategy.members[usize::from(member)].name_hash;
        let turns = |policy| matches!(policy, Policy::RoundRobin | Policy::Weighted);
        if turns(pool.policy) || self.strategy.pools.len() > 1 && turns(self.strategy.policy) {
            let step = RAMP_STEPS[usize::from(member) % RAMP_STEPS.len()];
            return (self.turn.wrapping_mul(step).wrapping_add(name_hash as u32) >> 24) as u16;
        }
        self.network.bucket(name_hash)
    }
}
