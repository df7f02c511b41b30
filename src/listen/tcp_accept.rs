//! How a connection begins: accepted, its client named by a proxy where it comes from
//! one, TLS agreed on where it is spoken, and then a place for it.
//!
//! ```text
//! accept ─► greeting (bounded, timed): PROXY header, TLS ─► place ─► Connection
//!    └──────────────── neither ──────────────────────────────┘
//! ```
//! Who is still in the greeting has a place among such alone: whatever they do, nobody
//! who is being served loses a connection to them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::doh::Site;
use super::proxy::{self, Proxies};
use super::session::Session;
use super::tcp::{Phase, Shared, TcpOptions};
use super::tcp_connection::{Connection, Stream};
use super::tcp_registry::{Caps, Registry};
use super::{Meta, Moved, Responder, Transport, doh_connection};

/// Pause after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The record type of a TLS handshake (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Connections that are in their greeting, of each transport: the oldest makes room.
const GREETINGS_MAX: usize = 512;

pub(super) struct Acceptor<R> {
    shared: Arc<Shared<R>>,
    transport: Transport,
    registry: Arc<Registry>,
    greetings: Arc<Registry>,
    proxies: Option<Arc<Proxies>>,
    /// Of DNS over HTTPS.
    site: Option<Arc<Site>>,
    told: watch::Receiver<Phase>,
    moved: Sender<Moved>,
}

impl<R> Clone for Acceptor<R> {
    fn clone(&self) -> Acceptor<R> {
        Acceptor {
            shared: Arc::clone(&self.shared),
            transport: self.transport,
            registry: Arc::clone(&self.registry),
            greetings: Arc::clone(&self.greetings),
            proxies: self.proxies.clone(),
            site: self.site.clone(),
            told: self.told.clone(),
            moved: self.moved.clone(),
        }
    }
}

fn registries(options: &TcpOptions) -> (Arc<Registry>, Arc<Registry>) {
    let total = options.connections_max.max(1);
    let per_client = options.connections_per_client_max.max(1);
    // A proxy brings many: whoever they are for is not known yet.
    let greetings = Caps { total: GREETINGS_MAX, per_client: GREETINGS_MAX };
    (Arc::new(Registry::new(Caps { total, per_client })), Arc::new(Registry::new(greetings)))
}

impl<R: Responder + 'static> Acceptor<R> {
    /// Of plain TCP.
    pub(super) fn new(
        shared: Arc<Shared<R>>,
        proxies: Option<Arc<Proxies>>,
        told: watch::Receiver<Phase>,
        moved: Sender<Moved>,
    ) -> Acceptor<R> {
        let (registry, greetings) = registries(&shared.options);
        let transport = Transport::Tcp;
        Acceptor { shared, transport, registry, greetings, proxies, site: None, told, moved }
    }

    /// Of another transport, with caps of its own.
    pub(super) fn of_transport(&self, transport: Transport) -> Acceptor<R> {
        let (registry, greetings) = registries(&self.shared.options);
        Acceptor { transport, registry, greetings, ..self.clone() }
    }

    /// Of DNS over HTTPS, at this site.
    pub(super) fn of_https(&self, site: Arc<Site>) -> Acceptor<R> {
        Acceptor { site: Some(site), ..self.of_transport(Transport::Doh) }
    }

    /// Its transport, and who is connected over it.
    pub(super) fn registry(&self) -> (Transport, Arc<Registry>) {
        (self.transport, Arc::clone(&self.registry))
    }

    /// Accepts until the server ends.
    pub(super) async fn run(mut self, listener: TcpListener, tls: Option<TlsAcceptor>) {
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
                    self.begin(stream, client, tls.as_ref());
                }
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    /// Goes on with connections of the process before.
    pub(super) async fn adopt_all(mut self, mut adoptions: mpsc::UnboundedReceiver<Moved>) {
        loop {
            let adopted = tokio::select! {
                adopted = adoptions.recv() => adopted,
                _ = self.told.wait_for(|&phase| phase > Phase::Serving) => return,
            };
            let Some(Moved { stream, client, input, unanswered }) = adopted else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            match stream {
                Ok(stream) => {
                    let meta = self.meta(&stream, client);
                    self.admit(stream, meta, input, unanswered);
                }
                Err(error) => tracing::warn!(%error, %client, "a connection cannot go on"),
            }
        }
    }

    fn meta(&self, stream: &TcpStream, client: SocketAddr) -> Meta {
        let local = stream.local_addr().ok().map(|local| local.ip());
        Meta { client, local, transport: self.transport }
    }

    fn begin(&self, stream: TcpStream, client: SocketAddr, tls: Option<&TlsAcceptor>) {
        let meta = self.meta(&stream, client);
        let is_proxy = self.proxies.as_ref().is_some_and(|some| some.contains(client.ip()));
        if tls.is_none() && !is_proxy {
            return self.admit(stream, meta, Vec::new(), 0);
        }
        let Some(place) = self.greetings.admit(client.ip()) else { return };
        let (acceptor, tls, mut gone) = (self.clone(), tls.cloned(), self.told.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = acceptor.greet(stream, meta, is_proxy, tls) => {}
                () = place.evicted() => {
                    acceptor.registry.count(|counts| counts.refused_full += 1);
                }
                _ = gone.wait_for(|&phase| phase == Phase::Gone) => {}
            }
        });
    }

    /// What comes before the first message.
    async fn greet(
        &self,
        mut stream: TcpStream,
        mut meta: Meta,
        is_proxy: bool,
        tls: Option<TlsAcceptor>,
    ) {
        let limit = self.shared.options.message_timeout;
        let no_header = || self.registry.count(|counts| counts.bad_header += 1);
        // In front of TLS, as the specification has it, or within, as dnsdist sends it.
        let is_within = is_proxy && tls.is_some() && begins_with_tls(&stream, limit).await;
        if is_proxy && !is_within && !read_header(&mut stream, limit, &mut meta).await {
            return no_header();
        }
        let Some(tls) = tls else { return self.admit(stream, meta, Vec::new(), 0) };
        let Ok(Ok(mut stream)) = timeout(limit, tls.accept(stream)).await else {
            return self.registry.count(|counts| counts.handshake_failed += 1);
        };
        if is_within && !read_header(&mut stream, limit, &mut meta).await {
            return no_header();
        }
        match &self.site {
            Some(site) => self.admit_https(stream, meta, Arc::clone(site)),
            None => self.admit(stream, meta, Vec::new(), 0),
        }
    }

    /// Gives the connection a task of its own, or closes it.
    fn admit<S: Stream>(&self, stream: S, meta: Meta, input: Vec<u8>, unanswered: usize) {
        let Some(place) = self.registry.admit(meta.client.ip()) else { return };
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

    /// The same for one that speaks HTTP.
    fn admit_https(&self, stream: TlsStream<TcpStream>, meta: Meta, site: Arc<Site>) {
        let Some(place) = self.registry.admit(meta.client.ip()) else { return };
        let session = Session::new(Arc::clone(&self.shared), meta, place);
        let (told, mut gone) = (self.told.clone(), self.told.clone());
        // Held until it ends: so it is waited for.
        let sender = self.moved.clone();
        tokio::spawn(async move {
            let _sender = sender;
            tokio::select! {
                () = doh_connection::serve(stream, session, site, told) => {}
                _ = gone.wait_for(|&phase| phase == Phase::Gone) => {}
            }
        });
    }

    /// A connection that ended before it was accepted is nothing; without descriptors
    /// or memory the idle ones are the ones to go.
    async fn accept_failed(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            tracing::warn!(%error, "cannot accept a TCP connection");
            self.registry.evict_oldest_idle();
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Whether the first byte is that of a TLS handshake, which no header begins with.
async fn begins_with_tls(stream: &TcpStream, limit: Duration) -> bool {
    let mut first = [0];
    let peeked = timeout(limit, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first == [TLS_HANDSHAKE]
}

/// Takes a proxy's header off, and not a byte more; false: there is no good one in time.
async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    limit: Duration,
    meta: &mut Meta,
) -> bool {
    let read = async {
        let mut prefix = [0; proxy::PREFIX];
        stream.read_exact(&mut prefix).await.ok()?;
        let mut header = prefix.to_vec();
        header.resize(proxy::length(&prefix).ok()?, 0);
        stream.read_exact(&mut header[proxy::PREFIX..]).await.ok()?;
        proxy::parse(&header).ok()
    };
    let Ok(Some(header)) = timeout(limit, read).await else { return false };
    if let Some((client, server)) = header.addresses {
        // As over UDP: nobody is there.
        if client.port() == 0 {
            return false;
        }
        (meta.client, meta.local) = (client, Some(server.ip()));
    }
    true
}
