//! Static records where a WIP answers by itself: both places are shown.
//!
//! A, AAAA and CNAME at a WIP's name are the zone table's to refuse; here are the types
//! that only some WIPs decide. It must not know how zones are looked up.

use super::problem::{CompileProblem, Subject};
use crate::config::model::{Config, WipSettings, Zone};
use crate::dns::Name;
use crate::dns::types::rtype;
use crate::zone::{Lookup, Outcome, Record, Zones, master};

/// Lines that a record's data may go on over, for finding where it stands.
const RECORD_LINES_MAX: usize = 64;

/// Static records that may stand in a WIP's way, kept while zones are made.
pub(super) struct Kept {
    /// A WIP's members are names: no type may stand beside its CNAME.
    all: bool,
    types: Vec<u16>,
    records: Vec<(u32, Name, u16)>,
}

impl Kept {
    /// None yet. Where no WIP decides more than addresses, none are kept.
    pub(super) fn new(config: &Config) -> Kept {
        let any = |said: fn(&WipSettings) -> bool| config.wip_settings.iter().any(said);
        let mut types = Vec::new();
        if any(|settings| settings.https.is_some()) {
            types.push(rtype::HTTPS);
        }
        if any(|settings| settings.svcb.is_some()) {
            types.push(rtype::SVCB);
        }
        let is_alias = |settings: &WipSettings| is_alias(config, settings);
        let all = config.wip_settings.iter().any(is_alias);
        Kept { all, types, records: Vec::new() }
    }

    /// Keeps those of a zone that matter.
    pub(super) fn keep(&mut self, zone: u32, records: &[Record]) {
        let matters = |record: &&Record| self.all || self.types.contains(&record.rtype);
        let kept = records.iter().filter(matters);
        self.records.extend(kept.map(|record| (zone, record.owner.to_lowercase(), record.rtype)));
    }

    /// All that stand in a WIP's way.
    pub(super) fn check(mut self, config: &Config, zones: &Zones) -> Vec<CompileProblem> {
        self.records.sort();
        self.records.dedup();
        let clash = |(zone, owner, rtype): &(u32, Name, u16)| {
            let Lookup::Found { outcome: Outcome::Wip { wip, .. }, .. } =
                zones.lookup(owner.wire(), *rtype)
            else {
                return None;
            };
            let settings = &config.wip_settings[config.wips.settings(wip) as usize];
            let kind = rtype::text(*rtype);
            let found = place_of(*zone, &config.zones[*zone as usize], owner, *rtype);
            let subject = wip_subject(config, wip, owner);
            if is_alias(config, settings) {
                let at_apex = config.zones.iter().any(|zone| zone.origin == *owner);
                let (message, help) = if at_apex {
                    if *rtype != rtype::SOA {
                        return None; // said once
                    }
                    let message =
                        format!("{owner}: a zone's apex cannot be a CNAME, as its members are");
                    (message, "give the WIP a name below, or members with addresses")
                } else {
                    let message = format!(
                        "{owner}: static records of type {kind} stand beside members that are names (RFC 1034 3.6.2)"
                    );
                    (message, "remove the static record, or give the members addresses")
                };
                let problem = CompileProblem::error("zone-data", subject, message);
                return Some(problem.and_at(found, "the static record").with_help(help));
            }
            let key = match *rtype {
                rtype::HTTPS if settings.https.is_some() => "https",
                rtype::SVCB if settings.svcb.is_some() => "svcb",
                _ => return None,
            };
            let message =
                format!("{owner}: `{key}` and a static record both say its {kind} record");
            let problem = CompileProblem::error("zone-data", subject, message)
                .and_at(found, "the static record")
                .with_help(format!("remove the static record, or write {key} = false"));
            Some(problem)
        };
        self.records.iter().filter_map(clash).collect()
    }
}

/// Whether members of a WIP are names.
fn is_alias(config: &Config, settings: &WipSettings) -> bool {
    let pools = settings.pools.iter().map(|&pool| &config.pools[pool as usize]);
    pools.flat_map(|pool| &pool.members).any(|member| member.cname.is_some())
}

/// The WIP, or the alias of it that has this name.
pub(super) fn wip_subject(config: &Config, wip: u32, name: &Name) -> Subject {
    let alias = config.wips.aliases().position(|(alias, of)| of == wip && alias == name);
    alias.map_or(Subject::Wip(wip), |alias| Subject::Alias(alias as u32))
}

/// Where a zone's record stands.
pub(super) fn place_of(index: u32, zone: &Zone, owner: &Name, rtype: u16) -> Subject {
    let inline = zone.records.join("\n");
    if let Some(line) = line_of(inline.as_bytes(), zone, owner, rtype) {
        return Subject::Record { zone: index, record: line - 1 };
    }
    let file = zone.file.as_ref().and_then(|file| line_of(&file.text, zone, owner, rtype));
    match file {
        Some(line) => Subject::MasterFile { zone: index, line, column: 1 },
        None => Subject::Zone(index),
    }
}

/// The line, from 1, that a record of a master file begins at: the fewest lines that hold it.
fn line_of(text: &[u8], zone: &Zone, owner: &Name, rtype: u16) -> Option<u32> {
    let ends: Vec<usize> =
        text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let line_count = ends.len() + 1;
    let holds = |lines: usize| {
        // What ends within a record cannot be read: it goes on.
        let ends_at = (lines..=line_count).take(RECORD_LINES_MAX);
        let parsed =
            ends_at.map(|lines| ends.get(lines.wrapping_sub(1)).map_or(text.len(), |&end| end));
        let parsed = parsed.filter_map(|end| {
            let lines = [&text[..end], b"\n"].concat();
            master::parse(&lines, &zone.origin, zone.ttl_s).ok()
        });
        let is_it = |record: &Record| record.rtype == rtype && record.owner == *owner;
        parsed.into_iter().next().is_some_and(|records| records.iter().any(is_it))
    };
    if !holds(line_count) {
        return None;
    }
    let lines: Vec<usize> = (1..=line_count).collect();
    let before = lines.partition_point(|&lines| !holds(lines));
    Some(before as u32 + 1)
}
