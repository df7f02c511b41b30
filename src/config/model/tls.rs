//! `[tls]` and `[proxy]` as checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::metrics::Transport;
use crate::problem::Spot;

/// `[tls]`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tls {
    /// With which DNS over TLS, HTTPS and QUIC are spoken; none: they are not.
    pub files: Option<TlsFiles>,
    /// Addresses for DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS, HTTP/1.1 and HTTP/2.
    pub doh: Vec<SocketAddr>,
    /// Addresses for DNS over QUIC.
    pub doq: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS, HTTP/3.
    pub doh3: Vec<SocketAddr>,
    /// Path of DNS over HTTPS.
    pub doh_path: String,
}

impl Tls {
    /// Every address to be served encrypted, with how.
    pub fn listens(&self) -> Vec<(Transport, SocketAddr)> {
        let keys = [
            (Transport::Dot, &self.dot),
            (Transport::Doh, &self.doh),
            (Transport::Doq, &self.doq),
            (Transport::Doh3, &self.doh3),
        ];
        let of = |(transport, addresses)| {
            let addresses: &Vec<SocketAddr> = addresses;
            addresses.iter().map(move |address| (transport, *address))
        };
        keys.into_iter().flat_map(of).collect()
    }
}

/// `[proxy]`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxy {
    /// Networks whose PROXY headers are believed, and asked for.
    pub from: Vec<IpNet>,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM file of the certificate and those between it and a root.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// Where the config names them, for problems with the files.
    pub spots: (Spot, Spot),
}

/// Where it is written makes no difference.
impl PartialEq for TlsFiles {
    fn eq(&self, other: &TlsFiles) -> bool {
        (&self.certificate, &self.key) == (&other.certificate, &other.key)
    }
}

impl Eq for TlsFiles {}
