//! What the prober notices, as events of the API, counted on the way. Changes of
//! state are to be saved.

use std::sync::Arc;

use super::state::Wake;
use crate::admin::Journal;
use crate::admin::types::{EventKind, Subject};
use crate::health::Failure;
use crate::health::table::State;
use crate::metrics::{TransitionCounters, TransitionTo};
use crate::probe::{Notice, Noticed, Who};

/// What listens to the prober.
pub(super) fn listener(
    journal: Arc<Journal>,
    transitions: Arc<TransitionCounters>,
    wake: Wake,
) -> impl FnMut(Noticed) + Send + 'static {
    move |noticed| {
        if let Notice::Transition { who, to, .. } = &noticed.notice {
            // A datacenter's own check has no WIP.
            let wip = who.wip.as_deref().unwrap_or_default();
            transitions.record(wip, &who.member, transition_to(*to));
            wake.changed();
        }
        if let Notice::Held { .. } = &noticed.notice {
            wake.changed();
        }
        journal.push(noticed.at_us, event(noticed.notice));
    }
}

fn event(notice: Notice) -> EventKind {
    match notice {
        Notice::Transition { check, who, from, to, failure, results_needed } => {
            let (reason, detail) = words(failure);
            EventKind::Transition {
                check,
                subject: subject(who),
                from: from.as_str().to_owned(),
                to: to.as_str().to_owned(),
                reason,
                detail,
                results_needed,
            }
        }
        Notice::Available { who, available } => {
            EventKind::Available { subject: subject(who), available }
        }
        Notice::Held { who, held } => EventKind::Held { subject: subject(who), held },
        Notice::Silent { check, who, failure } => {
            let (reason, detail) = words(failure);
            EventKind::Silent { check, subject: subject(who), reason, detail }
        }
        Notice::LimiterTripped { undone, targets } => {
            EventKind::LimiterTripped { undone: u64::from(undone), targets: u64::from(targets) }
        }
        Notice::LimiterReleased { held, by_operator } => {
            EventKind::LimiterReleased { held: u64::from(held), by_operator }
        }
        Notice::CertificateExpiring { check, who, expires_s } => {
            let subject = subject(who);
            EventKind::CertificateExpiring { check, subject, expires_at_s: expires_s }
        }
    }
}

fn subject(who: Who) -> Subject {
    Subject { wip: who.wip, member: who.member, address: who.address.to_string() }
}

fn words(failure: Option<Failure>) -> (Option<String>, Option<String>) {
    failure.map(|failure| (failure.kind.as_str().to_owned(), failure.detail)).unzip()
}

fn transition_to(state: State) -> TransitionTo {
    match state {
        State::Unknown => TransitionTo::Unknown,
        State::Up => TransitionTo::Up,
        State::Down => TransitionTo::Down,
    }
}
