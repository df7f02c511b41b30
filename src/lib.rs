//! Windrose, an authoritative DNS server for Global Server Load Balancing.

pub mod config;
pub mod dns;
pub mod geo;
pub mod health;
pub mod steer;
pub mod zone;
