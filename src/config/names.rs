//! Whole-config rules for domain names: one owner each, and inside a zone.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::model::Wips;
use super::raw::Raw;
use crate::dns::name::{is_at_or_below, parent, write_presentation};
use crate::problem::{Problem, Problems, Spot};

/// Reports names that two WIPs, aliases or sites own, and names outside every zone.
pub(super) fn check(raw: &Raw, wips: &Wips, problems: &mut Problems) {
    let names = Names { raw, wips };
    names.duplicates(problems);
    names.outside_zones(problems);
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
    fn words(self) -> &'static str {
        match self {
            Owner::Wip(_) => "a WIP",
            Owner::Alias(_) => "an alias",
            Owner::Site(_) => "a site's wildcard",
        }
    }

    /// Names of sites are `*.BASE`: they only meet one another and WIPs `*.BASE`.
    fn hash(self, wire: &[u8]) -> u64 {
        match self {
            Owner::Site(_) => xxh3_64(&[STAR, wire].concat()),
            _ => xxh3_64(wire),
        }
    }

    fn star(self) -> &'static [u8] {
        if matches!(self, Owner::Site(_)) { STAR } else { b"" }
    }
}

const STAR: &[u8] = b"\x01*";

//------------ Names ----------------------------------------------------------

/// All names of a config and who owns them.
#[derive(Clone, Copy)]
struct Names<'n> {
    raw: &'n Raw,
    wips: &'n Wips,
}

impl<'n> Names<'n> {
    /// Every name with its owner.
    fn iter(self) -> impl Iterator<Item = (Owner, &'n [u8])> {
        let wips = self.wips.iter().map(|(wip, name, _)| (Owner::Wip(wip), name));
        let aliases = self.wips.aliases().zip(0..);
        let aliases = aliases.map(|((alias, _), index)| (Owner::Alias(index), alias.wire()));
        let sites = self.raw.datacenters.iter().zip(0..).filter_map(|(site, index)| {
            Some((Owner::Site(index), site.wildcard.as_ref()?.value.wire()))
        });
        wips.chain(aliases).chain(sites)
    }

    fn spot(self, owner: Owner) -> Option<Spot> {
        match owner {
            Owner::Wip(index) => self.wips.spot(index),
            Owner::Alias(index) => self.wips.alias_spot(index as usize),
            Owner::Site(index) => {
                self.raw.datacenters.get(index as usize)?.wildcard.as_ref().map(|w| w.spot)
            }
        }
    }

    /// Sorts hashes instead of filling a map: a million names cost 8 MB and no
    /// rehash. Only when two are the same it matters whose they are.
    fn duplicates(self, problems: &mut Problems) {
        let mut hashes: Vec<u64> = Vec::with_capacity(self.wips.len());
        hashes.extend(self.iter().map(|(owner, wire)| owner.hash(wire)));
        hashes.sort_unstable();
        if hashes.windows(2).all(|pair| pair[0] != pair[1]) {
            return;
        }
        drop(hashes);
        let mut owners: Vec<(u64, Owner, &[u8])> =
            self.iter().map(|(owner, wire)| (owner.hash(wire), owner, wire)).collect();
        // Stable: of equal names the one that was read first stays first.
        owners.sort_by_key(|(hash, ..)| *hash);
        for group in owners.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
            for (index, &(_, owner, wire)) in group.iter().enumerate() {
                // Mostly the first is the one: hashes of different names hardly ever meet.
                let mut earlier = group[..index].iter();
                // Names are kept in lower case.
                let whole = || owner.star().iter().chain(wire);
                let first =
                    earlier.find(|(_, other, their)| other.star().iter().chain(*their).eq(whole()));
                if let Some((_, first, _)) = first {
                    self.push_duplicate(owner, wire, *first, problems);
                }
            }
        }
    }

    fn push_duplicate(self, again: Owner, wire: &[u8], first: Owner, problems: &mut Problems) {
        let (Some(again_spot), Some(first_spot)) = (self.spot(again), self.spot(first)) else {
            return;
        };
        problems.push_error_with(|| {
            let title = format!("the name {} is given twice", shown(again, wire));
            Problem::error("duplicate-name", title)
                .at_with(again_spot, format!("as {} here", again.words()))
                .at_with(first_spot, format!("as {} here", first.words()))
                .help("names are the same whatever their case and final dot; keep one")
        });
    }

    fn outside_zones(self, problems: &mut Problems) {
        let zones: HashSet<&[u8]> =
            self.raw.zones.iter().map(|zone| zone.zone.origin.wire()).collect();
        // Mostly the next name is in the zone of the one before.
        let mut zone: Option<&[u8]> = None;
        for (owner, wire) in self.iter() {
            if zone.is_some_and(|zone| is_at_or_below(wire, zone)) {
                continue;
            }
            zone = std::iter::successors(Some(wire), |name| parent(name))
                .find(|name| zones.contains(name));
            if let (None, Some(spot)) = (zone, self.spot(owner)) {
                problems.push_error_with(|| self.outside(owner, wire, spot));
            }
        }
    }

    fn outside(self, owner: Owner, wire: &[u8], spot: Spot) -> Problem {
        let title = format!("{} is in no zone of this server", shown(owner, wire));
        let problem = Problem::error("outside-zones", title)
            .at_with(spot, format!("{} outside every zone", owner.words()));
        let zones = self.raw.zones.iter().map(|zone| zone.zone.origin.to_string());
        let mut zones: Vec<String> = zones.collect();
        zones.sort_unstable();
        match zones.len() {
            0 => problem.help("no zone is defined: add one, [zone.\"example.com\"]"),
            1..=8 => problem.help(format!("zones: {}", zones.join(", "))),
            many => problem.help(format!("{many} zones are defined: {}, …", zones[..8].join(", "))),
        }
    }
}

/// A name as people write it.
fn shown(owner: Owner, wire: &[u8]) -> String {
    let mut text = if matches!(owner, Owner::Site(_)) { "*." } else { "" }.to_owned();
    // Writing into a String cannot fail.
    let _ = write_presentation(wire, &mut text);
    text
}
