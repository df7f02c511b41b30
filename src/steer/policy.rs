//! The words of steering: policies, and what to do when nobody is left.

use std::net::IpAddr;

/// How one of several is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Policy {
    /// By who serves the client, then by distance.
    #[default]
    Geo,
    /// In turn.
    RoundRobin,
    /// By share of answers.
    Weighted,
    /// In the order of the config.
    Failover,
    /// By the client's network (rendezvous hashing).
    Hash,
}

impl Policy {
    /// The word of the config and of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Geo => "geo",
            Policy::RoundRobin => "round-robin",
            Policy::Weighted => "weighted",
            Policy::Failover => "failover",
            Policy::Hash => "hash",
        }
    }
}

/// What is answered when no member is available.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum OnAllDown {
    /// Choose as if all were up.
    #[default]
    All,
    /// The client's first choice.
    First,
    /// Those that were the last to go down.
    LastKnownGood,
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// An empty answer.
    NoData,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refuse,
}

/// Whether the two address families are decided together.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Families {
    /// One site is chosen over both families.
    #[default]
    Together,
    /// Each family walks for itself.
    Independent,
}
