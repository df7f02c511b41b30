//! Choosing: from a WIP's members, their health and the client to an answer.
//!
//! ```text
//! client ─► geo map ─► row (order of pools and members, VIPs it may see)
//!                       │
//!        verdict words ─┴─► choose ─► members in the answer, its TTL
//! ```
//!
//! Pure: health comes in as words, the client's order as a row, chance as a
//! count of queries. It must not know names, zones or messages.

pub mod binding;
mod calm;
mod candidates;
pub mod choose;
#[cfg(test)]
mod choose_tests;
pub mod cycle;
mod decision;
pub mod hash;
pub mod order;
pub mod overlay;
mod pick;
mod policy;
mod ramp;
#[cfg(test)]
mod ramp_tests;
mod set;
pub mod strategy;

pub use candidates::nobody_left;
pub use policy::{Families, OnAllDown, Policy};
pub use ramp::Ramp;
