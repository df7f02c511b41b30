//! The builder: collects zones, WIPs and site wildcards, then makes the table
//! of them all and says everything that is wrong, together.
//!
//! Order matters: origins first, so that every further name falls into the
//! zone with the longest matching origin; then records, WIPs and sites; then
//! what covers what; then the checks that need lookups.

use super::key::Key;
use super::node::{APEX, NONE, OwnedRrset, SITE_BASE, SITE_STAR, Zone, ZoneId};
use super::place::Assembly;
use super::rdata::rtype;
use super::table::{Kind, NOT_OURS, ZONES_MAX};
use super::{Record, Subject, ZoneError, ZoneFault, Zones, check, cover};
use crate::dns::encode::ReadySoa;
use crate::dns::{Name, name};

/// WIPs whose places in the table are fetched together: a million names in turn
/// wait for memory a million times.
const WIPS_AT_ONCE: usize = 32;

//------------ Builder --------------------------------------------------------

/// Collects what [`Zones`] are made of.
#[derive(Debug, Default)]
pub struct Builder {
    /// Canonical names of WIPs and site bases, one after another: it becomes
    /// the table's arena.
    arena: Vec<u8>,
    zones: Vec<(Name, Vec<Record>)>,
    wips: Vec<(u32, u32)>,
    sites: Vec<(u32, u32)>,
    errors: Vec<ZoneError>,
}

impl Builder {
    /// Nothing yet.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Makes room for the names of `wips` WIPs, `bytes` long in all.
    pub fn reserve(&mut self, wips: usize, bytes: usize) {
        self.wips.reserve_exact(wips);
        self.arena.reserve_exact(bytes);
    }

    /// Adds a zone with all its records: SOA and NS too.
    pub fn add_zone(&mut self, origin: Name, records: Vec<Record>) -> ZoneId {
        let id = ZoneId(u32::try_from(self.zones.len()).unwrap_or(u32::MAX));
        self.zones.push((origin, records));
        id
    }

    /// Adds the name of a WIP or alias: wire form; it may begin with `*`. Its
    /// zone is the one with the longest matching origin. `wip` is what lookups
    /// give back, any number below 2^32 - 1.
    pub fn add_wip(&mut self, name: &[u8], wip: u32) {
        if let Some(at) = self.keep(name, Subject::Wip(wip)) {
            self.wips.push((at, wip));
        }
    }

    /// Adds a site's wildcard: every name strictly under `base` (wire form).
    /// `site` is what lookups give back, any number below 2^32 - 1.
    pub fn add_site_wildcard(&mut self, base: &[u8], site: u32) {
        if let Some(at) = self.keep(base, Subject::Site(site)) {
            self.sites.push((at, site));
        }
    }

    /// Makes the zones. Every error names where it stands; with any of them
    /// there are no zones.
    pub fn build(mut self) -> Result<Zones, Vec<ZoneError>> {
        if self.zones.len() > ZONES_MAX {
            return Err(vec![too_large("zones")]);
        }
        let records: usize = self.zones.iter().map(|(_, records)| records.len()).sum();
        let names = self.wips.len() + self.sites.len() + 2 * self.zones.len() + records;
        let mut assembly = Assembly::new(std::mem::take(&mut self.arena), names + names / 8);
        assembly.errors = std::mem::take(&mut self.errors);
        let origins: Vec<Name> = self.zones.iter().map(|(origin, _)| origin.clone()).collect();
        let apexes = place_origins(&mut assembly, &origins);
        let mut zones = Vec::with_capacity(origins.len());
        for (index, (origin, records)) in self.zones.into_iter().enumerate() {
            let id = ZoneId(index as u32);
            let Some(apex) = apexes[index] else { continue };
            assembly.place_records(id, &origin, &records);
            drop(records);
            zones.extend(finish_zone(&mut assembly, id, origin, apex));
        }
        for &(at, site) in &self.sites {
            place_site(&mut assembly, at, site);
        }
        cover::note_owners(&mut assembly);
        for batch in std::mem::take(&mut self.wips).chunks(WIPS_AT_ONCE) {
            assembly.fetch(batch.iter().map(|(at, _)| *at));
            for &(at, wip) in batch {
                place_wip(&mut assembly, at, wip);
            }
        }
        for &(at, site) in &self.sites {
            place_star(&mut assembly, at, site);
        }
        if assembly.names_overflow || assembly.rdata.len() > u32::MAX as usize {
            assembly.errors.push(too_large("names or data"));
            return Err(assembly.errors);
        }
        cover::work_out(&mut assembly, &origins);
        if !assembly.errors.is_empty() {
            return Err(assembly.errors);
        }
        let labels_min = origins.iter().map(Name::label_count).min().unwrap_or(0);
        let mut zones = finish(assembly, zones, labels_min);
        let worries = check::worries(&zones);
        zones.warnings.extend(worries);
        Ok(zones)
    }

    /// Puts a name in the arena, in lower case.
    fn keep(&mut self, name: &[u8], subject: Subject) -> Option<u32> {
        if name::wire_length(name) != Ok(name.len()) {
            let fault = ZoneFault::BadName;
            self.errors.push(ZoneError { subject, name: Name::root(), fault });
            return None;
        }
        if self.arena.len() + name.len() > u32::MAX as usize {
            self.errors.push(too_large("names"));
            return None;
        }
        let at = self.arena.len() as u32;
        self.arena.extend(name.iter().map(u8::to_ascii_lowercase));
        Some(at)
    }
}

//------------ Steps ----------------------------------------------------------

/// Puts all apexes in the table, the shorter first, so that names between two
/// belong to the upper one. Gives the detail of each; none for a duplicate.
fn place_origins(assembly: &mut Assembly, origins: &[Name]) -> Vec<Option<u32>> {
    let mut order: Vec<usize> = (0..origins.len()).collect();
    order.sort_by_key(|&index| origins[index].label_count());
    let mut apexes = vec![None; origins.len()];
    assembly.parents = vec![NOT_OURS; origins.len()];
    for index in order {
        let origin = &origins[index];
        let Some(key) = Key::new(origin.wire()) else { continue };
        let Ok(slot) = assembly.name_slot(&key, None, None) else { continue };
        if let Some(id) = assembly.detail_at(slot)
            && assembly.details[id as usize].is(APEX)
        {
            let subject = Subject::Zone(ZoneId(index as u32));
            assembly.error(subject, origin.wire(), ZoneFault::DuplicateZone);
            continue;
        }
        let parent = assembly.table.slot(slot).zone();
        assembly.parents[index] = parent;
        assembly.table.slot_mut(slot).set_zone(index as u32);
        let id = assembly.detail(slot);
        assembly.details[id as usize].flags |= APEX;
        apexes[index] = Some(id);
    }
    apexes
}

/// Takes SOA and NS from the apex; none, with errors, if they are not right.
fn finish_zone(assembly: &mut Assembly, id: ZoneId, origin: Name, apex: u32) -> Option<Zone> {
    let soa = assembly.owned_rrset(apex, rtype::SOA);
    let ns = assembly.owned_rrset(apex, rtype::NS);
    let subject = Subject::Zone(id);
    if soa.is_none() {
        assembly.error(subject, origin.wire(), ZoneFault::MissingSoa);
    }
    if ns.is_none() {
        assembly.error(subject, origin.wire(), ZoneFault::MissingNs);
    }
    let (soa, ns) = (soa?, ns?);
    let negative_ttl_s = soa.ttl_s.min(soa_minimum_s(&soa));
    let rdata = soa.data.get(2..).unwrap_or_default();
    let ready_soa = ReadySoa::new(origin.wire(), rdata);
    Some(Zone { id, origin, soa, ready_soa, ns, negative_ttl_s })
}

/// MINIMUM, the last field of the SOA (RFC 2308 4).
fn soa_minimum_s(soa: &OwnedRrset) -> u32 {
    soa.data.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn place_wip(assembly: &mut Assembly, at: u32, wip: u32) {
    let subject = Subject::Wip(wip);
    let name = assembly.name_copy(at);
    let key = name.key();
    let Ok(index) = assembly.name_slot(&key, Some(at), None) else { return };
    let slot = assembly.table.slot(index);
    if slot.zone() == NOT_OURS {
        assembly.error(subject, key.suffix(0), ZoneFault::OutsideEveryZone);
        return;
    }
    match slot.kind() {
        Kind::Vacant | Kind::Plain => assembly.table.slot_mut(index).set(Kind::Wip, wip),
        Kind::Wip => {
            assembly.error(subject, key.suffix(0), ZoneFault::DuplicateWip { other: slot.value });
        }
        Kind::Detail => {
            let other = assembly.details[slot.value as usize].wip;
            if other != NONE {
                assembly.error(subject, key.suffix(0), ZoneFault::DuplicateWip { other });
                return;
            }
            assembly.details[slot.value as usize].wip = wip;
            if let Some(rtype) = assembly.decided_type(slot.value) {
                assembly.error(subject, key.suffix(0), ZoneFault::StaticAtWip { rtype });
            }
        }
    }
}

fn place_site(assembly: &mut Assembly, at: u32, site: u32) {
    let subject = Subject::Site(site);
    let name = assembly.name_copy(at);
    let key = name.key();
    let Ok(index) = assembly.name_slot(&key, Some(at), None) else { return };
    if assembly.table.slot(index).zone() == NOT_OURS {
        assembly.error(subject, key.suffix(0), ZoneFault::OutsideEveryZone);
        return;
    }
    let id = assembly.detail(index);
    let detail = &mut assembly.details[id as usize];
    if detail.is(SITE_BASE) {
        let other = detail.site;
        assembly.error(subject, key.suffix(0), ZoneFault::DuplicateSite { other });
        return;
    }
    detail.flags |= SITE_BASE;
    detail.site = site;
}

/// Sees to `*` under a site's base: it is the site's, or it contradicts it.
fn place_star(assembly: &mut Assembly, at: u32, site: u32) {
    let name = assembly.name_copy(at);
    let key = name.key();
    let Some(star) = assembly.wildcard_child(key.suffix(0)) else { return };
    let star = assembly.detail(star);
    let taken = assembly.details[star as usize].wip != NONE;
    if taken || assembly.decided_type(star).is_some() {
        assembly.error(Subject::Site(site), key.suffix(0), ZoneFault::StarUnderSite);
        return;
    }
    assembly.details[star as usize].flags |= SITE_STAR;
}

fn finish(mut assembly: Assembly, zones: Vec<Zone>, origin_labels_min: usize) -> Zones {
    assembly.table.shrink(&assembly.arena);
    Zones {
        arena: assembly.arena.into(),
        table: assembly.table,
        details: assembly.details.into(),
        rrsets: assembly.rrsets.into(),
        rdata: assembly.rdata.into(),
        zones: zones.into(),
        origin_labels_min,
        warnings: assembly.warnings,
    }
}

fn too_large(what: &'static str) -> ZoneError {
    let fault = ZoneFault::TooLarge { what };
    ZoneError { subject: Subject::Everything, name: Name::root(), fault }
}
