//! A set of a pool's members, in four machine words.

/// Most members in one pool.
pub(super) const MEMBERS_MAX: usize = 256;

/// A set of a pool's members.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Set {
    words: [u64; MEMBERS_MAX / 64],
}

impl Set {
    #[inline]
    pub(super) fn insert(&mut self, slot: usize) {
        self.words[slot / 64] |= 1 << (slot % 64);
    }

    pub(super) fn remove(&mut self, slot: usize) {
        self.words[slot / 64] &= !(1 << (slot % 64));
    }

    #[inline]
    pub(super) fn contains(&self, slot: usize) -> bool {
        self.words[slot / 64] >> (slot % 64) & 1 == 1
    }

    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.words == [0; MEMBERS_MAX / 64]
    }

    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        self.nth(0)
    }

    /// The n-th member in config order.
    pub(super) fn nth(&self, mut n: usize) -> Option<usize> {
        for (index, &word) in self.words.iter().enumerate() {
            let count = word.count_ones() as usize;
            if n >= count {
                n -= count;
                continue;
            }
            let mut word = word;
            for _ in 0..n {
                word &= word - 1;
            }
            return Some(index * 64 + word.trailing_zeros() as usize);
        }
        None
    }
}
