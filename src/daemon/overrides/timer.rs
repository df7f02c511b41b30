//! What time brings: planned overrides start and end, and are announced ahead.
//!
//! A thread looks at the wall clock a few times a second, for that is the clock that
//! operators plan by, and it may jump either way. What falls due takes effect even where
//! the disk takes nothing: it is written again until it does, and falls due again after a
//! restart before that.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::audit::{Line, Outcome, rfc3339};
use super::change::broken_text;
use super::kept::Kept;
use super::{Changing, Keeper, lock, shown};
use crate::admin::types::EventKind;
use crate::daemon::publisher::Publisher;
use crate::overrides::{self, Book, Happened, Stage, Step};
use crate::snapshot::Serving;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often it is tried to keep what the disk did not take.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Starts the thread; it ends with the publisher.
///
/// # Errors
/// When the system gives no thread.
pub(in crate::daemon) fn start(publisher: Weak<Publisher>) -> io::Result<()> {
    let run = move || {
        loop {
            let Some(publisher) = publisher.upgrade() else { return };
            if publisher.stopping.load(Ordering::Relaxed) {
                return;
            }
            publisher.overrides.look(&publisher.cell);
            drop(publisher);
            std::thread::sleep(LOOK_EVERY);
        }
    };
    std::thread::Builder::new().name("overrides".to_owned()).spawn(run)?;
    Ok(())
}

impl Keeper {
    /// Does what is due.
    fn look(&self, cell: &ArcSwap<Serving>) {
        self.free_replaced(&cell.load_full());
        self.write_again();
        let now_s = self.now_s();
        {
            let now = lock(&self.now);
            let jumped_back = now_s < now.compiled_at_s && !now.kept.book.entries.is_empty();
            let is_due = now.compiled.next_change_s.is_some_and(|due_s| due_s <= now_s);
            if !is_due && !jumped_back {
                return;
            }
        }
        self.take_due_steps(cell);
    }

    /// Tries to keep what the disk did not take.
    fn write_again(&self) {
        let mut changing = lock(&self.changing);
        if changing.is_unwritten && !changing.frozen && changing.tried.elapsed() >= WRITE_EVERY {
            let kept = Arc::clone(&lock(&self.now).kept);
            changing.write_again(&kept);
        }
    }

    /// Takes the steps that are due, and has what is then in force served.
    pub(super) fn take_due_steps(&self, cell: &ArcSwap<Serving>) {
        let mut changing = lock(&self.changing);
        if changing.frozen {
            return;
        }
        let now_s = self.now_s();
        let was = self.told(cell);
        let (serving, before) = (&was.serving, &was.kept.book);
        let safety = &serving.snapshot.config.safety;
        let Some((book, happened)) = overrides::tick(serving, before, now_s, safety) else {
            // Answers are announced, or announced no more.
            self.serve(&mut lock(&self.now), cell);
            return;
        };
        let compiled = overrides::overlay(&serving.snapshot, &book, now_s);
        let kept = was.kept_after(book, &compiled, now_s);
        changing.keep_steps(&happened, before, &kept, now_s);
        self.put_in_force(&mut changing, &was, &kept, &compiled, cell);
        for step in &happened {
            self.tell_step(step);
        }
    }

    fn tell_step(&self, step: &Happened) {
        let Happened { what, entry, effect, broken } = step;
        let (id, kind, target) = (entry.id, entry.kind.as_str(), &entry.target);
        let (actor, reason) = (&entry.actor, &entry.reason);
        let said = shown::said(entry);
        let step = what.as_str();
        match what {
            Step::Started | Step::Ended | Step::Missed => {
                let members = effect.members_changed;
                tracing::warn!(id, kind, of = %target, actor, reason, members, step, "override");
            }
            Step::Refused | Step::Overdue => {
                broken.iter().for_each(|broken| self.count_refusal(broken.rule));
                let why = broken.iter().map(broken_text).collect::<Vec<_>>().join("; ");
                tracing::error!(
                    id, kind, of = %target, actor, reason, step, why,
                    "an override could not start or end when its time came: it is not safe"
                );
            }
        }
        self.tell(match what {
            Step::Started => EventKind::OverrideStarted { override_id: id, said },
            Step::Ended | Step::Missed => EventKind::OverrideEnded { override_id: id, said },
            Step::Refused | Step::Overdue => EventKind::OverrideRefused {
                override_id: Some(id),
                change: if *what == Step::Refused { "start" } else { "end" }.to_owned(),
                said,
                rules: broken.iter().map(|broken| broken.rule.to_owned()).collect(),
                detail: broken.iter().map(|b| b.detail.clone()).collect::<Vec<_>>().join("; "),
            },
        });
    }
}

impl Changing {
    /// Keeps what time brought, as far as the disk takes it.
    fn keep_steps(&mut self, happened: &[Happened], before: &Book, kept: &Kept, now_s: u64) {
        let (Some(state), Some(audit)) = (&self.state, &mut self.audit) else { return };
        for step in happened {
            let entry = &step.entry;
            let is_refused = matches!(step.what, Step::Refused | Step::Overdue);
            let after = kept.book.entry(entry.id);
            audit.append_or_owe(&Line {
                time: rfc3339(now_s),
                at_s: now_s,
                actor: "timer".to_owned(),
                what: match step.what {
                    Step::Started | Step::Refused => "start",
                    Step::Ended | Step::Overdue | Step::Missed => "end",
                }
                .to_owned(),
                target: Some(entry.target.clone()),
                outcome: if is_refused { Outcome::Refused } else { Outcome::Accepted },
                revision: kept.book.revision,
                before: before.entry(entry.id).cloned().into_iter().collect(),
                after: after.filter(|e| e.stage != Stage::Planned).cloned().into_iter().collect(),
                reason: Some(entry.reason.clone()),
                break_glass: entry.break_glass.clone(),
                because: step.broken.iter().map(broken_text).collect(),
            });
        }
        if let Err(error) = state.write_overrides(&kept.encode()) {
            tracing::error!(%error, "what time brought cannot be kept now: it is tried again");
            self.is_unwritten = true;
            self.tried = Instant::now();
        } else {
            self.is_unwritten = false;
        }
    }
}
