//! Who decides of a member, for those who explain it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::drained::{Change, Lifetimes};
use super::kept::Kept;
use super::{Keeper, lock};
use crate::overrides::{Book, Compiled, Deciders, Entry};
use crate::snapshot::Serving;

/// What is said now, and of whom.
pub(in crate::daemon) struct Told {
    pub(super) kept: Arc<Kept>,
    pub(super) compiled: Arc<Compiled>,
    pub(super) lifetimes: Lifetimes,
    /// What is served under it: numbers of WIPs and members are those of its snapshot.
    pub(in crate::daemon) serving: Arc<Serving>,
}

impl Keeper {
    /// What is said now, with what is served under it.
    pub(in crate::daemon) fn told(&self, cell: &ArcSwap<Serving>) -> Told {
        // Both change under this lock alone.
        let now = lock(&self.now);
        Told {
            kept: Arc::clone(&now.kept),
            compiled: Arc::clone(&now.compiled),
            lifetimes: now.lifetimes.clone(),
            serving: cell.load_full(),
        }
    }
}

impl Told {
    /// What is to be kept once `book` takes this one's place, at `now_s`.
    pub(super) fn kept_after(&self, book: Book, compiled: &Compiled, now_s: u64) -> Kept {
        let known = &self.kept.drained_at_s;
        let mut kept = Kept { book, drained_at_s: known.clone() };
        let change = Change {
            before: &self.serving,
            deciders: &self.compiled.deciders,
            known,
            after: compiled,
            now_s,
            lifetimes: &self.lifetimes,
        };
        change.note(&mut kept.drained_at_s);
        kept.tidy();
        kept
    }

    /// Which override decides of whom.
    pub(in crate::daemon) fn deciders(&self) -> &Deciders {
        &self.compiled.deciders
    }

    /// "drain of datacenter fra by kim (127.0.0.1:4711): new switches (override 12)"; none:
    /// health decides of that member of a WIP.
    pub(in crate::daemon) fn text(&self, wip: u32, strategy: u32, member: usize) -> Option<String> {
        let id = self.deciders().of(wip, strategy, member)?;
        let Entry { kind, target, actor, reason, .. } = self.kept.book.entry(id)?;
        let kind = kind.as_str();
        Some(format!("{kind} of {target} by {actor}: {reason} (override {id})"))
    }
}
