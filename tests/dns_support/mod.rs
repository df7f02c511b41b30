//! What tests of whole replies share: a server's state made from text, and
//! replies shown as text by a reader that is not the server's own.

#![allow(dead_code)]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

pub(crate) mod asked;
pub(crate) mod invariants;
pub(crate) mod message;
pub(crate) mod oracles;
pub(crate) mod requests;
pub(crate) mod rich;
pub(crate) mod serving;

/// SplitMix64: the same numbers from the same seed on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
