//! Distances on earth.
//!
//! Great circles, never flat degrees: at 64° north a degree of longitude is
//! less than half a degree of latitude, and a flat rule sends Reykjavik to
//! Lisbon although Stockholm is 800 km nearer.

use super::Point;

/// Mean radius of the earth (IUGG R1), in kilometres.
const EARTH_RADIUS_KM: f64 = 6_371.008_8;

/// Great-circle distance between two points, in kilometres (haversine, which
/// stays exact for near points).
pub fn distance_km(a: Point, b: Point) -> f64 {
    let (latitude_a, latitude_b) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half_latitude = (latitude_b - latitude_a) / 2.0;
    let half_longitude = (b.longitude - a.longitude).to_radians() / 2.0;
    let chord = half_latitude.sin().powi(2)
        + latitude_a.cos() * latitude_b.cos() * half_longitude.sin().powi(2);
    // Rounding can leave `chord` a hair above 1 for antipodes.
    2.0 * EARTH_RADIUS_KM * chord.min(1.0).sqrt().asin()
}

/// A distance with a site's bias, −99…99, applied (docs/STEERING.md, as Route
/// 53): a positive bias draws clients from further away, a negative one
/// repels them. Other values are taken as the nearest of the range.
pub fn biased(distance_km: f64, bias: i8) -> f64 {
    let share = f64::from(bias.clamp(-99, 99)) / 100.0;
    if share >= 0.0 { distance_km * (1.0 - share) } else { distance_km / (1.0 + share) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn point(latitude: f64, longitude: f64) -> Point {
        Point { latitude, longitude }
    }

    const REYKJAVIK: Point = point(64.147, -21.942);
    const STOCKHOLM: Point = point(59.329, 18.069);
    const LISBON: Point = point(38.722, -9.139);

    #[test]
    fn reykjavik_is_nearer_to_stockholm_than_to_lisbon() {
        let (stockholm, lisbon) =
            (distance_km(REYKJAVIK, STOCKHOLM), distance_km(REYKJAVIK, LISBON));
        assert!((stockholm - 2_134.0).abs() < 3.0, "{stockholm}");
        assert!((lisbon - 2_951.0).abs() < 4.0, "{lisbon}");
        // The flat rule would have it the other way round.
        let flat = |a: Point, b: Point| (a.latitude - b.latitude).hypot(a.longitude - b.longitude);
        assert!(flat(REYKJAVIK, LISBON) < flat(REYKJAVIK, STOCKHOLM));
    }

    #[test]
    fn distances_hold_at_the_poles_the_date_line_and_the_antipodes() {
        let quarter = 10_007.6;
        for (a, b, km) in [
            (point(0.0, 0.0), point(0.0, 0.0), 0.0),
            (point(90.0, 0.0), point(0.0, 77.0), quarter),
            (point(90.0, -10.0), point(90.0, 170.0), 0.0),
            (point(0.0, 179.5), point(0.0, -179.5), quarter / 90.0),
            (point(-33.0, 20.0), point(33.0, -160.0), 2.0 * quarter),
        ] {
            let distance = distance_km(a, b);
            assert!((distance - km).abs() < 0.2, "{a:?} {b:?}: {distance}, not {km}");
        }
    }

    #[test]
    fn bias_draws_and_repels_as_route_53_does() {
        assert_eq!(biased(1_000.0, 0), 1_000.0);
        assert_eq!(biased(1_000.0, 50), 500.0);
        assert_eq!(biased(1_000.0, -50), 2_000.0);
        assert!((biased(1_000.0, 99) - 10.0).abs() < 1e-6);
        assert!((biased(1_000.0, -99) - 100_000.0).abs() < 1e-6);
        assert_eq!(biased(1_000.0, i8::MIN), biased(1_000.0, -99));
    }
}
