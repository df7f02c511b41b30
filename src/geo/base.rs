//! The base table: client network → class of clients, before any site is known.
//!
//! All maps are projections of one base table, so it is held once and interns
//! what the databases say: clients about whom they say the same are one class.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::classes::{Classes, Interner};
use super::halves::StepsV6;
use super::key::{Key, largest_network};
use super::packed::Packed;
use super::source::SourceInfo;
use super::steps::{Chain, Nested};
use super::{ClassId, Place};

//------------ BaseTable ------------------------------------------------------

/// The whole of both address families → class. Class 0: nothing is known.
#[derive(Clone, Debug)]
pub struct BaseTable {
    v4: Packed<u32>,
    v6: StepsV6,
    classes: Classes,
    sources: Vec<SourceInfo>,
}

impl BaseTable {
    /// A table by hand: of the networks around an address, the longest decides,
    /// of equal ones the last.
    pub fn from_networks(networks: &[(IpNet, Place)]) -> BaseTable {
        let mut interner = Interner::default();
        let classes: Vec<ClassId> =
            networks.iter().map(|(_, place)| interner.class(place)).collect();
        let class_at = |network: u32, chains: &[Chain]| {
            let chain = &chains[network as usize];
            let longest = chain.first().map(|&index| networks[index].0.trunc());
            let same = chain.iter().take_while(|&&at| Some(networks[at].0.trunc()) == longest);
            same.last().map_or(0, |&at| classes[at])
        };
        let v4 = Nested::<u32>::new(networks.iter().enumerate().filter_map(|(index, (net, _))| {
            let IpNet::V4(net) = net.trunc() else { return None };
            Some((u128::from(u32::from(net.addr())), net.prefix_len(), index))
        }));
        let v6 =
            Nested::<u128>::new(networks.iter().enumerate().filter_map(|(index, (net, _))| {
                let IpNet::V6(net) = net.trunc() else { return None };
                Some((u128::from(net.addr()), net.prefix_len(), index))
            }));
        let mut packed_v4 = Packed::empty();
        for (start, network) in v4.innermost.iter() {
            packed_v4.push(start, class_at(network, &v4.chains));
        }
        let mut packed_v6 = StepsV6::builder();
        for (start, network) in v6.innermost.iter() {
            packed_v6.push(start, class_at(network, &v6.chains));
        }
        let classes = interner.into_classes();
        BaseTable::new(packed_v4, StepsV6::build(packed_v6), classes, Vec::new())
    }

    /// From parts that fit: every value is a class.
    pub(super) fn new(
        mut v4: Packed<u32>,
        v6: StepsV6,
        classes: Classes,
        sources: Vec<SourceInfo>,
    ) -> BaseTable {
        v4.shrink();
        BaseTable { v4, v6, classes, sources }
    }

    /// What is known of a class that [`lookup`](BaseTable::lookup) or
    /// [`compile`](super::compile()) named.
    pub fn place(&self, class: ClassId) -> Place {
        self.classes.place(class)
    }

    /// How many classes there are, class 0 included.
    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// The class of an address, and the largest network around it of one class.
    pub fn lookup(&self, address: IpAddr) -> (ClassId, IpNet) {
        let (class, length) = match address {
            IpAddr::V4(address) => find(self.v4.at(address.into()), u32::from(address)),
            IpAddr::V6(address) => find(self.v6.at(address.into()), u128::from(address)),
        };
        let network = IpNet::new(address, length).expect("a network is no longer than its address");
        (class, network.trunc())
    }

    /// What it was made of, in the order given.
    pub fn info(&self) -> &[SourceInfo] {
        &self.sources
    }

    /// Whether any class has a country.
    pub fn has_country(&self) -> bool {
        self.classes.has_country()
    }

    /// Whether any class has a region.
    pub fn has_regions(&self) -> bool {
        self.classes.has_regions()
    }

    /// Whether any class has a point of its own, better than a centroid.
    pub fn has_points(&self) -> bool {
        self.classes.has_points()
    }

    /// Whether any class has an autonomous system.
    pub fn has_asn(&self) -> bool {
        self.classes.has_asn()
    }

    /// Whether anything is known of IPv4 clients.
    pub fn has_ipv4(&self) -> bool {
        !self.v4.is_nothing()
    }

    /// Whether anything is known of IPv6 clients.
    pub fn has_ipv6(&self) -> bool {
        !self.v6.is_nothing()
    }

    /// How many ranges there are, of IPv4 and of IPv6.
    pub fn range_counts(&self) -> (usize, usize) {
        (self.v4.len(), self.v6.len())
    }

    /// Heap memory, in bytes, without the text of regions.
    pub fn memory_bytes(&self) -> usize {
        self.v4.memory_bytes() + self.v6.memory_bytes() + self.classes.memory_bytes()
    }

    pub(super) fn v4(&self) -> &Packed<u32> {
        &self.v4
    }

    pub(super) fn v6(&self) -> &StepsV6 {
        &self.v6
    }
}

/// What `windrose geo info` shows: each source, then the whole.
impl fmt::Display for BaseTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in &self.sources {
            writeln!(f, "{source}")?;
        }
        let (v4, v6) = self.range_counts();
        write!(f, "all together: {v4} IPv4 and {v6} IPv6 ranges, ")?;
        write!(f, "{} classes of clients, ", self.class_count() - 1)?;
        write!(f, "{:.1} MB", self.memory_bytes() as f64 / 1e6)
    }
}

fn find<K: Key>((class, first, next): (ClassId, K, Option<K>), key: K) -> (ClassId, u8) {
    (class, largest_network(key, first, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_by_hand_takes_the_longest_network_and_of_equal_ones_the_last() {
        let asn = |asn| Place { asn: Some(asn), ..Place::default() };
        let table = BaseTable::from_networks(&[
            ("192.0.2.0/25".parse().unwrap(), asn(1)),
            ("192.0.2.0/24".parse().unwrap(), asn(2)),
            ("192.0.2.9/24".parse().unwrap(), asn(3)),
        ]);
        let found = |address: &str| {
            let (class, network) = table.lookup(address.parse().unwrap());
            (table.place(class).asn, network.to_string())
        };
        assert_eq!(found("192.0.2.1"), (Some(1), "192.0.2.0/25".to_owned()));
        assert_eq!(found("192.0.2.128"), (Some(3), "192.0.2.128/25".to_owned()));
        assert_eq!(found("192.0.3.1"), (None, "192.0.3.0/24".to_owned()));
        assert!(table.has_ipv4() && !table.has_ipv6() && table.has_asn());
        assert_eq!(table.class_count(), 4);
    }

    #[test]
    fn the_built_in_table_introduces_itself() {
        let text = BaseTable::embedded().to_string();
        assert!(text.starts_with("embedded: country (embedded schema)\n  built        2026-"));
        assert!(text.contains("https://db-ip.com"), "{text}");
        assert!(text.contains("\nall together: "), "{text}");
    }
}
