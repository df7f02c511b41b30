//! What goes into the engine and what comes out: moments, due probes, events.
//!
//! Words alone, so that those who read events need not read the engine.
//!
//! It must not know how any of them comes about.

use super::failure::Failure;
use super::machine::Transition;
use super::plan::{TargetId, VerdictId};
use super::table::State;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// Monotonic milliseconds since some start.
    pub mono_ms: u64,
    /// Unix seconds; may jump.
    pub unix_s: u32,
}

/// Names a target's probes across reloads.
pub type ProbeKey = u64;

/// Why a probe comes when it comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// At the target's own slot.
    Steady,
    /// A contrary result is pending; within the budget.
    Confirm,
    /// The target was not probed yet by this process; within the budget.
    First,
}

/// A probe to be made now. Exactly one result must follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Due {
    /// For [`super::Engine::result`] and [`super::Engine::target_of`].
    pub key: ProbeKey,
    /// Index into the plan of the engine that gave it.
    pub target: TargetId,
    /// When it should have started, monotonic milliseconds.
    pub due_ms: u64,
    /// Why now.
    pub purpose: Purpose,
}

/// Something worth a log line, a counter, a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A target changed state.
    Transition {
        /// Which.
        target: TargetId,
        /// Before.
        from: State,
        /// After.
        to: State,
        /// The failure that did it; none: successes, or silence.
        failure: Option<Failure>,
        /// Results in a row that would turn it again.
        results_needed: u8,
    },
    /// No verdict for [`super::SILENT_INTERVALS`]: the prober's trouble, not the target's.
    Silent {
        /// Which.
        target: TargetId,
        /// The last failure of our own, if probes ended at all.
        failure: Option<Failure>,
    },
    /// A loss was undone, for the limiter tripped: the target is what it was before.
    Undone {
        /// Which.
        target: TargetId,
        /// What it is again.
        to: State,
    },
    /// Nearly everything was lost at once: the fault is ours. No target goes DOWN
    /// until it releases. The losses undone follow.
    LimiterTripped {
        /// Losses undone.
        undone: u32,
        /// Targets that are counted.
        targets: u32,
    },
    /// The limiter holds no more: what still fails goes DOWN.
    LimiterReleased {
        /// Targets that were still held.
        held: u32,
        /// An operator did it; otherwise enough targets answered again.
        by_operator: bool,
    },
    /// A verdict that was lost is up again and kept out of answers; or it may take
    /// part again after that.
    Held {
        /// Which.
        verdict: VerdictId,
        /// After.
        held: bool,
    },
    /// A verdict's availability changed.
    Available {
        /// Which.
        verdict: VerdictId,
        /// After.
        available: bool,
    },
}

impl Event {
    pub(super) fn transition(
        target: TargetId,
        transition: Transition,
        failure: Option<Failure>,
        results_needed: u8,
    ) -> Event {
        Event::Transition {
            target,
            from: transition.from,
            to: transition.to,
            failure,
            results_needed,
        }
    }
}
