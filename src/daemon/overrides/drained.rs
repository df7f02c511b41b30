//! When the last answer that names a member taken out has expired.
//!
//! Each entry has a moment for the members that it decides of. One that has none although
//! it is in force is still answered somewhere: a drained member is, where nobody else is
//! available.
//!
//! It must not know who took it out, or what resolvers do that keep answers for longer than
//! they may.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::health::table::{Override, Word};
use crate::overrides::{Compiled, Deciders};
use crate::snapshot::{Serving, Snapshot, WipEntry};
use crate::steer::Families;
use crate::steer::overlay::{Laid, Overlay};
use crate::steer::strategy::{Row, Strategy};

/// An answer of the last moment of a second lives into the next one.
const ROUNDING_S: u64 = 1;

/// A change of what is laid over members.
pub(super) struct Change<'c> {
    /// What was served before it.
    pub(super) before: &'c Serving,
    /// Who decided then.
    pub(super) deciders: &'c Deciders,
    /// The moments known then, by the entries' numbers.
    pub(super) known: &'c BTreeMap<u64, u64>,
    /// What is laid instead.
    pub(super) after: &'c Compiled,
    /// The second in which the last answer of before is given.
    pub(super) now_s: u64,
    /// How long answers of before live.
    pub(super) lifetimes: &'c Lifetimes,
}

/// How long answers live that were given in a past that the config no longer tells of.
#[derive(Clone, Debug, Default)]
pub(super) struct Lifetimes {
    /// When the last answer has expired that was given under a longer TTL than now, before
    /// a reload.
    older_until_s: u64,
    /// For each TTL, when one of the WIPs that have it last began to answer with the least
    /// one, because a member leaves soon.
    short_since_s: BTreeMap<u32, u64>,
}

impl Lifetimes {
    /// Notes what is announced in `next` and was not in `last`, as of the second of the
    /// swap; `last` none: what was served before is of another config.
    pub(super) fn announce(&mut self, last: Option<&Overlay>, next: &Serving, now_s: u64) {
        let soon = |row: &[Laid], vip: usize| row.get(vip).is_some_and(|laid| laid.leaves_soon);
        for (wip, entry) in (0..).zip(&next.snapshot.wips) {
            let row = next.overlay.row(wip, entry.strategy);
            let was = last.map_or(&[][..], |last| last.row(wip, entry.strategy));
            if (0..row.len()).any(|vip| soon(row, vip) && !soon(was, vip)) {
                self.short_since_s.insert(next.snapshot.strategy(entry).ttl_s, now_s);
            }
        }
    }

    /// Notes that a config took another's place in which the greatest TTL that was lowered
    /// was `ttl_s`.
    pub(super) fn lowered(&mut self, ttl_s: u32, now_s: u64) {
        self.older_until_s = self.older_until_s.max(now_s + u64::from(ttl_s) + ROUNDING_S);
    }
}

/// The greatest TTL of a WIP that has a lower one in another config.
pub(super) fn greatest_lowered_ttl_s(old: &Snapshot, new: &Snapshot) -> Option<u32> {
    let least_s = new.strategies.iter().map(|strategy| strategy.ttl_s).min().unwrap_or(u32::MAX);
    let greatest_s = old.strategies.iter().map(|strategy| strategy.ttl_s).max().unwrap_or(0);
    if greatest_s <= least_s {
        return None;
    }
    let matched = old.config.wips.matched(&new.config.wips);
    let runs = matched
        .runs
        .iter()
        .flat_map(|run| (run.start..).zip(run.other..).take(run.length as usize));
    // Few, and most of them are new or gone.
    let elsewhere: HashMap<&[u8], u32> =
        matched.other_rest.iter().map(|&wip| (new.config.wips.name(wip), wip)).collect();
    let moved = matched
        .rest
        .iter()
        .filter_map(|&wip| Some((wip, *elsewhere.get(old.config.wips.name(wip))?)));
    let lowered = runs.chain(moved).filter_map(|(was, is)| {
        let ttl_s = |snapshot: &Snapshot, wip: u32| {
            Some(snapshot.strategy(snapshot.wips.get(wip as usize)?).ttl_s)
        };
        let (was_s, is_s) = (ttl_s(old, was)?, ttl_s(new, is)?);
        (was_s > is_s).then_some(was_s)
    });
    lowered.max()
}

impl Change<'_> {
    /// Notes the moments of the entries that decide of more members than before.
    pub(super) fn note(&self, drained_at_s: &mut BTreeMap<u64, u64>) {
        for (id, drained_s) in self.moments() {
            match drained_s {
                Some(drained_s) => drained_at_s.insert(id, drained_s),
                None => drained_at_s.remove(&id),
            };
        }
    }

    /// By entry; none: some member that it drains is answered still.
    fn moments(&self) -> BTreeMap<u64, Option<u64>> {
        let snapshot = &self.before.snapshot;
        let mut moments = BTreeMap::new();
        for (wip, entry) in (0..).zip(&snapshot.wips) {
            let rows = [&self.before.overlay, &self.after.overlay]
                .map(|overlay| overlay.row(wip, entry.strategy));
            if rows[1].is_empty() {
                continue;
            }
            let strategy = snapshot.strategy(entry);
            let mut words = None;
            for (index, member) in strategy.members.iter().enumerate() {
                // What is said of a member is said of each of its VIPs.
                let vip = usize::from(member.vips.start);
                let [was, laid] = rows.map(|row| row.get(vip).copied().unwrap_or_default());
                let decider = self.after.deciders.of(wip, entry.strategy, index);
                let Some(id) = decider.filter(|_| takes_out(laid)) else { continue };
                let by = self.deciders.of(wip, entry.strategy, index);
                if by == Some(id) && takes_out(was) {
                    continue;
                }
                let [before, after] =
                    words.get_or_insert_with(|| rows.map(|row| self.words(entry, row)));
                let is_answered = |words: &[Word], laid: Laid| {
                    laid.over == Override::Drained
                        && is_last_resort(strategy, words, member.vips.clone())
                };
                let out_by = by.filter(|_| takes_out(was) && !is_answered(before, was));
                let moment = match is_answered(after, laid) {
                    true => None,
                    false => Some(self.expired_s(strategy, was, out_by)),
                };
                let known = moments.entry(id).or_insert(moment);
                *known = known.zip(moment).map(|(one, other)| one.max(other));
            }
        }
        moments
    }

    /// When the last answer that names a member has expired. `out_by` is who had it out of
    /// all answers already.
    fn expired_s(&self, strategy: &Strategy, was: Laid, out_by: Option<u64>) -> u64 {
        if let Some(known_s) = out_by.and_then(|id| self.known.get(&id)) {
            return *known_s;
        }
        let (ttl_s, ttl_min_s) = (u64::from(strategy.ttl_s), u64::from(strategy.ttl_min_s));
        // Those before the announcement lived for the whole TTL, those since for the least.
        let short_since_s = self.lifetimes.short_since_s.get(&strategy.ttl_s);
        let expired_s = match short_since_s.filter(|_| was.leaves_soon) {
            Some(since_s) => (since_s + ttl_s).max(self.now_s + ttl_min_s),
            None => self.now_s + ttl_s,
        };
        (expired_s + ROUNDING_S).max(self.lifetimes.older_until_s)
    }

    fn words(&self, entry: &WipEntry, row: &[Laid]) -> Vec<Word> {
        let snapshot = &self.before.snapshot;
        let verdicts = snapshot.verdicts(entry, snapshot.strategy(entry));
        let health = verdicts.iter().map(|verdict| self.before.health.word(*verdict));
        let laid = row.iter().copied().chain(std::iter::repeat(Laid::default()));
        health.zip(laid).map(|(word, laid)| laid.over(word)).collect()
    }
}

/// Whether some client to whom one of `vips` may be answered has nobody available.
fn is_last_resort(strategy: &Strategy, words: &[Word], mut vips: Range<u16>) -> bool {
    let available: Vec<u16> =
        (0..words.len() as u16).filter(|&vip| words[usize::from(vip)].available()).collect();
    let rtype = |vip: u16| strategy.vips[usize::from(vip)].record.rtype();
    vips.any(|vip| {
        let counts = |row: &Row, other: u16| {
            let is_alike = strategy.families == Families::Together || rtype(other) == rtype(vip);
            is_alike && row.sees(other)
        };
        let alike = if strategy.shows_all { 1 } else { strategy.rows.len() };
        let mut rows = strategy.rows.iter().take(alike).filter(|row| row.sees(vip));
        rows.any(|row| !available.iter().any(|&other| counts(row, other)))
    })
}

fn takes_out(laid: Laid) -> bool {
    matches!(laid.over, Override::Drained | Override::ForcedDown)
}
