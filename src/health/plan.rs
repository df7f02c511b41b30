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
}

/// What is really probed: the key of a target's history (docs/HEALTH.md).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Identity {
    /// Every option sent or expected, hosts and SNI filled in.
    pub probe: ProbeKind,
    /// Where the probe goes: the VIP, or the check's own address.
    pub address: IpAddr,
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
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Verdict {
    /// Targets judged together; empty: up, but for the gate.
    pub targets: Vec<TargetId>,
    /// How many of them must be up.
    pub require: Require,
    /// The datacenter's own verdict, which must not be down either. A gate has none.
    pub gate: Option<VerdictId>,
}
