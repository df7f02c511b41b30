//! The stream of events: what happened, in the order in which it did.

use serde::{Deserialize, Serialize};

use super::Once;

/// `GET /api/v1/events`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subject {
    /// The WIP; the first, where several share the probe; none: a datacenter's own
    /// check, on which all its members depend.
    pub wip: Option<String>,
    /// The member.
    pub member: String,
    /// Where the probe goes.
    pub address: String,
}

/// What happened. New kinds may come: a reader passes over those it does not know.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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
        /// "start", "file change", "SIGHUP", "API".
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
            EventKind::FailOpen { .. } => "fail_open",
            EventKind::Test => "test",
            EventKind::Lagged { .. } => "lagged",
            EventKind::Other => "other",
        }
    }
}
