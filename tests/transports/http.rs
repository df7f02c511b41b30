//! DNS over HTTPS as clients speak it: HTTP/1.1, HTTP/2, HTTP/3.

use std::future::poll_fn;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use windrose::metrics;

use crate::Transport;
use crate::quic;
use crate::server::Server;

pub(crate) const PATH: &str = "/dns-query";
pub(crate) const MEDIA_TYPE: &str = "application/dns-message";
const WITHIN: Duration = Duration::from_secs(20);

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    One,
    Two,
    Three,
}

pub(crate) const VERSIONS: [Version; 3] = [Version::One, Version::Two, Version::Three];

/// A connection.
pub(crate) struct Client {
    runtime: Runtime,
    sender: Sender,
    /// Messages are sent in the path, not in the body.
    gets: bool,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
    Three(h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>),
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// TLS to the listener of DNS over HTTPS, offering one protocol.
pub(crate) async fn tls(server: &Server, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.encrypted(metrics::Transport::Doh)).await?;
    let config = server.client(protocol, rustls::version::TLS13.version);
    let name = ServerName::try_from("dns.example").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

impl Client {
    pub(crate) fn connect(server: &Server, version: Version) -> Client {
        let runtime = runtime();
        let sender = runtime.block_on(async { timeout(WITHIN, open(server, version)).await });
        Client { runtime, sender: sender.unwrap(), gets: false }
    }

    /// Sends messages with GET.
    pub(crate) fn by_get(self) -> Client {
        Client { gets: true, ..self }
    }

    /// The response to a request.
    pub(crate) fn send(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        self.try_send(request).expect("a response")
    }

    /// The same; none: the connection or the stream ended instead.
    pub(crate) fn try_send(&mut self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let sender = &mut self.sender;
        self.runtime.block_on(async { timeout(WITHIN, exchange(sender, request)).await.unwrap() })
    }
}

async fn open(server: &Server, version: Version) -> Sender {
    match version {
        Version::One => {
            let stream = TokioIo::new(tls(server, "http/1.1").await.unwrap());
            let (sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Sender::One(sender)
        }
        Version::Two => {
            let stream = TokioIo::new(tls(server, "h2").await.unwrap());
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(1 << 20)
                .handshake(stream)
                .await
                .unwrap();
            tokio::spawn(connection);
            Sender::Two(sender)
        }
        Version::Three => {
            let (_, connection) = quic::open(server, metrics::Transport::Doh3, "h3").await;
            let connection = h3_quinn::Connection::new(connection.unwrap());
            let (mut driver, sender) = h3::client::new(connection).await.unwrap();
            tokio::spawn(async move { poll_fn(|cx| driver.poll_close(cx)).await });
            Sender::Three(sender)
        }
    }
}

async fn exchange(sender: &mut Sender, request: Request<Bytes>) -> Option<Response<Bytes>> {
    let response = match sender {
        Sender::One(sender) => {
            let (mut parts, body) = request.into_parts();
            parts.headers.entry("host").or_insert("dns.example".parse().unwrap());
            sender.ready().await.ok()?;
            sender.send_request(Request::from_parts(parts, Full::new(body))).await.ok()?
        }
        Sender::Two(sender) => {
            let (mut parts, body) = request.into_parts();
            parts.uri = format!("https://dns.example{}", parts.uri).parse().unwrap();
            sender.send_request(Request::from_parts(parts, Full::new(body))).await.ok()?
        }
        Sender::Three(sender) => return exchange_http3(sender, request).await,
    };
    let (parts, body) = response.into_parts();
    Some(Response::from_parts(parts, body.collect().await.ok()?.to_bytes()))
}

async fn exchange_http3(
    sender: &mut h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>,
    request: Request<Bytes>,
) -> Option<Response<Bytes>> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("https://dns.example{}", parts.uri).parse().unwrap();
    let mut stream = sender.send_request(Request::from_parts(parts, ())).await.ok()?;
    // A server that has refused already reads no more.
    if stream.send_data(body).await.is_ok() {
        let _ = stream.finish().await;
    }
    let (parts, ()) = stream.recv_response().await.ok()?.into_parts();
    let mut whole = Vec::new();
    while let Some(mut piece) = stream.recv_data().await.ok()? {
        whole.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    Some(Response::from_parts(parts, whole.into()))
}

/// A POST of a message.
pub(crate) fn post(message: &[u8]) -> Request<Bytes> {
    let request = Request::post(PATH).header("content-type", MEDIA_TYPE);
    request.body(Bytes::copy_from_slice(message)).unwrap()
}

/// A GET of a message.
pub(crate) fn get(message: &[u8]) -> Request<Bytes> {
    get_at(&format!("{PATH}?dns={}", URL_SAFE_NO_PAD.encode(message)))
}

pub(crate) fn get_at(target: &str) -> Request<Bytes> {
    Request::builder().method(Method::GET).uri(target).body(Bytes::new()).unwrap()
}

impl Transport for Client {
    fn name(&self) -> &'static str {
        match (&self.sender, self.gets) {
            (Sender::One(_), false) => "HTTP/1.1 POST",
            (Sender::One(_), true) => "HTTP/1.1 GET",
            (Sender::Two(_), false) => "HTTP/2 POST",
            (Sender::Two(_), true) => "HTTP/2 GET",
            (Sender::Three(..), false) => "HTTP/3 POST",
            (Sender::Three(..), true) => "HTTP/3 GET",
        }
    }

    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        let request = if self.gets { get(message) } else { post(message) };
        let response = self.send(request);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        response.into_body().to_vec()
    }
}
