//! Counts of changes of health. They are few beside queries, so a lock is
//! cheap.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most (WIP, member, to) that are counted by name. Later ones share
/// [`OTHERS`]; only a config far above the bound of series per WIP comes here.
pub const TRANSITIONS_MAX: usize = 65_536;
/// The label of what is counted together because there are too many.
pub const OTHERS: &str = "(others)";

/// What a probed state changed to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TransitionTo {
    /// No verdict any more.
    Unknown,
    /// Passing.
    Up,
    /// Failing.
    Down,
}

impl TransitionTo {
    /// The `to` label.
    pub fn label(self) -> &'static str {
        match self {
            TransitionTo::Unknown => "unknown",
            TransitionTo::Up => "up",
            TransitionTo::Down => "down",
        }
    }
}

/// Counts changes of health by WIP and member.
#[derive(Debug, Default)]
pub struct TransitionCounters {
    counts: Mutex<BTreeMap<(String, String, TransitionTo), u64>>,
}

impl TransitionCounters {
    /// A target changed. `wip` is empty for a datacenter's own check.
    pub fn record(&self, wip: &str, member: &str, to: TransitionTo) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (wip.to_owned(), member.to_owned(), to);
        let known = counts.contains_key(&key) || counts.len() < TRANSITIONS_MAX;
        let key = if known { key } else { (OTHERS.to_owned(), OTHERS.to_owned(), to) };
        *counts.entry(key).or_insert(0) += 1;
    }

    /// Forgets those that `keep` does not want, after a reload took their WIP or
    /// member away.
    pub fn retain(&self, mut keep: impl FnMut(&str, &str) -> bool) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|(wip, member, _), _| keep(wip, member));
    }

    /// Gives each count to `emit`: WIP, member, new state, how often.
    pub fn each(&self, mut emit: impl FnMut(&str, &str, TransitionTo, u64)) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for ((wip, member, to), count) in counts.iter() {
            emit(wip, member, *to, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(transitions: &TransitionCounters) -> Vec<(String, u64)> {
        let mut list = Vec::new();
        transitions.each(|wip, member, to, count| {
            list.push((format!("{wip}/{member}/{}", to.label()), count));
        });
        list
    }

    #[test]
    fn ever_new_names_are_bounded_and_none_is_lost() {
        let transitions = TransitionCounters::default();
        for number in 0..TRANSITIONS_MAX + 10 {
            transitions.record(&number.to_string(), "fra", TransitionTo::Down);
        }
        let list = all(&transitions);
        assert_eq!(list.len(), TRANSITIONS_MAX + 1);
        assert_eq!(list[0], ("(others)/(others)/down".to_owned(), 10));
    }

    #[test]
    fn what_a_reload_took_away_is_forgotten_and_the_rest_counts_on() {
        let transitions = TransitionCounters::default();
        for wip in ["old.example", "shop.example", "shop.example"] {
            transitions.record(wip, "fra", TransitionTo::Up);
        }
        transitions.retain(|wip, _| wip != "old.example");
        transitions.record("shop.example", "fra", TransitionTo::Up);
        assert_eq!(all(&transitions), [("shop.example/fra/up".to_owned(), 3)]);
    }
}
