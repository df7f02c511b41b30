//! Random worlds for overrides, and what they are to do, told the long way round.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod examples;
pub(crate) mod oracle;
pub(crate) mod world;
