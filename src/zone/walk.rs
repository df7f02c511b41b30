//! All names of one zone, for whoever wants the zone as a whole.
//!
//! Names come in the order of the hash table: a zone's transfer has none to keep. A
//! site's wildcard is told name by name, as RFC 4592 has wildcards, which end at every
//! name that exists. It must not know messages.

use super::node::{APEX, DNAME, NONE, Node, SITE_BASE, SITE_STAR};
use super::table::{Kind, NOT_OURS};
use super::{ZoneId, Zones};
use crate::dns::name;

/// One name of a zone, and all that stands there.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The name and its static records.
    pub node: Node<'a>,
    /// The WIP or alias that owns it.
    pub wip: Option<u32>,
    /// The site whose addresses it has itself.
    pub site: Option<u32>,
    /// The site whose addresses `*` below it has.
    pub site_below: Option<u32>,
    /// It is the apex of a zone below, and its records are the delegation: addresses of
    /// its name servers there are glue here.
    pub is_parent_side: bool,
}

impl Zones {
    /// The first name of `zone` at or behind place `from`, and where to go on.
    pub fn name_from(&self, zone: ZoneId, from: usize) -> Option<(Standing<'_>, usize)> {
        let slots = self.table.slots().get(from..)?;
        for (index, &slot) in (from..).zip(slots) {
            let detail = match slot.kind() {
                Kind::Vacant | Kind::Plain => continue,
                Kind::Wip => None,
                Kind::Detail => self.details.get(slot.value as usize),
            };
            if slot.zone() != zone.0 {
                // Records of ours may stand at the apex of a zone below.
                let side = detail.filter(|apex| apex.is(APEX) && apex.parent_side != NONE);
                if let Some(apex) = side.filter(|_| self.zone_above(slot.name) == zone.0) {
                    let node = self.node_of(&self.details[apex.parent_side as usize]);
                    return Some((Standing::plain(node, true), index + 1));
                }
                continue;
            }
            let node = self.node(slot);
            let mut standing = Standing::plain(node, false);
            standing.wip = node.wip();
            if let Some(detail) =
                detail.filter(|detail| detail.site != NONE && detail.cover == NONE)
            {
                let is_own = !detail.is(SITE_BASE) && node.is_empty() && standing.wip.is_none();
                standing.site = (is_own && !node.is_wildcard()).then_some(detail.site);
                let below = !node.is_wildcard() && !detail.is(DNAME);
                let below = below && (!slot.has_wildcard_child() || self.has_site_star(node));
                standing.site_below = below.then_some(detail.site);
            }
            return Some((standing, index + 1));
        }
        None
    }

    /// Whether `*` below is the site's own, with records of other types.
    fn has_site_star(&self, node: Node<'_>) -> bool {
        let star = [b"\x01*", node.name()].concat();
        let index = self.table.find(super::hash_of(&star), &star, &self.arena);
        let slot = index.map(|index| self.table.slot(index));
        let detail = slot.filter(|slot| slot.kind() == Kind::Detail);
        detail.is_some_and(|slot| self.details[slot.value as usize].is(SITE_STAR))
    }

    /// The zone above the apex whose name starts at `at` in the arena.
    fn zone_above(&self, at: u32) -> u32 {
        let apex = super::key::name_at(&self.arena[at as usize..]);
        let above = name::parent(apex);
        let index =
            above.and_then(|above| self.table.find(super::hash_of(above), above, &self.arena));
        index.map_or(NOT_OURS, |index| self.table.slot(index).zone())
    }
}

impl<'a> Standing<'a> {
    fn plain(node: Node<'a>, is_parent_side: bool) -> Standing<'a> {
        Standing { node, wip: None, site: None, site_below: None, is_parent_side }
    }
}
