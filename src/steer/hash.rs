//! Rendezvous hashing (highest random weight): stateless, the same on every
//! server, and a member's loss moves its own clients alone.
//!
//! Frozen: `u` is XXH3-64 of the client's network (its address masked to /24 or
//! /56, as 4 or 16 bytes), seeded with XXH3-64 of the member's name, taken as a
//! fraction of 2⁶⁴; the score is −weight / ln(u). Changing any of it would move
//! every client of every `hash` WIP.

use std::net::IpAddr;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Shortest scope of an answer that depends on an IPv4 client by hash.
pub const SCOPE_V4: u8 = 24;
/// Shortest scope of an answer that depends on an IPv6 client by hash.
pub const SCOPE_V6: u8 = 56;

/// Sets a ramp's hashes apart from those that score.
const RAMP_SEED: u64 = 0x52_61_6d_70_52_61_6d_70;

/// A client's network as it is hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientNetwork {
    octets: [u8; 16],
    length: u8,
}

impl ClientNetwork {
    /// The network of `client`.
    pub fn of(client: IpAddr) -> ClientNetwork {
        let mut octets = [0; 16];
        match client {
            IpAddr::V4(v4) => {
                octets[..3].copy_from_slice(&v4.octets()[..3]);
                ClientNetwork { octets, length: 4 }
            }
            IpAddr::V6(v6) => {
                octets[..7].copy_from_slice(&v6.octets()[..7]);
                ClientNetwork { octets, length: 16 }
            }
        }
    }

    /// The score of a member (or pool) for this client; the highest wins.
    /// `name_hash` comes from [`name_hash`]. Weight 0 scores 0.
    #[inline]
    pub fn score(&self, name_hash: u64, weight: u32) -> f64 {
        score_of(self.hash(name_hash), weight)
    }

    /// Which of some members, all of this weight, has the highest score, the first of
    /// equals: its place. They come as hashes of their names.
    #[inline]
    pub fn best_of_equals(
        &self,
        weight: u32,
        name_hashes: impl Iterator<Item = u64>,
    ) -> Option<usize> {
        let mut best: Option<(usize, u64)> = None;
        for (place, name_hash) in name_hashes.enumerate() {
            let hash = self.hash(name_hash);
            if best.is_none_or(|(_, highest)| scores_more(hash, highest, weight)) {
                best = Some((place, hash));
            }
        }
        best.map(|(place, _)| place)
    }

    /// Which of 256 equal parts of all clients this one is in, for the ramp of the
    /// member so named. Not from the hash that scores: a hash that wins is a high one.
    pub fn bucket(&self, name_hash: u64) -> u16 {
        (self.hash(name_hash ^ RAMP_SEED) >> 56) as u16
    }

    /// XXH3-64 of the network, seeded. The lengths stand here as constants so
    /// that XXH3's choice of a variant by length is made by the compiler.
    #[inline]
    fn hash(&self, name_hash: u64) -> u64 {
        match self.octets.first_chunk::<4>() {
            Some(octets) if self.length == 4 => xxh3_64_with_seed(octets, name_hash),
            _ => xxh3_64_with_seed(&self.octets, name_hash),
        }
    }

    /// What is compared: any positive weight comes before weight 0, whose bearers
    /// share by hash what nobody else takes.
    #[inline]
    pub fn rank(&self, name_hash: u64, weight: u32) -> (bool, f64) {
        (weight > 0, self.score(name_hash, weight.max(1)))
    }
}

#[inline]
fn score_of(hash: u64, weight: u32) -> f64 {
    // The upper 53 bits, centred, so that u is never 0 or 1.
    let u = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(weight) / -u.ln()
}

/// Whether the first hash scores more than the second at equal weights. A score
/// grows with its hash, so the logarithm is needed only for hashes so near to each
/// other that rounding may make one score of two.
#[inline]
fn scores_more(first: u64, second: u64, weight: u32) -> bool {
    const NEAR: u64 = 1 << 16;
    // Of the last hashes u is rounded to 1 after all, and they score −∞. That is as
    // frozen as the rest: the wrap puts them in front of the first.
    let (a, b) = (first.wrapping_add(1 << 11), second.wrapping_add(1 << 11));
    if a.abs_diff(b) >= NEAR { a > b } else { nearly(first, second, weight) }
}

#[cold]
fn nearly(first: u64, second: u64, weight: u32) -> bool {
    score_of(first, weight) > score_of(second, weight)
}

/// Hash of a member's or pool's name.
pub fn name_hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changing these moves clients between sites on upgrade.
    #[test]
    fn scores_are_frozen() {
        let network = ClientNetwork::of("192.0.2.77".parse().unwrap());
        assert_eq!(network, ClientNetwork::of("192.0.2.1".parse().unwrap()));
        let scores: Vec<String> = ["fra", "iad"]
            .iter()
            .map(|name| format!("{:.9}", network.score(name_hash(name), 100)))
            .collect();
        assert_eq!(scores, FROZEN);
    }

    const FROZEN: [&str; 2] = ["187.627918327", "34.738532607"];

    #[test]
    fn at_equal_weights_hashes_compare_as_their_scores() {
        let mut hash = 1u64;
        for _ in 0..100_000 {
            hash = hash.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            // Neighbours near and far, with the places where the logarithm is flattest.
            for base in [hash, hash | 1 << 63, u64::MAX - (hash >> 40), hash >> 30] {
                for shift in [0, 8, 12, 15, 16, 17, 18, 24, 48] {
                    let other = base.wrapping_add(1 << shift);
                    for weight in [1, 100, 65_535] {
                        let scores = (score_of(base, weight), score_of(other, weight));
                        assert_eq!(
                            scores_more(base, other, weight),
                            scores.0 > scores.1,
                            "{base} {shift}"
                        );
                        assert_eq!(
                            scores_more(other, base, weight),
                            scores.1 > scores.0,
                            "{base} {shift}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn shares_follow_weights() {
        let mut first = 0;
        for index in 0..100_000u32 {
            let network = ClientNetwork::of(IpAddr::from((index << 8).to_be_bytes()));
            let (a, b) = (network.score(name_hash("a"), 3), network.score(name_hash("b"), 1));
            first += u32::from(a > b);
        }
        assert!((74_000..76_000).contains(&first), "{first}");
    }
}
