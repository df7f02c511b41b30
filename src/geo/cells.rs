//! The tables behind [`Ranges`](super::ranges::Ranges): slots, cuts and blocks.
//!
//! ```text
//! cut     = where its block is, or a slot: a cell that is cut again
//! block   = header, then one of
//!   plain   starts in the cell, rows (one more)       header: count, shift
//!   whole   row                                       header: 0, scope
//!   wide    count, whole starts, rows (one more)      header: 15
//! ```
//! Blocks are in units of 16 or 32 bits. Of a plain block's starts, the bits between the
//! cell's and the finest change in it are kept; where these are more than a unit
//! has, the block is wide.
//!
//! It must not know what keys or rows mean.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Range;

use super::key::{Key, largest_network};

/// Widest first level: 65,536 slots.
const TOP_BITS_MAX: u32 = 16;
/// Most cuts of one slot, as bits.
const CUT_BITS_MAX: u32 = 16;
/// Starts per cell aimed at, were they spread evenly: real ones are not, and a
/// cell holds [`COUNT_MAX`].
const CELL_STARTS: usize = 4;
/// Most starts in a plain or wide block.
const COUNT_MAX: usize = 14;
/// Bits of the count in a header, and what is there in wide blocks.
const COUNT_BITS: u32 = 4;
const WIDE: usize = 15;
/// Starts compared at once: what the processor does side by side.
const LANES: usize = 16;
/// Units that may be read from a plain block on.
const BLOCK_UNITS: usize = 32;
/// A cut from here on is a slot's number, not a block's place.
const NEST: u32 = 1 << 31;

//------------ Cells ----------------------------------------------------------

/// For keys `K`, blocks of units `U` that every row fits.
#[derive(Clone, Debug)]
pub(super) struct Cells<K, U> {
    /// One per value of the top bits, then those of cells that are cut again.
    slots: Box<[Slot]>,
    /// One per cut of each slot.
    cuts: Box<[u32]>,
    blocks: Box<[U]>,
    /// `K::BITS` less the bits of the first level.
    top_shift: u32,
    keys: PhantomData<K>,
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

impl<K: Key, U: Key> Cells<K, U> {
    /// Takes what [`Ranges::new`](super::ranges::Ranges::new) does.
    pub(super) fn new(starts: &[K], rows: &[u32]) -> Cells<K, U> {
        let cells = starts.len() / CELL_STARTS;
        let top_bits = (usize::BITS - cells.leading_zeros()).clamp(1, TOP_BITS_MAX);
        let top_shift = K::BITS - top_bits;
        let mut builder: Builder<'_, K, U> = Builder {
            starts,
            rows,
            slots: vec![Slot::default(); 1 << top_bits],
            cuts: Vec::new(),
            blocks: Vec::new(),
            whole: HashMap::new(),
        };
        let mut at = 0;
        for top in 0..1usize << top_bits {
            let first = (top as u128) << top_shift;
            let inside = builder.members(at, first, top_bits);
            at = inside.end;
            let bits = cut_bits(inside.len(), top_shift);
            builder.slots[top] = builder.slot(first, top_bits, inside, bits);
        }
        let Builder { mut slots, mut cuts, mut blocks, .. } = builder;
        blocks.resize(blocks.len() + BLOCK_UNITS, U::default());
        assert!(blocks.len() < NEST as usize, "more ranges than NODES_MAX nodes give");
        slots.shrink_to_fit();
        cuts.shrink_to_fit();
        blocks.shrink_to_fit();
        Cells {
            slots: slots.into(),
            cuts: cuts.into(),
            blocks: blocks.into(),
            top_shift,
            keys: PhantomData,
        }
    }

    /// Where the block of `key` is.
    #[inline(always)]
    pub(super) fn locate(&self, key: K) -> u32 {
        let mut slot = (key >> self.top_shift).low_bits();
        loop {
            let Slot { cuts, shift, mask } = self.slots[slot];
            let cut = (key >> u32::from(shift)).low_bits() & usize::from(mask);
            let found = self.cuts[cuts as usize + cut];
            if found < NEST {
                return found;
            }
            slot = (found - NEST) as usize;
        }
    }

    /// Some bits of a block.
    #[inline(always)]
    pub(super) fn touch(&self, block: u32) -> u8 {
        self.blocks[block as usize].low_bits() as u8
    }

    /// The row of a key, whose block this is, and its scope.
    #[inline(always)]
    pub(super) fn finish(&self, block: u32, key: K) -> (u32, u8) {
        let block = &self.blocks[block as usize..];
        let header = block[0].low_bits();
        let count = header & WIDE;
        if count == WIDE { wide(block, key) } else { plain(block, header, count, key) }
    }

    /// Gives every start and every cell's first key, in order, with its row.
    pub(super) fn for_each(&self, step: &mut dyn FnMut(K, u32)) {
        for top in 0..1usize << (K::BITS - self.top_shift) {
            self.for_each_in(top, (top as u128) << self.top_shift, step);
        }
    }

    fn for_each_in(&self, slot: usize, first: u128, step: &mut dyn FnMut(K, u32)) {
        let Slot { cuts, shift, mask } = self.slots[slot];
        for cut in 0..=usize::from(mask) {
            let first = first | (cut as u128) << shift;
            let found = self.cuts[cuts as usize + cut];
            if found >= NEST {
                self.for_each_in((found - NEST) as usize, first, step);
                continue;
            }
            let block = &self.blocks[found as usize..];
            let header = block[0].low_bits();
            let (count, detail) = (header & WIDE, header >> COUNT_BITS);
            let (starts, rows): (Vec<u128>, &[U]) = if count == WIDE {
                let count = block[1].low_bits();
                let (starts, rows) = block[2..].split_at(count * units_per_key::<K, U>());
                (starts.chunks(units_per_key::<K, U>()).map(whole_key).collect(), &rows[..=count])
            } else {
                let above = first >> detail >> U::BITS << U::BITS;
                let start = |start: &U| (above | start.widen()) << detail;
                let (starts, rows) = block[1..].split_at(count);
                (starts.iter().map(start).collect(), &rows[..=count])
            };
            let starts = [first].into_iter().chain(starts);
            starts.zip(rows).for_each(|(start, row)| step(K::narrow(start), row.low_bits() as u32));
        }
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.slots) + size_of_val(&*self.cuts) + size_of_val(&*self.blocks)
    }
}

//------------ Reading blocks -------------------------------------------------

#[inline(always)]
fn plain<K: Key, U: Key>(block: &[U], header: usize, count: usize, key: K) -> (u32, u8) {
    let block: &[U; BLOCK_UNITS] =
        block.first_chunk().expect("a block is followed by a block's length");
    // Of a whole cell, the scope; whatever is found with it then is not used.
    let shift = (header >> COUNT_BITS) as u32;
    let low = U::narrow((key >> (shift & (K::BITS - 1))).widen());
    let starts: &[U; LANES] = block[1..].first_chunk().expect("fewer lanes than units");
    let mut passed = 0u16;
    for (lane, &start) in starts.iter().enumerate() {
        passed += u16::from(start <= low) & u16::from((lane as u16) < count as u16);
    }
    let passed = usize::from(passed).min(COUNT_MAX);
    let row = block[(1 + count + passed) % BLOCK_UNITS].low_bits() as u32;
    // What the nearest keys of other ranges have in common with this one: as
    // `largest_network`, in units. A side with no start in the cell has less: all
    // bits set. By arithmetic, since a branch would be guessed wrong half the time.
    let none = |is_none: bool| u64::from(is_none).wrapping_neg();
    let low = low.low_bits() as u64;
    let before = low ^ (block[passed].low_bits() as u64).wrapping_sub(1) | none(passed == 0);
    let after = low ^ block[1 + passed].low_bits() as u64 | none(passed == count);
    let common = (before.min(after) | 1).leading_zeros();
    let length = (K::BITS + common + 1).wrapping_sub(u64::BITS + shift);
    (row, if count == 0 { shift as u8 } else { length as u8 })
}

#[cold]
fn wide<K: Key, U: Key>(block: &[U], key: K) -> (u32, u8) {
    let count = block[1].low_bits();
    let units = units_per_key::<K, U>();
    let (starts, rows) = block[2..].split_at(count * units);
    let start = |at: usize| K::narrow(whole_key(&starts[at * units..][..units]));
    let passed = (0..count).take_while(|&at| start(at) <= key).count();
    let first = if passed > 0 { start(passed - 1) } else { K::default() };
    let next = (passed < count).then(|| start(passed));
    (rows[passed].low_bits() as u32, largest_network(key, first, next))
}

const fn units_per_key<K: Key, U: Key>() -> usize {
    (K::BITS / U::BITS) as usize
}

/// The highest unit first.
fn whole_key<U: Key>(units: &[U]) -> u128 {
    units.iter().fold(0, |key, unit| key << U::BITS | unit.widen())
}

//------------ Builder --------------------------------------------------------

struct Builder<'a, K, U> {
    starts: &'a [K],
    rows: &'a [u32],
    slots: Vec<Slot>,
    cuts: Vec<u32>,
    blocks: Vec<U>,
    /// The blocks of whole cells, by row and scope.
    whole: HashMap<(u32, u8), u32>,
}

impl<K: Key, U: Key> Builder<'_, K, U> {
    /// From `at` on, the starts in the network of this first key and length.
    fn members(&self, at: usize, first: u128, length: u32) -> Range<usize> {
        let free = K::BITS - length;
        let inside = |start: &&K| start.widen() >> free == first >> free;
        at..at + self.starts[at..].iter().take_while(inside).count()
    }

    /// Cuts a network up.
    fn slot(&mut self, first: u128, length: u32, members: Range<usize>, bits: u32) -> Slot {
        let shift = K::BITS - length - bits;
        let cuts = self.cuts.len();
        self.cuts.resize(cuts + (1 << bits), 0);
        let mut at = members.start;
        for cut in 0..1usize << bits {
            let first = first | (cut as u128) << shift;
            let inside = self.members(at, first, length + bits);
            at = inside.end;
            self.cuts[cuts + cut] = self.cell(first, length + bits, inside);
        }
        let mask = ((1u32 << bits) - 1) as u16;
        Slot { cuts: cuts as u32, shift: shift as u16, mask }
    }

    /// The cut that stands for a cell.
    fn cell(&mut self, first: u128, length: u32, members: Range<usize>) -> u32 {
        // A start at the first key is no change inside.
        let starts_here = self.starts[members.clone()].first().map(|start| start.widen());
        let inside = members.start + usize::from(starts_here == Some(first))..members.end;
        // The start of all is 0, so there is one before those inside.
        let row = self.rows[inside.start - 1];
        if inside.is_empty() {
            let (start, next) = (self.starts[inside.start - 1], self.starts.get(inside.start));
            let scope = largest_network(K::narrow(first), start, next.copied());
            return self.whole_cell(row, scope);
        }
        if inside.len() > COUNT_MAX {
            let free = K::BITS - length;
            let bits = cut_bits(inside.len(), free).max(1);
            let slot = self.slot(first, length, members, bits);
            self.slots.push(slot);
            return NEST + (self.slots.len() - 1) as u32;
        }
        let starts = &self.starts[inside.clone()];
        let shift = starts.iter().map(|start| start.trailing_zeros()).min().unwrap_or(0);
        let fits = K::BITS - length <= shift + U::BITS;
        let at = if fits {
            let at = self.begin(inside.len() | (shift as usize) << COUNT_BITS);
            self.blocks.extend(starts.iter().map(|&start| U::narrow((start >> shift).widen())));
            at
        } else {
            let at = self.begin(WIDE);
            self.blocks.push(U::narrow(inside.len() as u128));
            for start in starts {
                let units = (0..units_per_key::<K, U>() as u32).rev();
                let unit = |unit| U::narrow(start.widen() >> (unit * U::BITS));
                self.blocks.extend(units.map(unit));
            }
            at
        };
        let rows = &self.rows[inside.start - 1..inside.end];
        self.blocks.extend(rows.iter().map(|&row| U::narrow(row.into())));
        at
    }

    fn whole_cell(&mut self, row: u32, scope: u8) -> u32 {
        if let Some(&at) = self.whole.get(&(row, scope)) {
            return at;
        }
        let at = self.begin(usize::from(scope) << COUNT_BITS);
        self.blocks.push(U::narrow(row.into()));
        self.whole.insert((row, scope), at);
        at
    }

    fn begin(&mut self, header: usize) -> u32 {
        self.blocks.push(U::narrow(header as u128));
        (self.blocks.len() - 1) as u32
    }
}

/// How finely to cut what has so many starts, and bits left free.
fn cut_bits(count: usize, free: u32) -> u32 {
    (count / CELL_STARTS).max(1).ilog2().min(CUT_BITS_MAX).min(free)
}
