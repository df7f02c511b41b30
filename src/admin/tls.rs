//! TLS of the listener: the certificate in force, taken anew when its files change.
//!
//! Who renews a certificate replaces files, and nobody is there to restart a server. A
//! pair that cannot be used changes nothing: the one before it goes on. It must not know
//! what is spoken over TLS.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsAcceptor;

use crate::config::model::AdminTls;

/// The files are looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A certificate and its key, as the files have them.
pub(super) struct Tls {
    files: AdminTls,
    state: Mutex<State>,
}

struct State {
    acceptor: TlsAcceptor,
    /// What the files looked like when they were read last.
    seen: [Stamp; 2],
    looked_at: Instant,
}

/// What tells whether a file is another one: device, inode, length, change.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Why a certificate and key cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct TlsError {
    /// False: the certificate's file is to blame.
    pub is_key: bool,
    /// The file cannot be read; else what it holds is wrong.
    pub is_unreadable: bool,
    /// What is wrong, in a line that begins with the key of the config.
    pub message: String,
}

/// Whether the listener could speak TLS with these files. Reads them.
pub fn check_tls(files: &AdminTls) -> Result<(), TlsError> {
    load(files).map(drop)
}

impl Tls {
    /// Reads the files.
    pub(super) fn new(files: &AdminTls) -> Result<Tls, TlsError> {
        let seen = stamps(files);
        let acceptor = load(files)?;
        let state = State { acceptor, seen, looked_at: Instant::now() };
        Ok(Tls { files: files.clone(), state: Mutex::new(state) })
    }

    /// What accepts a connection made now. Reads the files where they changed.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_at(Instant::now())
    }

    fn acceptor_at(&self, now: Instant) -> TlsAcceptor {
        // Written whole, whatever panicked.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(state.looked_at) < LOOK_EVERY {
            return state.acceptor.clone();
        }
        state.looked_at = now;
        let seen = stamps(&self.files);
        if seen == state.seen {
            return state.acceptor.clone();
        }
        // Said once for each change. Half of a pair that is being replaced is such a
        // change, too: the next look sees the other half.
        state.seen = seen;
        match load(&self.files) {
            Ok(acceptor) => {
                let file = self.files.certificate.display();
                tracing::info!(%file, "the admin listener's certificate was taken anew");
                state.acceptor = acceptor;
            }
            Err(error) => tracing::error!(
                %error,
                "the admin listener's new certificate cannot be used: the one before it stays"
            ),
        }
        state.acceptor.clone()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

fn load(files: &AdminTls) -> Result<TlsAcceptor, TlsError> {
    let wrong = |is_key: bool, reason: String| {
        let (key, file) = match is_key {
            true => ("tls_key", &files.key),
            false => ("tls_certificate", &files.certificate),
        };
        let message = format!("{key} {}: {reason}", file.display());
        TlsError { is_key, is_unreadable: false, message }
    };
    let read = |is_key: bool, path: &Path| {
        std::fs::read(path)
            .map_err(|error| TlsError { is_unreadable: true, ..wrong(is_key, error.to_string()) })
    };
    let certificate = read(false, &files.certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(false, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(false, "no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(true, &files.key)?).map_err(|error| {
        wrong(
            true,
            match error {
                pem::Error::NoItemsFound => "no private key in it".to_owned(),
                error => error.to_string(),
            },
        )
    })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong(true, "not the key of tls_certificate".to_owned())
        }
        error => wrong(false, error.to_string()),
    })?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(false, error.to_string()))?;
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn stamps(files: &AdminTls) -> [Stamp; 2] {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Some((metadata.dev(), metadata.ino(), metadata.len(), changed.0, changed.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::AdminTls;

    fn files(directory: &Path) -> AdminTls {
        let mut sources = crate::problem::Sources::default();
        let spot = crate::problem::Spot::new(sources.add("windrose.toml").unwrap(), 0..1);
        AdminTls {
            certificate: directory.join("admin.crt"),
            key: directory.join("admin.key"),
            spots: (spot, spot),
        }
    }

    fn write(files: &AdminTls) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_renewed_certificate_counts_and_a_broken_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        write(&files);
        let tls = Tls::new(&files).unwrap();
        let first = tls.acceptor();
        let same = |a: &TlsAcceptor, b: &TlsAcceptor| Arc::ptr_eq(a.config(), b.config());
        let mut now = Instant::now() + LOOK_EVERY;
        assert!(same(&first, &tls.acceptor_at(now)), "nothing changed");
        write(&files);
        assert!(same(&first, &tls.acceptor_at(now)), "looked at a moment ago");
        now += LOOK_EVERY;
        let second = tls.acceptor_at(now);
        assert!(!same(&first, &second));
        // The key of another.
        std::fs::write(&files.key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        now += LOOK_EVERY;
        assert!(same(&second, &tls.acceptor_at(now)));
        std::fs::remove_file(&files.certificate).unwrap();
        now += LOOK_EVERY;
        assert!(same(&second, &tls.acceptor_at(now)));
        write(&files);
        now += LOOK_EVERY;
        assert!(!same(&second, &tls.acceptor_at(now)));
    }

    #[test]
    fn files_that_are_of_no_use_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        let fails = |expected: &str| {
            let error = check_tls(&files).unwrap_err();
            assert!(error.message.contains(expected), "{error}");
            error
        };
        assert!(fails("tls_certificate ").is_unreadable);
        std::fs::write(&files.certificate, "nothing").unwrap();
        fails("no certificate in it");
        write(&files);
        std::fs::write(&files.key, "nothing").unwrap();
        assert!(fails("no private key in it").is_key);
        std::fs::write(&files.key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(fails("not the key of tls_certificate").is_key);
        write(&files);
        assert_eq!(check_tls(&files), Ok(()));
    }
}
