//! Response rate limiting: which replies of a worker are held back.
//!
//! ```text
//! (client's network, class, name or zone) ─► keyed hash ─► a set of eight entries
//!     due = max(due, now) + cost of one reply      due > now + 1 s: held back
//! ```
//! An entry is the time until which a network has used up what it may get: one number, that
//! grows by 1/rate with each reply, held back or not, and never lies further ahead than a
//! second and the window. One in the past says nothing any more, so an idle entry needs no
//! sweeping. Where a set is full, the entry with the least debt goes: whoever wants an
//! entry forgotten must bring eight others of its set into deeper debt, and the hash is
//! keyed so that nobody can tell which those are (docs/decisions/0051).
//!
//! It must not know time but as a value, nor sockets, threads or where the key is from.

use std::net::IpAddr;
use std::sync::Arc;

use super::limited::{Limited, News};
use crate::metrics::{RateAction, RateClass};
use crate::snapshot::RateRules;

/// Entries of a set: two cache lines, which processors fetch together.
const WAYS: usize = 8;
/// What may be got at once, as time: a second's worth.
const BURST_NS: u64 = 1_000_000_000;
/// The log hears again of a network that stays limited after so many seconds.
const TELL_EVERY_S: u16 = 10;

/// One network and what it was told.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Until when it has used up what it may get.
    due_ns: u64,
    /// What of the hash did not choose the set.
    tag: u32,
    /// Replies held back, for the slip.
    held: u16,
    /// When the log last heard of it, in seconds; 0: never.
    told_s: u16,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(128))]
struct Set([Entry; WAYS]);

/// One worker's table. It has its size from the start.
#[derive(Debug)]
pub struct Limiter {
    rules: Arc<RateRules>,
    sets: Box<[Set]>,
    keys: [u64; 4],
    now_ns: u64,
    news: Arc<News>,
}

impl Limiter {
    /// An empty table. `seed` must be nobody else's to know.
    pub fn new(rules: Arc<RateRules>, seed: u64, news: Arc<News>) -> Limiter {
        let sets = vec![Set::default(); sets_of(&rules)].into();
        // The keys are odd: a multiplication by one of them loses nothing.
        let keys = std::array::from_fn(|index| {
            let odd = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * index as u64 + 1);
            mix(seed ^ odd, 0xd6e8_feb8_6659_fd93 ^ seed.rotate_left(32)) | 1
        });
        Limiter { rules, sets, keys, now_ns: 0, news }
    }

    /// Goes by `rules`, which a config brought. What is known of clients stays, unless the
    /// table's size changes.
    pub fn follow(&mut self, rules: &Arc<RateRules>) {
        if Arc::ptr_eq(&self.rules, rules) {
            return;
        }
        if sets_of(rules) != self.sets.len() {
            self.sets = vec![Set::default(); sets_of(rules)].into();
        }
        self.rules = Arc::clone(rules);
    }

    /// The time since whenever; it is not to go back.
    #[inline]
    pub fn set_time(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// Counts a reply of `class` about `subject` to `client`; what to do instead of
    /// sending it, if anything, and for which of the limits.
    #[inline]
    pub fn judge(
        &mut self,
        client: IpAddr,
        class: RateClass,
        subject: u64,
    ) -> Option<(RateClass, RateAction)> {
        if self.rules.exempt.as_ref().is_some_and(|exempt| exempt.contains(client)) {
            return None;
        }
        let network = self.network_of(client);
        let by_class = self.count(network, class, subject);
        // Counted in any case: it is all that goes there.
        let by_all = self.count(network, RateClass::All, 0);
        by_class.map(|action| (class, action)).or(by_all.map(|action| (RateClass::All, action)))
    }

    /// Adds one reply to an entry.
    #[inline]
    fn count(&mut self, network: u128, class: RateClass, subject: u64) -> Option<RateAction> {
        let cost_ns = self.rules.cost_ns[class as usize];
        if cost_ns == 0 {
            return None;
        }
        let hash = self.hash(network, class, subject);
        // Its low half chooses the set: scaled, not divided.
        let index = ((hash & 0xffff_ffff) * self.sets.len() as u64) >> 32;
        let Set(entries) = &mut self.sets[index as usize];
        let entry = entry_of(entries, (hash >> 32) as u32);
        let limit_ns = self.now_ns + BURST_NS;
        entry.due_ns = entry.due_ns.max(self.now_ns) + u64::from(cost_ns);
        if entry.due_ns <= limit_ns {
            return None;
        }
        entry.due_ns = entry.due_ns.min(limit_ns + self.rules.window_ns);
        entry.held = entry.held.wrapping_add(1);
        let now_s = (self.now_ns / 1_000_000_000) as u16;
        if entry.told_s == 0 || now_s.wrapping_sub(entry.told_s) >= TELL_EVERY_S {
            entry.told_s = now_s.max(1);
            self.news.push(Limited { network, class });
        }
        let slips = self.rules.slip != 0 && entry.held.is_multiple_of(u16::from(self.rules.slip));
        Some(if slips { RateAction::Slip } else { RateAction::Drop })
    }

    /// The network a client is in, IPv4 as mapped into IPv6.
    #[inline]
    fn network_of(&self, client: IpAddr) -> u128 {
        match client.to_canonical() {
            IpAddr::V4(address) => {
                0xffff << 32 | u128::from(address.to_bits() & self.rules.ipv4_mask)
            }
            IpAddr::V6(address) => address.to_bits() & self.rules.ipv6_mask,
        }
    }

    /// Two rounds of a keyed multiplication: nobody sees what comes of it, so it need not
    /// hide the key from who does.
    #[inline]
    fn hash(&self, network: u128, class: RateClass, subject: u64) -> u64 {
        let [a, b, c, d] = self.keys;
        let of_network = mix((network >> 64) as u64 ^ a, network as u64 ^ b);
        mix(of_network ^ subject ^ c, (class as u64 + 1).wrapping_mul(d) ^ subject.rotate_left(32))
            ^ mix(of_network ^ d, subject ^ a)
    }
}

fn sets_of(rules: &RateRules) -> usize {
    (rules.table_size as usize).div_ceil(WAYS).max(1)
}

/// Both halves of a product.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The entry with this tag, or the one with the least debt, made anew.
#[inline]
fn entry_of(entries: &mut [Entry; WAYS], tag: u32) -> &mut Entry {
    let found = entries.iter().position(|entry| entry.tag == tag);
    let index = found.unwrap_or_else(|| {
        let mut least = 0;
        for index in 1..WAYS {
            if entries[index].due_ns < entries[least].due_ns {
                least = index;
            }
        }
        entries[least] = Entry { tag, ..Entry::default() };
        least
    });
    &mut entries[index]
}

#[cfg(test)]
mod tests;
