//! Immutable zone data: static records, the names of WIPs and site wildcards,
//! and the lookup that tells what stands at a name.
//!
//! Hosted zones differ from a cache: every name that exists is known, so one
//! hash table over canonical names, ancestors included, answers an exact name
//! in one probe and finds the closest encloser of any other. Cuts, DNAMEs and
//! site wildcards are worked out for the names below them when the table is
//! built. A [`Zones`] never changes; a reload builds another.
//!
//! ```text
//! master file text ─ master::parse ─► records ┐
//! WIP names, aliases ─────────────────────────┼─ Builder ─► Zones ─ lookup ─► Outcome
//! site wildcard bases ────────────────────────┘    │
//!                                  all ZoneErrors, or warnings
//! ```
//!
//! It must not know messages, sockets, health or what a WIP answers: WIPs and
//! sites are numbers here.

mod build;
mod check;
mod cover;
mod error;
mod key;
mod lookup;
pub mod master;
mod node;
mod place;
pub mod rdata;
mod records;
mod table;
pub mod transfer_in;
mod walk;

pub use build::Builder;
pub use error::{Subject, ZoneError, ZoneFault, ZoneWarning, ZoneWorry};
pub use key::{Key, hash_of};
pub use lookup::Located;
pub use node::{Node, Rdatas, Rrset, Zone, ZoneId};
pub use walk::Standing;

use crate::dns::Name;
use node::{Detail, RrsetEntry};
use table::Table;

/// Largest TTL, in seconds (RFC 2181 8).
pub const TTL_S_MAX: u32 = 0x7fff_ffff;

//------------ Record ---------------------------------------------------------

/// One static record of class IN.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its name, spelled as given.
    pub owner: Name,
    /// Its type's number.
    pub rtype: u16,
    /// Its TTL in seconds, at most [`TTL_S_MAX`].
    pub ttl_s: u32,
    /// Its data in wire form, names uncompressed; at most 65,535 bytes.
    pub rdata: Box<[u8]>,
}

//------------ Zones ----------------------------------------------------------

/// All zones of a configuration, ready for lookups from any thread.
#[derive(Debug)]
pub struct Zones {
    /// Canonical names, one after another; ancestors are parts of them.
    arena: Box<[u8]>,
    table: Table,
    details: Box<[Detail]>,
    rrsets: Box<[RrsetEntry]>,
    rdata: Box<[u8]>,
    zones: Box<[Zone]>,
    /// Labels of the shortest origin: no shorter name is ours.
    origin_labels_min: usize,
    warnings: Vec<ZoneWarning>,
}

impl Zones {
    /// One zone.
    ///
    /// # Panics
    ///
    /// If `id` is not of the builder this came from.
    pub fn zone(&self, id: ZoneId) -> &Zone {
        &self.zones[id.0 as usize]
    }

    /// The zone whose origin is `name` (wire form, any case).
    pub fn origin(&self, name: &[u8]) -> Option<&Zone> {
        match self.lookup(name, rdata::rtype::SOA) {
            Lookup::Found { zone, .. } if zone.origin().wire().eq_ignore_ascii_case(name) => {
                Some(zone)
            }
            _ => None,
        }
    }

    /// All zones, in the order they were added.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = &Zone> {
        self.zones.iter()
    }

    /// What is odd about the zones though they can be served.
    pub fn warnings(&self) -> &[ZoneWarning] {
        &self.warnings
    }

    /// How many names exist, empty non-terminals and names above origins included.
    pub fn name_count(&self) -> usize {
        self.table.len()
    }

    /// Bytes of memory held, names of warnings left out.
    pub fn memory_bytes(&self) -> usize {
        self.arena.len()
            + self.table.memory_bytes()
            + size_of_val(&*self.details)
            + size_of_val(&*self.rrsets)
            + self.rdata.len()
            + size_of_val(&*self.zones)
    }
}

//------------ Lookup ---------------------------------------------------------

/// Whether a name is ours and what stands there.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// In no zone: REFUSED.
    NotOurs,
    /// In a zone.
    Found {
        /// The zone that answers: for a referral the one above the cut, for a DS
        /// query at a child's apex the parent.
        zone: &'a Zone,
        /// What stands at the name there.
        outcome: Outcome<'a>,
    },
}

/// What stands at a name.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// A WIP or alias owns the name, itself or through its wildcard (RFC 4592).
    Wip {
        /// The number given to [`Builder::add_wip`].
        wip: u32,
        /// Static records of other types there; often empty.
        node: Node<'a>,
    },
    /// No data of its own, strictly under the base of a site wildcard: A and
    /// AAAA are the site's (docs/CONFIG.md). Empty non-terminals count.
    Site {
        /// The number given to [`Builder::add_site_wildcard`].
        site: u32,
        /// Other types that a static `*` under the base has; else empty.
        node: Node<'a>,
    },
    /// The name exists, or a wildcard stands for it; without records it is an
    /// empty non-terminal: NODATA. A wildcard's NS RRset is plain data here:
    /// it makes no referral for the names it stands for (RFC 4592 4.2 leaves
    /// it undefined; NSD answers so too).
    Node(Node<'a>),
    /// Below a DNAME (RFC 6672 2.4).
    Dname {
        /// The node that has the DNAME.
        node: Node<'a>,
        /// Bytes of its wire name: the suffix of the query name to replace.
        owner_length: usize,
    },
    /// At or below a zone cut (RFC 1034 4.3.2 3b). A query for DS at the cut
    /// itself is a [`Outcome::Node`] instead.
    Referral {
        /// The node that has the NS RRset, and DS if the child is signed.
        cut: Node<'a>,
        /// Bytes of its wire name.
        owner_length: usize,
    },
    /// Neither the name nor anything below it exists.
    NxDomain,
}

#[cfg(test)]
mod tests;
