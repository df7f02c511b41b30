//! Keys of the records that WIPs answer beside A and AAAA.

use std::sync::OnceLock;

use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is, Required};

/// `https` and `svcb` of a WIP.
pub(super) const BINDING_KIND: Kind = Kind::Either(&[Kind::Table(&binding::SECTION), Kind::Bool]);

/// `srv` of a WIP.
pub(super) const SERVICES_KIND: Kind = Kind::Map(&Kind::Table(&service::SECTION));

/// Longest ECH configuration, in bytes of base64: some ten keys.
pub(in crate::config) const ECH_LENGTH_MAX: usize = 2_048;
/// Most protocols of `alpn`.
pub(in crate::config) const ALPN_MAX: usize = 16;

section! {
    /// A service binding (RFC 9460): an HTTPS or SVCB record whose hints are the WIP's decision.
    binding, "binding", Form::Inline;
    ALPN "alpn" Kind::OneOrMore(&Kind::Text { what: "a protocol", example: "\"h2\"" }),
        Is("[]"),
        "Protocols that are spoken there; for https beside http/1.1, unless `no_default_alpn`.";
    PORT "port" Kind::Integer { min: 1, max: 65_535 },
        Absent("the scheme's own port"),
        "The port the service is at.";
    PRIORITY "priority" Kind::Integer { min: 1, max: 65_535 },
        Is("1"),
        "Less is tried first.";
    TARGET "target" Kind::Text { what: "a domain name, or \".\" for the WIP's own,", example: "\".\"" },
        Is("\".\""),
        "The name whose addresses serve it.";
    HINTS "hints" Kind::Bool,
        Absent("true where `target` is \".\", else false"),
        "Whether it carries the addresses that the client is given for A and AAAA.";
    NO_DEFAULT_ALPN "no_default_alpn" Kind::Bool,
        Is("false"),
        "Nothing but `alpn` is spoken there.";
    ECH "ech" Kind::Text { what: "base64", example: "\"AEX+DQBB…\"" },
        Absent("the ClientHello is not encrypted"),
        "An ECHConfigList, passed on as it is.";
    MANDATORY "mandatory" Kind::OneOrMore(&Kind::Choice(&["alpn", "no_default_alpn", "port", "ech"])),
        Is("[]"),
        "What a client must understand to use the record. For https `port` and `no_default_alpn` are so in any case, and are left out.";
}

section! {
    /// An SRV record (RFC 2782) that names the WIP.
    service, "service", Form::Inline;
    PORT "port" Kind::Integer { min: 1, max: 65_535 }, Required, "The port the service is at.";
    PRIORITY "priority" Kind::Integer { min: 0, max: 65_535 }, Is("0"), "Less is tried first.";
    WEIGHT "weight" Kind::Integer { min: 0, max: 65_535 }, Is("0"), "Share among records of one priority; with one record it does nothing.";
}
