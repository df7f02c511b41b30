//! What a zone has to do with other servers: it comes from primaries, and secondaries are
//! told that it changed.
//!
//! ```text
//! publication ─► supervisor ─┬─ new serial ─► notify: a task for each server told
//!                            └─ secondaries ─► refresh: a task for each zone
//! NOTIFY in ─► mark in the snapshot ─► supervisor ─► refresh ─► kept file ─► reload
//! ```
//! All of it is tasks on the runtime beside the listeners: nothing here is on the way of a
//! query. A transferred zone comes into force through the same load as a changed file.

mod exchange;
pub(super) mod kept;
mod notify;
mod refresh;
mod status;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::publisher::Publisher;
use crate::config::model::{Remote, Zone};
use crate::dns::Name;
use crate::snapshot::{SecondaryState, Serving};
use refresh::Refresh;
pub(super) use status::page;

/// How often it is looked for a publication and for marks of NOTIFY.
const LOOK_EVERY: Duration = Duration::from_millis(250);

//------------ Exchanges ------------------------------------------------------

/// What came of exchanges with other servers, counted.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// Transfers out: begun, current already, refused.
    pub(super) out: [AtomicU64; 3],
    /// Transfers in: taken, current already, failed.
    pub(super) in_: [AtomicU64; 3],
    /// NOTIFY sent: acknowledged, refused, given up.
    pub(super) notify: [AtomicU64; 3],
    /// Each secondary, as it is.
    zones: Mutex<BTreeMap<Name, SecondaryStatus>>,
}

/// How a zone that comes from primaries is.
#[derive(Clone, Debug, Default)]
pub(super) struct SecondaryStatus {
    /// Unix time of the last check that found it current or brought it.
    pub(super) checked_at_s: Option<u64>,
    /// Unix time of the last transfer that was taken.
    pub(super) transferred_at_s: Option<u64>,
    /// Unix time after which it is answered no more.
    pub(super) expires_at_s: Option<u64>,
    /// The primary that was spoken to last.
    pub(super) primary: Option<std::net::SocketAddr>,
    /// Why the last check failed; none: it did not.
    pub(super) last_error: Option<String>,
}

impl Exchanges {
    pub(super) fn count(counters: &[AtomicU64; 3], which: usize) {
        counters[which].fetch_add(1, Ordering::Relaxed);
    }

    /// All secondaries by name.
    pub(super) fn zones(&self) -> MutexGuard<'_, BTreeMap<Name, SecondaryStatus>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//------------ Supervisor -----------------------------------------------------

/// Runs until the server stops.
pub(super) async fn supervise(publisher: Weak<Publisher>) {
    let mut supervisor = Supervisor::default();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(publisher) = publisher.upgrade() else { return };
        if publisher.stopping.load(Ordering::Relaxed) {
            return;
        }
        let serving = publisher.serving();
        if serving.snapshot.generation != supervisor.generation {
            supervisor.generation = serving.snapshot.generation;
            supervisor.tell(&publisher, &serving);
            supervisor.adopt(&publisher, &serving);
        }
        supervisor.pass_on_marks();
    }
}

#[derive(Default)]
struct Supervisor {
    generation: u64,
    /// The serial that was told last, and the task that tells it.
    told: BTreeMap<(Name, Remote), (u32, AbortHandle)>,
    secondaries: BTreeMap<Name, Secondary>,
}

struct Secondary {
    config: Zone,
    state: Arc<SecondaryState>,
    refresh: Arc<Refresh>,
    task: AbortHandle,
}

impl Drop for Secondary {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Supervisor {
    /// Tells servers of serials that are new to them.
    fn tell(&mut self, publisher: &Arc<Publisher>, serving: &Serving) {
        let snapshot = &serving.snapshot;
        let mut told = std::mem::take(&mut self.told);
        for (zone, config) in snapshot.zones.zones().zip(&snapshot.config.zones) {
            if snapshot.secondaries.is_down(zone.id().0) {
                continue;
            }
            for remote in &config.notify {
                let serial = zone.serial();
                let target = (config.origin.clone(), remote.clone());
                let entry = match told.remove(&target) {
                    Some((before, task)) if before == serial => (before, task),
                    before => {
                        before.iter().for_each(|(_, task)| task.abort());
                        let key = remote.key.as_ref().and_then(|key| snapshot.keys.find(key));
                        let message = notify::message(zone);
                        let exchanges = Arc::clone(&publisher.exchanges);
                        let (origin, key) = (config.origin.clone(), key.cloned());
                        let listen = &snapshot.config.server.listen;
                        let between = (exchange::source(listen, remote.address), remote.address);
                        let told = notify::tell(origin, serial, message, between, key, exchanges);
                        (serial, tokio::spawn(told).abort_handle())
                    }
                };
                self.told.insert(target, entry);
            }
        }
        // Of those that are told no more.
        told.values().for_each(|(_, task)| task.abort());
    }

    /// Begins and ends the refreshing of zones as the config has it.
    fn adopt(&mut self, publisher: &Arc<Publisher>, serving: &Serving) {
        let snapshot = &serving.snapshot;
        let mut before = std::mem::take(&mut self.secondaries);
        for (index, config) in snapshot.config.zones.iter().enumerate() {
            let Some(state) = snapshot.secondaries.state(index as u32) else { continue };
            let origin = &config.origin;
            let same = |old: &Secondary| {
                old.config.primaries == config.primaries && Arc::ptr_eq(&old.state, state)
            };
            let secondary = match before.remove(origin) {
                Some(old) if same(&old) => {
                    old.refresh.published.notify_one();
                    old
                }
                _ => {
                    let refresh = Arc::new(Refresh::new(origin.clone(), config.primaries.clone()));
                    let task =
                        Arc::clone(&refresh).run(Arc::downgrade(publisher), Arc::clone(state));
                    let task = tokio::spawn(task).abort_handle();
                    Secondary { config: config.clone(), state: Arc::clone(state), refresh, task }
                }
            };
            self.secondaries.insert(origin.clone(), secondary);
        }
        let secondaries = &self.secondaries;
        publisher.exchanges.zones().retain(|origin, _| secondaries.contains_key(origin));
    }

    /// Wakes the zones whose primaries said NOTIFY.
    fn pass_on_marks(&self) {
        for secondary in self.secondaries.values() {
            if secondary.state.notified.swap(false, Ordering::Relaxed) {
                secondary.refresh.notified.notify_one();
            }
        }
    }
}
