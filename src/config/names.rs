//! Whole-config rules for domain names: one owner each, and inside a zone.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::raw::Raw;
use crate::dns::name::{parent, write_presentation};
use crate::problem::{Problem, Problems, Spot};

/// Reports names that two WIPs, aliases or sites own, and names outside every zone.
pub(super) fn check(raw: &Raw, problems: &mut Problems) {
    duplicates(raw, problems);
    outside_zones(raw, problems);
}

//------------ Owners ---------------------------------------------------------

/// Who owns a name: index into the WIPs, the aliases or the datacenters.
#[derive(Clone, Copy)]
enum Owner {
    Wip(u32),
    Alias(u32),
    Site(u32),
}

impl Owner {
    fn spot(self, raw: &Raw) -> Option<Spot> {
        match self {
            Owner::Wip(index) => raw.wips.spots.get(index as usize).copied(),
            Owner::Alias(index) => raw.wips.alias_spots.get(index as usize).copied(),
            Owner::Site(index) => {
                raw.datacenters.get(index as usize)?.wildcard.as_ref().map(|w| w.spot)
            }
        }
    }

    fn wire(self, raw: &Raw) -> Option<&[u8]> {
        match self {
            Owner::Wip(index) => Some(raw.wips.rows.name(index)),
            Owner::Alias(index) => Some(raw.wips.rows.aliases.get(index as usize)?.0.wire()),
            Owner::Site(index) => {
                raw.datacenters.get(index as usize)?.wildcard.as_ref().map(|w| w.value.wire())
            }
        }
    }

    fn words(self) -> &'static str {
        match self {
            Owner::Wip(_) => "a WIP",
            Owner::Alias(_) => "an alias",
            Owner::Site(_) => "a site's wildcard",
        }
    }

    /// Names of sites are `*.BASE`: they only meet one another and WIPs `*.BASE`.
    fn hash(self, raw: &Raw) -> u64 {
        let wire = self.wire(raw).unwrap_or_default();
        match self {
            Owner::Site(_) => xxh3_64(&[b"\x01*", wire].concat()),
            _ => xxh3_64(wire),
        }
    }

    /// Names are kept in lower case.
    fn same_name(self, other: Owner, raw: &Raw) -> bool {
        let whole = |owner: Owner| {
            let site = matches!(owner, Owner::Site(_));
            (if site { b"\x01*".as_slice() } else { b"" }, owner.wire(raw).unwrap_or_default())
        };
        let ((a, b), (c, d)) = (whole(self), whole(other));
        a.iter().chain(b).eq(c.iter().chain(d))
    }

    fn name(self, raw: &Raw) -> String {
        let star = if matches!(self, Owner::Site(_)) { "*." } else { "" };
        format!("{star}{}", presentation(self.wire(raw).unwrap_or_default()))
    }
}

fn owners(raw: &Raw) -> impl Iterator<Item = Owner> {
    let wips = (0..raw.wips.rows.len() as u32).map(Owner::Wip);
    let aliases = (0..raw.wips.rows.aliases.len() as u32).map(Owner::Alias);
    let sites = (0..raw.datacenters.len() as u32)
        .filter(|index| raw.datacenters[*index as usize].wildcard.is_some())
        .map(Owner::Site);
    wips.chain(aliases).chain(sites)
}

/// Sorts hashes instead of filling a map: a million names cost 16 MB and no rehash.
fn duplicates(raw: &Raw, problems: &mut Problems) {
    let mut hashes: Vec<(u64, Owner)> = owners(raw).map(|o| (o.hash(raw), o)).collect();
    // Stable: of equal names the one that was read first stays first.
    hashes.sort_by_key(|(hash, _)| *hash);
    for group in hashes.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        for (index, (_, owner)) in group.iter().enumerate() {
            // Mostly the first is the one: hashes of different names hardly ever meet.
            let mut earlier = group[..index].iter().map(|(_, other)| *other);
            if let Some(first) = earlier.find(|other| other.same_name(*owner, raw)) {
                push_duplicate(*owner, first, raw, problems);
            }
        }
    }
}

fn push_duplicate(again: Owner, first: Owner, raw: &Raw, problems: &mut Problems) {
    let (Some(again_spot), Some(first_spot)) = (again.spot(raw), first.spot(raw)) else { return };
    problems.push_error_with(|| {
        let title = format!("the name {} is given twice", again.name(raw));
        Problem::error("duplicate-name", title)
            .at_with(again_spot, format!("as {} here", again.words()))
            .at_with(first_spot, format!("as {} here", first.words()))
            .help("names are the same whatever their case and final dot; keep one")
    });
}

//------------ Zones ----------------------------------------------------------

fn outside_zones(raw: &Raw, problems: &mut Problems) {
    let zones: HashSet<&[u8]> = raw.zones.iter().map(|zone| zone.zone.origin.wire()).collect();
    for owner in owners(raw) {
        let (Some(wire), Some(spot)) = (owner.wire(raw), owner.spot(raw)) else { continue };
        let mut at = Some(wire);
        while let Some(name) = at
            && !zones.contains(name)
        {
            at = parent(name);
        }
        if at.is_none() {
            problems.push_error_with(|| outside(owner, spot, raw));
        }
    }
}

fn outside(owner: Owner, spot: Spot, raw: &Raw) -> Problem {
    let problem = Problem::error(
        "outside-zones",
        format!("{} is in no zone of this server", owner.name(raw)),
    )
    .at_with(spot, format!("{} outside every zone", owner.words()));
    let mut zones: Vec<String> = raw.zones.iter().map(|z| z.zone.origin.to_string()).collect();
    zones.sort_unstable();
    match zones.len() {
        0 => problem.help("no zone is defined: add one, [zone.\"example.com\"]"),
        1..=8 => problem.help(format!("zones: {}", zones.join(", "))),
        many => problem.help(format!("{many} zones are defined: {}, …", zones[..8].join(", "))),
    }
}

fn presentation(wire: &[u8]) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_presentation(wire, &mut text);
    text
}
