//! Judging health: what is probed, when a verdict changes, what queries see.
//!
//! ```text
//!   plan ──► engine ──► due probes          (probe sends them)
//!              ▲  └───► table of words      (answer reads them)
//!              └─────── outcomes
//! ```
//!
//! Pure: results and time come in as arguments. It must not know sockets,
//! runtimes, zones or answers.

mod budget;
mod carry;
pub mod check;
pub mod engine;
mod event;
mod failure;
mod hold;
mod limiter;
mod links;
pub mod machine;
pub mod plan;
pub mod saved;
pub mod schedule;
pub mod stable;
pub mod table;
mod track;
mod verdict;

pub use budget::BURST_RATE_MIN;
pub use engine::{COUNTERS_KEPT_S, Engine, History, Restored};
pub use event::{Due, Event, Now, ProbeKey, Purpose};
pub use failure::{DETAIL_CHARS_MAX, Failure, FailureKind, Outcome};
pub use hold::{Return, ReturnPhase};
pub use limiter::{DatacenterLoss, LimiterPhase, LimiterStatus};
pub use track::{Glance, Results, SILENT_INTERVALS, TargetStatus};
