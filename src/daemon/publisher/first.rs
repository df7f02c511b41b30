//! The first snapshot of a process, of its own or after another's; and what another that
//! takes this one's place goes on from.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::rand::GetRandomFlags;

use super::{Loading, Publisher, lock};
use crate::admin::Journal;
use crate::admin::types::EventKind;
use crate::clock::Clock;
use crate::daemon::events;
use crate::daemon::load::Candidate;
use crate::daemon::overrides::Keeper;
use crate::daemon::state::{StateDir, Wake, save_serials};
use crate::daemon::supervised::Teller;
use crate::daemon::upgrade::Handed;
use crate::dns::cookie::Secret;
use crate::health::Engine;
use crate::health::saved::Saved;
use crate::health::stable::target_key;
use crate::metrics::{Registry, TransitionCounters};
use crate::probe::Prober;
use crate::snapshot::Serving;

/// A secret that nobody knows. None: the system has no random numbers, and without a
/// configured one there are no cookies, rather than cookies that can be forged.
fn random_secret() -> Option<Secret> {
    let mut bytes = [0; 16];
    match rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(16) => Some(Secret::new(bytes)),
        failed => {
            tracing::error!(
                ?failed,
                "no random numbers: there are no cookies without a [cookies] secret_file"
            );
            None
        }
    }
}

/// While it lives, no load begins.
pub(in crate::daemon) struct LoadsHeld<'p> {
    _guard: MutexGuard<'p, Loading>,
}

impl Publisher {
    /// Publishes the first snapshot.
    pub(in crate::daemon) fn start(
        path: PathBuf,
        candidate: Candidate,
        prober: Prober,
        state: Option<Arc<StateDir>>,
        clock: Clock,
        workers: usize,
        handed: Option<Handed>,
    ) -> Result<Publisher, String> {
        let Candidate { mut snapshot, geo, read, .. } = candidate;
        let plan = std::mem::take(&mut snapshot.plan);
        snapshot.plan = plan.clone();
        let taken_over = handed.is_some();
        let Handed { health, turns, events, version, pid, cookie_secret } =
            handed.unwrap_or_default();
        let journal = Arc::new(Journal::resume(events, clock.unix_us()));
        let overrides = Keeper::open(state.clone(), Arc::clone(&journal), clock, taken_over)
            .map_err(|error| error.to_string())?;
        let transitions = Arc::<TransitionCounters>::default();
        let wake = Wake::default();
        let listener =
            events::listener(Arc::clone(&journal), Arc::clone(&transitions), wake.clone());
        prober.listen(listener).map_err(|error| error.to_string())?;
        if let Some(saved) = health {
            prober.take_over(saved).map_err(|error| error.to_string())?;
        } else if let Some(saved) = state.as_ref().and_then(|state| state.read_health()) {
            prober.restore(saved).map_err(|error| error.to_string())?;
        }
        let table = prober.apply(plan).map_err(|error| error.to_string())?;
        match &state {
            Some(_) if taken_over => wake.hold(),
            Some(state) => save_serials(state, &snapshot.serials),
            None => {}
        }
        let generation = snapshot.generation;
        let cause = if taken_over { "upgrade" } else { "start" }.to_owned();
        let changes = Vec::new();
        if taken_over {
            journal.push(
                clock.unix_us(),
                EventKind::Upgraded {
                    old_pid: pid,
                    new_pid: std::process::id(),
                    old_version: version,
                    new_version: env!("CARGO_PKG_VERSION").to_owned(),
                },
            );
        }
        let loaded = EventKind::ConfigLoaded { generation, cause, changes };
        journal.push(clock.unix_us(), loaded);
        let serving = Serving::new(Arc::new(snapshot), table, workers, None);
        serving.take_turns(&turns);
        let serving = overrides.begin(&serving, taken_over);
        let now_s = u64::from(clock.now().unix_s);
        Ok(Publisher {
            cell: Arc::new(ArcSwap::from_pointee(serving)),
            registry: Arc::new(Registry::new()),
            transitions,
            journal,
            stopping: AtomicBool::new(false),
            started_at_s: now_s,
            loaded_at_s: AtomicU64::new(now_s),
            state,
            overrides,
            watching: OnceLock::new(),
            wake,
            teller: Teller::default(),
            cookie_secret: cookie_secret.or_else(random_secret),
            path,
            clock,
            workers,
            prober: Mutex::new(Some(Arc::new(prober))),
            loading: Mutex::new(Loading { retired: Vec::new(), geo }),
            handover: Mutex::new(()),
            refused: Mutex::new(None),
            read: Mutex::new(read),
            looked: Mutex::new(None),
        })
    }

    /// The state directory is this process's from now on, and no more that of the one whose
    /// place it has taken.
    pub(in crate::daemon) fn own_state(&self) {
        if let Some(state) = &self.state {
            save_serials(state, &self.serving().snapshot.serials);
        }
        self.wake.go_on();
        self.overrides.freeze(false);
    }

    /// Lets no load begin, once the one that runs is over.
    pub(in crate::daemon) fn hold_loads(&self) -> LoadsHeld<'_> {
        LoadsHeld { _guard: lock(&self.loading) }
    }

    /// The history of health as it is now; none: the prober does not answer in time.
    pub(in crate::daemon) fn history(&self, within: Duration) -> Option<Saved> {
        let history = self.prober()?.look_within(within, Engine::history)?;
        let names = history.plan.targets.iter().map(|target| target_key(&target.identity));
        Some(history.named(&names.collect::<Vec<_>>()))
    }
}
