//! Records put at their names and grouped into RRsets, with the rules of what
//! may stand together (RFC 1034 3.6.2, RFC 2181 5 and 10.1, RFC 6672 2.3-2.4).

use std::collections::HashSet;

use super::key::Key;
use super::node::{APEX, CUT, DNAME, NONE, RrsetEntry, ZoneId};
use super::place::{Assembly, OtherZone, owned};
use super::rdata::{self, rtype};
use super::{Record, Subject, TTL_S_MAX, ZoneFault, ZoneWorry};
use crate::dns::Name;

/// A record's detail and type, and its place in the zone's list.
type Placed = (u32, u16, u32);

impl Assembly {
    /// Puts the records of a zone in place. Its apex is in the table.
    pub(super) fn place_records(&mut self, zone: ZoneId, origin: &Name, records: &[Record]) {
        let mut placed: Vec<Placed> = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            if let Some(fault) = fault_alone(record, origin) {
                self.error(Subject::Zone(zone), record.owner.wire(), fault);
            } else if let Some(detail) = self.place_owner(zone, record) {
                placed.push((detail, record.rtype, index as u32));
            }
        }
        placed.sort_by_key(|&(detail, rtype, _)| (detail, rtype));
        for node in placed.chunk_by(|left, right| left.0 == right.0) {
            let detail = node[0].0;
            let start = self.rrsets.len();
            for rrset in node.chunk_by(|left, right| left.1 == right.1) {
                self.push_rrset(zone, rrset, records);
            }
            self.details[detail as usize].rrsets_start = start as u32;
            self.details[detail as usize].rrsets_count = (self.rrsets.len() - start) as u32;
            self.check_together(zone, origin, detail);
        }
    }

    /// The detail that a record belongs to; none if a zone below hides it.
    fn place_owner(&mut self, zone: ZoneId, record: &Record) -> Option<u32> {
        let key = Key::new(record.owner.wire())?;
        match self.name_slot(&key, None, Some(zone.0)) {
            Ok(slot) => Some(self.detail(slot)),
            Err(OtherZone { slot, zone: child }) => {
                let detail = slot.and_then(|slot| self.parent_side(slot, zone));
                if detail.is_none() && ![rtype::A, rtype::AAAA].contains(&record.rtype) {
                    let by = self.origin_above(&key, child);
                    let worry = ZoneWorry::Occluded { rtype: record.rtype, by };
                    self.warn(zone, record.owner.wire(), worry);
                }
                detail
            }
        }
    }

    /// The detail of the parent's records at a child's apex: NS, DS.
    fn parent_side(&mut self, slot: usize, zone: ZoneId) -> Option<u32> {
        let apex = self.detail_at(slot).filter(|&id| self.details[id as usize].is(APEX))?;
        let child = self.table.slot(slot).zone();
        if self.parents[child as usize] != zone.0 {
            return None;
        }
        if self.details[apex as usize].parent_side == NONE {
            let side = self.new_detail(self.details[apex as usize].name);
            self.details[apex as usize].parent_side = side;
        }
        Some(self.details[apex as usize].parent_side)
    }

    /// The origin of zone `zone`, at or above `key`.
    fn origin_above(&self, key: &Key<'_>, zone: u32) -> Name {
        let mut hashes = Vec::new();
        key.hashes(&mut hashes);
        let apex = hashes.iter().enumerate().find_map(|(label, &hash)| {
            let slot = self.table.find(hash, key.suffix(label), &self.arena)?;
            let apex = self.detail_at(slot)?;
            (self.table.slot(slot).zone() == zone && self.details[apex as usize].is(APEX))
                .then(|| owned(key.suffix(label)))
        });
        apex.unwrap_or_else(Name::root)
    }

    /// Writes the records of one name and type, duplicates left out.
    fn push_rrset(&mut self, zone: ZoneId, placed: &[Placed], records: &[Record]) {
        let (_, rtype, first) = placed[0];
        let start = self.rdata.len();
        let mut ttl_s = records[first as usize].ttl_s;
        let mut differ = false;
        let mut count = 0;
        let mut seen = HashSet::new();
        for &(_, _, index) in placed {
            let record = &records[index as usize];
            differ |= record.ttl_s != ttl_s;
            ttl_s = ttl_s.min(record.ttl_s);
            if placed.len() > 1 && !seen.insert(rdata::canonical(rtype, &record.rdata)) {
                continue;
            }
            count += 1;
            self.rdata.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
            self.rdata.extend_from_slice(&record.rdata);
        }
        // Signatures carry the TTLs of what they cover (RFC 4034 3).
        if differ && rtype != rtype::RRSIG {
            let worry = ZoneWorry::TtlsDiffer { rtype, ttl_s };
            self.warn(zone, records[first as usize].owner.wire(), worry);
        }
        let length = (self.rdata.len() - start) as u32;
        self.rrsets.push(RrsetEntry { rtype, ttl_s, count, start: start as u32, length });
    }

    /// What may stand at one name, and what the name thereby is.
    fn check_together(&mut self, zone: ZoneId, origin: &Name, detail: u32) {
        let count = |rtype| {
            let entries = self.rrsets_of(detail);
            entries.iter().find(|entry| entry.rtype == rtype).map_or(0, |entry| entry.count)
        };
        let (cname, dname) = (count(rtype::CNAME), count(rtype::DNAME));
        let (soa, ns) = (count(rtype::SOA), count(rtype::NS));
        let beside_cname = self.rrsets_of(detail).iter().any(|entry| !beside_cname(entry.rtype));
        let apex = self.details[detail as usize].is(APEX);
        let mut faults = Vec::new();
        if cname > 1 {
            faults.push(ZoneFault::SeveralCname);
        }
        if cname > 0 && beside_cname {
            faults.push(ZoneFault::CnameAndOther);
        }
        if dname > 1 {
            faults.push(ZoneFault::SeveralDname);
        }
        if dname > 0 && ns > 0 && !apex {
            faults.push(ZoneFault::DnameAtCut);
        }
        if soa > 1 {
            faults.push(ZoneFault::SeveralSoa);
        }
        if soa > 0 && !apex {
            faults.push(ZoneFault::SoaBelowApex { origin: origin.clone() });
        }
        let name = owned(self.name_of(detail));
        for fault in faults {
            self.error(Subject::Zone(zone), name.wire(), fault);
        }
        let flags = &mut self.details[detail as usize].flags;
        if ns > 0 && !apex {
            *flags |= CUT;
        }
        if dname > 0 {
            *flags |= DNAME;
        }
    }
}

/// What is wrong with a record whatever stands beside it.
fn fault_alone(record: &Record, origin: &Name) -> Option<ZoneFault> {
    if !record.owner.is_at_or_below(origin) {
        return Some(ZoneFault::OutOfZone { origin: origin.clone() });
    }
    if record.ttl_s > TTL_S_MAX {
        return Some(ZoneFault::TtlTooLarge { ttl_s: record.ttl_s });
    }
    let reason = rdata::check(record.rtype, &record.rdata).err()?;
    Some(ZoneFault::BadRdata { rtype: record.rtype, reason })
}

/// CNAME itself, and what DNSSEC puts beside it (RFC 4034 3 and 4, RFC 3007 2.1.4).
fn beside_cname(rtype: u16) -> bool {
    const SIG: u16 = 24;
    const KEY: u16 = 25;
    const NXT: u16 = 30;
    [rtype::CNAME, rtype::RRSIG, rtype::NSEC, SIG, KEY, NXT].contains(&rtype)
}
