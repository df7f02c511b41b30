//! Windrose, an authoritative DNS server for Global Server Load Balancing.

pub mod config;
pub mod dns;
pub mod geo;
pub mod health;
<<<<<<< HEAD
pub mod metrics;
=======
pub mod listen;
>>>>>>> listen
pub mod steer;
