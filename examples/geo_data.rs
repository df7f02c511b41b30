//! Makes the committed tables in `data/geo` from databases; for maintainers.
//! `docs/GEO.md` says where those come from.
//!
//! ```text
//! cargo run --release --example geo_data -- CITY-V4.mmdb CITY-V6.mmdb data/geo
//! ```
//! The same input gives the same output, byte for byte.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use windrose::geo::{BaseTable, Point, encode_countries};

/// Rounds of the search for a centroid: it settles to metres well before.
const ROUNDS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [files @ .., folder] = &arguments[..] else {
        return Err("give CITY.mmdb… FOLDER".into());
    };
    let folder = Path::new(folder);
    let mut out = std::io::stdout();

    let table = load(files)?;
    let built = table.info().iter().map(|source| source.build_epoch_s).max().unwrap_or(0);
    let bytes = encode_countries(&table, built);
    writeln!(out, "{} bytes", bytes.len())?;
    fs::write(folder.join("countries.bin"), bytes)?;

    let path = folder.join("countries.tsv");
    let text = with_centroids(&fs::read_to_string(&path)?, &table);
    fs::write(&path, text)?;
    Ok(())
}

fn load(paths: &[String]) -> Result<BaseTable, Box<dyn Error>> {
    let read = |path: &String| Ok::<_, std::io::Error>((path.clone(), fs::read(path)?));
    let files = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(BaseTable::from_databases(&files)?)
}

/// The table of countries with its coordinates replaced. Of countries that the
/// city database does not know, they stay.
fn with_centroids(text: &str, cities: &BaseTable) -> String {
    let mut points: BTreeSet<([u8; 2], i64, i64)> = BTreeSet::new();
    for class in 0..cities.class_count() {
        let place = cities.place(class as u32);
        if let (Some(country), Some(point), false) =
            (place.country, place.point, place.point_is_centroid)
        {
            // A tenth of a degree: a town counts once, not once for each quarter.
            let tenths = |degrees: f64| (degrees * 10.0).round() as i64;
            points.insert((country, tenths(point.latitude), tenths(point.longitude)));
        }
    }
    let mut result = String::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let code = fields[0].as_bytes();
        let towns: Vec<[f64; 3]> = points
            .iter()
            .filter(|(country, ..)| country == code)
            .map(|&(_, latitude, longitude)| {
                unit(Point { latitude: latitude as f64 / 10.0, longitude: longitude as f64 / 10.0 })
            })
            .collect();
        match median(&towns) {
            Some(Point { latitude, longitude }) => {
                let (continent, name) = (fields[1], fields[4]);
                let code = fields[0];
                result += &format!("{code}\t{continent}\t{latitude:.1}\t{longitude:.1}\t{name}\n");
            }
            None => result += &format!("{line}\n"),
        }
    }
    result
}

/// The point with the least mean distance to all towns (Weiszfeld's method, on
/// the sphere's chords, which the date line does not disturb).
fn median(towns: &[[f64; 3]]) -> Option<Point> {
    let mut centre = normal(towns.iter().fold([0.0; 3], |sum, town| add(sum, *town, 1.0)))?;
    for _ in 0..ROUNDS {
        let pull = towns.iter().fold([0.0; 3], |sum, town| {
            let apart = add(*town, centre, -1.0).iter().map(|d| d * d).sum::<f64>().sqrt();
            // A town at the very spot must not outweigh all others.
            add(sum, *town, 1.0 / apart.max(1e-4))
        });
        centre = normal(pull)?;
    }
    Some(Point {
        latitude: centre[2].clamp(-1.0, 1.0).asin().to_degrees(),
        longitude: centre[1].atan2(centre[0]).to_degrees(),
    })
}

fn unit(point: Point) -> [f64; 3] {
    let (latitude, longitude) = (point.latitude.to_radians(), point.longitude.to_radians());
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}

fn add(a: [f64; 3], b: [f64; 3], times: f64) -> [f64; 3] {
    [a[0] + b[0] * times, a[1] + b[1] * times, a[2] + b[2] * times]
}

fn normal(vector: [f64; 3]) -> Option<[f64; 3]> {
    let length = vector.iter().map(|part| part * part).sum::<f64>().sqrt();
    (length > 1e-9).then(|| vector.map(|part| part / length))
}
