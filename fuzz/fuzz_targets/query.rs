//! What is read as a query is one to another reader too, and what that reads as one is
//! refused for reasons that can be named. The body is `query` of `tests/dns_support/oracles.rs`.
#![no_main]

#[path = "../../tests/config_support/mod.rs"]
mod config_support;
#[path = "../../tests/dns_support/mod.rs"]
mod dns_support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns_support::oracles::query(data));
