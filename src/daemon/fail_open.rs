//! Which WIPs have no member left, and what of that is told.
//!
//! All WIPs are looked at at once, at most once a second and only when something changed: a
//! verdict may be shared by any number of them, so that one loss has no list of those it meets.

use std::collections::BTreeSet;

use crate::admin::types::EventKind;
use crate::snapshot::Serving;
use crate::steer;

/// Most WIPs that are named at one moment: the journal keeps some 1,000 events in all.
const NAMED_MAX: usize = 100;

/// The names of those that have nobody left.
pub(super) fn failing(serving: &Serving) -> BTreeSet<String> {
    let snapshot = &serving.snapshot;
    (0..snapshot.wips.len() as u32)
        .filter(|&wip| steer::nobody_left(serving.words(wip)))
        .map(|wip| snapshot.wip_name(wip))
        .collect()
}

/// What happened between two looks.
pub(super) fn between(before: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<EventKind> {
    let mut events = Vec::new();
    for (active, mut names) in [(true, now.difference(before)), (false, before.difference(now))] {
        let named = names.by_ref().take(NAMED_MAX);
        events.extend(named.map(|wip| EventKind::FailOpen {
            wip: Some(wip.clone()),
            wips: 1,
            active,
        }));
        let wips = names.count() as u64;
        if wips > 0 {
            events.push(EventKind::FailOpen { wip: None, wips, active });
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<usize>) -> BTreeSet<String> {
        range.map(|number| format!("{number:04}")).collect()
    }

    #[test]
    fn what_changed_is_told_and_no_more() {
        let (before, now) = (names(0..2), names(1..3));
        let told =
            |wip: &str, active| EventKind::FailOpen { wip: Some(wip.to_owned()), wips: 1, active };
        assert_eq!(between(&before, &now), [told("0002", true), told("0000", false)]);
        assert_eq!(between(&now, &now), []);
    }

    #[test]
    fn many_at_once_are_counted_behind_the_first() {
        let events = between(&BTreeSet::new(), &names(0..5_000));
        assert_eq!(events.len(), NAMED_MAX + 1);
        let rest = EventKind::FailOpen { wip: None, wips: 4_900, active: true };
        assert_eq!(events.last(), Some(&rest));
    }
}
