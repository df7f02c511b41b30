//! Windrose, an authoritative DNS server for Global Server Load Balancing.

pub mod admin;
pub mod answer;
pub mod clock;
pub mod config;
pub mod dns;
pub mod geo;
pub mod health;
pub mod log;
pub mod listen;
pub mod metrics;
pub mod problem;
pub mod snapshot;
pub mod probe;
pub mod steer;
pub mod zone;
