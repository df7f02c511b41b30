//! Records that WIPs answer beside A and AAAA.

use crate::dns::Name;

/// `https` or `svcb` of a WIP: a service binding in ServiceMode (RFC 9460).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceBinding {
    /// At least 1: 0 is AliasMode.
    pub priority: u16,
    /// The root where it is the owner itself.
    pub target: Name,
    /// Protocols, 1 to 255 bytes each.
    pub alpn: Vec<String>,
    /// Only with `alpn`.
    pub no_default_alpn: bool,
    /// The port, if not the scheme's own.
    pub port: Option<u16>,
    /// An ECHConfigList.
    pub ech: Option<Vec<u8>>,
    /// Numbers of parameters that are there, rising, each once.
    pub mandatory: Vec<u16>,
    /// Whether it carries the addresses of the decision.
    pub hints: bool,
}

/// One of `srv` of a WIP: an SRV record at a name above the WIP's (RFC 2782).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceRecord {
    /// Two labels, such as `_https._tcp`.
    pub prefix: Name,
    /// The port.
    pub port: u16,
    /// Less is tried first.
    pub priority: u16,
    /// Share among records of one priority.
    pub weight: u16,
}
