//! One record of a MaxMind DB file, in any layout that is met in the wild.
//!
//! Nested is MaxMind's own (`country.iso_code`, `location.latitude`); flat is
//! what repackaged and commercial tables use (`country_code`, `latitude`). What
//! is not understood is left out, never an error: one odd record must not cost
//! the whole table.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::country::{is_continent, is_country};
use super::{Place, Point};

/// Characters of an ISO 3166-2 code after the country: one to three.
const SUBDIVISION_LENGTH_MAX: usize = 3;

//------------ Record ---------------------------------------------------------

/// The fields looked for. Each is as good as absent when it is of another kind.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Record<'a> {
    // Nested, and flat with the same names.
    #[serde(borrow)]
    country: Lenient<Code<'a>>,
    #[serde(borrow)]
    registered_country: Lenient<Code<'a>>,
    #[serde(borrow)]
    continent: Lenient<Code<'a>>,
    #[serde(borrow)]
    subdivisions: Lenient<Code<'a>>,
    location: Lenient<PointParts>,
    autonomous_system_number: Lenient<Number>,
    // Flat.
    #[serde(borrow)]
    country_code: Lenient<Code<'a>>,
    #[serde(borrow)]
    continent_code: Lenient<Code<'a>>,
    #[serde(borrow)]
    region_code: Lenient<Code<'a>>,
    latitude: Lenient<Number>,
    longitude: Lenient<Number>,
    lat: Lenient<Number>,
    lng: Lenient<Number>,
    asn: Lenient<Number>,
}

impl Record<'_> {
    /// Whether it is laid out as MaxMind's are.
    pub(super) fn is_nested(&self) -> bool {
        self.country.0.nested || self.continent.0.nested || self.location.0.nested
    }

    /// What it says, without what would follow from the country.
    pub(super) fn place(&self) -> Place {
        let said = [&self.country, &self.country_code, &self.registered_country]
            .map(|code| code.0.letters());
        let country = said.into_iter().flatten().find(|&code| is_country(code));
        let continent = [&self.continent, &self.continent_code]
            .into_iter()
            .filter_map(|code| code.0.letters())
            // Registries have networks of "EU", no country.
            .chain(said.into_iter().flatten().filter(|code| code == b"EU"))
            .find(|&code| is_continent(code));
        Place {
            country,
            region: country.and_then(|country| self.region(country)),
            continent,
            point: self.point(),
            point_is_centroid: false,
            asn: self.asn(),
        }
    }

    fn region(&self, country: [u8; 2]) -> Option<Arc<str>> {
        let country = str::from_utf8(&country).ok()?;
        let code = [&self.subdivisions, &self.region_code].into_iter().find_map(|c| c.0.text)?;
        // Some give "US-CA", others "CA".
        let code = code.strip_prefix(country).and_then(|c| c.strip_prefix('-')).unwrap_or(code);
        let sound = (1..=SUBDIVISION_LENGTH_MAX).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        sound.then(|| format!("{country}-{}", code.to_ascii_uppercase()).into())
    }

    fn point(&self) -> Option<Point> {
        let flat = |latitude: &Lenient<Number>, longitude: &Lenient<Number>| {
            Some((latitude.0.0?, longitude.0.0?))
        };
        let nested = &self.location.0;
        let (latitude, longitude) = nested
            .latitude
            .zip(nested.longitude)
            .or_else(|| flat(&self.latitude, &self.longitude))
            .or_else(|| flat(&self.lat, &self.lng))?;
        let sound = latitude.abs() <= 90.0
            && longitude.abs() <= 180.0
            // The sea off Africa stands for "unknown".
            && (latitude, longitude) != (0.0, 0.0);
        sound.then_some(Point { latitude, longitude })
    }

    fn asn(&self) -> Option<u32> {
        let number = self.autonomous_system_number.0.0.or(self.asn.0.0)?;
        let sound = (1.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0;
        sound.then_some(number as u32)
    }
}

/// The names of a record's fields, for those who wonder why it is not understood.
pub(super) struct FieldNames(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for FieldNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FieldNames, D::Error> {
        let fields = BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(FieldNames(fields.into_keys().collect()))
    }
}

//------------ Lenient fields -------------------------------------------------

/// A field that takes whatever comes.
#[derive(Debug, Default)]
struct Lenient<T>(T);

/// What a lenient field makes of text, numbers and maps; by default, nothing.
trait Field<'de>: Default {
    fn text(&mut self, _text: &'de str) {}
    fn number(&mut self, _number: f64) {}
    fn entry<A: MapAccess<'de>>(&mut self, _key: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }
}

impl<'de, T: Field<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lenient<T>, D::Error> {
        deserializer.deserialize_any(LenientVisitor(PhantomData)).map(Lenient)
    }
}

struct LenientVisitor<T>(PhantomData<T>);

impl<T> LenientVisitor<T> {
    fn from<'de>(fill: impl FnOnce(&mut T)) -> T
    where
        T: Field<'de>,
    {
        let mut field = T::default();
        fill(&mut field);
        field
    }
}

impl<'de, T: Field<'de>> Visitor<'de> for LenientVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(Self::from(|field| field.text(text)))
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(Self::from(|field| field.number(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(Self::from(|field| field.number(number as f64)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(Self::from(|field| field.number(number as f64)))
    }

    fn visit_u128<E>(self, _: u128) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut field = T::default();
        while let Some(key) = map.next_key::<&str>()? {
            field.entry(key, &mut map)?;
        }
        Ok(field)
    }

    /// Of a list, the first: the largest of a country's subdivisions.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let first = list.next_element::<Lenient<T>>()?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.0)
    }
}

/// "DE", or `{ iso_code: "DE" }`, or `{ code: "EU" }`.
#[derive(Debug, Default)]
struct Code<'a> {
    text: Option<&'a str>,
    nested: bool,
}

impl Code<'_> {
    fn letters(&self) -> Option<[u8; 2]> {
        let letters: [u8; 2] = self.text?.as_bytes().try_into().ok()?;
        Some(letters.map(|letter| letter.to_ascii_uppercase()))
    }
}

impl<'de: 'a, 'a> Field<'de> for Code<'a> {
    fn text(&mut self, text: &'de str) {
        self.text = Some(text);
    }

    fn entry<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        self.nested = true;
        match key {
            "iso_code" | "code" => self.text = map.next_value::<Lenient<Code<'_>>>()?.0.text,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// 13335, "52.5" or "AS13335".
#[derive(Debug, Default)]
struct Number(Option<f64>);

impl<'de> Field<'de> for Number {
    fn text(&mut self, text: &'de str) {
        let digits = text.strip_prefix("AS").unwrap_or(text);
        self.0 = digits.parse().ok().filter(|number: &f64| number.is_finite());
    }

    fn number(&mut self, number: f64) {
        self.0 = number.is_finite().then_some(number);
    }
}

/// `{ latitude: 52.5, longitude: 13.4 }`
#[derive(Debug, Default)]
struct PointParts {
    latitude: Option<f64>,
    longitude: Option<f64>,
    nested: bool,
}

impl<'de> Field<'de> for PointParts {
    fn entry<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        self.nested = true;
        match key {
            "latitude" => self.latitude = map.next_value::<Lenient<Number>>()?.0.0,
            "longitude" => self.longitude = map.next_value::<Lenient<Number>>()?.0.0,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
