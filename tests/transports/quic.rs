//! DNS over QUIC as clients speak it, and QUIC for HTTP/3.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadToEndError};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use windrose::metrics;

use crate::Transport;
use crate::battery::Case;
use crate::http::runtime;
use crate::server::Server;

pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// A client's end with the protocol it offers.
pub(crate) fn endpoint(server: &Server, protocol: &str) -> Endpoint {
    let tls = server.client(protocol, rustls::version::TLS13.version);
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
    endpoint
}

/// A connection, with what it lives on.
pub(crate) async fn open(
    server: &Server,
    transport: metrics::Transport,
    protocol: &str,
) -> (Endpoint, Result<Connection, ConnectionError>) {
    let endpoint = endpoint(server, protocol);
    let connecting = endpoint.connect(server.encrypted(transport), "dns.example").unwrap();
    let connection = timeout(WITHIN, connecting).await.unwrap();
    (endpoint, connection)
}

/// A connection for DNS over QUIC.
pub(crate) struct Doq {
    pub(crate) runtime: Runtime,
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
}

impl Doq {
    pub(crate) fn connect(server: &Server) -> Doq {
        let runtime = runtime();
        let (endpoint, connection) = runtime.block_on(open(server, metrics::Transport::Doq, "doq"));
        Doq { runtime, connection: connection.unwrap(), _endpoint: endpoint }
    }

    /// What comes back on a stream on which this is all that is sent.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
        self.runtime.block_on(exchange(&self.connection, bytes))
    }

    /// The code with which the server closes the connection.
    pub(crate) fn closed(&self) -> u64 {
        let closed = async { timeout(WITHIN, self.connection.closed()).await.unwrap() };
        match self.runtime.block_on(closed) {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("{other}"),
        }
    }
}

pub(crate) async fn exchange(
    connection: &Connection,
    bytes: &[u8],
) -> Result<Vec<u8>, ReadToEndError> {
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        // What the server says to that is found by reading.
        let _ = send.write_all(bytes).await;
        let _ = send.finish();
        receive.read_to_end(70_000).await
    };
    timeout(WITHIN, exchange).await.unwrap()
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

impl Transport for Doq {
    fn name(&self) -> &'static str {
        "DNS over QUIC"
    }

    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        message[..2].fill(0);
        let reply = self.exchange(&framed(&message)).unwrap();
        let (length, reply) = reply.split_at(2);
        assert_eq!(length, u16::try_from(reply.len()).unwrap().to_be_bytes());
        assert_eq!(reply[..2], [0, 0], "RFC 9250 4.2.1");
        reply.to_vec()
    }

    /// The keepalive option ends a connection (RFC 9250 5.5.2).
    fn takes(&self, case: &Case) -> bool {
        !case.name.contains("keepalive")
    }
}
