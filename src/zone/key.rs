//! A name made ready to be looked up: cut into labels and hashed without case.
//!
//! A name is hashed eight bytes at a time, put in lower case in registers; the
//! name itself is never copied, and its labels do not matter to the hash. So a name
//! that exists costs one pass over its bytes. Suffixes are hashed each for itself,
//! and only as far as names exist: the work for a name that does not exist is
//! bounded by the zone's depth, however many labels an attacker sends. The hash
//! is unkeyed: the table holds operators' names only, so nobody who queries
//! can make it degenerate. It must not know what a zone is.

use crate::dns::name::{self, NAME_LENGTH_MAX};

/// Most labels of a name, the root left out: 127 labels of one byte.
pub(super) const LABELS_MAX: usize = 127;
/// Where hashes begin.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, with no pattern in its bits.
const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

//------------ Key ------------------------------------------------------------

/// A wire name of any case with the places of its labels.
#[derive(Clone, Debug)]
pub struct Key<'a> {
    wire: &'a [u8],
    /// Where each label starts, from the left; after them, the root label.
    starts: [u8; LABELS_MAX + 1],
    labels: u8,
}

impl<'a> Key<'a> {
    /// Reads the wire name (any case, uncompressed) that fills `wire`; none if
    /// it is not one.
    #[inline]
    pub fn new(wire: &'a [u8]) -> Option<Key<'a>> {
        if wire.len() > NAME_LENGTH_MAX {
            return None;
        }
        let mut key = Key { wire, starts: [0; LABELS_MAX + 1], labels: 0 };
        let mut at = 0;
        let mut labels = 0;
        loop {
            let length = *wire.get(at)?;
            *key.starts.get_mut(labels)? = at as u8;
            match length {
                0 => break,
                1..=63 => at += 1 + usize::from(length),
                _ => return None,
            }
            labels += 1;
        }
        key.labels = labels as u8;
        (at + 1 == wire.len()).then_some(key)
    }

    /// The hash of the whole name.
    #[inline]
    pub fn hash(&self) -> u64 {
        hash_of(self.wire)
    }

    /// How many labels, the root left out.
    #[inline]
    pub(super) fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The name from label `label` on, as spelled; `labels()` gives the root.
    #[inline]
    pub(super) fn suffix(&self, label: usize) -> &'a [u8] {
        &self.wire[self.start(label)..]
    }

    /// Where label `label` starts in the name, in bytes.
    #[inline]
    pub(super) fn start(&self, label: usize) -> usize {
        usize::from(self.starts[label])
    }

    /// The hashes of all suffixes: the whole name's first, the root's last.
    pub(super) fn hashes(&self, into: &mut Vec<u64>) {
        into.clear();
        into.extend((0..=self.labels()).map(|label| hash_of(self.suffix(label))));
    }
}

//------------ On bytes -------------------------------------------------------

/// Whether `stored`, in lower case, is `name` but for case.
#[inline]
pub(super) fn same_name(stored: &[u8], name: &[u8]) -> bool {
    if stored.len() != name.len() {
        return false;
    }
    let (left, left_rest) = stored.as_chunks::<8>();
    let (right, _) = name.as_chunks::<8>();
    let all = left.iter().zip(right).all(|(left, right)| same_word(*left, *right));
    if left_rest.is_empty() || !all {
        return all;
    }
    // The last eight bytes, some of them for the second time.
    match (stored.last_chunk(), name.last_chunk()) {
        (Some(left), Some(right)) => same_word(*left, *right),
        _ => stored.eq_ignore_ascii_case(name),
    }
}

#[inline]
fn same_word(stored: [u8; 8], name: [u8; 8]) -> bool {
    u64::from_le_bytes(stored) == lower(u64::from_le_bytes(name))
}

/// The hash of a wire name of any case. Of bytes that are no name it is the hash
/// of no name's, or one that no name is found by: names are compared.
#[inline]
pub fn hash_of(wire: &[u8]) -> u64 {
    let (words, rest) = wire.as_chunks::<8>();
    let hash = words
        .iter()
        .fold(SEED ^ wire.len() as u64, |hash, &word| mix(hash, lower(u64::from_le_bytes(word))));
    if rest.is_empty() {
        return hash;
    }
    // The last eight bytes, some of them for the second time.
    let last = match wire.last_chunk() {
        Some(&last) => u64::from_le_bytes(last),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    mix(hash, lower(last))
}

/// Eight bytes in ASCII lower case; length octets are below 'A' and stay.
#[inline]
fn lower(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * EACH);
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let past_z = low + (0x7f - b'Z' as u64) * EACH;
    let upper = from_a & !past_z & !word & (0x80 * EACH);
    word | upper >> 2
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
            let mut hashes = Vec::new();
            key.hashes(&mut hashes);
            for (label, &hash) in hashes.iter().enumerate() {
                assert_eq!(hash_of(key.suffix(label)), hash, "{text} {label}");
            }
        }
    }

    #[test]
    fn every_byte_is_put_in_lower_case_as_ascii_has_it() {
        for byte in 0..=255_u8 {
            for at in 0..8 {
                let mut bytes = [0xff, b'@', b'[', b'`', b'{', 0, b'A', b'Z'];
                bytes[at] = byte;
                let expected = u64::from_le_bytes(bytes.map(|byte| byte.to_ascii_lowercase()));
                assert_eq!(lower(u64::from_le_bytes(bytes)), expected);
            }
        }
    }

    #[test]
    fn same_names_differ_in_case_only() {
        for length in 1..40 {
            let name: Vec<u8> = (0..length).map(|index| b'A' + index % 26).collect();
            let stored = name.to_ascii_lowercase();
            assert!(same_name(&stored, &name));
            for index in 0..stored.len() {
                let mut other = name.clone();
                other[index] ^= 1;
                assert!(!same_name(&stored, &other), "{length} {index}");
            }
        }
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
