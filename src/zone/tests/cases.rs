//! Runs the `.case` files beside this one. A file is blocks between lines of
//! `---`; a block is:
//!
//! ```text
//! zone ORIGIN          then master-file lines up to a line `end`
//! wip NAME NUMBER
//! site BASE NUMBER
//! error TEXT           the build fails with exactly these errors
//! warning TEXT         the zones have exactly these warnings, if any is given
//! additional NAME => TYPES or none
//! NAME TYPE => ZONE KIND ...
//! ```
//!
//! Kinds: `node NAME TYPES`, `wip NUMBER NAME TYPES`, `site NUMBER TYPES`,
//! `dname OWNER`, `referral CUT TYPES`, `nxdomain`; or `not-ours` alone.
//! TYPES are sorted by number, `-` for none.

use std::str::FromStr;

use domain::base::iana::Rtype;

use crate::dns::{Name, name};
use crate::zone::{Builder, Lookup, Node, Outcome, Zones, master};

pub(super) fn shown(wire: &[u8]) -> String {
    let mut text = String::new();
    name::write_presentation(wire, &mut text).unwrap();
    text
}

fn types(node: Node<'_>) -> String {
    let types: Vec<String> = node
        .rrsets()
        .map(|rrset| {
            let rtype = Rtype::from_int(rrset.rtype());
            assert_eq!(rrset.rdatas().count(), rrset.count());
            assert!(rrset.count() > 0);
            match rrset.count() {
                1 => rtype.to_string(),
                count => format!("{rtype}*{count}"),
            }
        })
        .collect();
    if types.is_empty() { "-".into() } else { types.join(" ") }
}

/// A lookup's result in the words of a case file.
pub(super) fn describe(qname: &[u8], lookup: Lookup<'_>) -> String {
    let Lookup::Found { zone, outcome } = lookup else { return "not-ours".into() };
    let is_suffix = |owner: &[u8], length: usize| {
        assert_eq!(length, owner.len());
        assert!(name::is_at_or_below(qname, owner) && qname.len() >= length);
    };
    let outcome = match outcome {
        Outcome::Wip { wip, node } => {
            assert_eq!(node.wip(), Some(wip));
            format!("wip {wip} {} {}", shown(node.name()), types(node))
        }
        Outcome::Site { site, node } => format!("site {site} {}", types(node)),
        Outcome::Node(node) => format!("node {} {}", shown(node.name()), types(node)),
        Outcome::Dname { node, owner_length } => {
            is_suffix(node.name(), owner_length);
            format!("dname {}", shown(node.name()))
        }
        Outcome::Referral { cut, owner_length } => {
            is_suffix(cut.name(), owner_length);
            format!("referral {} {}", shown(cut.name()), types(cut))
        }
        Outcome::NxDomain => "nxdomain".into(),
    };
    format!("{} {outcome}", zone.origin())
}

#[derive(Default)]
struct Block {
    builder: Builder,
    zones: usize,
    errors: Vec<String>,
    warnings: Option<Vec<String>>,
    queries: Vec<(usize, String, String)>,
}

fn read_block(lines: &mut std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'_>>>) -> Block {
    let mut block = Block::default();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line == "---" {
            break;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            _ if line.starts_with(';') => {}
            "zone" => {
                let origin = Name::parse(rest).unwrap();
                let text: Vec<&str> = lines
                    .by_ref()
                    .map(|(_, line)| line)
                    .take_while(|line| *line != "end")
                    .collect();
                let text = text.join("\n");
                let records = master::parse(text.as_bytes(), &origin, 3600);
                let records = records.unwrap_or_else(|errors| panic!("{number}: {errors:?}"));
                block.builder.add_zone(origin, records);
                block.zones += 1;
            }
            "wip" | "site" => {
                let (name, index) = rest.split_once(' ').unwrap();
                let name = Name::parse(name).unwrap();
                let index = index.parse().unwrap();
                match word {
                    "wip" => block.builder.add_wip(name.wire(), index),
                    _ => block.builder.add_site_wildcard(name.wire(), index),
                }
            }
            "error" => block.errors.push(rest.into()),
            "warning" => block.warnings.get_or_insert_default().push(rest.into()),
            "warnings" => {
                assert_eq!(rest, "none", "line {}", number + 1);
                block.warnings.get_or_insert_default();
            }
            _ => {
                let (query, expected) = line
                    .split_once(" => ")
                    .unwrap_or_else(|| panic!("line {}: {line}", number + 1));
                block.queries.push((number + 1, query.trim().into(), expected.trim().into()));
            }
        }
    }
    block
}

fn run_query(zones: &Zones, query: &str) -> String {
    let (name, rtype) = query.split_once(' ').unwrap();
    if name == "additional" {
        let name = Name::parse(rtype.trim()).unwrap();
        return zones.additional(name.wire()).map_or("none".into(), types);
    }
    let name = Name::parse(name).unwrap();
    let rtype = Rtype::from_str(rtype.trim()).unwrap().to_int();
    describe(name.wire(), zones.lookup(name.wire(), rtype))
}

fn run(file: &str, text: &str) {
    let mut lines = text.lines().enumerate().peekable();
    let (mut checked, mut failures) = (0, Vec::new());
    while lines.peek().is_some() {
        let block = read_block(&mut lines);
        if block.zones == 0 && block.queries.is_empty() && block.errors.is_empty() {
            continue;
        }
        let zones = match block.builder.build() {
            Ok(zones) => zones,
            Err(errors) => {
                let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let mut expected = block.errors;
                errors.sort();
                expected.sort();
                assert_eq!(errors, expected, "{file}");
                checked += 1;
                continue;
            }
        };
        assert!(block.errors.is_empty(), "{file}: built, expected {:?}", block.errors);
        if let Some(mut expected) = block.warnings {
            let mut warnings: Vec<_> = zones.warnings().iter().map(ToString::to_string).collect();
            warnings.sort();
            expected.sort();
            assert_eq!(warnings, expected, "{file}");
            checked += 1;
        }
        for (number, query, expected) in block.queries {
            let found = run_query(&zones, &query);
            checked += 1;
            if found != expected {
                failures.push(format!("{file}:{number}: {query} => {found}, expected {expected}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(checked > 0, "{file} checks nothing");
}

macro_rules! case_files {
    ($($name:ident $file:literal)*) => {
        $(#[test]
        fn $name() {
            run($file, include_str!($file));
        })*
    };
}

case_files! {
    rfc_4592_wildcards "rfc4592.case"
    rfc_1034_sample_zone "rfc1034.case"
    rfc_6672_dname "rfc6672.case"
    delegations_and_glue "delegation.case"
    several_zones "zones.case"
    wips_and_sites "wips.case"
    build_errors_and_warnings "problems.case"
}
