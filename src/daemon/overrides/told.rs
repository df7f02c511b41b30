//! Who decides of a member, for those who explain it.

use std::sync::Arc;

use super::kept::Kept;
use super::{Keeper, lock};
use crate::overrides::{Compiled, Deciders, Entry};

/// What is said now, and of whom.
pub(in crate::daemon) struct Told {
    kept: Arc<Kept>,
    compiled: Arc<Compiled>,
}

impl Keeper {
    /// What is said now. It belongs to what is served now: ask for both together.
    pub(in crate::daemon) fn told(&self) -> Told {
        let now = lock(&self.now);
        Told { kept: Arc::clone(&now.kept), compiled: Arc::clone(&now.compiled) }
    }
}

impl Told {
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
