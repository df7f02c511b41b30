//! Who may ask: token, Host, Origin.
//!
//! `/healthz`, `/readyz` and `/metrics` are open to who can connect; `/api/`
//! wants the token when there is one. Without a token (loopback, unix socket)
//! a browser on this host is the way in for strangers, so:
//! - Host must be an address or `localhost`. A name that an attacker points at
//!   127.0.0.1 (DNS rebinding) shows here as itself.
//! - A request with an Origin must come from our own pages (cross-site requests).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::problem::Problem;
use crate::config::model::AdminListen;
use crate::log::Sparse;

/// Fewest bytes of a token: below, guessing it is too easy.
const TOKEN_LENGTH_MIN: usize = 16;
/// Most bytes read from the token's file.
const TOKEN_FILE_LENGTH_MAX: u64 = 4_096;

static TOKEN_UNUSABLE: Sparse = Sparse::every(Duration::from_secs(10));

/// The rules of one listener.
#[derive(Debug)]
pub(super) struct Guard {
    token_file: Option<PathBuf>,
    /// Reached over TCP: browsers can get here.
    tcp: bool,
}

impl Guard {
    pub(super) fn new(listen: &AdminListen, token_file: Option<&Path>) -> Guard {
        Guard {
            token_file: token_file.map(Path::to_owned),
            tcp: matches!(listen, AdminListen::Tcp(_)),
        }
    }

    /// Checks what needs no file: Host and Origin.
    pub(super) fn check_source(&self, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let open = matches!(path, "/healthz" | "/readyz");
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if self.tcp && self.token_file.is_none() && !open && !host.is_none_or(is_local_host) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-host",
                "The Host header names another host",
                "Without a token, this listener is for this host only: ask it by address or as \
                 localhost, or configure [admin] token_file.",
            ));
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("");
        let origin_host =
            origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if origin_host.is_some() && origin_host == host {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "The request comes from another site's page",
            "The Origin header is not this listener's own.",
        ))
    }

    /// Whether `path` wants the token.
    pub(super) fn wants_token(&self, path: &str) -> bool {
        self.token_file.is_some() && path.starts_with("/api/")
    }

    /// Compares the request's token with the file's, which is read anew each
    /// time: a changed token counts at once. Reads a file.
    pub(super) fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(path) = &self.token_file else { return Ok(()) };
        let token = read_token(path).map_err(|error| {
            if let Some(left_out) = TOKEN_UNUSABLE.allow(Instant::now()) {
                let file = path.display();
                tracing::error!(%file, %error, left_out, "admin token unusable: the API is closed");
            }
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "token-unusable",
                "The server cannot check tokens",
                "Its token file is unusable; its log says why.",
            )
        })?;
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let given = given.and_then(bearer).unwrap_or(b"");
        if is_same(given, token.as_bytes()) {
            return Ok(());
        }
        let detail = match headers.contains_key(header::AUTHORIZATION) {
            true => "The token is not the one in [admin] token_file.",
            false => "Send the token in [admin] token_file: Authorization: Bearer …",
        };
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "This needs the admin token",
            detail,
        ))
    }
}

/// The token in the file at `path`, white space around it left out.
pub(super) fn read_token(path: &Path) -> Result<String, TokenError> {
    use std::io::Read;

    let mut text = String::new();
    std::fs::File::open(path)?.take(TOKEN_FILE_LENGTH_MAX).read_to_string(&mut text)?;
    let token = text.trim();
    if token.len() < TOKEN_LENGTH_MIN {
        return Err(TokenError::Short(token.len()));
    }
    if token.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(TokenError::Characters);
    }
    Ok(token.to_owned())
}

/// Why a token file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Too easy to guess.
    #[error("holds {0} bytes; a token has at least {TOKEN_LENGTH_MIN}")]
    Short(usize),
    /// A header could not carry it.
    #[error("must hold one line of visible ASCII characters")]
    Characters,
}

/// The credentials of `Bearer …`; the scheme in any case (RFC 9110 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

/// Compares in a time that depends on the lengths alone.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(given, token).is_ok()
}

/// Whether a Host header is an address or a name that no public DNS gives.
fn is_local_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest
            .split_once(']')
            .is_some_and(|(ip, _)| ip.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.parse::<std::net::Ipv4Addr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_local_hosts() {
        for host in ["127.0.0.1", "127.0.0.1:8053", "[::1]:8053", "LocalHost:1", "a.localhost"] {
            assert!(is_local_host(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8053", "127.0.0.1.evil.example", "[x]", ""] {
            assert!(!is_local_host(host), "{host}");
        }
    }

    #[test]
    fn tokens_compare_whole() {
        assert!(is_same(b"abc", b"abc"));
        for given in [&b"abd"[..], b"ab", b"abcd", b""] {
            assert!(!is_same(given, b"abc"), "{given:?}");
        }
    }

    #[test]
    fn a_weak_or_odd_token_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(matches!(read_token(&path), Err(TokenError::Read(_))));
        std::fs::write(&path, "short\n").unwrap();
        assert!(matches!(read_token(&path), Err(TokenError::Short(5))));
        std::fs::write(&path, "0123456789 0123456789\n").unwrap();
        assert!(matches!(read_token(&path), Err(TokenError::Characters)));
        std::fs::write(&path, " 0123456789abcdef\n").unwrap();
        assert_eq!(read_token(&path).unwrap(), "0123456789abcdef");
    }
}
