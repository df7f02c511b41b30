//! Functions over an address space that change at few places: lists of (start, value).
//!
//! What databases, operators' networks and special blocks are reduced to, and
//! what they are combined in.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Deref;

use super::key::Key;

//------------ Steps ----------------------------------------------------------

/// From each start on, a value; the first start is 0.
#[derive(Clone, Debug)]
pub(super) struct Steps<K> {
    starts: Vec<K>,
    values: Vec<u32>,
}

impl<K: Key> Steps<K> {
    /// One value everywhere.
    pub(super) fn constant(value: u32) -> Steps<K> {
        Steps { starts: vec![K::default()], values: vec![value] }
    }

    /// Nothing yet: the first `push` must be at 0.
    pub(super) fn empty() -> Steps<K> {
        Steps { starts: Vec::new(), values: Vec::new() }
    }

    /// From `start`, which is above all before, the value is `value`.
    pub(super) fn push(&mut self, start: K, value: u32) {
        debug_assert!(self.starts.last().is_none_or(|&last| last < start));
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// How many steps.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The value at `key`, where it starts, and where the next one does.
    pub(super) fn at(&self, key: K) -> (u32, K, Option<K>) {
        // The first start is 0.
        let at = self.starts.partition_point(|&start| start <= key) - 1;
        (self.values[at], self.starts[at], self.starts.get(at + 1).copied())
    }

    /// All (start, value), ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, u32)> + Clone + '_ {
        self.starts.iter().copied().zip(self.values.iter().copied())
    }

    /// Values, to be renumbered.
    pub(super) fn values_mut(&mut self) -> &mut [u32] {
        &mut self.values
    }

    /// All starts, and for each a value.
    pub(super) fn lists(&self) -> (&[K], &[u32]) {
        (&self.starts, &self.values)
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.starts.capacity() * size_of::<K>() + self.values.capacity() * size_of::<u32>()
    }
}

/// Walks two functions at once: at every place where either changes, `combine`
/// gives the value of the result.
pub(super) fn combine<K: Key>(
    a: impl Iterator<Item = (K, u32)>,
    b: impl Iterator<Item = (K, u32)>,
    mut combine: impl FnMut(u32, u32) -> u32,
) -> Steps<K> {
    let mut result = Steps::empty();
    for_each_pair(a, b, |start, a, b| result.push(start, combine(a, b)));
    result
}

/// Walks two functions at once: gives every place where either changes, and both
/// values there.
pub(super) fn for_each_pair<K: Key>(
    a: impl Iterator<Item = (K, u32)>,
    b: impl Iterator<Item = (K, u32)>,
    mut visit: impl FnMut(K, u32, u32),
) {
    let mut left = a.peekable();
    let mut right = b.peekable();
    let (mut value_a, mut value_b) = (0, 0);
    while let Some(start) = earlier(&mut left, &mut right) {
        take_at(&mut left, start, &mut value_a);
        take_at(&mut right, start, &mut value_b);
        visit(start, value_a, value_b);
    }
}

fn earlier<K: Key>(
    a: &mut Peekable<impl Iterator<Item = (K, u32)>>,
    b: &mut Peekable<impl Iterator<Item = (K, u32)>>,
) -> Option<K> {
    match (a.peek(), b.peek()) {
        (Some(&(a, _)), Some(&(b, _))) => Some(a.min(b)),
        (Some(&(start, _)), None) | (None, Some(&(start, _))) => Some(start),
        (None, None) => None,
    }
}

fn take_at<K: Key>(
    steps: &mut Peekable<impl Iterator<Item = (K, u32)>>,
    start: K,
    value: &mut u32,
) {
    if let Some((_, next)) = steps.next_if(|&(at, _)| at == start) {
        *value = next;
    }
}

//------------ Nested ---------------------------------------------------------

/// Networks of one family, any of which may lie within others.
#[derive(Clone, Debug)]
pub(super) struct Nested<K> {
    /// The innermost network: an index into `chains`; 0: none.
    pub(super) innermost: Steps<K>,
    /// For each distinct network, the indices of all that contain it, itself
    /// included, longest first, equal ones in the order given.
    pub(super) chains: Vec<Chain>,
}

/// Indices of networks, innermost first.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain(Vec<usize>);

impl Deref for Chain {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<K: Key> Nested<K> {
    /// From (address, prefix length, index). Bits beyond the length are ignored.
    pub(super) fn new(networks: impl Iterator<Item = (u128, u8, usize)>) -> Nested<K> {
        // Ordered by first key, then from the largest: parents before children.
        let mut distinct: BTreeMap<(u128, u8), Vec<usize>> = BTreeMap::new();
        for (address, length, index) in networks {
            let first = address & !last_bits(K::BITS, length);
            distinct.entry((first, length)).or_default().push(index);
        }
        let mut nested = Nested { innermost: Steps::constant(0), chains: vec![Chain::default()] };
        // Networks that are open at this place: (chain, last key).
        let mut open: Vec<(u32, u128)> = Vec::new();
        let mut changes: BTreeMap<u128, u32> = BTreeMap::from([(0, 0)]);
        for ((first, length), mut indices) in distinct {
            close_before(&mut open, &mut changes, Some(first), K::BITS);
            let outer = open.last().map_or(0, |&(chain, _)| chain);
            indices.extend(nested.chains[outer as usize].iter());
            nested.chains.push(Chain(indices));
            let chain = (nested.chains.len() - 1) as u32;
            open.push((chain, first | last_bits(K::BITS, length)));
            changes.insert(first, chain);
        }
        close_before(&mut open, &mut changes, None, K::BITS);
        nested.innermost = Steps::empty();
        for (start, chain) in changes {
            nested.innermost.push(K::narrow(start), chain);
        }
        nested
    }
}

/// Ends the open networks that lie wholly before `start` (`None`: all).
fn close_before(
    open: &mut Vec<(u32, u128)>,
    changes: &mut BTreeMap<u128, u32>,
    start: Option<u128>,
    bits: u32,
) {
    while let Some((_, last)) = open.pop_if(|(_, last)| start.is_none_or(|start| *last < start)) {
        let outer = open.last().map_or(0, |&(chain, _)| chain);
        if last != last_bits(bits, 0) {
            // An outer network that ends at the same key closes after, and wins.
            changes.insert(last + 1, outer);
        }
    }
}

/// The bits of a `bits`-wide key beyond a prefix length.
pub(super) fn last_bits(bits: u32, length: u8) -> u128 {
    match bits - u32::from(length).min(bits) {
        0 => 0,
        free => u128::MAX >> (128 - free),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(nested: &Nested<u32>) -> Vec<(u32, Vec<usize>)> {
        nested
            .innermost
            .iter()
            .map(|(start, chain)| (start, nested.chains[chain as usize].to_vec()))
            .collect()
    }

    #[test]
    fn nested_networks_open_and_close_in_order() {
        let ten = 0x0a00_0000u128;
        let networks = [
            (ten, 8, 0),
            (ten | 0x0001_0000, 16, 1),
            (ten | 0x00ff_ff00, 24, 2),
            (ten | 7, 8, 3),
            (0xff00_0000, 8, 4),
        ];
        let nested: Nested<u32> = Nested::new(networks.into_iter());
        assert_eq!(
            steps(&nested),
            [
                (0, vec![]),
                (0x0a00_0000, vec![0, 3]),
                (0x0a01_0000, vec![1, 0, 3]),
                (0x0a02_0000, vec![0, 3]),
                (0x0aff_ff00, vec![2, 0, 3]),
                (0x0b00_0000, vec![]),
                (0xff00_0000, vec![4]),
            ]
        );
    }

    #[test]
    fn the_whole_space_is_a_network_too() {
        let nested: Nested<u32> = Nested::new([(0, 0, 9), (0, 32, 8)].into_iter());
        assert_eq!(steps(&nested), [(0, vec![8, 9]), (1, vec![9])]);
    }

    #[test]
    fn combining_keeps_every_change_and_merges_equal_neighbours() {
        let mut a = Steps::constant(1u32);
        a.push(10u32, 2);
        a.push(20, 1);
        let mut b = Steps::constant(0);
        b.push(10u32, 5);
        b.push(15, 6);
        let all: Vec<_> = combine(a.iter(), b.iter(), |a, b| a * 10 + b).iter().collect();
        assert_eq!(all, [(0, 10), (10, 25), (15, 26), (20, 16)]);
        let low: Vec<_> = combine(a.iter(), b.iter(), |a, _| a).iter().collect();
        assert_eq!(low, [(0, 1), (10, 2), (20, 1)]);
    }
}
