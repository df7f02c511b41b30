//! `[access]` and `[rate_limit]`, compiled: what a worker looks at for each query while
//! they are on.

use super::networks::NetworkSet;
use crate::config::model::{self, AccessLists};
use crate::metrics::{RateClass, Transport};

//------------ Access ---------------------------------------------------------

/// Who may ask.
#[derive(Clone, Debug)]
pub struct Access {
    general: NetworkSet,
    by_transport: [Option<NetworkSet>; Transport::ALL.len()],
    /// Whether who may not ask gets no reply.
    pub is_silent: bool,
}

impl Access {
    /// None where everybody may.
    pub fn compile(access: &model::Access) -> Option<Access> {
        let lists = || std::iter::once(&access.general).chain(&access.by_transport);
        if lists().all(AccessLists::is_empty) {
            return None;
        }
        Some(Access {
            general: set(&access.general),
            by_transport: access
                .by_transport
                .each_ref()
                .map(|lists| (!lists.is_empty()).then(|| set(lists))),
            is_silent: access.is_silent,
        })
    }

    /// Whether a client may ask this way.
    #[inline]
    pub fn allows(&self, address: std::net::IpAddr, transport: Transport) -> bool {
        let further = self.by_transport[transport as usize].as_ref();
        self.general.contains(address) && further.is_none_or(|set| set.contains(address))
    }
}

fn set(lists: &AccessLists) -> NetworkSet {
    let allowed = lists.allow.iter().map(|network| (*network, true));
    let denied = lists.deny.iter().map(|network| (*network, false));
    NetworkSet::new(allowed.chain(denied), lists.allow.is_empty())
}

//------------ RateRules ------------------------------------------------------

/// How much a network of clients gets.
#[derive(Clone, Debug)]
pub struct RateRules {
    /// Time that one reply of each class takes up, in nanoseconds; 0: no limit.
    pub cost_ns: [u32; RateClass::ALL.len()],
    /// Longest that a network stays limited once it asks less, in nanoseconds.
    pub window_ns: u64,
    /// Every so many limited replies one goes out short; 0: none.
    pub slip: u8,
    /// Bits of an IPv4 address that count.
    pub ipv4_mask: u32,
    /// The same of an IPv6 address.
    pub ipv6_mask: u128,
    /// Who is never limited; none: nobody.
    pub exempt: Option<NetworkSet>,
    /// Entries of each worker's table.
    pub table_size: u32,
}

impl RateRules {
    /// None where nothing is limited.
    pub fn compile(limit: &model::RateLimit) -> Option<RateRules> {
        if limit.per_second.iter().all(|rate| *rate == 0) {
            return None;
        }
        let exempt = limit.exempt.iter().map(|network| (*network, true));
        Some(RateRules {
            cost_ns: limit.per_second.map(|rate| 1_000_000_000u32.checked_div(rate).unwrap_or(0)),
            window_ns: u64::from(limit.window_ms) * 1_000_000,
            slip: limit.slip,
            ipv4_mask: u32::MAX.checked_shl(32 - u32::from(limit.ipv4_prefix)).unwrap_or(0),
            ipv6_mask: u128::MAX.checked_shl(128 - u32::from(limit.ipv6_prefix)).unwrap_or(0),
            exempt: (!limit.exempt.is_empty()).then(|| NetworkSet::new(exempt, false)),
            table_size: limit.table_size,
        })
    }
}
