//! What a connection to a server needs: the token, whom to trust; and what TLS says when
//! it does not come about, in words that tell what to do.

use std::io;
use std::path::{Components, Path};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Url};
use rustls::CertificateError;

use super::{CA_FILE_VARIABLE, Client, ClientError};

impl Client {
    /// Where `path` of its API is.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        // Behind a proxy the API may stand below a path of its own.
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// Whether both speak to one server, as far as their addresses tell.
    pub(in crate::cli) fn is_same_server(&self, other: &Client) -> bool {
        fn socket(client: &Client) -> Option<Components<'_>> {
            client.server.strip_prefix("unix:").map(|path| Path::new(path).components())
        }
        fn parts(base: &Url) -> (&str, Option<&str>, Option<u16>, &str) {
            // A port that goes without saying is not in `port`.
            (base.scheme(), base.host_str(), base.port(), base.path().trim_end_matches('/'))
        }
        match (socket(self), socket(other)) {
            (None, None) => parts(&self.base) == parts(&other.base),
            (a, b) => a == b,
        }
    }
}

/// The authorities in a PEM file.
pub(super) fn authorities(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let unusable = |reason: String| ClientError::Authorities { file: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(chain(&error)))?;
    let none = found.is_empty();
    if none { Err(unusable("no certificate in it".to_owned())) } else { Ok(found) }
}

/// What TLS has against the server; none: that was not it.
pub(super) fn tls_trouble(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = tls_error(error) {
            return Some(words(found));
        }
        next = error.source();
    }
    None
}

/// What came was no HTTP.
pub(super) fn not_http(error: &reqwest::Error, base: &Url) -> String {
    let hint = match base.scheme() {
        "http" => " (if it speaks TLS, say https://)",
        _ => "",
    };
    format!("{}{hint}", chain(error))
}

/// An error of TLS, or what one of the system wraps.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    let wrapped = error.downcast_ref::<io::Error>()?.get_ref()?;
    tls_error(wrapped)
}

fn words(error: &rustls::Error) -> String {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) => {
                format!("it does not speak TLS; if it is meant to be so, say http:// ({error})")
            }
            error => format!("TLS failed: {error}"),
        };
    };
    match bad {
        Bad::UnknownIssuer => format!(
            "its certificate was made by an authority that is not trusted here\n\
             If it is yours, name the file with its certificate: --ca-file or {CA_FILE_VARIABLE}."
        ),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => format!(
            "its certificate is for other names ({bad})\n\
             Name the server as its certificate does."
        ),
        Bad::Expired | Bad::ExpiredContext { .. } => {
            format!("its certificate has expired ({bad})\nRenew it there.")
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet ({bad})\nLook at the clocks.")
        }
        bad => format!("its certificate is of no use: {bad}"),
    }
}

/// Whether `base` is on this host, where no proxy belongs in between.
pub(super) fn is_here(base: &Url) -> bool {
    match base.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback()),
        None => false,
    }
}

pub(super) fn authorization(path: &Path) -> Result<HeaderMap, ClientError> {
    let unusable = |reason: String| ClientError::Token { file: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .map_err(|_| unusable("it holds more than one line of text".to_owned()))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// The last cause of an error: what the system or TLS said.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
