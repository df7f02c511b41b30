//! What the RFCs ask of an authoritative server, a module for each RFC.
//!
//! A test is named after what is true; its doc gives the point of the checklist in
//! docs/RFCS.md that it holds, and the section of the RFC. The document names the
//! tests, and `documented` holds it to that. Whole dialogues as text, with all that
//! the server adds, stand in `tests/answer/*.case`; here is one rule a test.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "../config_support/mod.rs"]
mod config_support;
#[path = "../dns_support/mod.rs"]
mod dns_support;
mod documented;
mod support;

mod access;
mod amplification;
mod cve;
mod rate_limit;
mod refusals;

mod rfc1034;
mod rfc1035;
mod rfc2181;
mod rfc2181_names;
mod rfc2308;
mod rfc2782;
mod rfc3597;
mod rfc4035;
mod rfc4343;
mod rfc4592;
mod rfc5001;
mod rfc6604;
mod rfc6672;
mod rfc6891;
mod rfc6895;
mod rfc7828;
mod rfc7830;
mod rfc7871;
mod rfc7873;
mod rfc8482;
mod rfc8906;
mod rfc8914;
mod rfc9018;
mod rfc9460;
mod rfc9471;
mod rfc9567;
mod rfc9619;
mod rfc9715;
