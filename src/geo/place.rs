//! Places: where sites and clients stand, and which clients a site serves.

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

/// One rule of `serves`, in falling order of precedence (SEMANTICS "geo").
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
