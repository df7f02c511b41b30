//! Places: where sites and clients stand, and which clients a site serves.

use std::sync::Arc;

use ipnet::IpNet;

/// Where a site or client stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Location {
    /// Degrees.
    Point {
        /// −90…90
        latitude: f64,
        /// −180…180
        longitude: f64,
    },
    /// ISO 3166-1 alpha-2, upper case: its centroid.
    Country([u8; 2]),
}

impl Location {
    /// The point it stands for; none: a country without a known centroid.
    pub fn point(self) -> Option<Point> {
        match self {
            Location::Point { latitude, longitude } => Some(Point { latitude, longitude }),
            Location::Country(country) => super::country_centroid(country),
        }
    }
}

/// One rule of `serves`, in falling order of precedence (docs/STEERING.md).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Serves {
    /// "10.0.0.0/8"
    Network(IpNet),
    /// "asn:64512"
    Asn(u32),
    /// "region:US-CA" (ISO 3166-2)
    Region(String),
    /// "country:DE" (ISO 3166-1 alpha-2, upper case)
    Country([u8; 2]),
    /// "continent:EU" (AF, AN, AS, EU, NA, OC, SA)
    Continent([u8; 2]),
}

/// Index of a [`Place`] in a [`BaseTable`](super::BaseTable); 0: nothing is known.
pub type ClassId = u32;

/// A point on earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// −90…90
    pub latitude: f64,
    /// −180…180
    pub longitude: f64,
}

/// What the databases know of a class of clients: every client of one class is
/// steered alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// ISO 3166-1 alpha-2, upper case (and XK, Kosovo).
    pub country: Option<[u8; 2]>,
    /// ISO 3166-2, such as "US-CA".
    pub region: Option<Arc<str>>,
    /// AF, AN, AS, EU, NA, OC or SA.
    pub continent: Option<[u8; 2]>,
    /// Where it stands: the database's word, else its country's centroid.
    pub point: Option<Point>,
    /// Whether `point` is the country's centroid, for want of better.
    pub point_is_centroid: bool,
    /// The autonomous system that announces it.
    pub asn: Option<u32>,
}
