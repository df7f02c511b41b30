//! The base table: client network → class of clients, before any site is known.
//!
//! All maps are projections of one base table, so it is held once and interns
//! what the databases say: clients about whom they say the same are one class.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::country;
use super::key::{Key, largest_network};
use super::source::SourceInfo;
use super::steps::{Chain, Nested, Steps, StepsV6, combine};
use super::{ClassId, Place, Point};

/// Degrees are kept to this fraction: 1.1 km, finer than any database knows.
const POINT_STEPS_PER_DEGREE: f64 = 100.0;

//------------ BaseTable ------------------------------------------------------

/// The whole of both address families → class. Class 0: nothing is known.
#[derive(Clone, Debug)]
pub struct BaseTable {
    v4: Steps<u32>,
    v6: StepsV6,
    places: Vec<Place>,
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
        let nothing_v4 = Steps::constant(0);
        let nothing_v6 = Steps::constant(0);
        BaseTable::new(
            combine(v4.innermost.iter(), nothing_v4.iter(), |network, _| {
                class_at(network, &v4.chains)
            }),
            combine(v6.innermost.iter(), nothing_v6.iter(), |network, _| {
                class_at(network, &v6.chains)
            }),
            interner.into_places(),
            Vec::new(),
        )
    }

    /// From parts that fit: every value is an index into `places`.
    pub(super) fn new(
        v4: Steps<u32>,
        v6: Steps<u128>,
        places: Vec<Place>,
        sources: Vec<SourceInfo>,
    ) -> BaseTable {
        let mut table = BaseTable { v4, v6: v6.into(), places, sources };
        table.places.iter_mut().for_each(complete);
        table.v4.shrink();
        table.places.shrink_to_fit();
        table
    }

    /// What is known of a class that [`lookup`](BaseTable::lookup) or
    /// [`compile`](super::compile()) named.
    pub fn place(&self, class: ClassId) -> &Place {
        &self.places[class as usize]
    }

    /// How many classes there are, class 0 included.
    pub fn class_count(&self) -> usize {
        self.places.len()
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
        self.places.iter().any(|place| place.country.is_some())
    }

    /// Whether any class has a region.
    pub fn has_regions(&self) -> bool {
        self.places.iter().any(|place| place.region.is_some())
    }

    /// Whether any class has a point of its own, better than a centroid.
    pub fn has_points(&self) -> bool {
        self.places.iter().any(|place| place.point.is_some() && !place.point_is_centroid)
    }

    /// Whether any class has an autonomous system.
    pub fn has_asn(&self) -> bool {
        self.places.iter().any(|place| place.asn.is_some())
    }

    /// Whether anything is known of IPv4 clients.
    pub fn has_ipv4(&self) -> bool {
        self.v4.iter().any(|(_, class)| class != 0)
    }

    /// Whether anything is known of IPv6 clients.
    pub fn has_ipv6(&self) -> bool {
        self.v6.iter().any(|(_, class)| class != 0)
    }

    /// How many ranges there are, of IPv4 and of IPv6.
    pub fn range_counts(&self) -> (usize, usize) {
        (self.v4.len(), self.v6.len())
    }

    /// Heap memory, in bytes, without the text of regions.
    pub fn memory_bytes(&self) -> usize {
        self.v4.memory_bytes()
            + self.v6.memory_bytes()
            + self.places.capacity() * size_of::<Place>()
    }

    pub(super) fn v4(&self) -> &Steps<u32> {
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

/// Adds what follows from the country.
fn complete(place: &mut Place) {
    let Some(code) = place.country else { return };
    place.continent = place.continent.or_else(|| country::continent_of(code));
    if place.point.is_none() {
        place.point = country::country_centroid(code);
        place.point_is_centroid = place.point.is_some();
    }
}

fn find<K: Key>((class, first, next): (ClassId, K, Option<K>), key: K) -> (ClassId, u8) {
    (class, largest_network(key, first, next))
}

//------------ Interner -------------------------------------------------------

/// Numbers places; equal ones are one class, number 0 is the unknown.
#[derive(Debug)]
pub(super) struct Interner {
    classes: HashMap<PlaceKey, ClassId>,
    places: Vec<Place>,
    regions: HashMap<Arc<str>, u32>,
}

/// A place, exactly comparable.
#[derive(Debug, Eq, Hash, PartialEq)]
struct PlaceKey {
    country: Option<[u8; 2]>,
    continent: Option<[u8; 2]>,
    region: Option<u32>,
    point: Option<(i32, i32)>,
    asn: Option<u32>,
}

impl Default for Interner {
    fn default() -> Interner {
        let mut interner =
            Interner { classes: HashMap::new(), places: Vec::new(), regions: HashMap::new() };
        interner.class(&Place::default());
        interner
    }
}

impl Interner {
    /// The class of a place. Its point is rounded.
    pub(super) fn class(&mut self, place: &Place) -> ClassId {
        let hundredths = |degrees: f64| (degrees * POINT_STEPS_PER_DEGREE).round() as i32;
        let point =
            place.point.map(|point| (hundredths(point.latitude), hundredths(point.longitude)));
        let region = place.region.as_ref().map(|region| {
            let next = self.regions.len() as u32;
            *self.regions.entry(Arc::clone(region)).or_insert(next)
        });
        let Place { country, continent, asn, .. } = *place;
        let next = self.places.len() as ClassId;
        let key = PlaceKey { country, continent, region, point, asn };
        *self.classes.entry(key).or_insert_with(|| {
            let degrees = |hundredths: i32| f64::from(hundredths) / POINT_STEPS_PER_DEGREE;
            let point = point.map(|(latitude, longitude)| Point {
                latitude: degrees(latitude),
                longitude: degrees(longitude),
            });
            self.places.push(Place { point, ..place.clone() });
            next
        })
    }

    /// What a class stands for.
    pub(super) fn place(&self, class: ClassId) -> &Place {
        &self.places[class as usize]
    }

    /// How many classes.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// All places, by class.
    pub(super) fn into_places(self) -> Vec<Place> {
        self.places
    }
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
    fn places_within_a_kilometre_are_one_class() {
        let at = |latitude| Place {
            point: Some(Point { latitude, longitude: 8.0 }),
            ..Place::default()
        };
        let mut interner = Interner::default();
        let class = interner.class(&at(50.001));
        assert_eq!(interner.class(&at(50.004)), class);
        assert_ne!(interner.class(&at(50.02)), class);
        assert_eq!(interner.class(&Place::default()), 0);
        assert_eq!(interner.place(class).point, at(50.0).point);
    }

    #[test]
    fn the_built_in_table_introduces_itself() {
        let text = BaseTable::embedded().to_string();
        assert!(text.starts_with("embedded: country (embedded schema)\n  built        2026-"));
        assert!(text.contains("https://db-ip.com"), "{text}");
        assert!(text.contains("\nall together: "), "{text}");
    }
}
