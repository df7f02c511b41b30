//! A compiled map: client network → row, over both families.
//!
//! A row is whatever order its caller gave a number. One lookup gives the row
//! and the exact scope. Where one row does not stand for every client of a
//! network, the table holds a *special* instead, so that no scope ever covers it:
//!
//! | special | where | why |
//! |---|---|---|
//! | ignored | unroutable blocks outside the operator's networks | a client subnet there is not used |
//! | tunnel | 6to4, Teredo, NAT64, mapped | the IPv4 client inside decides |
//! | split | a /64 with boundaries inside it | the table's keys are /64s |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::client;
use super::ranges::{Block, Ranges};

//------------ Map ------------------------------------------------------------

/// One compiled table. Made by [`compile`](super::compile()).
#[derive(Clone, Debug)]
pub struct Map {
    pub(super) v4: Ranges<u32>,
    /// By the first 64 bits.
    pub(super) v6: Ranges<u64>,
    /// What values from `rows_end` on stand for.
    pub(super) specials: Box<[Special]>,
    /// One more than the greatest row.
    pub(super) rows_end: u32,
}

/// What a range may hold instead of a row.
#[derive(Clone, Debug)]
pub(super) enum Special {
    /// The row of a block whose client subnets are ignored.
    Ignored(u32),
    /// The row for those of a tunnel's addresses that hide no client.
    Tunnel(u32),
    /// A /64, by its last 64 bits: rows and specials, no further splits.
    Split(Ranges<u64>),
}

/// Where a lookup goes on, in the map that gave it.
#[derive(Clone, Copy, Debug)]
pub struct Located(Block);

/// Scope of an address that shares its row with nobody.
const SCOPE_ONE_ADDRESS_V6: u8 = 128;

impl Map {
    /// The row of a client, and the scope: the length, in the address's own
    /// family, of the largest network around it over which the row is the same.
    ///
    /// Addresses that [`unwrap`](super::unwrap()) understands must be unwrapped
    /// before. Where [`ignores`](Map::ignores) holds, the row is the one for an
    /// unknown place.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> (u32, u8) {
        match address {
            IpAddr::V4(address) => self.lookup_v4(address),
            IpAddr::V6(address) => self.lookup_v6(address),
        }
    }

    /// As [`lookup`](Map::lookup), of IPv4.
    #[inline]
    pub fn lookup_v4(&self, address: Ipv4Addr) -> (u32, u8) {
        self.resolved(self.v4.lookup(address.into()))
    }

    /// As [`lookup`](Map::lookup), of IPv6.
    #[inline]
    pub fn lookup_v6(&self, address: Ipv6Addr) -> (u32, u8) {
        self.resolved(self.find_v6(address, self.v6.locate(upper_half(address))))
    }

    /// The first half of a lookup. For a batch of clients: `locate` each, `touch`
    /// each, then [`finish`](Map::finish) each, and memory is waited for once in
    /// each round, not once per client.
    #[inline]
    pub fn locate(&self, address: IpAddr) -> Located {
        Located(match address {
            IpAddr::V4(address) => self.v4.locate(address.into()),
            IpAddr::V6(address) => self.v6.locate(upper_half(address)),
        })
    }

    /// Reads where `finish` will. What it gives means nothing, but must be used,
    /// or the compiler leaves the reading out.
    #[inline]
    #[must_use]
    pub fn touch(&self, address: IpAddr, located: Located) -> u8 {
        match address {
            IpAddr::V4(_) => self.v4.touch(located.0),
            IpAddr::V6(_) => self.v6.touch(located.0),
        }
    }

    /// The second half of a lookup, of the same address in the same map.
    #[inline]
    pub fn finish(&self, address: IpAddr, located: Located) -> (u32, u8) {
        self.resolved(match address {
            IpAddr::V4(address) => self.v4.finish(located.0, address.into()),
            IpAddr::V6(address) => self.find_v6(address, located.0),
        })
    }

    /// Whether a client subnet option with this address is not to be used,
    /// because it is unroutable and none of the operator's networks covers it:
    /// then the scope to answer with, such as 8 for 10/8 (docs/STEERING.md). Never
    /// so when every client gets the same row.
    pub fn ignores(&self, address: IpAddr) -> Option<u8> {
        client::is_unroutable(address)?;
        let (value, scope) = match address {
            IpAddr::V4(address) => self.v4.lookup(address.into()),
            IpAddr::V6(address) => self.find_v6(address, self.v6.locate(upper_half(address))),
        };
        let special = self.specials.get(value.checked_sub(self.rows_end)? as usize);
        matches!(special, Some(Special::Ignored(_))).then_some(scope)
    }

    /// Visits every range in order: first address, last address, row. Left out
    /// are the unroutable ones outside the operator's networks, and those that
    /// hide IPv4 clients; where all clients have one row, nothing is.
    pub fn for_each_range(&self, visit: &mut dyn FnMut(IpAddr, IpAddr, u32)) {
        self.v4.for_each(&mut |first, last, value| {
            if value < self.rows_end {
                visit(Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into(), value);
            }
        });
        let mut visit_v6 = |first: u128, last: u128, value| {
            if value < self.rows_end {
                visit(Ipv6Addr::from(first).into(), Ipv6Addr::from(last).into(), value);
            }
        };
        self.v6.for_each(&mut |first, last, value| {
            let first = u128::from(first) << 64;
            let special = value.checked_sub(self.rows_end).map(|at| &self.specials[at as usize]);
            if let Some(Special::Split(inside)) = special {
                inside.for_each(&mut |low, high, value| {
                    visit_v6(first | u128::from(low), first | u128::from(high), value);
                });
            } else {
                visit_v6(first, u128::from(last) << 64 | u128::from(u64::MAX), value);
            }
        });
    }

    /// Heap memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let split = |special: &Special| match special {
            Special::Split(inside) => inside.memory_bytes(),
            Special::Ignored(_) | Special::Tunnel(_) => 0,
        };
        self.v4.memory_bytes()
            + self.v6.memory_bytes()
            + size_of_val(&*self.specials)
            + self.specials.iter().map(split).sum::<usize>()
    }

    /// How many ranges there are, of IPv4 and of IPv6.
    pub fn range_counts(&self) -> (usize, usize) {
        (self.v4.len(), self.v6.len())
    }

    /// The value of an IPv6 address, splits resolved, and the scope.
    #[inline]
    fn find_v6(&self, address: Ipv6Addr, block: Block) -> (u32, u8) {
        let (value, scope) = self.v6.finish(block, upper_half(address));
        if value >= self.rows_end
            && let Special::Split(inside) = &self.specials[(value - self.rows_end) as usize]
        {
            let (value, scope) = inside.lookup(u128::from(address) as u64);
            return (value, 64 + scope);
        }
        (value, scope)
    }

    #[inline]
    fn resolved(&self, (value, scope): (u32, u8)) -> (u32, u8) {
        if value < self.rows_end { (value, scope) } else { self.special(value, scope) }
    }

    #[cold]
    fn special(&self, value: u32, scope: u8) -> (u32, u8) {
        match &self.specials[(value - self.rows_end) as usize] {
            Special::Ignored(row) => (*row, scope),
            Special::Tunnel(row) => (*row, SCOPE_ONE_ADDRESS_V6),
            Special::Split(_) => unreachable!("find_v6 resolves splits, which do not nest"),
        }
    }
}

#[inline(always)]
fn upper_half(address: Ipv6Addr) -> u64 {
    (u128::from(address) >> 64) as u64
}
