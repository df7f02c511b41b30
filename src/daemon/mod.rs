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
mod certificate;
mod changes;
mod checks;
mod desk;
pub mod disk;
mod events;
mod fail_open;
pub(crate) mod geo;
mod handover;
mod limiting;
pub mod load;
mod log_level;
mod members;
mod metrics;
mod operate;
mod overrides;
mod probing;
mod publisher;
mod responder;
mod series;
mod signals;
mod simulate;
mod sockets;
mod state;
mod stop;
mod supervised;
mod support;
mod think;
pub mod upgrade;
mod user;
mod verify;
mod watch;
mod watching;
mod wips;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::sync::watch as signal;

use crate::admin;
use crate::clock::Clock;
use crate::listen::proxy::Proxies;
use crate::listen::{self, Running, StartOptions, Transport};
use crate::probe::Prober;
use crate::service::Notifier;
use crate::tls::TlsError;
use publisher::{Cause, Publisher};
use signals::Heard;
pub use signals::Signals;
pub(crate) use simulate::{diff, simulate};
pub use sockets::Sockets;
use sockets::{TCP_RESPONDERS, tcp_options};
use state::{Saver, StateDir};
pub(crate) use support::of_files as support_of_files;
pub(crate) use think::{all_up, think_down};
use upgrade::{AdminSocket, Program, TakeOver, Upgrader};
pub use user::{BecomeError, become_user, user_to_become};
use watching::Watching;

/// Threads of the runtime that serves TCP and the admin listener.
const RUNTIME_THREADS: usize = 2;

//------------ Daemon ---------------------------------------------------------

/// A running server. Dropping it without [`stop`](Daemon::stop) ends its threads
/// with the process.
pub struct Daemon {
    publisher: Arc<Publisher>,
    running: Arc<Running>,
    admin: Option<SocketAddr>,
    took_over: bool,
    stop: signal::Sender<bool>,
    watcher: Arc<JoinHandle<()>>,
    saver: Option<Saver>,
    upgrader: Arc<Upgrader>,
    admin_task: Option<tokio::task::JoinHandle<()>>,
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
    /// The certificate of encrypted transports cannot be used.
    #[error("[tls] {0}")]
    Tls(#[from] TlsError),
    /// A socket of the service manager cannot be used.
    #[error("{0}")]
    Given(#[from] listen::GivenError),
    /// Its socket for the admin listener cannot.
    #[error("the service manager {0}")]
    AdminSockets(&'static str),
    /// Another server runs in the state directory.
    #[error("{0}")]
    State(#[from] state::StateInUse),
    /// The server whose place it is to take does not say what it should.
    #[error("{0}")]
    TakeOver(#[from] upgrade::TakeOverError),
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
        Daemon::start_on(path, loaded, None, |_| Sockets::bind(&config, Vec::new()))
    }

    /// Starts what was loaded on the sockets that `bind` gives, once the state directory
    /// is this server's: one that ends may have to free both. Where it takes the place of
    /// a server at work, that one ends with its success and goes on with its failure.
    pub fn start_on(
        path: PathBuf,
        loaded: load::Candidate,
        mut from: Option<TakeOver>,
        bind: impl FnOnce(Option<&mut TakeOver>) -> Result<Sockets, StartError>,
    ) -> Result<Daemon, StartError> {
        let started = Daemon::start_with(path, loaded, from.as_mut(), bind);
        if let (Some(from), Err(error)) = (&from, &started) {
            from.refuse(&error.to_string());
        }
        started
    }

    fn start_with(
        path: PathBuf,
        loaded: load::Candidate,
        mut from: Option<&mut TakeOver>,
        bind: impl FnOnce(Option<&mut TakeOver>) -> Result<Sockets, StartError>,
    ) -> Result<Daemon, StartError> {
        let config = Arc::clone(&loaded.config);
        let open = |path: &PathBuf| match from.as_mut().and_then(|from| from.lock(path)) {
            Some(lock) => StateDir::take_over(path, lock),
            None => StateDir::open(path),
        };
        let state = config.server.state_dir.as_ref().map(open).transpose()?.map(Arc::new);
        let Sockets { dns: bound, admin: admin_bound, certificate } = bind(from.as_deref_mut())?;
        let admin = admin_bound.as_ref().and_then(admin::Bound::local_addr);
        let system = |error: std::io::Error| StartError::System(error.to_string());
        let clock = Clock::start();
        let limits = probing::limits(&config, probing::raise_descriptors());
        let prober = Prober::start(limits, clock, probing::give_way).map_err(system)?;
        let udp_threads = bound.udp_threads();
        let workers = udp_threads + TCP_RESPONDERS;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("windrose-io")
            .enable_all()
            .build()
            .map_err(system)?;
        // From here to the first answer all is quick: what happens at the server before is
        // no longer seen here.
        let handed = from.as_ref().map(|from| from.take_state()).transpose()?;
        let last = handed.as_ref().and_then(|handed| handed.events.last());
        // What happened before there was anybody to tell is told too, but not twice.
        let told_before = last.map_or(0, |event| event.id);
        let publisher = Publisher::start(path, loaded, prober, state, clock, workers, handed)
            .map_err(StartError::Config)?;
        let publisher = Arc::new(publisher);
        let held_publisher = Arc::clone(&publisher);
        // A load writes state, which is that of the server before until this one is ready.
        let held = from.as_ref().map(|_| held_publisher.hold_loads());
        let watching = Watching::new(&publisher.journal, runtime.handle(), workers);
        let query_log = Arc::clone(watching.query_log());
        let _ = publisher.watching.set(watching);
        let factory = responder::Factory::new(&publisher, &query_log, udp_threads);
        let options = StartOptions {
            tcp: tcp_options(&config),
            certificate,
            doh_path: config.tls.doh_path.clone(),
            proxies: Proxies::new(&config.proxy.from).map(Arc::new),
            ..StartOptions::default()
        };
        let running = bound
            .start(&factory, &options, runtime.handle())
            .map_err(|error| StartError::System(error.to_string()))?;
        let running = Arc::new(running);
        runtime.spawn(limiting::tell(factory.news(), Arc::clone(&publisher.cell)));
        for address in running.local_addrs() {
            tracing::info!(%address, "answering over UDP and TCP");
        }
        for (transport, address) in running.encrypted_addrs() {
            tracing::info!(%address, "answering over {transport}");
        }
        if let Some(own) = running.certificate() {
            let warning_s = config.health.certificate_warning_s;
            runtime.spawn(certificate::follow(Arc::clone(own), warning_s));
        }
        let (stop, stopping) = signal::channel(false);
        let admin_socket = admin_bound.as_ref().zip(config.admin.listen.as_ref());
        let admin_socket = admin_socket.map(|(bound, listen)| AdminSocket::of(bound, listen));
        let admin_socket = admin_socket.transpose().map_err(system)?;
        let admin_file = admin_socket.as_ref().map(|socket| socket.file.clone());
        let upgrader = Arc::new(Upgrader::new(&publisher, &running, admin_socket));
        let admin_task = admin_bound.map(|bound| {
            let shown = Arc::new(series::Series::default());
            runtime.spawn(series::sample(Arc::clone(&shown), Arc::downgrade(&publisher)));
            let desk =
                desk::FrontDesk::new(&publisher, &running, &upgrader, runtime.handle(), shown);
            let mut stopping = stopping.clone();
            runtime.spawn(async move {
                let until = async move {
                    let _ = stopping.wait_for(|stop| *stop).await;
                };
                if let Err(error) = admin::serve(bound, Arc::new(desk), until).await {
                    tracing::error!(%error, "the admin listener ended");
                }
            })
        });
        let watched = Arc::clone(&publisher);
        let is_stalled = move || watched.prober().map(|prober| prober.stalled());
        runtime.spawn(events::tell_stalls(Arc::clone(&publisher.journal), clock, is_stalled));
        if let Some(address) = admin {
            tracing::info!(%address, "admin listener is up");
        }
        let watcher = Arc::new(watch::start(Arc::clone(&publisher), stopping).map_err(system)?);
        let saver = start_saver(&publisher, clock).map_err(system)?;
        overrides::start_timer(Arc::downgrade(&publisher)).map_err(system)?;
        let took_over = from.is_some();
        if let Some(from) = from {
            from.ready(Arc::downgrade(&running))?;
            drop(held);
            publisher.own_state();
            admin_file.iter().for_each(|file| file.set(from.has_admin_file()));
        }
        runtime.spawn(watching::follow(Arc::clone(&publisher), told_before));
        Ok(Daemon {
            publisher,
            running,
            admin,
            took_over,
            stop,
            watcher,
            saver,
            upgrader,
            admin_task,
            runtime,
        })
    }

    /// Addresses on which DNS is answered, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.running.local_addrs()
    }

    /// Addresses of encrypted transports, likewise.
    pub fn encrypted_addresses(&self) -> &[(Transport, SocketAddr)] {
        self.running.encrypted_addrs()
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
                took_over: self.took_over,
            };
            self.runtime.spawn(supervised.run());
        }
    }

    /// From now on this server may be replaced by another process, which `program`
    /// starts: SIGUSR2, or the API.
    pub fn may_be_upgraded(&self, program: Program) {
        self.upgrader.allow(program);
    }

    /// Loads the config again, as SIGHUP does.
    pub fn reload(&self) {
        self.publisher.reload_and_log(Cause::Signal);
    }

    /// Waits for SIGTERM or SIGINT, or for a process that takes this one's place; SIGHUP
    /// reloads, SIGUSR2 upgrades.
    pub fn run_until_signal(&self, signals: Signals) {
        self.run_with(signals, std::future::pending::<()>());
    }

    /// The same, or until `end` is there: its value, none for everything else.
    pub fn run_until<T>(&self, end: impl Future<Output = T>) -> std::io::Result<Option<T>> {
        Ok(self.run_with(Signals::of_requests()?.and_stop()?, end))
    }

    fn run_with<T>(&self, mut signals: Signals, end: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            let mut successor = self.upgrader.successor();
            tokio::pin!(end);
            loop {
                let heard = tokio::select! {
                    value = &mut end => return Some(value),
                    _ = successor.wait_for(Option::is_some) => return None,
                    heard = signals.next() => heard,
                };
                match heard {
                    Heard::Stop => return None,
                    Heard::Upgrade => {
                        let upgrader = Arc::clone(&self.upgrader);
                        tokio::task::spawn_blocking(move || {
                            // What comes of it is in the log.
                            let _ = upgrader.upgrade("SIGUSR2");
                        });
                    }
                    Heard::Reload => {
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
}

fn start_saver(publisher: &Arc<Publisher>, clock: Clock) -> std::io::Result<Option<Saver>> {
    let start = |state: &Arc<StateDir>| {
        let wake = publisher.wake.clone();
        Saver::start(Arc::clone(state), Arc::downgrade(publisher), clock, wake)
    };
    publisher.state.as_ref().map(start).transpose()
}
