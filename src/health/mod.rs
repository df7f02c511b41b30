//! Judging health: what is probed, when a verdict changes, what queries see.
//!
//! Pure: results and time come in as arguments. It must not know sockets,
//! runtimes, zones or answers.

pub mod check;
pub mod plan;
pub mod table;
