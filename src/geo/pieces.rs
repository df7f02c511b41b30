//! The address space in pieces: ranges whose clients no map can tell apart.
//!
//! A map's row depends on the class of a client in the base table and on which of the
//! operator's networks hold it. Here both are walked in step, for one or two tables, so
//! that whoever asks about all clients need ask about one of each kind.
//!
//! It must not know rows, members or what a piece is asked for.

use ipnet::{IpNet, Ipv6Net};

use super::client::{Block, TUNNELS, UNROUTABLE_V4, UNROUTABLE_V6};
use super::key::Key;
use super::steps::{Nested, combine, for_each_pair};
use super::{BaseTable, ClassId};

/// Clients of one class in each of two tables, inside the same networks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece<'a> {
    /// True of IPv4.
    pub is_v4: bool,
    /// The first address, in the low bits.
    pub first: u128,
    /// The last address.
    pub last: u128,
    /// What both tables know.
    pub classes: [ClassId; 2],
    /// A number for the networks that hold it, of this family and call.
    pub chain: u32,
    /// Those networks: indices, longest first.
    pub networks: &'a [usize],
    /// False in private, reserved and like blocks, and where IPv6 addresses hide IPv4 ones.
    pub is_client: bool,
}

impl Piece<'_> {
    /// How many addresses.
    pub fn size(&self) -> f64 {
        (self.last - self.first) as f64 + 1.0
    }
}

/// Visits all pieces in order, IPv4 first. `networks`: all that an operator's rules name.
/// Two tables that are one are walked once.
pub fn for_each_piece(
    tables: [&BaseTable; 2],
    networks: &[IpNet],
    visit: &mut dyn FnMut(Piece<'_>),
) {
    let [a, b] = tables;
    let same = std::ptr::eq(a, b);
    let v4 = Around::<u32>::new(networks);
    let v6 = Around::<u128>::new(networks);
    match same {
        true => {
            v4.walk(a.v4().iter(), |class| [class; 2], visit);
            v6.walk(a.v6().iter(), |class| [class; 2], visit);
        }
        false => {
            let mut pairs = Vec::new();
            let both = combine(a.v4().iter(), b.v4().iter(), |a, b| pair(&mut pairs, [a, b]));
            v4.walk(both.iter(), |at| pairs[at as usize], visit);
            let mut pairs = Vec::new();
            let both = combine(a.v6().iter(), b.v6().iter(), |a, b| pair(&mut pairs, [a, b]));
            v6.walk(both.iter(), |at| pairs[at as usize], visit);
        }
    }
}

/// The index of a pair of classes. Ranges come in order: the same again is common, and
/// the same much later only costs its place in the list.
fn pair(pairs: &mut Vec<[ClassId; 2]>, classes: [ClassId; 2]) -> u32 {
    if pairs.last() != Some(&classes) {
        pairs.push(classes);
    }
    (pairs.len() - 1) as u32
}

/// Networks and special blocks of one family.
struct Around<K> {
    nested: Nested<K>,
    /// How many of the indices are the operator's networks; the others are blocks.
    networks: usize,
}

impl<K: Key> Around<K> {
    fn new(networks: &[IpNet]) -> Around<K> {
        let own = networks.iter().enumerate().filter_map(|(index, network)| match network {
            IpNet::V4(network) if K::BITS == 32 => {
                Some((u128::from(u32::from(network.network())), network.prefix_len(), index))
            }
            IpNet::V6(network) if K::BITS == 128 => {
                Some((u128::from(network.network()), network.prefix_len(), index))
            }
            _ => None,
        });
        let blocks = blocks(K::BITS)
            .enumerate()
            .map(|(index, block)| (block.first, block.length, networks.len() + index));
        Around { nested: Nested::new(own.chain(blocks)), networks: networks.len() }
    }

    fn walk(
        &self,
        table: impl Iterator<Item = (K, u32)>,
        classes_of: impl Fn(u32) -> [ClassId; 2],
        visit: &mut dyn FnMut(Piece<'_>),
    ) {
        let chains: Vec<(Vec<usize>, bool)> = self
            .nested
            .chains
            .iter()
            .map(|chain| {
                let own = chain.iter().copied().filter(|&at| at < self.networks).collect();
                (own, chain.iter().all(|&at| at < self.networks))
            })
            .collect();
        let mut open: Option<(K, u32, u32)> = None;
        let mut give = |first: K, last: K, value: u32, chain: u32| {
            let (networks, is_client) = &chains[chain as usize];
            visit(Piece {
                is_v4: K::BITS == 32,
                first: first.widen(),
                last: last.widen(),
                classes: classes_of(value),
                chain,
                networks,
                is_client: *is_client,
            });
        };
        for_each_pair(table, self.nested.innermost.iter(), |start, value, chain| match open {
            Some((_, known, around)) if (known, around) == (value, chain) => {}
            _ => {
                if let Some((first, value, chain)) = open.replace((start, value, chain)) {
                    give(first, start - K::ONE, value, chain);
                }
            }
        });
        if let Some((first, value, chain)) = open {
            give(first, K::MAX, value, chain);
        }
    }
}

fn blocks(bits: u32) -> impl Iterator<Item = &'static Block> {
    let (unroutable, tunnels) = match bits {
        32 => (&UNROUTABLE_V4[..], &[][..]),
        _ => (&UNROUTABLE_V6[..], &TUNNELS[..]),
    };
    unroutable.iter().chain(tunnels)
}

/// Whether the addresses of a network, all of them, hide IPv4 clients.
pub fn hides_ipv4(network: &IpNet) -> bool {
    let IpNet::V6(network) = network else { return false };
    TUNNELS.iter().any(|block| {
        let tunnel = Ipv6Net::new_assert(block.first.into(), block.length);
        tunnel.contains(network)
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::geo::Place;

    fn pieces(tables: [&BaseTable; 2], networks: &[IpNet]) -> Vec<(bool, u128, u128, Vec<usize>)> {
        let mut all = Vec::new();
        let mut next = (true, 0u128);
        for_each_piece(tables, networks, &mut |piece| {
            if next.0 && !piece.is_v4 {
                assert_eq!(next, (true, 1 << 32), "IPv4 is whole");
                next = (false, 0);
            }
            assert_eq!((piece.is_v4, piece.first), next);
            assert!(piece.first <= piece.last);
            next.1 = piece.last.wrapping_add(1);
            all.push((piece.is_v4, piece.first, piece.last, piece.networks.to_vec()));
            let address = |bits: u128| -> IpAddr {
                if piece.is_v4 {
                    IpAddr::from((bits as u32).to_be_bytes())
                } else {
                    IpAddr::from(bits.to_be_bytes())
                }
            };
            for bits in [piece.first, piece.last] {
                let classes = tables.map(|table| table.lookup(address(bits)).0);
                assert_eq!(piece.classes, classes, "{}", address(bits));
                let inside: Vec<usize> = (0..networks.len())
                    .filter(|&at| networks[at].contains(&address(bits)))
                    .collect();
                let mut own = piece.networks.to_vec();
                own.sort_unstable();
                assert_eq!(own, inside, "{}", address(bits));
                if piece.is_v4 {
                    let routable = crate::geo::is_unroutable(address(bits)).is_none();
                    assert_eq!(piece.is_client, routable, "{}", address(bits));
                }
            }
        });
        assert_eq!(next, (false, 0), "IPv6 is whole");
        all
    }

    #[test]
    fn pieces_cover_all_addresses_and_no_two_neighbours_are_one() {
        let place = |asn| Place { asn: Some(asn), ..Place::default() };
        let net = |text: &str| -> IpNet { text.parse().unwrap() };
        let one = BaseTable::from_networks(&[
            (net("192.0.2.0/24"), place(1)),
            (net("2a00::/12"), place(2)),
            (net("2a00::8000:0:0:0/70"), place(3)),
        ]);
        let other =
            BaseTable::from_networks(&[(net("192.0.2.128/25"), place(1)), (net("::/1"), place(2))]);
        let networks =
            [net("10.0.0.0/8"), net("192.0.2.0/26"), net("192.0.0.0/16"), net("2a00::/64")];
        let same = pieces([&one, &one], &networks);
        let both = pieces([&one, &other], &networks);
        assert!(same.len() < both.len(), "{} {}", same.len(), both.len());
        let inner = (true, 0xc000_0200, 0xc000_023f, vec![1, 2]);
        assert!(same.contains(&inner) && both.contains(&inner));
    }

    #[test]
    fn networks_of_tunnels_are_known() {
        for (network, hides) in [
            ("2002::/16", true),
            ("2002:cb00:7109::/48", true),
            ("::ffff:192.0.2.0/120", true),
            ("2000::/3", false),
            ("2a00::/16", false),
            ("192.0.2.0/24", false),
        ] {
            assert_eq!(hides_ipv4(&network.parse().unwrap()), hides, "{network}");
        }
    }
}
