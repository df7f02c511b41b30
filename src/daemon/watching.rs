//! What watches the server from outside: webhooks and the query log. It follows the journal, takes each
//! config that comes into force, and tells when WIPs have no member left.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::publisher::Publisher;
use super::{fail_open, probing};
use crate::admin::types::{EventKind, WebhookStatus, WebhookTested, WebhooksPage};
use crate::admin::{ApiError, Batch, Journal, Reader};
use crate::config::model::Config;
use crate::metrics::{QueryLogTotals, WebhookTotals};
use crate::notify::{HookStatus, Notifier};
use crate::querylog::QueryLog;

/// How often it is looked whether anything changed; between two looks at all WIPs there is
/// as much time at least.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Of one processor, looks at all WIPs take at most one part in so many.
const LOOK_SHARE: u32 = 20;

/// The watchers.
#[derive(Debug)]
pub(super) struct Watching {
    notifier: Notifier,
    query_log: Arc<QueryLog>,
    runtime: Handle,
}

impl Watching {
    /// None of them at work yet.
    pub(super) fn new(journal: &Arc<Journal>, runtime: &Handle, workers: usize) -> Watching {
        let notifier = Notifier::new(Arc::clone(journal), runtime.clone());
        let query_log = Arc::new(QueryLog::new(workers, probing::give_way));
        Watching { notifier, query_log, runtime: runtime.clone() }
    }

    /// Goes by a config that came into force after the event `after`.
    fn apply(&self, config: &Config, after: u64) {
        let identity = config.server.identity.as_deref();
        self.notifier.apply(&config.webhooks, identity, after);
        if let Err(error) = self.query_log.apply(&config.query_log, identity) {
            tracing::error!(%error, "the query log cannot be started");
        }
    }

    /// The query log, to tap workers for.
    pub(super) fn query_log(&self) -> &Arc<QueryLog> {
        &self.query_log
    }

    /// What became of what was to be logged; none: nothing was.
    pub(super) fn query_log_totals(&self) -> Option<QueryLogTotals> {
        let totals = self.query_log.totals()?;
        Some(QueryLogTotals { written: totals.written, dropped: totals.dropped })
    }

    /// How each webhook is.
    pub(super) fn webhooks(&self) -> WebhooksPage {
        WebhooksPage { webhooks: self.notifier.status().into_iter().map(shown).collect() }
    }

    /// Sends a test, and waits for what becomes of it.
    pub(super) fn test_webhook(&self, name: &str, at_us: u64) -> Result<WebhookTested, ApiError> {
        let answer = self.runtime.block_on(self.notifier.test(name, at_us));
        let answer = answer.ok_or_else(|| {
            let names: Vec<String> =
                self.notifier.status().into_iter().map(|status| status.name).collect();
            let known = match names.len() {
                0 => "none is configured".to_owned(),
                _ => format!("there are {}", names.join(", ")),
            };
            ApiError::NotFound(format!("there is no webhook \"{name}\"; {known}"))
        })?;
        Ok(WebhookTested {
            taken: answer.taken,
            status: answer.status,
            detail: answer.detail,
            took_ms: answer.took_ms,
        })
    }

    /// What became of deliveries.
    pub(super) fn totals(&self) -> Vec<WebhookTotals> {
        let totals = |status: HookStatus| WebhookTotals {
            webhook: status.name,
            deliveries: [
                ("delivered", status.delivered),
                ("failed", status.failed),
                ("refused", status.refused),
                ("expired", status.expired),
            ],
            queued: status.queued,
            dropped: status.dropped,
        };
        self.notifier.status().into_iter().map(totals).collect()
    }

    /// Ends the query log: another process writes on, to the same file perhaps.
    pub(super) fn stop_logging(&self) {
        self.query_log.stop();
    }

    /// Ends them; what waits is sent if that is quick.
    pub(super) fn stop(&self) {
        self.query_log.stop();
        self.notifier.stop();
    }
}

fn shown(status: HookStatus) -> WebhookStatus {
    let HookStatus { name, place, delivered, failed, refused, expired, queued, dropped, last } =
        status;
    let (last_at_s, last_result) = last.unzip();
    WebhookStatus {
        name,
        place,
        delivered,
        failed,
        refused,
        expired,
        queued,
        dropped,
        last_at_s,
        last_result,
    }
}

/// Begins, once it is sure that this process answers, and follows what happens until the
/// runtime ends. Events up to `after` were another process's, which told them.
pub(super) async fn follow(publisher: Arc<Publisher>, after: u64) {
    if let Some(watching) = publisher.watching.get() {
        watching.apply(&publisher.serving().snapshot.config, after);
    }
    let mut reader = publisher.journal.reader(Some(after));
    let mut told = fail_open::Told::of(&publisher.journal.kept(), after);
    let mut seen = Weak::new();
    loop {
        let happened = happened(&mut reader, &publisher).await;
        let now = Arc::downgrade(&publisher.cell.load());
        if !happened && Weak::ptr_eq(&seen, &now) {
            continue;
        }
        seen = now;
        let (from, begun) = (Arc::clone(&publisher), Instant::now());
        let look = move || fail_open::failing(&from.cell.load());
        let Ok(found) = tokio::task::spawn_blocking(look).await else { return };
        let at_us = publisher.clock.unix_us();
        for event in told.now(found) {
            say(&event);
            publisher.journal.push(at_us, event);
        }
        tokio::time::sleep(LOOK_EVERY.max(begun.elapsed() * LOOK_SHARE)).await;
    }
}

/// Whether anything did that may have taken a member away; waits for it, but not for long.
async fn happened(reader: &mut Reader, publisher: &Publisher) -> bool {
    let Ok(Batch { lagged, events }) = tokio::time::timeout(LOOK_EVERY, reader.next()).await else {
        return false;
    };
    let loaded = |what: &EventKind| matches!(what, EventKind::ConfigLoaded { .. });
    let loaded = events.iter().rev().find(|event| loaded(&event.what));
    if let (Some(watching), true) = (publisher.watching.get(), loaded.is_some() || lagged.is_some())
    {
        let after = loaded.map_or(reader.last_id(), |event| event.id.saturating_sub(1));
        watching.apply(&publisher.serving().snapshot.config, after);
    }
    lagged.is_some() || events.iter().any(|event| !matches!(event.what, EventKind::FailOpen { .. }))
}

fn say(event: &EventKind) {
    match event {
        EventKind::FailOpen { wip, wips, active: true } => {
            tracing::error!(wip, wips, "no member is left, answers are those of on_all_down");
        }
        EventKind::FailOpen { wip, wips, active: false } => {
            tracing::warn!(wip, wips, "a member is left again");
        }
        _ => {}
    }
}
