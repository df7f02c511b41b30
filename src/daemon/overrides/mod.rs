//! Overrides as operators use them: the one place that changes the book.
//!
//! ```text
//! request ─► judged ─► audit.log ─► overrides.json ─► served ─► acknowledged
//! time ────► tick ───►     (as far as the disk takes it)
//! reload ──────────────────────────► new snapshot under the same book, in one swap
//! ```
//!
//! Two locks. `changing` is held by whoever changes the book, from the first look at it
//! until it is served: changes come one after another, each judged upon the last. A reload
//! takes it too, before it publishes, so that a change is served under the snapshot that it
//! was judged by. `now` is held only to read or swap, so that no reader waits for the disk.
//! Where several are held, they were taken in this order: the publisher's `loading`,
//! `changing`, its `handover`, `now`.

mod asked;
mod audit;
mod change;
mod drained;
mod kept;
mod shown;
mod timer;
mod told;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use self::audit::{Audit, Line, Outcome, rfc3339};
use self::drained::{Lifetimes, greatest_lowered_ttl_s};
use self::kept::{Kept, OVERRIDES_FILE};
use super::state::StateDir;
use crate::admin::Journal;
use crate::admin::types::EventKind;
use crate::clock::Clock;
use crate::metrics::OverrideTotals;
use crate::overrides::{self, Compiled, Kind};
use crate::snapshot::Serving;

pub(super) use self::kept::KeptError;
pub(super) use self::timer::start as start_timer;
use self::told::Told;

/// Keys in `[safety]`, in the order in which refusals are counted.
pub(super) const RULES: [&str; 3] = ["min_members", "min_datacenters", "max_datacenters_changed"];

//------------ Keeper ---------------------------------------------------------

/// Keeps the book, and lays it over what is served.
pub(super) struct Keeper {
    changing: Mutex<Changing>,
    now: Mutex<Now>,
    /// Refusals of each of [`RULES`].
    refusals: [AtomicU64; RULES.len()],
    /// Servings that were replaced under the same snapshot. A worker may still read one,
    /// and must not be the one to free it.
    replaced: Mutex<Vec<Arc<Serving>>>,
    journal: Arc<Journal>,
    clock: Clock,
}

/// Where changes go.
struct Changing {
    /// A new process has read what is kept, or is about to: nothing may change.
    frozen: bool,
    state: Option<Arc<StateDir>>,
    audit: Option<Audit>,
    /// What is in force is not, or not quite, what the file says.
    is_unwritten: bool,
    /// When it was last tried to write it.
    tried: Instant,
}

impl Changing {
    fn new(state: Option<Arc<StateDir>>, audit: Option<Audit>, frozen: bool) -> Changing {
        Changing { frozen, state, audit, is_unwritten: false, tried: Instant::now() }
    }

    /// Writes what the disk did not take when it was to.
    fn write_again(&mut self, kept: &Kept) {
        if let Some(audit) = &mut self.audit {
            audit.pay();
        }
        let Some(state) = self.state.as_ref().filter(|_| self.is_unwritten) else { return };
        self.tried = Instant::now();
        match state.write_overrides(&kept.encode()) {
            Ok(()) => self.is_unwritten = false,
            Err(error) => tracing::error!(%error, "the overrides in force cannot be kept"),
        }
    }
}

/// What is in force.
struct Now {
    kept: Arc<Kept>,
    /// As it is served.
    compiled: Arc<Compiled>,
    /// Unix second for which it was compiled.
    compiled_at_s: u64,
    lifetimes: Lifetimes,
}

impl Keeper {
    /// Reads what an earlier run kept. What is taken over from a process that still runs
    /// is its own until this one says that it is ready: until then the book is frozen here.
    ///
    /// # Errors
    /// The file is there and cannot be used: nobody knows what was drained.
    pub(super) fn open(
        state: Option<Arc<StateDir>>,
        journal: Arc<Journal>,
        clock: Clock,
        taken_over: bool,
    ) -> Result<Keeper, KeptError> {
        let kept = match &state {
            Some(state) => read(state)?,
            None => Kept::default(),
        };
        let mut audit = state.as_ref().map(|state| Audit::new(state.path()));
        if let Some(audit) = audit.as_mut().filter(|_| !taken_over) {
            reconcile(audit, &kept, clock);
        }
        let now = Now {
            kept: Arc::new(kept),
            compiled: Arc::default(),
            compiled_at_s: 0,
            lifetimes: Lifetimes::default(),
        };
        Ok(Keeper {
            changing: Mutex::new(Changing::new(state, audit, taken_over)),
            now: Mutex::new(now),
            refusals: Default::default(),
            replaced: Mutex::default(),
            journal,
            clock,
        })
    }

    /// The first serving of a run, under what is kept: what fell due while nobody was
    /// there has happened.
    pub(super) fn begin(&self, serving: &Serving, taken_over: bool) -> Serving {
        let bare = serving.with_overlay(Arc::clone(&serving.overlay));
        let cell = ArcSwap::from_pointee(bare);
        self.serve(&mut lock(&self.now), &cell);
        // Else the timer does it, once the book is this process's.
        if !taken_over {
            self.take_due_steps(&cell);
        }
        // Nobody has read any of them.
        lock(&self.replaced).clear();
        serving.with_overlay(Arc::clone(&cell.load().overlay))
    }

    /// Lets no change begin, once the one that is under way is served, for as long as what
    /// this gives back lives: what is judged by one snapshot is served under it.
    pub(super) fn hold_still(&self) -> HeldStill<'_> {
        HeldStill { keeper: self, _changing: lock(&self.changing) }
    }

    /// Compiles the book for `serving` as of now.
    fn compile_for(&self, now: &mut Now, serving: &Serving) {
        now.compiled_at_s = self.now_s();
        let book = &now.kept.book;
        let compiled = overrides::overlay(&serving.snapshot, book, now.compiled_at_s);
        now.compiled = Arc::new(compiled);
    }

    /// Serves what is in force now, after the book or the time changed.
    fn serve(&self, now: &mut Now, cell: &ArcSwap<Serving>) {
        let serving = cell.load_full();
        self.compile_for(now, &serving);
        if now.compiled.overlay == *serving.overlay {
            return;
        }
        let next = Arc::new(serving.with_overlay(Arc::new(now.compiled.overlay.clone())));
        drop(serving);
        let old = cell.swap(Arc::clone(&next));
        if !now.compiled.announced.is_empty() {
            now.lifetimes.announce(Some(&old.overlay), &next, self.now_s());
        }
        lock(&self.replaced).push(old);
    }

    /// Puts in force what was judged and kept. What follows from the moment at which it
    /// was is in what this gives back, and on the disk soon.
    fn put_in_force(
        &self,
        changing: &mut Changing,
        was: &Told,
        kept: &Kept,
        compiled: &Compiled,
        cell: &ArcSwap<Serving>,
    ) -> Kept {
        {
            let mut now = lock(&self.now);
            now.kept = Arc::new(kept.clone());
            self.serve(&mut now, cell);
        }
        // The disk may have taken its time: until now the old answers were given.
        let served = was.kept_after(kept.book.clone(), compiled, self.now_s());
        if served != *kept {
            changing.is_unwritten = true;
            lock(&self.now).kept = Arc::new(served.clone());
        }
        served
    }

    /// Frees what no worker reads any more. True: nothing is left. Those that are the same
    /// as `held` are read by the caller.
    pub(super) fn free_replaced(&self, held: &Arc<Serving>) -> bool {
        let mut replaced = lock(&self.replaced);
        let readers = |serving: &Arc<Serving>| {
            Arc::strong_count(serving) - usize::from(Arc::ptr_eq(serving, held))
        };
        replaced.retain(|serving| readers(serving) > 1);
        replaced.is_empty()
    }

    /// Lets nothing change, once the change that is under way is over, or lets it again: a
    /// new process goes on from what is kept.
    pub(super) fn freeze(&self, frozen: bool) {
        let mut changing = lock(&self.changing);
        if frozen {
            let kept = Arc::clone(&lock(&self.now).kept);
            changing.write_again(&kept);
        }
        changing.frozen = frozen;
    }

    /// What there is to count.
    pub(super) fn totals(&self) -> OverrideTotals {
        let kept = Arc::clone(&lock(&self.now).kept);
        let in_force = Kind::ALL.map(|kind| {
            let entries = kept.book.entries.iter();
            let count = entries.filter(|entry| entry.kind == kind && entry.stage.is_in_force());
            (kind.as_str(), count.count() as u64)
        });
        let mut refusals = RULES.map(|rule| (rule, 0));
        for ((_, count), counted) in refusals.iter_mut().zip(&self.refusals) {
            *count = counted.load(Ordering::Relaxed);
        }
        OverrideTotals { in_force, refusals }
    }

    fn count_refusal(&self, rule: &str) {
        let counters = RULES.iter().zip(&self.refusals);
        for (_, counter) in counters.filter(|(known, _)| **known == rule) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tell(&self, what: EventKind) {
        self.journal.push(self.clock.unix_us(), what);
    }

    fn now_s(&self) -> u64 {
        u64::from(self.clock.now().unix_s)
    }
}

/// See [`Keeper::hold_still`].
pub(super) struct HeldStill<'k> {
    keeper: &'k Keeper,
    _changing: MutexGuard<'k, Changing>,
}

impl HeldStill<'_> {
    /// Puts `serving` in force under what is in force, with no moment between. Gives back
    /// what was served before, and what is now.
    pub(super) fn lay_over(
        &self,
        serving: &Serving,
        cell: &ArcSwap<Serving>,
    ) -> (Arc<Serving>, Arc<Serving>) {
        let lowered_s = greatest_lowered_ttl_s(&cell.load().snapshot, &serving.snapshot);
        let mut now = lock(&self.keeper.now);
        self.keeper.compile_for(&mut now, serving);
        let next = serving.with_overlay(Arc::new(now.compiled.overlay.clone()));
        let next = Arc::new(next);
        let old = cell.swap(Arc::clone(&next));
        let now_s = self.keeper.now_s();
        if let Some(ttl_s) = lowered_s {
            now.lifetimes.lowered(ttl_s, now_s);
        }
        if !now.compiled.announced.is_empty() {
            now.lifetimes.announce(None, &next, now_s);
        }
        (old, next)
    }
}

/// Reads the file of a state directory.
fn read(state: &StateDir) -> Result<Kept, KeptError> {
    let path = state.path().join(OVERRIDES_FILE);
    match state.read_overrides() {
        Ok(None) => Ok(Kept::default()),
        Ok(Some(bytes)) => Kept::decode(&bytes).map_err(|why| KeptError::new(&path, why)),
        Err(error) => Err(KeptError::new(&path, format!("it cannot be read: {error}"))),
    }
}

/// Makes the audit log and the file agree, where a run ended between the two.
fn reconcile(audit: &mut Audit, kept: &Kept, clock: Clock) {
    let last = match audit.last_tried() {
        Ok(last) => last,
        Err(error) => {
            tracing::error!(%error, "cannot read the audit log of the overrides");
            return;
        }
    };
    let revision = kept.book.revision;
    let (outcome, of, because) = match last {
        Some((tried, true)) if tried > revision => {
            (Outcome::Failed, tried, "the server ended before this revision was kept")
        }
        Some((tried, _)) if tried >= revision => return,
        None if revision == 0 => return,
        _ => {
            (Outcome::Accepted, revision, "the file has a revision that this log does not tell of")
        }
    };
    tracing::warn!(revision = of, because, "the audit log of the overrides is put right");
    let at_s = u64::from(clock.now().unix_s);
    audit.append_or_owe(&Line {
        time: rfc3339(at_s),
        at_s,
        actor: "restart".to_owned(),
        what: "restart".to_owned(),
        target: None,
        outcome,
        revision: of,
        before: Vec::new(),
        after: Vec::new(),
        reason: None,
        break_glass: None,
        because: vec![because.to_owned()],
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holds whole values, replaced at once: a panic elsewhere breaks nothing here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_that_is_taken_over_is_frozen_until_it_is_owned() {
        let clock = Clock::start();
        for taken_over in [false, true] {
            let journal = Arc::new(Journal::resume(Vec::new(), clock.unix_us()));
            let keeper = Keeper::open(None, journal, clock, taken_over).unwrap();
            assert_eq!(lock(&keeper.changing).frozen, taken_over);
            keeper.freeze(false);
            assert!(!lock(&keeper.changing).frozen);
        }
    }
}
