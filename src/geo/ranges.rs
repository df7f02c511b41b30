//! A sorted list of ranges that covers a whole key space, made to be looked up fast.
//!
//! ```text
//! key ─ top bits ─► slots ─ next bits ─► cuts ─► starts (a few, side by side) ─► rows
//! ```
//! Real tables are lumpy: of the IPv6 space, a few hundred /16s hold all there
//! is. So each slot is cut as finely as it is full. There is no branch on what
//! was read but for crowded cuts, so that a batch of lookups waits for memory
//! all at once, not one after another.
//!
//! It must not know what keys or rows mean.

use std::ops::{Add, BitXor, Shr, Sub};

/// Widest first level: 65,536 slots.
const TOP_BITS_MAX: u32 = 16;
/// Widest second level of one slot.
const CUT_BITS_MAX: u32 = 16;
/// Starts compared at once; the list is padded by as many.
const STRIDE: usize = 8;
/// Starts per cut that the second level aims at, were they spread evenly.
const CUT_STARTS: usize = 2;

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
    /// All bits set.
    const MAX: Self;
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
            const MAX: $integer = <$integer>::MAX;
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
    /// First key of each range, ascending; the first is 0. Then the padding.
    starts: Box<[K]>,
    rows: Rows,
    /// One per value of the top bits.
    slots: Box<[Slot]>,
    /// For each cut of each slot, the index of the range that holds its first key.
    cuts: Box<[u32]>,
    /// `K::BITS` less the bits of the first level.
    top_shift: u32,
}

/// As narrow as the rows allow: half the memory is half the cache misses.
#[derive(Clone, Debug)]
enum Rows {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

/// How the keys of one slot are cut further.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Index of its first cut.
    cuts: u32,
    /// How far to shift a key right, so that its low bits are the cut's number.
    shift: u16,
    /// Those low bits.
    mask: u16,
}

impl<K: Key> Ranges<K> {
    /// Takes starts in ascending order, the first 0, and as many rows.
    pub(super) fn new(mut starts: Vec<K>, rows: Vec<u32>) -> Ranges<K> {
        assert_eq!(starts.len(), rows.len());
        assert!(starts.first().is_some_and(|&first| first == K::default()));
        debug_assert!(starts.is_sorted_by(|a, b| a < b));
        assert!(starts.len() < u32::MAX as usize / 2, "indices of ranges and cuts fit 32 bits");
        let top_bits = (usize::BITS - starts.len().leading_zeros()).clamp(1, TOP_BITS_MAX);
        let top_shift = K::BITS - top_bits;
        let (slots, cuts) = index(&starts, top_bits);
        starts.reserve_exact(STRIDE);
        starts.extend([K::MAX; STRIDE]);
        starts.shrink_to_fit();
        Ranges { starts: starts.into_boxed_slice(), rows: Rows::new(rows), slots, cuts, top_shift }
    }

    /// The row of `key`, and the length of the largest network around it that
    /// lies within its range.
    #[inline]
    pub(super) fn lookup(&self, key: K) -> (u32, u8) {
        let at = self.position(key);
        let next = (at + 1 < self.len()).then(|| self.starts[at + 1]);
        (self.rows.get(at), largest_network(key, self.starts[at], next))
    }

    /// All ranges: first key, last key, row.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, K, u32)> + '_ {
        (0..self.len()).map(|at| {
            let last = if at + 1 < self.len() { self.starts[at + 1] - K::ONE } else { K::MAX };
            (self.starts[at], last, self.rows.get(at))
        })
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.starts)
            + match &self.rows {
                Rows::Narrow(rows) => size_of_val(&**rows),
                Rows::Wide(rows) => size_of_val(&**rows),
            }
            + size_of_val(&*self.slots)
            + size_of_val(&*self.cuts)
    }

    /// How many ranges.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - STRIDE
    }

    /// Index of the range that holds `key`.
    #[inline]
    fn position(&self, key: K) -> usize {
        let slot = self.slots[(key >> self.top_shift).low_bits()];
        let cut = (key >> u32::from(slot.shift)).low_bits() & usize::from(slot.mask);
        // The range that holds the cut's first key holds `key`, or one soon after.
        let mut at = self.cuts[slot.cuts as usize + cut] as usize;
        loop {
            // Starts beyond the cut are above the key: no need to know its end.
            let ahead = &self.starts[at + 1..][..STRIDE - 1];
            let passed = ahead.iter().map(|&start| usize::from(start <= key)).sum::<usize>();
            at += passed;
            if passed < STRIDE - 1 {
                // Padding passes for starts when the key is the very last.
                return at.min(self.len() - 1);
            }
            if at + STRIDE > self.starts.len() {
                return self.len() - 1;
            }
        }
    }
}

/// Both levels over the starts.
fn index<K: Key>(starts: &[K], top_bits: u32) -> (Box<[Slot]>, Box<[u32]>) {
    let top_shift = K::BITS - top_bits;
    let mut slots = Vec::with_capacity(1 << top_bits);
    let mut cuts = Vec::new();
    // The first start at or after the slot.
    let mut first = 0;
    for top in 0..1usize << top_bits {
        let in_slot = |start: &K| (*start >> top_shift).low_bits() == top;
        let count = starts[first..].iter().take_while(|start| in_slot(start)).count();
        let bits = (count / CUT_STARTS).max(1).ilog2().min(CUT_BITS_MAX).min(top_shift);
        let shift = top_shift - bits;
        let mask = (1usize << bits) - 1;
        slots.push(Slot { cuts: cuts.len() as u32, shift: shift as u16, mask: mask as u16 });
        let mut at = first;
        let end = first + count;
        for cut in 0..=mask {
            // To the first start beyond the cut's first key; the range before it
            // holds that key.
            while at < end && starts[at] <= cut_start(top, cut, top_shift, shift) {
                at += 1;
            }
            cuts.push(at.max(1) as u32 - 1);
        }
        first = end;
    }
    (slots.into_boxed_slice(), cuts.into_boxed_slice())
}

/// The first key of a cut.
fn cut_start<K: Key>(top: usize, cut: usize, top_shift: u32, shift: u32) -> K {
    K::narrow((top as u128) << top_shift | (cut as u128) << shift)
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
