//! Countries: their continents, names and centroids.
//!
//! The table is `data/geo/countries.tsv`: code, continent, latitude, longitude
//! (empty when unknown) and name. `docs/GEO.md` says how it is made.

use std::sync::LazyLock;

use super::Point;

/// Number of two-letter codes.
const CODES: usize = 26 * 26;

struct Country {
    continent: [u8; 2],
    centroid: Option<Point>,
    name: &'static str,
}

static COUNTRIES: LazyLock<Vec<Option<Country>>> =
    LazyLock::new(|| parse(include_str!("../../data/geo/countries.tsv")));

/// Whether `code` is an ISO 3166-1 alpha-2 code in upper case, or XK (Kosovo).
pub fn is_country(code: [u8; 2]) -> bool {
    find(code).is_some()
}

/// The short English name of a country.
pub fn country_name(code: [u8; 2]) -> Option<&'static str> {
    find(code).map(|country| country.name)
}

/// The continent of a country: AF, AN, AS, EU, NA, OC or SA.
pub fn continent_of(code: [u8; 2]) -> Option<[u8; 2]> {
    find(code).map(|country| country.continent)
}

/// Where a country's places are on the whole: the point from which the mean
/// distance to them is least. Better for steering than the middle of its area,
/// which for many countries is desert or sea.
pub fn country_centroid(code: [u8; 2]) -> Option<Point> {
    find(code).and_then(|country| country.centroid)
}

/// Whether `code` is a continent's: AF, AN, AS, EU, NA, OC or SA.
pub fn is_continent(code: [u8; 2]) -> bool {
    matches!(&code, b"AF" | b"AN" | b"AS" | b"EU" | b"NA" | b"OC" | b"SA")
}

fn find(code: [u8; 2]) -> Option<&'static Country> {
    COUNTRIES.get(index(code)?)?.as_ref()
}

fn index(code: [u8; 2]) -> Option<usize> {
    let letter = |byte: u8| byte.is_ascii_uppercase().then(|| usize::from(byte - b'A'));
    Some(letter(code[0])? * 26 + letter(code[1])?)
}

/// Reads the committed table; lines that are not five fields are left out (a
/// test holds the table to have none).
fn parse(text: &'static str) -> Vec<Option<Country>> {
    let mut countries: Vec<Option<Country>> = (0..CODES).map(|_| None).collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[code, continent, latitude, longitude, name] = &fields[..] else { continue };
        let code = code.as_bytes().try_into().ok().and_then(index);
        let (Some(at), Ok(continent)) = (code, continent.as_bytes().try_into()) else { continue };
        let centroid = match (latitude.parse(), longitude.parse()) {
            (Ok(latitude), Ok(longitude)) => Some(Point { latitude, longitude }),
            _ => None,
        };
        countries[at] = Some(Country { continent, centroid, name });
    }
    countries
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../data/geo/countries.tsv");

    #[test]
    fn every_line_of_the_table_is_a_country() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        // 249 of ISO 3166-1, and Kosovo.
        assert_eq!(lines, 250);
        assert_eq!(COUNTRIES.iter().flatten().count(), lines);
        for country in COUNTRIES.iter().flatten() {
            assert!(is_continent(country.continent), "{}", country.name);
        }
    }

    #[test]
    fn codes_lead_to_names_and_continents() {
        for (code, name, continent) in [
            (*b"DE", "Germany", *b"EU"),
            (*b"US", "United States", *b"NA"),
            (*b"NA", "Namibia", *b"AF"),
            (*b"NZ", "New Zealand", *b"OC"),
            (*b"XK", "Kosovo", *b"EU"),
        ] {
            assert_eq!(country_name(code), Some(name));
            assert_eq!(continent_of(code), Some(continent));
        }
        for code in [*b"EU", *b"UK", *b"ZZ", *b"de", *b"D1", [0, 255]] {
            assert!(!is_country(code), "{code:?}");
        }
    }
}
