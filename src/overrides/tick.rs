//! Time passes: overrides that were planned start, others end, each judged then.

use std::sync::Arc;

use super::book::Book;
use super::effect::Effect;
use super::entry::{Entry, Stage};
use super::judge::{Broken, judge_step, why};
use super::lay::overlay;
use crate::config::model::Safety;
use crate::snapshot::Serving;
use crate::steer::overlay::Overlay;

/// What came of an override because its time had come.
#[derive(Clone, Debug)]
pub struct Happened {
    /// What.
    pub what: Step,
    /// The override as it stands now; where it ended, as it stood last.
    pub entry: Entry,
    /// What it does.
    pub effect: Effect,
    /// Rules that it breaks: that forbade it, or that were passed over with the glass
    /// broken.
    pub broken: Vec<Broken>,
}

/// A step of an override's life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Planned, and in force now.
    Started,
    /// Planned, and not allowed when its time came.
    Refused,
    /// In force, and gone now.
    Ended,
    /// Its end came and was not allowed. It is tried again, without a word.
    Overdue,
    /// Its start and its end both came while nobody looked.
    Missed,
}

impl Step {
    /// The word for the log and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Started => "started",
            Step::Refused => "refused",
            Step::Ended => "ended",
            Step::Overdue => "overdue",
            Step::Missed => "missed",
        }
    }
}

/// Takes all steps that are due, and says what came of them; none: the book stays.
pub fn tick(
    serving: &Serving,
    book: &Book,
    now_s: u64,
    safety: &Safety,
) -> Option<(Book, Vec<Happened>)> {
    let mut due: Vec<&Entry> = book.entries.iter().filter(|entry| entry.is_due(now_s)).collect();
    // Together they take effect now; those that give members back make room for others.
    due.sort_by_key(|entry| (entry.takes_at_its_step(), entry.due_s(), entry.id));
    let due: Vec<u64> = due.into_iter().map(|entry| entry.id).collect();
    let mut now = book.clone();
    let mut happened = Vec::new();
    if !due.is_empty() {
        let serving = &serving.frozen();
        let mut laid = Arc::new(overlay(&serving.snapshot, book, now_s).overlay);
        for id in due {
            let (after, step) = take_step(serving, &now, &mut laid, id, now_s, safety);
            now = after;
            happened.extend(step);
        }
    }
    if now.entries == book.entries {
        return None;
    }
    now.revision = book.revision + 1;
    Some((now, happened))
}

/// `laid` is what the book lays over members, before and after.
fn take_step(
    serving: &Serving,
    book: &Book,
    laid: &mut Arc<Overlay>,
    id: u64,
    now_s: u64,
    safety: &Safety,
) -> (Book, Option<Happened>) {
    let Some(entry) = book.entry(id).cloned() else { return (book.clone(), None) };
    let ends = entry.until_s.is_some_and(|until_s| until_s <= now_s);
    let starts = !ends && entry.stage == Stage::Planned;
    let done = if starts { book.with_stage(id, &Stage::InForce) } else { book.without(id) };
    let judgement = judge_step(serving, (book, &*laid), &done, now_s, safety);
    let happened = |what, book: &Book| {
        let entry = book.entry(id).unwrap_or(&entry).clone();
        let (effect, broken) = (judgement.effect.clone(), judgement.broken.clone());
        Some(Happened { what, entry, effect, broken })
    };
    if judgement.broken.is_empty() || entry.break_glass.is_some() {
        let what = match entry.stage {
            Stage::Planned if ends => Step::Missed,
            Stage::Planned => Step::Started,
            _ => Step::Ended,
        };
        let happened = happened(what, &judgement.book);
        *laid = Arc::new(judgement.compiled.overlay);
        return (judgement.book, happened);
    }
    if matches!(entry.stage, Stage::Overdue { .. }) {
        return (book.clone(), None);
    }
    let why = why(&judgement.broken);
    let (what, stage) = match starts {
        true => (Step::Refused, Stage::Refused { why }),
        false => (Step::Overdue, Stage::Overdue { why }),
    };
    let book = book.with_stage(id, &stage);
    let happened = happened(what, &book);
    *laid = Arc::new(overlay(&serving.snapshot, &book, now_s).overlay);
    (book, happened)
}

impl Entry {
    fn due_s(&self) -> Option<u64> {
        match self.stage {
            Stage::Planned => self.at_s,
            Stage::InForce | Stage::Overdue { .. } => self.until_s,
            Stage::Refused { .. } => None,
        }
    }

    fn is_due(&self, now_s: u64) -> bool {
        self.due_s().is_some_and(|due_s| due_s <= now_s)
    }

    /// Whether its next step may take members out: its start, or the end of a force-up.
    fn takes_at_its_step(&self) -> bool {
        self.kind.takes_out() == (self.stage == Stage::Planned)
    }
}

impl Book {
    fn with_stage(&self, id: u64, stage: &Stage) -> Book {
        let mut book = self.clone();
        for entry in book.entries.iter_mut().filter(|entry| entry.id == id) {
            entry.stage = stage.clone();
        }
        book
    }

    fn without(&self, id: u64) -> Book {
        let mut book = self.clone();
        book.entries.retain(|entry| entry.id != id);
        book
    }
}
