//! Whether a server's certificate is good, and in words why not.
//!
//! A certificate that is refused still says when it expires: the refusal carries
//! it, for the verifier is shared and the probe sees only the error.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};

/// Verifies by `roots`, or not at all.
pub(super) fn verifier(
    roots: Option<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let algorithms = provider.signature_verification_algorithms;
    let roots = match roots {
        Some(roots) => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| error.to_string())?,
        ),
        None => None,
    };
    Ok(Arc::new(Verifier { roots, algorithms }))
}

#[derive(Debug)]
struct Verifier {
    /// None (`verify = false`): any certificate passes, but the peer must hold its key.
    roots: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a certificate was refused, and when it expires.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
struct Refused {
    error: CertificateError,
    expires_s: Option<u64>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match error {
            Error::InvalidCertificate(error) => {
                let refused = Refused { error, expires_s: crate::tls::expires_s(end_entity) };
                Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// When the certificate expires that was refused with `error`.
pub(super) fn refused_expires_s(error: &Error) -> Option<u64> {
    refused(error)?.expires_s
}

fn refused(error: &Error) -> Option<&Refused> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
        _ => None,
    }
}

/// What a TLS error means to the people who run the target.
pub(super) fn explain(error: &Error) -> String {
    if let Some(refused) = refused(error) {
        return explain_certificate(&refused.error);
    }
    match error {
        Error::InvalidCertificate(certificate) => explain_certificate(certificate),
        Error::InvalidMessage(_) => "the peer does not speak TLS".to_owned(),
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server speaks no version of TLS that this check accepts".to_owned(),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate".to_owned()
        }
        other => other.to_string(),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
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
