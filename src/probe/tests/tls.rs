//! TLS probes against servers with good and bad certificates.

use std::io::Write;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::WantsVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ConfigBuilder, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::health::check::{GrpcProbe, TextMatch, TlsProbe};

/// An authority and its PEM file.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) file: tempfile::NamedTempFile,
}

impl Authority {
    pub(super) fn new() -> Authority {
        Authority::named("Windrose test authority")
    }

    pub(super) fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Authority { issuer, file }
    }

    /// A certificate for `names`, valid from and to these years.
    pub(super) fn sign(&self, names: &[&str], years: (i32, i32)) -> CertifiedKey {
        self.sign_as(names, years, IsCa::NoCa)
    }

    fn sign_as(&self, names: &[&str], years: (i32, i32), is_ca: IsCa) -> CertifiedKey {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).unwrap()
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A certificate for a client and its key, as PEM.
    pub(super) fn client_pem(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub(super) fn tls(&self) -> TlsProbe {
        TlsProbe {
            sni: None,
            verify: true,
            ca_file: Some(self.file.path().to_owned()),
            ..TlsProbe::default()
        }
    }
}

pub(super) const TLS_VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

pub(super) fn server_builder(
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap()
}

/// A server's settings that show `certificate` to everyone.
pub(super) fn server_config(
    certificate: CertifiedKey,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let resolver = Arc::new(SingleCertAndKey::from(certificate));
    server_builder(versions).with_no_client_auth().with_cert_resolver(resolver)
}

/// A TLS server that answers 200 over HTTP/1.1.
pub(super) async fn tls_server(config: ServerConfig) -> u16 {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.flush().await;
        }
    });
    server.await.port()
}

/// A TLS server that shows the certificate of the SNI sent, or `fallback`. Answers
/// with 200 and `SNI=… ` in the body, which the close delimits.
async fn tls_site(vhosts: Vec<(&'static str, CertifiedKey)>, fallback: CertifiedKey) -> u16 {
    #[derive(Debug)]
    struct Certificates(ResolvesServerCertUsingSni, Arc<CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Certificates {
        fn resolve(&self, hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            self.0.resolve(hello).or_else(|| Some(Arc::clone(&self.1)))
        }
    }
    let mut by_name = ResolvesServerCertUsingSni::new();
    for (name, certificate) in vhosts {
        by_name.add(name, certificate).unwrap();
    }
    let config = server_builder(&TLS_VERSIONS)
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificates(by_name, Arc::new(fallback))));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let sni = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
            let head = read_head(&mut stream).await;
            let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or("none");
            let text = format!("HTTP/1.1 200 OK\r\n\r\nSNI={sni} HOST={host};");
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.flush().await;
            // Cut without close_notify, as many servers do.
        }
    });
    server.await.port()
}

async fn https(port: u16, tls: TlsProbe, host: &str, expect_body: Option<&str>) -> String {
    let mut wanted = http_probe(port);
    wanted.tls = Some(tls);
    wanted.host = Some(host.to_owned());
    wanted.expect_body = expect_body.map(|text| TextMatch::Text(text.to_owned()));
    probe(ProbeKind::Http(wanted)).await
}

pub(super) const NOW: (i32, i32) = (2020, 4000);

#[tokio::test]
async fn each_wip_names_itself_and_is_verified_against_its_own_certificate() {
    let authority = Authority::new();
    let shop = authority.sign(&["shop.example.com"], NOW);
    let ledger = authority.sign(&["ledger.example.com"], NOW);
    let vhosts = vec![("shop.example.com", shop), ("ledger.example.com", ledger)];
    let port = tls_site(vhosts, authority.sign(&["127.0.0.1"], NOW)).await;
    for (host, body) in [
        ("shop.example.com", "SNI=shop.example.com HOST=shop.example.com;"),
        ("ledger.example.com", "SNI=ledger.example.com HOST=ledger.example.com;"),
        ("ledger.example.com:8443", "SNI=ledger.example.com HOST=ledger.example.com:8443;"),
        // An address is no SNI, and is verified as an address.
        ("127.0.0.1", "SNI=none HOST=127.0.0.1;"),
    ] {
        assert_eq!(https(port, authority.tls(), host, Some(body)).await, "ok", "{host}");
    }
    let sni = TlsProbe { sni: Some("shop.example.com".to_owned()), ..authority.tls() };
    let body = "SNI=shop.example.com HOST=other.example.com;";
    assert_eq!(https(port, sni, "other.example.com", Some(body)).await, "ok");
    let missing = https(port, authority.tls(), "shop.example.com", Some("no such text")).await;
    assert!(missing.starts_with("body: expected text not in the body's "), "{missing}");
}

#[tokio::test]
async fn bad_certificates_fail_and_say_why() {
    let (authority, stranger) = (Authority::new(), Authority::named("A stranger"));
    let namesake = Authority::new();
    let host = "shop.example.com";
    for (certificate, expected) in [
        (authority.sign(&[host], (2000, 2001)), "tls: certificate expired "),
        (authority.sign(&[host], (3000, 3001)), "tls: certificate not valid yet"),
        (
            authority.sign(&["other.example.com"], NOW),
            "tls: certificate not for shop.example.com; it names other.example.com",
        ),
        (stranger.sign(&[host], NOW), "tls: certificate from an unknown issuer"),
        (
            authority.sign_as(&[host], NOW, IsCa::Ca(BasicConstraints::Unconstrained)),
            "tls: the server shows an authority's own certificate (CA:TRUE)",
        ),
        (namesake.sign(&[host], NOW), "tls: certificate signed by another key than its issuer's"),
    ] {
        let port = tls_site(vec![], certificate).await;
        let seen = https(port, authority.tls(), host, None).await;
        assert!(seen.starts_with(expected), "{seen}");
        // Unless verification is off.
        let any = TlsProbe { verify: false, ..authority.tls() };
        assert_eq!(https(port, any, host, Some("SNI=shop.example.com")).await, "ok");
    }
}

#[tokio::test]
async fn the_systems_roots_do_not_know_a_private_authority() {
    let authority = Authority::new();
    let port = tls_site(vec![], authority.sign(&["shop.example.com"], NOW)).await;
    let tls = TlsProbe { sni: None, verify: true, ca_file: None, ..TlsProbe::default() };
    let seen = https(port, tls, "shop.example.com", None).await;
    // A host without any roots must not blame the target.
    let without_roots = rustls_native_certs::load_native_certs().certs.is_empty();
    let expected = match without_roots {
        true => "internal: this host has no root certificates",
        false => "tls: certificate from an unknown issuer",
    };
    assert!(seen.starts_with(expected), "{seen}");
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_is_a_tls_failure() {
    let authority = Authority::new();
    for (script, expected) in [
        ("HTTP/1.1 400 Bad\r\n\r\n", "tls: the peer does not speak TLS"),
        ("", "tls: connection closed during the handshake"),
    ] {
        let server = serve(move |mut stream| async move {
            let _ = stream.read(&mut [0; 2_048]).await;
            let _ = stream.write_all(script.as_bytes()).await;
        });
        let seen = https(server.await.port(), authority.tls(), "shop.example.com", None).await;
        assert_eq!(seen, expected);
    }
    let silent = serve(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    });
    let seen = https(silent.await.port(), authority.tls(), "shop.example.com", None).await;
    assert_eq!(seen, "timeout: no TLS handshake within 400 ms");
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_our_failure() {
    let mut empty = tempfile::NamedTempFile::new().unwrap();
    let broken = tempfile::NamedTempFile::new().unwrap();
    writeln!(empty, "nothing here").unwrap();
    std::fs::write(broken.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let authority = Authority::new();
    let port = tls_site(vec![], authority.sign(&["shop.example.com"], NOW)).await;
    for (file, expected) in [(&empty, "no certificate in it"), (&broken, "")] {
        let path = file.path().to_owned();
        let start = format!("internal: ca_file {}: {expected}", path.display());
        let tls = TlsProbe { sni: None, verify: true, ca_file: Some(path), ..TlsProbe::default() };
        let seen = https(port, tls, "shop.example.com", None).await;
        assert!(seen.starts_with(&start), "{seen}");
    }
}

#[tokio::test]
async fn tcp_checks_speak_tls_too() {
    let authority = Authority::new();
    let port = tls_site(vec![], authority.sign(&["db.example.com"], NOW)).await;
    let tcp = |name: &str| {
        ProbeKind::Tcp(TcpProbe {
            port,
            tls: Some(TlsProbe { sni: Some(name.to_owned()), ..authority.tls() }),
            send: Some("HELLO\r\n\r\n".to_owned()),
            expect: Some("SNI=db.example.com".to_owned()),
            ..TcpProbe::default()
        })
    };
    assert_eq!(probe(tcp("db.example.com")).await, "ok");
    let seen = probe(tcp("other.example.com")).await;
    assert!(seen.starts_with("tls: certificate not for other.example.com"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_without_end_are_read_to_a_bound() {
    let authority = Authority::new();
    let server = async || {
        let certificate = authority.sign(&["shop.example.com"], NOW);
        let mut config = server_config(certificate, &[&rustls::version::TLS13]);
        // All in one go, of 81 bytes each; the rest of the time it says nothing. A ticket
        // over two records would hold those before it back, and end it at 64 KiB.
        config.send_tls13_tickets = 8_000;
        config.max_fragment_size = Some(5 + 100 * 81);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let _stream = acceptor.accept(stream).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        })
        .await
        .port()
    };
    let tls = Some(TlsProbe { sni: Some("shop.example.com".to_owned()), ..authority.tls() });
    let expect = Some("PONG".to_owned());
    let tcp = TcpProbe { port: server().await, tls: tls.clone(), expect, ..TcpProbe::default() };
    let http = HttpProbe { tls: tls.clone(), ..http_probe(server().await) };
    let grpc = GrpcProbe { port: server().await, tls, ..GrpcProbe::default() };
    for probe in [ProbeKind::Tcp(tcp), ProbeKind::Http(http), ProbeKind::Grpc(grpc)] {
        let seen = patient(probe).await;
        let bounded = seen.contains("the peer sent more than ");
        assert!(bounded && seen.starts_with("protocol: "), "{seen}");
    }
}
