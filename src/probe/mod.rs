//! Probing: an engine's due probes as real connections, on threads of their own.
//!
//! ```text
//!   control thread ── apply(plan) ─► runner ── spawn ─► attempt: connect, tls, http|tcp
//!        ◄────────── Arc<Table> ──┘    ▲                    │
//!   admin ─ view, metrics, ready       └──── report ◄───────┘
//! ```
//!
//! The runner alone owns the engine and writes the table. Probes that are a few system
//! calls run on its own thread, in between: handed to another they would cost more in
//! waking it than in themselves. Those that compute, TLS above all, run on helpers. All
//! of these threads give way to those that answer queries (decision 0037).
//!
//! It must not know snapshots, answers or how the plan came about.

mod ask;
mod attempt;
mod body;
mod bounded;
mod busy;
mod connect;
mod counters;
mod dns;
pub mod dns_reply;
mod exec;
mod families;
mod file;
mod grpc;
pub mod grpc_reply;
mod http;
mod http1;
mod http2;
mod icmp;
mod limit;
mod lookups;
mod notice;
mod packet;
mod phase;
mod prepared;
mod proxy_header;
mod redirect;
mod resolve;
mod runner;
mod session;
mod summary;
mod tcp;
mod tls;
mod tls_files;
mod tls_verify;
mod verify;
mod watchdog;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

pub use self::ask::NotApplied;
pub use self::counters::{
    BUCKETS_US, CheckCounters, LAG_BUCKETS_MS, ProbeMetrics, SiteCounters, SiteProbes,
};
pub use self::limit::ProbeLimits;
pub use self::notice::{Notice, Noticed, Who};
pub use self::summary::{Certificate, Summary};
pub use self::verify::{Checked, Flaw, verify};

use self::counters::Counters;
use self::notice::Listener;
use self::phase::Phase;
use self::prepared::Prepared;
use self::runner::{Command, Runner};
use self::session::Handshake;
use self::watchdog::{Watchdog, Watched};
use crate::clock::Clock;
use crate::health::plan::{Plan, Target, TargetId};
use crate::health::saved::Saved;
use crate::health::{Engine, Event, Now, TargetStatus};

/// Threads for probes that compute, beside the one that owns the engine.
const HELPERS: usize = 2;
/// The runner looks for events of its sockets after so many steps of probes: each is
/// tens of microseconds.
const STEPS_PER_LOOK: u32 = 31;
/// Longest that probes in flight are waited for at a stop.
const STOP_WAIT: Duration = Duration::from_millis(500);

//------------ Words of the interface -----------------------------------------

/// The prober's thread has ended: nothing is probed any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the prober has stopped")]
pub struct Stopped;

/// All targets at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// What is probed.
    pub plan: Arc<Plan>,
    /// State of `plan.targets`, in their order.
    pub targets: Vec<TargetStatus>,
}

impl View {
    /// Targets with their state.
    pub fn iter(&self) -> impl Iterator<Item = (&Target, &TargetStatus)> {
        self.plan.targets.iter().zip(&self.targets)
    }
}

/// How far an attempt got, and what it saw on the way, whatever its end.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    phase: Phase,
    /// What it had to wait for before it began, and how long in milliseconds.
    waited: Option<(Phase, u64)>,
    /// When the first to expire of the peer's certificates does, in unix seconds.
    certificate_expires_s: Option<u64>,
    /// How the TLS handshake went, the first one where there were several.
    handshake: Option<Handshake>,
}

/// What the runner tells without being asked.
#[derive(Debug, Default)]
struct Shared {
    counters: Counters,
    ready: AtomicBool,
    watched: Watched,
    summary: Mutex<Arc<Summary>>,
}

impl Shared {
    fn summary(&self) -> MutexGuard<'_, Arc<Summary>> {
        // It is replaced whole.
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops counters of what is no more.
    fn keep_checks(&self, plan: &Plan) {
        self.counters.keep(plan.targets.iter().map(|target| target.check.as_str()));
    }
}

//------------ Prober ---------------------------------------------------------

/// Handle of the prober. Dropping it stops all probing.
#[derive(Debug)]
pub struct Prober {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    /// Of the plan applied last: what did not change goes on.
    prepared: Mutex<Arc<Prepared>>,
    clock: Clock,
    thread: Option<thread::JoinHandle<()>>,
    watchdog: Watchdog,
    /// For tests that hang them.
    #[cfg(test)]
    helpers: runtime::Handle,
}

impl Prober {
    /// Starts the prober's threads, with nothing to probe. Each runs `prepare` first.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(limits: ProbeLimits, clock: Clock, prepare: fn()) -> std::io::Result<Prober> {
        let runtime = runtime::Builder::new_current_thread()
            .event_interval(STEPS_PER_LOOK)
            .enable_all()
            .build()?;
        let helpers = runtime::Builder::new_multi_thread()
            .worker_threads(HELPERS)
            .thread_name("probe")
            .on_thread_start(prepare)
            .enable_all()
            .build()?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let handle = helpers.handle().clone();
        let run = Runner::run(limits, clock, handle, Arc::clone(&shared), receiver);
        #[cfg(test)]
        let handle = helpers.handle().clone();
        let thread = thread::Builder::new().name("prober".to_owned()).spawn(move || {
            prepare();
            runtime.block_on(run);
            runtime.shutdown_timeout(STOP_WAIT);
            helpers.shutdown_timeout(STOP_WAIT);
        })?;
        let prepared = Mutex::default();
        let watchdog = Watchdog::start(Arc::clone(&shared), clock)?;
        Ok(Prober {
            commands,
            shared,
            prepared,
            clock,
            thread: Some(thread),
            watchdog,
            #[cfg(test)]
            helpers: handle,
        })
    }

    /// Takes in what an earlier process kept, with the first plan. Before the first
    /// [`Prober::apply`], or it does nothing.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn restore(&self, saved: Saved) -> Result<(), Stopped> {
        self.commands.send(Command::Restore(saved)).map_err(|_| Stopped)
    }

    /// The same from a process that still probes, and whose place this one takes.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn take_over(&self, saved: Saved) -> Result<(), Stopped> {
        self.commands.send(Command::TakeOver(saved)).map_err(|_| Stopped)
    }

    /// Other caps from now on; probes in flight go on.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn set_limits(&self, limits: ProbeLimits) -> Result<(), Stopped> {
        self.commands.send(Command::Limits(limits)).map_err(|_| Stopped)
    }

    /// All targets and their state. It copies them all: [`Prober::look`] is for less.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn view(&self) -> Result<View, Stopped> {
        self.look(|engine, _| {
            let ids = 0..engine.plan().targets.len() as TargetId;
            let targets = ids.filter_map(|id| engine.status(id)).collect();
            View { plan: Arc::clone(engine.plan()), targets }
        })
        .await
    }

    /// What `look` makes of the engine, between two of its steps. It holds up
    /// every probe, so it copies what is wanted and no more.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let look = Box::new(move |engine: &Engine, now: Now| {
            // An asker who went away needs no answer.
            let _ = reply.send(look(engine, now));
        });
        self.commands.send(Command::Look(look)).map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// An operator's word to the engine, which is told to the listener like everything
    /// else: `act` gives what happened, and an answer.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Engine, Now) -> (Vec<Event>, T) + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let act = Box::new(move |engine: &mut Engine, now: Now| {
            let (events, value) = act(engine, now);
            // An asker who went away needs no answer.
            let _ = reply.send(value);
            events
        });
        self.commands.send(Command::Act(act)).map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// True once a plan was applied and every target in it has its first verdict.
    pub fn ready(&self) -> bool {
        self.shared.ready.load(Ordering::Relaxed)
    }

    /// Counters and lag. Does not need the prober to be alive.
    pub fn metrics(&self) -> ProbeMetrics {
        ProbeMetrics {
            stalled: self.shared.watched.is_stalled(),
            ..self.shared.counters.read(self.clock.now().mono_ms)
        }
    }

    /// Probes that passed, by datacenter. Does not need the prober to be alive.
    pub fn sites(&self) -> SiteProbes {
        self.shared.counters.sites()
    }

    /// Whether it is stuck or dead. Does not need the prober to be alive.
    pub fn stalled(&self) -> bool {
        self.shared.watched.is_stalled()
    }

    /// How all targets are, as of a moment ago. Does not need the prober to be alive.
    pub fn summary(&self) -> Arc<Summary> {
        Arc::clone(&self.shared.summary())
    }

    /// From now on `listener` is told what happens, on the prober's own thread: it
    /// must not wait.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn listen(&self, listener: impl FnMut(Noticed) + Send + 'static) -> Result<(), Stopped> {
        let listener: Listener = Box::new(listener);
        self.commands.send(Command::Listen(listener)).map_err(|_| Stopped)
    }

    /// Stops probing and waits for the threads to end. Probes in flight are dropped.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.watchdog.stop();
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of the runner has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
