//! Of which class an event is.

use crate::admin::types::EventKind;
use crate::config::model::EventClass;

/// The class of an event; none: of none that can be asked for.
pub(super) fn class_of(what: &EventKind) -> Option<EventClass> {
    Some(match what {
        EventKind::Available { .. } | EventKind::Held { .. } => EventClass::Member,
        EventKind::Transition { .. } | EventKind::Silent { .. } => EventClass::Check,
        EventKind::FailOpen { .. } => EventClass::FailOpen,
        EventKind::LimiterTripped { .. } | EventKind::LimiterReleased { .. } => EventClass::Limiter,
        EventKind::CertificateExpiring { .. } => EventClass::Certificate,
        EventKind::ConfigLoaded { .. } | EventKind::ConfigRefused { .. } => EventClass::Config,
        EventKind::ProberStalled | EventKind::ProberResumed { .. } => EventClass::Prober,
        // Every event about overrides has a word that says so.
        other if other.word().starts_with("override") => EventClass::Override,
        _ => return None,
    })
}
