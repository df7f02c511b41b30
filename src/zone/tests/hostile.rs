//! Anything may be added and anything asked: errors, never a panic.

use proptest::prelude::*;

use crate::dns::Name;
use crate::zone::{Builder, Key, Lookup, Record, Subject, ZoneFault, hash_of};

fn name() -> impl Strategy<Value = Name> {
    let label = prop_oneof![
        4 => prop::sample::select(&b"ab*Z\x00."[..]).prop_map(|byte| vec![byte]),
        1 => prop::collection::vec(any::<u8>(), 1..64),
    ];
    prop::collection::vec(label, 0..6).prop_map(|labels| {
        let longest = labels.iter().rev().try_fold(Name::root(), |name, label| name.child(label));
        longest.unwrap_or_else(|_| Name::root())
    })
}

fn record() -> impl Strategy<Value = Record> {
    let rtype = prop_oneof![prop::sample::select(&[1, 2, 5, 6, 15, 16, 28, 39][..]), any::<u16>()];
    let rdata = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..30),
        name().prop_map(|name| name.wire().to_vec()),
        Just(vec![192, 0, 2, 1]),
        Just(vec![0; 22]),
    ];
    (name(), rtype, any::<u32>(), rdata).prop_map(|(owner, rtype, ttl_s, rdata)| Record {
        owner,
        rtype,
        ttl_s: ttl_s >> 1,
        rdata: rdata.into(),
    })
}

fn wire() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        name().prop_map(|name| name.wire().to_vec()),
        prop::collection::vec(any::<u8>(), 0..300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_is_built_or_refused_and_any_question_answered(
        zones in prop::collection::vec((name(), prop::collection::vec(record(), 0..12)), 0..4),
        wips in prop::collection::vec(wire(), 0..6),
        sites in prop::collection::vec(wire(), 0..4),
        questions in prop::collection::vec((wire(), any::<u16>()), 0..20),
        complete in any::<bool>(),
    ) {
        let mut builder = Builder::new();
        for (origin, mut records) in zones {
            if complete {
                for (rtype, rdata) in [(6, vec![0; 22]), (2, vec![0])] {
                    let owner = origin.clone();
                    records.push(Record { owner, rtype, ttl_s: 1, rdata: rdata.into() });
                }
                records.retain(|record| record.owner.is_at_or_below(&origin));
            }
            builder.add_zone(origin, records);
        }
        for (wip, name) in (0..).zip(&wips) {
            builder.add_wip(name, wip);
        }
        for (site, base) in (0..).zip(&sites) {
            builder.add_site_wildcard(base, site);
        }
        match builder.build() {
            Err(errors) => prop_assert!(!errors.is_empty()),
            Ok(zones) => for (name, qtype) in questions {
                let whole = format!("{:?}", zones.lookup(&name, qtype));
                zones.additional(&name);
                match Key::new(&name) {
                    None => prop_assert_eq!(whole, "NotOurs"),
                    Some(key) => {
                        prop_assert_eq!(hash_of(&name), key.hash());
                        let halves = zones.finish(&name, zones.locate(key.hash()), qtype);
                        prop_assert_eq!(whole, format!("{halves:?}"));
                    }
                }
            }
        }
    }
}

#[test]
fn without_zones_nothing_is_ours() {
    let zones = Builder::new().build().unwrap();
    assert_eq!(zones.zones().len(), 0);
    for name in [".", "example.com"] {
        let name = Name::parse(name).unwrap();
        assert!(matches!(zones.lookup(name.wire(), 1), Lookup::NotOurs));
        assert!(zones.additional(name.wire()).is_none());
    }
}

#[test]
fn what_is_not_a_name_is_an_error_of_its_wip_or_site() {
    let mut builder = Builder::new();
    builder.add_wip(b"\x05abc", 7);
    builder.add_site_wildcard(b"\xc0\x0c", 8);
    let errors = builder.build().unwrap_err();
    let found: Vec<_> = errors.into_iter().map(|error| (error.subject, error.fault)).collect();
    assert_eq!(
        found,
        [(Subject::Wip(7), ZoneFault::BadName), (Subject::Site(8), ZoneFault::BadName)]
    );
}

#[test]
fn the_deepest_names_are_found_and_so_is_what_encloses_them() {
    let origin = Name::parse("z").unwrap();
    let deepest = Name::parse(&format!("{}z", "a.".repeat(126))).unwrap();
    let mut builder = Builder::new();
    let records = b"@ SOA n. h. 1 2 3 4 5\n@ NS n.\n* TXT t\n";
    builder.add_zone(origin.clone(), crate::zone::master::parse(records, &origin, 1).unwrap());
    builder.add_wip(deepest.wire(), 1);
    let zones = builder.build().unwrap();
    assert_eq!(zones.name_count(), 129);
    for (name, expected) in [
        (deepest.clone(), "z wip 1"),
        (deepest.parent().unwrap(), "z node a."),
        (deepest.parent().unwrap().child(b"b").unwrap(), "z nxdomain"),
        (Name::parse("b.z").unwrap(), "z node *.z TXT"),
    ] {
        let found = super::cases::describe(name.wire(), zones.lookup(name.wire(), 1));
        assert!(found.starts_with(expected), "{found}");
    }
}
