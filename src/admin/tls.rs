//! TLS of the listener: HTTP/1.1 with the certificate in force.
//!
//! It must not know how a certificate is renewed: that is `crate::tls`.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use crate::config::model::TlsFiles;
use crate::tls::{Certificate, Owner, TlsError};

/// The certificate, and what accepts connections with it.
#[derive(Clone)]
pub(super) struct Tls {
    certificate: Arc<Certificate>,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Reads the files.
    pub(super) fn new(files: &TlsFiles) -> Result<Tls, TlsError> {
        let certificate = Certificate::read(files, Owner::Admin)?;
        let config = certificate.server_config(&[b"http/1.1"]).map_err(|error| TlsError {
            is_key: false,
            is_unreadable: false,
            message: format!("TLS: {error}"),
        })?;
        Ok(Tls { certificate, acceptor: TlsAcceptor::from(config) })
    }

    /// What accepts a connection made now. Reads the files where they changed.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.certificate.look();
        self.acceptor.clone()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.certificate.fmt(f)
    }
}
