//! TCP: accepting, and what all connections share (RFC 7766, RFC 9210).
//!
//! Must not know how messages are framed; that is `tcp_connection`.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::tcp_connection::Connection;
use super::tcp_registry::{Caps, Registry, TcpCounts};
use super::{Meta, Moved, Responder, ResponderFactory, Transport};

/// The longest DNS message over TCP, in bytes.
pub(super) const MESSAGE_MAX: usize = 65_535;

/// Pause after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long connections may finish what they have begun, when told to stop.
const DRAIN_WAIT: Duration = Duration::from_millis(400);

/// How long connections told to go at once may take for it.
const GONE_WAIT: Duration = Duration::from_millis(300);

/// Limits of TCP.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// Connections in all. At the limit the one idle longest is closed for a new one;
    /// when none is idle the new one is refused. Each can hold about 160 KiB at worst.
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
        }
    }
}

/// What every connection shares.
pub(super) struct Shared<R> {
    pub(super) options: TcpOptions,
    registry: Arc<Registry>,
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

impl<R: Responder> Shared<R> {
    pub(super) fn new(
        options: TcpOptions,
        registry: Arc<Registry>,
        responder: impl Fn(usize) -> R,
    ) -> Shared<R> {
        let desk = |index| {
            let out = vec![0; MESSAGE_MAX].into_boxed_slice();
            Mutex::new(Desk { responder: responder(index), out })
        };
        let desks = (0..options.responders.max(1)).map(desk).collect();
        Shared { options, registry, desks }
    }

    /// Works at the desk of connection `id`, while others wait for that desk: some
    /// microseconds, never across an await.
    pub(super) fn at_desk<T>(&self, id: u64, work: impl FnOnce(&mut Desk<R>) -> T) -> T {
        let desk = &self.desks[id as usize % self.desks.len()];
        work(&mut desk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut TcpCounts)) {
        self.registry.count(change);
    }
}

// ---- TcpServer -------------------------------------------------------------------------

/// The TCP side at work.
pub(super) struct TcpServer {
    registry: Arc<Registry>,
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
        listeners: Vec<(SocketAddr, std::net::TcpListener)>,
        factory: &F,
        options: &TcpOptions,
        runtime: &Handle,
    ) -> Result<TcpServer, (SocketAddr, io::Error)> {
        let registry = Arc::new(Registry::new(Caps {
            total: options.connections_max.max(1),
            per_client: options.connections_per_client_max.max(1),
        }));
        let make = |index| factory.tcp(index);
        let shared = Arc::new(Shared::new(options.clone(), Arc::clone(&registry), make));
        let (phase, told) = watch::channel(Phase::Serving);
        let (sender, moved) = channel();
        let (adopted, adoptions) = mpsc::unbounded_channel();
        let _context = runtime.enter();
        let acceptor = Acceptor { shared, told, moved: sender };
        for (address, listener) in listeners {
            let listener = TcpListener::from_std(listener).map_err(|error| (address, error))?;
            runtime.spawn(acceptor.clone().run(listener));
        }
        runtime.spawn(acceptor.adopt_all(adoptions));
        Ok(TcpServer { registry, phase, moved: Mutex::new(moved), adopted })
    }

    pub(super) fn counts(&self) -> TcpCounts {
        self.registry.counts()
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

// ---- Acceptor --------------------------------------------------------------------------

struct Acceptor<R> {
    shared: Arc<Shared<R>>,
    told: watch::Receiver<Phase>,
    moved: Sender<Moved>,
}

impl<R> Clone for Acceptor<R> {
    fn clone(&self) -> Acceptor<R> {
        let (told, moved) = (self.told.clone(), self.moved.clone());
        Acceptor { shared: Arc::clone(&self.shared), told, moved }
    }
}

impl<R: Responder + 'static> Acceptor<R> {
    async fn run(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // An error means that the server itself is gone.
                _ = self.told.wait_for(|&phase| phase > Phase::Serving) => return,
            };
            match accepted {
                Ok((stream, client)) => {
                    // Replies go out whole: waiting to fill a segment would only delay them.
                    let _ = stream.set_nodelay(true);
                    self.admit(stream, client, Vec::new(), 0);
                }
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    /// Goes on with connections of the process before.
    async fn adopt_all(mut self, mut adoptions: mpsc::UnboundedReceiver<Moved>) {
        loop {
            let adopted = tokio::select! {
                adopted = adoptions.recv() => adopted,
                _ = self.told.wait_for(|&phase| phase > Phase::Serving) => return,
            };
            let Some(Moved { stream, client, input, unanswered }) = adopted else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            match stream {
                Ok(stream) => self.admit(stream, client, input, unanswered),
                Err(error) => tracing::warn!(%error, %client, "a connection cannot go on"),
            }
        }
    }

    /// Gives the connection a task of its own, or closes it.
    fn admit(&self, stream: TcpStream, client: SocketAddr, input: Vec<u8>, unanswered: usize) {
        let Some(place) = self.shared.registry.admit(client.ip()) else { return };
        let local = stream.local_addr().ok().map(|local| local.ip());
        let meta = Meta { client, local, transport: Transport::Tcp };
        let mut connection = Connection::new(stream, meta, place, Arc::clone(&self.shared));
        connection.go_on(input, unanswered);
        let (told, mut gone) = (self.told.clone(), self.told.clone());
        let sender = self.moved.clone();
        tokio::spawn(async move {
            let moved = tokio::select! {
                moved = connection.run(told) => moved,
                _ = gone.wait_for(|&phase| phase == Phase::Gone) => None,
            };
            if let Some(moved) = moved {
                // Without a receiver there is no server that could hand it over.
                let _ = sender.send(moved);
            }
        });
    }

    /// A connection that ended before it was accepted is nothing; without descriptors
    /// or memory the idle ones are the ones to go.
    async fn accept_failed(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            tracing::warn!(%error, "cannot accept a TCP connection");
            self.shared.registry.evict_oldest_idle();
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}
