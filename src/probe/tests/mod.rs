//! Probes against real servers on loopback that answer in odd ways.

mod dns;
mod exec;
mod faults;
mod file;
mod grpc;
mod hostile;
mod http;
mod http2;
mod icmp;
mod names;
mod prober;
mod route;
mod sessions;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::attempt::{Commons, attempt};
use super::prepared::Tools;
use super::*;
use crate::health::FailureKind;
use crate::health::check::{HttpProbe, ProbeKind, TcpProbe, TextMatch};
use crate::health::plan::{Identity, ProbeAddress, Thresholds};

/// A server that hands every connection to `handler`. It lives as long as the
/// test's runtime.
pub(super) async fn serve<F, H>(handler: H) -> SocketAddr
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handler(stream));
        }
    });
    address
}

/// Reads a request's head.
pub(super) async fn read_head<S: AsyncReadExt + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A server that answers each request with `script`: text, with " | " for a pause
/// of 30 ms and a final " RST" or " HOLD" for a cut or a wait instead of a close.
pub(super) async fn scripted(script: &'static str) -> SocketAddr {
    serve(move |mut stream| async move {
        read_head(&mut stream).await;
        let (text, end) = match script.rsplit_once(' ') {
            Some((text, end @ ("RST" | "HOLD"))) => (text, end),
            _ => (script, ""),
        };
        for (index, part) in text.split(" | ").enumerate() {
            if index > 0 {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            if stream.write_all(part.as_bytes()).await.is_err() {
                return;
            }
        }
        match end {
            "RST" => {
                tokio::time::sleep(Duration::from_millis(30)).await;
                stream.set_zero_linger().unwrap();
            }
            "HOLD" => tokio::time::sleep(Duration::from_secs(60)).await,
            _ => {}
        }
    })
    .await
}

pub(super) fn http_probe(port: u16) -> HttpProbe {
    HttpProbe {
        tls: None,
        port,
        host: Some("shop.example.com".to_owned()),
        method: "GET".to_owned(),
        path: "/healthz".to_owned(),
        headers: vec![],
        expect_status: vec![(200, 299)],
        expect_body: None,
        max_body: 1_024,
        ..HttpProbe::default()
    }
}

pub(super) fn target(probe: ProbeKind) -> Target {
    Target {
        identity: Identity { probe, address: ProbeAddress::Ip([127, 0, 0, 1].into()) },
        check: "ready".to_owned(),
        member: "fra".to_owned(),
        wip: Some("shop.example.com".to_owned()),
        datacenter: None,
        thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
        interval_ms: 1_000,
        timeout_ms: 400,
        confirm_interval_ms: 100,
    }
}

/// What probes of `plan` use.
pub(super) fn tools(plan: &Plan) -> Tools {
    Tools { prepared: Arc::new(Prepared::load(plan, &Prepared::default())), session: None }
}

/// "ok" or "kind: detail" of one attempt.
pub(super) async fn probe(probe: ProbeKind) -> String {
    probe_target(target(probe)).await
}

/// The same with time enough on a busy machine: how soon is not the point.
pub(super) async fn patient(probe: ProbeKind) -> String {
    probe_target(Target { timeout_ms: 10_000, ..target(probe) }).await
}

pub(super) async fn probe_target(target: Target) -> String {
    let plan = Plan { targets: vec![target.clone()], ..Plan::default() };
    let (tools, commons) = (tools(&plan), Commons::default());
    match attempt(&target, &tools, &commons, Clock::start(), &mut Progress::default()).await {
        Ok(()) => "ok".to_owned(),
        Err(failure) => format!("{}: {}", failure.kind.as_str(), failure.detail),
    }
}

async fn http(script: &'static str) -> String {
    probe(ProbeKind::Http(http_probe(scripted(script).await.port()))).await
}

async fn http_body(script: &'static str) -> String {
    let mut wanted = http_probe(scripted(script).await.port());
    wanted.expect_body = Some(TextMatch::Text("all good".to_owned()));
    wanted.max_body = 64;
    probe(ProbeKind::Http(wanted)).await
}

#[tokio::test]
async fn status_and_headers_decide_when_no_body_is_expected() {
    for (script, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "ok"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "ok"),
        ("HTTP/1.0 200 OK\r\n\r\n", "ok"),
        // The body is not waited for.
        ("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nbegin HOLD", "ok"),
        ("HTTP/1.1 200 OK\r\nbroken: \r\n\r\n RST", "ok"),
        ("HTTP/1.1 503 Sorry\r\ncontent-length: 0\r\n\r\n", "status: status 503, expected 200-299"),
        ("HTTP/1.1 301 Go\r\nlocation: /\r\n\r\n", "status: status 301, expected 200-299"),
        // Interim responses are skipped, also when they come piecemeal.
        ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "ok"),
        (
            "HTTP/1.1 100 Continue\r\n\r\n | HTTP/1.1 102 Wait\r\n\r\n | HTTP/1.1 200 OK\r\n\r\n",
            "ok",
        ),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\n | HTTP/1.1 500 No\r\n\r\n",
            "status: status 500, expected 200-299",
        ),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", "protocol: connection closed before a whole response"),
        // A status line alone is no response.
        ("HTTP/1.1 200 OK\r\n", "protocol: connection closed before a whole response"),
        ("HTTP/1.1 200 OK\r\n HOLD", "timeout: no response within 400 ms"),
        (" HOLD", "timeout: no response within 400 ms"),
        ("", "protocol: connection closed before a whole response"),
        (" RST", "reset: response: connection reset by peer"),
        ("HTTP/1.1 200 O | K\r\ncontent- | length: 0\r | \n\r\n", "ok"),
    ] {
        assert_eq!(http(script).await, expected, "{script:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    for script in ["SSH-2.0-OpenSSH_9.6\r\n", "\u{1}\u{2}\u{3}\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"] {
        let seen = http(script).await;
        assert!(seen.starts_with("protocol: "), "{script:?}: {seen}");
    }
    let huge = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let line = format!("x: {}\r\n", "y".repeat(1_000));
        while stream.write_all(line.as_bytes()).await.is_ok() {}
    });
    let seen = probe(ProbeKind::Http(http_probe(huge.await.port()))).await;
    assert!(seen.starts_with("protocol: "), "{seen}");
}

#[tokio::test]
async fn the_expected_text_must_come_however_the_body_is_delimited() {
    for (script, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nall good", "ok"),
        // No length: the close ends it.
        ("HTTP/1.1 200 OK\r\n\r\nthings are | all good", "ok"),
        ("HTTP/1.1 200 OK\r\n\r\nall go | od", "ok"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nall \r\n | 4\r\ngood\r\n0\r\n\r\n",
            "ok",
        ),
        // Found is found, whatever follows.
        ("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nall good HOLD", "ok"),
        ("HTTP/1.1 200 OK\r\n\r\nall good RST", "ok"),
        ("HTTP/1.1 200 OK\r\n\r\nall bad", "body: expected text not in the body's 7 bytes"),
        ("HTTP/1.1 200 OK\r\n\r\n", "body: expected text not in the body's 0 bytes"),
        ("HTTP/1.1 204 None\r\n\r\n", "body: expected text not in the body's 0 bytes"),
        // Beyond max_body nothing is seen.
        (
            "HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123all good",
            "body: expected text not in the body's 64 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nall",
            "protocol: connection closed before a whole response",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "protocol: "),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nall HOLD",
            "timeout: expected text not in the body within 400 ms",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nall RST",
            "reset: response: connection reset by peer",
        ),
        // The status is judged first.
        ("HTTP/1.1 500 No\r\n\r\nall good", "status: status 500, expected 200-299"),
    ] {
        let seen = http_body(script).await;
        let prefix = expected.ends_with(": ") && seen.starts_with(expected);
        assert!(seen == expected || prefix, "{script:?}: {seen}");
    }
}

#[tokio::test]
async fn the_request_is_what_the_check_says() {
    let (sender, mut heads) = mpsc::unbounded_channel();
    let server = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            sender.send(read_head(&mut stream).await).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    });
    let mut wanted = http_probe(server.await.port());
    assert_eq!(probe(ProbeKind::Http(wanted.clone())).await, "ok");
    assert_eq!(
        heads.recv().await.unwrap(),
        "GET /healthz HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: windrose\r\n\
         Connection: close\r\n\r\n"
    );
    wanted.method = "HEAD".to_owned();
    wanted.path = "/ready?deep=1".to_owned();
    wanted.host = Some("shop.example.com:8080".to_owned());
    wanted.headers = vec![
        ("X-Probe".to_owned(), "a".to_owned()),
        ("user-agent".to_owned(), "mine/1".to_owned()),
        ("x-probe".to_owned(), "b".to_owned()),
    ];
    assert_eq!(probe(ProbeKind::Http(wanted.clone())).await, "ok");
    assert_eq!(
        heads.recv().await.unwrap(),
        "HEAD /ready?deep=1 HTTP/1.1\r\nHost: shop.example.com:8080\r\nUser-Agent: mine/1\r\n\
         X-Probe: a\r\nX-Probe: b\r\nConnection: close\r\n\r\n"
    );
    for (path, method) in [("/a b", "GET"), ("/ok", "G T")] {
        wanted.path = path.to_owned();
        wanted.method = method.to_owned();
        let seen = probe(ProbeKind::Http(wanted.clone())).await;
        assert!(seen.starts_with("internal: request: "), "{seen}");
    }
}

#[tokio::test]
async fn without_a_host_the_address_is_named() {
    let (sender, mut heads) = mpsc::unbounded_channel();
    for (local, host) in [("127.0.0.1:0", "Host: 127.0.0.1\r\n"), ("[::1]:0", "Host: [::1]\r\n")] {
        // A host may well have no IPv6.
        let Ok(listener) = TcpListener::bind(local).await else { continue };
        let address = listener.local_addr().unwrap();
        let sender = sender.clone();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            sender.send(read_head(&mut stream).await).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        });
        let wanted = HttpProbe { host: None, ..http_probe(address.port()) };
        let mut target = target(ProbeKind::Http(wanted));
        target.identity.address = address.ip().into();
        let (tools, commons) = (Tools::default(), Commons::default());
        attempt(&target, &tools, &commons, Clock::start(), &mut Progress::default()).await.unwrap();
        let head = heads.recv().await.unwrap();
        assert!(head.contains(host), "{head}");
    }
}

fn tcp_probe(port: u16, send: Option<&str>, expect: Option<&str>) -> ProbeKind {
    ProbeKind::Tcp(TcpProbe {
        port,
        tls: None,
        send: send.map(str::to_owned),
        expect: expect.map(str::to_owned),
        ..TcpProbe::default()
    })
}

#[tokio::test]
async fn tcp_connects_sends_and_expects() {
    let echo = serve(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    let port = echo.await.port();
    assert_eq!(probe(tcp_probe(port, None, None)).await, "ok");
    assert_eq!(probe(tcp_probe(port, Some("PING\r\n"), Some("PING"))).await, "ok");
    let seen = probe(tcp_probe(port, Some("PING\r\n"), Some("PONG"))).await;
    assert_eq!(seen, "timeout: expected text not received within 400 ms");
    let greeter = serve(|mut stream| async move {
        for part in ["220 ma", "il ready", "\r\n"] {
            let _ = stream.write_all(part.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let port = greeter.await.port();
    assert_eq!(probe(tcp_probe(port, None, Some("mail ready"))).await, "ok");
    let seen = probe(tcp_probe(port, None, Some("220 db"))).await;
    assert_eq!(seen, "body: expected text not in the 16 bytes received");
    let flood =
        serve(|mut stream| async move { while stream.write_all(&[b'x'; 4_096]).await.is_ok() {} });
    let seen = probe(tcp_probe(flood.await.port(), None, Some("y"))).await;
    assert!(seen.starts_with("body: expected text not in the 6"), "{seen}");
}

#[tokio::test]
async fn what_is_sent_last_arrives() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let server = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text).await;
            sender.send(text).unwrap();
        }
    });
    assert_eq!(probe(tcp_probe(server.await.port(), Some("bye\r\n"), None)).await, "ok");
    assert_eq!(received.recv().await.unwrap(), "bye\r\n");
}

#[tokio::test]
async fn a_closed_port_is_refused_and_a_silent_one_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let started = Instant::now();
    let seen = probe(ProbeKind::Http(http_probe(port))).await;
    assert_eq!(seen, "timeout: no response within 400 ms", "accepted by the kernel alone");
    let elapsed_ms = started.elapsed().as_millis();
    assert!((380..800).contains(&elapsed_ms), "one deadline over all: {elapsed_ms} ms");
    drop(listener);
    for wanted in [ProbeKind::Http(http_probe(port)), tcp_probe(port, None, None)] {
        assert_eq!(probe(wanted).await, "refused: connect: connection refused");
    }
}

#[tokio::test]
async fn a_slow_answer_meets_one_deadline_over_the_whole_probe() {
    // Each byte is in time, all of them together are not.
    let server = serve(|mut stream| async move {
        read_head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\n\r\n" {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = stream.write_all(&[*byte]).await;
        }
    });
    let seen = probe(ProbeKind::Http(http_probe(server.await.port()))).await;
    assert_eq!(seen, "timeout: no response within 400 ms");
}

#[test]
fn a_deadline_missed_by_a_stopped_prober_is_ours() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let attempt = tokio::spawn(async move { probe(tcp_probe(port, None, Some("x"))).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The only thread stands still, as in a stopped virtual machine.
        thread::sleep(Duration::from_millis(1_200));
        let seen = attempt.await.unwrap();
        assert!(seen.starts_with("internal: the prober stood still for "), "{seen}");
    });
}

#[test]
fn kinds_have_counters() {
    assert_eq!(CheckCounters::default().failed.len(), FailureKind::ALL.len());
}
