//! What a lookup hands out: zones, nodes and their RRsets, as views.
//!
//! Views are small and copied; they borrow from the [`Zones`] they came from
//! and never allocate. They must not know how names are found.

use super::Zones;
use super::key::name_at;
use crate::dns::Name;
use crate::dns::encode::ReadySoa;

/// "No such thing" in the indices of details.
pub(super) const NONE: u32 = u32::MAX;

/// Index of a zone: the order of [`super::Builder::add_zone`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ZoneId(pub u32);

//------------ Zone -----------------------------------------------------------

/// A zone's apex data, which most answers need something of.
#[derive(Debug)]
pub struct Zone {
    pub(super) id: ZoneId,
    pub(super) origin: Name,
    pub(super) soa: OwnedRrset,
    pub(super) ready_soa: Option<ReadySoa>,
    pub(super) ns: OwnedRrset,
    pub(super) negative_ttl_s: u32,
}

impl Zone {
    /// Its index.
    pub fn id(&self) -> ZoneId {
        self.id
    }

    /// The apex, spelled as configured.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The SOA, with its own TTL.
    pub fn soa(&self) -> Rrset<'_> {
        self.soa.view()
    }

    /// The serial in the SOA.
    pub fn serial(&self) -> u32 {
        let fields = self.soa.data.last_chunk::<20>();
        fields.map_or(0, |fields| u32::from_be_bytes([fields[0], fields[1], fields[2], fields[3]]))
    }

    /// The SOA as bytes of a reply; none for the root.
    #[inline]
    pub fn ready_soa(&self) -> Option<&ReadySoa> {
        self.ready_soa.as_ref()
    }

    /// The apex NS RRset.
    pub fn ns(&self) -> Rrset<'_> {
        self.ns.view()
    }

    /// TTL of negative answers, in seconds: the lesser of the SOA's TTL and its
    /// MINIMUM field (RFC 2308 5).
    pub fn negative_ttl_s(&self) -> u32 {
        self.negative_ttl_s
    }
}

/// One RRset with its own bytes.
#[derive(Debug)]
pub(super) struct OwnedRrset {
    pub(super) rtype: u16,
    pub(super) ttl_s: u32,
    pub(super) count: u32,
    pub(super) data: Box<[u8]>,
}

impl OwnedRrset {
    fn view(&self) -> Rrset<'_> {
        Rrset { rtype: self.rtype, ttl_s: self.ttl_s, count: self.count, data: &self.data }
    }
}

//------------ Detail ---------------------------------------------------------

/// A name that is more than empty or a plain WIP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    /// Where the canonical name starts in the arena.
    pub(super) name: u32,
    /// Its RRsets: where they start and how many.
    pub(super) rrsets_start: u32,
    pub(super) rrsets_count: u32,
    /// The WIP here, or [`NONE`].
    pub(super) wip: u32,
    /// The detail of the topmost zone cut at or above, or DNAME above, or [`NONE`].
    pub(super) cover: u32,
    /// The site whose wildcard base is nearest, at or above, or [`NONE`].
    pub(super) site: u32,
    /// At an apex: the detail of the parent zone's records here, or [`NONE`].
    pub(super) parent_side: u32,
    pub(super) name_length: u8,
    pub(super) flags: u8,
}

/// The name has NS records and is no apex: a zone cut.
pub(super) const CUT: u8 = 1;
/// The name has a DNAME record.
pub(super) const DNAME: u8 = 1 << 1;
/// The name is a zone's origin.
pub(super) const APEX: u8 = 1 << 2;
/// The name is the base of a site wildcard.
pub(super) const SITE_BASE: u8 = 1 << 3;
/// The name is `*` under the base of a site wildcard.
pub(super) const SITE_STAR: u8 = 1 << 4;

impl Detail {
    pub(super) fn new(name: u32, name_length: usize) -> Detail {
        Detail {
            name,
            rrsets_start: 0,
            rrsets_count: 0,
            wip: NONE,
            cover: NONE,
            site: NONE,
            parent_side: NONE,
            name_length: name_length as u8,
            flags: 0,
        }
    }

    #[inline]
    pub(super) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

//------------ Node -----------------------------------------------------------

/// A name and the static RRsets there.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub(super) zones: &'a Zones,
    pub(super) name: u32,
    pub(super) rrsets_start: u32,
    pub(super) rrsets_count: u32,
    pub(super) wip: u32,
}

impl<'a> Node<'a> {
    /// The canonical (lower-case) wire name.
    pub fn name(self) -> &'a [u8] {
        name_at(&self.zones.arena[self.name as usize..])
    }

    /// True when the leftmost label is `*`: the answer's owner is then the
    /// query name (RFC 4592 3.3.2), also when `*` itself was asked.
    pub fn is_wildcard(self) -> bool {
        self.zones.arena[self.name as usize..].starts_with(b"\x01*")
    }

    /// The WIP or alias that owns the name.
    pub fn wip(self) -> Option<u32> {
        (self.wip != NONE).then_some(self.wip)
    }

    /// The RRset of one type.
    pub fn rrset(self, rtype: u16) -> Option<Rrset<'a>> {
        let entry = self.entries().iter().find(|entry| entry.rtype == rtype)?;
        Some(entry.view(&self.zones.rdata))
    }

    /// All RRsets, by type.
    pub fn rrsets(self) -> impl Iterator<Item = Rrset<'a>> + use<'a> {
        let rdata = &self.zones.rdata;
        self.entries().iter().map(move |entry| entry.view(rdata))
    }

    /// True when there is no static RRset.
    pub fn is_empty(self) -> bool {
        self.rrsets_count == 0
    }

    fn entries(self) -> &'a [RrsetEntry] {
        let start = self.rrsets_start as usize;
        &self.zones.rrsets[start..start + self.rrsets_count as usize]
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut name = String::new();
        crate::dns::name::write_presentation(self.name(), &mut name)?;
        let types: Vec<u16> = self.rrsets().map(Rrset::rtype).collect();
        f.debug_struct("Node").field("name", &name).field("types", &types).finish()
    }
}

//------------ Rrset ----------------------------------------------------------

/// Where an RRset's bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct RrsetEntry {
    pub(super) rtype: u16,
    pub(super) ttl_s: u32,
    pub(super) count: u32,
    pub(super) start: u32,
    pub(super) length: u32,
}

impl RrsetEntry {
    #[inline]
    fn view(self, rdata: &[u8]) -> Rrset<'_> {
        let start = self.start as usize;
        Rrset {
            rtype: self.rtype,
            ttl_s: self.ttl_s,
            count: self.count,
            data: &rdata[start..start + self.length as usize],
        }
    }
}

/// Records of one name and type, duplicates left out (RFC 2181 5).
#[derive(Clone, Copy, Debug)]
pub struct Rrset<'a> {
    rtype: u16,
    ttl_s: u32,
    count: u32,
    /// Each RDATA behind its length in two bytes, big-endian.
    data: &'a [u8],
}

impl<'a> Rrset<'a> {
    /// The type.
    pub fn rtype(self) -> u16 {
        self.rtype
    }

    /// The TTL of every record in it, in seconds (RFC 2181 5.2).
    pub fn ttl_s(self) -> u32 {
        self.ttl_s
    }

    /// How many records; at least one.
    pub fn count(self) -> usize {
        self.count as usize
    }

    /// Each RDATA in wire form, names uncompressed, in the order of the file.
    pub fn rdatas(self) -> Rdatas<'a> {
        Rdatas { rest: self.data }
    }

    /// Bytes of all RDATA, each with the two of RDLENGTH before it: the part of
    /// the records on the wire that is not owner, type, class or TTL.
    pub fn rdata_length(self) -> usize {
        self.data.len()
    }
}

/// RDATA of an RRset, one after another.
#[derive(Clone, Debug)]
pub struct Rdatas<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Rdatas<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some(rdata)
    }
}
