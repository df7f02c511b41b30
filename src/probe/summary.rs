//! How all targets are, in a few figures: counted now and then by the runner, read
//! by scrapes without its help, so that a prober that is stuck holds up no scrape.
//!
//! It must not know how figures are shown.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Shared;
use super::notice::Notice;
use crate::clock::Clock;
use crate::health::plan::{Plan, TargetId};
use crate::health::{Engine, LimiterStatus, Now};

/// Counting takes at most this share of the time: one part in so many.
const SHARE: u64 = 200;
/// It is done at most this often.
const EVERY_MS_MIN: u64 = 200;
/// Certificates kept: those that end soonest.
const CERTIFICATES_MAX: usize = 1_000;
/// A certificate is warned about once in so many seconds.
const WARN_EVERY_S: u32 = 86_400;

/// All targets of a plan, counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Targets of each check by state, in the order of [`State`](crate::health::table::State).
    pub checks: BTreeMap<String, [u64; 3]>,
    /// Those with results pending against their state.
    pub pending: u64,
    /// Those without a verdict for three intervals.
    pub silent: u64,
    /// What the blast-radius limiter does.
    pub limiter: LimiterStatus,
    /// Soonest first: at most a thousand, one for each check and member.
    pub certificates: Vec<Certificate>,
    /// How many targets' certificates end within the warning time.
    pub certificates_expiring: u64,
}

impl Summary {
    /// Targets by state.
    pub fn states(&self) -> [u64; 3] {
        self.checks.values().fold([0; 3], |sum, counts| {
            [sum[0] + counts[0], sum[1] + counts[1], sum[2] + counts[2]]
        })
    }
}

/// The certificate of a check's targets of one member that ends first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Certificate {
    /// Unix second of its end.
    pub expires_s: u64,
    /// Name of the check.
    pub check: String,
    /// The member.
    pub member: String,
}

/// Counts now and then.
#[derive(Debug, Default)]
pub(super) struct Census {
    next_ms: u64,
    /// When each certificate was warned about last, in unix seconds.
    warned_s: BTreeMap<Certificate, u32>,
}

impl Census {
    /// The next count comes at once: the plan is another.
    pub(super) fn hurry(&mut self) {
        self.next_ms = 0;
    }

    /// Counts, if it is time to. Gives warnings to `tell`.
    pub(super) fn turn(
        &mut self,
        engine: &Engine,
        (now, clock): (Now, Clock),
        shared: &Shared,
        tell: impl FnMut(Notice),
    ) {
        if now.mono_ms < self.next_ms {
            return;
        }
        let started_us = clock.mono_us();
        let (summary, expiring) = count(engine, now);
        *shared.summary() = Arc::new(summary);
        self.warn(engine.plan(), &expiring, now, tell);
        let took_ms = clock.mono_us().saturating_sub(started_us) / 1_000;
        self.next_ms = now.mono_ms + EVERY_MS_MIN.max(took_ms * SHARE);
    }

    fn warn(
        &mut self,
        plan: &Plan,
        expiring: &BTreeMap<Certificate, TargetId>,
        now: Now,
        mut tell: impl FnMut(Notice),
    ) {
        // A clock that was set back must not silence it for longer.
        let recent = |at_s: &u32| now.unix_s >= *at_s && now.unix_s - at_s < WARN_EVERY_S;
        self.warned_s.retain(|_, at_s| recent(at_s));
        for (certificate, target) in expiring {
            if let Entry::Vacant(entry) = self.warned_s.entry(certificate.clone()) {
                entry.insert(now.unix_s);
                let target = &plan.targets[*target as usize];
                tell(Notice::expiring(target, certificate.expires_s, u64::from(now.unix_s)));
            }
        }
    }
}

/// The figures, and one target for each certificate that ends soon.
fn count(engine: &Engine, now: Now) -> (Summary, BTreeMap<Certificate, TargetId>) {
    let mut summary = Summary { limiter: engine.limiter(), ..Summary::default() };
    let mut expiring = BTreeMap::new();
    let mut certificates: HashMap<(&str, &str), (u64, TargetId)> = HashMap::new();
    let mut states: HashMap<&str, [u64; 3]> = HashMap::new();
    let plan = engine.plan();
    let warn_s = u64::from(now.unix_s) + u64::from(plan.certificate_warning_s);
    for (id, target) in (0..).zip(&plan.targets) {
        let Some(glance) = engine.glance(id) else { continue };
        states.entry(&target.check).or_default()[glance.state as usize] += 1;
        summary.pending += u64::from(glance.contrary_pending);
        summary.silent += u64::from(glance.silent);
        if let Some(expires_s) = glance.certificate_expires_s {
            summary.certificates_expiring += u64::from(expires_s < warn_s);
            let soonest =
                certificates.entry((&target.check, &target.member)).or_insert((expires_s, id));
            *soonest = (*soonest).min((expires_s, id));
        }
    }
    let all = certificates.into_iter().map(|((check, member), (expires_s, id))| {
        let (check, member) = (check.to_owned(), member.to_owned());
        (Certificate { expires_s, check, member }, id)
    });
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all.truncate(CERTIFICATES_MAX);
    for (certificate, id) in &all {
        if certificate.expires_s < warn_s {
            expiring.insert(certificate.clone(), *id);
        }
    }
    summary.certificates = all.into_iter().map(|(certificate, _)| certificate).collect();
    summary.checks = states.into_iter().map(|(check, counts)| (check.to_owned(), counts)).collect();
    (summary, expiring)
}
