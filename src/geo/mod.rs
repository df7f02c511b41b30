//! From a client's address to its place, and from places to compiled range tables.
//!
//! Pure: bytes of databases come in as arguments. It must not know WIPs, pools,
//! health or zones: orders are numbers that the caller gives meaning.

mod place;

pub use place::{Location, Serves};
