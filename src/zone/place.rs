//! Names put in the table while it is built, with their ancestors, so that no
//! name ever stands without the empty non-terminals above it (RFC 4592 2.2.2).

use super::cover::Owners;
use super::key::{Key, hash_of, name_at};
use super::node::{Detail, OwnedRrset, RrsetEntry, ZoneId};
use super::rdata::rtype;
use super::table::{Kind, NOT_OURS, Table};
use super::{Subject, ZoneError, ZoneFault, ZoneWarning, ZoneWorry};
use crate::dns::Name;
use crate::dns::name::NAME_LENGTH_MAX;

/// A table in the making.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) arena: Vec<u8>,
    pub(super) table: Table,
    pub(super) details: Vec<Detail>,
    pub(super) rrsets: Vec<RrsetEntry>,
    pub(super) rdata: Vec<u8>,
    /// For each zone, the zone above it, or [`NOT_OURS`].
    pub(super) parents: Vec<u32>,
    pub(super) errors: Vec<ZoneError>,
    pub(super) warnings: Vec<ZoneWarning>,
    /// The arena has outgrown its offsets: names were left out.
    pub(super) names_overflow: bool,
    /// Owners of cuts, DNAMEs and site wildcards, once they are known.
    pub(super) owners: Option<Owners>,
    hashes: Vec<u64>,
}

/// A canonical name, not in the arena and not on the heap.
pub(super) struct NameCopy {
    bytes: [u8; NAME_LENGTH_MAX],
    length: usize,
}

impl NameCopy {
    pub(super) fn key(&self) -> Key<'_> {
        Key::new(&self.bytes[..self.length]).expect("the arena holds whole, checked names")
    }
}

/// The name is in another zone than the one it was meant for, or there is no
/// room for it.
pub(super) struct OtherZone {
    /// Its slot, if it exists there.
    pub(super) slot: Option<usize>,
    /// The zone's index.
    pub(super) zone: u32,
}

impl Assembly {
    /// Over the names of `arena`, with room for `names` of them.
    pub(super) fn new(arena: Vec<u8>, names: usize) -> Assembly {
        Assembly {
            arena,
            table: Table::with_capacity(names),
            details: Vec::new(),
            rrsets: Vec::new(),
            rdata: Vec::new(),
            parents: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            names_overflow: false,
            owners: None,
            hashes: Vec::new(),
        }
    }

    /// Reads the places in the table of names in the arena, so that they are near
    /// when the names are put there.
    pub(super) fn fetch(&self, names: impl Iterator<Item = u32>) {
        let tags = names.filter_map(|at| {
            let key = Key::new(name_at(&self.arena[at as usize..]))?;
            Some(self.table.touch(key.hash()))
        });
        // Used, or the compiler leaves the reading out.
        std::hint::black_box(tags.fold(0, |all, tag| all ^ tag));
    }

    /// The slot of a name; it and its ancestors come to be if they are not
    /// there. `at`: where the name stands in the arena already. `zone`: the
    /// zone it must be in; in another it is left alone.
    pub(super) fn name_slot(
        &mut self,
        key: &Key<'_>,
        at: Option<u32>,
        zone: Option<u32>,
    ) -> Result<usize, OtherZone> {
        let mut hashes = std::mem::take(&mut self.hashes);
        key.hashes(&mut hashes);
        let result = self.name_slot_hashed(key, &hashes, at, zone);
        self.hashes = hashes;
        result
    }

    fn name_slot_hashed(
        &mut self,
        key: &Key<'_>,
        hashes: &[u64],
        at: Option<u32>,
        zone: Option<u32>,
    ) -> Result<usize, OtherZone> {
        self.table.reserve(hashes.len(), &self.arena);
        let mut found = None;
        let mut missing = hashes.len();
        for (label, &hash) in hashes.iter().enumerate() {
            found = self.table.find(hash, key.suffix(label), &self.arena);
            if found.is_some() {
                missing = label;
                break;
            }
        }
        let in_zone = found.map_or(NOT_OURS, |slot| self.table.slot(slot).zone());
        if zone.is_some_and(|zone| zone != in_zone) {
            return Err(OtherZone { slot: found.filter(|_| missing == 0), zone: in_zone });
        }
        if missing > 0 {
            let Some(at) = at.or_else(|| self.push_name(key.suffix(0))) else {
                return Err(OtherZone { slot: None, zone: in_zone });
            };
            let suspect = self.owners.as_ref().is_some_and(|owners| owners.any(hashes));
            for label in (0..missing).rev() {
                let slot = self.table.insert(hashes[label], at + key.start(label) as u32, in_zone);
                if suspect {
                    self.table.slot_mut(slot).set_suspect();
                }
                if let Some(parent) = found
                    && key.suffix(label).starts_with(b"\x01*")
                {
                    self.table.slot_mut(parent).set_wildcard_child();
                }
                found = Some(slot);
            }
        }
        Ok(found.expect("the name was found or inserted"))
    }

    /// Puts a name into the arena; none if its offsets no longer fit.
    fn push_name(&mut self, name: &[u8]) -> Option<u32> {
        if self.arena.len() + name.len() > u32::MAX as usize {
            self.names_overflow = true;
            return None;
        }
        let at = self.arena.len() as u32;
        self.arena.extend(name.iter().map(u8::to_ascii_lowercase));
        Some(at)
    }

    /// A copy of the name at `at` in the arena, so that the table can change.
    pub(super) fn name_copy(&self, at: u32) -> NameCopy {
        let name = name_at(&self.arena[at as usize..]);
        let mut bytes = [0; NAME_LENGTH_MAX];
        bytes[..name.len()].copy_from_slice(name);
        NameCopy { bytes, length: name.len() }
    }

    /// The slot of `*` under a canonical name.
    pub(super) fn wildcard_child(&self, parent: &[u8]) -> Option<usize> {
        let name = [b"\x01*", parent].concat();
        self.table.find(hash_of(&name), &name, &self.arena)
    }

    /// The detail of a slot, if it has one.
    pub(super) fn detail_at(&self, slot: usize) -> Option<u32> {
        let slot = self.table.slot(slot);
        (slot.kind() == Kind::Detail).then_some(slot.value)
    }

    /// The detail of a slot, made if it has none.
    pub(super) fn detail(&mut self, slot: usize) -> u32 {
        if let Some(id) = self.detail_at(slot) {
            return id;
        }
        let old = self.table.slot(slot);
        let id = self.new_detail(old.name);
        if old.kind() == Kind::Wip {
            self.details[id as usize].wip = old.value;
        }
        self.table.slot_mut(slot).set(Kind::Detail, id);
        id
    }

    /// A detail for the name at `name` in the arena.
    pub(super) fn new_detail(&mut self, name: u32) -> u32 {
        let length = name_at(&self.arena[name as usize..]).len();
        self.details.push(Detail::new(name, length));
        (self.details.len() - 1) as u32
    }

    /// The canonical name of a detail.
    pub(super) fn name_of(&self, detail: u32) -> &[u8] {
        name_at(&self.arena[self.details[detail as usize].name as usize..])
    }

    /// RRsets of a detail.
    pub(super) fn rrsets_of(&self, detail: u32) -> &[RrsetEntry] {
        let detail = &self.details[detail as usize];
        let start = detail.rrsets_start as usize;
        &self.rrsets[start..start + detail.rrsets_count as usize]
    }

    /// A copy of one RRset.
    pub(super) fn owned_rrset(&self, detail: u32, rtype: u16) -> Option<OwnedRrset> {
        let entry = *self.rrsets_of(detail).iter().find(|entry| entry.rtype == rtype)?;
        let start = entry.start as usize;
        Some(OwnedRrset {
            rtype,
            ttl_s: entry.ttl_s,
            count: entry.count,
            data: self.rdata[start..start + entry.length as usize].into(),
        })
    }

    /// The type of a static RRset that decides A and AAAA by itself.
    pub(super) fn decided_type(&self, detail: u32) -> Option<u16> {
        self.rrsets_of(detail)
            .iter()
            .map(|entry| entry.rtype)
            .find(|rtype| [rtype::A, rtype::AAAA, rtype::CNAME].contains(rtype))
    }

    pub(super) fn error(&mut self, subject: Subject, name: &[u8], fault: ZoneFault) {
        self.errors.push(ZoneError { subject, name: owned(name), fault });
    }

    pub(super) fn warn(&mut self, zone: ZoneId, name: &[u8], worry: ZoneWorry) {
        self.warnings.push(ZoneWarning { zone, name: owned(name), worry });
    }
}

/// A checked wire name as a value.
pub(super) fn owned(name: &[u8]) -> Name {
    Name::from_wire(name).expect("names of the table are checked")
}
