//! One record of a MaxMind DB file, in any layout that is met in the wild.
//!
//! Nested is MaxMind's own (`country.iso_code`, `location.latitude`); flat is
//! what repackaged and commercial tables use (`country_code`, `latitude`). What
//! is not understood is left out, never an error: one odd record must not cost
//! the whole table.

use std::sync::Arc;

use super::country::{is_continent, is_country};
use super::mmdb_data::{Data, Fault, Value};
use super::{Place, Point};

/// Characters of an ISO 3166-2 code after the country: one to three.
const SUBDIVISION_LENGTH_MAX: usize = 3;

//------------ Record ---------------------------------------------------------

/// The fields looked for. Each is as good as absent when it is of another kind.
#[derive(Debug, Default)]
pub(super) struct Record {
    // Nested, and flat with the same names.
    country: Code,
    registered_country: Code,
    continent: Code,
    subdivisions: Code,
    location: PointParts,
    autonomous_system_number: Option<f64>,
    // Flat.
    country_code: Code,
    continent_code: Code,
    region_code: Code,
    latitude: Option<f64>,
    longitude: Option<f64>,
    lat: Option<f64>,
    lng: Option<f64>,
    asn: Option<f64>,
}

impl Record {
    /// The record at an offset into the data.
    pub(super) fn read(data: &mut Data<'_>, offset: u64) -> Result<Record, Fault> {
        let mut record = Record::default();
        let Value::Map(entries) = data.value(offset)? else {
            return Err(Fault::damaged("a record in it has no fields"));
        };
        data.for_each_entry(entries, &mut |data, key, value| {
            let codes = match key {
                "country" => Some(&mut record.country),
                "registered_country" => Some(&mut record.registered_country),
                "continent" => Some(&mut record.continent),
                "subdivisions" => Some(&mut record.subdivisions),
                "country_code" => Some(&mut record.country_code),
                "continent_code" => Some(&mut record.continent_code),
                "region_code" => Some(&mut record.region_code),
                _ => None,
            };
            if let Some(code) = codes {
                *code = Code::read(data, value)?;
                return Ok(());
            }
            let numbers = match key {
                "autonomous_system_number" => &mut record.autonomous_system_number,
                "latitude" => &mut record.latitude,
                "longitude" => &mut record.longitude,
                "lat" => &mut record.lat,
                "lng" => &mut record.lng,
                "asn" => &mut record.asn,
                "location" => {
                    record.location = PointParts::read(data, value)?;
                    return Ok(());
                }
                _ => return Ok(()),
            };
            *numbers = number(data, value)?;
            Ok(())
        })?;
        Ok(record)
    }

    /// The names of a record's fields, for those who wonder why it is not understood.
    pub(super) fn field_names(data: &mut Data<'_>, offset: u64) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        if let Value::Map(entries) = data.value(offset)? {
            data.for_each_entry(entries, &mut |_, key, _| {
                names.push(key.to_owned());
                Ok(())
            })?;
        }
        names.sort();
        Ok(names)
    }

    /// Whether it is laid out as MaxMind's are.
    pub(super) fn is_nested(&self) -> bool {
        self.country.nested || self.continent.nested || self.location.nested
    }

    /// What it says, without what would follow from the country.
    pub(super) fn place(&self) -> Place {
        let said = [&self.country, &self.country_code, &self.registered_country].map(Code::letters);
        let country = said.into_iter().flatten().find(|&code| is_country(code));
        let continent = [&self.continent, &self.continent_code]
            .into_iter()
            .filter_map(Code::letters)
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
        let code = [&self.subdivisions, &self.region_code]
            .into_iter()
            .find_map(|code| code.text.as_deref())?;
        // Some give "US-CA", others "CA".
        let code = code.strip_prefix(country).and_then(|c| c.strip_prefix('-')).unwrap_or(code);
        let sound = (1..=SUBDIVISION_LENGTH_MAX).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        sound.then(|| format!("{country}-{}", code.to_ascii_uppercase()).into())
    }

    fn point(&self) -> Option<Point> {
        let nested = &self.location;
        let (latitude, longitude) = nested
            .latitude
            .zip(nested.longitude)
            .or_else(|| self.latitude.zip(self.longitude))
            .or_else(|| self.lat.zip(self.lng))?;
        let sound = latitude.abs() <= 90.0
            && longitude.abs() <= 180.0
            // The sea off Africa stands for "unknown".
            && (latitude, longitude) != (0.0, 0.0);
        sound.then_some(Point { latitude, longitude })
    }

    fn asn(&self) -> Option<u32> {
        let number = self.autonomous_system_number.or(self.asn)?;
        let sound = (1.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0;
        sound.then_some(number as u32)
    }
}

//------------ Fields ---------------------------------------------------------

/// "DE", or `{ iso_code: "DE" }`, or `{ code: "EU" }`. Of a list, the first: the
/// largest of a country's subdivisions.
#[derive(Debug, Default)]
struct Code {
    text: Option<String>,
    nested: bool,
}

impl Code {
    fn read(data: &mut Data<'_>, offset: u64) -> Result<Code, Fault> {
        let mut value = data.value(offset)?;
        if let Value::List(entries) = value {
            let Some(first) = data.first_of(entries) else { return Ok(Code::default()) };
            value = data.value(first)?;
        }
        let mut code = Code::default();
        match value {
            Value::Text(text) => code.text = Some(text),
            Value::Map(entries) => {
                code.nested = true;
                data.for_each_entry(entries, &mut |data, key, value| {
                    if matches!(key, "iso_code" | "code") {
                        code.text = match data.value(value)? {
                            Value::Text(text) => Some(text),
                            _ => None,
                        };
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(code)
    }

    fn letters(&self) -> Option<[u8; 2]> {
        let letters: [u8; 2] = self.text.as_ref()?.as_bytes().try_into().ok()?;
        Some(letters.map(|letter| letter.to_ascii_uppercase()))
    }
}

/// `{ latitude: 52.5, longitude: 13.4 }`
#[derive(Debug, Default)]
struct PointParts {
    latitude: Option<f64>,
    longitude: Option<f64>,
    nested: bool,
}

impl PointParts {
    fn read(data: &mut Data<'_>, offset: u64) -> Result<PointParts, Fault> {
        let mut parts = PointParts::default();
        if let Value::Map(entries) = data.value(offset)? {
            parts.nested = true;
            data.for_each_entry(entries, &mut |data, key, value| {
                match key {
                    "latitude" => parts.latitude = number(data, value)?,
                    "longitude" => parts.longitude = number(data, value)?,
                    _ => {}
                }
                Ok(())
            })?;
        }
        Ok(parts)
    }
}

/// 13335, "52.5" or "AS13335".
fn number(data: &mut Data<'_>, offset: u64) -> Result<Option<f64>, Fault> {
    let number = match data.value(offset)? {
        Value::Number(number) => Some(number),
        Value::Text(text) => text.strip_prefix("AS").unwrap_or(&text).parse().ok(),
        _ => None,
    };
    Ok(number.filter(|number| number.is_finite()))
}
