//! TLS beyond the handshake: sessions, client certificates, versions, remaining life.

use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};

use super::super::session::{Session, Sessions};
use super::http::tls_redirector;
use super::tls::{Authority, NOW, TLS_VERSIONS, server_builder, server_config, tls_server};
use super::*;
use crate::health::check::{ClientCertificate, TlsProbe, TlsVersion};

fn https_probe(port: u16, tls: TlsProbe) -> HttpProbe {
    HttpProbe { tls: Some(tls), ..http_probe(port) }
}

/// One attempt with these tools, and how it went.
async fn attempted(target: &Target, tools: &Tools) -> (String, Progress) {
    let mut progress = Progress::default();
    // How soon is not the point.
    let target = &Target { timeout_ms: 10_000, ..target.clone() };
    let result = attempt(target, tools, &Commons::default(), Clock::start(), &mut progress).await;
    let words = result.map_or_else(|failure| failure.to_string(), |()| "ok".to_owned());
    (words, progress)
}

#[tokio::test]
async fn a_session_is_resumed_until_it_is_forgotten() {
    use Handshake::{Full, Resumed};
    let authority = Authority::new();
    for versions in [[&TLS12], [&TLS13]] {
        let mut config = server_config(authority.sign(&["shop.example.com"], NOW), &versions);
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let port = tls_server(config).await;
        let target = target(ProbeKind::Http(https_probe(port, authority.tls())));
        let plan = Plan { targets: vec![target.clone()], ..Plan::default() };
        let session = Arc::new(Session::default());
        let tools = Tools { session: Some(Arc::clone(&session)), ..tools(&plan) };
        for wanted in [Full, Resumed, Resumed] {
            let (words, progress) = attempted(&target, &tools).await;
            assert_eq!((words.as_str(), progress.handshake), ("ok", Some(wanted)), "{versions:?}");
            // A session knows the certificate that it was made with.
            assert_eq!(progress.certificate_expires_s, Some(64_060_588_800));
        }
        // Another plan with the same files goes on with the same settings.
        let same = Arc::new(Prepared::load(&plan, &tools.prepared));
        let tools = Tools { prepared: same, ..tools };
        assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Resumed));
        // One with other files does not.
        let changed = [authority.file.path(), Authority::named("Another").file.path()]
            .map(|path| std::fs::read_to_string(path).unwrap())
            .concat();
        let before = std::fs::read_to_string(authority.file.path()).unwrap();
        std::fs::write(authority.file.path(), changed).unwrap();
        let other = Arc::new(Prepared::load(&plan, &tools.prepared));
        std::fs::write(authority.file.path(), before).unwrap();
        let tools = Tools { prepared: other, ..tools };
        assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Full));
        assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Resumed));
        session.forget();
        assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Full));
        session.refuse();
        assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Full));
        assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Full));
        // A session with one name is none with another.
        let session = Arc::new(Session::default());
        let tools = Tools { session: Some(session), ..tools };
        assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Full));
        let mut other = target.clone();
        let ProbeKind::Http(probe) = &mut other.identity.probe else { unreachable!() };
        probe.host = Some("other.example.com".to_owned());
        let (words, _) = attempted(&other, &tools).await;
        let expected = "tls: certificate not for other.example.com; it names shop.example.com";
        assert_eq!(words, expected);
    }
}

#[tokio::test]
async fn a_redirect_neither_prolongs_a_session_nor_hides_a_certificate() {
    use Handshake::{Full, Resumed};
    const YEAR_3000_S: u64 = 32_503_680_000;
    let authority = Authority::new();
    let sooner = (2000, 3000);
    for (first, second) in [(NOW, sooner), (sooner, NOW)] {
        let sign = |years| authority.sign(&["shop.example.com"], years);
        let end = tls_server(server_config(sign(second), &TLS_VERSIONS)).await;
        let location = format!("https://shop.example.com:{end}/x").leak();
        let port = tls_redirector(sign(first), location).await;
        let mut probe = https_probe(port, authority.tls());
        probe.redirects_max = 5;
        let target = target(ProbeKind::Http(probe));
        let plan = Plan { targets: vec![target.clone()], ..Plan::default() };
        let tools = Tools { session: Some(Arc::default()), ..tools(&plan) };
        for wanted in [Full, Resumed] {
            let (words, progress) = attempted(&target, &tools).await;
            assert_eq!((words.as_str(), progress.handshake), ("ok", Some(wanted)));
            assert_eq!(progress.certificate_expires_s, Some(YEAR_3000_S));
        }
    }
}

#[tokio::test]
async fn sessions_end_with_trouble_and_with_time() {
    use Handshake::{Full, Resumed};
    let authority = Authority::new();
    let port =
        tls_server(server_config(authority.sign(&["shop.example.com"], NOW), &TLS_VERSIONS)).await;
    let target = target(ProbeKind::Http(https_probe(port, authority.tls())));
    let plan = Plan { targets: vec![target.clone()], ..Plan::default() };
    let prepared = tools(&plan).prepared;
    let mut sessions = Sessions::default();
    for (now_ms, calm, wanted) in [
        (0, true, Full),
        (5_000, true, Resumed),
        (235_000, true, Resumed),
        // Five minutes after the full one at the latest.
        (300_000, true, Full),
        (305_000, true, Resumed),
        // Whatever comes after trouble shows its certificate.
        (310_000, false, Resumed),
        (311_000, false, Full),
        (312_000, true, Full),
        (317_000, true, Resumed),
    ] {
        let session = sessions.of(7, &target, now_ms);
        let tools = Tools { prepared: Arc::clone(&prepared), session };
        let handshake = attempted(&target, &tools).await.1.handshake;
        assert_eq!(handshake, Some(wanted), "{now_ms}");
        sessions.settle(7, handshake, calm, now_ms);
    }
    sessions.keep(|key| key != 7);
    let tools = Tools { prepared, session: sessions.of(7, &target, 318_000) };
    assert_eq!(attempted(&target, &tools).await.1.handshake, Some(Full));
    assert!(sessions.of(8, &super::target(ProbeKind::Always), 0).is_none());
}

#[tokio::test]
async fn the_remaining_life_is_read_from_good_and_from_bad_certificates() {
    let authority = Authority::new();
    // Years 2001, 3001 and 4000 begin.
    for (years, verify, words, expires_s) in [
        (NOW, true, "ok", 64_060_588_800),
        (NOW, false, "ok", 64_060_588_800),
        ((2000, 2001), false, "ok", 978_307_200),
        ((2000, 2001), true, "tls: certificate expired ", 978_307_200),
        ((3000, 3001), true, "tls: certificate not valid yet", 32_535_216_000),
    ] {
        let certificate = authority.sign(&["shop.example.com"], years);
        let port = tls_server(server_config(certificate, &TLS_VERSIONS)).await;
        let tls = TlsProbe { verify, ..authority.tls() };
        let target = target(ProbeKind::Http(https_probe(port, tls)));
        let plan = Plan { targets: vec![target.clone()], ..Plan::default() };
        let (seen, progress) = attempted(&target, &tools(&plan)).await;
        assert!(seen.starts_with(words), "{seen}");
        assert_eq!(progress.certificate_expires_s, Some(expires_s));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_prober_resumes_counts_and_remembers() {
    let authority = Authority::new();
    let certificate = authority.sign(&["shop.example.com"], NOW);
    let port = tls_server(server_config(certificate, &TLS_VERSIONS)).await;
    let mut target = target(ProbeKind::Http(https_probe(port, authority.tls())));
    target.interval_ms = 100;
    target.timeout_ms = 5_000;
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    prober.apply(Plan { targets: vec![target], ..Plan::default() }).unwrap();
    let started = Instant::now();
    while prober.metrics().checks.get("ready").is_none_or(|seen| seen.handshakes_resumed < 5) {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", prober.metrics());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let counters = &prober.metrics().checks["ready"];
    assert_eq!((counters.handshakes_full, counters.failed), (1, [0; 10]));
    let view = prober.view().await.unwrap();
    assert_eq!(view.targets[0].certificate_expires_s, Some(64_060_588_800));
}

//------------ Client certificates and versions -------------------------------

/// PEM files of a certificate and its key.
fn client_files(certificate: &str, key: &str) -> (tempfile::TempDir, ClientCertificate) {
    let directory = tempfile::tempdir().unwrap();
    let files = ClientCertificate {
        certificate: directory.path().join("client.pem"),
        key: directory.path().join("client.key"),
    };
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    (directory, files)
}

/// A server that lets in whom `authority` signed.
async fn guarded(authority: &Authority, certificate: CertifiedKey) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let guard =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    tls_server(
        server_builder(&TLS_VERSIONS)
            .with_client_cert_verifier(guard)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate))),
    )
    .await
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_servers_that_ask() {
    let authority = Authority::new();
    let port = guarded(&authority, authority.sign(&["shop.example.com"], NOW)).await;
    let (certificate, key) = authority.client_pem("probe.example.com");
    let (_directory, client) = client_files(&certificate, &key);
    let https = async |client: Option<ClientCertificate>| {
        let tls = TlsProbe { client, ..authority.tls() };
        patient(ProbeKind::Http(https_probe(port, tls))).await
    };
    assert_eq!(https(Some(client.clone())).await, "ok");
    assert_eq!(https(None).await, "tls: the server asks for a client certificate");
    // Files that cannot be used are our failure.
    let (_other, other_key) = authority.client_pem("other.example.com");
    for (certificate, key, expected) in [
        (&certificate, &other_key, "client_key {key}: not the key of the client_certificate"),
        (&certificate, &certificate, "client_key {key}: no private key in it"),
        (&key, &key, "client_certificate {certificate}: no certificate in it"),
    ] {
        let (_directory, files) = client_files(certificate, key);
        let expected = expected
            .replace("{key}", &files.key.display().to_string())
            .replace("{certificate}", &files.certificate.display().to_string());
        assert_eq!(https(Some(files)).await, format!("internal: {expected}"));
    }
    let missing = ClientCertificate { certificate: "/none.pem".into(), ..client };
    let seen = https(Some(missing)).await;
    assert!(seen.starts_with("internal: client_certificate /none.pem: No such file"), "{seen}");
}

#[tokio::test]
async fn old_versions_of_tls_are_refused_in_words() {
    let authority = Authority::new();
    let no_version = "tls: the server speaks no version of TLS that this check accepts";
    let rustls = async |versions: &[&'static SupportedProtocolVersion], min_version| {
        let certificate = authority.sign(&["shop.example.com"], NOW);
        let port = tls_server(server_config(certificate, versions)).await;
        let tls = TlsProbe { min_version, ..authority.tls() };
        patient(ProbeKind::Http(https_probe(port, tls))).await
    };
    assert_eq!(rustls(&[&TLS12], TlsVersion::V12).await, "ok");
    assert_eq!(rustls(&[&TLS13], TlsVersion::V13).await, "ok");
    assert_eq!(rustls(&[&TLS12], TlsVersion::V13).await, no_version);
    // Servers of TLS 1.0 and 1.1 say so in an alert, or choose what they know.
    let alert = b"\x15\x03\x01\x00\x02\x02\x46".to_vec();
    let mut hello = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02".to_vec();
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(b"\x00\x00\x2f\x00");
    for answer in [alert, hello] {
        let server = serve(move |mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.read(&mut [0; 4_096]).await;
            }
        });
        let wanted = https_probe(server.await.port(), authority.tls());
        assert_eq!(patient(ProbeKind::Http(wanted)).await, no_version);
    }
}
