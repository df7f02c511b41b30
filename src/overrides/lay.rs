//! From what is said to what queries read: an overlay of the snapshot's VIPs.
//!
//! ```text
//! rules without a WIP ─► one row for each strategy
//! rules with one ──────► the WIPs they match, in groups that the same rules match
//!                          └─► one row for each (strategy, group), with all rules
//! ```
//!
//! So a drained datacenter costs as much as there are strategies, and a WIP that is named
//! costs one look at every WIP's name.

use std::collections::{HashMap, HashSet};

use super::book::Book;
use super::entry::Stage;
use super::rules::{Rule, Rules, Said};
use super::wips::matching;
use crate::snapshot::Snapshot;
use crate::steer::overlay::{Builder, Laid, Overlay};
use crate::steer::strategy::Strategy;

/// How soon the end of an override is tried again that the safety rules forbid.
pub const RETRY_S: u64 = 5;

/// A book as it stands at a moment, laid over a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// For queries.
    pub overlay: Overlay,
    /// When it would be another, unless the book changes: unix seconds. Then
    /// [`tick`](super::tick) is due, and the overlay to be compiled anew.
    pub next_change_s: Option<u64>,
    /// Who decides.
    pub deciders: Deciders,
    /// Numbers of the planned entries for which some answers have short TTLs already.
    pub announced: HashSet<u64>,
}

/// Which entry decides of each member.
#[derive(Clone, Debug, Default)]
pub struct Deciders {
    rows: Vec<Box<[u64]>>,
    by_strategy: Vec<u32>,
    by_wip: HashMap<u32, u32>,
    counts: HashMap<u64, u64>,
}

impl Deciders {
    /// Number of the entry that decides of a member of a WIP, by its place in the WIP's
    /// strategy; none: health does.
    pub fn of(&self, wip: u32, strategy: u32, member: usize) -> Option<u64> {
        let row = self.by_wip.get(&wip).or_else(|| self.by_strategy.get(strategy as usize))?;
        self.rows.get(*row as usize)?.get(member).copied().filter(|&id| id > 0)
    }

    /// Of how many members of WIPs an entry decides.
    pub fn count(&self, id: u64) -> u64 {
        self.counts.get(&id).copied().unwrap_or(0)
    }
}

/// Lays a book over a snapshot as it stands at `now_s`.
pub fn overlay(snapshot: &Snapshot, book: &Book, now_s: u64) -> Compiled {
    let rules = Rules::new(&snapshot.config, book);
    if rules.rules.is_empty() {
        return Compiled::default();
    }
    let layer = Layer { snapshot, rules: &rules, now_s };
    let mut out = Out { next_change_s: next_step_s(book, now_s), ..Out::default() };
    let groups = layer.lay_wips(&mut out);
    layer.lay_strategies(&groups, &mut out);
    Compiled {
        overlay: out.overlay.build(),
        next_change_s: out.next_change_s,
        deciders: out.deciders,
        announced: out.announced,
    }
}

/// When the next entry starts or ends.
fn next_step_s(book: &Book, now_s: u64) -> Option<u64> {
    let step = |entry: &super::Entry| match entry.stage {
        Stage::Planned => entry.at_s,
        Stage::InForce => entry.until_s,
        Stage::Refused { .. } => None,
        Stage::Overdue { .. } => Some(now_s + RETRY_S),
    };
    book.entries.iter().filter_map(step).min()
}

//------------ Layer ----------------------------------------------------------

struct Layer<'s> {
    snapshot: &'s Snapshot,
    rules: &'s Rules<'s>,
    now_s: u64,
}

#[derive(Default)]
struct Out {
    overlay: Builder,
    deciders: Deciders,
    next_change_s: Option<u64>,
    announced: HashSet<u64>,
}

/// What is said of one strategy's members.
struct Row {
    laid: Box<[Laid]>,
    /// Index into [`Deciders::rows`].
    deciders: u32,
    /// Numbers of the entries that decide, and of how many members.
    counts: Vec<(u64, u64)>,
}

/// How many WIPs of each strategy have a row of their own.
type OwnRows = HashMap<u32, u64>;

impl Layer<'_> {
    /// Rows of the WIPs that some rule names.
    fn lay_wips(&self, out: &mut Out) -> OwnRows {
        let named = (0..).zip(&self.rules.rules);
        let named = named.filter_map(|(index, rule)| Some((index, rule.wip.as_ref()?)));
        let pairs = matching(&self.snapshot.config.wips, named);
        let mut own = OwnRows::new();
        let mut groups: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut rows: HashMap<(u32, u32), Row> = HashMap::new();
        let mut group = Vec::new();
        for pairs in pairs.chunk_by(|a, b| a.0 == b.0) {
            let wip = pairs[0].0;
            group.clear();
            group.extend(pairs.iter().map(|&(_, rule)| rule));
            let known = groups.get(&group).copied();
            let number = known.unwrap_or_else(|| {
                let number = groups.len() as u32;
                groups.insert(group.clone(), number);
                number
            });
            let strategy = self.snapshot.wips[wip as usize].strategy;
            *own.entry(strategy).or_default() += 1;
            let row = rows.entry((strategy, number)).or_insert_with(|| {
                let applies = |(index, rule): &(u32, &Rule<'_>)| {
                    rule.wip.is_none() || group.binary_search(index).is_ok()
                };
                self.row(strategy, applies, out)
            });
            out.overlay.of_wip(wip, &row.laid);
            out.deciders.by_wip.insert(wip, row.deciders);
            out.count(row, 1);
        }
        own
    }

    /// Rows of all other WIPs.
    fn lay_strategies(&self, own: &OwnRows, out: &mut Out) {
        if self.rules.rules.iter().all(|rule| rule.wip.is_some()) {
            return;
        }
        let mut wips = vec![0; self.snapshot.strategies.len()];
        for entry in &self.snapshot.wips {
            wips[entry.strategy as usize] += 1;
        }
        for (strategy, wips) in (0..).zip(wips) {
            let others = wips - own.get(&strategy).copied().unwrap_or(0);
            let row = self.row(strategy, |(_, rule)| rule.wip.is_none(), out);
            out.overlay.of_strategy(strategy, &row.laid);
            out.deciders.by_strategy.push(row.deciders);
            out.count(&row, others);
        }
    }

    /// What the rules that apply say of a strategy's members.
    fn row(
        &self,
        strategy_index: u32,
        applies: impl Fn(&(u32, &Rule<'_>)) -> bool,
        out: &mut Out,
    ) -> Row {
        let strategy = &self.snapshot.strategies[strategy_index as usize];
        let rules: Vec<&Rule<'_>> =
            (0..).zip(&self.rules.rules).filter(applies).map(|(_, rule)| rule).collect();
        let mut laid = vec![Laid::default(); strategy.vips.len()];
        let mut by = Vec::with_capacity(strategy.members.len());
        let known = self.snapshot.members_of(strategy_index);
        for (entry, member) in strategy.members.iter().zip(known) {
            let said = self.rules.said(rules.iter().copied(), member);
            let leaves_soon = self.leaves_soon(said, strategy, out);
            let own = Laid { over: said.over, leaves_soon, ..Laid::default() };
            laid[usize::from(entry.vips.start)..usize::from(entry.vips.end)].fill(own);
            by.push(said.by);
        }
        let mut counts: HashMap<u64, u64> = HashMap::new();
        by.iter().filter(|&&id| id > 0).for_each(|&id| *counts.entry(id).or_default() += 1);
        out.deciders.rows.push(by.into());
        let deciders = (out.deciders.rows.len() - 1) as u32;
        Row { laid: laid.into(), deciders, counts: counts.into_iter().collect() }
    }

    /// Whether answers that name a member would outlive its leaving.
    fn leaves_soon(&self, said: Said, strategy: &Strategy, out: &mut Out) -> bool {
        let Some(leaves) = said.leaves else { return false };
        let from_s = leaves.at_s.saturating_sub(u64::from(strategy.ttl_s));
        if self.now_s < from_s {
            out.next_change_s = Some(out.next_change_s.map_or(from_s, |next| next.min(from_s)));
            return false;
        }
        out.announced.insert(leaves.by);
        true
    }
}

impl Out {
    fn count(&mut self, row: &Row, wips: u64) {
        for (id, members) in &row.counts {
            *self.deciders.counts.entry(*id).or_default() += members * wips;
        }
    }
}
