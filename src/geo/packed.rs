//! The base table's lists of (start, value), packed: a city database has millions,
//! and they are only read from front to back, or a few at a time for people.
//!
//! ```text
//! list   = runs; of each, the first start and where its bytes begin are kept apart
//! run    = value (varint), then steps
//! step   = control byte, [varint], [value (varint)]
//!          control: bits 0-5 shift; 6 a varint n follows; 7 the value is the one before last
//!          the step starts (2n + 1) << shift after the one before
//! ```
//! Most networks are a power of two after their neighbour and many are a hole in
//! another's, so a step takes one to five bytes, not eight or twelve.

use std::marker::PhantomData;

use super::key::Key;

/// Steps in a run: what a search reads at most.
const RUN: usize = 64;

const SHIFT: u8 = 0x3f;
const FACTOR_FOLLOWS: u8 = 0x40;
const AS_BEFORE_LAST: u8 = 0x80;

//------------ Packed ---------------------------------------------------------

/// From each start on, a value; the first start is 0. Keys have 64 bits at most.
#[derive(Clone, Debug)]
pub(super) struct Packed<K> {
    bytes: Vec<u8>,
    runs: Vec<Run<K>>,
    len: usize,
    last: State,
}

#[derive(Clone, Copy, Debug)]
struct Run<K> {
    start: K,
    /// Index of its first byte.
    at: usize,
}

/// What a step is told by its difference from.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    start: u64,
    value: u32,
    before: u32,
}

impl<K: Key> Packed<K> {
    /// Nothing yet: the first `push` must be at 0.
    pub(super) fn empty() -> Packed<K> {
        Packed { bytes: Vec::new(), runs: Vec::new(), len: 0, last: State::default() }
    }

    /// From `start`, which is above all before, the value is `value`.
    pub(super) fn push(&mut self, start: K, value: u32) {
        let key = start.widen() as u64;
        if self.len > 0 && self.last.value == value {
            return;
        }
        if self.len.is_multiple_of(RUN) {
            self.runs.push(Run { start, at: self.bytes.len() });
            write_varint(&mut self.bytes, value.into());
            // No step has the value of the one just before it.
            self.last = State { start: key, value, before: value };
        } else {
            debug_assert!(self.last.start < key);
            let delta = key - self.last.start;
            let shift = delta.trailing_zeros();
            let factor = delta >> shift >> 1;
            let repeats = value == self.last.before;
            let control = shift as u8
                | if factor > 0 { FACTOR_FOLLOWS } else { 0 }
                | if repeats { AS_BEFORE_LAST } else { 0 };
            self.bytes.push(control);
            if factor > 0 {
                write_varint(&mut self.bytes, factor);
            }
            if !repeats {
                write_varint(&mut self.bytes, value.into());
            }
            self.last = State { start: key, value, before: self.last.value };
        }
        self.len += 1;
    }

    /// How many steps.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the value is 0 everywhere.
    pub(super) fn is_nothing(&self) -> bool {
        self.len == 1 && self.last.value == 0
    }

    /// The value at `key`, where it starts, and where the next one does.
    pub(super) fn at(&self, key: K) -> (u32, K, Option<K>) {
        // The first start is 0.
        let run = self.runs.partition_point(|run| run.start <= key) - 1;
        let mut found = (0, K::default());
        for (start, value) in self.iter_from(run) {
            if start > key {
                return (found.0, found.1, Some(start));
            }
            found = (value, start);
        }
        (found.0, found.1, None)
    }

    /// All (start, value), ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, u32)> + '_ {
        self.iter_from(0)
    }

    fn iter_from(&self, run: usize) -> impl Iterator<Item = (K, u32)> + '_ {
        let at = self.runs.get(run).map_or(0, |run| run.at);
        Iter { list: self, at, next: run * RUN, state: State::default(), keys: PhantomData }
    }

    /// Frees what growing left over.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.runs.shrink_to_fit();
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.runs.capacity() * size_of::<Run<K>>()
    }
}

struct Iter<'a, K> {
    list: &'a Packed<K>,
    /// The next byte and the next step.
    at: usize,
    next: usize,
    state: State,
    keys: PhantomData<K>,
}

impl<K: Key> Iterator for Iter<'_, K> {
    type Item = (K, u32);

    #[inline]
    fn next(&mut self) -> Option<(K, u32)> {
        if self.next >= self.list.len {
            return None;
        }
        if self.next.is_multiple_of(RUN) {
            let start = self.list.runs[self.next / RUN].start.widen() as u64;
            let value = self.varint() as u32;
            self.state = State { start, value, before: value };
        } else {
            let control = self.byte();
            let factor = if control & FACTOR_FOLLOWS == 0 { 0 } else { self.varint() };
            let start = self.state.start + ((2 * factor + 1) << (control & SHIFT));
            let value = match control & AS_BEFORE_LAST {
                0 => self.varint() as u32,
                _ => self.state.before,
            };
            self.state = State { start, value, before: self.state.value };
        }
        self.next += 1;
        Some((K::narrow(self.state.start.into()), self.state.value))
    }
}

impl<K> Iter<'_, K> {
    #[inline]
    fn byte(&mut self) -> u8 {
        let byte = self.list.bytes[self.at];
        self.at += 1;
        byte
    }

    #[inline]
    fn varint(&mut self) -> u64 {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in(
            spread in btree_map(any::<u64>(), any::<u32>(), 0..300),
            lump in btree_map(any::<u16>(), 0u32..4, 0..600),
            base in any::<u64>(),
        ) {
            let mut table = spread;
            table.extend(lump.into_iter().map(|(low, value)| (base & !0xffff | u64::from(low), value)));
            table.insert(0, 1 << 31);
            let mut expected: Vec<(u64, u32)> = table.into_iter().collect();
            let mut packed = Packed::empty();
            expected.iter().for_each(|&(start, value)| packed.push(start, value));
            expected.dedup_by_key(|(_, value)| *value);
            prop_assert_eq!(packed.len(), expected.len());
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), expected.clone());
            let edges = expected.iter().flat_map(|&(start, _)| [start, start.wrapping_sub(1)]);
            for key in edges {
                let at = expected.partition_point(|&(start, _)| start <= key) - 1;
                let next = expected.get(at + 1).map(|&(start, _)| start);
                prop_assert_eq!(packed.at(key), (expected[at].1, expected[at].0, next));
            }
        }
    }

    #[test]
    fn a_common_step_takes_few_bytes() {
        let mut packed = Packed::<u32>::empty();
        for step in 0..64_000u32 {
            packed.push(step << 8, if step % 2 == 0 { 300_000 } else { step });
        }
        packed.shrink();
        assert!(packed.memory_bytes() < 64_000 * 4, "{}", packed.memory_bytes());
    }
}
