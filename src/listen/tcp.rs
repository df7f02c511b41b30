//! TCP, and TLS over it: what all connections share (RFC 7766, RFC 9210, RFC 7858).
//!
//! Must not know how connections begin, which is `tcp_accept`, nor how messages are
//! framed; that is `tcp_connection`.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::doh::Site;
use super::proxy::Proxies;
use super::quic::{QuicAcceptor, QuicListening};
use super::tcp_accept::Acceptor;
use super::tcp_registry::{Registry, TcpCounts};
use super::{Moved, Responder, ResponderFactory, Transport};

/// The longest DNS message over TCP, in bytes.
pub(super) const MESSAGE_MAX: usize = 65_535;

/// How long connections may finish what they have begun, when told to stop.
const DRAIN_WAIT: Duration = Duration::from_millis(400);

/// How long connections told to go at once may take for it.
const GONE_WAIT: Duration = Duration::from_millis(300);

/// Limits of TCP.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// Connections in all, of each transport. At the limit an idle one is closed for a new
    /// one, of the client that has most; when none is idle the new one is refused. Each
    /// can hold about 160 KiB at worst.
    pub connections_max: usize,
    /// Connections of one client: an IPv4 address or an IPv6 /64.
    pub connections_per_client_max: usize,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// How long one message may take from its first byte to its last.
    pub message_timeout: Duration,
    /// How long a client may take to read the replies it is owed.
    pub write_timeout: Duration,
    /// Responders that the connections share; as many answer at once.
    pub responders: usize,
    /// Connections that are sent a zone at once; others wait for their turn.
    pub transfers_max: usize,
}

impl Default for TcpOptions {
    fn default() -> TcpOptions {
        TcpOptions {
            connections_max: 1000,
            // A tenth: ten clients that misbehave fill the server, not one.
            connections_per_client_max: 100,
            // RFC 7766 section 6.2.3: "of the order of a few seconds".
            idle_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            responders: 2,
            transfers_max: 64,
        }
    }
}

/// What every connection shares.
pub(super) struct Shared<R> {
    pub(super) options: TcpOptions,
    /// Leave to send transfers.
    pub(super) transfers: Arc<Semaphore>,
    desks: Vec<Mutex<Desk<R>>>,
}

/// A responder with the room it writes to: few of them, so that an idle connection
/// holds no buffer.
pub(super) struct Desk<R> {
    pub(super) responder: R,
    pub(super) out: Box<[u8]>,
}

/// Told to all tasks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd)]
pub(super) enum Phase {
    Serving,
    /// To another process, between two messages.
    HandingOver,
    /// Finish what has begun.
    Draining,
    /// Close.
    Gone,
}

/// Resolves when the server is to do anything but serve.
pub(super) async fn leaves(told: &mut watch::Receiver<Phase>) {
    // An error means that the server itself is gone.
    let _ = told.wait_for(|&phase| phase > Phase::Serving).await;
}

impl<R: Responder> Shared<R> {
    pub(super) fn new(options: TcpOptions, responder: impl Fn(usize) -> R) -> Shared<R> {
        let desk = |index| {
            let out = vec![0; MESSAGE_MAX].into_boxed_slice();
            Mutex::new(Desk { responder: responder(index), out })
        };
        let desks = (0..options.responders.max(1)).map(desk).collect();
        let transfers = Arc::new(Semaphore::new(options.transfers_max.max(1)));
        Shared { options, transfers, desks }
    }

    /// Works at a desk, that of connection `id` if none is free, while others wait for it:
    /// some microseconds, never across an await.
    pub(super) fn at_desk<T>(&self, id: u64, work: impl FnOnce(&mut Desk<R>) -> T) -> T {
        let own = id as usize % self.desks.len();
        // Any that is free is as good, and better than to wait.
        let (before, after) = self.desks.split_at(own);
        let free = after.iter().chain(before).find_map(|desk| desk.try_lock().ok());
        let wait = || self.desks[own].lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut free.unwrap_or_else(wait))
    }
}

// ---- TcpServer -------------------------------------------------------------------------

/// A listener to be served.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) listener: std::net::TcpListener,
    /// [`Transport::Tcp`], or one over it.
    pub(super) transport: Transport,
    /// Speaks TLS on it.
    pub(super) tls: Option<TlsAcceptor>,
}

/// All listeners but those of plain UDP, and what they share.
pub(super) struct Listeners {
    pub(super) tcp: Vec<Listening>,
    pub(super) quic: Vec<QuicListening>,
    /// Of DNS over HTTPS.
    pub(super) site: Arc<Site>,
    pub(super) proxies: Option<Arc<Proxies>>,
}

/// The TCP side at work, and QUIC, whose connections begin, end and are counted with it.
pub(super) struct TcpServer {
    /// Of TCP, and of each other transport that is spoken.
    registries: Vec<(Transport, Arc<Registry>)>,
    phase: watch::Sender<Phase>,
    /// Connections on their way to another process. Every task holds a sender: they are
    /// gone when it closes.
    moved: Mutex<Receiver<Moved>>,
    /// Connections of the process before.
    adopted: mpsc::UnboundedSender<Moved>,
}

impl TcpServer {
    /// Starts accepting on every listener.
    ///
    /// # Errors
    /// When the runtime cannot watch a listener, with its address.
    pub(super) fn start<F: ResponderFactory>(
        listeners: Listeners,
        factory: &F,
        options: &TcpOptions,
        runtime: &Handle,
    ) -> Result<TcpServer, (SocketAddr, io::Error)> {
        let shared = Arc::new(Shared::new(options.clone(), |index| factory.tcp(index)));
        let (phase, told) = watch::channel(Phase::Serving);
        let (sender, moved) = channel();
        let (adopted, adoptions) = mpsc::unbounded_channel();
        let _context = runtime.enter();
        let Listeners { tcp: listening, quic, site, proxies } = listeners;
        let tcp = Acceptor::new(Arc::clone(&shared), proxies, told.clone(), sender.clone());
        let dot = tcp.of_transport(Transport::Dot);
        let doh = tcp.of_https(Arc::clone(&site));
        let mut registries = vec![tcp.registry()];
        for other in [&dot, &doh] {
            if listening.iter().any(|one| one.transport == other.registry().0) {
                registries.push(other.registry());
            }
        }
        for Listening { address, listener, transport, tls } in listening {
            let listener = TcpListener::from_std(listener).map_err(|error| (address, error))?;
            let acceptor = match transport {
                Transport::Doh => doh.clone(),
                Transport::Dot => dot.clone(),
                _ => tcp.clone(),
            };
            runtime.spawn(acceptor.run(listener, tls));
        }
        let acceptor = QuicAcceptor::new(shared, site, told, sender);
        for transport in [Transport::Doq, Transport::Doh3] {
            let acceptor = acceptor.of_transport(transport);
            let of_it = quic.iter().filter(|one| one.transport == transport);
            let mut is_spoken = false;
            for listening in of_it {
                let address = listening.address;
                acceptor.start(listening, runtime).map_err(|error| (address, error))?;
                is_spoken = true;
            }
            if is_spoken {
                registries.push(acceptor.registry());
            }
        }
        runtime.spawn(tcp.adopt_all(adoptions));
        Ok(TcpServer { registries, phase, moved: Mutex::new(moved), adopted })
    }

    /// Connections of each transport.
    pub(super) fn counts(&self) -> Vec<(Transport, TcpCounts)> {
        self.registries.iter().map(|(of, registry)| (*of, registry.counts())).collect()
    }

    /// Begins the end: no new connection, idle ones close, others finish.
    pub(super) fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// No new connection; open ones leave between two messages.
    pub(super) fn hand_over(&self) {
        self.phase.send_replace(Phase::HandingOver);
    }

    /// Waits for the end, and makes it after a while; false: a task is left behind.
    pub(super) fn wait(&self) -> bool {
        self.wait_within(DRAIN_WAIT, drop)
    }

    /// The same where connections leave, which `take` gets.
    pub(super) fn wait_for_moved(&self, limit: Duration, take: impl FnMut(Moved)) -> bool {
        self.wait_within(limit, take)
    }

    /// Goes on with a connection of the process before.
    pub(super) fn adopt(&self, moved: Moved) {
        // Without a receiver the server has stopped, and so the connection closes.
        let _ = self.adopted.send(moved);
    }

    fn wait_within(&self, limit: Duration, mut take: impl FnMut(Moved)) -> bool {
        if self.ended(limit, &mut take) {
            return true;
        }
        self.phase.send_replace(Phase::Gone);
        self.ended(GONE_WAIT, &mut take)
    }

    fn ended(&self, wait: Duration, take: &mut impl FnMut(Moved)) -> bool {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + wait;
        loop {
            match moved.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(connection) => take(connection),
                Err(error) => return error == RecvTimeoutError::Disconnected,
            }
        }
    }
}
