//! Classes of clients: those about whom the databases say the same are one.

use std::collections::HashMap;
use std::sync::Arc;

use super::country;
use super::{ClassId, Place, Point};

/// Degrees are kept to this fraction: 1.1 km, finer than any database knows.
const POINT_STEPS_PER_DEGREE: f64 = 100.0;
/// Not a country or continent, and not a latitude.
const NO_CODE: [u8; 2] = [0; 2];
const NO_LATITUDE: i16 = i16::MIN;
/// The index of no region.
const NO_REGION: u32 = u32::MAX;

//------------ Classes --------------------------------------------------------

/// What is known of each class, number 0 of which is the unknown.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    known: Vec<Known>,
    regions: Vec<Arc<str>>,
}

/// A place in a few bytes, exactly comparable: there are hundreds of thousands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Known {
    country: [u8; 2],
    continent: [u8; 2],
    /// In steps of a degree.
    latitude: i16,
    longitude: i16,
    region: u32,
    asn: Option<u32>,
}

impl Classes {
    /// How many, the unknown included.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// What a class stands for, with what follows from its country.
    pub(super) fn place(&self, class: ClassId) -> Place {
        let mut place = self.said(class);
        let Some(code) = place.country else { return place };
        place.continent = place.continent.or_else(|| country::continent_of(code));
        if place.point.is_none() {
            place.point = country::country_centroid(code);
            place.point_is_centroid = place.point.is_some();
        }
        place
    }

    /// What the databases say of a class.
    pub(super) fn said(&self, class: ClassId) -> Place {
        let known = &self.known[class as usize];
        let degrees = |steps: i16| f64::from(steps) / POINT_STEPS_PER_DEGREE;
        Place {
            country: (known.country != NO_CODE).then_some(known.country),
            region: self.regions.get(known.region as usize).map(Arc::clone),
            continent: (known.continent != NO_CODE).then_some(known.continent),
            point: (known.latitude != NO_LATITUDE).then(|| Point {
                latitude: degrees(known.latitude),
                longitude: degrees(known.longitude),
            }),
            point_is_centroid: false,
            asn: known.asn,
        }
    }

    pub(super) fn has_country(&self) -> bool {
        self.known.iter().any(|known| known.country != NO_CODE)
    }

    pub(super) fn has_regions(&self) -> bool {
        !self.regions.is_empty()
    }

    pub(super) fn has_points(&self) -> bool {
        self.known.iter().any(|known| known.latitude != NO_LATITUDE)
    }

    pub(super) fn has_asn(&self) -> bool {
        self.known.iter().any(|known| known.asn.is_some())
    }

    /// Heap memory, in bytes, without the text of regions.
    pub(super) fn memory_bytes(&self) -> usize {
        self.known.capacity() * size_of::<Known>() + self.regions.capacity() * size_of::<Arc<str>>()
    }
}

//------------ Interner -------------------------------------------------------

/// Numbers places; equal ones are one class.
#[derive(Debug)]
pub(super) struct Interner {
    classes: Classes,
    numbers: HashMap<Known, ClassId>,
    regions: HashMap<Arc<str>, u32>,
}

impl Default for Interner {
    fn default() -> Interner {
        let classes = Classes { known: Vec::new(), regions: Vec::new() };
        let mut interner = Interner { classes, numbers: HashMap::new(), regions: HashMap::new() };
        interner.class(&Place::default());
        interner
    }
}

impl Interner {
    /// The class of a place. Its point is rounded.
    pub(super) fn class(&mut self, place: &Place) -> ClassId {
        // Latitudes and longitudes have less than 32,767 steps.
        let steps = |degrees: f64| (degrees * POINT_STEPS_PER_DEGREE).round() as i16;
        let (latitude, longitude) = place
            .point
            .map_or((NO_LATITUDE, 0), |point| (steps(point.latitude), steps(point.longitude)));
        let region = place.region.as_ref().map_or(NO_REGION, |region| self.region(region));
        let known = Known {
            country: place.country.unwrap_or(NO_CODE),
            continent: place.continent.unwrap_or(NO_CODE),
            latitude,
            longitude,
            region,
            asn: place.asn,
        };
        let next = self.classes.known.len() as ClassId;
        *self.numbers.entry(known).or_insert_with(|| {
            self.classes.known.push(known);
            next
        })
    }

    /// What the databases say of a class.
    pub(super) fn said(&self, class: ClassId) -> Place {
        self.classes.said(class)
    }

    /// All classes.
    pub(super) fn into_classes(self) -> Classes {
        let mut classes = self.classes;
        classes.known.shrink_to_fit();
        classes
    }

    fn region(&mut self, region: &Arc<str>) -> u32 {
        if let Some(&known) = self.regions.get(region) {
            return known;
        }
        let next = self.classes.regions.len() as u32;
        self.classes.regions.push(Arc::clone(region));
        self.regions.insert(Arc::clone(region), next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_within_a_kilometre_are_one_class() {
        let at = |latitude| Place {
            point: Some(Point { latitude, longitude: -179.99 }),
            ..Place::default()
        };
        let mut interner = Interner::default();
        let class = interner.class(&at(50.001));
        assert_eq!(interner.class(&at(50.004)), class);
        assert_ne!(interner.class(&at(50.02)), class);
        assert_eq!(interner.class(&Place::default()), 0);
        assert_eq!(interner.said(class).point, at(50.0).point);
    }

    #[test]
    fn a_class_says_all_that_was_said_and_what_follows() {
        let place = Place {
            country: Some(*b"US"),
            region: Some("US-CA".into()),
            asn: Some(0),
            ..Place::default()
        };
        let mut interner = Interner::default();
        let class = interner.class(&place);
        assert_eq!(interner.said(class), place);
        assert_ne!(interner.class(&Place { asn: None, ..place.clone() }), class);
        let classes = interner.into_classes();
        let known = classes.place(class);
        assert_eq!((known.continent, known.point_is_centroid), (Some(*b"NA"), true));
        assert!(classes.has_country() && classes.has_regions() && classes.has_asn());
        assert!(!classes.has_points());
    }
}
