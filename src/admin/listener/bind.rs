//! The admin listener's socket: bound here, or given by a service manager or by a process
//! whose place this one takes; and whose the file of a unix socket is.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

use crate::admin::guard::{self, Guard, TokenError};
use crate::admin::tls::Tls;
use crate::config::model::{AdminListen, TlsFiles};
use crate::tls::TlsError;

/// A bound admin listener that does not serve yet.
#[derive(Debug)]
pub struct Bound {
    pub(super) socket: Socket,
    pub(super) guard: Guard,
    pub(super) tls: Option<Arc<Tls>>,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    /// None: it has no file any more.
    Unix(UnixListener, Option<SocketFile>),
}

/// Binds, so that what is wrong shows before anything else starts.
///
/// A unix socket left behind by a dead process is replaced; its file gives the
/// owner and group access.
pub fn bind(listen: &AdminListen, token_file: Option<&Path>) -> Result<Bound, BindError> {
    bind_or_take(listen, token_file, None)
}

/// The same, on a socket that was bound for it before. Its file is another's to remove, until
/// [`Ownership::set`] says otherwise.
pub fn bind_or_take(
    listen: &AdminListen,
    token_file: Option<&Path>,
    given: Option<OwnedFd>,
) -> Result<Bound, BindError> {
    match token_file {
        Some(path) => {
            guard::read_token(path)
                .map_err(|error| BindError::Token { file: path.to_owned(), error })?;
        }
        None if listen.requires_token() => {
            return Err(BindError::TokenMissing { listen: listen.to_string() });
        }
        None => {}
    }
    let socket = match (listen, given) {
        (listen, Some(given)) => take(listen, given),
        (AdminListen::Tcp(address), None) => TcpListener::bind(address).map(Socket::Tcp),
        (AdminListen::Unix(path), None) => bind_unix(path),
    };
    let socket = socket.map_err(|error| BindError::Socket { listen: listen.to_string(), error })?;
    Ok(Bound { socket, guard: Guard::new(listen, token_file), tls: None })
}

impl Bound {
    /// Speaks TLS with the certificate and key in these files, if there are any.
    pub fn with_tls(self, files: Option<&TlsFiles>) -> Result<Bound, BindError> {
        let tls = files.map(Tls::new).transpose()?;
        Ok(Bound { tls: tls.map(Arc::new), ..self })
    }

    /// The address bound, with its real port; none for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    /// A descriptor of the socket, for another process.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Socket::Unix(listener, _) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Whether this process removes the socket's file at its end.
    pub fn ownership(&self) -> Ownership {
        match &self.socket {
            Socket::Unix(_, Some(file)) => file.ours.clone(),
            _ => Ownership::default(),
        }
    }
}

/// Whose the file of a unix socket is.
#[derive(Clone, Debug, Default)]
pub struct Ownership(Arc<AtomicBool>);

impl Ownership {
    /// Whether it is this process's.
    pub fn is_ours(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// From now on it is this process's, or another's.
    pub fn set(&self, ours: bool) {
        self.0.store(ours, Ordering::Relaxed);
    }
}

/// A socket that was bound before, if it is the one that is configured.
fn take(listen: &AdminListen, given: OwnedFd) -> io::Result<Socket> {
    let known = SockRef::from(&given);
    let address = known.local_addr()?;
    let is_configured = match listen {
        AdminListen::Tcp(configured) => address.as_socket().is_some_and(|address| {
            let any_port = configured.port() == 0;
            address.ip() == configured.ip() && (any_port || address.port() == configured.port())
        }),
        AdminListen::Unix(path) => address.as_pathname() == Some(path),
    };
    if !is_configured || !known.is_listener()? {
        let other = "the socket given for it is another, or does not listen";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, other));
    }
    Ok(match listen {
        AdminListen::Tcp(_) => Socket::Tcp(given.into()),
        // Whoever made it removes its file, until it is said otherwise.
        AdminListen::Unix(path) => Socket::Unix(given.into(), SocketFile::of(path, false).ok()),
    })
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    let left_behind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => {
            metadata.file_type().is_socket()
                && UnixStream::connect(path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        }
        Err(_) => false,
    };
    if left_behind {
        std::fs::remove_file(path)?;
    }
    // Until the next line only the owner can connect: the umask never gives more.
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(Socket::Unix(listener, Some(SocketFile::of(path, true)?)))
}

/// The file of a bound unix socket; removed at the end, if it is still ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    ours: Ownership,
}

impl SocketFile {
    fn of(path: &Path, ours: bool) -> io::Result<SocketFile> {
        let metadata = std::fs::symlink_metadata(path)?;
        let identity = (metadata.dev(), metadata.ino());
        let ours = Ownership(Arc::new(AtomicBool::new(ours)));
        Ok(SocketFile { path: path.to_owned(), identity, ours })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.ours.is_ours() {
            return;
        }
        let Ok(metadata) = std::fs::symlink_metadata(&self.path) else { return };
        if (metadata.dev(), metadata.ino()) == self.identity {
            // Nothing to do about a failure: the next start replaces the file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Why the admin listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, not ours, or not allowed.
    #[error("admin listener: cannot listen on {listen}: {error}")]
    Socket {
        /// As configured.
        listen: String,
        /// What the system says.
        error: io::Error,
    },
    /// Others could reach it and nothing would stop them.
    #[error(
        "admin listener: {listen} is reachable from other hosts, so [admin] token_file must be set"
    )]
    TokenMissing {
        /// As configured.
        listen: String,
    },
    /// It cannot speak TLS.
    #[error("admin listener: {0}")]
    Tls(#[from] TlsError),
    /// The token's file is of no use.
    #[error("admin listener: token file {} {error}", file.display())]
    Token {
        /// As configured.
        file: PathBuf,
        /// What is wrong with it.
        error: TokenError,
    },
}
