//! The order in which a client's place and network put members (docs/STEERING.md,
//! "geo"): best `serves` match, then own country, then biased distance, then
//! the order of the config. Computed when tables are compiled, never per query.

use std::cmp::Ordering;

use ipnet::IpNet;

use crate::geo::{self, Location, Place, Point, Serves};

//------------ Site -----------------------------------------------------------

/// What ordering needs to know of a member.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Site {
    /// Country code, if that is how the place was given.
    country: Option<[u8; 2]>,
    /// Latitude and longitude as bits, so that sites can be compared and hashed.
    point: Option<(u64, u64)>,
    /// Clients it serves.
    pub serves: Vec<Serves>,
    /// −99…99
    bias: i8,
}

impl Site {
    /// A site at `location`.
    pub fn new(location: Option<Location>, serves: Vec<Serves>, bias: i8) -> Site {
        let country = match location {
            Some(Location::Country(country)) => Some(country),
            _ => None,
        };
        let point = location.and_then(Location::point);
        let point = point.map(|point| (point.latitude.to_bits(), point.longitude.to_bits()));
        Site { country, point, serves, bias }
    }

    /// True when no client is nearer to it than another.
    pub fn is_nowhere(&self) -> bool {
        self.point.is_none() && self.country.is_none() && self.serves.is_empty()
    }

    fn point(&self) -> Option<Point> {
        let (latitude, longitude) = self.point?;
        Some(Point { latitude: f64::from_bits(latitude), longitude: f64::from_bits(longitude) })
    }
}

/// What ordering knows of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientPlace<'a> {
    /// Its place in the geo database.
    pub place: &'a Place,
    /// Operator networks that contain it.
    pub networks: &'a [IpNet],
}

/// Why a site stands where it does; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// The best `serves` match.
    pub matched: Match,
    /// True when the client stands at its country's centroid and that is the site's country.
    pub own_country: bool,
    /// Biased great-circle distance in kilometres; infinite where a place is unknown.
    pub distance_km: f64,
}

/// A `serves` match, best first; `Network` holds how many bits the prefix leaves open.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Match {
    /// A network, the longest prefix first (128 minus its length over IPv6 length).
    Network(u8),
    /// An autonomous system.
    Asn,
    /// An ISO 3166-2 region.
    Region,
    /// A country.
    Country,
    /// A continent.
    Continent,
    /// Nothing.
    None,
}

impl Rank {
    /// The rank of `site` for `client`.
    pub fn of(site: &Site, client: &ClientPlace<'_>) -> Rank {
        let matched =
            site.serves.iter().map(|rule| match_of(rule, client)).min().unwrap_or(Match::None);
        let own_country = client.place.point_is_centroid
            && site.country.is_some()
            && site.country == client.place.country;
        let distance_km = match (site.point(), client.place.point) {
            (Some(site_point), Some(client_point)) => {
                geo::biased(geo::distance_km(site_point, client_point), site.bias)
            }
            _ => f64::INFINITY,
        };
        Rank { matched, own_country, distance_km }
    }

    /// The best of several, each part by itself: how a pool ranks.
    pub fn best(ranks: impl Iterator<Item = Rank>) -> Rank {
        let worst = Rank { matched: Match::None, own_country: false, distance_km: f64::INFINITY };
        ranks.fold(worst, |best, rank| Rank {
            matched: best.matched.min(rank.matched),
            own_country: best.own_country || rank.own_country,
            distance_km: best.distance_km.min(rank.distance_km),
        })
    }

    fn compare(&self, other: &Rank) -> Ordering {
        self.matched
            .cmp(&other.matched)
            .then(other.own_country.cmp(&self.own_country))
            .then(self.distance_km.total_cmp(&other.distance_km))
    }
}

/// Indices of `ranks` in order, and how many of the first share the client by
/// hash: those whose own country it is, where the database knows no more than
/// countries.
pub fn order(ranks: &[Rank]) -> (Vec<u16>, u16) {
    let mut order: Vec<u16> = (0..ranks.len() as u16).collect();
    let rank = |index: u16| &ranks[usize::from(index)];
    // The sort is stable: equal ranks stay in the order of the config.
    order.sort_by(|&a, &b| rank(a).compare(rank(b)));
    let tied = order.first().map_or(0, |&first| {
        let first = rank(first);
        let same = |&&index: &&u16| rank(index).own_country && rank(index).matched == first.matched;
        order.iter().take_while(same).count() as u16
    });
    (order, tied)
}

fn match_of(rule: &Serves, client: &ClientPlace<'_>) -> Match {
    let place = client.place;
    let hit = match rule {
        Serves::Network(network) => {
            return client
                .networks
                .iter()
                .find(|candidate| *candidate == network)
                .map_or(Match::None, |network| {
                    Match::Network(network.max_prefix_len() - network.prefix_len())
                });
        }
        Serves::Asn(asn) => (place.asn == Some(*asn), Match::Asn),
        Serves::Region(region) => (place.region.as_deref() == Some(region), Match::Region),
        Serves::Country(country) => (place.country == Some(*country), Match::Country),
        Serves::Continent(continent) => (place.continent == Some(*continent), Match::Continent),
    };
    if hit.0 { hit.1 } else { Match::None }
}
