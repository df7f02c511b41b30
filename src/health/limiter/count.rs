//! How much of each datacenter is lost, counted as it changes.
//!
//! It must not know when a target is marked, or why.

use std::collections::{HashMap, HashSet};

use super::super::check::ProbeKind;
use super::super::plan::{Plan, TargetId};
use super::DatacenterLoss;

/// A group that a target does not have.
const NO_GROUP: u32 = u32::MAX;
/// The group of all that is counted.
const ALL: usize = 0;

/// Targets of one datacenter, or all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    datacenter: Option<u32>,
    pub targets: u32,
    /// Not DOWN.
    pub eligible: u32,
    /// Marked and DOWN.
    pub out: u32,
    /// Marked and not DOWN.
    pub held: u32,
}

impl Group {
    /// What was not DOWN before.
    fn counted(&self) -> u32 {
        self.eligible + self.out
    }

    fn lost(&self) -> u32 {
        self.out + self.held
    }

    fn over(&self, fraction: f64) -> bool {
        self.lost() > 0 && f64::from(self.lost()) > fraction * f64::from(self.counted())
    }
}

/// All that is counted, and each datacenter by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    fraction: f64,
    /// All, then one for each datacenter.
    groups: Vec<Group>,
    /// Targets of all datacenters.
    in_datacenters: u32,
    /// Datacenters with anything counted, and those of them over the fraction.
    live: u32,
    over: u32,
    /// Index into `groups` for each target's datacenter.
    group_of: Vec<u32>,
    /// Whether a target can be counted at all.
    countable: Vec<bool>,
    /// Whether it is counted now.
    counted: Vec<bool>,
}

impl Groups {
    pub(super) fn new(plan: &Plan, eligible: impl Fn(TargetId) -> bool) -> Groups {
        let count = plan.targets.len();
        let mut groups = Groups {
            fraction: plan.limiter.max_down_fraction,
            groups: vec![Group::default()],
            group_of: vec![NO_GROUP; count],
            countable: vec![false; count],
            counted: vec![false; count],
            ..Groups::default()
        };
        let references: HashSet<TargetId> = plan.references.iter().copied().collect();
        let mut by_datacenter = HashMap::new();
        for (id, target) in (0..).zip(&plan.targets) {
            // What needs no network says nothing about it.
            let local = matches!(target.identity.probe, ProbeKind::Always | ProbeKind::File(_));
            if local || references.contains(&id) {
                continue;
            }
            groups.countable[id as usize] = true;
            if let Some(datacenter) = target.datacenter {
                let next = groups.groups.len() as u32;
                let group = *by_datacenter.entry(datacenter).or_insert(next);
                if group == next {
                    let datacenter = Some(datacenter);
                    groups.groups.push(Group { datacenter, ..Group::default() });
                }
                groups.group_of[id as usize] = group;
            }
            groups.count(id, true, eligible(id));
        }
        groups
    }

    /// Counts target `id`, which is unmarked, from now on or no more, if it is not so.
    pub(super) fn count(&mut self, id: TargetId, counts: bool, eligible: bool) {
        let wanted = counts && self.countable[id as usize];
        if std::mem::replace(&mut self.counted[id as usize], wanted) == wanted {
            return;
        }
        let add = |number: &mut u32, by: bool| match wanted {
            true => *number += u32::from(by),
            false => *number -= u32::from(by),
        };
        add(&mut self.in_datacenters, self.group_of[id as usize] != NO_GROUP);
        self.change(id, |group| {
            add(&mut group.targets, true);
            add(&mut group.eligible, eligible);
        });
    }

    /// Whether target `id` is counted.
    pub(super) fn counts(&self, id: TargetId) -> bool {
        self.counted[id as usize]
    }

    /// All that is counted.
    pub(super) fn all(&self) -> &Group {
        &self.groups[ALL]
    }

    /// Whether more than the fraction of every datacenter is lost; none where only one
    /// is left that could be.
    pub(super) fn every_datacenter_over(&self, targets_min: u32) -> Option<bool> {
        (self.live >= 2).then_some(self.over == self.live && self.in_datacenters >= targets_min)
    }

    /// Whether more than the fraction of all is lost.
    pub(super) fn all_over(&self, targets_min: u32) -> bool {
        self.all().over(self.fraction) && self.all().targets >= targets_min
    }

    /// Changes every group of target `id`.
    pub(super) fn change(&mut self, id: TargetId, change: impl Fn(&mut Group)) {
        self.change_group(ALL, &change);
        let group = self.group_of[id as usize];
        if group != NO_GROUP {
            self.change_group(group as usize, &change);
        }
    }

    /// Nothing is lost any more: what is DOWN was DOWN before.
    pub(super) fn forget_losses(&mut self) {
        for index in 0..self.groups.len() {
            self.change_group(index, |group| (group.out, group.held) = (0, 0));
        }
    }

    pub(super) fn datacenters(&self) -> Vec<DatacenterLoss> {
        let datacenters = self.groups.iter().filter_map(|group| {
            let (counted, lost) = (group.counted(), group.lost());
            Some(DatacenterLoss {
                datacenter: group.datacenter?,
                targets: group.targets,
                counted,
                lost,
                share: f64::from(lost) / f64::from(counted.max(1)),
            })
        });
        datacenters.collect()
    }

    fn change_group(&mut self, index: usize, change: impl Fn(&mut Group)) {
        let fraction = self.fraction;
        let group = &mut self.groups[index];
        let state =
            |group: &Group| (u32::from(group.counted() > 0), u32::from(group.over(fraction)));
        let (live, over) = state(group);
        change(group);
        let (live_now, over_now) = state(group);
        if index != ALL {
            self.live = self.live + live_now - live;
            self.over = self.over + over_now - over;
        }
    }
}
