//! TLS of probes: one client config per kind of trust, shared by all targets.
//!
//! Files and the system's roots are read when a plan is applied, so that a probe
//! reads nothing. Trust that cannot be set up is our failure, never the target's:
//! a mistyped `ca_file` must not take a service down.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind::UnexpectedEof};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, Error, HandshakeKind, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use xxhash_rust::xxh3::Xxh3Default;

use super::bounded::Bounded;
use super::connect::stream_failure;
use super::prepared::Tools;
use super::session::{CHAIN_BYTES_MAX, Handshake};
use super::tls_files::{load_client, load_roots, system_roots};
use super::{Phase, Progress, tls_verify};
use crate::health::check::{ClientCertificate, HttpVersion, ProbeKind, TlsProbe, TlsVersion};
use crate::health::plan::Plan;
use crate::health::{Failure, FailureKind};

/// What is offered by ALPN.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Offer {
    Nothing,
    Http1,
    /// HTTP/2 alone.
    Http2,
    /// HTTP/2 or HTTP/1.1.
    Either,
}

impl Offer {
    fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Offer::Nothing => &[],
            Offer::Http1 => &[b"http/1.1"],
            Offer::Http2 => &[b"h2"],
            Offer::Either => &[b"h2", b"http/1.1"],
        }
    }
}

impl From<HttpVersion> for Offer {
    fn from(version: HttpVersion) -> Offer {
        match version {
            HttpVersion::Http1 => Offer::Http1,
            HttpVersion::Http2 => Offer::Http2,
            HttpVersion::Any => Offer::Either,
        }
    }
}

//------------ Configs --------------------------------------------------------

/// What a client config depends on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Trust {
    verify: bool,
    ca_file: Option<PathBuf>,
    client: Option<ClientCertificate>,
    min_version: TlsVersion,
    offer: Offer,
}

/// A config or why there is none, and what it was made from.
#[derive(Clone, Debug)]
struct Made {
    config: Result<Arc<ClientConfig>, String>,
    /// Hash of the files.
    files: u128,
}

/// Client configs of one plan.
#[derive(Debug, Default)]
pub(super) struct TlsConfigs {
    configs: HashMap<Trust, Made>,
}

/// TLS of a redirect from http to https.
pub(super) const REDIRECTED: TlsProbe =
    TlsProbe { sni: None, verify: true, ca_file: None, client: None, min_version: TlsVersion::V12 };

impl TlsConfigs {
    /// Reads every file the plan names. Those of `before` go on where nothing
    /// changed: a session is only resumed under the config it was made under. Blocks.
    pub(super) fn load(plan: &Plan, before: &TlsConfigs) -> TlsConfigs {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let system = OnceCell::new();
        let mut configs: HashMap<Trust, Made> = HashMap::new();
        for target in &plan.targets {
            let (tls, offer) = match &target.identity.probe {
                ProbeKind::Http(probe) => {
                    let redirected = (probe.redirects_max > 0).then_some(&REDIRECTED);
                    (probe.tls.as_ref().or(redirected), probe.version.into())
                }
                ProbeKind::Tcp(probe) => (probe.tls.as_ref(), Offer::Nothing),
                ProbeKind::Grpc(probe) => (probe.tls.as_ref(), Offer::Http2),
                _ => (None, Offer::Nothing),
            };
            let Some(tls) = tls else { continue };
            configs.entry(Trust::new(tls, offer)).or_insert_with_key(|trust| {
                let made = trust.make(&provider, &system, before);
                if let Err(error) = &made.config {
                    tracing::error!(check = target.check, error, "health check cannot speak TLS");
                }
                made
            });
        }
        TlsConfigs { configs }
    }

    fn get(&self, tls: &TlsProbe, offer: Offer) -> Result<Arc<ClientConfig>, Failure> {
        let detail = match self.configs.get(&Trust::new(tls, offer)).map(|made| &made.config) {
            Some(Ok(config)) => return Ok(Arc::clone(config)),
            Some(Err(error)) => error,
            None => "no TLS settings were prepared",
        };
        Err(Failure::new(FailureKind::Internal, detail))
    }
}

type SystemRoots = OnceCell<Result<RootCertStore, String>>;

impl Trust {
    fn new(tls: &TlsProbe, offer: Offer) -> Trust {
        // Without verification the roots do not matter.
        let ca_file = tls.ca_file.clone().filter(|_| tls.verify);
        let (verify, min_version) = (tls.verify, tls.min_version);
        Trust { verify, ca_file, client: tls.client.clone(), min_version, offer }
    }

    fn make(
        &self,
        provider: &Arc<CryptoProvider>,
        system: &SystemRoots,
        before: &TlsConfigs,
    ) -> Made {
        let files = self.files(system);
        match before.configs.get(self) {
            Some(made) if made.files == files && made.config.is_ok() => made.clone(),
            _ => Made { config: self.config(provider, system).map(Arc::new), files },
        }
    }

    /// A hash of all that is read.
    fn files(&self, system: &SystemRoots) -> u128 {
        let mut hash = Xxh3Default::new();
        let client = self.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        for path in self.ca_file.iter().chain(client) {
            let bytes = read_or_empty(path);
            hash.update(&bytes.len().to_le_bytes());
            hash.update(&bytes);
        }
        if self.verify
            && self.ca_file.is_none()
            && let Ok(roots) = system.get_or_init(system_roots)
        {
            for root in &roots.roots {
                hash.update(&root.subject_public_key_info);
            }
        }
        hash.digest128()
    }

    fn config(
        &self,
        provider: &Arc<CryptoProvider>,
        system: &SystemRoots,
    ) -> Result<ClientConfig, String> {
        let roots = match &self.ca_file {
            _ if !self.verify => None,
            Some(path) => Some(load_roots(path)?),
            None => Some(system.get_or_init(system_roots).clone()?),
        };
        let versions: &[_] = match self.min_version {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(tls_verify::verifier(roots, provider)?);
        let mut config = match &self.client {
            Some(client) => {
                let resolver = SingleCertAndKey::from(load_client(client)?);
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = self.offer.protocols().iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

/// Bytes of a file; none of one that cannot be read, which loading it then says.
fn read_or_empty(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

//------------ Handshakes -----------------------------------------------------

/// Most bytes that TLS may add to what is said over it: a handshake, whose messages end at
/// 64 KiB each, the heads of records, and tickets.
pub(super) const TLS_BYTES_MAX: usize = 256 * 1024;

/// Speaks TLS over `stream`, with a server that is called `name`. A session of the tools is
/// resumed. The bound lies below TLS, in which the peer may send tickets without end.
pub(super) async fn handshake(
    tls: &TlsProbe,
    offer: Offer,
    name: &str,
    stream: Bounded<TcpStream>,
    tools: &Tools,
    progress: &mut Progress,
) -> Result<TlsStream<Bounded<TcpStream>>, Failure> {
    progress.phase = Phase::Handshake;
    let mut config = tools.prepared.tls.get(tls, offer)?;
    if let Some(session) = &tools.session {
        let mut own = ClientConfig::clone(&config);
        own.resumption = Resumption::store(Arc::clone(session) as Arc<_>);
        config = Arc::new(own);
    }
    // An address is verified as an address and sent as no SNI (RFC 6066 §3).
    let name = ServerName::try_from(name.trim_end_matches('.').to_owned())
        .map_err(|_| Failure::new(FailureKind::Internal, format!("{name} is no name for SNI")))?;
    let stream = match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => stream,
        Err(error) => return Err(handshake_failure(&error, progress)),
    };
    let connection = stream.get_ref().1;
    // Resumed, it is the certificate that the session was made with.
    let chain = connection.peer_certificates().unwrap_or_default();
    seen(progress, chain.first().and_then(|leaf| crate::tls::expires_s(leaf)));
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    // Only the first of several, with redirects, is the one whose session is kept.
    progress.handshake.get_or_insert(if resumed { Handshake::Resumed } else { Handshake::Full });
    let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
    if let Some(session) = tools.session.as_ref().filter(|_| bytes > CHAIN_BYTES_MAX) {
        session.refuse();
    }
    Ok(stream)
}

/// A certificate was shown. Of several, with redirects, the first to expire counts.
fn seen(progress: &mut Progress, expires_s: Option<u64>) {
    let both = progress.certificate_expires_s.into_iter().chain(expires_s);
    progress.certificate_expires_s = both.min();
}

fn handshake_failure(error: &io::Error, progress: &mut Progress) -> Failure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    seen(progress, tls.and_then(tls_verify::refused_expires_s));
    match tls {
        Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => no_http2(),
        None if error.kind() == UnexpectedEof => {
            Failure::new(FailureKind::Tls, "connection closed during the handshake")
        }
        _ => stream_failure(error, "TLS handshake"),
    }
}

/// The server would not agree to what was offered.
pub(super) fn no_http2() -> Failure {
    Failure::new(FailureKind::Protocol, "the server does not agree to HTTP/2 (ALPN)")
}
