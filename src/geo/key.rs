//! What addresses are made of: unsigned integers, and the networks among them.

use std::fmt::Debug;
use std::ops::{Add, BitXor, Shr, Sub};

//------------ Key ------------------------------------------------------------

/// An unsigned integer that addresses are made of.
pub(super) trait Key:
    Copy
    + Debug
    + Ord
    + Default
    + Add<Output = Self>
    + BitXor<Output = Self>
    + Sub<Output = Self>
    + Shr<u32, Output = Self>
{
    /// Width in bits.
    const BITS: u32;
    /// One.
    const ONE: Self;
    /// All bits set.
    const MAX: Self;
    /// Zero bits above the highest set one.
    fn leading_zeros(self) -> u32;
    /// Zero bits below the lowest set one.
    fn trailing_zeros(self) -> u32;
    /// The low bits, as an index.
    fn low_bits(self) -> usize;
    /// From an integer that fits.
    fn narrow(wide: u128) -> Self;
    /// As the widest.
    fn widen(self) -> u128;
}

macro_rules! key {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            const BITS: u32 = <$integer>::BITS;
            const ONE: $integer = 1;
            const MAX: $integer = <$integer>::MAX;
            #[inline(always)]
            fn leading_zeros(self) -> u32 {
                <$integer>::leading_zeros(self)
            }
            #[inline(always)]
            fn trailing_zeros(self) -> u32 {
                <$integer>::trailing_zeros(self)
            }
            #[inline(always)]
            fn low_bits(self) -> usize {
                self as usize
            }
            #[inline(always)]
            fn narrow(wide: u128) -> $integer {
                wide as $integer
            }
            #[inline(always)]
            fn widen(self) -> u128 {
                self as u128
            }
        }
    )*};
}
key!(u16, u32, u64, u128);

/// Length of the largest network that contains `key` and lies within the range
/// from `first` to the key before `next` (`None`: to the end of the space).
#[inline(always)]
pub(super) fn largest_network<K: Key>(key: K, first: K, next: Option<K>) -> u8 {
    // A network of length p around `key` leaves out another key exactly when p
    // is longer than what they have in common.
    let before =
        if first == K::default() { 0 } else { (key ^ (first - K::ONE)).leading_zeros() + 1 };
    let after = next.map_or(0, |next| (key ^ next).leading_zeros() + 1);
    before.max(after) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_network_ends_at_its_range() {
        for (key, first, next, length) in [
            (0x0a00_0001u32, 0, None, 0),
            (0x0a00_0001, 0x0a00_0000, Some(0x0b00_0000), 8),
            (0x0a00_0001, 0x0a00_0000, None, 7),
            (0x0a00_0001, 0x0a00_0001, None, 32),
            (0x0a00_0000, 0, Some(0x0a00_0001), 32),
            (0xffff_ffff, 0x8000_0000, None, 1),
        ] {
            assert_eq!(largest_network(key, first, next), length, "{key:x} {first:x} {next:?}");
        }
    }
}
