//! What keeps abuse out, as the config has it: access lists, response rate limiting.

use ipnet::IpNet;

use crate::metrics::{RateClass, Transport};

const TRANSPORTS: usize = Transport::ALL.len();
const CLASSES: usize = RateClass::ALL.len();

//------------ Access ---------------------------------------------------------

/// `[access]`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Access {
    /// For every transport.
    pub general: AccessLists,
    /// For each transport by itself, in the order of [`Transport::ALL`].
    pub by_transport: [AccessLists; TRANSPORTS],
    /// Whether who may not ask gets no reply, not even a refusal.
    pub is_silent: bool,
}

/// Two lists of networks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessLists {
    /// Who may ask; empty: whoever is not denied.
    pub allow: Vec<IpNet>,
    /// Who may not.
    pub deny: Vec<IpNet>,
}

impl AccessLists {
    /// True when everybody may ask.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

//------------ RateLimit ------------------------------------------------------

/// `[rate_limit]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// Replies a second, in the order of [`RateClass::ALL`]; 0: no limit.
    pub per_second: [u32; CLASSES],
    /// Longest that a network stays limited once it asks less, in milliseconds.
    pub window_ms: u32,
    /// Every so many limited answers one goes out truncated; 0: none.
    pub slip: u8,
    /// Bits of an IPv4 address that count.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that count.
    pub ipv6_prefix: u8,
    /// Who is never limited.
    pub exempt: Vec<IpNet>,
    /// Entries of each worker's table.
    pub table_size: u32,
}

impl Default for RateLimit {
    fn default() -> RateLimit {
        RateLimit {
            per_second: [0; CLASSES],
            window_ms: 15_000,
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            exempt: Vec::new(),
            table_size: 65_536,
        }
    }
}
