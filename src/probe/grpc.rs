//! gRPC checks: `grpc.health.v1.Health/Check`, a message of one field each way.
//!
//! Passes when the service is SERVING. Over TLS the server must agree to HTTP/2;
//! without it HTTP/2 is spoken at once.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use tokio::io::{AsyncRead, AsyncWrite};

use super::bounded::Bounded;
use super::connect::connect;
use super::http::{HEAD_BYTES_MAX, host_of, name_of};
use super::prepared::Tools;
use super::tls::{Offer, handshake, no_http2};
use super::{Phase, Progress, http2};
use crate::health::check::GrpcProbe;
use crate::health::{Failure, FailureKind};

/// Most bytes of the answer's message; it has two.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Asks the server at `address`.
pub(super) async fn check(
    probe: &GrpcProbe,
    address: IpAddr,
    tools: &Tools,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let host = probe.host.clone().unwrap_or_else(|| host_of(address));
    let stream = connect(SocketAddr::new(address, probe.port), &probe.route, true).await?;
    let Some(tls) = &probe.tls else {
        return exchange(probe, "http", &host, stream, progress).await;
    };
    let name = name_of(tls, &host);
    let stream = handshake(tls, Offer::Http2, name, stream, tools, progress).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(no_http2());
    }
    exchange(probe, "https", &host, stream, progress).await
}

async fn exchange<S>(
    probe: &GrpcProbe,
    scheme: &str,
    host: &str,
    stream: S,
    progress: &mut Progress,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(scheme, host)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("request: {error}")))?;
    progress.phase = Phase::Response;
    let stream = Bounded::new(stream, 2 * HEAD_BYTES_MAX);
    let (sender, connection) = http2::start(stream, MESSAGE_BYTES_MAX as u32).await?;
    http2::drive(connection, async {
        let failed = |error: h2::Error| http2::failure(&error);
        let mut sender = sender.ready().await.map_err(failed)?;
        let (response, mut body) = sender.send_request(request, false).map_err(failed)?;
        body.send_data(message(&probe.service), true).map_err(failed)?;
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
        judge_status(&trailers)?;
        judge_message(&seen)
    })
    .await
}

fn request(scheme: &str, host: &str) -> Result<Request<()>, hyper::http::Error> {
    let uri = hyper::Uri::builder()
        .scheme(scheme)
        .authority(host)
        .path_and_query("/grpc.health.v1.Health/Check")
        .build()?;
    let mut request = Request::builder().method("POST").uri(uri).body(())?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, HeaderValue::from_static("windrose"));
    Ok(request)
}

/// `HealthCheckRequest { service }` behind the prefix of a gRPC message: not
/// compressed, so long.
fn message(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a); // field 1, of bytes
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
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
    if headers.contains_key("grpc-status") { judge_status(headers) } else { Ok(()) }
}

/// Words of the codes that health checks meet.
const CODES: [(&str, &str); 9] = [
    ("1", "CANCELLED"),
    ("2", "UNKNOWN"),
    ("4", "DEADLINE_EXCEEDED"),
    ("5", "NOT_FOUND: the server does not know the service"),
    ("7", "PERMISSION_DENIED"),
    ("12", "UNIMPLEMENTED: the server has no health service"),
    ("13", "INTERNAL"),
    ("14", "UNAVAILABLE"),
    ("16", "UNAUTHENTICATED"),
];

fn judge_status(trailers: &HeaderMap) -> Result<(), Failure> {
    let Some(status) = trailers.get("grpc-status") else {
        return Err(Failure::new(FailureKind::Protocol, "no grpc-status"));
    };
    let status = String::from_utf8_lossy(status.as_bytes());
    if status == "0" {
        return Ok(());
    }
    let word = CODES.iter().find(|(code, _)| *code == status).map(|(_, word)| format!(" ({word})"));
    let detail = format!("grpc-status {status}{}", word.unwrap_or_default());
    Err(Failure::new(FailureKind::Status, detail))
}

/// `HealthCheckResponse { status }`.
fn judge_message(framed: &[u8]) -> Result<(), Failure> {
    let broken = || Failure::new(FailureKind::Protocol, "the answer's message is broken");
    let (prefix, message) = framed.split_at_checked(5).ok_or_else(broken)?;
    let length = prefix[1..].iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    if prefix[0] != 0 || length != message.len() {
        return Err(broken());
    }
    let status = match status(message).ok_or_else(broken)? {
        1 => return Ok(()),
        0 => "UNKNOWN".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => other.to_string(),
    };
    Err(Failure::new(FailureKind::Status, format!("the service is {status}")))
}

/// Field 1 of a message, 0 where it does not say so. Other fields are skipped.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(message: &[u8]) -> String {
        judge_message(message).map_or_else(|failure| failure.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn messages_are_those_of_the_protocol() {
        assert_eq!(&message("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&message("cart")[..], b"\0\0\0\0\x06\x0a\x04cart");
        let long = message(&"s".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
        assert_eq!(judged(b"\0\0\0\0\x02\x08\x01"), "ok");
        // A later field and a later version of the same one.
        assert_eq!(judged(b"\0\0\0\0\x07\x12\x01x\x08\x02\x08\x01"), "ok");
        assert_eq!(judged(b"\0\0\0\0\x02\x08\x02"), "status: the service is NOT_SERVING");
        assert_eq!(judged(b"\0\0\0\0\0"), "status: the service is UNKNOWN");
        for broken in
            [&b""[..], b"\0\0\0\0\x03\x08\x01", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x01\x08"]
        {
            assert_eq!(judged(broken), "protocol: the answer's message is broken");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = judge_message(&bytes);
            let _ = status(&bytes);
        }
    }
}
