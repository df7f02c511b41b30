//! TSIG keys, and other servers as zones name them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use crate::dns::Name;
use crate::dns::tsig;

/// `[tsig.…]`
#[derive(Clone)]
pub struct TsigKey {
    /// Ready for use; its name is in lower case.
    pub key: Arc<tsig::Key>,
    /// The secret as written, so that it can be found where it must not stand.
    pub secret: String,
    /// Where it was read.
    pub secret_file: Option<PathBuf>,
}

impl std::fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.key)
    }
}

/// Another server that a zone has to do with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Remote {
    /// Where it listens.
    pub address: SocketAddr,
    /// Name of the key in [`Config::tsig`](super::Config::tsig), in lower case.
    pub key: Option<Name>,
}

/// Who may have a zone: what is given must all be so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// From here.
    pub network: Option<IpNet>,
    /// Signed with the key of this name, in lower case.
    pub key: Option<Name>,
}
