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

mod attempt;
mod connect;
mod counters;
mod http;
mod limit;
mod runner;
mod tcp;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{broadcast, mpsc, oneshot};

pub use self::counters::{BUCKETS_US, CheckCounters, LAG_BUCKETS_MS, ProbeMetrics};
pub use self::limit::ProbeLimits;

use self::counters::Counters;
use self::runner::{Command, Runner};
use self::tls::TlsConfigs;
use crate::clock::Clock;
use crate::health::plan::{Plan, ProbeAddress, Target};
use crate::health::table::{State, Table};
use crate::health::{Failure, TargetStatus};

/// Threads for probes that compute, beside the one that owns the engine.
const HELPERS: usize = 2;
/// The runner looks for events of its sockets after so many steps of probes: each is
/// tens of microseconds.
const STEPS_PER_LOOK: u32 = 31;
/// Notices kept for a listener that is slow.
const NOTICES_KEPT: usize = 1_024;
/// Longest that probes in flight are waited for at a stop.
const STOP_WAIT: Duration = Duration::from_millis(500);

//------------ Words of the interface -----------------------------------------

/// The prober's thread has ended: nothing is probed any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the prober has stopped")]
pub struct Stopped;

/// A target's change of state, for event streams and counters.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Name of the check.
    pub check: String,
    /// First WIP that asked for the target; none for a datacenter's own check.
    pub wip: Option<String>,
    /// Its member.
    pub member: String,
    /// Where the probe went.
    pub address: ProbeAddress,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// The failure that did it; none: successes, or silence.
    pub failure: Option<Failure>,
    /// Unix second.
    pub at_s: u32,
}

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

/// How far an attempt got, to say what was missing at the deadline.
#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Connect,
    Handshake,
    Response,
    Body,
    Send,
    Expect,
}

impl Phase {
    fn missing(self) -> &'static str {
        match self {
            Phase::Connect => "no connection",
            Phase::Handshake => "no TLS handshake",
            Phase::Response => "no response",
            Phase::Body => "expected text not in the body",
            Phase::Send => "not all sent",
            Phase::Expect => "expected text not received",
        }
    }
}

/// How far an attempt got, and what it saw on the way, whatever its end.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    phase: Phase,
    /// When the certificate that the peer showed expires, in unix seconds.
    certificate_expires_s: Option<u64>,
}

/// What the runner tells without being asked.
#[derive(Debug, Default)]
struct Shared {
    counters: Counters,
    ready: AtomicBool,
}

impl Shared {
    /// Drops counters of checks that are no more.
    fn keep_checks(&self, plan: &Plan) {
        self.counters.keep(plan.targets.iter().map(|target| target.check.as_str()));
    }
}

//------------ Prober ---------------------------------------------------------

/// Handle of the prober. Dropping it stops all probing.
#[derive(Debug)]
pub struct Prober {
    commands: mpsc::UnboundedSender<Command>,
    notices: broadcast::Sender<Arc<Notice>>,
    shared: Arc<Shared>,
    clock: Clock,
    thread: Option<thread::JoinHandle<()>>,
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
        let (notices, _) = broadcast::channel(NOTICES_KEPT);
        let shared = Arc::new(Shared::default());
        let handle = helpers.handle().clone();
        let run =
            Runner::run(limits, clock, handle, Arc::clone(&shared), notices.clone(), receiver);
        let thread = thread::Builder::new().name("prober".to_owned()).spawn(move || {
            prepare();
            runtime.block_on(run);
            runtime.shutdown_timeout(STOP_WAIT);
            helpers.shutdown_timeout(STOP_WAIT);
        })?;
        Ok(Prober { commands, notices, shared, clock, thread: Some(thread) })
    }

    /// Probes `plan` from now on, keeping history. The table is fully written;
    /// the one before is written no more, so publish the snapshot at once.
    /// Blocks, and reads CA files: not for async tasks.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn apply(&self, plan: Plan) -> Result<Arc<Table>, Stopped> {
        let tls = TlsConfigs::load(&plan);
        let (reply, answer) = blocking::sync_channel(1);
        self.commands.send(Command::Apply { plan, tls, reply }).map_err(|_| Stopped)?;
        answer.recv().map_err(|_| Stopped)
    }

    /// Other caps from now on; probes in flight go on.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn set_limits(&self, limits: ProbeLimits) -> Result<(), Stopped> {
        self.commands.send(Command::Limits(limits)).map_err(|_| Stopped)
    }

    /// All targets and their state.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn view(&self) -> Result<View, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::View(reply)).map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// True once a plan was applied and every target in it has its first verdict.
    pub fn ready(&self) -> bool {
        self.shared.ready.load(Ordering::Relaxed)
    }

    /// Counters and lag. Does not need the prober to be alive.
    pub fn metrics(&self) -> ProbeMetrics {
        self.shared.counters.read(self.clock.now().mono_ms)
    }

    /// Changes of state from now on. A listener that is too slow loses the oldest.
    pub fn notices(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    /// Stops probing and waits for the threads to end. Probes in flight are dropped.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
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
