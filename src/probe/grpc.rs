//! gRPC checks: `grpc.health.v1.Health/Check`, a message of one field each way.
//!
//! Passes when the service is SERVING. Over TLS the server must agree to HTTP/2;
//! without it HTTP/2 is spoken at once.

use std::net::{IpAddr, SocketAddr};

use hyper::Request;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use tokio::io::{AsyncRead, AsyncWrite};

use super::bounded::Bounded;
use super::connect::connect;
use super::grpc_reply::{judge_message, judge_status, message};
use super::http::{HEAD_BYTES_MAX, host_of, name_of};
use super::prepared::Tools;
use super::tls::{Offer, TLS_BYTES_MAX, handshake, no_http2};
use super::{Phase, Progress, http2};
use crate::health::check::GrpcProbe;
use crate::health::{Failure, FailureKind};

/// Most bytes of the answer's message; it has two.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Asks the server at `address`.
pub(super) async fn check(
    probe: &GrpcProbe,
    address: IpAddr,
    timeout_ms: u32,
    tools: &Tools,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let host = probe.host.clone().unwrap_or_else(|| host_of(address));
    let scheme = if probe.tls.is_some() { "https" } else { "http" };
    let request = request(scheme, &host, timeout_ms)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("request: {error}")))?;
    let stream = connect(SocketAddr::new(address, probe.port), &probe.route, true).await?;
    let tls_bytes = if probe.tls.is_some() { TLS_BYTES_MAX } else { 0 };
    let stream = Bounded::new(stream, 2 * HEAD_BYTES_MAX + tls_bytes);
    let Some(tls) = &probe.tls else {
        return exchange(probe, request, stream, progress).await;
    };
    let name = name_of(tls, &host);
    let stream = handshake(tls, Offer::Http2, name, stream, tools, progress).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(no_http2());
    }
    exchange(probe, request, stream, progress).await
}

async fn exchange<S>(
    probe: &GrpcProbe,
    request: Request<()>,
    stream: S,
    progress: &mut Progress,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    progress.phase = Phase::Response;
    let (sender, connection) = http2::start(stream, MESSAGE_BYTES_MAX as u32).await?;
    http2::drive(connection, async {
        let failed = |error: h2::Error| http2::failure(&error);
        let mut sender = sender.ready().await.map_err(failed)?;
        let (response, mut body) = sender.send_request(request, false).map_err(failed)?;
        body.send_data(message(&probe.service).into(), true).map_err(failed)?;
        let response = response.await.map_err(failed)?;
        judge_head(response.status().as_u16(), response.headers())?;
        let mut body = response.into_body();
        let mut seen = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(failed)?;
            // Only a stream that is gone has no window.
            let _ = body.flow_control().release_capacity(piece.len());
            seen.extend_from_slice(&piece);
            if seen.len() > MESSAGE_BYTES_MAX {
                return Err(Failure::new(
                    FailureKind::Protocol,
                    "the answer's message is too long",
                ));
            }
        }
        let trailers = body.trailers().await.map_err(failed)?;
        let trailers =
            trailers.ok_or_else(|| Failure::new(FailureKind::Protocol, "no grpc-status"))?;
        judge_trailers(&trailers)?;
        judge_message(&seen)
    })
    .await
}

fn request(scheme: &str, host: &str, timeout_ms: u32) -> Result<Request<()>, hyper::http::Error> {
    let uri = hyper::Uri::builder()
        .scheme(scheme)
        .authority(host)
        .path_and_query("/grpc.health.v1.Health/Check")
        .build()?;
    let mut request = Request::builder().method("POST").uri(uri).body(())?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    // At most eight digits, in milliseconds.
    headers.insert("grpc-timeout", format!("{}m", timeout_ms.min(99_999_999)).parse()?);
    headers.insert(USER_AGENT, HeaderValue::from_static("windrose"));
    Ok(request)
}

fn judge_head(status: u16, headers: &HeaderMap) -> Result<(), Failure> {
    if status != 200 {
        return Err(Failure::new(FailureKind::Status, format!("HTTP status {status}")));
    }
    let media = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !media.starts_with(b"application/grpc") {
        return Err(Failure::new(FailureKind::Protocol, "the answer is not gRPC"));
    }
    // An error may come without a message, and then all in the first headers.
    if headers.contains_key("grpc-status") { judge_trailers(headers) } else { Ok(()) }
}

fn judge_trailers(trailers: &HeaderMap) -> Result<(), Failure> {
    let value = |name| trailers.get(name).map(HeaderValue::as_bytes);
    match value("grpc-status") {
        Some(code) => judge_status(code, value("grpc-message")),
        None => Err(Failure::new(FailureKind::Protocol, "no grpc-status")),
    }
}
