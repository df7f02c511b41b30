//! Who must be judged again when something changes: compiled once per plan.
//!
//! It must not know states; it is made of indices alone.

use std::collections::HashMap;

use super::check::ProbeKind;
use super::plan::{Plan, Target, TargetId, VerdictId};

/// Lists of `u32` by index, in two flat arrays.
#[derive(Debug, Default)]
struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// From (list, item) pairs; a pair given twice counts once.
    fn new(count: usize, mut pairs: Vec<(u32, u32)>) -> Lists {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0_u32; count + 1];
        for (list, _) in &pairs {
            starts[*list as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        Lists { starts, items: pairs.into_iter().map(|(_, item)| item).collect() }
    }

    fn of(&self, list: u32) -> &[u32] {
        &self.items[self.starts[list as usize] as usize..self.starts[list as usize + 1] as usize]
    }
}

/// The plan's edges, turned around.
#[derive(Debug, Default)]
pub(super) struct Links {
    of_target: Lists,
    of_gate: Lists,
    siblings: Lists,
}

impl Links {
    pub(super) fn new(plan: &Plan) -> Links {
        let mut of_target = Vec::new();
        let mut of_gate = Vec::new();
        for (id, verdict) in (0..).zip(&plan.verdicts) {
            of_target.extend(verdict.targets.iter().map(|target| (*target, id)));
            of_gate.extend(verdict.gate.map(|gate| (gate, id)));
        }
        Links {
            of_target: Lists::new(plan.targets.len(), of_target),
            of_gate: Lists::new(plan.verdicts.len(), of_gate),
            siblings: Lists::new(plan.targets.len(), siblings(&plan.targets)),
        }
    }

    /// Verdicts that hold target `id`.
    pub(super) fn of_target(&self, id: TargetId) -> &[VerdictId] {
        self.of_target.of(id)
    }

    /// Verdicts gated by verdict `id`.
    pub(super) fn of_gate(&self, id: VerdictId) -> &[VerdictId] {
        self.of_gate.of(id)
    }

    /// The same probe of the same member in the other address family.
    pub(super) fn siblings(&self, id: TargetId) -> &[TargetId] {
        self.siblings.of(id)
    }
}

fn siblings(targets: &[Target]) -> Vec<(TargetId, TargetId)> {
    type Key<'a> = (&'a ProbeKind, &'a str, Option<&'a str>);
    let mut groups: HashMap<Key<'_>, Vec<TargetId>> = HashMap::new();
    for (id, target) in (0..).zip(targets) {
        let key = (&target.identity.probe, target.member.as_str(), target.wip.as_deref());
        groups.entry(key).or_default().push(id);
    }
    let ip = |id: &TargetId| targets[*id as usize].identity.address.ip();
    let mut pairs = Vec::new();
    for group in groups.values() {
        // What the system resolves has no family of its own.
        let (six, four): (Vec<TargetId>, Vec<TargetId>) = group
            .iter()
            .filter(|id| ip(id).is_some())
            .partition(|id| ip(id).is_some_and(|address| address.is_ipv6()));
        for &six in &six {
            pairs.extend(four.iter().flat_map(|&four| [(six, four), (four, six)]));
        }
    }
    pairs
}
