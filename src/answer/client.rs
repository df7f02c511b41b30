//! Whom an answer is for: the client subnet if it may be used, else the packet's
//! source; and how far the answer then holds (RFC 7871, docs/STEERING.md).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::dns::ecs::ClientSubnet;
use crate::geo;
use crate::steer::hash::{SCOPE_V4, SCOPE_V6};
use crate::steer::strategy::{Row, Strategy};

/// Who is steered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Client {
    /// The address that is looked up: unwrapped where it hides an IPv4 client.
    pub address: IpAddr,
    /// Where it came from.
    pub source: Source,
    /// Bits that unwrapping took off the front of the address as sent.
    pub unwrapped_bits: u8,
}

/// Where a client's address came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The packet: no subnet was sent.
    Packet,
    /// The client subnet option.
    Subnet,
    /// The packet: a subnet was sent and is not used here (`ecs = false`), or
    /// the client asked that none be used (source prefix length 0).
    SubnetDeclined,
    /// The packet: the subnet sent is unroutable and in none of the operator's
    /// networks. Holds the length of its block.
    SubnetUnroutable(u8),
}

impl Client {
    /// The client of a query for a WIP with this strategy.
    pub fn of(
        strategy: &Strategy,
        ecs_enabled: bool,
        subnet: Option<ClientSubnet<'_>>,
        packet: IpAddr,
    ) -> Client {
        let Some(subnet) = subnet else { return Client::new(packet, None, Source::Packet) };
        let Some(address) = subnet.address().filter(|_| ecs_enabled && strategy.ecs) else {
            return Client::new(packet, None, Source::SubnetDeclined);
        };
        let client = Client::new(address, Some(subnet.source_length()), Source::Subnet);
        let ignored = match &strategy.map {
            Some(map) => map.ignores(client.address),
            None => ignored(&strategy.networks, client.address),
        };
        match ignored {
            Some(scope) => {
                let scope = client.scope_as_sent(scope);
                Client::new(packet, None, Source::SubnetUnroutable(scope))
            }
            None => client,
        }
    }

    /// A scope in the address as sent, from one in the address looked up.
    fn scope_as_sent(&self, scope: u8) -> u8 {
        // Teredo hides all of the client in its last bits.
        scope.saturating_add(self.unwrapped_bits).min(128)
    }

    fn new(address: IpAddr, source_length: Option<u8>, source: Source) -> Client {
        if let IpAddr::V6(v6) = address
            && let Some((v4, _, unwrapped_bits)) = geo::unwrap(v6, source_length.unwrap_or(128))
        {
            return Client { address: v4.into(), source, unwrapped_bits };
        }
        Client { address, source, unwrapped_bits: 0 }
    }

    /// The client's row, and the scope of an answer made from it: the largest
    /// network of clients, as they would be sent, that have the same order.
    #[inline]
    pub fn place<'s>(&self, strategy: &'s Strategy) -> (&'s Row, u8) {
        let (row, mut scope) = match &strategy.map {
            Some(map) => map.lookup(self.address),
            None => (0, 0),
        };
        let row = strategy.rows.get(row as usize).unwrap_or(&strategy.rows[0]);
        if strategy.hashes || strategy.has_ties && row.has_ties() {
            scope = scope.max(if self.address.is_ipv4() { SCOPE_V4 } else { SCOPE_V6 });
        }
        let scope = match self.source {
            _ if !strategy.depends_on_client() => 0,
            Source::Subnet => self.scope_as_sent(scope),
            Source::SubnetUnroutable(length) => length,
            Source::Packet | Source::SubnetDeclined => 0,
        };
        (row, scope)
    }
}

/// Where no map says it: whether a client subnet is unroutable and outside the
/// operator's networks, and then the length of the largest network around it
/// that is both.
fn ignored(networks: &[IpNet], address: IpAddr) -> Option<u8> {
    let block = geo::is_unroutable(address)?;
    networks.iter().try_fold(block, |scope, network| match (network, address) {
        _ if network.contains(&address) => None,
        (IpNet::V4(network), IpAddr::V4(address)) => {
            let common = (u32::from(network.network()) ^ u32::from(address)).leading_zeros();
            Some(scope.max(common as u8 + 1))
        }
        (IpNet::V6(network), IpAddr::V6(address)) => {
            let common = (u128::from(network.network()) ^ u128::from(address)).leading_zeros();
            Some(scope.max(common as u8 + 1))
        }
        _ => Some(scope),
    })
}
