//! What is wrong with zones, each with the name it stands at.
//!
//! An error keeps the whole configuration from being served; a warning does
//! not. Both say which zone, WIP or site is meant, so that the config checker
//! can point at the line.

use super::node::ZoneId;
use crate::dns::Name;
use crate::dns::types::rtype;

/// What the operator wrote that is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// A zone and its records.
    Zone(ZoneId),
    /// The WIP with this number.
    Wip(u32),
    /// The site wildcard with this number.
    Site(u32),
    /// All together.
    Everything,
}

//------------ ZoneError ------------------------------------------------------

/// Why zones cannot be served.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name}: {fault}")]
pub struct ZoneError {
    /// Whose fault it is.
    pub subject: Subject,
    /// Where.
    pub name: Name,
    /// What.
    pub fault: ZoneFault,
}

/// The kinds of [`ZoneError`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneFault {
    /// Two zones with one origin.
    #[error("this zone is configured twice")]
    DuplicateZone,
    /// RFC 1035 5.2: a zone has one SOA, at its apex.
    #[error("the zone has no SOA record")]
    MissingSoa,
    /// As above.
    #[error("the zone has more than one SOA record")]
    SeveralSoa,
    /// As above.
    #[error("an SOA record stands below the zone's apex {origin}")]
    SoaBelowApex {
        /// The apex.
        origin: Name,
    },
    /// RFC 1035 5.2: a zone has NS records at its apex.
    #[error("the zone has no NS record at its apex")]
    MissingNs,
    /// A record whose owner is not in its zone.
    #[error("the record is outside of its zone {origin}")]
    OutOfZone {
        /// The zone's apex.
        origin: Name,
    },
    /// A TTL above 2^31 - 1 (RFC 2181 8).
    #[error("TTL {ttl_s} is over 2147483647 seconds (RFC 2181 8)")]
    TtlTooLarge {
        /// As given.
        ttl_s: u32,
    },
    /// Data that is not of its type's form.
    #[error("the data of a record of type {} is malformed: {reason}", rtype::text(*rtype))]
    BadRdata {
        /// The type's number.
        rtype: u16,
        /// What is wrong.
        reason: &'static str,
    },
    /// RFC 1034 3.6.2, RFC 2181 10.1.
    #[error("a CNAME stands beside other records (RFC 1034 3.6.2)")]
    CnameAndOther,
    /// RFC 2181 10.1.
    #[error("more than one CNAME stands here (RFC 2181 10.1)")]
    SeveralCname,
    /// RFC 6672 2.4.
    #[error("more than one DNAME stands here (RFC 6672 2.4)")]
    SeveralDname,
    /// RFC 6672 2.3.
    #[error("a DNAME stands at a zone cut (RFC 6672 2.3)")]
    DnameAtCut,
    /// Two WIPs or aliases with one name.
    #[error("the name belongs to another WIP already")]
    DuplicateWip {
        /// The other WIP's number.
        other: u32,
    },
    /// Two site wildcards with one base.
    #[error("another site has the same wildcard")]
    DuplicateSite {
        /// The other site's number.
        other: u32,
    },
    /// No zone holds the name.
    #[error("the name is in none of the configured zones")]
    OutsideEveryZone,
    /// The name is delegated away.
    #[error("the name is at or below the delegation of {cut}")]
    UnderDelegation {
        /// Where the NS records stand.
        cut: Name,
    },
    /// The name is redirected away.
    #[error("the name is below the DNAME of {owner}")]
    UnderDname {
        /// Where the DNAME stands.
        owner: Name,
    },
    /// A, AAAA or CNAME records at a WIP's name.
    #[error("static records of type {} stand at the WIP's name", rtype::text(*rtype))]
    StaticAtWip {
        /// A (1), AAAA (28) or CNAME (5).
        rtype: u16,
    },
    /// `*` under the base of a site wildcard has addresses of its own.
    #[error("a WIP or a static address or CNAME at its `*` contradicts the site's wildcard")]
    StarUnderSite,
    /// Bytes that are not a wire name.
    #[error("not a domain name")]
    BadName,
    /// More than 4 GiB of names or data, or 16 million zones.
    #[error("the zones are too large: {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
    },
}

//------------ ZoneWarning ----------------------------------------------------

/// What is odd, though it can be served.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name}: {worry}")]
pub struct ZoneWarning {
    /// The zone.
    pub zone: ZoneId,
    /// Where.
    pub name: Name,
    /// What.
    pub worry: ZoneWorry,
}

/// The kinds of [`ZoneWarning`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneWorry {
    /// RFC 2181 5.2: the lowest is served.
    #[error("records of type {} have different TTLs; {ttl_s} s is used for all", rtype::text(*rtype))]
    TtlsDiffer {
        /// The type's number.
        rtype: u16,
        /// The lowest.
        ttl_s: u32,
    },
    /// RFC 2181 10.3.
    #[error("the target {target} of a record of type {} is an alias (RFC 2181 10.3)", rtype::text(*rtype))]
    TargetIsAlias {
        /// NS (2), MX (15) or SRV (33).
        rtype: u16,
        /// The target.
        target: Name,
    },
    /// The target is ours and has no address.
    #[error("the target {target} of a record of type {} has no address", rtype::text(*rtype))]
    TargetWithoutAddress {
        /// NS (2), MX (15) or SRV (33).
        rtype: u16,
        /// The target.
        target: Name,
    },
    /// A delegation that cannot be followed.
    #[error("the name server {target} is inside the delegated zone and has no glue")]
    MissingGlue {
        /// The name server.
        target: Name,
    },
    /// Records that no query reaches.
    #[error("records of type {} are hidden by {by}", rtype::text(*rtype))]
    Occluded {
        /// The type's number.
        rtype: u16,
        /// The cut, DNAME or zone that hides them.
        by: Name,
    },
    /// We serve parent and child, and the parent does not say so.
    #[error("the parent zone {parent} has no delegation for this zone")]
    NotDelegated {
        /// The parent's apex.
        parent: Name,
    },
}
