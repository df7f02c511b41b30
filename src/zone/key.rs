//! A name made ready to be looked up: lower case, cut into labels, hashed.
//!
//! Hashes are chained from the root label leftwards, so that the hash of a
//! name is one step from its parent's: every suffix of a query name is hashed
//! in one pass over its bytes, however many labels an attacker sends. The hash
//! is unkeyed: the table holds operators' names only, so nobody who queries
//! can make it degenerate. It must not know what a zone is.

use crate::dns::name::{self, NAME_LENGTH_MAX};

/// Most labels of a name, the root left out: 127 labels of one byte.
pub(super) const LABELS_MAX: usize = 127;
/// The hash of the root name.
const ROOT_HASH: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, with no pattern in its bits.
const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;
/// Hash words are read whole, past the end of the name.
const PADDED_LENGTH: usize = NAME_LENGTH_MAX + 9;

//------------ Key ------------------------------------------------------------

/// A canonical name with the places of its labels and its hash.
#[derive(Clone, Debug)]
pub struct Key {
    lower: [u8; PADDED_LENGTH],
    /// Where each label starts, from the left; after them, the root label.
    starts: [u8; LABELS_MAX + 1],
    labels: u8,
    length: u8,
    hash: u64,
}

impl Key {
    /// Reads the wire name (any case, uncompressed) that fills `wire`; none if
    /// it is not one.
    #[inline]
    pub fn new(wire: &[u8]) -> Option<Key> {
        let mut key = Key {
            lower: [0; PADDED_LENGTH],
            starts: [0; LABELS_MAX + 1],
            labels: 0,
            length: 0,
            hash: 0,
        };
        if wire.len() > NAME_LENGTH_MAX {
            return None;
        }
        // Length octets are below 'A', so they come through unchanged.
        for (to, from) in key.lower.iter_mut().zip(wire) {
            *to = from.to_ascii_lowercase();
        }
        let mut at = 0;
        let mut labels = 0;
        loop {
            if at >= wire.len() {
                return None;
            }
            *key.starts.get_mut(labels)? = at as u8;
            match key.lower[at] {
                0 => break,
                length @ 1..=63 => at += 1 + usize::from(length),
                _ => return None,
            }
            labels += 1;
        }
        if at + 1 != wire.len() {
            return None;
        }
        key.labels = labels as u8;
        key.length = wire.len() as u8;
        key.hash = (0..labels).rev().fold(ROOT_HASH, |hash, label| key.step(hash, label));
        Some(key)
    }

    /// The hash of the whole name.
    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many labels, the root left out.
    #[inline]
    pub(super) fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The canonical name from label `label` on; from `labels()` on: the root.
    #[inline]
    pub(super) fn suffix(&self, label: usize) -> &[u8] {
        &self.lower[self.start(label)..usize::from(self.length)]
    }

    /// Where label `label` starts in the name, in bytes.
    #[inline]
    pub(super) fn start(&self, label: usize) -> usize {
        usize::from(self.starts[label])
    }

    /// The hashes of all suffixes: the whole name's first, the root's last.
    pub(super) fn hashes(&self, into: &mut Vec<u64>) {
        into.clear();
        into.push(ROOT_HASH);
        let mut hash = ROOT_HASH;
        for label in (0..self.labels()).rev() {
            hash = self.step(hash, label);
            into.push(hash);
        }
        into.reverse();
    }

    /// The hash of the suffix that starts at `label`, from that of the suffix after it.
    #[inline]
    pub(super) fn step(&self, parent: u64, label: usize) -> u64 {
        let mut at = self.start(label);
        let mut left = 1 + usize::from(self.lower[at]);
        let mut hash = parent;
        while left > 8 {
            hash = mix(hash, self.word(at));
            at += 8;
            left -= 8;
        }
        mix(hash, self.word(at) & (u64::MAX >> (64 - 8 * left)))
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        let bytes = self.lower[at..at + 8].try_into().expect("eight bytes were taken");
        u64::from_le_bytes(bytes)
    }
}

/// The hash of the root name: where chains start.
pub(super) const fn root_hash() -> u64 {
    ROOT_HASH
}

/// The hash of `*` under the name that has hash `parent`.
#[inline]
pub(super) fn wildcard_hash(parent: u64) -> u64 {
    mix(parent, u64::from_le_bytes([1, b'*', 0, 0, 0, 0, 0, 0]))
}

/// The hash of a wire name of any case; none if it is not a name.
pub fn hash_of(wire: &[u8]) -> Option<u64> {
    Key::new(wire).map(|key| key.hash)
}

/// The canonical name at the start of `bytes`, which the arena holds whole.
pub(super) fn name_at(bytes: &[u8]) -> &[u8] {
    let length = name::wire_length(bytes).expect("the arena holds whole, checked names");
    &bytes[..length]
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word) * u128::from(MULTIPLIER);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;

    #[test]
    fn case_does_not_change_a_key_and_suffix_hashes_are_those_of_the_suffixes() {
        let long = ["abcdefghij.".repeat(5), "x".repeat(63), ".Example.COM".into()].concat();
        for text in ["www.Example.COM", "a", ".", "x.y.z.example", long.as_str()] {
            let name = Name::parse(text).unwrap();
            let key = Key::new(name.wire()).unwrap();
            assert_eq!(key.hash(), Key::new(name.to_lowercase().wire()).unwrap().hash());
            assert_eq!(key.suffix(0), name.to_lowercase().wire());
            let mut hashes = Vec::new();
            key.hashes(&mut hashes);
            for (label, &hash) in hashes.iter().enumerate() {
                assert_eq!(hash_of(key.suffix(label)), Some(hash), "{text} {label}");
            }
        }
    }

    #[test]
    fn the_wildcard_hash_is_that_of_the_wildcard_name() {
        let parent = Name::parse("example.com").unwrap();
        let star = Name::parse("*.example.com").unwrap();
        assert_eq!(hash_of(star.wire()).unwrap(), wildcard_hash(hash_of(parent.wire()).unwrap()));
    }

    #[test]
    fn bytes_that_are_not_one_name_have_no_key() {
        for wire in [
            &b""[..],
            b"\x01",
            b"\x01a",
            b"\x01a\x00\x00",
            b"\xc0\x0c",
            b"\x40aaaa\x00",
            &[1; 256],
            &[1; 255],
        ] {
            assert!(Key::new(wire).is_none(), "{wire:?}");
        }
        let deepest = [&[1, b'a'].repeat(127)[..], &[0]].concat();
        assert_eq!(Key::new(&deepest).unwrap().labels(), 127);
    }
}
