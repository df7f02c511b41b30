//! Windrose, an authoritative DNS server for Global Server Load Balancing.

pub mod clock;
pub mod config;
pub mod dns;
pub mod geo;
pub mod health;
pub mod probe;
pub mod steer;
