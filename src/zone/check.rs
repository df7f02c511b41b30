//! Checks that need lookups in the finished zones: targets that are aliases or
//! have no address, delegations without glue, children their parents do not
//! know. All are warnings: other servers load such zones too.

use super::key::Key;
use super::node::{APEX, CUT, Detail, NONE, ZoneId};
use super::place::owned;
use super::rdata::{self, rtype};
use super::table::{Kind, NOT_OURS};
use super::{Lookup, Node, Outcome, Rrset, ZoneWarning, ZoneWorry, Zones};
use crate::dns::name;

/// Everything odd about the zones.
pub(super) fn worries(zones: &Zones) -> Vec<ZoneWarning> {
    let mut worries = Vec::new();
    for &slot in zones.table.slots() {
        if slot.kind() != Kind::Detail || slot.zone() == NOT_OURS {
            continue;
        }
        let detail = &zones.details[slot.value as usize];
        let node = zones.node(slot);
        let zone = ZoneId(slot.zone());
        if detail.is(APEX) {
            worries.extend(not_delegated(zones, zone, detail, node));
        }
        if detail.cover != NONE && detail.cover != slot.value {
            continue;
        }
        for rtype in [rtype::NS, rtype::MX, rtype::SRV] {
            let Some(rrset) = node.rrset(rtype) else { continue };
            if detail.is(CUT) && rtype != rtype::NS {
                continue;
            }
            for worry in targets(zones, node, rrset) {
                worries.push(ZoneWarning { zone, name: owned(node.name()), worry });
            }
        }
    }
    worries
}

/// A child zone in one of ours that has no NS records for it.
fn not_delegated(
    zones: &Zones,
    zone: ZoneId,
    apex: &Detail,
    node: Node<'_>,
) -> Option<ZoneWarning> {
    let above = name::parent(node.name())?;
    let key = Key::new(above)?;
    let index = zones.table.find(key.hash(), above, &zones.arena)?;
    let parent = zones.table.slot(index).zone();
    if parent == NOT_OURS {
        return None;
    }
    let side = zones.details.get(apex.parent_side as usize);
    if side.is_some_and(|side| side.is(CUT)) {
        return None;
    }
    let parent = zones.zones[parent as usize].origin().clone();
    let worry = ZoneWorry::NotDelegated { parent };
    Some(ZoneWarning { zone, name: owned(node.name()), worry })
}

/// What is odd about the targets of one RRset.
fn targets(zones: &Zones, node: Node<'_>, rrset: Rrset<'_>) -> Vec<ZoneWorry> {
    let rtype = rrset.rtype();
    let mut worries = Vec::new();
    for rdata in rrset.rdatas() {
        let Some(target) = rdata::target(rtype, rdata) else { continue };
        // "." says that there is no such service (RFC 2782, RFC 7505).
        if target == [0] {
            continue;
        }
        let named = || owned(target);
        let Lookup::Found { outcome, .. } = zones.lookup(target, rtype::A) else { continue };
        match outcome {
            Outcome::Node(at) if at.rrset(rtype::CNAME).is_some() => {
                worries.push(ZoneWorry::TargetIsAlias { rtype, target: named() });
            }
            Outcome::Dname { .. } => {
                worries.push(ZoneWorry::TargetIsAlias { rtype, target: named() });
            }
            Outcome::Node(at) if !has_address(at) => {
                worries.push(ZoneWorry::TargetWithoutAddress { rtype, target: named() });
            }
            Outcome::NxDomain => {
                worries.push(ZoneWorry::TargetWithoutAddress { rtype, target: named() });
            }
            Outcome::Referral { cut, .. }
                if cut.name() == node.name()
                    && !zones.additional(target).is_some_and(has_address) =>
            {
                worries.push(ZoneWorry::MissingGlue { target: named() });
            }
            _ => {}
        }
    }
    worries
}

fn has_address(node: Node<'_>) -> bool {
    node.rrset(rtype::A).is_some() || node.rrset(rtype::AAAA).is_some()
}
