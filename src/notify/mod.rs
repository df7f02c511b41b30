//! Webhooks: programs that are told of events over HTTP, signed and tried again.
//!
//! ```text
//! Journal ─► a task for each webhook: queue (bounded, the oldest goes) ─► delivery ─► POST
//!                                                       ▲                   │ fails
//!                                                       └── longer pauses ──┘
//! ```
//!
//! A receiver that hangs, fails or is gone costs its own events and nobody else anything:
//! the journal waits for no reader. Order is kept; a delivery may come twice and has an id
//! by which that shows. It must not know where events come from.

mod class;
mod delivery;
mod queue;
mod sender;
mod sign;
mod task;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::sender::Answer;
use self::task::{Pace, Task};
use crate::admin::Journal;
use crate::config::model::Webhook;

/// Longest that a stop waits for what is not yet delivered.
const FLUSH_WITHIN: Duration = Duration::from_millis(1_500);

//------------ Notifier -------------------------------------------------------

/// Tells all webhooks.
#[derive(Debug)]
pub struct Notifier {
    journal: Arc<Journal>,
    runtime: Handle,
    pace: Pace,
    hooks: Mutex<BTreeMap<String, Hook>>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Hook {
    settings: watch::Sender<Arc<Settings>>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// What a webhook's task goes by.
#[derive(Clone, Debug, PartialEq)]
struct Settings {
    webhook: Webhook,
    /// `[server] identity`.
    identity: Option<String>,
}

/// What became of a webhook's deliveries.
#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    expired: AtomicU64,
    queued: AtomicU64,
    dropped: AtomicU64,
    last: Mutex<Option<(u64, String)>>,
}

impl Counts {
    fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// A webhook as it is seen from outside; nothing of it is secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HookStatus {
    /// Its name.
    pub name: String,
    /// Where it goes, host and no more.
    pub place: String,
    /// Deliveries that were taken.
    pub delivered: u64,
    /// Attempts that failed and were to be repeated.
    pub failed: u64,
    /// Deliveries that the receiver refused for good.
    pub refused: u64,
    /// Deliveries given up after `retry_for`.
    pub expired: u64,
    /// Events that wait.
    pub queued: u64,
    /// Events that were lost: no room, refused or given up.
    pub dropped: u64,
    /// When the last attempt ended, in unix seconds, and how.
    pub last: Option<(u64, String)>,
}

impl Notifier {
    /// Tells nobody until [`apply`](Notifier::apply).
    pub fn new(journal: Arc<Journal>, runtime: Handle) -> Notifier {
        Notifier::paced(journal, runtime, Pace::default())
    }

    fn paced(journal: Arc<Journal>, runtime: Handle, pace: Pace) -> Notifier {
        let (stop, hooks) = (watch::channel(false).0, Mutex::default());
        Notifier { journal, runtime, pace, hooks, stop }
    }

    /// Goes by these webhooks from now on. One whose name stays keeps its queue; a new one
    /// is told what comes after the event `after`.
    pub fn apply(&self, webhooks: &[Webhook], identity: Option<&str>, after: u64) {
        let mut hooks = self.hooks();
        // A task ends when its settings have nobody left to change them.
        hooks.retain(|name, _| webhooks.iter().any(|webhook| webhook.name == *name));
        for webhook in webhooks {
            let settings = Arc::new(Settings {
                webhook: webhook.clone(),
                identity: identity.map(str::to_owned),
            });
            if let Some(hook) = hooks.get(&webhook.name) {
                hook.settings.send_if_modified(|old| {
                    let changed = **old != *settings;
                    *old = Arc::clone(&settings);
                    changed
                });
                continue;
            }
            let (sender, changes) = watch::channel(settings);
            let counts = Arc::<Counts>::default();
            let reader = self.journal.reader(Some(after));
            let stop = self.stop.subscribe();
            let task = Task::new(changes, reader, Arc::clone(&counts), stop, self.pace);
            let task = self.runtime.spawn(task.run());
            hooks.insert(webhook.name.clone(), Hook { settings: sender, counts, task });
        }
    }

    /// Sends one event that is a test, past the queue, once. None: no webhook has that name.
    pub async fn test(&self, name: &str, at_us: u64) -> Option<Answer> {
        let settings = self.hooks().get(name).map(|hook| hook.settings.borrow().clone())?;
        Some(task::test(&settings, at_us).await)
    }

    /// How each webhook is, by name.
    pub fn status(&self) -> Vec<HookStatus> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let status = |(name, hook): (&String, &Hook)| {
            let counts = &hook.counts;
            HookStatus {
                name: name.clone(),
                place: hook.settings.borrow().webhook.place(),
                delivered: read(&counts.delivered),
                failed: read(&counts.failed),
                refused: read(&counts.refused),
                expired: read(&counts.expired),
                queued: read(&counts.queued),
                dropped: read(&counts.dropped),
                last: counts.last.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            }
        };
        self.hooks().iter().map(status).collect()
    }

    /// Ends all tasks; what waits is sent once more if that is quick.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
        // Whole: a task whose settings nobody can change any more ends at once.
        let mut hooks = std::mem::take(&mut *self.hooks());
        let ended = async {
            for hook in hooks.values_mut() {
                let _ = (&mut hook.task).await;
            }
        };
        let _ = self.runtime.block_on(async { tokio::time::timeout(FLUSH_WITHIN, ended).await });
    }

    fn hooks(&self) -> MutexGuard<'_, BTreeMap<String, Hook>> {
        // Each change to it is whole.
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
