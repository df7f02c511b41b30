//! What a change of the book does to members, WIPs and datacenters, health being what
//! it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::dns::types::rtype;
use crate::health::table::Word;
use crate::snapshot::{Serving, Snapshot, WipEntry};
use crate::steer::overlay::{Laid, Overlay};

/// Most WIPs that an [`Effect`] or a broken rule names.
pub const WIPS_NAMED_MAX: usize = 100;

/// What a change does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Effect {
    /// Members of WIPs that the targets match.
    pub members_matched: u64,
    /// Those of which an operator's word changes.
    pub members_changed: u64,
    /// WIPs that have one.
    pub wips_changed: u64,
    /// Datacenters of those members, in the order of the config.
    pub datacenters: Vec<String>,
    /// The first [`WIPS_NAMED_MAX`] of those WIPs.
    pub wips: Vec<WipEffect>,
}

/// What a change does to one WIP.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WipEffect {
    /// Its name.
    pub wip: String,
    /// Members of which an operator's word changes.
    pub members: Vec<String>,
    /// Members available before: one that stands in several pools counts once.
    pub available_before: u64,
    /// And after.
    pub available_after: u64,
}

/// What a change does, and all that the safety rules ask about.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) effect: Effect,
    /// WIPs that would fall below the least allowed.
    pub(super) below: u64,
    /// Names of the first of them.
    pub(super) below_named: Vec<String>,
    /// Those of them that have enough members, but not for clients of either family.
    pub(super) below_by_family: u64,
    /// Datacenters that members are taken out of.
    pub(super) taken: BTreeSet<u32>,
}

/// Compares what is answered under two overlays of one serving.
pub(super) fn measure(
    serving: &Serving,
    before: &Arc<Overlay>,
    after: &Arc<Overlay>,
    min_members: u64,
) -> Measured {
    let mut measured = Measured::default();
    if before == after {
        return measured;
    }
    let snapshot = &serving.snapshot;
    let before = serving.with_overlay(Arc::clone(before));
    let after = serving.with_overlay(Arc::clone(after));
    let mut pair = Pair { before, after, addresses: HashMap::new() };
    let mut datacenters = BTreeSet::new();
    let mut last: Option<(Key, Difference)> = None;
    for (wip, entry) in (0..).zip(&snapshot.wips) {
        let key = pair.key(wip, entry);
        // Neighbours are mostly alike: whole datacenters are, over a million WIPs.
        if last.as_ref().is_none_or(|(known, _)| *known != key) {
            last = Some((key, pair.difference(wip, entry)));
        }
        let Some((_, difference)) = &last else { continue };
        if difference.changed.is_empty() {
            continue;
        }
        measured.effect.members_changed += difference.changed.len() as u64;
        measured.effect.wips_changed += 1;
        datacenters.extend(&difference.datacenters);
        measured.taken.extend(&difference.taken);
        if measured.effect.wips.len() < WIPS_NAMED_MAX {
            measured.effect.wips.push(difference.named(snapshot, wip, entry));
        }
        let is_below = difference.after < difference.before && difference.after < min_members;
        if is_below || difference.loses_family(min_members) {
            measured.below += 1;
            measured.below_by_family += u64::from(!is_below);
            if measured.below_named.len() < WIPS_NAMED_MAX {
                measured.below_named.push(snapshot.wip_name(wip));
            }
        }
    }
    measured.effect.datacenters = named(snapshot, &datacenters);
    measured
}

/// Datacenters with a member of some WIP available.
pub(super) fn in_service(serving: &Serving, overlay: &Arc<Overlay>) -> BTreeSet<u32> {
    let serving = serving.with_overlay(Arc::clone(overlay));
    let snapshot = &serving.snapshot;
    let all = snapshot.config.datacenters.len();
    let mut found = BTreeSet::new();
    let mut last = None;
    for (wip, entry) in (0..).zip(&snapshot.wips) {
        let row = serving.overlay.row(wip, entry.strategy).as_ptr();
        let key = (entry.strategy, entry.verdicts, row);
        if found.len() == all || last == Some(key) {
            continue;
        }
        last = Some(key);
        let words: Vec<bool> = serving.words(wip).map(Word::available).collect();
        let entries = &snapshot.strategy(entry).members;
        let known = snapshot.members_of(entry.strategy);
        for (member, known) in entries.iter().zip(known) {
            let available = member.vips.clone().any(|vip| words[usize::from(vip)]);
            found.extend(known.datacenter.filter(|_| available));
        }
    }
    found
}

/// Names of datacenters, in the order of the config.
pub(super) fn named(snapshot: &Snapshot, ids: &BTreeSet<u32>) -> Vec<String> {
    let datacenters = &snapshot.config.datacenters;
    ids.iter().map(|&id| datacenters[id as usize].name.clone()).collect()
}

//------------ One WIP --------------------------------------------------------

/// What two WIPs share that change alike.
type Key = (u32, u32, *const Laid, *const Laid);

struct Pair {
    before: Serving,
    after: Serving,
    /// For each strategy that was asked about, which members are the same.
    addresses: HashMap<u32, Arc<[u16]>>,
}

/// What changes for one WIP.
#[derive(Debug, Default)]
struct Difference {
    /// Members of which an operator's word changes.
    changed: Vec<u16>,
    /// Their datacenters.
    datacenters: BTreeSet<u32>,
    /// Datacenters whose member is available no more.
    taken: BTreeSet<u32>,
    before: u64,
    after: u64,
    /// The same of those that can be answered to who asks for A, and for AAAA.
    families: [[u64; 2]; 2],
}

impl Pair {
    fn key(&self, wip: u32, entry: &WipEntry) -> Key {
        let row = |serving: &Serving| serving.overlay.row(wip, entry.strategy).as_ptr();
        (entry.strategy, entry.verdicts, row(&self.before), row(&self.after))
    }

    fn difference(&mut self, wip: u32, entry: &WipEntry) -> Difference {
        let row = |serving: &Serving, vip: u16| {
            let row = serving.overlay.row(wip, entry.strategy);
            row.get(usize::from(vip)).copied().unwrap_or_default().over
        };
        let snapshot = Arc::clone(&self.before.snapshot);
        let strategy = snapshot.strategy(entry);
        let said_anew = |vips: &std::ops::Range<u16>| {
            vips.clone().any(|vip| row(&self.before, vip) != row(&self.after, vip))
        };
        let mut difference = Difference::default();
        let changed = (0..).zip(&strategy.members).filter(|(_, entry)| said_anew(&entry.vips));
        difference.changed = changed.map(|(member, _)| member).collect();
        if difference.changed.is_empty() {
            return difference;
        }
        let words =
            |serving: &Serving| -> Vec<bool> { serving.words(wip).map(Word::available).collect() };
        let words = [words(&self.before), words(&self.after)];
        let available = |words: &[bool], counts: &dyn Fn(u16) -> bool| -> Vec<bool> {
            let is_up = |vip: u16| words[usize::from(vip)] && counts(vip);
            strategy.members.iter().map(|entry| entry.vips.clone().any(is_up)).collect()
        };
        let before = available(&words[0], &|_| true);
        let after = available(&words[1], &|_| true);
        let same = self.same_members(entry.strategy);
        difference.before = count(&before, &same);
        difference.after = count(&after, &same);
        difference.families = [rtype::A, rtype::AAAA].map(|family| {
            let is_of = |vip: u16| strategy.vips[usize::from(vip)].record.rtype() == family;
            [0, 1].map(|side| count(&available(&words[side], &is_of), &same))
        });
        let known = snapshot.members_of(entry.strategy);
        for (member, known) in known.enumerate() {
            let Some(datacenter) = known.datacenter else { continue };
            if difference.changed.binary_search(&(member as u16)).is_ok() {
                difference.datacenters.insert(datacenter);
            }
            if before[member] && !after[member] {
                difference.taken.insert(datacenter);
            }
        }
        difference
    }

    /// For each member of a strategy, the first one of the same addresses.
    fn same_members(&mut self, strategy: u32) -> Arc<[u16]> {
        let vips = |range: std::ops::Range<u16>, serving: &Serving| -> BTreeSet<Vec<u8>> {
            let vips = &serving.snapshot.strategies[strategy as usize].vips;
            let record = |vip: u16| &vips[usize::from(vip)].record;
            range.map(|vip| [&[record(vip).rtype() as u8], record(vip).rdata()].concat()).collect()
        };
        let known = self.addresses.entry(strategy).or_insert_with(|| {
            let mut first = HashMap::new();
            let members = &self.before.snapshot.strategies[strategy as usize].members;
            let same = (0..).zip(members).map(|(member, entry)| {
                *first.entry(vips(entry.vips.clone(), &self.before)).or_insert(member)
            });
            same.collect()
        });
        Arc::clone(known)
    }
}

/// How many are available; of those that are the same, one.
fn count(available: &[bool], same: &[u16]) -> u64 {
    let distinct: BTreeSet<u16> =
        available.iter().zip(same).filter(|(is, _)| **is).map(|(_, same)| *same).collect();
    distinct.len() as u64
}

impl Difference {
    /// Whether a family that had as many members as are wanted has them no more: others
    /// that are left are nobody to its clients.
    fn loses_family(&self, min_members: u64) -> bool {
        self.families.iter().any(|[before, after]| *before >= min_members && *after < min_members)
    }

    fn named(&self, snapshot: &Snapshot, wip: u32, entry: &WipEntry) -> WipEffect {
        let names: Vec<&str> =
            snapshot.members_of(entry.strategy).map(|member| member.name.as_str()).collect();
        let mut members: Vec<String> = Vec::with_capacity(self.changed.len());
        for &member in &self.changed {
            let name = names[usize::from(member)];
            if !members.iter().any(|known| known == name) {
                members.push(name.to_owned());
            }
        }
        WipEffect {
            wip: snapshot.wip_name(wip),
            members,
            available_before: self.before,
            available_after: self.after,
        }
    }
}
