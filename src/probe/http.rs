//! HTTP checks: connect, ask, judge the response, follow redirects.
//!
//! ```text
//!   place ─► connect, PROXY header ─► TLS ─► http1 | http2 ─► judge
//!     ▲                                                        │
//!     └────────────── redirect, at the same address ◄──────────┘
//! ```
//!
//! Interim 1xx responses are skipped. Without `expect_body` the status line and
//! headers decide; with it the text must come within `max_body` bytes.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{CONTENT_LENGTH, HeaderMap, LOCATION, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{Search, Wanted};
use super::bounded::Bounded;
use super::connect::connect;
use super::prepared::Tools;
use super::redirect::Place;
use super::tls::{Offer, REDIRECTED, TLS_BYTES_MAX, handshake, no_http2};
use super::{Phase, Progress, http1, http2};
use crate::health::check::{HttpProbe, HttpVersion, TlsProbe};
use crate::health::{Failure, FailureKind};

/// Most bytes of status line and headers of one response.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of all else that is not body: interim responses, frames.
const REST_BYTES_MAX: usize = 64 * 1024;

/// Makes the check at `address`, over as many connections as it redirects.
pub(super) async fn check(
    probe: &HttpProbe,
    address: IpAddr,
    tools: &Tools,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let wanted = match &probe.expect_body {
        Some(expected) => Some(tools.prepared.wanted(expected)?),
        None => None,
    };
    let place = first_place(probe, address);
    let host = place.host.clone();
    let mut exchange = Exchange { probe, host, place, wanted, get: false };
    let mut visited = Vec::new();
    loop {
        // A session is the target's own server's alone.
        let tools = if visited.is_empty() { tools } else { &tools.without_session() };
        let Next::Redirect { status, location } = exchange.over(address, tools, progress).await?
        else {
            return Ok(());
        };
        let failed = |detail: String| Err(Failure::new(FailureKind::Status, detail));
        let next = match exchange.place.follow(&location) {
            Ok(next) => next,
            Err(words) => return failed(format!("status {status} with {words}")),
        };
        if exchange.place.tls && !next.tls {
            return failed("redirect from https to http".to_owned());
        }
        visited.push(std::mem::replace(&mut exchange.place, next));
        if visited.contains(&exchange.place) {
            return failed("redirect loop".to_owned());
        }
        if visited.len() > usize::from(probe.redirects_max) {
            return failed(format!("more than {} redirects", probe.redirects_max));
        }
        // RFC 9110 §15.4: what was not safe to repeat becomes GET.
        exchange.get |= status == 303 || status < 303 && probe.method == "POST";
        progress.phase = Phase::Connect;
    }
}

fn first_place(probe: &HttpProbe, address: IpAddr) -> Place {
    let host = probe.host.clone().unwrap_or_else(|| host_of(address));
    Place { tls: probe.tls.is_some(), host, port: probe.port, path: probe.path.clone() }
}

/// An address as `Host` has it.
pub(super) fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

//------------ Exchange -------------------------------------------------------

/// One request and what is wanted of its response.
pub(super) struct Exchange<'a> {
    probe: &'a HttpProbe,
    /// `Host` of the check itself.
    host: String,
    pub(super) place: Place,
    wanted: Option<&'a Wanted>,
    /// A redirect turned the method into GET.
    get: bool,
}

/// What a response that did not fail says.
pub(super) enum Next {
    Passed,
    Redirect { status: u16, location: String },
}

/// What the head of a response says.
pub(super) enum Head<'a> {
    Done(Next),
    /// The body decides.
    Body(Search<'a>),
}

impl<'a> Exchange<'a> {
    /// Connects and asks.
    async fn over(
        &self,
        address: IpAddr,
        tools: &Tools,
        progress: &mut Progress,
    ) -> Result<Next, Failure> {
        let (probe, place) = (self.probe, &self.place);
        let to = SocketAddr::new(address, place.port);
        let body_bytes = self.wanted.map_or(0, |_| 2 * probe.max_body as usize);
        let tls_bytes = if place.tls { TLS_BYTES_MAX } else { 0 };
        let most = HEAD_BYTES_MAX + REST_BYTES_MAX + body_bytes + tls_bytes;
        let stream = Bounded::new(connect(to, &probe.route, true).await?, most);
        if !place.tls {
            return self.plain(probe.version == HttpVersion::Http2, stream, progress).await;
        }
        let tls = probe.tls.as_ref().unwrap_or(&REDIRECTED);
        let name =
            if self.elsewhere() { without_port(&place.host) } else { name_of(tls, &place.host) };
        let offer = Offer::from(probe.version);
        let stream = handshake(tls, offer, name, stream, tools, progress).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if probe.version == HttpVersion::Http2 && !http2 {
            return Err(no_http2());
        }
        self.plain(http2, stream, progress).await
    }

    async fn plain<S>(
        &self,
        http2: bool,
        stream: S,
        progress: &mut Progress,
    ) -> Result<Next, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        progress.phase = Phase::Response;
        match http2 {
            true => http2::exchange(self, stream, progress).await,
            false => http1::exchange(self, stream, progress).await,
        }
    }

    /// The method asked with.
    pub(super) fn method(&self) -> &str {
        if self.get && self.probe.method != "HEAD" { "GET" } else { &self.probe.method }
    }

    /// The headers of the check. They may hold secrets, which are for its own host and
    /// port alone.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.probe.headers.iter().map(|(name, value)| (&**name, &**value));
        let (name, own) = (without_port(&self.place.host), without_port(&self.host));
        let at_home = name.eq_ignore_ascii_case(own) && self.place.port == self.probe.port;
        let host_too = !self.elsewhere();
        headers.filter(move |(name, _)| {
            let own_host = host_too || !name.eq_ignore_ascii_case("host");
            is_harmless(name) || at_home && own_host
        })
    }

    /// A redirect leads to another name than the check's: its own `Host` and SNI are
    /// not meant for that.
    fn elsewhere(&self) -> bool {
        self.place.host != self.host
    }

    /// Most bytes of the body that are of interest.
    pub(super) fn body_bytes_max(&self) -> u32 {
        self.wanted.map_or(0, |_| self.probe.max_body)
    }

    /// Judges status and headers.
    pub(super) fn judge(&self, status: u16, headers: &HeaderMap) -> Result<Head<'a>, Failure> {
        if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
            // RFC 9112 §6.3: two lengths are how responses are smuggled.
            let detail = "both Content-Length and Transfer-Encoding";
            return Err(Failure::new(FailureKind::Protocol, detail));
        }
        let redirects = self.probe.redirects_max > 0 && matches!(status, 301..=303 | 307 | 308);
        let expected = expects(&self.probe.expect_status, status);
        if redirects && expected.is_err() {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.unwrap_or_default().to_owned();
            return Ok(Head::Done(Next::Redirect { status, location }));
        }
        expected?;
        Ok(match self.wanted {
            Some(wanted) => Head::Body(Search::new(wanted, self.probe.max_body as usize)),
            None => Head::Done(Next::Passed),
        })
    }
}

fn expects(ranges: &[(u16, u16)], status: u16) -> Result<(), Failure> {
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

/// Whether a header says what is wanted and nothing of who asks.
fn is_harmless(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "accept" | "user-agent") || name.starts_with("accept-")
}

/// SNI of `host`: its own, or the check's.
pub(super) fn name_of<'a>(tls: &'a TlsProbe, host: &'a str) -> &'a str {
    tls.sni.as_deref().unwrap_or_else(|| without_port(host))
}

/// "shop.example.com:8443" and "[2001:db8::1]:8443" without their port.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        // More than one colon: an IPv6 address without brackets.
        Some((name, port)) if !name.contains(':') && port.parse::<u16>().is_ok() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_brackets_are_no_part_of_a_name() {
        for (host, name) in [
            ("shop.example.com", "shop.example.com"),
            ("shop.example.com:8443", "shop.example.com"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:db8::1]:8443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[", ""),
            ("", ""),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
