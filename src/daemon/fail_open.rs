//! Which WIPs have no member left, and what of that is told.
//!
//! All WIPs are looked at at once, at most once a second and only when something changed: a
//! verdict may be shared by any number of them, so that one loss has no list of those it meets.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::admin::types::{Event, EventKind};
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

/// What was told of it last.
#[derive(Debug, Default)]
pub(super) struct Told {
    failing: BTreeSet<String>,
    /// Of those that another process told of, so many have no names here.
    unnamed: u64,
}

impl Told {
    /// By the events up to `after`, which another process told.
    pub(super) fn of(events: &[Arc<Event>], after: u64) -> Told {
        let mut told = Told::default();
        for event in events.iter().take_while(|event| event.id <= after) {
            match &event.what {
                EventKind::FailOpen { wip: Some(wip), active: true, .. } => {
                    told.failing.insert(wip.clone());
                }
                EventKind::FailOpen { wip: Some(wip), active: false, .. } => {
                    // One of those without names, where it is not known.
                    let is_named = told.failing.remove(wip);
                    told.unnamed = told.unnamed.saturating_sub(u64::from(!is_named));
                }
                EventKind::FailOpen { wip: None, wips, active: true } => told.unnamed += wips,
                EventKind::FailOpen { wip: None, wips, active: false } => {
                    told.unnamed = told.unnamed.saturating_sub(*wips);
                }
                _ => {}
            }
        }
        told
    }

    /// What is to be told now that these have nobody left.
    pub(super) fn now(&mut self, found: BTreeSet<String>) -> Vec<EventKind> {
        // Those without names are among the ones found, as far as there are any.
        let unnamed = usize::try_from(std::mem::take(&mut self.unnamed)).unwrap_or(usize::MAX);
        let known: Vec<String> = found.difference(&self.failing).take(unnamed).cloned().collect();
        self.failing.extend(known);
        let events = between(&self.failing, &found);
        self.failing = found;
        events
    }
}

/// What happened between two looks.
fn between(before: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<EventKind> {
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
    fn what_another_process_told_is_not_told_again_and_its_end_is() {
        let event = |id, wip: Option<&str>, wips, active| {
            let wip = wip.map(str::to_owned);
            Arc::new(Event { id, at_us: 0, what: EventKind::FailOpen { wip, wips, active } })
        };
        let events = [
            event(1, Some("0000"), 1, true),
            event(2, Some("0001"), 1, true),
            event(3, Some("0000"), 1, false),
            event(4, Some("0002"), 1, true),
            event(5, None, 2, true),
            event(6, Some("0000"), 1, true),
        ];
        let mut told = Told::of(&events, 5);
        let ended = EventKind::FailOpen { wip: Some("0001".to_owned()), wips: 1, active: false };
        assert_eq!(told.now(names(2..5)), [ended]);
        assert_eq!(told.now(names(2..5)), []);
    }

    #[test]
    fn many_at_once_are_counted_behind_the_first() {
        let events = between(&BTreeSet::new(), &names(0..5_000));
        assert_eq!(events.len(), NAMED_MAX + 1);
        let rest = EventKind::FailOpen { wip: None, wips: 4_900, active: true };
        assert_eq!(events.last(), Some(&rest));
    }
}
