//! A whole server with a zone of everything, on ports of the system's choice.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use windrose::daemon::Daemon;
use windrose::metrics::Transport;

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
identity = "battery"

[tls]
certificate = "dns.crt"
key = "dns.key"
dot = ["127.0.0.1:0"]
doh = ["127.0.0.1:0"]
doq = ["127.0.0.1:0"]
doh3 = ["127.0.0.1:0"]

[admin]
listen = "off"

[zone."gslb.example.com"]
nameservers = ["ns1.gslb.example.com"]
hostmaster = "hostmaster@example.com"
serial = 7
records = [
    "@ 300 IN TXT \"the apex\"",
    "@ 300 IN MX 10 www",
    "ns1 300 IN A 192.0.2.53",
    "www 300 IN A 192.0.2.80",
    "www 300 IN AAAA 2001:db8::80",
    "chain 300 IN CNAME chain2",
    "chain2 300 IN CNAME www",
    "*.wild 300 IN TXT \"wild\"",
    "below.empty 300 IN TXT \"not empty\"",
    "sub 300 IN NS ns.sub",
    "ns.sub 300 IN A 192.0.2.99",
    LARGE
]

[datacenter.fra]
vip = ["198.51.100.10", "2001:db8:1::10"]

[wip."shop.gslb.example.com"]
members = ["fra"]
"#;

/// Behind this line are keys that a test adds.
const KEYS: &str = "identity = \"battery\"\n";

/// Records of the large name: more than any datagram takes.
const LARGE: usize = 40;

pub(crate) struct Server {
    daemon: Option<Daemon>,
    directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with("")
    }

    /// With further keys of `[server]`.
    pub(crate) fn with(keys: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("dns.crt", made.cert.pem());
        write("dns.key", made.signing_key.serialize_pem());
        let line = |number| format!("    \"large 300 IN TXT {number}{}\",\n", "x".repeat(100));
        let large: String = (0..LARGE).map(line).collect();
        write(
            "windrose.toml",
            CONFIG.replace("    LARGE\n", &large).replace(KEYS, &format!("{KEYS}{keys}\n")),
        );
        let daemon = Daemon::start(&directory.path().join("windrose.toml"));
        let daemon = daemon.unwrap_or_else(|error| panic!("{error}"));
        Server { daemon: Some(daemon), directory }
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// Of plain DNS.
    pub(crate) fn plain(&self) -> SocketAddr {
        self.daemon().addresses()[0]
    }

    /// Of an encrypted transport.
    pub(crate) fn encrypted(&self, transport: Transport) -> SocketAddr {
        let all = self.daemon().encrypted_addresses();
        all.iter().find(|(of, _)| *of == transport).unwrap().1
    }

    /// A client's side of TLS, for a protocol and one version of TLS.
    pub(crate) fn client(&self, protocol: &str, version: ProtocolVersion) -> Arc<ClientConfig> {
        let pem = std::fs::read(self.directory.path().join("dns.crt")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let versions = rustls::ALL_VERSIONS.iter().find(|known| known.version == version).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let mut config = builder
            .with_protocol_versions(&[*versions])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config)
    }
}

impl Server {
    /// Ends it, as a signal does.
    pub(crate) fn stop(mut self) {
        self.daemon.take().into_iter().for_each(Daemon::stop);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.daemon.take().into_iter().for_each(Daemon::stop);
    }
}
