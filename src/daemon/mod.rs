//! The server as a whole: what starts in which order, who owns what, and how it
//! stops.
//!
//! ```text
//! load ─► bind ─► prober ─► publish ─► UDP threads, TCP, admin
//!   ▲                          ▲
//!   └── file change, SIGHUP, API: load aside, publish at once, or change nothing
//! ```
//!
//! The hands (listeners, prober, admin) never meet; they are joined here.

mod cause;
mod changes;
mod checks;
mod desk;
pub mod disk;
mod events;
pub(crate) mod geo;
pub mod load;
mod log_level;
mod members;
mod metrics;
mod operate;
mod probing;
mod publisher;
mod responder;
mod series;
mod simulate;
mod sockets;
mod state;
mod supervised;
mod think;
mod user;
mod verify;
mod watch;
mod wips;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::watch as signal;

use crate::admin;
use crate::clock::Clock;
use crate::listen::{self, Running, StartOptions};
use crate::probe::Prober;
use crate::service::Notifier;
use publisher::{Cause, Publisher};
pub(crate) use simulate::{diff, simulate};
pub use sockets::Sockets;
use sockets::{TCP_RESPONDERS, tcp_options};
use state::{Saver, StateDir};
pub(crate) use think::{all_up, think_down};
pub use user::{BecomeError, become_user, user_to_become};

/// Threads of the runtime that serves TCP and the admin listener.
const RUNTIME_THREADS: usize = 2;
/// Longest wait for the runtime's tasks at a stop.
const STOP_WAIT: Duration = Duration::from_secs(2);

//------------ Daemon ---------------------------------------------------------

/// A running server. Dropping it without [`stop`](Daemon::stop) ends its threads
/// with the process.
pub struct Daemon {
    publisher: Arc<Publisher>,
    running: Arc<Running>,
    admin: Option<SocketAddr>,
    stop: signal::Sender<bool>,
    watcher: Arc<JoinHandle<()>>,
    saver: Option<Saver>,
    runtime: Runtime,
}

/// Why the server did not start: one clear line, or all problems of the config.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config is refused; rendered as `windrose check` prints it.
    #[error("{0}")]
    Config(String),
    /// An address cannot be served.
    #[error("{0}")]
    Bind(#[from] listen::BindError),
    /// The admin listener cannot be served.
    #[error("{0}")]
    Admin(#[from] admin::BindError),
    /// A socket of the service manager cannot be used.
    #[error("{0}")]
    Given(#[from] listen::GivenError),
    /// Its socket for the admin listener cannot.
    #[error("the service manager {0}")]
    AdminSockets(&'static str),
    /// Another server runs in the state directory.
    #[error("{0}")]
    State(#[from] state::StateInUse),
    /// A thread, a runtime or a listener could not be started.
    #[error("cannot start: {0}")]
    System(String),
}

impl Daemon {
    /// Loads `config_path` and starts everything it asks for. Returns when
    /// queries are answered.
    pub fn start(config_path: &Path) -> Result<Daemon, StartError> {
        let loaded =
            load::load(config_path).map_err(|refused| StartError::Config(refused.report))?;
        Daemon::start_loaded(config_path.to_owned(), loaded)
    }

    /// Starts what was loaded.
    pub fn start_loaded(path: PathBuf, loaded: load::Candidate) -> Result<Daemon, StartError> {
        let config = Arc::clone(&loaded.config);
        Daemon::start_on(path, loaded, || Sockets::bind(&config, Vec::new()))
    }

    /// Starts what was loaded on the sockets that `bind` gives, once the state directory
    /// is this server's: one that ends may have to free both.
    pub fn start_on(
        path: PathBuf,
        loaded: load::Candidate,
        bind: impl FnOnce() -> Result<Sockets, StartError>,
    ) -> Result<Daemon, StartError> {
        let config = Arc::clone(&loaded.config);
        let state = config.server.state_dir.as_deref().map(StateDir::open).transpose()?;
        let state = state.map(Arc::new);
        let Sockets { dns: bound, admin: admin_bound } = bind()?;
        let admin = admin_bound.as_ref().and_then(admin::Bound::local_addr);
        let system = |error: std::io::Error| StartError::System(error.to_string());
        let clock = Clock::start();
        let limits = probing::limits(&config, probing::raise_descriptors());
        let prober = Prober::start(limits, clock, probing::give_way).map_err(system)?;
        let udp_threads = bound.udp_threads();
        let workers = udp_threads + TCP_RESPONDERS;
        let publisher = Publisher::start(path, loaded, prober, state, clock, workers)
            .map_err(StartError::Config)?;
        let publisher = Arc::new(publisher);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("windrose-io")
            .enable_all()
            .build()
            .map_err(system)?;
        let factory = responder::Factory::new(&publisher, udp_threads);
        let options = StartOptions { tcp: tcp_options(&config), ..StartOptions::default() };
        let running = bound
            .start(&factory, &options, runtime.handle())
            .map_err(|error| StartError::System(error.to_string()))?;
        let running = Arc::new(running);
        for address in running.local_addrs() {
            tracing::info!(%address, "answering over UDP and TCP");
        }
        let (stop, stopping) = signal::channel(false);
        if let Some(bound) = admin_bound {
            let shown = Arc::new(series::Series::default());
            runtime.spawn(series::sample(Arc::clone(&shown), Arc::downgrade(&publisher)));
            let desk = desk::FrontDesk::new(&publisher, &running, runtime.handle(), shown);
            let mut stopping = stopping.clone();
            runtime.spawn(async move {
                let until = async move {
                    let _ = stopping.wait_for(|stop| *stop).await;
                };
                if let Err(error) = admin::serve(bound, Arc::new(desk), until).await {
                    tracing::error!(%error, "the admin listener ended");
                }
            });
        }
        let watched = Arc::clone(&publisher);
        let is_stalled = move || watched.prober().map(|prober| prober.stalled());
        runtime.spawn(events::tell_stalls(Arc::clone(&publisher.journal), clock, is_stalled));
        if let Some(address) = admin {
            tracing::info!(%address, "admin listener is up");
        }
        let watcher = Arc::new(watch::start(Arc::clone(&publisher), stopping).map_err(system)?);
        let saver = start_saver(&publisher, clock).map_err(system)?;
        Ok(Daemon { publisher, running, admin, stop, watcher, saver, runtime })
    }

    /// Addresses on which DNS is answered, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.running.local_addrs()
    }

    /// The admin listener's address, if it is not a unix socket.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Tells a service manager how this server is, until it stops.
    pub fn report_to(&self, notifier: Arc<Notifier>) {
        if notifier.is_heard() {
            let supervised = supervised::Supervised {
                notifier,
                publisher: Arc::clone(&self.publisher),
                running: Arc::downgrade(&self.running),
                watcher: Arc::clone(&self.watcher),
            };
            self.runtime.spawn(supervised.run());
        }
    }

    /// Loads the config again, as SIGHUP does.
    pub fn reload(&self) {
        self.publisher.reload_and_log(Cause::Signal);
    }

    /// Waits for SIGTERM or SIGINT; SIGHUP reloads.
    pub fn run_until_signal(&self) -> std::io::Result<()> {
        self.run_until(std::future::pending::<()>()).map(drop)
    }

    /// As [`run_until_signal`](Daemon::run_until_signal), or until `end` is
    /// there: its value, none after a signal.
    pub fn run_until<T>(&self, end: impl Future<Output = T>) -> std::io::Result<Option<T>> {
        use tokio::signal::unix::{SignalKind, signal};
        self.runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut hangup = signal(SignalKind::hangup())?;
            tokio::pin!(end);
            loop {
                tokio::select! {
                    value = &mut end => return Ok(Some(value)),
                    _ = terminate.recv() => return Ok(None),
                    _ = interrupt.recv() => return Ok(None),
                    _ = hangup.recv() => {
                        let publisher = Arc::clone(&self.publisher);
                        // A load takes a while: the signals go on being heard.
                        tokio::task::spawn_blocking(move || {
                            publisher.reload_and_log(Cause::Signal);
                        });
                    }
                }
            }
        })
    }

    /// Stops: no new queries, state is saved, probes end, threads join.
    pub fn stop(self) {
        tracing::info!("stopping");
        self.publisher.stopping.store(true, Ordering::Relaxed);
        self.publisher.teller.stopping();
        let _ = self.stop.send(true);
        match Arc::try_unwrap(self.running) {
            Ok(running) => {
                running.stop();
            }
            // The admin listener still counts with it; its sockets close with the process.
            Err(running) => drop(running),
        }
        if let Some(saver) = self.saver {
            saver.stop();
        }
        self.publisher.stop();
        self.runtime.shutdown_timeout(STOP_WAIT);
        // It may be in the middle of a load, which nobody needs any more.
        let begun = Instant::now();
        while !self.watcher.is_finished() && begun.elapsed() < STOP_WAIT {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn start_saver(publisher: &Arc<Publisher>, clock: Clock) -> std::io::Result<Option<Saver>> {
    let start = |state: &Arc<StateDir>| {
        let wake = publisher.wake.clone();
        Saver::start(Arc::clone(state), Arc::downgrade(publisher), clock, wake)
    };
    publisher.state.as_ref().map(start).transpose()
}
