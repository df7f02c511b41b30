//! What covers each name: the topmost zone cut at or above it, or DNAME above
//! it, and the nearest base of a site wildcard.
//!
//! Worked out once for every name, so that an exact hit knows by itself. Names
//! with no owner of such a thing among their ancestors are passed over.

use super::key::Key;
use super::node::{CUT, DNAME, NONE, SITE_BASE, ZoneId};
use super::place::{Assembly, owned};
use super::rdata::rtype;
use super::table::NOT_OURS;
use super::{Subject, ZoneFault, ZoneWorry};
use crate::dns::Name;

//------------ Owners ---------------------------------------------------------

/// The hashes of the names that cover others, as a coarse filter: nearly every
/// name of a million WIPs is told apart by it without a further look.
#[derive(Debug)]
pub(super) struct Owners {
    marks: Vec<bool>,
}

const MARKS: usize = 1 << 16;

impl Owners {
    /// Whether one of the names with these hashes may be an owner.
    pub(super) fn any(&self, hashes: &[u64]) -> bool {
        hashes.iter().any(|&hash| self.marks[hash as usize % MARKS])
    }
}

/// To be called when all records and site wildcards are in place, and before
/// the WIPs are: from now on names are told apart as they come.
pub(super) fn note_owners(assembly: &mut Assembly) {
    let mut marks = vec![false; MARKS];
    for (id, detail) in assembly.details.iter().enumerate() {
        if detail.is(CUT | DNAME | SITE_BASE) {
            let key = Key::new(assembly.name_of(id as u32)).expect("names are checked");
            marks[key.hash() as usize % MARKS] = true;
        }
    }
    if marks.contains(&true) {
        assembly.table.suspect_all();
        assembly.owners = Some(Owners { marks });
    }
}

//------------ Covers ---------------------------------------------------------

/// Marks every name with what covers it; WIPs and sites there are errors.
pub(super) fn work_out(assembly: &mut Assembly, origins: &[Name]) {
    let mut hashes = Vec::new();
    for index in 0..assembly.table.slots().len() {
        let slot = assembly.table.slot(index);
        if !slot.is_suspect() || slot.zone() == NOT_OURS {
            continue;
        }
        let name = assembly.name_copy(slot.name);
        let key = name.key();
        key.hashes(&mut hashes);
        let apex_labels = origins[slot.zone() as usize].label_count();
        let (cover, site) = above(assembly, &key, &hashes, apex_labels);
        if cover == NONE && site == NONE {
            continue;
        }
        let id = assembly.detail(index);
        let detail = &mut assembly.details[id as usize];
        detail.cover = cover;
        if !detail.is(SITE_BASE) {
            detail.site = site;
        }
        if cover != NONE {
            judge(assembly, ZoneId(slot.zone()), id, cover);
        }
    }
}

/// The cover of a name and its site, from the apex down to the name itself.
fn above(assembly: &Assembly, key: &Key<'_>, hashes: &[u64], apex_labels: usize) -> (u32, u32) {
    let mut site = NONE;
    for label in (0..=key.labels() - apex_labels).rev() {
        let found = assembly.table.find(hashes[label], key.suffix(label), &assembly.arena);
        let Some(id) = found.and_then(|slot| assembly.detail_at(slot)) else { continue };
        let detail = &assembly.details[id as usize];
        if detail.is(CUT) || detail.is(DNAME) && label > 0 {
            // The site still counts where `*` is a cut but stands for other names.
            return (id, site);
        }
        if detail.is(SITE_BASE) {
            site = detail.site;
        }
    }
    (NONE, site)
}

/// WIPs and sites cannot be covered; records that are have no reader.
fn judge(assembly: &mut Assembly, zone: ZoneId, id: u32, cover: u32) {
    let detail = assembly.details[id as usize];
    let name = owned(assembly.name_of(id));
    let by = owned(assembly.name_of(cover));
    let at_cut = assembly.details[cover as usize].is(CUT);
    let fault = || match at_cut {
        true => ZoneFault::UnderDelegation { cut: by.clone() },
        false => ZoneFault::UnderDname { owner: by.clone() },
    };
    if detail.wip != NONE {
        assembly.error(Subject::Wip(detail.wip), name.wire(), fault());
    }
    if detail.is(SITE_BASE) {
        assembly.error(Subject::Site(detail.site), name.wire(), fault());
    }
    let hidden: Vec<u16> = assembly
        .rrsets_of(id)
        .iter()
        .map(|entry| entry.rtype)
        .filter(|&rtype| !at_cut || hidden_by_cut(rtype, id == cover))
        .collect();
    for rtype in hidden {
        assembly.warn(zone, name.wire(), ZoneWorry::Occluded { rtype, by: by.clone() });
    }
}

/// Whether no answer ever shows a type at a cut, or at a name below one.
fn hidden_by_cut(rtype: u16, at_cut: bool) -> bool {
    match rtype {
        rtype::A | rtype::AAAA | rtype::RRSIG | rtype::NSEC => false,
        rtype::NS | rtype::DS => !at_cut,
        _ => true,
    }
}
