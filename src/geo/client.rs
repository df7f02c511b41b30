//! Client addresses that are not what they seem: IPv6 addresses that hide an
//! IPv4 client, and addresses that stand for nobody in particular.
//!
//! Both are fixed lists, shared by the query path and by the compiler of maps:
//! were they to differ, scopes would lie.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

//------------ Blocks ---------------------------------------------------------

/// A network, as an address and a prefix length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// First address, in the low bits.
    pub(super) first: u128,
    /// Prefix length.
    pub(super) length: u8,
}

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Block {
    Block { first: (a as u128) << 24 | (b as u128) << 16 | (c as u128) << 8, length }
}

const fn v6(high: u64, length: u8) -> Block {
    Block { first: (high as u128) << 64, length }
}

/// Not globally reachable (IANA special-purpose registry, RFC 6890), and the
/// multicast and reserved space. The documentation networks (RFC 5737) are left
/// out: no database knows them, so looking them up does no harm, and every
/// example and test uses them as if they were clients.
pub(super) const UNROUTABLE_V4: [Block; 11] = [
    v4(0, 0, 0, 8),      // "this network", RFC 791
    v4(10, 0, 0, 8),     // private, RFC 1918
    v4(100, 64, 0, 10),  // carrier-grade NAT, RFC 6598
    v4(127, 0, 0, 8),    // loopback, RFC 1122
    v4(169, 254, 0, 16), // link-local, RFC 3927
    v4(172, 16, 0, 12),  // private, RFC 1918
    v4(192, 0, 0, 24),   // protocol assignments, RFC 6890
    v4(192, 168, 0, 16), // private, RFC 1918
    v4(198, 18, 0, 15),  // benchmarking, RFC 2544
    v4(224, 0, 0, 4),    // multicast, RFC 5771
    v4(240, 0, 0, 4),    // reserved, RFC 1112
];

/// As [`UNROUTABLE_V4`].
pub(super) const UNROUTABLE_V6: [Block; 8] = [
    Block { first: 0, length: 128 }, // unspecified, RFC 4291
    Block { first: 1, length: 128 }, // loopback, RFC 4291
    v6(0x0064_ff9b_0001_0000, 48),   // local-use NAT64, RFC 8215
    v6(0x0100_0000_0000_0000, 64),   // discard, RFC 6666
    v6(0xfc00_0000_0000_0000, 7),    // unique local, RFC 4193
    v6(0xfe80_0000_0000_0000, 10),   // link-local, RFC 4291
    v6(0xfec0_0000_0000_0000, 10),   // once site-local, RFC 3879
    v6(0xff00_0000_0000_0000, 8),    // multicast, RFC 4291
];

const MAPPED: Block = Block { first: 0xffff << 32, length: 96 }; // RFC 4291 2.5.5.2
const NAT64: Block = v6(0x0064_ff9b_0000_0000, 96); // RFC 6052 2.1
const SIX_TO_FOUR: Block = v6(0x2002_0000_0000_0000, 16); // RFC 3056
const TEREDO: Block = v6(0x2001_0000_0000_0000, 32); // RFC 4380

/// Where [`unwrap`] finds IPv4 clients.
pub(super) const TUNNELS: [Block; 4] = [MAPPED, NAT64, SIX_TO_FOUR, TEREDO];

impl Block {
    const fn holds(self, address: u128, bits: u8) -> bool {
        (address ^ self.first) >> (bits - self.length) == 0
    }
}

//------------ Functions ------------------------------------------------------

/// The IPv4 client that an IPv6 address hides, how many bits of it the source
/// prefix of `source_len` bits gives, and what to add to a scope found for it,
/// so that it counts in the address as sent; the sum is at most 128
/// (docs/STEERING.md). Bits beyond the prefix are 0.
///
/// `None`: the address hides nobody, or its prefix ends before the hidden part.
/// For a query's own source address, `source_len` is 128.
///
/// Known are IPv4-mapped and NAT64 (64:ff9b::/96) addresses, 6to4, and Teredo,
/// where the client's address comes last and inverted (RFC 4380 4), after the
/// port of its NAT: a Teredo scope is always the one address, 128.
#[inline]
pub fn unwrap(address: Ipv6Addr, source_len: u8) -> Option<(Ipv4Addr, u8, u8)> {
    let bits = u128::from(address);
    let (found, given, scope_more) = if SIX_TO_FOUR.holds(bits, 128) {
        ((bits >> 80) as u32, source_len.saturating_sub(16).min(32), 16)
    } else {
        let given = source_len.min(128).saturating_sub(96);
        if TEREDO.holds(bits, 128) {
            (!(bits as u32), given, 128)
        } else if MAPPED.holds(bits, 128) || NAT64.holds(bits, 128) {
            (bits as u32, given, 96)
        } else {
            return None;
        }
    };
    let missing = 32 - u32::from(given);
    (given > 0).then(|| (Ipv4Addr::from(found >> missing << missing), given, scope_more))
}

/// The prefix length of the private, loopback, link-local or otherwise
/// unroutable block that holds `address` (10.1.2.3: 8), if one does.
#[inline]
pub fn is_unroutable(address: IpAddr) -> Option<u8> {
    let (first, octets) = match address {
        IpAddr::V4(address) => (address.octets()[0], &FIRST_OCTETS_V4),
        IpAddr::V6(address) => (address.octets()[0], &FIRST_OCTETS_V6),
    };
    // Few clients come from these.
    let may_be = octets[usize::from(first / 64)] >> (first % 64) & 1 == 1;
    may_be.then(|| block_of(address)).flatten()
}

#[inline(never)]
fn block_of(address: IpAddr) -> Option<u8> {
    let (bits, width, blocks) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32, &UNROUTABLE_V4[..]),
        IpAddr::V6(address) => (u128::from(address), 128, &UNROUTABLE_V6[..]),
    };
    blocks.iter().find(|block| block.holds(bits, width)).map(|block| block.length)
}

/// The first octets of all addresses of these blocks, as a set of bits.
const fn first_octets(blocks: &[Block], width: u32) -> [u64; 4] {
    let mut set = [0; 4];
    let mut at = 0;
    while at < blocks.len() {
        let block = blocks[at];
        let first = (block.first >> (width - 8)) as usize;
        let count = if block.length < 8 { 1 << (8 - block.length) } else { 1 };
        let mut octet = first;
        while octet < first + count {
            set[octet / 64] |= 1 << (octet % 64);
            octet += 1;
        }
        at += 1;
    }
    set
}

const FIRST_OCTETS_V4: [u64; 4] = first_octets(&UNROUTABLE_V4, 32);
const FIRST_OCTETS_V6: [u64; 4] = first_octets(&UNROUTABLE_V6, 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_octet_leaves_no_unroutable_address_out() {
        for first in 0..=255u8 {
            for rest in [0u128, 1, 1 << 119, 0x40 << 112, 0x7fff_ffff << 80, (1 << 120) - 1] {
                let v6 = Ipv6Addr::from(u128::from(first) << 120 | rest);
                let v4 = Ipv4Addr::from(u32::from(first) << 24 | (rest >> 96) as u32);
                for address in [IpAddr::V6(v6), IpAddr::V4(v4)] {
                    assert_eq!(is_unroutable(address), block_of(address), "{address}");
                }
            }
        }
    }

    #[test]
    fn hidden_clients_are_found_where_the_prefix_reaches_them() {
        for (address, source_len, expected) in [
            ("::ffff:203.0.113.9", 128, Some(("203.0.113.9", 32, 96))),
            ("::ffff:203.0.113.0", 120, Some(("203.0.113.0", 24, 96))),
            ("::ffff:203.0.113.9", 97, Some(("128.0.0.0", 1, 96))),
            ("::ffff:203.0.113.9", 96, None),
            ("64:ff9b::cb00:7109", 128, Some(("203.0.113.9", 32, 96))),
            ("64:ff9b::", 56, None),
            ("64:ff9b:1::cb00:7109", 128, None),
            ("2002:cb00:7109:1::5", 128, Some(("203.0.113.9", 32, 16))),
            ("2002:cb00:7109::", 48, Some(("203.0.113.9", 32, 16))),
            ("2002:cb00:7100::", 40, Some(("203.0.113.0", 24, 16))),
            ("2002::", 16, None),
            ("2002::", 0, None),
            // 203.0.113.9 inverted is 34ff:8ef6.
            ("2001:0:53aa:64c:0:fbff:34ff:8ef6", 128, Some(("203.0.113.9", 32, 128))),
            ("2001:0:53aa:64c:0:fbff:34ff:8e00", 120, Some(("203.0.113.0", 24, 128))),
            ("2001:0:53aa:64c::", 56, None),
            ("2001:db8::1", 128, None),
            ("::203.0.113.9", 128, None),
        ] {
            let expected = expected.map(|(client, given, more): (&str, u8, u8)| {
                (client.parse().unwrap(), given, more)
            });
            assert_eq!(unwrap(address.parse().unwrap(), source_len), expected, "{address}");
        }
    }

    #[test]
    fn unroutable_addresses_name_their_block() {
        for (address, expected) in [
            ("10.1.2.3", Some(8)),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.0", Some(10)),
            ("127.0.0.1", Some(8)),
            ("169.254.9.9", Some(16)),
            ("172.31.255.255", Some(12)),
            ("172.32.0.0", None),
            ("192.168.0.1", Some(16)),
            ("198.19.0.1", Some(15)),
            ("203.0.113.1", None),
            ("255.255.255.255", Some(4)),
            ("0.0.0.0", Some(8)),
            ("::", Some(128)),
            ("::1", Some(128)),
            ("::2", None),
            ("fd00::1", Some(7)),
            ("fe80::1", Some(10)),
            ("ff02::1", Some(8)),
            ("2001:db8::1", None),
            ("2a00::1", None),
        ] {
            assert_eq!(is_unroutable(address.parse().unwrap()), expected, "{address}");
        }
    }
}
