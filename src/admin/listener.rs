//! Accepting, with every bound that keeps a client from holding
//! anything up.
//!
//! Memory is bounded by [`CONNECTIONS_MAX`] connections with one page each.
//! When all are taken the oldest gives way, so that no set of slow clients can
//! shut an operator out.

mod bind;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use self::bind::Socket;
pub use self::bind::{BindError, Bound, Ownership, bind, bind_or_take};
use super::api::{self, Connection};
use super::desk::Desk;
use super::stream::Streaming;
use super::tls::Tls;
use crate::log::Sparse;

/// Most connections at once.
pub(super) const CONNECTIONS_MAX: usize = 32;
/// Most bytes of a request's head.
const HEAD_LENGTH_MAX: usize = 16 * 1_024;
/// Pause after an accept that failed, as it does without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

static ACCEPT_FAILED: Sparse = Sparse::every(Duration::from_secs(10));

/// How long each thing may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A request's head, the wait for it included.
    pub(super) head: Duration,
    /// A request's body.
    pub(super) body: Duration,
    /// The daemon's part; a reload of a million WIPs takes some seconds.
    pub(super) desk: Duration,
    /// A connection; a request under way then is finished.
    pub(super) life: Duration,
    /// Such a request's remaining time.
    pub(super) grace: Duration,
    /// Requests under way at a stop.
    pub(super) stop: Duration,
    /// A stream of events, while its client takes nothing of it; one that is taken
    /// may last.
    pub(super) stall: Duration,
    /// Time between two signs of life on a stream.
    pub(super) heartbeat: Duration,
}

/// Well above what an honest client needs, far below what hurts.
const LIMITS: Limits = Limits {
    head: Duration::from_secs(10),
    body: Duration::from_secs(10),
    desk: Duration::from_secs(30),
    life: Duration::from_secs(60),
    grace: Duration::from_secs(10),
    stop: Duration::from_secs(2),
    stall: Duration::from_secs(30),
    heartbeat: Duration::from_secs(10),
};

/// A stream that has outlived its connection's time is looked at this often.
const STREAM_LOOK: Duration = Duration::from_secs(1);
/// A client whose host takes nothing off the network for so long is gone.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

//------------ serve ----------------------------------------------------------

/// Serves until `shutdown` is done, then gives requests under way a moment.
/// Fails only when the socket cannot be handed to the runtime.
pub async fn serve(
    bound: Bound,
    desk: Arc<dyn Desk>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_within(bound, desk, shutdown, LIMITS).await
}

pub(super) async fn serve_within(
    bound: Bound,
    desk: Arc<dyn Desk>,
    shutdown: impl Future<Output = ()> + Send,
    limits: Limits,
) -> io::Result<()> {
    let router = api::router(desk, bound.guard, &limits);
    let connections = Connections::new(router, bound.tls, limits);
    match bound.socket {
        Socket::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            accept_all(listener, connections, shutdown).await;
        }
        Socket::Unix(listener, _file) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            accept_all(listener, connections, shutdown).await;
        }
    }
    Ok(())
}

/// A listener of either kind.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection and who made it.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, String)>> + Send;
}

impl Accept for tokio::net::TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Stream, String)> {
        let (stream, peer) = self.accept().await?;
        // Without it, a stream to a host that vanished is held for a quarter of an hour;
        // with it refused, the connection works as well.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        Ok((stream, peer.to_string()))
    }
}

impl Accept for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Stream, String)> {
        let (stream, _) = self.accept().await?;
        let user = stream.peer_cred().map_or("unix".to_owned(), |p| format!("uid {}", p.uid()));
        Ok((stream, user))
    }
}

async fn accept_all<A: Accept>(
    listener: A,
    mut connections: Connections,
    shutdown: impl Future<Output = ()> + Send,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => connections.start(stream, peer),
                Err(error) => {
                    if let Some(left_out) = ACCEPT_FAILED.allow(Instant::now()) {
                        tracing::warn!(%error, left_out, "admin listener: accept failed");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    connections.stop().await;
}

//------------ Connections ----------------------------------------------------

/// The open connections, oldest first.
struct Connections {
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    tasks: JoinSet<()>,
    by_age: VecDeque<(AbortHandle, Arc<Streaming>)>,
    stopping: watch::Sender<bool>,
}

impl Connections {
    fn new(router: Router, tls: Option<Arc<Tls>>, limits: Limits) -> Connections {
        let (stopping, _) = watch::channel(false);
        let (tasks, by_age) = (JoinSet::new(), VecDeque::new());
        Connections { router, tls, limits, tasks, by_age, stopping }
    }

    fn start<S>(&mut self, stream: S, peer: String)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        self.by_age.retain(|(task, _)| !task.is_finished());
        if self.by_age.len() >= CONNECTIONS_MAX {
            self.give_way();
        }
        let stopping = self.stopping.subscribe();
        let streaming = Arc::<Streaming>::default();
        let shared =
            Connection { peer, streaming: Arc::clone(&streaming), stopping: stopping.clone() };
        let router = self.router.clone().layer(axum::Extension(shared));
        let kept = Arc::clone(&streaming);
        let limits = self.limits;
        let task = match self.tls.clone() {
            None => self.tasks.spawn(connection(stream, router, limits, streaming, stopping)),
            Some(tls) => self.tasks.spawn(async move {
                if let Some(stream) = handshake(stream, tls, limits.head).await {
                    connection(stream, router, limits, streaming, stopping).await;
                }
            }),
        };
        self.by_age.push_back((task, kept));
    }

    /// The oldest goes. Streams are few and meant to be old, so they stay.
    fn give_way(&mut self) {
        let oldest = self.by_age.iter().position(|(_, streaming)| !streaming.is_open());
        if let Some((oldest, _)) = self.by_age.remove(oldest.unwrap_or(0)) {
            tracing::debug!("admin listener full: the oldest connection gives way");
            oldest.abort();
        }
    }

    async fn stop(mut self) {
        // No receiver means no connection.
        let _ = self.stopping.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // The rest is aborted when the set is dropped.
        let _ = timeout(self.limits.stop, all).await;
    }
}

/// Speaks TLS from here on; none: the client does not, or takes too long.
async fn handshake<S>(stream: S, tls: Arc<Tls>, limit: Duration) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let accept = async {
        // It may read files.
        let acceptor = tokio::task::spawn_blocking(move || tls.acceptor()).await.ok()?;
        let accepted = acceptor.accept(stream).await;
        accepted.inspect_err(|error| tracing::debug!(%error, "admin TLS handshake")).ok()
    };
    timeout(limit, accept).await.ok().flatten()
}

/// One connection from its first byte to its end. Its errors are its client's.
async fn connection<S>(
    stream: S,
    router: Router,
    limits: Limits,
    streaming: Arc<Streaming>,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HEAD_LENGTH_MAX);
    let service = TowerToHyperService::new(router);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        result = &mut serving => {
            if let Err(error) = result {
                tracing::debug!(%error, "admin connection");
            }
            return;
        }
        () = life(&limits, &streaming) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(limits.grace, serving).await;
}

/// Waits until a connection has lived long enough: a stream that its client takes
/// makes it longer.
async fn life(limits: &Limits, streaming: &Streaming) {
    sleep(limits.life).await;
    while streaming.is_alive(limits.stall) {
        sleep(STREAM_LOOK.min(limits.stall)).await;
    }
}
