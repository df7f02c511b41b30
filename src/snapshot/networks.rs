//! Sets of networks, compiled to sorted ranges: a look at an address is one binary search.
//!
//! Of nested networks the most specific decides. It must not know what the sets are for.

use std::net::IpAddr;

use ipnet::IpNet;

/// Which addresses are in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetworkSet {
    v4: Ranges,
    v6: Ranges,
}

impl NetworkSet {
    /// Of networks that are in or out; addresses in none of them are in when `otherwise`.
    pub fn new(networks: impl Iterator<Item = (IpNet, bool)>, otherwise: bool) -> NetworkSet {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, is_in) in networks {
            let list = if network.addr().is_ipv4() { &mut v4 } else { &mut v6 };
            list.push((bits(network.network()), bits(network.broadcast()), is_in));
        }
        NetworkSet { v4: Ranges::new(v4, otherwise), v6: Ranges::new(v6, otherwise) }
    }

    /// Whether `address` is in; a v4-mapped one is the IPv4 address that it holds.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(u128::from(address.to_bits())),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Where being in changes: from each start on it is the other way.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Ranges {
    /// Of addresses below the first start.
    first: bool,
    starts: Box<[u128]>,
}

impl Ranges {
    /// Of first and last address of networks, which lie in one another or apart.
    fn new(mut networks: Vec<(u128, u128, bool)>, otherwise: bool) -> Ranges {
        // The wider one comes first where two begin together.
        networks.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut changes: Vec<(u128, bool)> = vec![(0, otherwise)];
        // Those around the place that has been reached, the innermost last.
        let mut open: Vec<(u128, bool)> = Vec::new();
        for (start, end, is_in) in networks {
            close(&mut open, &mut changes, Some(start), otherwise);
            changes.push((start, is_in));
            open.push((end, is_in));
        }
        close(&mut open, &mut changes, None, otherwise);
        // Of several words about one place the last one holds.
        let mut starts = Vec::new();
        let (mut first, mut is_in) = (otherwise, otherwise);
        for (index, &(start, becomes)) in changes.iter().enumerate() {
            if changes.get(index + 1).is_some_and(|next| next.0 == start) {
                continue;
            }
            if start == 0 {
                (first, is_in) = (becomes, becomes);
            } else if becomes != is_in {
                starts.push(start);
                is_in = becomes;
            }
        }
        Ranges { first, starts: starts.into() }
    }

    #[inline]
    fn contains(&self, address: u128) -> bool {
        let changes = self.starts.partition_point(|&start| start <= address);
        self.first ^ (changes % 2 == 1)
    }
}

/// Ends the open networks that end before `next`, or all of them.
fn close(
    open: &mut Vec<(u128, bool)>,
    changes: &mut Vec<(u128, bool)>,
    next: Option<u128>,
    otherwise: bool,
) {
    while let Some(&(end, _)) = open.last()
        && next.is_none_or(|next| end < next)
    {
        open.pop();
        let around = open.last().map_or(otherwise, |&(_, is_in)| is_in);
        // Behind the last address of all there is none.
        if let Some(behind) = end.checked_add(1) {
            changes.push((behind, around));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[(&str, bool)], otherwise: bool) -> NetworkSet {
        let parsed = networks.iter().map(|(text, is_in)| (text.parse().unwrap(), *is_in));
        NetworkSet::new(parsed, otherwise)
    }

    fn is_in(set: &NetworkSet, address: &str) -> bool {
        set.contains(address.parse().unwrap())
    }

    #[test]
    fn the_most_specific_network_decides() {
        let set =
            set(&[("10.0.0.0/8", false), ("10.1.0.0/16", true), ("10.1.1.1/32", false)], true);
        for (address, expected) in [
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("10.1.0.0", true),
            ("10.1.1.0", true),
            ("10.1.1.1", false),
            ("10.1.1.2", true),
            ("10.2.0.0", false),
            ("11.0.0.0", true),
            ("::ffff:10.0.0.1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_in(&set, address), expected, "{address}");
        }
    }

    #[test]
    fn whole_families_have_an_end() {
        let set = set(&[("0.0.0.0/0", true), ("::/0", true), ("ff00::/8", false)], false);
        assert!(is_in(&set, "255.255.255.255") && is_in(&set, "0.0.0.0") && is_in(&set, "::"));
        assert!(!is_in(&set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    }

    proptest! {
        #[test]
        fn ranges_say_what_the_networks_say(
            networks in prop::collection::vec((any::<u32>(), 0u8..=32, any::<bool>()), 0..12),
            addresses in prop::collection::vec(any::<u32>(), 20),
            otherwise in any::<bool>(),
        ) {
            let mut known = std::collections::BTreeMap::new();
            for (address, length, is_in) in networks {
                // Few bits, so that they often lie in one another.
                let address = std::net::Ipv4Addr::from(address & 0xc300_0003);
                let network = ipnet::Ipv4Net::new(address, length).unwrap().trunc();
                known.insert(IpNet::V4(network), is_in);
            }
            let set = NetworkSet::new(known.iter().map(|(network, is_in)| (*network, *is_in)), otherwise);
            for address in addresses {
                let address = IpAddr::from(std::net::Ipv4Addr::from(address & 0xc300_0003));
                let around = known.iter().filter(|(network, _)| network.contains(&address));
                let innermost = around.max_by_key(|(network, _)| network.prefix_len());
                let expected = innermost.map_or(otherwise, |(_, is_in)| *is_in);
                prop_assert_eq!(set.contains(address), expected, "{}", address);
            }
        }
    }
}
