//! Judging health: what is probed, when a verdict changes, what queries see.
//!
//! Pure: results and time come in as arguments. It must not know sockets,
//! runtimes, zones or answers.

pub mod check;
mod failure;
pub mod machine;
pub mod plan;
pub mod table;

pub use failure::{DETAIL_CHARS_MAX, Failure, FailureKind, Outcome};
