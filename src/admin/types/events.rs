//! The stream of events: what happened, in the order in which it did.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Once, OverrideKind, OverrideTarget};

/// `GET /api/v1/events`
#[derive(Clone, Copy, Debug, Default, Eq, IntoParams, PartialEq)]
#[into_params(parameter_in = Query)]
pub struct EventsRequest {
    /// Those after this id that are still kept, first; 0: all that are kept; none:
    /// only what happens from now on. The header `Last-Event-ID` wins over it.
    pub after: Option<u64>,
}

impl EventsRequest {
    /// Reads the parameter `after`. Errors say what was wrong, in a sentence.
    pub fn from_query(pairs: &[(String, String)]) -> Result<EventsRequest, String> {
        let mut once = Once { pairs };
        once.known(&["after"])?;
        Ok(EventsRequest { after: once.parse("after", "the id of an event, or 0")? })
    }
}

/// One event of `GET /api/v1/events`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// Grows with every event, over restarts too; for `Last-Event-ID`. 0: not in the
    /// sequence ([`EventKind::Lagged`]).
    pub id: u64,
    /// When it happened, in unix microseconds.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind,
}

/// Who is meant: a probe, and through it a member.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Subject {
    /// The WIP; the first, where several share the probe; none: a datacenter's own
    /// check, on which all its members depend.
    pub wip: Option<String>,
    /// The member.
    pub member: String,
    /// Where the probe goes.
    pub address: String,
}

/// An override that is meant: what is said of whom, by whom, and why.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct SaidOverride {
    /// What is said.
    pub kind: OverrideKind,
    /// Of whom.
    pub target: OverrideTarget,
    /// Who said so, and from where.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What happened. New kinds may come: a reader passes over those it does not know.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A probe's state changed.
    Transition {
        /// Name of the check.
        check: String,
        /// Whose.
        #[serde(flatten)]
        subject: Subject,
        /// "unknown", "up", "down".
        from: String,
        /// Likewise.
        to: String,
        /// Kind of the failure that did it; none: successes, or silence.
        reason: Option<String>,
        /// The failure in words.
        detail: Option<String>,
        /// Results in a row that would turn it again.
        results_needed: u8,
    },
    /// Answers name a member from now on, or no longer.
    Available {
        /// Which.
        #[serde(flatten)]
        subject: Subject,
        /// Whether it may be answered.
        available: bool,
    },
    /// A member that was lost is up and kept out of answers, or may take part again.
    Held {
        /// Which.
        #[serde(flatten)]
        subject: Subject,
        /// Whether it is kept out.
        held: bool,
    },
    /// No verdict for three intervals: the prober's trouble, not the target's.
    Silent {
        /// Name of the check.
        check: String,
        /// Whose.
        #[serde(flatten)]
        subject: Subject,
        /// Kind of the last failure, if probes ended at all.
        reason: Option<String>,
        /// The failure in words.
        detail: Option<String>,
    },
    /// A certificate expires within `[health] certificate_warning`. Once a day.
    CertificateExpiring {
        /// Name of the check.
        check: String,
        /// Whose.
        #[serde(flatten)]
        subject: Subject,
        /// When it expires, in unix seconds; it may be over.
        expires_at_s: u64,
    },
    /// Nearly every target of every datacenter was lost at once: the fault is held to be
    /// this host's, and no target is called down.
    LimiterTripped {
        /// Losses that were undone.
        undone: u64,
        /// Targets that count.
        targets: u64,
    },
    /// The limiter holds nothing any more: what still fails is called down.
    LimiterReleased {
        /// Targets that it held.
        held: u64,
        /// An operator said so; else enough is back.
        by_operator: bool,
    },
    /// The prober is stuck or dead: every member is unknown, and answered as before.
    ProberStalled,
    /// The prober goes on: every member is judged anew.
    ProberResumed {
        /// How long it was not, about.
        stalled_ms: u64,
    },
    /// A config came into force.
    ConfigLoaded {
        /// Its number.
        generation: u64,
        /// "start", "upgrade", "file change", "SIGHUP", "API".
        cause: String,
        /// What changed, a line each.
        changes: Vec<String>,
    },
    /// A config was refused; the one before it stays.
    ConfigRefused {
        /// As above.
        cause: String,
        /// How many problems it has.
        problems: u64,
    },
    /// An operator said something of members.
    OverrideSet {
        /// Its number.
        override_id: u64,
        /// What.
        #[serde(flatten)]
        said: SaidOverride,
        /// In force from then on; none: at once.
        at_s: Option<u64>,
        /// Until then; none: until it is cleared.
        until_s: Option<u64>,
        /// Why the safety rules were passed over; none: they held.
        break_glass: Option<String>,
        /// Members whose state it changed at once.
        members: u64,
    },
    /// An operator took it back.
    OverrideCleared {
        /// Its number.
        override_id: u64,
        /// What was said.
        #[serde(flatten)]
        said: SaidOverride,
        /// Who took it back, and from where.
        by: String,
        /// Why; none: they did not say.
        because: Option<String>,
    },
    /// The time came of one that was planned.
    OverrideStarted {
        /// Its number.
        override_id: u64,
        /// What.
        #[serde(flatten)]
        said: SaidOverride,
    },
    /// Its time ran out.
    OverrideEnded {
        /// Its number.
        override_id: u64,
        /// What was said.
        #[serde(flatten)]
        said: SaidOverride,
    },
    /// The safety rules forbade a change.
    OverrideRefused {
        /// Its number; none: it was refused when it was said.
        override_id: Option<u64>,
        /// "set", "clear": an operator was told so. "start": its time came, and it was
        /// passed over. "end": its time ran out, and it stays in force.
        change: String,
        /// What.
        #[serde(flatten)]
        said: SaidOverride,
        /// The keys in `[safety]`.
        rules: Vec<String>,
        /// What would be, in a sentence.
        detail: String,
    },
    /// This process took the place of another, and answers.
    Upgraded {
        /// The process before.
        old_pid: u32,
        /// This one.
        new_pid: u32,
        /// The version before.
        old_version: String,
        /// This one's.
        new_version: String,
    },
    /// A process that was to take this one's place did not; this one goes on.
    UpgradeFailed {
        /// Why.
        why: String,
    },
    /// A WIP has no member left that may be answered, and is answered as `on_all_down`
    /// says; or has one again.
    FailOpen {
        /// Which; none: so many more at one moment.
        wip: Option<String>,
        /// How many are meant.
        wips: u64,
        /// Whether nobody is left.
        active: bool,
    },
    /// A test of a webhook; it is in no journal.
    Test,
    /// Events were lost to this reader: it was too slow, or away for too long.
    Lagged {
        /// How many; none: unknown, for the server was started anew since.
        missed: Option<u64>,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Other,
}

impl EventKind {
    /// The word of the `event:` line, and of `event` in the JSON.
    pub fn word(&self) -> &'static str {
        match self {
            EventKind::Transition { .. } => "transition",
            EventKind::Available { .. } => "available",
            EventKind::Held { .. } => "held",
            EventKind::Silent { .. } => "silent",
            EventKind::CertificateExpiring { .. } => "certificate_expiring",
            EventKind::LimiterTripped { .. } => "limiter_tripped",
            EventKind::LimiterReleased { .. } => "limiter_released",
            EventKind::ProberStalled => "prober_stalled",
            EventKind::ProberResumed { .. } => "prober_resumed",
            EventKind::ConfigLoaded { .. } => "config_loaded",
            EventKind::ConfigRefused { .. } => "config_refused",
            EventKind::OverrideSet { .. } => "override_set",
            EventKind::OverrideCleared { .. } => "override_cleared",
            EventKind::OverrideStarted { .. } => "override_started",
            EventKind::OverrideEnded { .. } => "override_ended",
            EventKind::OverrideRefused { .. } => "override_refused",
            EventKind::Upgraded { .. } => "upgraded",
            EventKind::UpgradeFailed { .. } => "upgrade_failed",
            EventKind::FailOpen { .. } => "fail_open",
            EventKind::Test => "test",
            EventKind::Lagged { .. } => "lagged",
            EventKind::Other => "other",
        }
    }
}
