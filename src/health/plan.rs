//! What the snapshot asks to be probed, and what it reads back.
//!
//! ```text
//! check + address + host ──► Target (one probe, shared by all who need the same)
//!                              │ state machine per target
//!                              ▼
//! Verdict = targets + require + gate ──► one word in the table, read by queries
//! ```
//!
//! A verdict is what one VIP of one WIP depends on; equal ones are one entry,
//! so that a flip is one store even when a million WIPs share the target.

use std::net::IpAddr;

use super::check::{ProbeKind, Require};

/// Index into [`Plan::targets`].
pub type TargetId = u32;
/// Index into [`Plan::verdicts`] and into the table.
pub type VerdictId = u32;

/// All targets and verdicts of one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Distinct probes.
    pub targets: Vec<Target>,
    /// Distinct verdicts, in the order of the table's words.
    pub verdicts: Vec<Verdict>,
    /// Addresses that tell whether this host's own network works: targets that no
    /// verdict depends on (`[health] reference`).
    pub references: Vec<TargetId>,
    /// When simultaneous losses are held to be our own fault.
    pub limiter: LimiterRules,
    /// A certificate that expires sooner is warned about, in seconds; 0: none is.
    pub certificate_warning_s: u32,
}

/// `[health]`: the blast-radius limiter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimiterRules {
    /// Losses within this time are counted together, in milliseconds.
    pub window_ms: u32,
    /// It trips when more than this share of every datacenter's targets would go
    /// down; 1 or more: never.
    pub max_down_fraction: f64,
    /// It never trips with fewer targets in all.
    pub min_targets: u32,
}

impl Default for LimiterRules {
    fn default() -> LimiterRules {
        LimiterRules { window_ms: 10_000, max_down_fraction: 0.5, min_targets: 10 }
    }
}

/// What is really probed: the key of a target's history (docs/HEALTH.md).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Identity {
    /// Every option sent or expected, hosts and SNI filled in.
    pub probe: ProbeKind,
    /// Where the probe goes: the VIP, or the check's own address.
    pub address: ProbeAddress,
}

/// Where a probe goes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ProbeAddress {
    /// An address: the VIP, or one that the check names.
    Ip(IpAddr),
    /// A host that the check names: resolved by the prober's host.
    Host(String),
}

impl ProbeAddress {
    /// The address; none where it must be resolved.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            ProbeAddress::Ip(address) => Some(*address),
            ProbeAddress::Host(_) => None,
        }
    }
}

impl From<IpAddr> for ProbeAddress {
    fn from(address: IpAddr) -> ProbeAddress {
        ProbeAddress::Ip(address)
    }
}

impl std::fmt::Display for ProbeAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ProbeAddress::Ip(address) => address.fmt(f),
            ProbeAddress::Host(host) => f.write_str(host),
        }
    }
}

/// When a target's verdict changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// Failures that make it DOWN; at least 1.
    pub fall: u8,
    /// Consecutive successes that make it UP; at least 1.
    pub rise: u8,
    /// Consecutive successes that forget counted failures; at least 1.
    pub clear: u8,
}

/// One distinct probe.
#[derive(Clone, Debug)]
pub struct Target {
    /// What is probed.
    pub identity: Identity,
    /// Name of the check, for logs and metrics: the first that asked for it.
    pub check: String,
    /// Member it was first asked for ("fra"), for logs.
    pub member: String,
    /// First WIP that asked for it, for logs; none for a datacenter's own check.
    pub wip: Option<String>,
    /// Index of the member's datacenter in the config.
    pub datacenter: Option<u32>,
    /// Thresholds; where two checks share a probe, the first's.
    pub thresholds: Thresholds,
    /// Time between probes, in milliseconds.
    pub interval_ms: u32,
    /// One deadline for the whole probe, in milliseconds.
    pub timeout_ms: u32,
    /// Time between probes while a contrary result is pending, in milliseconds.
    pub confirm_interval_ms: u32,
}

/// What one table word stands for.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Verdict {
    /// Targets judged together; empty: up, but for the gate.
    pub targets: Vec<TargetId>,
    /// How many of them must be up.
    pub require: Require,
    /// The datacenter's own verdict, which must not be down either. A gate has none.
    pub gate: Option<VerdictId>,
    /// How it comes back after it was lost.
    pub failback: Failback,
    /// Its share grows over this time after it comes back, in milliseconds; 0: at once.
    pub ramp_ms: u32,
}

/// How a member that was lost takes part again.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Failback {
    /// As soon as it is up.
    #[default]
    Auto,
    /// Once an operator says so.
    Manual,
    /// Once it has been up for so many milliseconds without a break.
    AfterMs(u32),
}

impl Failback {
    /// The word for logs and the page, without its time.
    pub fn as_str(self) -> &'static str {
        match self {
            Failback::Auto => "auto",
            Failback::Manual => "manual",
            Failback::AfterMs(_) => "after",
        }
    }
}
