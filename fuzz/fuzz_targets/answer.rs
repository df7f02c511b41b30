//! Any bytes against a server that has everything: a proper reply or silence. The body is `answer` of `tests/dns_support/oracles.rs`.
#![no_main]

#[path = "../../tests/config_support/mod.rs"]
mod config_support;
#[path = "../../tests/dns_support/mod.rs"]
mod dns_support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns_support::oracles::answer(data));
