//! What is planned and what is true in the simulated world.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use windrose::health::check::{ProbeKind, Require, TcpProbe};
use windrose::health::plan::{Identity, Plan, Target, TargetId, Thresholds, Verdict};
use windrose::health::{Failure, FailureKind, Outcome};

pub(super) const DATACENTERS: u32 = 8;
pub(super) const INTERVAL_MS: u32 = 5_000;
pub(super) const TIMEOUT_MS: u32 = 1_500;
pub(super) const CONFIRM_MS: u32 = 1_000;

//------------ Randomness -----------------------------------------------------

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

//------------ Plan -----------------------------------------------------------

pub(super) fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number))
}

pub(super) fn number(target: &Target) -> u32 {
    match target.identity.address.ip() {
        Some(IpAddr::V4(address)) => u32::from(address) - 0x0A00_0000,
        _ => unreachable!("the simulation plans IPv4 only"),
    }
}

pub(super) fn target(number: u32) -> Target {
    let probe = ProbeKind::Tcp(TcpProbe { port: 80, ..TcpProbe::default() });
    Target {
        identity: Identity { probe, address: address(number).into() },
        check: "ready".to_owned(),
        member: format!("dc{}", number % DATACENTERS),
        wip: Some(format!("wip{}", number / DATACENTERS)),
        datacenter: Some(number % DATACENTERS),
        thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
        interval_ms: INTERVAL_MS,
        timeout_ms: TIMEOUT_MS,
        confirm_interval_ms: CONFIRM_MS,
    }
}

/// Targets in the given order. Number 0 to 7 gate their datacenters; each other has
/// a verdict, and every tenth shares one with two neighbours of its datacenter.
pub(super) fn plan(numbers: &[u32]) -> Plan {
    let position: BTreeMap<u32, TargetId> = numbers.iter().copied().zip(0..).collect();
    let mut verdicts = Vec::new();
    let mut gates = BTreeMap::new();
    for gate in 0..DATACENTERS {
        if let Some(target) = position.get(&gate) {
            gates.insert(gate, verdicts.len() as u32);
            verdicts.push(Verdict { targets: vec![*target], ..Verdict::default() });
        }
    }
    for (number, target) in &position {
        if *number < DATACENTERS {
            continue;
        }
        let gate = gates.get(&(number % DATACENTERS)).copied();
        verdicts.push(Verdict { targets: vec![*target], gate, ..Verdict::default() });
        if number % 10 == 0 {
            let others = [number + DATACENTERS, number + 2 * DATACENTERS];
            let others = others.iter().filter_map(|other| position.get(other).copied());
            let require =
                [Require::All, Require::Any, Require::AtLeast(2)][(number / 10 % 3) as usize];
            let targets = std::iter::once(*target).chain(others).collect();
            verdicts.push(Verdict { targets, require, gate, ..Verdict::default() });
        }
    }
    let targets = numbers.iter().map(|number| target(*number)).collect();
    Plan { targets, verdicts, ..Plan::default() }
}

//------------ World ----------------------------------------------------------

/// What is true out there.
#[derive(Default)]
pub(super) struct World {
    pub(super) dead: BTreeMap<u32, FailureKind>,
    /// Targets that are dead by themselves.
    pub(super) dead_targets: BTreeMap<u32, FailureKind>,
    /// Targets that are well whatever their datacenter is.
    pub(super) spared: Vec<u32>,
    /// Probes lost, per thousand, by target.
    pub(super) loss: BTreeMap<u32, u64>,
    /// This host's network is cut.
    pub(super) cut: Option<FailureKind>,
    /// When it last was.
    pub(super) healed_ms: Option<u64>,
    pub(super) ours: bool,
    /// End of the last stall of this host.
    pub(super) stalled_ms: u64,
}

impl World {
    /// The last moment at which this host was cut off; none: never.
    pub(super) fn cut_ms(&self, now_ms: u64) -> Option<u64> {
        self.cut.map(|_| now_ms).or(self.healed_ms)
    }

    pub(super) fn heal(&mut self, now_ms: u64) {
        self.cut = None;
        self.healed_ms = Some(now_ms);
    }

    pub(super) fn probe(&self, target: &Target, random: &mut Random) -> Outcome {
        let failed = |kind| Outcome {
            result: Err(Failure::new(kind, "simulated")),
            duration_ms: match kind {
                FailureKind::Timeout => target.timeout_ms,
                FailureKind::Internal => 0,
                _ => 1,
            },
            certificate_expires_s: None,
        };
        let number = number(target);
        if self.ours {
            return failed(FailureKind::Internal);
        }
        let dead =
            self.dead.get(&(number % DATACENTERS)).filter(|_| !self.spared.contains(&number));
        let dead = self.cut.as_ref().or(dead).or(self.dead_targets.get(&number));
        if let Some(kind) = dead {
            return failed(*kind);
        }
        if random.below(1_000) < self.loss.get(&number).copied().unwrap_or(0) {
            return failed(FailureKind::Timeout);
        }
        Outcome {
            result: Ok(()),
            duration_ms: 1 + random.below(200) as u32,
            certificate_expires_s: None,
        }
    }
}
