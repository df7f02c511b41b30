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
