//! What the prober notices, as events of the API, counted on the way. Changes of
//! state are to be saved.

use std::sync::Arc;
use std::time::Duration;

use super::state::Wake;
use crate::admin::Journal;
use crate::admin::types::{EventKind, Subject};
use crate::clock::Clock;
use crate::health::Failure;
use crate::health::table::State;
use crate::metrics::{TransitionCounters, TransitionTo};
use crate::probe::{Notice, Noticed, Who};

/// How often it is looked whether the prober is stuck.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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

/// Tells when the prober stalls and when it goes on, until `is_stalled` gives none.
/// A prober that is stuck cannot tell, so it is looked at from outside.
pub(super) async fn tell_stalls(
    journal: Arc<Journal>,
    clock: Clock,
    is_stalled: impl Fn() -> Option<bool>,
) {
    let mut since_ms = None;
    while let Some(stalled) = is_stalled() {
        let now_ms = clock.now().mono_ms;
        match (stalled, since_ms) {
            (true, None) => {
                since_ms = Some(now_ms);
                journal.push(clock.unix_us(), EventKind::ProberStalled);
            }
            (false, Some(at_ms)) => {
                since_ms = None;
                let stalled_ms = now_ms.saturating_sub(at_ms);
                journal.push(clock.unix_us(), EventKind::ProberResumed { stalled_ms });
            }
            _ => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_stall_is_told_once_and_so_is_its_end() {
        let journal = Arc::new(Journal::new(1));
        let mut reader = journal.reader(None);
        let looks = Mutex::new([false, true, true, false].into_iter());
        let is_stalled = || looks.lock().unwrap().next();
        tell_stalls(Arc::clone(&journal), Clock::start(), is_stalled).await;
        let seen = reader.next().await.events;
        let words: Vec<_> = seen.iter().map(|event| event.what.word()).collect();
        assert_eq!(words, ["prober_stalled", "prober_resumed"]);
        let EventKind::ProberResumed { stalled_ms } = seen[1].what else { panic!("{seen:?}") };
        assert!(stalled_ms >= 900, "{stalled_ms}");
    }
}
