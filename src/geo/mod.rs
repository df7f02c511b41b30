//! From a client's address to its place, and from places to compiled range tables.
//!
//! Pure: bytes of databases come in as arguments. It must not know WIPs, pools,
//! health or zones: orders are numbers that the caller gives meaning.
//!
//! ```text
//! .mmdb bytes ─► database ─┐                       operator's networks
//! embedded table ──────────┴► BaseTable ─► compile ◄──┘
//!                                            └─► Map ─► (row, scope), per query
//! ```

mod base;
mod cells;
mod classes;
mod client;
mod compile;
mod country;
mod database;
mod embedded;
mod halves;
mod key;
mod map;
mod mmdb_data;
mod mmdb_record;
mod mmdb_tree;
#[cfg(test)]
mod mmdb_writer;
mod packed;
mod pages;
mod pieces;
mod place;
mod ranges;
mod source;
mod sphere;
mod steps;

pub use base::BaseTable;
pub use client::{is_unroutable, unwrap};
pub use compile::compile;
pub use country::{continent_of, country_centroid, country_name, is_continent, is_country};
pub use database::GeoError;
pub use embedded::encode_countries;
pub use map::{Located, Map};
pub use pages::DatabaseBytes;
pub use pieces::{Piece, for_each_piece, hides_ipv4};
pub use place::{ClassId, Location, Place, Point, Serves};
pub use source::{Fields, Schema, SourceInfo};
pub use sphere::{biased, distance_km};
