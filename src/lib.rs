//! Windrose, an authoritative DNS server for Global Server Load Balancing.

pub mod admin;
pub mod cli;
pub mod config;
pub mod dns;
pub mod geo;
pub mod health;
pub mod log;
pub mod metrics;
pub mod steer;
