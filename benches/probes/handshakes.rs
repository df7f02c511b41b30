//! What a TLS handshake costs the prober: the CPU time of its threads per probe,
//! with full and with resumed handshakes, beside plain HTTP.
//!
//! ```text
//! cargo run --release --example handshakes [-- SECONDS]
//! ```
//!
//! The prober is the real one; the servers run in the same process, on threads whose
//! time is not counted. A probe is all of it: connection, handshake, request, verdict.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a tool: a panic tells all

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, RsaKeySize};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use windrose::clock::Clock;
use windrose::health::check::{HttpProbe, ProbeKind, TlsProbe};
use windrose::health::plan::{Identity, Plan, Target, Thresholds};
use windrose::probe::{CheckCounters, ProbeLimits, Prober};

const TARGETS: u16 = 1_000;
const INTERVAL_MS: u32 = 1_000;
const NAME: &str = "shop.example.com";
/// Threads of the prober have these names.
const PROBER_THREADS: [&str; 2] = ["probe", "prober"];

#[derive(Clone, Copy, Debug)]
enum Key {
    P256,
    Rsa2048,
}

fn key(kind: Key) -> KeyPair {
    match kind {
        Key::P256 => KeyPair::generate().unwrap(),
        Key::Rsa2048 => {
            KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
        }
    }
}

/// A server's settings, and the file of its authority. Without tickets nothing can
/// be resumed.
fn settings(kind: Key, tickets: bool) -> (ServerConfig, tempfile::NamedTempFile) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, key(kind)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), issuer.pem()).unwrap();
    let own = key(kind);
    let certificate =
        CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap();
    if tickets {
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    } else {
        config.send_tls13_tickets = 0;
    }
    (config, file)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let _ = stream.flush().await;
    // The prober closes first.
    let _ = stream.read(&mut [0]).await;
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => answer(stream).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream).await;
                    }
                }
            }
        });
    }
}

/// Nanoseconds that the prober's threads ran.
fn prober_cpu_ns() -> u64 {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        // A thread may end meanwhile.
        let Ok(name) = fs::read_to_string(task.join("comm")) else { continue };
        let Ok(times) = fs::read_to_string(task.join("schedstat")) else { continue };
        if PROBER_THREADS.contains(&name.trim_end()) {
            sum += times.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

fn targets(port: u16, tls: Option<&TlsProbe>) -> Vec<Target> {
    let target = |path: u16| {
        let probe = HttpProbe {
            tls: tls.cloned(),
            port,
            host: Some(NAME.to_owned()),
            method: "GET".to_owned(),
            path: format!("/{path}"),
            expect_status: vec![(200, 299)],
            max_body: 65_536,
            ..HttpProbe::default()
        };
        let address = std::net::IpAddr::from([127, 0, 0, 1]).into();
        Target {
            identity: Identity { probe: ProbeKind::Http(probe), address },
            check: "ready".to_owned(),
            member: "fra".to_owned(),
            wip: None,
            datacenter: None,
            thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
            interval_ms: INTERVAL_MS,
            timeout_ms: INTERVAL_MS,
            confirm_interval_ms: INTERVAL_MS,
        }
    };
    (0..TARGETS).map(target).collect()
}

/// Probes for `window` once all targets are known, and prints what that cost.
fn measure(name: &str, port: u16, tls: Option<&TlsProbe>, window: Duration) {
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    prober.apply(Plan { targets: targets(port, tls), ..Plan::default() }).unwrap();
    let counters = || prober.metrics().checks.get("ready").cloned().unwrap_or_default();
    while !prober.ready() || counters().count() < 3 * u64::from(TARGETS) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let read = || (counters(), prober_cpu_ns());
    let (before, cpu_before_ns) = read();
    std::thread::sleep(window);
    let (after, cpu_after_ns) = read();
    let between = |value: fn(&CheckCounters) -> u64| value(&after) - value(&before);
    let (probes, passed) = (between(CheckCounters::count), between(|c| c.passed));
    let (full, resumed) = (between(|c| c.handshakes_full), between(|c| c.handshakes_resumed));
    let us = (cpu_after_ns - cpu_before_ns) as f64 / 1e3 / probes as f64;
    println!(
        "{name:24} {probes:7} {failed:6} {full:7} {resumed:8} {us:9.1} {rate:12.0}",
        failed = probes - passed,
        rate = 1e6 / us,
    );
    prober.shutdown();
}

fn main() {
    let seconds = std::env::args().nth(1).map_or(8.0, |text| text.parse().unwrap());
    let window = Duration::from_secs_f64(seconds);
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("server")
        .enable_all()
        .build()
        .unwrap();
    let start = |acceptor: Option<TlsAcceptor>| {
        let listener = servers.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        servers.spawn(serve(listener, acceptor));
        port
    };
    println!("probe                     probes failed    full  resumed  us/probe  a second/core");
    measure("http", start(None), None, window);
    for kind in [Key::P256, Key::Rsa2048] {
        for (tickets, word) in [(false, "full"), (true, "resumed")] {
            let (config, file) = settings(kind, tickets);
            let port = start(Some(TlsAcceptor::from(Arc::new(config))));
            let ca_file = Some(file.path().to_owned());
            let tls = TlsProbe { verify: true, ca_file, ..TlsProbe::default() };
            measure(&format!("https {kind:?} {word}"), port, Some(&tls), window);
        }
    }
}
