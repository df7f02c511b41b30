//! `[server]` as checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::dns::Name;

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Addresses for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// NSID and `id.server` text; none: NSID is not given.
    pub identity: Option<String>,
    /// Where verdicts, serials and overrides are kept; none: nothing is kept.
    pub state_dir: Option<PathBuf>,
    /// Who a server that is started as root becomes; none: it stays what it is.
    pub user: Option<String>,
    /// UDP worker threads; 0: one per core.
    pub workers: u16,
    /// Whether client subnets (RFC 7871) steer answers at all.
    pub ecs: bool,
    /// Text for CHAOS `version.bind` and `version.server`; none: REFUSED.
    pub chaos_version: Option<String>,
    /// Largest number of TCP connections at once.
    pub tcp_connections_max: u32,
    /// Of those, the most of one client.
    pub tcp_connections_per_client_max: u32,
    /// A TCP connection idle this long is closed, in milliseconds.
    pub tcp_idle_timeout_ms: u32,
    /// Whom resolvers tell of errors (RFC 9567).
    pub report_channel: Option<Name>,
    /// Longest that one message may take to arrive, in milliseconds.
    pub tcp_message_timeout_ms: u32,
    /// Longest that a client may take to read what it is owed, in milliseconds.
    pub tcp_write_timeout_ms: u32,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 53)), SocketAddr::from(([0u16; 8], 53))],
            identity: None,
            state_dir: None,
            user: None,
            workers: 0,
            ecs: true,
            chaos_version: None,
            tcp_connections_max: 1_000,
            tcp_connections_per_client_max: 100,
            tcp_idle_timeout_ms: 10_000,
            tcp_message_timeout_ms: 5_000,
            tcp_write_timeout_ms: 5_000,
            report_channel: None,
        }
    }
}
