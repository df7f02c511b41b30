//! Which members and VIPs each stage of a decision takes (docs/STEERING.md).

use super::Policy;
use super::choose::Question;
use super::set::{MEMBERS_MAX, Set};
use super::strategy::PoolEntry;
use crate::health::table::{Override, State, TTL_CAP_NONE, Word};

/// Which VIPs a stage takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Candidates {
    /// Available, and of those that ramp up only who takes this client already.
    Taking,
    Available,
    KeptOutHealthy,
    NotForcedDown,
    LostLast {
        at_s: u32,
    },
}

impl Candidates {
    /// Whether a VIP with this word is one; for [`Candidates::Taking`] but for its ramp.
    #[inline]
    pub(super) fn takes(self, word: Word) -> bool {
        match self {
            Candidates::Taking | Candidates::Available => word.available(),
            Candidates::KeptOutHealthy => {
                word.state() != State::Down
                    && match word.over() {
                        Override::None => word.is_held(),
                        Override::Drained => true,
                        Override::ForcedUp | Override::ForcedDown => false,
                    }
            }
            Candidates::NotForcedDown => word.over() != Override::ForcedDown,
            Candidates::LostLast { at_s } => {
                word.over() != Override::ForcedDown && word.lost_at_s() == at_s
            }
        }
    }
}

/// Whether a WIP whose VIPs have these words has nobody left but its last resort, whoever
/// asks. Of none at all it is not said.
pub fn nobody_left(words: impl Iterator<Item = Word>) -> bool {
    let mut words = words.peekable();
    words.peek().is_some()
        && words.all(|word| {
            !Candidates::Available.takes(word) && !Candidates::KeptOutHealthy.takes(word)
        })
}

/// What was seen of the members of the pool judged last.
#[derive(Debug)]
pub(super) struct Seen {
    /// Each member's TTL cap.
    pub caps: [u16; MEMBERS_MAX],
    /// In any pool since the walk began: a ramp left an available VIP out.
    pub left_out: bool,
}

impl Question<'_> {
    /// The members of a pool that have a candidate VIP.
    pub(super) fn members(&self, pool: &PoolEntry, candidates: Candidates, seen: &mut Seen) -> Set {
        let mut set = Set::default();
        let members =
            &self.strategy.members[usize::from(pool.members.start)..usize::from(pool.members.end)];
        for (slot, (member, cap_s)) in members.iter().zip(&mut seen.caps).enumerate() {
            *cap_s = TTL_CAP_NONE;
            for vip in member.vips.clone() {
                if self.counts(vip) {
                    let word = self.word(vip);
                    *cap_s = word.ttl_cap_s().min(*cap_s);
                    if !candidates.takes(word) {
                        continue;
                    }
                    let index = pool.members.start + slot as u16;
                    if candidates != Candidates::Taking || self.is_taken(pool, index, word) {
                        set.insert(slot);
                    } else {
                        seen.left_out = true;
                    }
                }
            }
        }
        set
    }

    /// The VIP of the asked family that a chosen member is answered with: one
    /// of those that are up, in turn, or by hash under `hash`. One that ramps up
    /// and leaves this client out comes last: the member itself takes the client.
    pub(super) fn vip_of(
        &self,
        pool: &PoolEntry,
        member: u16,
        candidates: Candidates,
        turn: u32,
    ) -> Option<u16> {
        let vip = self.vip_among(pool, member, candidates, turn);
        if vip.is_none() && candidates == Candidates::Taking {
            return self.vip_among(pool, member, Candidates::Available, turn);
        }
        vip
    }

    /// Whether a VIP of a candidate is one itself, of the asked family, but for its ramp.
    #[inline]
    pub(super) fn may_answer(&self, vip: u16, candidates: Candidates) -> bool {
        self.row.sees(vip)
            && self.strategy.vips[usize::from(vip)].record.rtype() == self.rtype
            && candidates.takes(self.word(vip))
    }

    fn vip_among(
        &self,
        pool: &PoolEntry,
        member: u16,
        candidates: Candidates,
        turn: u32,
    ) -> Option<u16> {
        let vips = &self.strategy.members[usize::from(member)].vips;
        let fits = |&vip: &u16| {
            self.may_answer(vip, candidates)
                && (candidates != Candidates::Taking || self.is_taken(pool, member, self.word(vip)))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_left_while_one_is_available_or_kept_out_in_good_health() {
        let down = Word::new(State::Down, false, Override::None, TTL_CAP_NONE, 7);
        let left = |words: &[Word]| !nobody_left(words.iter().copied());
        assert!(left(&[down, Word::UP]));
        assert!(left(&[down, Word::UNKNOWN]));
        assert!(left(&[down, Word::UP.held()]));
        assert!(left(&[down, Word::UP.with_override(Override::Drained)]));
        assert!(left(&[down.with_override(Override::ForcedUp)]));
        assert!(!left(&[down, down.with_override(Override::Drained)]));
        assert!(!left(&[Word::UP.with_override(Override::ForcedDown)]));
        assert!(left(&[]));
    }
}
