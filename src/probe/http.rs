//! One HTTP/1.1 exchange: what is sent, and when the answer is good.
//!
//! Interim 1xx responses are skipped. Without `expect_body` the status line and
//! headers decide; with it the text must come within `max_body` bytes, however
//! the body is delimited: by length, in chunks or by the close of the connection.
//!
//! It must not know how the stream under it was made.

use std::error::Error;
use std::io::{self, ErrorKind::UnexpectedEof};
use std::pin::pin;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connect::stream_failure;
use super::{Phase, Progress};
use crate::health::check::{HttpProbe, TextMatch};
use crate::health::{Failure, FailureKind};

/// Most bytes of status line and headers.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Sends the request over `stream` and judges the response.
pub(super) async fn exchange<S>(
    probe: &HttpProbe,
    host: &str,
    stream: S,
    progress: &mut Progress,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = request(probe, host)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("request: {error}")))?;
    progress.phase = Phase::Response;
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| failure(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| failure(&error))?;
        judge_status(probe, response.status().as_u16())?;
        match &probe.expect_body {
            Some(TextMatch::Text(text)) => {
                progress.phase = Phase::Body;
                judge_body(probe.max_body as usize, text.as_bytes(), response).await
            }
            // A regular expression is refused where the config is read.
            Some(TextMatch::Regex(_)) | None => Ok(()),
        }
    };
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        result = &mut exchange => return result,
        // Its error, if any, reaches the exchange too; what it read already is kept.
        _ = &mut connection => {}
    }
    exchange.await
}

fn request(probe: &HttpProbe, host: &str) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder()
        .method(probe.method.as_bytes())
        .uri(probe.path.as_str())
        .body(Empty::new())?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(host)?);
    headers.insert(USER_AGENT, HeaderValue::from_static("windrose"));
    for (name, value) in &probe.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    // Said by the check itself, ours would only be a second one.
    for (name, _) in &probe.headers {
        if name.eq_ignore_ascii_case("user-agent") || name.eq_ignore_ascii_case("host") {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            let last = headers.get_all(&name).iter().next_back().cloned();
            if let Some(last) = last {
                headers.insert(name, last);
            }
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

fn judge_status(probe: &HttpProbe, status: u16) -> Result<(), Failure> {
    let ranges = &probe.expect_status;
    if ranges.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
        return Ok(());
    }
    let expected: Vec<String> = ranges
        .iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    let detail = format!("status {status}, expected {}", expected.join(", "));
    Err(Failure::new(FailureKind::Status, detail))
}

/// Reads until `text` is found, the body ends or `most` bytes have come.
async fn judge_body(most: usize, text: &[u8], response: Response<Incoming>) -> Result<(), Failure> {
    let headers = response.headers();
    let ends_at_close =
        !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING);
    let mut body = response.into_body();
    let mut seen: Vec<u8> = Vec::new();
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame,
            // TLS closed without close_notify: whole as far as HTTP can tell.
            Some(Err(error)) if ends_at_close && closed_without_notice(&error) => break,
            Some(Err(error)) => return Err(failure(&error)),
        };
        let Some(data) = frame.data_ref() else { continue };
        // A match may begin in what came before.
        let from = seen.len().saturating_sub(text.len().saturating_sub(1));
        seen.extend_from_slice(&data[..data.len().min(most - seen.len())]);
        if contains(&seen[from..], text) {
            return Ok(());
        }
        if seen.len() == most {
            break;
        }
    }
    if text.is_empty() {
        return Ok(());
    }
    let detail = format!("expected text not in the body's {} bytes", seen.len());
    Err(Failure::new(FailureKind::Body, detail))
}

pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    !text.is_empty() && bytes.windows(text.len()).any(|window| window == text)
}

fn closed_without_notice(error: &hyper::Error) -> bool {
    io_cause(error).is_some_and(|cause| cause.kind() == UnexpectedEof)
}

fn failure(error: &hyper::Error) -> Failure {
    if let Some(cause) = io_cause(error).filter(|cause| cause.kind() != UnexpectedEof) {
        return stream_failure(cause, "response");
    }
    let detail = if error.is_parse_too_large() {
        "response headers too large".to_owned()
    } else if error.is_parse() {
        format!("not an HTTP/1.1 response: {error}")
    } else if error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || io_cause(error).is_some()
    {
        "connection closed before a whole response".to_owned()
    } else {
        with_causes(error)
    };
    Failure::new(FailureKind::Protocol, detail)
}

fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = inner.source();
    }
    None
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
