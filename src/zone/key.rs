//! A name made ready to be looked up: cut into labels and hashed without case.
//!
//! Hashes are chained from the root label leftwards, so that the hash of a
//! name is one step from its parent's: every suffix of a query name is hashed
//! in one pass over its bytes, however many labels an attacker sends. The hash
//! is unkeyed: the table holds operators' names only, so nobody who queries
//! can make it degenerate. Bytes are read eight at a time and put in lower case
//! in registers; the name itself is never copied. It must not know what a zone
//! is.

use crate::dns::name::{self, NAME_LENGTH_MAX};

/// Most labels of a name, the root left out: 127 labels of one byte.
pub(super) const LABELS_MAX: usize = 127;
/// The hash of the root name.
const ROOT_HASH: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, with no pattern in its bits.
const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

//------------ Key ------------------------------------------------------------

/// A wire name of any case with the places of its labels and its hash.
#[derive(Clone, Debug)]
pub struct Key<'a> {
    wire: &'a [u8],
    /// Where each label starts, from the left; after them, the root label.
    starts: [u8; LABELS_MAX + 1],
    labels: u8,
    hash: u64,
}

impl<'a> Key<'a> {
    /// Reads the wire name (any case, uncompressed) that fills `wire`; none if
    /// it is not one.
    #[inline]
    pub fn new(wire: &'a [u8]) -> Option<Key<'a>> {
        if wire.len() > NAME_LENGTH_MAX {
            return None;
        }
        let mut key = Key { wire, starts: [0; LABELS_MAX + 1], labels: 0, hash: 0 };
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
        if at + 1 != wire.len() {
            return None;
        }
        key.labels = labels as u8;
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
        let mut left = 1 + usize::from(self.wire[at]);
        let mut hash = parent;
        while left > 8 {
            hash = mix(hash, lower(word(self.wire, at)));
            at += 8;
            left -= 8;
        }
        mix(hash, lower(word(self.wire, at)) & (u64::MAX >> (64 - 8 * left)))
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
    let (right, right_rest) = name.as_chunks::<8>();
    left.iter()
        .zip(right)
        .all(|(left, right)| u64::from_le_bytes(*left) == lower(u64::from_le_bytes(*right)))
        && left_rest.eq_ignore_ascii_case(right_rest)
}

/// Eight bytes of `wire` from `at` on; zeros past its end.
#[inline]
fn word(wire: &[u8], at: usize) -> u64 {
    if let Some(bytes) = wire.get(at..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*bytes);
    }
    let past = at + 8 - wire.len();
    match wire.last_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes) >> (8 * past),
        None => wire[at..].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
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
            let mut hashes = Vec::new();
            key.hashes(&mut hashes);
            for (label, &hash) in hashes.iter().enumerate() {
                assert_eq!(hash_of(key.suffix(label)), Some(hash), "{text} {label}");
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
