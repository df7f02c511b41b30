//! Windrose, an authoritative DNS server for Global Server Load Balancing.

pub mod admin;
pub mod answer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod dns;
pub mod geo;
pub mod health;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod probe;
pub mod problem;
pub mod snapshot;
pub mod steer;
pub mod zone;
