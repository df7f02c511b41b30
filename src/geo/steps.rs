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

    /// Whether one value holds everywhere.
    pub(super) fn is_constant(&self) -> bool {
        self.starts.len() == 1
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

    /// Its two lists.
    pub(super) fn into_parts(self) -> (Vec<K>, Vec<u32>) {
        (self.starts, self.values)
    }

    /// Frees what growing left over.
    pub(super) fn shrink(&mut self) {
        self.starts.shrink_to_fit();
        self.values.shrink_to_fit();
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
    let mut left = a.peekable();
    let mut right = b.peekable();
    let (mut value_a, mut value_b) = (0, 0);
    while let Some(start) = earlier(&mut left, &mut right) {
        take_at(&mut left, start, &mut value_a);
        take_at(&mut right, start, &mut value_b);
        result.push(start, combine(value_a, value_b));
    }
    result
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

//------------ StepsV6 --------------------------------------------------------

/// While halved, values from here on stand for a /64 with steps inside it.
const SPLIT: u32 = 1 << 31;

/// Steps over IPv6, kept in half the memory: few tables change inside a /64, and
/// those in few places.
#[derive(Clone, Debug)]
pub(super) struct StepsV6 {
    /// By the first 64 bits: values, or from [`SPLIT`] on indices into `inside`.
    halves: Steps<u64>,
    /// By the last 64 bits.
    inside: Vec<Steps<u64>>,
    /// How many steps, those inside included.
    len: usize,
}

impl StepsV6 {
    /// How many steps.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// As [`Steps::at`], but that ranges begin and end with a /64 that has steps
    /// inside it: no network reaches over one.
    pub(super) fn at(&self, key: u128) -> (u32, u128, Option<u128>) {
        let high = |half: u64| u128::from(half) << 64;
        let (value, start, next) = self.halves.at((key >> 64) as u64);
        if value < SPLIT {
            return (value, high(start), next.map(high));
        }
        let (value, low, low_next) = self.inside[(value - SPLIT) as usize].at(key as u64);
        let next = low_next.map(|low| high(start) | u128::from(low)).or(next.map(high));
        (value, high(start) | u128::from(low), next)
    }

    /// All (start, value), ascending; a value may be given again where nothing
    /// changes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u32)> + '_ {
        self.halves.iter().flat_map(|(start, value)| {
            let inside = value.checked_sub(SPLIT).map(|at| &self.inside[at as usize]);
            let plain = inside.is_none().then_some((0, value));
            let steps = plain.into_iter().chain(inside.into_iter().flat_map(Steps::iter));
            steps.map(move |(low, value)| (u128::from(start) << 64 | u128::from(low), value))
        })
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let inside = self.inside.iter().map(Steps::memory_bytes).sum::<usize>();
        self.halves.memory_bytes() + inside + self.inside.capacity() * size_of::<Steps<u64>>()
    }
}

impl From<Steps<u128>> for StepsV6 {
    fn from(steps: Steps<u128>) -> StepsV6 {
        let mut inside = Vec::new();
        let mut halves = halve(&steps, |steps| {
            inside.push(steps);
            SPLIT + (inside.len() - 1) as u32
        });
        halves.shrink();
        StepsV6 { halves, inside, len: steps.len() }
    }
}

/// Halves the keys. Where something changes inside a /64, `split` takes its steps
/// and gives the value that stands for them, distinct from all others.
pub(super) fn halve(steps: &Steps<u128>, mut split: impl FnMut(Steps<u64>) -> u32) -> Steps<u64> {
    let mut halves = Steps::empty();
    let mut steps = steps.iter().peekable();
    let mut value = 0;
    while let Some(&(start, _)) = steps.peek() {
        let half = (start >> 64) as u64;
        let mut inside = Steps::empty();
        if start as u64 != 0 {
            inside.push(0, value);
        }
        while let Some((start, next)) = steps.next_if(|&(next, _)| (next >> 64) as u64 == half) {
            inside.push(start as u64, next);
            value = next;
        }
        if inside.is_constant() {
            halves.push(half, value);
            continue;
        }
        halves.push(half, split(inside));
        // What holds at its end holds on, unless the next /64 has a step.
        let next = steps.peek().map(|&(start, _)| (start >> 64) as u64);
        if let Some(after) = half.checked_add(1).filter(|&after| next != Some(after)) {
            halves.push(after, value);
        }
    }
    halves
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
    use super::super::key::largest_network;
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

    #[test]
    fn halving_ipv6_keeps_every_step() {
        for inside in [0u128, 1] {
            let mut steps = Steps::constant(0u32);
            steps.push(0x2a00u128 << 112, 1);
            steps.push((0x2a00u128 << 112) + (1 << 64) + inside, 2);
            let all: Vec<_> = steps.iter().collect();
            let halved = StepsV6::from(steps.clone());
            assert_eq!(halved.inside.len() as u128, inside);
            assert_eq!(halved.len(), 3);
            let again = combine(halved.iter(), Steps::constant(0).iter(), |value, _| value);
            assert_eq!(again.iter().collect::<Vec<_>>(), all);
            for (start, _) in all {
                for key in [start, start + 1, start + (1 << 64), start.saturating_sub(1)] {
                    let network = |(value, first, next)| (value, largest_network(key, first, next));
                    assert_eq!(network(halved.at(key)), network(steps.at(key)), "{key:x}");
                }
            }
        }
    }
}
