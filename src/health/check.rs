//! What a health check sends and expects (docs/HEALTH.md).
//!
//! Every field is part of what is really probed, and so of the key under which a
//! target's history is kept: two targets whose fields are equal are one.
//!
//! It must not know how a probe is made.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// What a probe does.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ProbeKind {
    /// `http` and `https`.
    Http(HttpProbe),
    /// `tcp`.
    Tcp(TcpProbe),
    /// `icmp`.
    Icmp(IcmpProbe),
    /// `dns`.
    Dns(DnsProbe),
    /// `grpc`.
    Grpc(GrpcProbe),
    /// `exec`.
    Exec(ExecProbe),
    /// `file`.
    File(FileProbe),
    /// Always up.
    Always,
}

//------------ Connections ----------------------------------------------------

/// How packets leave this host.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Route {
    /// Source of IPv4 probes; none: the system chooses.
    pub source_ipv4: Option<Ipv4Addr>,
    /// Source of IPv6 probes; none: the system chooses.
    pub source_ipv6: Option<Ipv6Addr>,
    /// A PROXY header is sent first, of this version.
    pub proxy_header: Option<ProxyHeader>,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProxyHeader {
    /// "v1": text.
    V1,
    /// "v2": binary.
    V2,
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
    /// Shown to servers that ask for one.
    pub client: Option<ClientCertificate>,
    /// Oldest version spoken.
    pub min_version: TlsVersion,
}

/// A certificate of ours with its key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClientCertificate {
    /// PEM file: the certificate, then its issuers.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TlsVersion {
    /// "1.2"
    #[default]
    V12,
    /// "1.3"
    V13,
}

/// What a body must hold.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum TextMatch {
    /// This text, byte by byte.
    Text(String),
    /// A match of this regular expression (syntax of the `regex` crate, checked at load).
    Regex(String),
}

/// Most memory of a compiled pattern, and of the states it makes while it searches, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;

/// Compiles the pattern of a [`TextMatch::Regex`]: one that searches a body in time
/// linear in its length, and within a megabyte, whatever either holds.
pub fn body_regex(pattern: &str) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_MAX)
        .dfa_size_limit(REGEX_SIZE_MAX)
        .build()
}

//------------ Types ----------------------------------------------------------

/// Options of `http` and `https` checks.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct HttpProbe {
    /// Set for `https`.
    pub tls: Option<TlsProbe>,
    /// Default 80, or 443 with TLS.
    pub port: u16,
    /// How it gets there.
    pub route: Route,
    /// What is spoken.
    pub version: HttpVersion,
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
    /// What the body must hold within `max_body` bytes.
    pub expect_body: Option<TextMatch>,
    /// Most body bytes read.
    pub max_body: u32,
    /// Most redirects followed, always at the same address; 0: the first response counts.
    pub redirects_max: u8,
}

/// What an HTTP check speaks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum HttpVersion {
    /// "1.1"
    #[default]
    Http1,
    /// "2": over TLS by ALPN, which must agree; without TLS by prior knowledge.
    Http2,
    /// "any": what the server picks by ALPN. Needs TLS.
    Any,
}

/// Options of `tcp` checks.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct TcpProbe {
    /// Required.
    pub port: u16,
    /// How it gets there.
    pub route: Route,
    /// Set when TLS is spoken.
    pub tls: Option<TlsProbe>,
    /// Sent after the connection stands.
    pub send: Option<String>,
    /// Text that must come back.
    pub expect: Option<String>,
}

/// Options of `icmp` checks: an echo request.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct IcmpProbe {
    /// How it gets there; no PROXY header.
    pub route: Route,
}

/// Options of `dns` checks.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct DnsProbe {
    /// Default 53.
    pub port: u16,
    /// How it gets there; no PROXY header.
    pub route: Route,
    /// Asked over TCP; otherwise over UDP, and over TCP where the answer is truncated.
    pub tcp: bool,
    /// Name asked, in lower case, without the final dot.
    pub name: String,
    /// Record type asked.
    pub rtype: u16,
    /// Response code that passes.
    pub expect_rcode: u16,
    /// Record data in presentation form ("192.0.2.1"), each of which must be in the answer.
    pub expect_answers: Vec<String>,
    /// Whether the answer must be authoritative.
    pub expect_authoritative: bool,
}

/// Options of `grpc` checks (grpc.health.v1).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct GrpcProbe {
    /// Required.
    pub port: u16,
    /// How it gets there.
    pub route: Route,
    /// Set when TLS is spoken.
    pub tls: Option<TlsProbe>,
    /// `:authority`; none: the WIP's `check_host`, or its own name.
    pub host: Option<String>,
    /// Service asked for; "": the server as a whole.
    pub service: String,
}

/// Options of `exec` checks: passes when the command exits with 0.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ExecProbe {
    /// Program as a resolved path, and its arguments; no shell. "{address}" and
    /// "{host}" in arguments are filled in.
    pub command: Vec<String>,
    /// Fills "{host}"; none: the WIP's `check_host`, or its own name. Set by the
    /// snapshot only where the command asks for it.
    pub host: Option<String>,
}

/// Options of `file` checks: passes while the file's first word is "up".
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct FileProbe {
    /// Resolved path; "{address}" in it is filled in.
    pub path: PathBuf,
    /// An older file is no verdict, in milliseconds; none: any age will do.
    pub max_age_ms: Option<u32>,
}

//------------ Require --------------------------------------------------------

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
