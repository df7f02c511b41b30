//! All fuzz targets in one binary, so that the library is linked once: the environment
//! variable `WINDROSE_FUZZ` names the target. `fuzz/run` sets it.
//!
//! Bodies that `cargo test` runs on seeds too stand in `tests/dns_support/oracles.rs`.
#![no_main]

#[path = "../../tests/config_support/mod.rs"]
mod config_support;
#[path = "../../tests/dns_support/mod.rs"]
mod dns_support;

mod config;
mod dns_reply;
mod grpc_reply;
mod master;
mod mmdb;
mod saved_state;
mod transfer;

use std::sync::OnceLock;

use dns_support::oracles;

type Body = fn(&[u8]);

/// `fuzz/run --list` reads the names here.
const TARGETS: [(&str, Body); 15] = [
    ("answer", oracles::answer),
    ("config", config::run),
    ("dns_reply", dns_reply::run),
    ("doh_get", oracles::doh_get),
    ("edns", oracles::edns),
    ("grpc_reply", grpc_reply::run),
    ("master", master::run),
    ("message", oracles::message),
    ("mmdb", mmdb::run),
    ("proxy", oracles::proxy),
    ("query", oracles::query),
    ("saved_state", saved_state::run),
    ("tcp_framing", oracles::tcp_framing),
    ("transfer", transfer::run),
    ("tsig", oracles::tsig),
];

static CHOSEN: OnceLock<Body> = OnceLock::new();

fn chosen() -> Body {
    let name = std::env::var("WINDROSE_FUZZ").unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    found.map(|(_, body)| *body).unwrap_or_else(|| panic!("WINDROSE_FUZZ={name}: no such target"))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| CHOSEN.get_or_init(chosen)(data));
