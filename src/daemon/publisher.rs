//! Loads and publishes: one at a time, all or nothing.
//!
//! A load is compiled aside; the prober takes the new plan and hands back a
//! table that is fully written; then both are swapped in together. Whatever
//! fails before that leaves what was running as it was.

mod first;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub(super) use super::cause::Cause;
use super::changes::{self, Changes};
use super::disk::{ReadFiles, Seen};
use super::geo::Geo;
use super::load::{self, Before, Candidate, Refused};
use super::overrides::Keeper;
use super::state::{StateDir, Wake, save_serials};
use super::supervised::Teller;
use super::watch;
use super::watching::Watching;
use super::{log_level, probing};
use crate::admin::Journal;
use crate::admin::types::{EventKind, ReloadRefused, ReloadReport};
use crate::clock::Clock;
use crate::dns::cookie::Secret;
use crate::listen::udp_batch;
use crate::metrics::{Registry, TransitionCounters};
use crate::probe::Prober;
use crate::snapshot::Serving;

/// How often, and how far apart, a load looks whether the snapshot before it is
/// read no more.
pub(super) const RETIRE_LOOKS: usize = 50;
pub(super) const RETIRE_PAUSE: Duration = Duration::from_millis(10);

/// Niceness of a thread that loads. Of a processor that answers all the time it gets
/// a tenth: a change under attack takes seconds, where 19 would take minutes.
const LOAD_NICENESS: i32 = 10;
/// Longest that a waking worker waits for it: the usual slice is some milliseconds.
const LOAD_SLICE: Duration = Duration::from_micros(100);

/// Makes this thread one of those that load or think while others answer.
pub(super) fn give_way() {
    if let Err(error) = udp_batch::give_way(LOAD_NICENESS, LOAD_SLICE) {
        tracing::debug!(%error, "loads run at the priority of everything else");
    }
}

/// The sole writer of what is served.
pub(super) struct Publisher {
    /// What workers read.
    pub(super) cell: Arc<ArcSwap<Serving>>,
    /// The query path's counters.
    pub(super) registry: Arc<Registry>,
    /// Changes of health.
    pub(super) transitions: Arc<TransitionCounters>,
    /// What happens, for streams.
    pub(super) journal: Arc<Journal>,
    /// Set once the server stops.
    pub(super) stopping: AtomicBool,
    /// Unix second of the start.
    pub(super) started_at_s: u64,
    /// Unix second of the last load that was taken.
    pub(super) loaded_at_s: AtomicU64,
    /// Where state is kept, as of the start.
    pub(super) state: Option<Arc<StateDir>>,
    /// What operators say over health.
    pub(super) overrides: Keeper,
    /// What watches it, once it is started.
    pub(super) watching: OnceLock<Watching>,
    /// Told of changes that are to be kept.
    pub(super) wake: Wake,
    /// Tells a service manager.
    pub(super) teller: Teller,
    /// Makes cookies where the config has no secret.
    pub(super) cookie_secret: Option<Secret>,
    path: PathBuf,
    /// Both clocks.
    pub(super) clock: Clock,
    workers: usize,
    prober: Mutex<Option<Arc<Prober>>>,
    loading: Mutex<Loading>,
    /// Held while counts move to the next snapshot, and while they are scraped.
    pub(super) handover: Mutex<()>,
    refused: Mutex<Option<ReloadRefused>>,
    /// What the last load read, taken or refused: mending a file is a change too.
    read: Mutex<ReadFiles>,
    /// What the files looked like before the last load read them.
    looked: Mutex<Option<Seen>>,
}

/// What one load keeps for the next.
struct Loading {
    /// Snapshots that a worker may still be reading. They are freed here, never
    /// by a worker.
    retired: Vec<Arc<Serving>>,
    /// The geo table in force, taken again while its files stay as they are.
    geo: Geo,
}

impl Loading {
    /// Frees what no worker reads any more. A batch takes microseconds, so this
    /// hardly ever waits; what is still read then is freed after the next load.
    fn free_retired(&mut self) {
        for _ in 0..RETIRE_LOOKS {
            self.retired.retain(|serving| Arc::strong_count(serving) > 1);
            if self.retired.is_empty() {
                return;
            }
            std::thread::sleep(RETIRE_PAUSE);
        }
    }
}

impl Publisher {
    /// What is served now.
    pub(super) fn serving(&self) -> Arc<Serving> {
        self.cell.load_full()
    }

    /// The main config file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The prober, until the server stops.
    pub(super) fn prober(&self) -> Option<Arc<Prober>> {
        lock(&self.prober).clone()
    }

    /// Why the last reload was refused; none: it was taken.
    pub(super) fn refused(&self) -> Option<ReloadRefused> {
        lock(&self.refused).clone()
    }

    /// What the last load read, taken or refused.
    pub(super) fn read_files(&self) -> ReadFiles {
        lock(&self.read).clone()
    }

    /// Whether a load has read the files as they are seen now.
    pub(super) fn has_read(&self, seen: &Seen) -> bool {
        lock(&self.looked).as_ref() == Some(seen)
    }

    /// Milliseconds since the start.
    pub(super) fn uptime_ms(&self) -> u64 {
        self.clock.now().mono_ms
    }

    /// Loads and publishes, and says in the log what came of it.
    pub(super) fn reload_and_log(&self, cause: Cause) {
        // The outcome is logged where it is found; nobody waits for it here.
        let _ = self.reload(cause);
    }

    /// Loads and publishes, or changes nothing and says why. The load runs on a
    /// thread of its own that gives way to those that answer: a priority that was
    /// lowered cannot be raised again.
    pub(super) fn reload(&self, cause: Cause) -> Result<ReloadReport, ReloadRefused> {
        std::thread::scope(|scope| {
            let load = || {
                give_way();
                self.reload_here(cause)
            };
            match std::thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, load) {
                Ok(thread) => thread.join().unwrap_or_else(|_| {
                    let report = "the load broke off: this is a bug, the log has more".to_owned();
                    tracing::error!(cause = cause.as_str(), "{report}");
                    let refused = ReloadRefused { report, problems: Vec::new() };
                    *lock(&self.refused) = Some(refused.clone());
                    Err(refused)
                }),
                // Better at the same priority than not at all.
                Err(_) => self.reload_here(cause),
            }
        })
    }

    fn reload_here(&self, cause: Cause) -> Result<ReloadReport, ReloadRefused> {
        let mut loading = lock(&self.loading);
        if self.stopping.load(Ordering::Relaxed) {
            let report = "the server is stopping, or another process has taken its place";
            return Err(ReloadRefused { report: report.to_owned(), problems: Vec::new() });
        }
        self.teller.reloading();
        let current = self.serving();
        *lock(&self.looked) = Some(watch::look(self));
        let before = Before {
            serials: current.snapshot.serials.clone(),
            snapshot: Some(Arc::clone(&current.snapshot)),
            geo: Some(loading.geo.clone()),
            generation: current.snapshot.generation,
        };
        let result = load::load_after(&self.path, before)
            .map_err(|refused| {
                let report = refused_report(&refused);
                *lock(&self.read) = refused.read;
                report
            })
            .and_then(|mut candidate| {
                *lock(&self.read) = std::mem::take(&mut candidate.read);
                self.publish(candidate, &current, cause, &mut loading)
            });
        drop(current);
        loading.free_retired();
        match &result {
            Ok(report) => {
                *lock(&self.refused) = None;
                let changes = report.changes.join("; ");
                let generation = report.generation;
                self.tell(EventKind::ConfigLoaded {
                    generation,
                    cause: cause.as_str().to_owned(),
                    changes: report.changes.clone(),
                });
                for warning in &report.warnings {
                    tracing::warn!(code = warning.code, "{}", warning.title);
                }
                tracing::info!(cause = cause.as_str(), generation, changes, "config loaded");
            }
            Err(refused) => {
                *lock(&self.refused) = Some(refused.clone());
                self.tell(EventKind::ConfigRefused {
                    cause: cause.as_str().to_owned(),
                    problems: refused.problems.len() as u64,
                });
                tracing::error!(
                    cause = cause.as_str(),
                    problems = refused.problems.len(),
                    "config refused, the one in force stays\n{}",
                    refused.report
                );
            }
        }
        self.teller.reloaded(self);
        result
    }

    /// Tells streams what happened just now.
    pub(super) fn tell(&self, what: EventKind) {
        self.journal.push(self.clock.unix_us(), what);
    }

    fn publish(
        &self,
        candidate: Candidate,
        current: &Arc<Serving>,
        cause: Cause,
        loading: &mut Loading,
    ) -> Result<ReloadReport, ReloadRefused> {
        let Candidate { mut snapshot, config, geo, problems, sources, .. } = candidate;
        let changes = Changes::between(&current.snapshot.config, &config);
        let refused = |report: String| ReloadRefused { report, problems: Vec::new() };
        if cause == Cause::FileChange {
            changes.allowed_automatically().map_err(refused)?;
        }
        let prober = self.prober().ok_or_else(|| refused("the server is stopping".to_owned()))?;
        // May wait for a change that is being kept on the disk.
        let overrides = self.overrides.hold_still();
        let plan = std::mem::take(&mut snapshot.plan);
        snapshot.plan = plan.clone();
        let generation = snapshot.generation;
        let table = prober.apply(plan).map_err(|error| refused(error.to_string()))?;
        if let Some(state) = &self.state {
            save_serials(state, &snapshot.serials);
        }
        let limits = probing::limits(&config, probing::raise_descriptors());
        // The plan is taken, and its words are those to be read: one that died since then
        // needs no limits.
        let _ = prober.set_limits(limits);
        let serving = Serving::new(Arc::new(snapshot), table, self.workers, Some(current));
        self.forget_transitions(&serving);
        loading.retired.push(self.hand_over(&serving, current, &overrides));
        drop(overrides);
        // The file has the names of what was probed before.
        self.wake.changed();
        loading.geo = geo;
        self.loaded_at_s.store(u64::from(self.clock.now().unix_s), Ordering::Relaxed);
        let mut lines = changes.lines();
        lines.extend(changes::at_next_start(&current.snapshot.config, &config));
        log_level::configure(&config.log);
        Ok(ReloadReport {
            generation,
            changes: lines,
            warnings: super::desk::config_problems(&problems, &sources),
        })
    }

    /// Drops the counters of WIPs and members that are no more.
    fn forget_transitions(&self, serving: &Serving) {
        let plan = &serving.snapshot.plan;
        let probed: HashSet<(&str, &str)> = plan
            .targets
            .iter()
            .map(|target| (target.wip.as_deref().unwrap_or_default(), &*target.member))
            .collect();
        self.transitions.retain(|wip, member| probed.contains(&(wip, member)));
    }

    /// Ends probing.
    pub(super) fn stop(&self) {
        let prober = lock(&self.prober).take();
        if let Some(prober) = prober.and_then(|prober| Arc::try_unwrap(prober).ok()) {
            prober.shutdown();
        }
    }
}

fn refused_report(refused: &Refused) -> ReloadRefused {
    ReloadRefused {
        report: refused.report.clone(),
        problems: super::desk::config_problems(&refused.problems, &refused.sources),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
