//! Any OPT record on a query that is sound beside: its options are read as they stand
//! there, and the query has a proper reply. The body is `edns` of `tests/dns_support/oracles.rs`.
#![no_main]

#[path = "../../tests/config_support/mod.rs"]
mod config_support;
#[path = "../../tests/dns_support/mod.rs"]
mod dns_support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns_support::oracles::edns(data));
