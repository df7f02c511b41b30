//! A sorted list of ranges that covers a whole key space, made to be looked up fast.
//!
//! ```text
//! key ─ top bits ─► slots ─ next bits ─► cuts ─► block: starts and rows, side by side
//! ```
//! Real tables are lumpy: of the IPv6 space, a few hundred /16s hold all there
//! is. So each slot is cut as finely as it is full, and what is still too full is
//! cut again. Slots and cuts are few enough for a cache; a lookup that is not
//! remembered waits for memory once, for its block. There is no branch on what
//! was read but for rare blocks, so that a batch of lookups waits all at once,
//! not one after another.
//!
//! A cell (what one cut stands for) is a network. If anything changes inside it,
//! what lies outside cannot make a scope longer, and its block says all; if not,
//! the whole cell has one scope, and all such cells of one row and scope share a
//! block.
//!
//! It must not know what keys or rows mean.

use super::cells::Cells;
use super::key::Key;

//------------ Ranges ---------------------------------------------------------

/// Ranges over all of `K`, each with a row.
#[derive(Clone, Debug)]
pub(super) struct Ranges<K> {
    cells: Width<K>,
    /// How many ranges.
    len: usize,
}

/// As narrow as the rows allow: half the memory is half the cache misses.
#[derive(Clone, Debug)]
enum Width<K> {
    Narrow(Cells<K, u16>),
    Wide(Cells<K, u32>),
}

/// Where a key's block is: half of a lookup.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block(u32);

impl<K: Key> Ranges<K> {
    /// Takes starts in ascending order, the first 0, and as many rows, no two
    /// neighbours equal.
    pub(super) fn new(starts: &[K], rows: &[u32]) -> Ranges<K> {
        assert_eq!(starts.len(), rows.len());
        assert!(starts.first().is_some_and(|&first| first == K::default()));
        debug_assert!(starts.is_sorted_by(|a, b| a < b));
        debug_assert!(rows.is_sorted_by(|a, b| a != b));
        let narrow = rows.iter().all(|&row| u16::try_from(row).is_ok());
        let cells = if narrow {
            Width::Narrow(Cells::new(starts, rows))
        } else {
            Width::Wide(Cells::new(starts, rows))
        };
        Ranges { cells, len: starts.len() }
    }

    /// The row of `key`, and the length of the largest network around it that
    /// lies within its range.
    #[inline]
    pub(super) fn lookup(&self, key: K) -> (u32, u8) {
        self.finish(self.locate(key), key)
    }

    /// The first half of a lookup, from what most often is in a cache.
    #[inline]
    pub(super) fn locate(&self, key: K) -> Block {
        Block(match &self.cells {
            Width::Narrow(cells) => cells.locate(key),
            Width::Wide(cells) => cells.locate(key),
        })
    }

    /// Reads from the block, so that it is on its way when `finish` needs it.
    #[inline]
    pub(super) fn touch(&self, block: Block) -> u8 {
        match &self.cells {
            Width::Narrow(cells) => cells.touch(block.0),
            Width::Wide(cells) => cells.touch(block.0),
        }
    }

    /// The second half of a lookup, of the same key.
    #[inline]
    pub(super) fn finish(&self, block: Block, key: K) -> (u32, u8) {
        match &self.cells {
            Width::Narrow(cells) => cells.finish(block.0, key),
            Width::Wide(cells) => cells.finish(block.0, key),
        }
    }

    /// Gives all ranges in order: first key, last key, row.
    pub(super) fn for_each(&self, visit: &mut dyn FnMut(K, K, u32)) {
        let mut open: Option<(K, u32)> = None;
        let mut step = |start: K, row: u32| match open {
            Some((_, known)) if known == row => {}
            _ => {
                if let Some((first, row)) = open.replace((start, row)) {
                    visit(first, start - K::ONE, row);
                }
            }
        };
        match &self.cells {
            Width::Narrow(cells) => cells.for_each(&mut step),
            Width::Wide(cells) => cells.for_each(&mut step),
        }
        if let Some((first, row)) = open {
            visit(first, K::MAX, row);
        }
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.cells {
            Width::Narrow(cells) => cells.memory_bytes(),
            Width::Wide(cells) => cells.memory_bytes(),
        }
    }

    /// How many ranges.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::super::key::largest_network;
    use super::*;

    fn naive<K: Key>(starts: &[K], rows: &[u32], key: K) -> (u32, u8) {
        let at = starts.iter().rposition(|&start| start <= key).unwrap();
        (rows[at], largest_network(key, starts[at], starts.get(at + 1).copied()))
    }

    /// Against the plainest search, at every edge and at `keys`; and what
    /// `for_each` gives is what went in.
    fn check<K: Key>(table: &[(K, u32)], keys: &[K]) -> Result<(), TestCaseError> {
        let mut merged: Vec<(K, u32)> = table.to_vec();
        merged.dedup_by_key(|(_, row)| *row);
        let (starts, rows): (Vec<K>, Vec<u32>) = merged.iter().copied().unzip();
        let ranges = Ranges::new(&starts, &rows);
        let before = |&start: &K| if start == K::default() { K::MAX } else { start - K::ONE };
        let edges = starts.iter().flat_map(|start| [*start, before(start)]);
        for key in keys.iter().copied().chain(edges) {
            prop_assert_eq!(ranges.lookup(key), naive(&starts, &rows, key), "{:?}", key);
        }
        let mut given = Vec::new();
        ranges.for_each(&mut |first, last, row| given.push((first, last, row)));
        let last = |at: usize| starts.get(at + 1).map_or(K::MAX, |&next| next - K::ONE);
        let expected: Vec<_> =
            (0..starts.len()).map(|at| (starts[at], last(at), rows[at])).collect();
        prop_assert_eq!(given, expected);
        prop_assert_eq!(ranges.len(), starts.len());
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn lookups_find_what_a_plain_search_finds(
            spread in btree_map(any::<u64>(), 0u32..4, 0..200),
            lumps in prop::collection::vec(
                (any::<u64>(), 0u32..48, btree_map(any::<u16>(), 0u32..4, 0..600)),
                0..4,
            ),
            wide in prop::option::of(any::<u32>()),
            keys in prop::collection::vec(any::<u64>(), 100),
        ) {
            let mut table = spread;
            let mut near = keys.clone();
            table.insert(0, 3);
            for (base, shift, lump) in lumps {
                let base = base & !(0xffff << shift);
                near.extend(keys.iter().map(|key| base | (key & 0xffff) << shift));
                table.extend(lump.into_iter().map(|(low, row)| (base | u64::from(low) << shift, row)));
            }
            // A row that takes more than 16 bits.
            table.values_mut().last().into_iter().zip(wide).for_each(|(row, wide)| *row = wide);
            let table: Vec<(u64, u32)> = table.into_iter().collect();
            check(&table, &near)?;
            let mut halved: Vec<(u32, u32)> =
                table.iter().map(|&(start, row)| ((start >> 32) as u32, row)).collect();
            halved.dedup_by_key(|(start, _)| *start);
            let keys: Vec<u32> = near.iter().map(|key| (key >> 32) as u32).collect();
            check(&halved, &keys)?;
        }
    }

    #[test]
    fn one_range_is_everywhere() {
        let ranges = Ranges::new(&[0u64], &[70_000]);
        for key in [0, 1, u64::MAX] {
            assert_eq!(ranges.lookup(key), (70_000, 0));
        }
    }

    #[test]
    fn every_key_can_be_a_range() {
        let table: Vec<(u64, u32)> =
            (0..5_000).map(|low| (low, low as u32 % 7)).chain([(u64::MAX, 9)]).collect();
        let keys: Vec<u64> = (0..6_000).chain([u64::MAX - 1, u64::MAX, 1 << 63]).collect();
        check(&table, &keys).unwrap();
    }
}
