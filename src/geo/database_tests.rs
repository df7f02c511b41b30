//! Files of both layouts, split, laid over one another, and broken.

use std::net::IpAddr;

use proptest::prelude::*;

use super::super::mmdb_writer::Value::{Double, Integer, List, Long, Map, Text};
use super::super::mmdb_writer::{Value, Writer};
use super::super::{BaseTable, Place, Point, Schema};
use super::GeoError;

fn flat(country: &'static str) -> Value {
    Map(vec![("country_code", Text(country))])
}

fn flat_city(country: &'static str, latitude: f64, longitude: f64) -> Value {
    Map(vec![
        ("city", Text("Somewhere")),
        ("country_code", Text(country)),
        ("latitude", Double(latitude)),
        ("longitude", Double(longitude)),
    ])
}

fn nested_city(country: &'static str, subdivision: &'static str, latitude: f64) -> Value {
    let names = || Map(vec![("de", Text("ein Name")), ("en", Text("a name"))]);
    let coded = |key, code| Map(vec![(key, Text(code)), ("names", names())]);
    let location = vec![
        ("accuracy_radius", Integer(50)),
        ("latitude", Double(latitude)),
        ("longitude", Double(-120.0)),
    ];
    Map(vec![
        ("city", Map(vec![("names", names())])),
        ("continent", coded("code", "NA")),
        ("country", coded("iso_code", country)),
        ("location", Map(location)),
        ("registered_country", coded("iso_code", "FR")),
        ("subdivisions", List(vec![coded("iso_code", subdivision), coded("iso_code", "06")])),
    ])
}

fn asn(number: u32) -> Value {
    Map(vec![
        ("autonomous_system_number", Integer(number)),
        ("autonomous_system_organization", Text("Someone")),
    ])
}

fn load(files: &[(&str, &Writer)]) -> Result<BaseTable, GeoError> {
    let files: Vec<(String, Vec<u8>)> =
        files.iter().map(|(name, writer)| ((*name).to_owned(), writer.bytes())).collect();
    BaseTable::from_databases(&files)
}

fn place(table: &BaseTable, address: &str) -> (Place, String) {
    let (class, network) = table.lookup(address.parse::<IpAddr>().unwrap());
    (table.place(class).clone(), network.to_string())
}

#[test]
fn flat_tables_give_countries_in_all_record_sizes() {
    for record_bits in [24, 28, 32] {
        for ip_version in [4, 6] {
            let networks = [("203.0.112.0/22", flat("DE")), ("203.0.113.0/24", flat("fr"))];
            let writer = Writer { record_bits, ip_version, ..Writer::new("country", &networks) };
            let table = load(&[("a.mmdb", &writer)]).unwrap();
            let (germany, network) = place(&table, "203.0.114.1");
            assert_eq!(germany.country, Some(*b"DE"));
            assert_eq!(germany.continent, Some(*b"EU"), "follows from the country");
            assert!(germany.point_is_centroid && germany.point.is_some());
            assert_eq!(network, "203.0.114.0/23", "{record_bits} {ip_version}");
            assert_eq!(place(&table, "203.0.113.9").0.country, Some(*b"FR"));
            assert_eq!(place(&table, "203.0.116.1").0, Place::default());
            assert!(table.has_country() && !table.has_points() && !table.has_asn());
            assert_eq!(table.range_counts(), (5, 1));
        }
    }
}

#[test]
fn nested_tables_give_region_continent_and_point() {
    let networks = [
        ("192.0.2.0/24", nested_city("US", "CA", 37.4)),
        ("2001:db8::/32", nested_city("US", "NY", 40.7)),
    ];
    let table = load(&[("city.mmdb", &Writer::new("GeoLite2-City", &networks))]).unwrap();
    let (client, _) = place(&table, "192.0.2.77");
    assert_eq!(
        client,
        Place {
            country: Some(*b"US"),
            region: Some("US-CA".into()),
            continent: Some(*b"NA"),
            point: Some(Point { latitude: 37.4, longitude: -120.0 }),
            point_is_centroid: false,
            asn: None,
        }
    );
    let (client, network) = place(&table, "2001:db8:1::1");
    assert_eq!((client.region.as_deref(), network.as_str()), (Some("US-NY"), "2001:db8::/32"));
    let source = &table.info()[0];
    assert_eq!((source.schema, source.build_epoch_s), (Schema::Nested, 1_780_617_600));
    assert_eq!(source.fields.to_string(), "continent, country, region, coordinates");
    assert!(source.attribution.contains("MaxMind"), "{source}");
    assert!(table.has_regions() && table.has_points());
}

#[test]
fn aliases_of_ipv4_are_not_walked_again() {
    let networks = [("0.0.0.0/1", flat("DE")), ("2a00::/12", flat("FR"))];
    let table = load(&[("a.mmdb", &Writer::new("country", &networks))]).unwrap();
    assert_eq!(table.range_counts(), (2, 3));
    for hidden in ["2002:cb00:7109::", "::ffff:203.0.113.1", "2001:0:1::", "::1"] {
        assert_eq!(place(&table, hidden).0, Place::default(), "{hidden}");
    }
}

#[test]
fn split_files_complete_each_other_and_an_asn_file_adds_to_them() {
    let v4 = Writer {
        ip_version: 4,
        ..Writer::new("city ipv4", &[("192.0.2.0/24", flat_city("SE", 59.33, 18.07))])
    };
    let v6 = Writer {
        aliases: false,
        ..Writer::new("city ipv6", &[("2001:db8::/32", flat_city("IS", 64.15, -21.94))])
    };
    let by_asn = Writer::new(
        "asn",
        &[("192.0.2.0/25", asn(64_512)), ("198.51.100.0/24", asn(4_200_000_000))],
    );
    let table = load(&[("4.mmdb", &v4), ("6.mmdb", &v6), ("asn.mmdb", &by_asn)]).unwrap();
    let (client, network) = place(&table, "192.0.2.1");
    assert_eq!((client.country, client.asn), (Some(*b"SE"), Some(64_512)));
    assert_eq!(network, "192.0.2.0/25");
    let (client, _) = place(&table, "192.0.2.200");
    assert_eq!((client.country, client.asn), (Some(*b"SE"), None));
    let (client, _) = place(&table, "198.51.100.7");
    assert_eq!((client.country, client.asn), (None, Some(4_200_000_000)));
    let (client, _) = place(&table, "2001:db8::1");
    assert_eq!(client.point, Some(Point { latitude: 64.15, longitude: -21.94 }));
    let names: Vec<&str> = table.info().iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["4.mmdb", "6.mmdb", "asn.mmdb"]);
}

#[test]
fn an_earlier_file_wins_and_a_later_one_adds_only_where_they_agree() {
    let mine = Writer::new("own", &[("192.0.2.0/24", flat("SE")), ("10.0.0.0/8", flat("NO"))]);
    let bought = Writer::new(
        "city",
        &[
            ("192.0.2.0/25", flat_city("SE", 59.33, 18.07)),
            ("0.0.0.0/1", flat_city("US", 1.0, 2.0)),
        ],
    );
    let table = load(&[("mine.mmdb", &mine), ("bought.mmdb", &bought)]).unwrap();
    let sweden = place(&table, "192.0.2.1").0;
    assert_eq!(sweden.point, Some(Point { latitude: 59.33, longitude: 18.07 }));
    let norway = place(&table, "10.1.1.1").0;
    assert_eq!(norway.country, Some(*b"NO"));
    assert!(norway.point_is_centroid, "not a point in another country: {norway:?}");
    assert_eq!(place(&table, "11.0.0.1").0.country, Some(*b"US"));
}

#[test]
fn odd_records_cost_only_themselves() {
    let odd = [
        ("1.0.0.0/8", Map(vec![("country_code", Integer(7)), ("latitude", Text("x"))])),
        ("2.0.0.0/8", Map(vec![("country", Text("DE")), ("asn", Text("AS64500"))])),
        ("3.0.0.0/8", Map(vec![("country_code", Text("EU"))])),
        ("4.0.0.0/8", Map(vec![("country_code", Text("ZZ"))])),
        ("5.0.0.0/8", flat_city("DE", 91.0, 8.0)),
        ("6.0.0.0/8", flat_city("DE", f64::NAN, 8.0)),
        ("7.0.0.0/8", Map(vec![("lat", Text("50.5")), ("lng", Text("-8.25"))])),
        ("8.0.0.0/8", Map(vec![("country_code", Text("GB")), ("region_code", Text("GB-ENG"))])),
        ("9.0.0.0/8", Map(vec![("autonomous_system_number", Long(1 << 40))])),
        ("12.0.0.0/8", Map(vec![])),
    ];
    let table = load(&[("odd.mmdb", &Writer::new("odd", &odd))]).unwrap();
    assert_eq!(place(&table, "1.1.1.1").0, Place::default());
    let announced = place(&table, "2.1.1.1").0;
    assert_eq!((announced.country, announced.asn), (Some(*b"DE"), Some(64_500)));
    let registry = place(&table, "3.1.1.1").0;
    assert_eq!((registry.country, registry.continent), (None, Some(*b"EU")));
    assert_eq!(place(&table, "4.1.1.1").0, Place::default());
    assert!(place(&table, "5.1.1.1").0.point_is_centroid);
    assert!(place(&table, "6.1.1.1").0.point_is_centroid);
    let point = Some(Point { latitude: 50.5, longitude: -8.25 });
    assert_eq!(place(&table, "7.1.1.1").0.point, point);
    assert_eq!(place(&table, "8.1.1.1").0.region.as_deref(), Some("GB-ENG"));
    assert_eq!(place(&table, "9.1.1.1").0, Place::default());
    assert_eq!(place(&table, "12.1.1.1").0, Place::default());
}

#[test]
fn what_cannot_be_used_says_why_and_names_the_file() {
    let good = Writer::new("country", &[("192.0.2.0/24", flat("DE"))]);
    let speed = Map(vec![("speed", Integer(9)), ("carrier", Text("pigeon"))]);
    let unknown = Writer::new("carrier", &[("192.0.2.0/24", speed)]);
    let empty = Writer::new("country", &[]);
    let text = |files: &[(&str, Vec<u8>)]| {
        let files: Vec<(String, Vec<u8>)> =
            files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
        BaseTable::from_databases(&files).unwrap_err().to_string()
    };
    assert_eq!(text(&[("x.csv", b"1.0.0.0,DE".to_vec())]), "x.csv: not a MaxMind DB (.mmdb) file");
    assert_eq!(
        text(&[("ok.mmdb", good.bytes()), ("x.mmdb", unknown.bytes())]),
        "x.mmdb: no country, coordinates or autonomous system in its records; \
         their fields are: carrier, speed"
    );
    assert_eq!(text(&[("x.mmdb", empty.bytes())]), "x.mmdb: no networks in it");
    let mut bytes = good.bytes();
    let half = bytes.split_off(bytes.len() / 2);
    assert_eq!(text(&[("x.mmdb", bytes)]), "x.mmdb: not a MaxMind DB (.mmdb) file");
    let cut = text(&[("x.mmdb", half)]);
    assert!(cut.starts_with("x.mmdb: damaged or cut short: "), "{cut}");
}

#[test]
fn a_tree_with_more_nodes_than_tables_can_number_is_refused_by_its_metadata() {
    let mut bytes = Writer::new("country", &[("192.0.2.0/24", flat("DE"))]).bytes();
    let at = bytes.windows(10).rposition(|window| window == b"node_count").unwrap();
    assert_eq!(bytes[at + 10] >> 5, 6);
    let length = usize::from(bytes[at + 10] & 0x1f);
    bytes.splice(at + 10..at + 11 + length, [0xc4, 0xff, 0xff, 0xff, 0xff]);
    let error = BaseTable::from_databases(&[("x.mmdb".to_owned(), bytes)]).unwrap_err();
    let GeoError::Corrupt { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(reason, "its search tree has 4294967295 nodes; 67108864 are read at most");
}

#[test]
fn a_tree_that_refers_to_itself_is_refused_soon() {
    // Every node's children are the next node, twice: 2^128 paths.
    let mut bytes = Vec::new();
    for node in 0..200u32 {
        let next = ((node + 1) % 200).to_be_bytes();
        bytes.extend(&next[1..]);
        bytes.extend(&next[1..]);
    }
    let good = Writer::new("country", &[("192.0.2.0/24", flat("DE"))]).bytes();
    let marker = good.windows(4).rposition(|window| window == b"\xab\xcd\xefM").unwrap();
    let count = u32::from_be_bytes([0, 0, 0, 200]);
    let mut metadata = good[marker..].to_vec();
    let at = metadata.windows(10).position(|window| window == b"node_count").unwrap();
    // One control byte (uint32 of one byte), one byte of value.
    assert_eq!(metadata[at + 10] >> 5, 6);
    metadata.splice(at + 10..at + 12, [0xc1, count as u8]);
    bytes.extend([0; 16]);
    bytes.extend(metadata);
    let error = BaseTable::from_databases(&[("x.mmdb".to_owned(), bytes)]).unwrap_err();
    let GeoError::Corrupt { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(reason, "its search tree refers to itself");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_damage_panics_or_hangs(
        nested in any::<bool>(),
        record_bits in prop::sample::select(vec![24u16, 28, 32]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let networks = match nested {
            true => [("192.0.2.0/24", nested_city("US", "CA", 1.0)), ("2a00::/16", asn(7))],
            false => [("192.0.0.0/9", flat("DE")), ("2a00::/16", flat_city("FR", 1.0, 2.0))],
        };
        let writer = Writer { record_bits, ..Writer::new("city", &networks) };
        let mut bytes = writer.bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.drain(..cut.index(bytes.len()));
        }
        if let Ok(table) = BaseTable::from_databases(&[("x.mmdb".to_owned(), bytes)]) {
            let (class, _) = table.lookup("192.0.2.1".parse().unwrap());
            prop_assert!((class as usize) < table.class_count());
        }
    }
}
