//! Certificates and keys in PEM files, and the system's roots.
//!
//! Used when a plan is applied and when a config is checked, so that both say the
//! same about a file. Errors are words that begin with the key of the config.

use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::health::check::ClientCertificate;

/// The roots in a `ca_file`; else why there are none.
pub(super) fn load_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for der in certificates("ca_file", path)? {
        roots.add(der).map_err(|error| format!("ca_file {}: {error}", path.display()))?;
    }
    Ok(roots)
}

/// A certificate of ours with its key, which must fit; else what is wrong.
pub(super) fn load_client(client: &ClientCertificate) -> Result<CertifiedKey, String> {
    let chain = certificates("client_certificate", &client.certificate)?;
    let shown = client.key.display();
    let pem = read("client_key", &client.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            format!("client_key {shown}: no private key in it")
        }
        error => format!("client_key {shown}: {error}"),
    })?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(
        |error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("client_key {shown}: not the key of the client_certificate")
            }
            error => format!("client_certificate {}: {error}", client.certificate.display()),
        },
    )
}

/// The system's roots.
pub(super) fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    let found = !roots.is_empty();
    found.then_some(roots).ok_or_else(|| {
        "this host has no root certificates; install ca-certificates, set ca_file, or \
         verify = false"
            .to_owned()
    })
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(key, path)?;
    let shown = path.display();
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{key} {shown}: {error}"))?;
    let none = found.is_empty();
    if none { Err(format!("{key} {shown}: no certificate in it")) } else { Ok(found) }
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{key} {}: {error}", path.display()))
}
