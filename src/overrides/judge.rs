//! The safety rules: what a change of the book may not do.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::{Book, Changed};
use super::effect::{Effect, Measured, in_service, measure, named};
use super::entry::{Entry, Stage};
use super::lay::{Compiled, overlay};
use super::rules::{Rule, datacenter_names};
use super::wips::matching;
use crate::config::model::Safety;
use crate::snapshot::{Serving, Snapshot};

/// A change of the book, judged.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What it does. Where it plans something, what that would do now.
    pub effect: Effect,
    /// Rules that it breaks now: it is to be refused, or the glass to be broken.
    pub broken: Vec<Broken>,
    /// Rules that what it plans would break if it started now: worth a warning. It is
    /// judged again when it does.
    pub foreseen: Vec<Broken>,
    /// The book after it, with the datacenters noted that members are taken out of.
    pub book: Book,
    /// That book, laid over the snapshot.
    pub compiled: Compiled,
}

/// A safety rule that a change breaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// Its key in `[safety]`.
    pub rule: &'static str,
    /// What would be, in a sentence.
    pub detail: String,
    /// The first WIPs that break it; empty: it is not about WIPs.
    pub wips: Vec<String>,
    /// How many there are.
    pub wips_total: u64,
}

/// Judges the change from one book to another as of `now_s`.
pub fn judge(
    serving: &Serving,
    before: &Book,
    after: &Book,
    now_s: u64,
    safety: &Safety,
) -> Judgement {
    let old = overlay(&serving.snapshot, before, now_s).overlay;
    judge_step(&serving.frozen(), (before, &Arc::new(old)), after, now_s, safety)
}

/// The same with health as it is, and the book before it laid over it already: of many
/// steps one after another.
pub(super) fn judge_step(
    serving: &Serving,
    (before, old): (&Book, &Overlay),
    after: &Book,
    now_s: u64,
    safety: &Safety,
) -> Judgement {
    let snapshot = &serving.snapshot;
    let court = Court { serving, now_s, safety };
    let compiled = overlay(snapshot, after, now_s);
    let new = Arc::new(compiled.overlay.clone());
    let (mut effect, broken, taken) = court.compare(before, old, &new);
    let mut foreseen = Vec::new();
    if let Some(begun) = begun(before, after) {
        let then = Arc::new(overlay(snapshot, &begun, now_s).overlay);
        (effect, foreseen, _) = court.compare(before, old, &then);
    }
    effect.members_matched = matched(snapshot, before, after);
    let book = after.note_taken(&taken, now_s, safety);
    Judgement { effect, broken, foreseen, book, compiled }
}

/// The book after a change, as if what it plans had begun; none: it plans nothing.
fn begun(before: &Book, after: &Book) -> Option<Book> {
    let mut book = after.clone();
    let planned = |entry: &&mut Entry| {
        entry.stage == Stage::Planned && before.entry(entry.id).is_none_or(|old| *old != **entry)
    };
    let mut count = 0;
    for entry in book.entries.iter_mut().filter(planned) {
        entry.stage = Stage::InForce;
        count += 1;
    }
    (count > 0).then_some(book)
}

/// How many members of WIPs the entries match that differ between two books.
fn matched(snapshot: &Snapshot, before: &Book, after: &Book) -> u64 {
    let differs = |book: &Book, entry: &Entry| book.entry(entry.id) != Some(entry);
    let gone = before.entries.iter().filter(|entry| differs(after, entry));
    let new = after.entries.iter().filter(|entry| differs(before, entry));
    let mut targets = BTreeSet::new();
    let distinct = gone.chain(new).filter(|entry| targets.insert(&entry.target));
    distinct.map(|entry| matched_by(snapshot, entry)).sum()
}

fn matched_by(snapshot: &Snapshot, entry: &Entry) -> u64 {
    let rule = Rule::new(entry);
    let mut wips = vec![0u64; snapshot.strategies.len()];
    match &rule.wip {
        None => snapshot.wips.iter().for_each(|wip| wips[wip.strategy as usize] += 1),
        Some(pattern) => {
            for (wip, _) in matching(&snapshot.config.wips, std::iter::once((0, pattern))) {
                wips[snapshot.wips[wip as usize].strategy as usize] += 1;
            }
        }
    }
    let names = datacenter_names(&snapshot.config);
    let count = |strategy: u32| {
        let matches = snapshot.members_of(strategy).filter(|member| {
            let datacenter = member.datacenter.map(|id| names[id as usize]);
            rule.matches(datacenter, &member.name)
        });
        matches.count() as u64
    };
    let counted = (0..).zip(wips).filter(|(_, wips)| *wips > 0);
    counted.map(|(strategy, wips)| wips * count(strategy)).sum()
}

//------------ Rules ----------------------------------------------------------

struct Court<'a> {
    serving: &'a Serving,
    now_s: u64,
    safety: &'a Safety,
}

type Overlay = Arc<crate::steer::overlay::Overlay>;

impl Court<'_> {
    /// What the step from one overlay to another does, the rules that it breaks, and the
    /// datacenters that members are taken out of.
    fn compare(
        &self,
        book: &Book,
        before: &Overlay,
        after: &Overlay,
    ) -> (Effect, Vec<Broken>, Vec<String>) {
        let min_members = u64::from(self.safety.min_members);
        let measured = measure(self.serving, before, after, min_members);
        let taken = named(&self.serving.snapshot, &measured.taken);
        let mut broken = Vec::new();
        if measured.below > 0 {
            broken.push(Broken {
                rule: "min_members",
                detail: below_text(&measured, min_members),
                wips: measured.below_named,
                wips_total: measured.below,
            });
        }
        // Without a member taken out, no datacenter goes out of service either.
        if !taken.is_empty() {
            broken.extend(self.min_datacenters(before, after));
            broken.extend(self.max_datacenters_changed(book, &taken));
        }
        (measured.effect, broken, taken)
    }

    fn min_datacenters(&self, before: &Overlay, after: &Overlay) -> Option<Broken> {
        let minimum = self.safety.min_datacenters as usize;
        if minimum == 0 {
            return None;
        }
        let left = in_service(self.serving, after);
        if left.len() >= minimum {
            return None;
        }
        let had = in_service(self.serving, before);
        (left.len() < had.len()).then(|| {
            let names = named(&self.serving.snapshot, &left).join(", ");
            let names = if names.is_empty() { String::new() } else { format!(" ({names})") };
            let count = left.len();
            let are = if count == 1 { "datacenter would be" } else { "datacenters would be" };
            Broken::of_all(
                "min_datacenters",
                format!("{count} {are} in service{names}; at least {minimum} must be"),
            )
        })
    }

    fn max_datacenters_changed(&self, book: &Book, taken: &[String]) -> Option<Broken> {
        let maximum = self.safety.max_datacenters_changed as usize;
        if maximum == 0 {
            return None;
        }
        let window_s = u64::from(self.safety.change_window_s);
        let recent = book.changed.iter().filter(|changed| changed.is_recent(self.now_s, window_s));
        let known: BTreeSet<&str> = recent.map(|changed| &*changed.datacenter).collect();
        let all: BTreeSet<&str> = known.iter().copied().chain(taken.iter().map(|n| &**n)).collect();
        (all.len() > maximum && all.len() > known.len()).then(|| {
            let names = all.iter().copied().collect::<Vec<_>>().join(", ");
            Broken::of_all(
                "max_datacenters_changed",
                format!(
                    "operators would have taken members out of {} datacenters within {window_s} s \
                     ({names}); at most {maximum} are allowed",
                    all.len()
                ),
            )
        })
    }
}

impl Broken {
    fn of_all(rule: &'static str, detail: String) -> Broken {
        Broken { rule, detail, wips: Vec::new(), wips_total: 0 }
    }
}

/// Rules in one line: "min_members: …; min_datacenters: …".
pub(super) fn why(broken: &[Broken]) -> String {
    let lines: Vec<String> = broken.iter().map(|b| format!("{}: {}", b.rule, b.detail)).collect();
    lines.join("; ")
}

fn below_text(measured: &Measured, minimum: u64) -> String {
    let (total, named) = (measured.below, &measured.below_named);
    const SHOWN: usize = 3;
    let shown = named.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let rest = total - named.len().min(SHOWN) as u64;
    let rest = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    let wips = if total == 1 { "WIP" } else { "WIPs" };
    let members = if minimum == 1 { "member" } else { "members" };
    let whose = if measured.below_by_family == 0 { "" } else { " for IPv4 or for IPv6" };
    format!(
        "{total} {wips} would have fewer than {minimum} available {members}{whose}: {shown}{rest}"
    )
}

//------------ Datacenters changed --------------------------------------------

impl Changed {
    fn is_recent(&self, now_s: u64, window_s: u64) -> bool {
        self.at_s.saturating_add(window_s) > now_s
    }
}

impl Book {
    /// The book with datacenters noted that members were taken out of now, and without
    /// those of long ago.
    fn note_taken(&self, taken: &[String], now_s: u64, safety: &Safety) -> Book {
        let mut book = self.clone();
        let window_s = u64::from(safety.change_window_s);
        book.changed.retain(|changed| {
            changed.is_recent(now_s, window_s) && !taken.contains(&changed.datacenter)
        });
        let noted = taken.iter().cloned();
        book.changed.extend(noted.map(|datacenter| Changed { datacenter, at_s: now_s }));
        book
    }
}
