//! TLS of probes: one client config per kind of trust, shared by all targets.
//!
//! Files and the system's roots are read when a plan is applied, so that a probe
//! reads nothing. Trust that cannot be set up is our failure, never the target's:
//! a mistyped `ca_file` must not take a service down.
//!
//! Sessions are never resumed: each probe proves the certificate again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::stream_failure;
use crate::health::check::{ProbeKind, TlsProbe};
use crate::health::plan::Plan;
use crate::health::{Failure, FailureKind};

/// What a client config depends on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Trust {
    verify: bool,
    ca_file: Option<PathBuf>,
    /// Offers ALPN "http/1.1".
    http: bool,
}

/// Client configs of one plan, or why there is none.
#[derive(Debug, Default)]
pub(super) struct TlsConfigs {
    configs: HashMap<Trust, Result<Arc<ClientConfig>, String>>,
}

impl TlsConfigs {
    /// Reads every CA file the plan names. Blocks.
    pub(super) fn load(plan: &Plan) -> TlsConfigs {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut configs: HashMap<Trust, Result<Arc<ClientConfig>, String>> = HashMap::new();
        for target in &plan.targets {
            let (tls, http) = match &target.identity.probe {
                ProbeKind::Http(probe) => (probe.tls.as_ref(), true),
                ProbeKind::Tcp(probe) => (probe.tls.as_ref(), false),
                ProbeKind::Grpc(probe) => (probe.tls.as_ref(), false),
                _ => (None, false),
            };
            let Some(tls) = tls else { continue };
            let trust = Trust::new(tls, http);
            configs.entry(trust).or_insert_with_key(|trust| {
                trust.config(&provider).map(Arc::new).inspect_err(|error| {
                    tracing::error!(check = target.check, error, "health check cannot verify");
                })
            });
        }
        TlsConfigs { configs }
    }

    /// Speaks TLS over `stream`, naming `name`.
    pub(super) async fn handshake(
        &self,
        tls: &TlsProbe,
        http: bool,
        name: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let ours = |detail: String| Failure::new(FailureKind::Internal, detail);
        let config = match self.configs.get(&Trust::new(tls, http)) {
            Some(Ok(config)) => Arc::clone(config),
            Some(Err(error)) => return Err(ours(error.clone())),
            None => return Err(ours("no TLS settings were prepared".to_owned())),
        };
        // An address is verified as an address and sent as no SNI (RFC 6066 §3).
        let name = ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| ours(format!("{name} is no name for SNI")))?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Failure::new(FailureKind::Tls, "connection closed during the handshake")
            }
            _ => stream_failure(&error, "TLS handshake"),
        })
    }
}

impl Trust {
    fn new(tls: &TlsProbe, http: bool) -> Trust {
        // Without verification the roots do not matter.
        let ca_file = tls.ca_file.clone().filter(|_| tls.verify);
        Trust { verify: tls.verify, ca_file, http }
    }

    fn config(&self, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = if self.verify {
            builder.with_root_certificates(self.roots()?).with_no_client_auth()
        } else {
            let any = AnyCertificate(provider.signature_verification_algorithms);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(any))
                .with_no_client_auth()
        };
        config.resumption = Resumption::disabled();
        if self.http {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca_file else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let found = !roots.is_empty();
            return found.then_some(roots).ok_or_else(|| {
                "this host has no root certificates; install ca-certificates, set ca_file, or \
                 verify = false"
                    .to_owned()
            });
        };
        let shown = path.display();
        let pem = std::fs::read(path).map_err(|error| format!("ca_file {shown}: {error}"))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            certificate
                .map_err(|error| error.to_string())
                .and_then(|der| roots.add(der).map_err(|error| error.to_string()))
                .map_err(|error| format!("ca_file {shown}: {error}"))?;
        }
        let found = !roots.is_empty();
        found.then_some(roots).ok_or_else(|| format!("ca_file {shown}: no certificate in it"))
    }
}

/// What a TLS error means to the people who run the target.
pub(super) fn explain(error: &Error) -> String {
    let Error::InvalidCertificate(certificate) = error else {
        return match error {
            Error::InvalidMessage(_) => "the peer does not speak TLS".to_owned(),
            other => other.to_string(),
        };
    };
    match certificate {
        CertificateError::Expired => "certificate expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / 86_400;
            format!("certificate expired {days} days ago")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "certificate from an unknown issuer".to_owned(),
        CertificateError::BadSignature => {
            "certificate signed by another key than its issuer's".to_owned()
        }
        CertificateError::NotValidForName => "certificate for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            format!("certificate not for {}; it names {}", expected.to_str(), names.join(", "))
        }
        // Made with `openssl req -x509`, most of the time.
        CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => {
            "the server shows an authority's own certificate (CA:TRUE); it needs one that an \
             authority signed, or one made with CA:FALSE"
                .to_owned()
        }
        CertificateError::Other(other) => format!("certificate: {}", other.0),
        other => format!("certificate: {other}"),
    }
}

/// The name alone: the verifier gives `DnsName("shop.example.com")`.
fn bare(presented: &str) -> &str {
    presented.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(presented)
}

/// `verify = false`: any certificate passes, but the peer must hold its key.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
