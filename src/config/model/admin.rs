//! `[admin]` as checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::TlsFiles;

/// `[admin]`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admin {
    /// Address of the admin listener; none: there is none.
    pub listen: Option<AdminListen>,
    /// File that holds the bearer token.
    pub token_file: Option<PathBuf>,
    /// With which it speaks TLS; none: it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// Where the admin listener is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AdminListen {
    /// "127.0.0.1:8053"
    Tcp(SocketAddr),
    /// "unix:/run/windrose/admin.sock"
    Unix(PathBuf),
}

impl AdminListen {
    /// Whether others than this host's users can reach it, so that `token_file`
    /// must be set.
    pub fn requires_token(&self) -> bool {
        match self {
            AdminListen::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            AdminListen::Unix(_) => false,
        }
    }
}

impl std::fmt::Display for AdminListen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdminListen::Tcp(address) => address.fmt(f),
            AdminListen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
