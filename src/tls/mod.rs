//! Certificates of our own listeners: the pair in force, taken anew when its files change.
//!
//! Who renews a certificate replaces files, and nobody is there to restart a server. A
//! pair that cannot be used changes nothing: the one before it goes on.
//!
//! ```text
//! files ─ look ─► Certificate ─ resolve ─► each handshake
//! ```
//! It must not know what is spoken over TLS, nor who listens.

mod expiry;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use self::expiry::expires_s;
use crate::config::model::TlsFiles;

/// The files are looked at no more often than this.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Sessions that clients without tickets may resume.
const SESSIONS_MAX: usize = 4096;

/// Whose certificate it is: how its keys are called, and it in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// `[admin]`
    Admin,
    /// `[tls]`
    Dns,
}

impl Owner {
    /// In the log.
    fn name(self) -> &'static str {
        match self {
            Owner::Admin => "the admin listener",
            Owner::Dns => "DNS over TLS, HTTPS and QUIC",
        }
    }

    /// Keys of the config: certificate, key.
    fn keys(self) -> (&'static str, &'static str) {
        match self {
            Owner::Admin => ("tls_certificate", "tls_key"),
            Owner::Dns => ("certificate", "key"),
        }
    }
}

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

/// What is told of a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CertificateTotals {
    /// When it expires, in unix seconds; none: it does not say.
    pub expires_s: Option<u64>,
    /// Changed files that were taken since the start.
    pub renewed: u64,
    /// Changed files that could not be used.
    pub refused: u64,
}

/// Whether TLS could be spoken with these files, and when their certificate expires, in
/// unix seconds. Reads them.
///
/// # Errors
/// They cannot be used.
pub fn check(files: &TlsFiles, owner: Owner) -> Result<Option<u64>, TlsError> {
    load(files, owner).map(|certified| expiry_of(&certified))
}

//------------ Certificate ----------------------------------------------------

/// A certificate and its key, as the files had them when they were looked at last.
pub struct Certificate {
    files: TlsFiles,
    owner: Owner,
    in_force: ArcSwap<CertifiedKey>,
    /// What the files looked like when they were read last.
    seen: Mutex<Seen>,
    renewed: AtomicU64,
    refused: AtomicU64,
}

struct Seen {
    stamps: [Stamp; 2],
    looked_at: Instant,
}

/// What tells whether a file is another one: device, inode, length, change.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn read(files: &TlsFiles, owner: Owner) -> Result<Arc<Certificate>, TlsError> {
        // Before they are read: what is written meanwhile is found at the next look.
        let stamps = stamps(files);
        let certified = load(files, owner)?;
        Ok(Arc::new(Certificate {
            files: files.clone(),
            owner,
            in_force: ArcSwap::from_pointee(certified),
            seen: Mutex::new(Seen { stamps, looked_at: Instant::now() }),
            renewed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Reads the files where they have changed, unless they were looked at a moment ago.
    /// Blocks for as long as the disk does.
    pub fn look(&self) {
        self.look_at(Instant::now());
    }

    fn look_at(&self, now: Instant) {
        // Written whole, whatever panicked.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(seen.looked_at) < LOOK_EVERY {
            return;
        }
        seen.looked_at = now;
        let stamps = stamps(&self.files);
        if stamps == seen.stamps {
            return;
        }
        // Said once for each change. Half of a pair that is being replaced is such a
        // change, too: the next look sees the other half.
        seen.stamps = stamps;
        let of = self.owner.name();
        match load(&self.files, self.owner) {
            Ok(certified) => {
                let file = self.files.certificate.display();
                tracing::info!(%file, "the certificate of {of} was taken anew");
                self.in_force.store(Arc::new(certified));
                self.renewed.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    "the new certificate of {of} cannot be used: the one before it stays"
                );
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// When it expires, and how often it was replaced.
    pub fn totals(&self) -> CertificateTotals {
        CertificateTotals {
            expires_s: expiry_of(&self.in_force.load()),
            renewed: self.renewed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// TLS 1.2 and 1.3 with whatever pair is in force at each handshake, for a protocol
    /// of these names (ALPN). A client that offers none is taken, one that offers others
    /// alone is refused. Sessions are resumed by ticket, whose keys change by themselves.
    ///
    /// # Errors
    /// The library has no randomness, or no protocol.
    pub fn server_config(
        self: &Arc<Self>,
        protocols: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Certificate>::clone(self);
        let mut config = builder
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.session_storage = rustls::server::ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.in_force.load_full())
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

fn expiry_of(certified: &CertifiedKey) -> Option<u64> {
    certified.cert.first().and_then(|leaf| expires_s(leaf))
}

fn load(files: &TlsFiles, owner: Owner) -> Result<CertifiedKey, TlsError> {
    let (certificate_key, key_key) = owner.keys();
    let wrong = |is_key: bool, reason: String| {
        let (key, file) = match is_key {
            true => (key_key, &files.key),
            false => (certificate_key, &files.certificate),
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
    let provider = aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong(true, format!("not the key of {certificate_key}"))
        }
        error => wrong(false, error.to_string()),
    })
}

fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Some((metadata.dev(), metadata.ino(), metadata.len(), changed.0, changed.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Path) -> TlsFiles {
        let mut sources = crate::problem::Sources::default();
        let spot = crate::problem::Spot::new(sources.add("windrose.toml").unwrap(), 0..1);
        TlsFiles {
            certificate: directory.join("admin.crt"),
            key: directory.join("admin.key"),
            spots: (spot, spot),
        }
    }

    fn write(files: &TlsFiles) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_renewed_certificate_counts_and_a_broken_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        write(&files);
        let tls = Certificate::read(&files, Owner::Admin).unwrap();
        let at = |now: Instant| {
            tls.look_at(now);
            tls.in_force.load_full()
        };
        let first = at(Instant::now());
        let same = Arc::ptr_eq;
        let mut now = Instant::now() + LOOK_EVERY;
        assert!(same(&first, &at(now)), "nothing changed");
        write(&files);
        assert!(same(&first, &at(now)), "looked at a moment ago");
        now += LOOK_EVERY;
        let second = at(now);
        assert!(!same(&first, &second));
        // The key of another.
        std::fs::write(&files.key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        now += LOOK_EVERY;
        assert!(same(&second, &at(now)));
        std::fs::remove_file(&files.certificate).unwrap();
        now += LOOK_EVERY;
        assert!(same(&second, &at(now)));
        write(&files);
        now += LOOK_EVERY;
        assert!(!same(&second, &at(now)));
        let totals = tls.totals();
        assert_eq!((totals.renewed, totals.refused), (2, 2));
        assert!(totals.expires_s.is_some_and(|at_s| at_s > 1_700_000_000));
    }

    #[test]
    fn files_that_are_of_no_use_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        let fails = |expected: &str| {
            let error = check(&files, Owner::Admin).unwrap_err();
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
        assert!(check(&files, Owner::Admin).is_ok());
    }
}
