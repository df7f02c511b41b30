//! What is said of a member: of all that matches it, the newest.

use super::book::Book;
use super::entry::{Entry, Stage};
use super::pattern::Pattern;
use crate::config::model::{Config, DatacenterId, Member};
use crate::health::table::Override;

/// An entry that matters now or later, ready to be matched.
pub(super) struct Rule<'b> {
    pub(super) entry: &'b Entry,
    datacenter: Option<Pattern>,
    /// None: any WIP.
    pub(super) wip: Option<Pattern>,
    member: Option<Pattern>,
}

/// All rules, newest first, and what they need to be matched.
pub(super) struct Rules<'b> {
    pub(super) rules: Vec<Rule<'b>>,
    datacenter_names: Vec<&'b str>,
}

/// What is said of one member.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) over: Override,
    /// Number of the entry that decides; 0: none does.
    pub(super) by: u64,
    /// When it is taken out, as far as that is known, and the entry that starts or ends then.
    pub(super) leaves: Option<Leaves>,
}

/// A member's leaving: when, and the number of the entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Leaves {
    pub(super) at_s: u64,
    pub(super) by: u64,
}

impl<'b> Rules<'b> {
    pub(super) fn new(config: &'b Config, book: &'b Book) -> Rules<'b> {
        let matters = |entry: &&Entry| !matches!(entry.stage, Stage::Refused { .. });
        let mut rules: Vec<Rule<'b>> = book.entries.iter().filter(matters).map(Rule::new).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.entry.id));
        Rules { rules, datacenter_names: datacenter_names(config) }
    }

    /// What `rules`, in their order, say of a member.
    pub(super) fn said<'r>(
        &'r self,
        rules: impl Iterator<Item = &'r Rule<'b>>,
        member: &Member,
    ) -> Said {
        let datacenter = member.datacenter.map(|id| self.datacenter_name(id));
        let mut said = Said::default();
        let earlier = |said: &mut Said, entry: &Entry, at_s: Option<u64>| {
            let leaves = at_s.map(|at_s| Leaves { at_s, by: entry.id });
            said.leaves = said.leaves.into_iter().chain(leaves).min();
        };
        for rule in rules.filter(|rule| rule.matches(datacenter, &member.name)) {
            let entry = rule.entry;
            if !entry.stage.is_in_force() {
                // It decides once it starts, for nothing newer is said until here.
                if entry.kind.takes_out() {
                    earlier(&mut said, entry, entry.at_s);
                }
                continue;
            }
            (said.over, said.by) = (entry.kind.over(), entry.id);
            if entry.kind.takes_out() {
                said.leaves = None;
            } else {
                // Where it ends, health may say otherwise.
                earlier(&mut said, entry, entry.until_s);
            }
            break;
        }
        said
    }

    fn datacenter_name(&self, id: DatacenterId) -> &'b str {
        self.datacenter_names.get(id as usize).copied().unwrap_or_default()
    }
}

/// Names of the config's datacenters, by their number.
pub(super) fn datacenter_names(config: &Config) -> Vec<&str> {
    config.datacenters.iter().map(|datacenter| datacenter.name.as_str()).collect()
}

impl<'b> Rule<'b> {
    pub(super) fn new(entry: &'b Entry) -> Rule<'b> {
        let pattern = |text: &Option<String>| {
            text.as_deref().map(Pattern::new).filter(|pattern| !pattern.is_everything())
        };
        // "Any datacenter" is none that is left out: an address of its own has none.
        let datacenter = entry.target.datacenter.as_deref().map(Pattern::new);
        let wip = pattern(&entry.target.wip);
        Rule { entry, datacenter, wip, member: pattern(&entry.target.member) }
    }

    /// Whether it means a member of that name, in a WIP that it means.
    pub(super) fn matches(&self, datacenter: Option<&str>, member: &str) -> bool {
        let there = match (&self.datacenter, datacenter) {
            (None, _) => true,
            (Some(pattern), Some(name)) => pattern.matches(name),
            (Some(_), None) => false,
        };
        there && self.member.as_ref().is_none_or(|pattern| pattern.matches(member))
    }
}
