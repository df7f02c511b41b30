//! A sorted list of ranges that covers a whole key space, made to be looked up fast.
//!
//! ```text
//! key ─ top bits ─► slots ─┬─ few starts ───────────────────► starts ─► rows
//!                          └─ many: next bits ─► fine ──────► (binary search)
//! ```
//! Real tables are lumpy: of the IPv6 space, a few hundred /16s hold all there
//! is. So a slot with many starts gets a second level as wide as it is full.
//!
//! It must not know what keys or rows mean.

use std::ops::{Add, BitXor, Shr, Sub};

/// Starts in a slot above which it gets a second level.
const SLOT_STARTS_MAX: usize = 8;
/// Widest first level: 65,536 slots.
const TOP_BITS_MAX: u32 = 16;
/// Widest second level of one slot.
const FINE_BITS_MAX: u32 = 16;
/// `Slot::fine` holds the width above this bit, the offset below it.
const FINE_OFFSET_BITS: u32 = 27;

//------------ Key ------------------------------------------------------------

/// An unsigned integer that addresses are made of.
pub(super) trait Key:
    Copy
    + Ord
    + Default
    + Add<Output = Self>
    + BitXor<Output = Self>
    + Sub<Output = Self>
    + Shr<u32, Output = Self>
{
    /// Width in bits.
    const BITS: u32;
    /// One.
    const ONE: Self;
    /// Zero bits above the highest set one.
    fn leading_zeros(self) -> u32;
    /// The low bits, as an index.
    fn low_bits(self) -> usize;
    /// From an integer that fits.
    fn narrow(wide: u128) -> Self;
}

macro_rules! key {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            const BITS: u32 = <$integer>::BITS;
            const ONE: $integer = 1;
            #[inline(always)]
            fn leading_zeros(self) -> u32 {
                <$integer>::leading_zeros(self)
            }
            #[inline(always)]
            fn low_bits(self) -> usize {
                self as usize
            }
            #[inline(always)]
            fn narrow(wide: u128) -> $integer {
                wide as $integer
            }
        }
    )*};
}
key!(u32, u64, u128);

/// Length of the largest network that contains `key` and lies within the range
/// from `first` to the key before `next` (`None`: to the end of the space).
#[inline(always)]
pub(super) fn largest_network<K: Key>(key: K, first: K, next: Option<K>) -> u8 {
    // A network of length p around `key` leaves out another key exactly when p
    // is longer than what they have in common.
    let before =
        if first == K::default() { 0 } else { (key ^ (first - K::ONE)).leading_zeros() + 1 };
    let after = next.map_or(0, |next| (key ^ next).leading_zeros() + 1);
    before.max(after) as u8
}

//------------ Ranges ---------------------------------------------------------

/// Ranges over all of `K`, each with a row.
#[derive(Clone, Debug)]
pub(super) struct Ranges<K> {
    /// First key of each range, ascending; the first is 0.
    starts: Box<[K]>,
    rows: Rows,
    /// One per value of the top bits, and one beyond the last.
    slots: Box<[Slot]>,
    /// Second levels: index of the first start at or after each cut.
    fine: Box<[u32]>,
    /// `K::BITS` less the bits of the first level, at least 1.
    top_shift: u32,
}

/// As narrow as the rows allow: half the memory is half the cache misses.
#[derive(Clone, Debug)]
enum Rows {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Index of the first start in this slot or after it.
    first: u32,
    /// 0: no second level; else its width in bits and its offset in `fine`.
    fine: u32,
}

impl<K: Key> Ranges<K> {
    /// Takes starts in ascending order, the first 0, and as many rows.
    pub(super) fn new(mut starts: Vec<K>, rows: Vec<u32>) -> Ranges<K> {
        assert_eq!(starts.len(), rows.len());
        assert!(starts.first().is_some_and(|&first| first == K::default()));
        debug_assert!(starts.is_sorted_by(|a, b| a < b));
        assert!(u32::try_from(starts.len()).is_ok(), "fewer than 2^32 ranges");
        starts.shrink_to_fit();
        let top_bits = (usize::BITS - starts.len().leading_zeros()).clamp(1, TOP_BITS_MAX);
        let top_shift = K::BITS - top_bits;
        let mut ranges = Ranges {
            starts: starts.into_boxed_slice(),
            rows: Rows::new(rows),
            slots: Box::default(),
            fine: Box::default(),
            top_shift,
        };
        ranges.index(1 << top_bits);
        ranges
    }

    /// The row of `key`, and the length of the largest network around it that
    /// lies within its range.
    #[inline]
    pub(super) fn lookup(&self, key: K) -> (u32, u8) {
        let at = self.position(key);
        let next = self.starts.get(at + 1).copied();
        (self.rows.get(at), largest_network(key, self.starts[at], next))
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.starts)
            + match &self.rows {
                Rows::Narrow(rows) => size_of_val(&**rows),
                Rows::Wide(rows) => size_of_val(&**rows),
            }
            + size_of_val(&*self.slots)
            + size_of_val(&*self.fine)
    }

    /// How many ranges.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Index of the range that holds `key`.
    #[inline]
    fn position(&self, key: K) -> usize {
        let top = (key >> self.top_shift).low_bits();
        let slot = self.slots[top];
        let (low, high) = if slot.fine == 0 {
            (slot.first, self.slots[top + 1].first)
        } else {
            let bits = slot.fine >> FINE_OFFSET_BITS;
            let offset = (slot.fine & ((1 << FINE_OFFSET_BITS) - 1)) as usize;
            let below = (key >> (self.top_shift - bits)).low_bits() & ((1 << bits) - 1);
            (self.fine[offset + below], self.fine[offset + below + 1])
        };
        let near = &self.starts[low as usize..high as usize];
        // The first start is 0, so at least one is at or below every key.
        low as usize + near.partition_point(|&start| start <= key) - 1
    }

    /// Builds both levels.
    fn index(&mut self, slot_count: usize) {
        let mut slots = vec![Slot::default(); slot_count + 1];
        let mut fine = Vec::new();
        let mut at = 0;
        for (top, slot) in slots.iter_mut().take(slot_count).enumerate() {
            let first = at;
            let in_slot = |start: &K| (*start >> self.top_shift).low_bits() == top;
            at += self.starts[at..].iter().take_while(|start| in_slot(start)).count();
            slot.first = first as u32;
            slot.fine = push_fine(&mut fine, &self.starts[first..at], first, self.top_shift);
        }
        slots[slot_count].first = self.starts.len() as u32;
        self.slots = slots.into_boxed_slice();
        self.fine = fine.into_boxed_slice();
    }
}

/// Appends the second level of a slot and returns what `Slot::fine` holds.
fn push_fine<K: Key>(fine: &mut Vec<u32>, starts: &[K], first: usize, top_shift: u32) -> u32 {
    if starts.len() <= SLOT_STARTS_MAX {
        return 0;
    }
    // Wide enough for four starts a cut, were they spread evenly.
    let bits = (starts.len() / 4).ilog2().max(1).min(FINE_BITS_MAX).min(top_shift);
    let offset = fine.len();
    if offset >> FINE_OFFSET_BITS != 0 {
        return 0;
    }
    let mask = (1usize << bits) - 1;
    let mut at = 0;
    for cut in 0..=mask {
        while at < starts.len() && (starts[at] >> (top_shift - bits)).low_bits() & mask < cut {
            at += 1;
        }
        fine.push((first + at) as u32);
    }
    fine.push((first + starts.len()) as u32);
    bits << FINE_OFFSET_BITS | offset as u32
}

impl Rows {
    fn new(rows: Vec<u32>) -> Rows {
        if rows.iter().all(|&row| u16::try_from(row).is_ok()) {
            Rows::Narrow(rows.iter().map(|&row| row as u16).collect())
        } else {
            Rows::Wide(rows.into_boxed_slice())
        }
    }

    #[inline(always)]
    fn get(&self, at: usize) -> u32 {
        match self {
            Rows::Narrow(rows) => u32::from(rows[at]),
            Rows::Wide(rows) => rows[at],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn naive<K: Key>(starts: &[K], rows: &[u32], key: K) -> u32 {
        rows[starts.iter().rposition(|&start| start <= key).unwrap()]
    }

    proptest! {
        #[test]
        fn both_levels_find_what_a_plain_search_finds(
            spread in btree_map(any::<u64>(), 0u32..70_000, 0..200),
            lump in btree_map(any::<u16>(), 0u32..70_000, 0..600),
            base in any::<u64>(),
            keys in prop::collection::vec(any::<u64>(), 100),
        ) {
            let base = base & !0xffff;
            let mut table = spread;
            table.insert(0, 7);
            table.extend(lump.into_iter().map(|(low, row)| (base | u64::from(low), row)));
            let starts: Vec<u64> = table.keys().copied().collect();
            let rows: Vec<u32> = table.values().copied().collect();
            let ranges = Ranges::new(starts.clone(), rows.clone());
            let near = keys.iter().map(|key| base | (key & 0xffff));
            let edges = starts.iter().flat_map(|&start| [start, start.wrapping_sub(1)]);
            for key in keys.iter().copied().chain(near).chain(edges) {
                prop_assert_eq!(ranges.lookup(key).0, naive(&starts, &rows, key));
            }
        }
    }

    #[test]
    fn the_largest_network_ends_at_its_range() {
        for (key, first, next, length) in [
            (0x0a00_0001u32, 0, None, 0),
            (0x0a00_0001, 0x0a00_0000, Some(0x0b00_0000), 8),
            (0x0a00_0001, 0x0a00_0000, None, 7),
            (0x0a00_0001, 0x0a00_0001, None, 32),
            (0x0a00_0000, 0, Some(0x0a00_0001), 32),
            (0xffff_ffff, 0x8000_0000, None, 1),
        ] {
            assert_eq!(largest_network(key, first, next), length, "{key:x} {first:x} {next:?}");
        }
    }
}
