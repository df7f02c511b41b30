//! A WIP's settings compiled for the query path, shared by all WIPs that agree.
//!
//! ```text
//! Strategy ─ pools ─► members ─► vips     three flat lists, ranges into the next
//!          └ rows: for one kind of client, the order of all these
//! ```
//!
//! It must not know names, zones or how health is measured.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;

use super::binding::Binding;
use super::{Families, OnAllDown, Policy};
use crate::dns::encode::{Full, QUESTION_POINTER, Section, TTL_AT, Writer};
use crate::dns::name;
use crate::dns::types::{class, rtype};
use crate::geo::Map;

/// Longest ready record: AAAA.
const RECORD_LENGTH_MAX: usize = 28;

//------------ Strategy -------------------------------------------------------

/// How one or many WIPs decide.
#[derive(Debug)]
pub struct Strategy {
    /// Policy over `pools`.
    pub policy: Policy,
    /// At least one.
    pub pools: Box<[PoolEntry]>,
    /// Members of all pools, pool after pool.
    pub members: Box<[MemberEntry]>,
    /// VIPs of all members, member after member.
    pub vips: Box<[VipEntry]>,
    /// Most members in one answer.
    pub max_answers: usize,
    /// TTL of a calm answer, in seconds.
    pub ttl_s: u32,
    /// Least TTL, in seconds.
    pub ttl_min_s: u32,
    /// When nobody is available.
    pub on_all_down: OnAllDown,
    /// Records of `on_all_down = [addresses]`.
    pub fallback: Box<[Record]>,
    /// Whether the client subnet option is honoured.
    pub ecs: bool,
    /// Whether the families are decided together.
    pub families: Families,
    /// From the client to a row; none: every client has row 0.
    pub map: Option<Arc<Map>>,
    /// Distinct orders; at least one.
    pub rows: Arc<[Row]>,
    /// Networks the operator named (`serves`, `for`): private client subnets
    /// count only inside these.
    pub networks: Box<[ipnet::IpNet]>,
    /// True when the choice depends on a count of queries.
    pub takes_turns: bool,
    /// True when the choice depends on the client's network by hash.
    pub hashes: bool,
    /// True when some rows share clients by hash among their first members.
    pub has_ties: bool,
    /// True when every client may get every VIP: no row hides one.
    pub shows_all: bool,
    /// HTTPS and SVCB records, those that there are.
    pub bindings: Box<[Binding]>,
    /// Distinct wire names that members are; none where they have addresses.
    pub names: Box<[Box<[u8]>]>,
}

impl Strategy {
    /// True when two clients may be answered differently.
    pub fn depends_on_client(&self) -> bool {
        self.map.is_some() || self.hashes || self.has_ties
    }

    /// How many counts of queries its choices depend on: one for each type it decides.
    pub fn turn_count(&self) -> usize {
        match (self.takes_turns, self.bindings.is_empty()) {
            (false, _) => 0,
            (true, true) if self.is_alias() => 3,
            (true, true) => 2,
            (true, false) => 4,
        }
    }

    /// True where members are names: the answer is a CNAME, whatever is asked.
    pub fn is_alias(&self) -> bool {
        !self.names.is_empty()
    }

    /// The type that a decision is made for when `family` is asked.
    pub fn decided_type(&self, family: u16) -> u16 {
        if self.is_alias() { rtype::CNAME } else { family }
    }

    /// The wire name that a VIP stands for; none where it is an address.
    pub fn target(&self, vip: u16) -> Option<&[u8]> {
        let number = self.vips.get(usize::from(vip))?.record.name()?;
        self.names.get(number as usize).map(|name| &**name)
    }

    /// What is answered for a VIP, as text.
    pub fn shown(&self, vip: u16) -> String {
        match self.target(vip) {
            Some(wire) => {
                let mut text = String::new();
                // Writing to a string cannot fail.
                let _ = name::write_presentation(wire, &mut text);
                text
            }
            None => self.vips[usize::from(vip)].record.address().to_string(),
        }
    }

    /// Its HTTPS or SVCB record.
    pub fn binding(&self, rtype: u16) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.rtype == rtype)
    }
}

/// One pool.
#[derive(Clone, Debug)]
pub struct PoolEntry {
    /// How a member is chosen.
    pub policy: Policy,
    /// Range in [`Strategy::members`].
    pub members: Range<u16>,
    /// Fewest available members that make it usable.
    pub min_available: u16,
    /// Its share under a weighted or hash policy over pools: its members' weights together.
    pub weight: u32,
    /// XXH3-64 of its name.
    pub name_hash: u64,
    /// For A and AAAA: true when every member has exactly one such VIP.
    pub one_vip_each: [bool; 2],
}

/// [`MemberEntry::only_vip`] where there is none, or several.
pub const NOT_ONE: u16 = u16::MAX;

/// One member.
#[derive(Clone, Debug)]
pub struct MemberEntry {
    /// Range in [`Strategy::vips`].
    pub vips: Range<u16>,
    /// Its VIP for A and that for AAAA, where it has exactly one, or [`NOT_ONE`].
    pub only_vip: [u16; 2],
    /// Its share under `weighted` and `hash`.
    pub weight: u32,
    /// XXH3-64 of its name.
    pub name_hash: u64,
}

/// The VIP for A and that for AAAA among those of a member, which are `vips` and
/// begin at index `start`; [`NOT_ONE`] where there is none, or several.
pub fn only_vip(start: u16, vips: &[VipEntry]) -> [u16; 2] {
    [rtype::A, rtype::AAAA].map(|family| {
        let fits = |&(_, vip): &(u16, &VipEntry)| vip.record.rtype() == family;
        let mut fitting = (start..).zip(vips).filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some((index, _)), None) => index,
            _ => NOT_ONE,
        }
    })
}

/// For A and AAAA: whether each of `members` has exactly one such VIP.
pub fn one_vip_each(members: &[MemberEntry]) -> [bool; 2] {
    [0, 1].map(|family| members.iter().all(|member| member.only_vip[family] != NOT_ONE))
}

/// One VIP.
#[derive(Clone, Debug)]
pub struct VipEntry {
    /// Its record, ready but for the TTL.
    pub record: Record,
    /// XXH3-64 of its address as text.
    pub address_hash: u64,
}

/// What one kind of client gets: who comes first, and which VIPs it may see.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Row {
    /// Pools in order.
    pub pools: Box<[u16]>,
    /// Members in order: pool after pool, each pool's within its own range.
    pub members: Box<[u16]>,
    /// For each pool, how many of its first members share the client by hash;
    /// 0 or 1: none.
    pub tied: Box<[u16]>,
    /// One bit for each VIP: whether this client may get it.
    pub visible: Box<[u64]>,
}

impl Row {
    /// Whether VIP `index` may be answered to this client.
    #[inline]
    pub fn sees(&self, index: u16) -> bool {
        self.visible.get(usize::from(index) / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Whether the first `vips` VIPs may all be answered to this client.
    pub fn sees_all(&self, vips: usize) -> bool {
        (0..vips as u16).all(|index| self.sees(index))
    }

    /// True when some pool's first members share clients by hash.
    pub fn has_ties(&self) -> bool {
        self.tied.iter().any(|&tied| tied > 1)
    }
}

//------------ Record ---------------------------------------------------------

/// An A or AAAA record ready for the wire: its owner points at the question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    bytes: [u8; RECORD_LENGTH_MAX],
    length: u8,
}

impl Record {
    /// The record of `address`, TTL 0.
    pub fn new(address: IpAddr) -> Record {
        let mut bytes = [0; RECORD_LENGTH_MAX];
        bytes[..2].copy_from_slice(&QUESTION_POINTER);
        bytes[5] = class::IN as u8;
        let length = match address {
            IpAddr::V4(v4) => {
                bytes[3] = rtype::A as u8;
                bytes[11] = 4;
                bytes[12..16].copy_from_slice(&v4.octets());
                16
            }
            IpAddr::V6(v6) => {
                bytes[3] = rtype::AAAA as u8;
                bytes[11] = 16;
                bytes[12..28].copy_from_slice(&v6.octets());
                28
            }
        };
        Record { bytes, length }
    }

    /// What stands for a CNAME to the name of this number: never written as it is.
    pub fn of_name(number: u32) -> Record {
        let mut record = Record::new(Ipv4Addr::from(number).into());
        record.bytes[3] = rtype::CNAME as u8;
        record
    }

    /// The number of the name it stands for.
    fn name(&self) -> Option<u32> {
        let number = self.bytes[12..16].first_chunk().copied().map(u32::from_be_bytes);
        number.filter(|_| self.rtype() == rtype::CNAME)
    }

    /// The same record with a TTL in seconds.
    #[inline]
    pub fn with_ttl(mut self, ttl_s: u32) -> Record {
        self.bytes[TTL_AT..TTL_AT + 4].copy_from_slice(&ttl_s.to_be_bytes());
        self
    }

    /// Writes it with a TTL in seconds into the answer.
    #[inline]
    pub fn put(&self, writer: &mut Writer<'_>, ttl_s: u32) -> Result<(), Full> {
        writer.copy_address(Section::Answer, &self.bytes, usize::from(self.length), ttl_s)
    }

    /// A, AAAA or, where it stands for a name, CNAME.
    #[inline]
    pub fn rtype(&self) -> u16 {
        u16::from(self.bytes[3])
    }

    /// Seconds.
    pub fn ttl_s(&self) -> u32 {
        u32::from_be_bytes([self.bytes[6], self.bytes[7], self.bytes[8], self.bytes[9]])
    }

    /// The address's bytes.
    pub fn rdata(&self) -> &[u8] {
        &self.bytes[12..usize::from(self.length)]
    }

    /// The address; without meaning where it stands for a name.
    pub fn address(&self) -> IpAddr {
        if self.rtype() != rtype::AAAA {
            let octets: [u8; 4] = self.bytes[12..16].try_into().expect("four bytes");
            IpAddr::from(octets)
        } else {
            let octets: [u8; 16] = self.bytes[12..28].try_into().expect("sixteen bytes");
            IpAddr::from(octets)
        }
    }

    #[inline]
    pub(super) fn same_address(&self, other: &Record) -> bool {
        self.length == other.length && self.bytes[12..] == other.bytes[12..]
    }
}
