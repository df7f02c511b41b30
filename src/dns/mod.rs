//! Words of the wire: names, headers, questions, EDNS, client subnets, cookies.
//!
//! Everything here turns bytes into values and values into bytes, with no idea
//! of zones, WIPs or sockets. It never allocates on the query path and never
//! panics on what a peer sends. It must not know any other module.

pub mod cookie;
pub mod ecs;
pub mod edns;
pub mod encode;
pub mod message;
pub mod name;
pub mod query;
pub mod siphash;
pub mod tsig;
pub mod types;

pub use name::{Name, NameError};
