//! Binding and accepting, with every bound that keeps a client from holding
//! anything up.
//!
//! Memory is bounded by [`CONNECTIONS_MAX`] connections with one page each.
//! When all are taken the oldest gives way, so that no set of slow clients can
//! shut an operator out.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
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

use super::api::{self, Connection};
use super::desk::Desk;
use super::guard::{self, Guard, TokenError};
use super::stream::Streaming;
use crate::config::model::AdminListen;
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

//------------ bind -----------------------------------------------------------

/// A bound admin listener that does not serve yet.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    guard: Guard,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    /// None: its file is another's to remove.
    Unix(UnixListener, Option<SocketFile>),
}

/// Binds, so that what is wrong shows before anything else starts.
///
/// A unix socket left behind by a dead process is replaced; its file gives the
/// owner and group access.
pub fn bind(listen: &AdminListen, token_file: Option<&Path>) -> Result<Bound, BindError> {
    bind_or_take(listen, token_file, None)
}

/// The same, on a socket that was bound for it before.
pub fn bind_or_take(
    listen: &AdminListen,
    token_file: Option<&Path>,
    given: Option<OwnedFd>,
) -> Result<Bound, BindError> {
    match token_file {
        Some(path) => {
            guard::read_token(path)
                .map_err(|error| BindError::Token { file: path.to_owned(), error })?;
        }
        None if listen.requires_token() => {
            return Err(BindError::TokenMissing { listen: listen.to_string() });
        }
        None => {}
    }
    let socket = match (listen, given) {
        (listen, Some(given)) => take(listen, given),
        (AdminListen::Tcp(address), None) => TcpListener::bind(address).map(Socket::Tcp),
        (AdminListen::Unix(path), None) => bind_unix(path),
    };
    let socket = socket.map_err(|error| BindError::Socket { listen: listen.to_string(), error })?;
    Ok(Bound { socket, guard: Guard::new(listen, token_file) })
}

impl Bound {
    /// The address bound, with its real port; none for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }
}

/// A socket that was bound before, if it is the one that is configured.
fn take(listen: &AdminListen, given: OwnedFd) -> io::Result<Socket> {
    let known = SockRef::from(&given);
    let address = known.local_addr()?;
    let is_configured = match listen {
        AdminListen::Tcp(configured) => address.as_socket() == Some(*configured),
        AdminListen::Unix(path) => address.as_pathname() == Some(path),
    };
    if !is_configured || !known.is_listener()? {
        let other = "the socket given for it is another, or does not listen";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, other));
    }
    Ok(match listen {
        AdminListen::Tcp(_) => Socket::Tcp(given.into()),
        AdminListen::Unix(_) => Socket::Unix(given.into(), None),
    })
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    let left_behind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => {
            metadata.file_type().is_socket()
                && UnixStream::connect(path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        }
        Err(_) => false,
    };
    if left_behind {
        std::fs::remove_file(path)?;
    }
    // Until the next line only the owner can connect: the umask never gives more.
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    let metadata = std::fs::symlink_metadata(path)?;
    let identity = (metadata.dev(), metadata.ino());
    Ok(Socket::Unix(listener, Some(SocketFile { path: path.to_owned(), identity })))
}

/// The file of a bound unix socket; removed at the end, if it is still ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let Ok(metadata) = std::fs::symlink_metadata(&self.path) else { return };
        if (metadata.dev(), metadata.ino()) == self.identity {
            // Nothing to do about a failure: the next start replaces the file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Why the admin listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, not ours, or not allowed.
    #[error("admin listener: cannot listen on {listen}: {error}")]
    Socket {
        /// As configured.
        listen: String,
        /// What the system says.
        error: io::Error,
    },
    /// Others could reach it and nothing would stop them.
    #[error(
        "admin listener: {listen} is reachable from other hosts, so [admin] token_file must be set"
    )]
    TokenMissing {
        /// As configured.
        listen: String,
    },
    /// The token's file is of no use.
    #[error("admin listener: token file {} {error}", file.display())]
    Token {
        /// As configured.
        file: PathBuf,
        /// What is wrong with it.
        error: TokenError,
    },
}

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
    let connections = Connections::new(api::router(desk, bound.guard, &limits), limits);
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
    limits: Limits,
    tasks: JoinSet<()>,
    by_age: VecDeque<(AbortHandle, Arc<Streaming>)>,
    stopping: watch::Sender<bool>,
}

impl Connections {
    fn new(router: Router, limits: Limits) -> Connections {
        let (stopping, _) = watch::channel(false);
        Connections { router, limits, tasks: JoinSet::new(), by_age: VecDeque::new(), stopping }
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
        let task = self.tasks.spawn(connection(stream, router, self.limits, streaming, stopping));
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
