//! Overrides against an oracle that tries every entry on every member: who decides, what
//! is laid over which VIP, and that no sequence of operators' actions that is accepted
//! leaves a WIP with fewer members than the safety rules allow (docs/OVERRIDES.md).
//!
//! Worlds, health and sequences are random; the glass is never broken here.

#![allow(clippy::unwrap_used)] // a panic here is a failed test

mod config_support;
mod dns_support;
mod overrides_support;

use std::collections::BTreeSet;

use overrides_support::oracle::{self, Counts, Place};
use overrides_support::world::{Action, World, entry};
use proptest::prelude::*;
use windrose::overrides::{
    Book, Broken, Entry, Judgement, RETRY_S, Stage, Step, judge, overlay, tick,
};
use windrose::snapshot::Serving;

/// A server whose operators are checked at every step.
struct Desk {
    serving: Serving,
    world: World,
    places: Vec<Place>,
    book: Book,
    now_s: u64,
    /// Datacenters that accepted changes took members out of, and when.
    taken: Vec<(String, u64)>,
}

type Checked = Result<(), TestCaseError>;

impl Desk {
    fn new(world: World) -> Desk {
        let serving = world.serving();
        let places = oracle::places(&serving);
        let book = Book::default();
        Desk { serving, world, places, book, now_s: 1_800_000_000, taken: Vec::new() }
    }

    fn counts(&self, book: &Book) -> Counts {
        oracle::counts(&self.places, &self.serving, book)
    }

    fn act(&mut self, action: &Action) -> Checked {
        match action {
            Action::Set { kind, target, at, lasts } => {
                let entry = entry(*kind, target.clone(), self.now_s, *at, *lasts);
                let after = self.book.set(entry.clone());
                self.check_set(&entry, &after)?;
                self.say(&after)?;
            }
            Action::Clear(target) => self.say(&self.book.clear(target).0)?,
            Action::ClearOne(index) if !self.book.entries.is_empty() => {
                let target = index.get(&self.book.entries).target.clone();
                self.say(&self.book.clear(&target).0)?;
            }
            Action::ClearOne(_) => {}
            Action::Health(index, word) => {
                let table = &self.serving.health;
                table.set(index.index(table.len()) as u32, *word);
            }
            Action::Pass(seconds) => self.pass(*seconds)?,
            Action::Sleep(seconds) => {
                self.now_s += seconds;
                self.tick()?;
            }
        }
        self.check_overlay()
    }

    /// The new entry is last, planned if it starts later, and alone of its target.
    fn check_set(&self, entry: &Entry, after: &Book) -> Checked {
        let mut expected = self.book.clone();
        expected.revision += 1;
        expected.entries.retain(|old| old.target != entry.target);
        let stage = if entry.at_s.is_some() { Stage::Planned } else { Stage::InForce };
        expected.entries.push(Entry { id: expected.revision, stage, ..entry.clone() });
        prop_assert_eq!(after, &expected);
        Ok(())
    }

    /// An operator asks for another book.
    fn say(&mut self, after: &Book) -> Checked {
        let safety = self.world.safety;
        let judgement = judge(&self.serving, &self.book, after, self.now_s, &safety);
        self.check_judgement(after, &judgement)?;
        if judgement.broken.is_empty() {
            self.accept(judgement.book)?;
        }
        Ok(())
    }

    /// Takes a change, which must not have done harm.
    fn accept(&mut self, after: Book) -> Checked {
        let (old, new) = (self.counts(&self.book), self.counts(&after));
        let minimum = self.world.safety.min_members as usize;
        prop_assert_eq!(new.sunk_below(&old, minimum), BTreeSet::new(), "{:#?}", after);
        let sites = self.world.safety.min_datacenters as usize;
        let (had, has) = (old.in_service.len(), new.in_service.len());
        prop_assert!(has >= sites.min(had), "{} datacenters in service of {}", has, had);
        for datacenter in new.taken(&old, &self.places) {
            self.taken.push((datacenter, self.now_s));
        }
        self.book = after;
        let most = self.world.safety.max_datacenters_changed as usize;
        let window_s = u64::from(self.world.safety.change_window_s);
        prop_assert!(most == 0 || window_s == 0 || self.recently().len() <= most);
        Ok(())
    }

    /// Datacenters that members were taken out of within the window.
    fn recently(&self) -> BTreeSet<String> {
        let window_s = u64::from(self.world.safety.change_window_s);
        let recent = self.taken.iter().filter(|(_, at_s)| at_s + window_s > self.now_s);
        recent.map(|(datacenter, _)| datacenter.clone()).collect()
    }

    /// A judgement breaks exactly the rules that are broken.
    fn check_judgement(&self, after: &Book, judgement: &Judgement) -> Checked {
        let (old, new) = (self.counts(&self.book), self.counts(after));
        let expected = self.broken(&old, &new);
        prop_assert_eq!(rules(&judgement.broken), expected, "{:#?}", after);
        let below = new.sunk_below(&old, self.world.safety.min_members as usize);
        let named = judgement.broken.iter().flat_map(|broken| broken.wips.iter().cloned());
        prop_assert_eq!(named.collect::<BTreeSet<_>>(), below);
        if new.available_to.is_superset(&old.available_to) {
            prop_assert!(judgement.broken.is_empty(), "nothing is taken out: {:?}", judgement);
        }
        // What is planned is shown as if it began now.
        let mut begun = after.clone();
        let fresh = |entry: &&mut Entry| {
            entry.stage == Stage::Planned && self.book.entry(entry.id).is_none()
        };
        begun.entries.iter_mut().filter(fresh).for_each(|entry| entry.stage = Stage::InForce);
        let then = self.counts(&begun);
        if begun != *after {
            prop_assert_eq!(rules(&judgement.foreseen), self.broken(&old, &then));
        } else {
            prop_assert!(judgement.foreseen.is_empty());
        }
        self.check_effect(&begun, &old, &then, judgement)
    }

    fn broken(&self, old: &Counts, new: &Counts) -> BTreeSet<&'static str> {
        let safety = &self.world.safety;
        let mut broken = BTreeSet::new();
        if !new.sunk_below(old, safety.min_members as usize).is_empty() {
            broken.insert("min_members");
        }
        let (had, has) = (old.in_service.len(), new.in_service.len());
        if has < had && has < safety.min_datacenters as usize {
            broken.insert("min_datacenters");
        }
        let known = self.recently();
        let all: BTreeSet<String> =
            known.iter().cloned().chain(new.taken(old, &self.places)).collect();
        let most = safety.max_datacenters_changed as usize;
        if most > 0 && all.len() > most && all.len() > known.len() {
            broken.insert("max_datacenters_changed");
        }
        broken
    }

    fn check_effect(
        &self,
        begun: &Book,
        old: &Counts,
        new: &Counts,
        judgement: &Judgement,
    ) -> Checked {
        let changes = |place: &&Place| place.said(&self.book) != place.said(begun);
        let changed: Vec<&Place> = self.places.iter().filter(changes).collect();
        let wips: BTreeSet<&str> = changed.iter().map(|place| &*place.wip).collect();
        let sites: BTreeSet<&str> =
            changed.iter().filter_map(|place| place.datacenter.as_deref()).collect();
        let effect = &judgement.effect;
        let differs = |a: &Book, b: &Book| -> Vec<Entry> {
            a.entries.iter().filter(|entry| b.entry(entry.id).is_none()).cloned().collect()
        };
        let said = differs(begun, &self.book).into_iter().chain(differs(&self.book, begun)).next();
        let meant = said.map_or(0, |e| self.places.iter().filter(|p| p.is_meant(&e)).count());
        prop_assert_eq!(effect.members_matched, meant as u64);
        prop_assert_eq!(effect.members_changed, changed.len() as u64);
        prop_assert_eq!(effect.wips_changed, wips.len() as u64);
        prop_assert_eq!(effect.wips.iter().map(|wip| &*wip.wip).collect::<BTreeSet<_>>(), wips);
        prop_assert_eq!(effect.datacenters.iter().map(|n| &**n).collect::<BTreeSet<_>>(), sites);
        for wip in &effect.wips {
            let shown = (wip.available_before as usize, wip.available_after as usize);
            prop_assert_eq!(shown, (old.wips[&wip.wip], new.wips[&wip.wip]), "{}", wip.wip);
        }
        Ok(())
    }

    /// Time passes, and whoever waits for the next change looks then.
    fn pass(&mut self, seconds: u64) -> Checked {
        let until_s = self.now_s + seconds;
        loop {
            let compiled = overlay(&self.serving.snapshot, &self.book, self.now_s);
            let next_s = compiled.next_change_s.unwrap_or(u64::MAX);
            if next_s > until_s {
                break;
            }
            prop_assert!(next_s > self.now_s, "what is due at {} was not done", self.now_s);
            // Nothing changes before.
            let before = overlay(&self.serving.snapshot, &self.book, next_s - 1);
            prop_assert_eq!(&before.overlay, &compiled.overlay);
            self.now_s = next_s;
            self.tick()?;
            self.check_overlay()?;
        }
        self.now_s = until_s;
        let compiled = overlay(&self.serving.snapshot, &self.book, self.now_s);
        prop_assert!(
            tick(&self.serving, &self.book, self.now_s, &self.world.safety).is_none()
                || compiled.next_change_s.is_some_and(|next_s| next_s <= self.now_s + RETRY_S)
        );
        Ok(())
    }

    /// Steps that are due are taken, and none does harm.
    fn tick(&mut self) -> Checked {
        let before = self.book.clone();
        let due: Vec<&Entry> = before.entries.iter().filter(|e| self.is_due(e)).collect();
        let ticked = tick(&self.serving, &before, self.now_s, &self.world.safety);
        if let [due] = due[..] {
            let after = ticked.as_ref().map_or(&before, |(after, _)| after);
            prop_assert_eq!(after.entry(due.id).cloned(), self.after_its_step(due));
        }
        let Some((after, happened)) = ticked else {
            let waits = |entry: &&Entry| matches!(entry.stage, Stage::Overdue { .. });
            prop_assert!(due.iter().all(waits), "something was due: {:#?}", due);
            return Ok(());
        };
        prop_assert_eq!(after.revision, before.revision + 1);
        for entry in &before.entries {
            let now = after.entry(entry.id);
            let steps: Vec<Step> =
                happened.iter().filter(|h| h.entry.id == entry.id).map(|h| h.what).collect();
            let over = entry.until_s.is_some_and(|until_s| until_s <= self.now_s);
            let due = entry.at_s.is_some_and(|at_s| at_s <= self.now_s);
            match (&entry.stage, now.map(|now| &now.stage)) {
                (Stage::Planned, None) => prop_assert!(over && steps == [Step::Missed]),
                (Stage::Planned, Some(Stage::InForce)) => {
                    prop_assert!(due && !over && steps == [Step::Started]);
                }
                (Stage::Planned, Some(Stage::Refused { why })) => {
                    prop_assert!(due && !over && steps == [Step::Refused] && !why.is_empty());
                }
                (Stage::Planned, Some(Stage::Planned)) => prop_assert!(!due && steps.is_empty()),
                (Stage::InForce | Stage::Overdue { .. }, None) => {
                    prop_assert!(over && steps == [Step::Ended]);
                }
                (Stage::InForce, Some(Stage::Overdue { why })) => {
                    prop_assert!(over && steps == [Step::Overdue] && !why.is_empty());
                }
                (Stage::InForce, Some(Stage::InForce)) => prop_assert!(!over && steps.is_empty()),
                (old, Some(new)) => prop_assert!(old == new && steps.is_empty()),
                (Stage::Refused { .. }, None) => prop_assert!(false, "only a person clears it"),
            }
        }
        self.accept(after)
    }

    fn is_due(&self, entry: &Entry) -> bool {
        let is_past = |at_s: Option<u64>| at_s.is_some_and(|at_s| at_s <= self.now_s);
        match entry.stage {
            Stage::Planned => is_past(entry.at_s),
            Stage::InForce | Stage::Overdue { .. } => is_past(entry.until_s),
            Stage::Refused { .. } => false,
        }
    }

    /// What becomes of the one entry that is due; none: it is gone.
    fn after_its_step(&self, due: &Entry) -> Option<Entry> {
        let is_over = due.until_s.is_some_and(|until_s| until_s <= self.now_s);
        let mut book = self.book.clone();
        book.entries.retain(|entry| entry.id != due.id);
        if !is_over {
            book.entries.push(Entry { stage: Stage::InForce, ..due.clone() });
        }
        let broken = self.broken(&self.counts(&self.book), &self.counts(&book));
        if broken.is_empty() {
            return book.entry(due.id).cloned();
        }
        let judgement = judge(&self.serving, &self.book, &book, self.now_s, &self.world.safety);
        let why: Vec<String> =
            judgement.broken.iter().map(|b| format!("{}: {}", b.rule, b.detail)).collect();
        let why = why.join("; ");
        let stage = match &due.stage {
            Stage::Planned => Stage::Refused { why },
            Stage::InForce => Stage::Overdue { why },
            same => same.clone(),
        };
        Some(Entry { stage, ..due.clone() })
    }

    /// What queries see is what the oracle says of each VIP, and who decides too.
    fn check_overlay(&self) -> Checked {
        let compiled = overlay(&self.serving.snapshot, &self.book, self.now_s);
        let mut decided = std::collections::BTreeMap::<u64, u64>::new();
        for place in &self.places {
            let (wip, strategy, member) = place.at;
            let row = compiled.overlay.row(wip, strategy);
            let vips =
                self.serving.snapshot.strategies[strategy as usize].members[member].vips.clone();
            for vip in vips {
                let laid = row.get(usize::from(vip)).copied().unwrap_or_default();
                let expected = place.laid(&self.book, self.now_s);
                prop_assert_eq!(laid, expected, "{:?}\n{:#?}", place, self.book);
            }
            let by = place.decider(&self.book).map(|entry| entry.id);
            prop_assert_eq!(compiled.deciders.of(wip, strategy, member), by);
            by.into_iter().for_each(|id| *decided.entry(id).or_default() += 1);
        }
        for entry in &self.book.entries {
            let expected = decided.get(&entry.id).copied().unwrap_or(0);
            prop_assert_eq!(compiled.deciders.count(entry.id), expected);
        }
        Ok(())
    }
}

fn rules(broken: &[Broken]) -> BTreeSet<&'static str> {
    broken.iter().map(|broken| broken.rule).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// The whole promise: see [`Desk::accept`] and the checks on the way.
    #[test]
    fn no_accepted_sequence_leaves_a_wip_below_the_least_allowed(
        world in World::any(),
        actions in prop::collection::vec(Action::any(), 1..30),
    ) {
        let mut desk = Desk::new(world);
        for action in &actions {
            desk.act(action)?;
        }
    }

    /// Whatever was said before, saying something of a target nothing was said of and
    /// clearing it is as if it had not been.
    #[test]
    fn clearing_what_was_just_said_restores(
        world in World::any(),
        actions in prop::collection::vec(Action::any(), 0..12),
        said in Action::any(),
    ) {
        let mut desk = Desk::new(world);
        for action in &actions {
            desk.act(action)?;
        }
        if let Action::Set { kind, target, at, lasts } = said {
            let (bare, _) = desk.book.clear(&target);
            let book = bare.set(entry(kind, target.clone(), desk.now_s, at, lasts));
            let (cleared, removed) = book.clear(&target);
            prop_assert_eq!((removed.len(), &cleared.entries), (1, &bare.entries));
            prop_assert_eq!(cleared.revision, bare.revision + 2);
            let snapshot = &desk.serving.snapshot;
            let before = overlay(snapshot, &bare, desk.now_s);
            prop_assert_eq!(overlay(snapshot, &cleared, desk.now_s).overlay, before.overlay);
        }
    }
}
