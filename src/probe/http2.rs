//! One HTTP/2 request and its response, and what the peer may push meanwhile:
//! windows no larger than the body that is of interest, headers within
//! [`HEAD_BYTES_MAX`], no pushes.
//!
//! The connection is driven by the probe itself: when that ends, nothing of it
//! stays behind.

use std::future::Future;
use std::io::ErrorKind::{BrokenPipe, UnexpectedEof};
use std::pin::pin;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use hyper::Request;
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connect::stream_failure;
use super::http::{Exchange, HEAD_BYTES_MAX, Head, Next};
use super::{Phase, Progress};
use crate::health::{Failure, FailureKind};

/// Smallest window offered: not all servers can do with none.
const WINDOW_BYTES_MIN: u32 = 4 * 1024;
/// Headers of HTTP/1.1's connections, which HTTP/2 forbids (RFC 9113 §8.2.2).
const OF_CONNECTIONS: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Sends the request over `stream` and judges the response.
pub(super) async fn exchange<S>(
    exchange: &Exchange<'_>,
    stream: S,
    progress: &mut Progress,
) -> Result<Next, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = request(exchange)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("request: {error}")))?;
    let (sender, connection) = start(stream, exchange.body_bytes_max()).await?;
    drive(connection, async {
        let mut sender = sender.ready().await.map_err(|error| failure(&error))?;
        let (response, _) = sender.send_request(request, true).map_err(|error| failure(&error))?;
        let response = response.await.map_err(|error| failure(&error))?;
        let mut search = match exchange.judge(response.status().as_u16(), response.headers())? {
            Head::Done(next) => return Ok(next),
            Head::Body(search) => search,
        };
        progress.phase = Phase::Body;
        let mut body = response.into_body();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(|error| failure(&error))?;
            // Only a stream that is gone has no window.
            let _ = body.flow_control().release_capacity(piece.len());
            if search.push(&piece) {
                break;
            }
        }
        search.end().map(|()| Next::Passed)
    })
    .await
}

/// Starts HTTP/2 over `stream`; bodies come in windows of `body_bytes`.
pub(super) async fn start<S>(
    stream: S,
    body_bytes: u32,
) -> Result<(SendRequest<Bytes>, Connection<S, Bytes>), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    h2::client::Builder::new()
        .enable_push(false)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_window_size(body_bytes.clamp(WINDOW_BYTES_MIN, i32::MAX as u32))
        .handshake(stream)
        .await
        .map_err(|error| failure(&error))
}

/// Moves `connection` on until `asked` ends.
pub(super) async fn drive<S, T>(
    connection: Connection<S, Bytes>,
    asked: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut asked, mut connection) = (pin!(asked), pin!(connection));
    let (result, ended) = tokio::select! {
        biased;
        result = &mut asked => (result, None),
        ended = &mut connection => (asked.await, Some(ended)),
    };
    let Err(seen) = result else { return result };
    if seen.detail != CLOSED {
        return Err(seen);
    }
    // The connection knows better why it ended.
    Err(match ended {
        Some(Err(error)) => failure(&error),
        _ => seen,
    })
}

fn request(exchange: &Exchange<'_>) -> Result<Request<()>, hyper::http::Error> {
    let place = &exchange.place;
    let of_check = exchange.headers().filter(|(name, _)| name.eq_ignore_ascii_case("host")).last();
    let authority = of_check.map_or(place.host.as_str(), |(_, host)| host);
    let scheme = if place.tls { "https" } else { "http" };
    let uri = hyper::Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(place.path.as_str())
        .build()?;
    let mut request = Request::builder().method(exchange.method().as_bytes()).uri(uri).body(())?;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("windrose"));
    for (name, value) in exchange.headers() {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        if name == USER_AGENT {
            headers.insert(name, HeaderValue::from_str(value)?);
        } else if name != HOST && !OF_CONNECTIONS.contains(&name.as_str()) {
            headers.append(name, HeaderValue::from_str(value)?);
        }
    }
    Ok(request)
}

const CLOSED: &str = "connection closed before a whole response";

/// What went wrong, and on whose side.
pub(super) fn failure(error: &h2::Error) -> Failure {
    use FailureKind::{Protocol, Reset};
    if let Some(io) = error.get_io() {
        let closed = matches!(io.kind(), UnexpectedEof | BrokenPipe);
        return match closed && io.raw_os_error().is_none() {
            true => Failure::new(Protocol, CLOSED),
            false => stream_failure(io, "response"),
        };
    }
    let reason = error.reason().map_or_else(String::new, |reason| format!("{reason:?}"));
    match (error.is_remote(), error.is_go_away()) {
        (true, true) => {
            Failure::new(Protocol, format!("the server ended the connection: GOAWAY ({reason})"))
        }
        (true, false) => {
            Failure::new(Reset, format!("the server reset the stream: RST_STREAM ({reason})"))
        }
        (false, _) if error.reason().is_some() => {
            Failure::new(Protocol, format!("not HTTP/2 as it must be ({reason})"))
        }
        (false, _) => Failure::new(Protocol, format!("HTTP/2: {error}")),
    }
}
