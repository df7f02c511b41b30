//! What a health check sends and expects (docs/HEALTH.md).

use std::path::PathBuf;

/// What a probe does.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ProbeKind {
    /// `http` and `https`.
    Http(HttpProbe),
    /// `tcp`.
    Tcp(TcpProbe),
    /// Always up.
    Always,
}

/// Options of `http` and `https` checks.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HttpProbe {
    /// Set for `https`.
    pub tls: Option<TlsProbe>,
    /// Default 80, or 443 with TLS.
    pub port: u16,
    /// `Host`; none: the WIP's `check_host`, or its own name.
    pub host: Option<String>,
    /// "GET", "HEAD", …
    pub method: String,
    /// Begins with "/".
    pub path: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Inclusive ranges of accepted status codes.
    pub expect_status: Vec<(u16, u16)>,
    /// Text the body must hold within `max_body` bytes.
    pub expect_body: Option<String>,
    /// Most body bytes read.
    pub max_body: u32,
}

/// TLS options of a check.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct TlsProbe {
    /// SNI; none: the same as the host.
    pub sni: Option<String>,
    /// False: any certificate passes.
    pub verify: bool,
    /// PEM file of the only roots trusted; none: the system's.
    pub ca_file: Option<PathBuf>,
}

/// Options of `tcp` checks.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TcpProbe {
    /// Required.
    pub port: u16,
    /// Set when TLS is spoken.
    pub tls: Option<TlsProbe>,
    /// Sent after the connection stands.
    pub send: Option<String>,
    /// Text that must come back.
    pub expect: Option<String>,
}

/// How many of several checks must pass.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Require {
    /// "all"
    #[default]
    All,
    /// "any"
    Any,
    /// At least so many.
    AtLeast(u8),
}
