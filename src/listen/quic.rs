//! QUIC: who is let in, and the end of those who are (RFC 9000). DNS over QUIC and HTTP/3
//! share it.
//!
//! ```text
//! first packet ─► handshakes under way? few: accept ─┐          place in the registry
//!                                       many: Retry  ├► TLS ─► or closed: too many ─► doq, doh3
//!                                       too many: refused
//! ```
//! An address has a place only once it is proven: what is forged fills the handshakes, which
//! are few, short and answered with no more than three times what came (RFC 9000 8.1); from
//! some number of them on every client has to prove its address first, which costs it a
//! round trip and this server nothing that it keeps.
//!
//! - 0-RTT is off: what comes with it can be replayed by anybody on the path, from any
//!   address, before the client's is proven. What it saves, a connection that is kept open
//!   saves, too.
//! - Migration is off: limits and answers go by the client's address. One whose address
//!   changes makes another connection, as over TCP.
//!
//! Must not know what is spoken on a connection.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::doh::Site;
use super::session::{STREAMS_MAX, Session};
use super::tcp::{Phase, Shared, leaves};
use super::tcp_registry::{Caps, Registry};
use super::{Meta, Moved, Responder, TcpOptions, Transport, doh3, doq};

/// Handshakes under way from which on a client must prove its address first.
const UNPROVEN_MAX: usize = 32;
/// Handshakes under way, in all; more are refused.
const HANDSHAKES_MAX: usize = 1_024;
/// First packets that wait to be looked at, and bytes behind them.
const INCOMING_MAX: usize = 1_024;
const INCOMING_BYTES_MAX: u64 = 16 * 1024;
const INCOMING_BYTES_TOTAL: u64 = 4 << 20;

/// Streams of one direction that a client may open: HTTP/3 has three, and may try others
/// (RFC 9114 6.2); over DNS the first of them ends the connection.
const UNI_STREAMS_MAX: u32 = 8;
/// What a client may send on a stream before it is read.
const STREAM_WINDOW: u32 = 68 * 1024;
/// And on all of a connection.
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// What may be sent and not yet acknowledged.
const SEND_WINDOW: u64 = 192 * 1024;
/// TLS messages that are not yet whole.
const CRYPTO_BUFFER: usize = 16 * 1024;

/// How long the last packets may take, when all connections are closed.
const LAST_PACKETS: Duration = Duration::from_millis(100);

/// One address to be served.
pub(super) struct QuicListening {
    pub(super) address: SocketAddr,
    pub(super) socket: UdpSocket,
    /// [`Transport::Doq`] or [`Transport::Doh3`].
    pub(super) transport: Transport,
    /// Asks for the protocol by its name.
    pub(super) tls: Arc<rustls::ServerConfig>,
}

fn server_config(
    tls: &Arc<rustls::ServerConfig>,
    options: &TcpOptions,
) -> io::Result<ServerConfig> {
    let tls = QuicServerConfig::try_from(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport_config(options)))
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(config)
}

fn registry(options: &TcpOptions) -> Arc<Registry> {
    let total = options.connections_max.max(1);
    let per_client = options.connections_per_client_max.max(1);
    Arc::new(Registry::new(Caps { total, per_client }))
}

fn transport_config(options: &TcpOptions) -> TransportConfig {
    let mut config = TransportConfig::default();
    // Longer than the field is for ever to either side.
    let idle = IdleTimeout::try_from(options.idle_timeout).ok();
    config
        .max_idle_timeout(idle)
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(UNI_STREAMS_MAX.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(SEND_WINDOW)
        .crypto_buffer_size(CRYPTO_BUFFER)
        .datagram_receive_buffer_size(None);
    config
}

//------------ QuicAcceptor ---------------------------------------------------

/// Takes the connections of one transport.
pub(super) struct QuicAcceptor<R> {
    transport: Transport,
    shared: Arc<Shared<R>>,
    registry: Arc<Registry>,
    site: Arc<Site>,
    handshakes: Arc<AtomicUsize>,
    told: watch::Receiver<Phase>,
    /// Nothing is sent: they are waited for who hold one.
    alive: Sender<Moved>,
}

impl<R> Clone for QuicAcceptor<R> {
    fn clone(&self) -> QuicAcceptor<R> {
        QuicAcceptor {
            transport: self.transport,
            shared: Arc::clone(&self.shared),
            registry: Arc::clone(&self.registry),
            site: Arc::clone(&self.site),
            handshakes: Arc::clone(&self.handshakes),
            told: self.told.clone(),
            alive: self.alive.clone(),
        }
    }
}

/// A handshake under way.
struct Handshake(Arc<AtomicUsize>);

impl Handshake {
    fn begin(count: &Arc<AtomicUsize>) -> Handshake {
        count.fetch_add(1, Ordering::Relaxed);
        Handshake(Arc::clone(count))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<R: Responder + 'static> QuicAcceptor<R> {
    pub(super) fn new(
        shared: Arc<Shared<R>>,
        site: Arc<Site>,
        told: watch::Receiver<Phase>,
        alive: Sender<Moved>,
    ) -> QuicAcceptor<R> {
        let (registry, transport) = (registry(&shared.options), Transport::Doq);
        let handshakes = Arc::default();
        QuicAcceptor { transport, shared, registry, site, handshakes, told, alive }
    }

    /// Of one transport, with caps of its own.
    pub(super) fn of_transport(&self, transport: Transport) -> QuicAcceptor<R> {
        let registry = registry(&self.shared.options);
        QuicAcceptor { transport, registry, handshakes: Arc::default(), ..self.clone() }
    }

    /// Its transport, and who is connected over it.
    pub(super) fn registry(&self) -> (Transport, Arc<Registry>) {
        (self.transport, Arc::clone(&self.registry))
    }

    /// Starts accepting on a socket, which others hold too.
    ///
    /// # Errors
    /// The system or the library will not have it.
    pub(super) fn start(&self, listening: &QuicListening, runtime: &Handle) -> io::Result<()> {
        let config = server_config(&listening.tls, &self.shared.options)?;
        let (socket, options) = (listening.socket.try_clone()?, EndpointConfig::default());
        let endpoint = Endpoint::new(options, Some(config), socket, Arc::new(TokioRuntime))?;
        runtime.spawn(self.clone().run(endpoint));
        Ok(())
    }

    async fn run(mut self, endpoint: Endpoint) {
        loop {
            let incoming = tokio::select! {
                incoming = endpoint.accept() => incoming,
                () = leaves(&mut self.told) => break,
            };
            let Some(incoming) = incoming else { break };
            self.begin(incoming);
        }
        // First packets are not read any more; those of another process are its.
        endpoint.set_server_config(None);
        let mut gone = self.told.clone();
        tokio::select! {
            () = endpoint.wait_idle() => {}
            // Open connections end by themselves, and are waited for by what they hold.
            () = tokio::time::sleep(LAST_PACKETS) => {}
            _ = gone.wait_for(|&phase| phase == Phase::Gone) => {
                endpoint.close(VarInt::from_u32(0), b"");
            }
        }
    }

    /// Lets a client in, has it prove its address first, or refuses it.
    fn begin(&self, incoming: Incoming) {
        let under_way = self.handshakes.load(Ordering::Relaxed);
        // A client of port 0 cannot be answered.
        if under_way >= HANDSHAKES_MAX || incoming.remote_address().port() == 0 {
            self.registry.count(|counts| counts.refused_full += 1);
            return incoming.ignore();
        }
        if under_way >= UNPROVEN_MAX && !incoming.remote_address_validated() {
            // An error: it has been validated.
            let _ = incoming.retry();
            return;
        }
        let handshake = Handshake::begin(&self.handshakes);
        let serving = self.clone().serve(incoming, handshake);
        let mut gone = self.told.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                _ = gone.wait_for(|&phase| phase == Phase::Gone) => {}
            }
        });
    }

    /// One connection from its first packet to its end.
    async fn serve(self, incoming: Incoming, handshake: Handshake) {
        let Ok(connecting) = incoming.accept() else { return };
        let limit = self.shared.options.message_timeout;
        let connection: Connection = match timeout(limit, connecting).await {
            Ok(Ok(connection)) => connection,
            _ => return self.registry.count(|counts| counts.handshake_failed += 1),
        };
        drop(handshake);
        let (transport, client) = (self.transport, connection.remote_address());
        let Some(place) = self.registry.admit(client.ip()) else {
            let code = match transport {
                Transport::Doh3 => doh3::EXCESSIVE_LOAD,
                _ => doq::Code::ExcessiveLoad.into(),
            };
            return connection.close(code, b"");
        };
        let meta = Meta { client, local: connection.local_ip(), transport };
        let session = Session::new(self.shared, meta, place);
        match transport {
            Transport::Doh3 => doh3::serve(connection, session, self.site, self.told).await,
            _ => doq::serve(connection, session, self.told).await,
        }
    }
}
