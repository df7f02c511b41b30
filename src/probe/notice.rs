//! What happens to health, for people and streams: the log lines, and what a
//! listener is told.
//!
//! It must not know how a probe is made, nor who listens.

use crate::health::plan::{Plan, ProbeAddress, Target, TargetId, VerdictId};
use crate::health::table::State;
use crate::health::{Event, Failure};

/// Silent targets named one by one; a stalled prober silences all at once.
const SILENT_LOGGED_MAX: usize = 8;
/// Members named one by one that go in or out of answers at one moment; a site takes
/// all of its own with it.
const MOVED_LOGGED_MAX: usize = 8;

/// Is told what happens.
pub(super) type Listener = Box<dyn FnMut(Noticed) + Send>;

/// Something that happened, and when.
#[derive(Clone, Debug)]
pub struct Noticed {
    /// When the result that did it was taken in, in unix microseconds.
    pub at_us: u64,
    /// What happened.
    pub notice: Notice,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A target changed state.
    Transition {
        /// Name of the check.
        check: String,
        /// Whose.
        who: Who,
        /// Before.
        from: State,
        /// After.
        to: State,
        /// The failure that did it; none: successes, or silence.
        failure: Option<Failure>,
        /// Results in a row that would turn it again.
        results_needed: u8,
    },
    /// A verdict's availability changed.
    Available {
        /// Whose: of its first target.
        who: Who,
        /// After.
        available: bool,
    },
    /// A verdict that was lost is up again and kept out of answers; or it may take
    /// part again after that.
    Held {
        /// Whose: of its first target.
        who: Who,
        /// After.
        held: bool,
    },
    /// No verdict for three intervals.
    Silent {
        /// Name of the check.
        check: String,
        /// Whose.
        who: Who,
        /// The last failure of our own, if probes ended at all.
        failure: Option<Failure>,
    },
    /// A certificate is close to its end, or past it.
    CertificateExpiring {
        /// Name of the check.
        check: String,
        /// Whose.
        who: Who,
        /// Unix second.
        expires_s: u64,
    },
    /// Nearly everything was lost at once: the fault is held to be ours.
    LimiterTripped {
        /// Losses that were undone.
        undone: u32,
        /// Targets that count.
        targets: u32,
    },
    /// The limiter holds nothing any more.
    LimiterReleased {
        /// Targets that it held.
        held: u32,
        /// An operator said so; else what was lost is back.
        by_operator: bool,
    },
}

/// Who asked for a target first.
#[derive(Clone, Debug)]
pub struct Who {
    /// The WIP; none: it is a datacenter's own check.
    pub wip: Option<String>,
    /// Its member.
    pub member: String,
    /// Where the probe goes.
    pub address: ProbeAddress,
}

impl Who {
    fn of(target: &Target) -> Who {
        Who {
            wip: target.wip.clone(),
            member: target.member.clone(),
            address: target.identity.address.clone(),
        }
    }
}

impl Notice {
    /// Logs what `events` say and gives each to `tell`.
    pub(super) fn all(plan: &Plan, events: Vec<Event>, mut tell: impl FnMut(Notice)) {
        let (mut silent, mut moved) = (0_usize, 0_usize);
        for event in events {
            let notice = match event {
                Event::Transition { target, from, to, failure, results_needed } => {
                    let target = &plan.targets[target as usize];
                    log_transition(target, from, to, failure.as_ref(), results_needed);
                    let (check, who) = (target.check.clone(), Who::of(target));
                    Notice::Transition { check, who, from, to, failure, results_needed }
                }
                Event::Silent { target, failure } => {
                    let target = &plan.targets[target as usize];
                    silent += 1;
                    if silent <= SILENT_LOGGED_MAX {
                        log_silent(target, failure.as_ref());
                    }
                    Notice::Silent { check: target.check.clone(), who: Who::of(target), failure }
                }
                Event::Undone { target, to } => {
                    // Too many for a line each: the limiter's says how many.
                    let target = &plan.targets[target as usize];
                    let (check, who) = (target.check.clone(), Who::of(target));
                    let from = State::Down;
                    Notice::Transition { check, who, from, to, failure: None, results_needed: 1 }
                }
                Event::LimiterTripped { undone, targets } => {
                    tracing::error!(
                        undone,
                        targets,
                        "the limiter tripped: most targets of every datacenter were lost at once, so \
                         the fault is held to be this host's and none is called down; if they are \
                         truly lost: windrose limiter release",
                    );
                    Notice::LimiterTripped { undone, targets }
                }
                Event::LimiterReleased { held, by_operator } => {
                    tracing::warn!(
                        held,
                        by_operator,
                        "the limiter holds no more: what still fails is called down",
                    );
                    Notice::LimiterReleased { held, by_operator }
                }
                Event::Held { verdict, held } => {
                    let Some(who) = log_held(plan, verdict, held) else { continue };
                    Notice::Held { who, held }
                }
                Event::Available { verdict, available } => {
                    let Some(target) = first_target(plan, verdict) else { continue };
                    if !follows_one_check(plan, verdict) {
                        moved += 1;
                        if moved <= MOVED_LOGGED_MAX {
                            log_available(&plan.targets[target as usize], available);
                        }
                    }
                    Notice::Available { who: Who::of(&plan.targets[target as usize]), available }
                }
            };
            tell(notice);
        }
        if silent > SILENT_LOGGED_MAX {
            tracing::error!(targets = silent, "no verdict for three intervals: many targets");
        }
        if moved > MOVED_LOGGED_MAX {
            tracing::warn!(members = moved, "many members are in answers or out of them");
        }
    }

    /// The warning of a certificate that ends soon, logged.
    pub(super) fn expiring(target: &Target, expires_s: u64, now_s: u64) -> Notice {
        let (check, wip, member) = (&target.check, target.wip.as_deref(), &target.member);
        let address = &target.identity.address;
        let days = (expires_s as i64 - now_s as i64).div_euclid(86_400);
        tracing::warn!(check, wip, member, %address, days, "certificate expires soon");
        Notice::CertificateExpiring { check: check.clone(), who: Who::of(target), expires_s }
    }
}

/// None for a member without checks of its own: its site's own event says it.
fn first_target(plan: &Plan, verdict: VerdictId) -> Option<TargetId> {
    plan.verdicts.get(verdict as usize)?.targets.first().copied()
}

fn log_transition(
    target: &Target,
    from: State,
    to: State,
    failure: Option<&Failure>,
    results_needed: u8,
) {
    let (reason, detail) = words(failure);
    let (check, wip, member) = (&target.check, target.wip.as_deref(), &target.member);
    let address = &target.identity.address;
    let from = from.as_str();
    if to == State::Up {
        let to = to.as_str();
        tracing::info!(check, wip, member, %address, from, to, results_needed, "check is up");
    } else {
        let to = to.as_str();
        tracing::warn!(
            check, wip, member, %address, from, to, reason, detail, results_needed,
            "check is {to}",
        );
    }
}

/// Also of a verdict that has no target but its site's.
fn log_held(plan: &Plan, id: VerdictId, held: bool) -> Option<Who> {
    let verdict = plan.verdicts.get(id as usize)?;
    let of_gate = verdict.gate.and_then(|gate| first_target(plan, gate));
    let target = &plan.targets[verdict.targets.first().copied().or(of_gate)? as usize];
    let (wip, member) = (target.wip.as_deref(), &target.member);
    let address = &target.identity.address;
    if held {
        let failback = verdict.failback.as_str();
        tracing::warn!(wip, member, %address, failback, "member is up and held");
    } else {
        tracing::info!(wip, member, %address, "member takes part again");
    }
    Some(Who::of(target))
}

/// Whether a verdict says what its one check says, so that one line is enough.
fn follows_one_check(plan: &Plan, id: VerdictId) -> bool {
    let verdict = plan.verdicts.get(id as usize);
    verdict.is_some_and(|verdict| verdict.targets.len() == 1 && verdict.gate.is_none())
}

fn log_available(target: &Target, available: bool) {
    let (wip, member) = (target.wip.as_deref(), &target.member);
    let address = &target.identity.address;
    if available {
        tracing::info!(wip, member, %address, "member is in answers");
    } else {
        tracing::warn!(wip, member, %address, "member is out of answers");
    }
}

fn log_silent(target: &Target, failure: Option<&Failure>) {
    let (check, wip, member) = (&target.check, target.wip.as_deref(), &target.member);
    let address = &target.identity.address;
    let (reason, detail) = words(failure);
    tracing::error!(
        check, wip, member, %address, reason, detail,
        "no verdict for three intervals: the prober cannot judge this target",
    );
}

fn words(failure: Option<&Failure>) -> (Option<&'static str>, Option<&str>) {
    (failure.map(|failure| failure.kind.as_str()), failure.map(|failure| failure.detail.as_str()))
}
