//! One HTTP/1.1 request and its response.
//!
//! A body may be delimited by length, by chunks or by the close of the connection.
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

use super::body::Search;
use super::connect::stream_failure;
use super::http::{Exchange, HEAD_BYTES_MAX, Head, Next};
use super::{Phase, Progress};
use crate::health::{Failure, FailureKind};

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
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| failure(&error))?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|error| failure(&error))?;
        match exchange.judge(response.status().as_u16(), response.headers())? {
            Head::Done(next) => Ok(next),
            Head::Body(search) => {
                progress.phase = Phase::Body;
                judge_body(search, response).await.map(|()| Next::Passed)
            }
        }
    };
    let (mut asked, mut connection) = (pin!(asked), pin!(connection));
    tokio::select! {
        result = &mut asked => return result,
        // Its error, if any, reaches the asker too; what it read already is kept.
        _ = &mut connection => {}
    }
    asked.await
}

fn request(exchange: &Exchange<'_>) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let place = &exchange.place;
    let mut request = Request::builder()
        .method(exchange.method().as_bytes())
        .uri(place.path.as_str())
        .body(Empty::new())?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&place.host)?);
    headers.insert(USER_AGENT, HeaderValue::from_static("windrose"));
    for (name, value) in exchange.headers() {
        headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    // Said by the check itself, ours would only be a second one.
    for name in [HOST, USER_AGENT] {
        if let Some(last) = headers.get_all(&name).iter().next_back().cloned() {
            headers.insert(name, last);
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

/// Reads until the search ends, the body ends or enough has come.
async fn judge_body(mut search: Search<'_>, response: Response<Incoming>) -> Result<(), Failure> {
    let headers = response.headers();
    let ends_at_close =
        !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING);
    let mut body = response.into_body();
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame,
            // TLS closed without close_notify: whole as far as HTTP can tell.
            Some(Err(error)) if ends_at_close && closed_without_notice(&error) => break,
            Some(Err(error)) => return Err(failure(&error)),
        };
        if frame.data_ref().is_some_and(|data| search.push(data)) {
            break;
        }
    }
    search.end()
}

fn closed_without_notice(error: &hyper::Error) -> bool {
    io_cause(error).is_some_and(|cause| cause.kind() == UnexpectedEof)
}

fn failure(error: &hyper::Error) -> Failure {
    if let Some(cause) = io_cause(error).filter(|cause| cause.kind() != UnexpectedEof) {
        // Of the connection or, without a number, of a decoder: about the chunks.
        let of_chunks =
            matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
        let what = if of_chunks { "bad chunks" } else { "response" };
        return stream_failure(cause, what);
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
