//! The country table that is built in, for those who have no database yet.
//!
//! `data/geo/countries.bin` is a delta-coded list of ranges, small enough to
//! commit and decoded in milliseconds at start:
//!
//! ```text
//! file   = magic, build time (varint), codes (count byte, two letters each), IPv4 list, IPv6 list
//! list   = count (varint), steps; keys are 32 bits of IPv4, the first 64 of IPv6
//! step   = control byte, [varint], [country byte]
//!          control: bits 0-5 shift; 6 a varint n follows; 7 the country is the one before last
//!          the step starts (2n + 1) << shift after the one before; country 0 is unknown
//! ```
//! Most networks are a power of two after their neighbour and many are a hole
//! in another country's, so most steps take one or two bytes.

use std::collections::BTreeMap;

use super::base::BaseTable;
use super::classes::Interner;
use super::halves::StepsV6;
use super::packed::Packed;
use super::source::{Fields, Schema, SourceInfo};
use super::{ClassId, Place};

const TABLE: &[u8] = include_bytes!("../../data/geo/countries.bin");
const MAGIC: &[u8; 8] = b"wrgeo\x01\r\n";

/// Whom the sources of the committed tables want named; as `data/geo/NOTICE.md`.
const ATTRIBUTION: &str = "IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)";

const SHIFT: u8 = 0x3f;
const FACTOR_FOLLOWS: u8 = 0x40;
const AS_BEFORE_LAST: u8 = 0x80;

impl BaseTable {
    /// The built-in table: the country of every network, as of its build.
    pub fn embedded() -> BaseTable {
        decode(TABLE).expect("the committed table is sound, which a test sees to")
    }
}

//------------ Encoding -------------------------------------------------------

/// The built-in form of a table: its countries alone, IPv6 to the /64. For the
/// generator of the committed file.
pub fn encode_countries(table: &BaseTable, build_epoch_s: u64) -> Vec<u8> {
    let mut codes: BTreeMap<[u8; 2], u8> = BTreeMap::new();
    let countries = (0..table.class_count()).filter_map(|at| table.place(at as u32).country);
    codes.extend(countries.map(|country| (country, 0)));
    for (at, number) in codes.values_mut().enumerate() {
        *number = u8::try_from(at + 1).expect("there are fewer than 255 countries");
    }
    let mut out = MAGIC.to_vec();
    write_varint(&mut out, build_epoch_s);
    out.push(codes.len() as u8);
    codes.keys().for_each(|code| out.extend(code));
    let number = |class| table.place(class).country.map_or(0, |country| codes[&country]);
    let v4 = table.v4().iter().map(|(start, class)| (u64::from(start), number(class)));
    write_list(&mut out, v4);
    // A step inside a /64 holds from the next one on; of several, the last does.
    let v6 = table.v6().iter().filter_map(|(start, class)| {
        let inside = start as u64 != 0;
        let start = ((start >> 64) as u64).checked_add(u64::from(inside))?;
        Some((start, number(class)))
    });
    write_list(&mut out, v6);
    out
}

fn write_list(out: &mut Vec<u8>, steps: impl Iterator<Item = (u64, u8)>) {
    let mut kept: Vec<(u64, u8)> = Vec::new();
    for (start, country) in steps {
        if kept.last().is_some_and(|&(last, _)| last == start) {
            kept.pop();
        }
        if kept.last().is_none_or(|&(_, last)| last != country) {
            kept.push((start, country));
        }
    }
    write_varint(out, kept.len() as u64);
    let (mut last_start, mut last, mut before_last) = (0, 0, 0);
    for (at, (start, country)) in kept.into_iter().enumerate() {
        // The first starts at 0, and needs none.
        let (shift, factor) = match start - last_start {
            0 => (0, 0),
            delta => (delta.trailing_zeros(), delta >> delta.trailing_zeros() >> 1),
        };
        let mut control = shift as u8;
        control |= if factor > 0 { FACTOR_FOLLOWS } else { 0 };
        let repeats = at > 0 && country == before_last;
        control |= if repeats { AS_BEFORE_LAST } else { 0 };
        out.push(control);
        if factor > 0 {
            write_varint(out, factor);
        }
        if !repeats {
            out.push(country);
        }
        (last_start, before_last, last) = (start, last, country);
    }
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

//------------ Decoding -------------------------------------------------------

/// `None`: not such a table.
fn decode(bytes: &[u8]) -> Option<BaseTable> {
    let mut input = bytes.strip_prefix(MAGIC)?;
    let build_epoch_s = read_varint(&mut input)?;
    let count = usize::from(read_byte(&mut input)?);
    let mut interner = Interner::default();
    let mut classes = vec![0];
    for _ in 0..count {
        let country = Some([read_byte(&mut input)?, read_byte(&mut input)?]);
        classes.push(interner.class(&Place { country, ..Place::default() }));
    }
    let mut v4 = Packed::empty();
    read_list(&mut input, &classes, &mut |start, class| {
        v4.push(u32::try_from(start).ok()?, class);
        Some(())
    })?;
    let mut v6 = StepsV6::builder();
    read_list(&mut input, &classes, &mut |start, class| {
        v6.push(u128::from(start) << 64, class);
        Some(())
    })?;
    let v6 = StepsV6::build(v6);
    let source = SourceInfo {
        name: "embedded".to_owned(),
        kind: "country".to_owned(),
        schema: Schema::Embedded,
        fields: Fields { country: true, ..Fields::default() },
        build_epoch_s,
        ranges_v4: v4.len(),
        ranges_v6: v6.len(),
        classes: classes.len(),
        attribution: ATTRIBUTION.to_owned(),
    };
    input.is_empty().then(|| BaseTable::new(v4, v6, interner.into_classes(), vec![source]))
}

/// Gives each start and its class.
fn read_list(
    input: &mut &[u8],
    classes: &[ClassId],
    step: &mut dyn FnMut(u64, ClassId) -> Option<()>,
) -> Option<()> {
    let count = read_varint(input)?;
    let (mut start, mut last, mut before_last) = (0u64, 0, 0);
    for at in 0..count {
        let control = read_byte(input)?;
        let factor = if control & FACTOR_FOLLOWS == 0 { 0 } else { read_varint(input)? };
        let country = if control & AS_BEFORE_LAST == 0 { read_byte(input)? } else { before_last };
        if at > 0 {
            let odd = factor.checked_mul(2)?.checked_add(1)?;
            let shift = u32::from(control & SHIFT);
            let delta = odd << shift;
            if delta >> shift != odd {
                return None;
            }
            start = start.checked_add(delta)?;
        }
        step(start, *classes.get(usize::from(country))?)?;
        (before_last, last) = (last, country);
    }
    (count > 0).then_some(())
}

fn read_byte(input: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = input.split_first()?;
    *input = rest;
    Some(first)
}

fn read_varint(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = read_byte(input)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_committed_table_knows_the_world() {
        let table = BaseTable::embedded();
        let country = |address: &str| {
            let (class, _) = table.lookup(address.parse::<IpAddr>().unwrap());
            table.place(class).country.map(|code| String::from_utf8(code.to_vec()).unwrap())
        };
        // Networks that national research networks and registries have held for decades.
        for (address, expected) in [
            ("193.0.6.139", "NL"),
            ("141.20.1.1", "DE"),
            ("130.237.1.1", "SE"),
            ("133.11.1.1", "JP"),
            ("200.160.2.3", "BR"),
            ("2001:67c:2e8::1", "NL"),
            ("2001:200::1", "JP"),
            ("2001:da8::1", "CN"),
            ("25.1.2.3", "GB"),
        ] {
            assert_eq!(country(address).as_deref(), Some(expected), "{address}");
        }
        for address in ["10.0.0.1", "127.0.0.1", "2001:db8::1", "fd00::1"] {
            assert_eq!(country(address), None, "{address}");
        }
        assert!(table.class_count() > 230);
        let (v4, v6) = table.range_counts();
        assert!(v4 > 100_000 && v6 > 50_000, "{v4} {v6}");
        assert!(table.info()[0].attribution.contains("https://db-ip.com"));
    }

    #[test]
    fn every_class_of_the_committed_table_has_a_place() {
        let table = BaseTable::embedded();
        for class in 1..table.class_count() {
            let place = table.place(class as u32);
            assert!(place.continent.is_some() && place.point.is_some(), "{place:?}");
            assert!(place.point_is_centroid);
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_what_was_encoded(
            networks in prop::collection::vec(
                (any::<u32>(), any::<u64>(), 0u8..=32, 0u8..=64, 0usize..4),
                0..60,
            ),
        ) {
            let codes = [*b"DE", *b"FR", *b"US", *b"JP"];
            let networks: Vec<(IpNet, Place)> = networks
                .into_iter()
                .flat_map(|(v4, v6, length_v4, length_v6, code)| {
                    let place = Place { country: Some(codes[code]), ..Place::default() };
                    let v4 = IpNet::new(IpAddr::V4(v4.into()), length_v4).unwrap();
                    let v6 = IpAddr::V6((u128::from(v6) << 64).into());
                    let v6 = IpNet::new(v6, length_v6).unwrap();
                    [(v4, place.clone()), (v6, place)]
                })
                .collect();
            let table = BaseTable::from_networks(&networks);
            let decoded = decode(&encode_countries(&table, 1_780_617_600)).unwrap();
            prop_assert_eq!(decoded.range_counts(), table.range_counts());
            prop_assert_eq!(decoded.info()[0].build_epoch_s, 1_780_617_600);
            for (network, _) in &networks {
                for address in [network.network(), network.broadcast()] {
                    let (class, around) = table.lookup(address);
                    let (again, around_again) = decoded.lookup(address);
                    prop_assert_eq!(table.place(class), decoded.place(again));
                    prop_assert_eq!(around, around_again);
                }
            }
        }

        #[test]
        fn damaged_tables_are_refused_without_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let net = "2a00::/12".parse().unwrap();
            let place = Place { country: Some(*b"DE"), ..Place::default() };
            let mut bytes = encode_countries(&BaseTable::from_networks(&[(net, place)]), 5);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(table) = decode(&bytes) {
                prop_assert!(table.class_count() >= 1);
            }
        }
    }
}
