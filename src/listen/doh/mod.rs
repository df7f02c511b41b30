//! DNS over HTTPS as a function (RFC 8484): the head of a request in, a query or a refusal
//! out; a reply in, a response out. HTTP/1.1, HTTP/2 and HTTP/3 share it.
//!
//! - `Accept` is not looked at: there is one type to reply with, and RFC 9110 12.5.1 lets a
//!   server send it whatever is asked for. A 406 would hurt whoever forgets the header, and
//!   help nobody.
//! - Nor is the host: whoever has come here has been told that this is the server, under
//!   whatever name the certificate has.
//! - A reply may be cached for as long as its records may. It is not `private`, although
//!   answers depend on the client: over TLS a cache that sits between is one that the
//!   client's side or ours has put there, it is this server's client, and it is answered
//!   for where it is, as a resolver is.
//!
//! Must not know sockets, time, or what a DNS message holds beyond its TTLs.

mod parameter;

use bytes::Bytes;
use hyper::http::header::{self, HeaderMap, HeaderValue};
use hyper::http::{Method, Response, StatusCode, Uri};

pub use self::parameter::{ParameterError, dns_parameter};
use super::session::Unusable;
use super::wire::fresh_for_s;

/// Of both a query and a reply.
pub(super) const MEDIA_TYPE: &str = "application/dns-message";

/// The longest message, in bytes, as over any stream.
pub(super) const MESSAGE_MAX: usize = 65_535;

/// Most bytes of a request's head. A query of more than about 12,000 bytes is to be posted.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header fields of a request.
pub(super) const FIELDS_MAX: usize = 64;

/// For how many seconds a client may go by `Alt-Svc`.
const ALT_SVC_S: u32 = 86_400;

/// What is the same for every request to a listener.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The path of the resource.
    pub(super) path: String,
    /// Where the same is spoken over HTTP/3 (RFC 7838).
    pub(super) alt_svc: Option<HeaderValue>,
}

impl Site {
    /// At this path, with HTTP/3 at this port where it is spoken.
    pub(super) fn new(path: String, http3_port: Option<u16>) -> Site {
        let alt_svc = http3_port.and_then(|port| {
            let text = format!("h3=\":{port}\"; ma={ALT_SVC_S}");
            HeaderValue::try_from(text).ok()
        });
        Site { path, alt_svc }
    }
}

/// What the head of a request asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// The answer to this query.
    Query(Vec<u8>),
    /// The answer to the query that is the body.
    Body,
}

/// Why there is no DNS reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Nothing is at this path.
    NotFound,
    /// The method is none of GET, HEAD and POST.
    Method,
    /// The body is of another type.
    Type,
    /// The body is longer than any message.
    TooLong,
    /// The parameter is of no use.
    Parameter(ParameterError),
    /// What was sent is answered with silence over UDP: it is no query.
    NoQuery,
    /// The body did not come in time.
    Slow,
    /// The body ended before its end.
    Broken,
}

/// Reads a request's head.
///
/// # Errors
/// It asks for nothing that is here.
pub(super) fn read(
    site: &Site,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Asked, Refusal> {
    if uri.path() != site.path {
        return Err(Refusal::NotFound);
    }
    match *method {
        Method::GET | Method::HEAD => {
            let query = dns_parameter(uri.query().unwrap_or_default());
            query.map(Asked::Query).map_err(Refusal::Parameter)
        }
        Method::POST if !is_dns_message(headers) => Err(Refusal::Type),
        Method::POST if announced_length(headers) > MESSAGE_MAX as u64 => Err(Refusal::TooLong),
        Method::POST => Ok(Asked::Body),
        _ => Err(Refusal::Method),
    }
}

/// Whether the one content type is that of a DNS message, which has no parameters (RFC 8484
/// 6); those that somebody adds change nothing.
fn is_dns_message(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return false };
    let essence = one.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE.as_bytes())
}

/// As `Content-Length` has it; 0: it does not say.
fn announced_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // What is no number is the protocol's to refuse.
    length.and_then(|length| length.parse().ok()).unwrap_or_default()
}

/// The response to a request whose query is here, or that has none.
pub(super) fn answer(
    site: &Site,
    query: Result<Vec<u8>, Refusal>,
    answer: impl FnOnce(&[u8]) -> Bytes,
) -> Response<Bytes> {
    let reply = query.map(|query| answer(&query));
    match reply {
        Ok(reply) if reply.is_empty() => refused(site, Refusal::NoQuery),
        Ok(reply) => response(site, reply),
        Err(refusal) => refused(site, refusal),
    }
}

/// The response that carries a DNS reply, whatever that says.
fn response(site: &Site, reply: Bytes) -> Response<Bytes> {
    let mut response = finished(site, StatusCode::OK, MEDIA_TYPE, reply);
    // What has no TTL may not be held to be fresh by a guess.
    let fresh_s = fresh_for_s(response.body()).unwrap_or(0);
    if let Ok(value) = HeaderValue::try_from(format!("max-age={fresh_s}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// The response that says why there is none.
fn refused(site: &Site, refusal: Refusal) -> Response<Bytes> {
    let (status, text) = refusal.says();
    let text = format!("{text}\n").into();
    let mut response = finished(site, status, "text/plain; charset=utf-8", text);
    if refusal == Refusal::Method {
        let allowed = HeaderValue::from_static("GET, HEAD, POST");
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn finished(site: &Site, status: StatusCode, kind: &'static str, body: Bytes) -> Response<Bytes> {
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(alt_svc) = &site.alt_svc {
        headers.insert(header::ALT_SVC, alt_svc.clone());
    }
    response
}

impl Refusal {
    /// Status and a line of text.
    fn says(self) -> (StatusCode, &'static str) {
        match self {
            Refusal::NotFound => (StatusCode::NOT_FOUND, "nothing here"),
            Refusal::Method => (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD or POST a DNS message"),
            Refusal::Type => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be of type application/dns-message",
            ),
            Refusal::TooLong => {
                (StatusCode::PAYLOAD_TOO_LARGE, "a DNS message has at most 65535 bytes")
            }
            Refusal::Parameter(error) => (StatusCode::BAD_REQUEST, error.as_str()),
            Refusal::NoQuery => (StatusCode::BAD_REQUEST, "this is not a DNS query"),
            Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            Refusal::Broken => (StatusCode::BAD_REQUEST, "the body is not whole"),
        }
    }
}

impl From<Unusable> for Refusal {
    fn from(unusable: Unusable) -> Refusal {
        match unusable {
            Unusable::TooLong => Refusal::TooLong,
            Unusable::Slow => Refusal::Slow,
            Unusable::Gone => Refusal::Broken,
        }
    }
}

#[cfg(test)]
mod tests;
