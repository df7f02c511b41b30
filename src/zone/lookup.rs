//! The lookup: RFC 1034 4.3.2 step 3 as RFC 4592 and RFC 6672 have it, over one
//! hash table.
//!
//! ```text
//! exact name? ── at or below a cut ──────────────► Referral (DS at the cut: Node)
//!    │yes    ── below a DNAME ───────────────────► Dname
//!    │       ── a WIP ─► Wip   ── empty, under a site ─► Site   ── else ─► Node
//!    │no
//! closest encloser: from the least origin's depth down, while names exist
//!            ── above every origin ──────────────► NotOurs
//!            ── a cut or DNAME at or above it ───► Referral, Dname
//!            ── has a child `*` ─────────────────► as the exact name `*.encloser`,
//!            ── at or under a site's base ───────► Site       but never a Referral
//!            ── else ────────────────────────────► NxDomain
//! ```
//!
//! What covers a name (the topmost cut at or above it, or DNAME above it) was
//! worked out when the table was built, so an exact hit needs nothing else. It
//! must not know which records answer which type: that is the answer's part.

use super::key::{Key, hash_of};
use super::node::{APEX, DNAME, Detail, NONE, Node, SITE_BASE, SITE_STAR, Zone};
use super::table::{Kind, NOT_OURS, Slot};
use super::{Lookup, Outcome, Zones};
use crate::dns::name;

/// Where a name may be: the result of [`Zones::locate`], of use to the same
/// [`Zones`] only. By default: nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Located {
    slot: Option<usize>,
}

impl Located {
    /// Whether a name of this hash exists.
    #[inline]
    pub fn is_found(self) -> bool {
        self.slot.is_some()
    }
}

/// The one type asked of the parent's side of a cut (RFC 4035 3.1.4.1).
const TYPE_DS: u16 = 43;

impl Zones {
    /// What stands at `qname`: wire form, uncompressed, any case. Bytes that
    /// are no name are in no zone. `qtype` matters for DS alone. No allocation,
    /// no lock; at most one probe per label that exists.
    pub fn lookup(&self, qname: &[u8], qtype: u16) -> Lookup<'_> {
        match self.table.find(hash_of(qname), qname, &self.arena) {
            Some(index) => self.hit(self.table.slot(index), qname, qtype),
            None => self.missing(qname),
        }
    }

    /// Ahead of a lookup: reads where a name of this hash would stand, so that it is
    /// near when [`Zones::locate`] looks there. What is returned is to be used somehow,
    /// or the compiler leaves the reading out.
    #[inline]
    pub fn touch(&self, hash: u64) -> u32 {
        self.table.touch(hash)
    }

    /// The first half of a lookup: where a name of this hash is, names not compared.
    #[inline]
    pub fn locate(&self, hash: u64) -> Located {
        Located { slot: self.table.find_tag(hash) }
    }

    /// Reads the name that was located, `length` bytes long, and the first record there,
    /// so that they are near when [`Zones::finish`] and the answer need them; likewise
    /// to be used.
    #[inline]
    pub fn touch_located(&self, located: Located, length: usize) -> u32 {
        let Some(index) = located.slot else { return 0 };
        let slot = self.table.slot(index);
        let byte = |at: usize| u32::from(self.arena.get(at).copied().unwrap_or(0));
        // It may begin on one line and end on the next.
        let name = byte(slot.name as usize) ^ byte(slot.name as usize + length.saturating_sub(1));
        let Some(id) = detail_id(slot) else { return name };
        let first = self.details[id as usize].rrsets_start;
        let data = self.rrsets.get(first as usize).map_or(0, |rrset| rrset.start);
        name ^ u32::from(self.rdata.get(data as usize).copied().unwrap_or(0))
    }

    /// The WIP that [`Zones::finish`] will find, where nothing but it stands there and
    /// the name is the one asked for.
    #[inline]
    pub fn likely_wip(&self, located: Located) -> Option<u32> {
        let slot = self.table.slot(located.slot?);
        (slot.kind() == Kind::Wip).then_some(slot.value)
    }

    /// The second half: the same as [`Zones::lookup`], of the name whose hash was located.
    #[inline]
    pub fn finish(&self, qname: &[u8], located: Located, qtype: u16) -> Lookup<'_> {
        match located.slot {
            Some(index) if self.table.is_name(index, qname, &self.arena) => {
                self.hit(self.table.slot(index), qname, qtype)
            }
            // Another name of the same tag.
            Some(_) => self.lookup(qname, qtype),
            None => self.missing(qname),
        }
    }

    /// The node at `name` (wire form, any case) for additional data: glue below
    /// a cut too. None where there is neither a record nor a WIP.
    pub fn additional(&self, name: &[u8]) -> Option<Node<'_>> {
        let index = self.table.find(hash_of(name), name, &self.arena)?;
        let node = self.node(self.table.slot(index));
        (!node.is_empty() || node.wip().is_some()).then_some(node)
    }

    /// The name exists.
    #[inline]
    fn hit(&self, slot: Slot, qname: &[u8], qtype: u16) -> Lookup<'_> {
        if slot.zone() == NOT_OURS {
            return Lookup::NotOurs;
        }
        if let Some(id) = detail_id(slot) {
            let detail = &self.details[id as usize];
            if qtype == TYPE_DS
                && detail.is(APEX)
                && let Some(found) = self.parent_side(detail, qname)
            {
                return found;
            }
            if detail.cover != NONE && !(qtype == TYPE_DS && detail.cover == id) {
                return self.found(slot, self.covered(detail.cover));
            }
        }
        self.found(slot, self.standing(slot))
    }

    /// The name does not exist.
    fn missing(&self, qname: &[u8]) -> Lookup<'_> {
        // By reference: a key is some hundred bytes, not to be moved.
        match Key::new(qname).as_ref().and_then(|key| self.closest_encloser(key)) {
            Some(slot) => self.miss(slot),
            None => Lookup::NotOurs,
        }
    }

    /// The name does not exist; `slot` is its closest encloser (RFC 4592 3.3.1).
    fn miss(&self, slot: Slot) -> Lookup<'_> {
        if slot.zone() == NOT_OURS {
            return Lookup::NotOurs;
        }
        if let Some(outcome) = self.diverted(slot) {
            return self.found(slot, outcome);
        }
        if slot.has_wildcard_child()
            && let Some(wildcard) = self.wildcard_child(slot)
        {
            return self.found(slot, self.standing(wildcard));
        }
        match detail_id(slot).map(|id| self.details[id as usize].site) {
            Some(site) if site != NONE => {
                let node = Node { rrsets_count: 0, wip: NONE, ..self.node(slot) };
                self.found(slot, Outcome::Site { site, node })
            }
            _ => self.found(slot, Outcome::NxDomain),
        }
    }

    /// DS at the apex of a zone whose parent is ours too: the parent answers
    /// (RFC 4035 3.1.4.1). None when the parent is not ours. A parent that does
    /// not delegate the zone has nothing there, but never denies the name:
    /// resolvers would deny all below it (RFC 8020).
    fn parent_side(&self, apex: &Detail, qname: &[u8]) -> Option<Lookup<'_>> {
        let parent = name::parent(qname)?;
        let index = self.table.find(hash_of(parent), parent, &self.arena)?;
        let parent = self.table.slot(index);
        if parent.zone() == NOT_OURS {
            return None;
        }
        let outcome = self.diverted(parent).unwrap_or_else(|| {
            let side = self.details.get(apex.parent_side as usize);
            let empty = Detail::new(apex.name, usize::from(apex.name_length));
            Outcome::Node(self.node_of(side.unwrap_or(&empty)))
        });
        Some(self.found(parent, outcome))
    }

    /// The lowest ancestor that exists. Ancestors of every name are in the table,
    /// so the search ends at the first that is not.
    fn closest_encloser(&self, key: &Key<'_>) -> Option<Slot> {
        let highest = key.labels().checked_sub(self.origin_labels_min)?;
        let mut encloser = None;
        for label in (1..=highest).rev() {
            let name = key.suffix(label);
            match self.table.find(hash_of(name), name, &self.arena) {
                Some(index) => encloser = Some(self.table.slot(index)),
                None => break,
            }
        }
        encloser
    }

    fn wildcard_child(&self, encloser: Slot) -> Option<Slot> {
        let mut name = [0; 257];
        name[..2].copy_from_slice(b"\x01*");
        let parent = super::key::name_at(&self.arena[encloser.name as usize..]);
        let name = name.get_mut(..2 + parent.len())?;
        name[2..].copy_from_slice(parent);
        let index = self.table.find(hash_of(name), name, &self.arena)?;
        Some(self.table.slot(index))
    }

    /// What a name below `slot` meets instead of authoritative data.
    fn diverted(&self, slot: Slot) -> Option<Outcome<'_>> {
        let id = detail_id(slot)?;
        let detail = &self.details[id as usize];
        if detail.cover != NONE {
            return Some(self.covered(detail.cover));
        }
        detail.is(DNAME).then(|| self.covered(id))
    }

    /// What stands at an authoritative name, or at the wildcard for it.
    #[inline]
    fn standing(&self, slot: Slot) -> Outcome<'_> {
        let node = self.node(slot);
        if node.wip != NONE {
            return Outcome::Wip { wip: node.wip, node };
        }
        if let Some(id) = detail_id(slot) {
            let detail = &self.details[id as usize];
            if detail.site != NONE
                && !detail.is(SITE_BASE)
                && (node.is_empty() || detail.is(SITE_STAR))
            {
                return Outcome::Site { site: detail.site, node };
            }
        }
        Outcome::Node(node)
    }

    fn covered(&self, cover: u32) -> Outcome<'_> {
        let detail = &self.details[cover as usize];
        let node = self.node_of(detail);
        let owner_length = usize::from(detail.name_length);
        if detail.is(super::node::CUT) {
            Outcome::Referral { cut: node, owner_length }
        } else {
            Outcome::Dname { node, owner_length }
        }
    }

    #[inline]
    fn found<'a>(&'a self, slot: Slot, outcome: Outcome<'a>) -> Lookup<'a> {
        let zone: &Zone = &self.zones[slot.zone() as usize];
        Lookup::Found { zone, outcome }
    }

    #[inline]
    pub(super) fn node(&self, slot: Slot) -> Node<'_> {
        let wip = match slot.kind() {
            Kind::Detail => return self.node_of(&self.details[slot.value as usize]),
            Kind::Wip => slot.value,
            Kind::Plain | Kind::Vacant => NONE,
        };
        Node { zones: self, name: slot.name, rrsets_start: 0, rrsets_count: 0, wip }
    }

    #[inline]
    fn node_of(&self, detail: &Detail) -> Node<'_> {
        Node {
            zones: self,
            name: detail.name,
            rrsets_start: detail.rrsets_start,
            rrsets_count: detail.rrsets_count,
            wip: detail.wip,
        }
    }
}

#[inline]
fn detail_id(slot: Slot) -> Option<u32> {
    (slot.kind() == Kind::Detail).then_some(slot.value)
}
