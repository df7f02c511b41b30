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
        let hash = xxh3_64_with_seed(&self.octets[..usize::from(self.length)], name_hash);
        // The upper 53 bits, centred, so that u is never 0 or 1.
        let u = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        f64::from(weight) / -u.ln()
    }

    /// What is compared: any positive weight comes before weight 0, whose bearers
    /// share by hash what nobody else takes.
    #[inline]
    pub fn rank(&self, name_hash: u64, weight: u32) -> (bool, f64) {
        (weight > 0, self.score(name_hash, weight.max(1)))
    }
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
