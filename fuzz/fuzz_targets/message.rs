//! Any message read record by record, as replies and transfers are: another reader sees
//! the same records. The body is `message` of `tests/dns_support/oracles.rs`.
#![no_main]

#[path = "../../tests/config_support/mod.rs"]
mod config_support;
#[path = "../../tests/dns_support/mod.rs"]
mod dns_support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dns_support::oracles::message(data));
