//! IPv6 in halves: few tables change inside a /64, and those in few places, so
//! lists are kept by the first 64 bits, and what changes inside is set apart.

use super::key::Key;
use super::packed::Packed;
use super::steps::Steps;

//------------ Halver ---------------------------------------------------------

/// Takes steps over IPv6 in order, and gives them in halves, one at a time.
pub(super) struct Halver<S> {
    sink: S,
    /// The value of the last step.
    last: Option<u32>,
    open: Option<Open>,
    len: usize,
}

/// The /64 of the last step: what holds at its start, and what changes inside.
struct Open {
    half: u64,
    first: u32,
    rest: Steps<u64>,
}

/// What becomes of halves.
pub(super) trait Halves {
    /// From this /64 on, the value; it may be the one before.
    fn step(&mut self, half: u64, value: u32);

    /// The value that stands for a /64 inside which something changes, distinct
    /// from all others.
    fn split(&mut self, inside: Steps<u64>) -> u32;
}

impl<S: Halves> Halver<S> {
    pub(super) fn new(sink: S) -> Halver<S> {
        Halver { sink, last: None, open: None, len: 0 }
    }

    /// From `start`, which is above all before, the value is `value`.
    pub(super) fn push(&mut self, start: u128, value: u32) {
        if self.last == Some(value) {
            return;
        }
        let (half, low) = ((start >> 64) as u64, start as u64);
        match &mut self.open {
            Some(open) if open.half == half => open.rest.push(low, value),
            _ => {
                self.close(Some(half));
                let mut open = Open { half, first: value, rest: Steps::empty() };
                if low != 0 {
                    open.first = self.last.unwrap_or(0);
                    open.rest.push(low, value);
                }
                self.open = Some(open);
            }
        }
        self.last = Some(value);
        self.len += 1;
    }

    /// What became of them, and how many steps there were.
    pub(super) fn finish(mut self) -> (S, usize) {
        self.close(None);
        (self.sink, self.len)
    }

    /// Gives the open /64 away; `next` is the one that follows.
    fn close(&mut self, next: Option<u64>) {
        let Some(Open { half, first, rest }) = self.open.take() else { return };
        if rest.len() == 0 {
            return self.sink.step(half, first);
        }
        let mut inside = Steps::constant(first);
        rest.iter().for_each(|(low, value)| inside.push(low, value));
        let split = self.sink.split(inside);
        self.sink.step(half, split);
        // What holds at its end holds on, unless the next /64 has a step.
        if let Some(after) = half.checked_add(1).filter(|&after| next != Some(after)) {
            self.sink.step(after, self.last.unwrap_or(0));
        }
    }
}

//------------ StepsV6 --------------------------------------------------------

/// Values from here on stand for a /64 with steps inside it.
const SPLIT: u32 = 1 << 31;

/// Steps over IPv6, values below 2³¹.
#[derive(Clone, Debug)]
pub(super) struct StepsV6 {
    parts: Parts,
    /// How many steps, those inside included.
    len: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// By the first 64 bits: values, or from [`SPLIT`] on indices into `inside`.
    halves: Packed<u64>,
    /// By the last 64 bits.
    inside: Vec<Steps<u64>>,
}

impl Halves for Parts {
    fn step(&mut self, half: u64, value: u32) {
        self.halves.push(half, value);
    }

    fn split(&mut self, inside: Steps<u64>) -> u32 {
        self.inside.push(inside);
        SPLIT + (self.inside.len() - 1) as u32
    }
}

impl StepsV6 {
    /// To push steps to, the first at 0, and then to [`build`](StepsV6::build).
    pub(super) fn builder() -> Halver<Parts> {
        Halver::new(Parts { halves: Packed::empty(), inside: Vec::new() })
    }

    pub(super) fn build(halver: Halver<Parts>) -> StepsV6 {
        let (mut parts, len) = halver.finish();
        parts.halves.shrink();
        parts.inside.shrink_to_fit();
        StepsV6 { parts, len }
    }

    /// How many steps.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the value is 0 everywhere.
    pub(super) fn is_nothing(&self) -> bool {
        self.parts.halves.is_nothing()
    }

    /// The value at `key`, where it starts, and where the next one does; but that
    /// ranges begin and end with a /64 that has steps inside it: no network
    /// reaches over one.
    pub(super) fn at(&self, key: u128) -> (u32, u128, Option<u128>) {
        let high = |half: u64| u128::from(half) << 64;
        let (value, start, next) = self.parts.halves.at((key >> 64) as u64);
        if value < SPLIT {
            return (value, high(start), next.map(high));
        }
        let (value, low, low_next) = self.parts.inside[(value - SPLIT) as usize].at(key as u64);
        let next = low_next.map(|low| high(start) | u128::from(low)).or(next.map(high));
        (value, high(start) | u128::from(low), next)
    }

    /// All (start, value), ascending; a value may be given again where nothing
    /// changes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u32)> + '_ {
        self.parts.halves.iter().flat_map(|(start, value)| {
            let inside = value.checked_sub(SPLIT).map(|at| &self.parts.inside[at as usize]);
            let plain = inside.is_none().then_some((0, value));
            let steps = plain.into_iter().chain(inside.into_iter().flat_map(Steps::iter));
            steps.map(move |(low, value)| (u128::from(start) << 64 | low.widen(), value))
        })
    }

    /// Heap memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let Parts { halves, inside } = &self.parts;
        halves.memory_bytes()
            + inside.iter().map(Steps::memory_bytes).sum::<usize>()
            + inside.capacity() * size_of::<Steps<u64>>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::largest_network;
    use super::*;

    #[test]
    fn halving_ipv6_keeps_every_step() {
        for inside in [0u128, 1] {
            let mut steps = Steps::constant(0u32);
            steps.push(0x2a00u128 << 112, 1);
            steps.push((0x2a00u128 << 112) + (1 << 64) + inside, 2);
            let all: Vec<_> = steps.iter().collect();
            let mut builder = StepsV6::builder();
            all.iter().for_each(|&(start, value)| builder.push(start, value));
            let halved = StepsV6::build(builder);
            assert_eq!(halved.parts.inside.len() as u128, inside);
            assert_eq!(halved.len(), 3);
            let mut again = Steps::empty();
            halved.iter().for_each(|(start, value)| again.push(start, value));
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
