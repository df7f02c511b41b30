//! HTTP/2 checks, against a real server and against frames written by hand.

use bytes::Bytes;
use h2::Reason;
use hyper::Response;
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, NOW, TLS_VERSIONS, server_config};
use super::*;
use crate::health::check::{HttpVersion, TlsProbe};

/// What the real server does with each request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A status, and a body in pieces.
    Pieces(u16, &'static [&'static str]),
    /// Says 103 first.
    Interim,
    /// A body without end.
    Endless,
    Reset(Reason),
    GoAway(Reason),
    /// Headers of so many bytes.
    Headers(usize),
}

async fn answer<S>(stream: S, answer: Answer)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/healthz");
        assert_eq!(request.headers()["user-agent"], "windrose");
        let head = |status: u16| Response::builder().status(status).body(()).unwrap();
        match answer {
            Answer::Pieces(status, pieces) => {
                let mut body = respond.send_response(head(status), pieces.is_empty()).unwrap();
                for (index, piece) in pieces.iter().enumerate() {
                    let last = index + 1 == pieces.len();
                    let _ = body.send_data(Bytes::from_static(piece.as_bytes()), last);
                }
            }
            Answer::Interim => {
                respond.send_informational(head(103)).unwrap();
                respond.send_response(head(200), true).unwrap();
            }
            Answer::Endless => {
                let mut body = respond.send_response(head(200), false).unwrap();
                body.send_data(Bytes::from(vec![b'x'; 64 * 1024 * 1024]), false).unwrap();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    drop(body);
                });
            }
            Answer::Reset(reason) => respond.send_reset(reason),
            Answer::GoAway(reason) => connection.abrupt_shutdown(reason),
            Answer::Headers(bytes) => {
                let mut response = head(200);
                for line in 0..bytes / 1_000 {
                    let name = format!("x-{line}").parse::<hyper::header::HeaderName>().unwrap();
                    response.headers_mut().insert(name, "y".repeat(1_000).parse().unwrap());
                }
                let _ = respond.send_response(response, true);
            }
        }
    }
}

fn http2_probe(port: u16) -> HttpProbe {
    HttpProbe { version: HttpVersion::Http2, ..http_probe(port) }
}

async fn asked(what: Answer, expect_body: Option<&str>) -> String {
    let port = serve(move |stream| answer(stream, what)).await.port();
    let mut wanted = http2_probe(port);
    wanted.expect_body = expect_body.map(|text| TextMatch::Text(text.to_owned()));
    patient(ProbeKind::Http(wanted)).await
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    let pieces = Answer::Pieces(200, &["all ", "go", "od"]);
    for (what, body, expected) in [
        (Answer::Pieces(204, &[]), None, "ok"),
        (Answer::Pieces(503, &[]), None, "status: status 503, expected 200-299"),
        (Answer::Interim, None, "ok"),
        (pieces, None, "ok"),
        (pieces, Some("all good"), "ok"),
        (pieces, Some("all bad"), "body: expected text not in the body's 8 bytes"),
        (Answer::Endless, None, "ok"),
        (Answer::Endless, Some("y"), "body: expected text not in the body's 1024 bytes"),
        (Answer::Headers(20_000), None, "ok"),
    ] {
        assert_eq!(asked(what, body).await, expected, "{what:?} {body:?}");
    }
}

#[tokio::test]
async fn a_server_that_resets_or_goes_away_says_which() {
    for (what, expected) in [
        (
            Answer::Reset(Reason::INTERNAL_ERROR),
            "reset: the server reset the stream: RST_STREAM (INTERNAL_ERROR)",
        ),
        (
            Answer::Reset(Reason::REFUSED_STREAM),
            "reset: the server reset the stream: RST_STREAM (REFUSED_STREAM)",
        ),
        (
            Answer::GoAway(Reason::ENHANCE_YOUR_CALM),
            "protocol: the server ended the connection: GOAWAY (ENHANCE_YOUR_CALM)",
        ),
        (Answer::GoAway(Reason::NO_ERROR), "protocol: connection closed before a whole response"),
        (Answer::Headers(80_000), "protocol: not HTTP/2 as it must be (PROTOCOL_ERROR)"),
    ] {
        assert_eq!(asked(what, None).await, expected, "{what:?}");
    }
}

/// A server that writes frames by hand: its settings, then `frames` over and over,
/// `times` or until the peer has enough.
async fn frames(frames: Vec<u8>, times: usize) -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let server = serve(move |stream| {
        let (frames, count) = (frames.clone(), Arc::clone(&count));
        async move {
            let (mut read, mut write) = stream.into_split();
            // Else the kernel would cut what is not read.
            tokio::spawn(
                async move { while matches!(read.read(&mut [0; 4_096]).await, Ok(1..)) {} },
            );
            let _ = write.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
            for _ in 0..times {
                if write.write_all(&frames).await.is_err() {
                    return;
                }
                count.fetch_add(frames.len(), Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
    (server.await.port(), written)
}

/// One frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn floods_of_frames_end_early_and_cost_little() {
    let (data, headers_kind, settings_kind, ping, continuation) = (0, 1, 4, 6, 9);
    let header = b"\0\x01x\x04yyyy".repeat(1_000);
    let mut endless = frame(headers_kind, 0, 1, b"\x88");
    endless.extend((0..100_000).flat_map(|_| frame(continuation, 0, 1, b"")));
    let mut headers = frame(headers_kind, 0, 1, b"\x88");
    headers.extend((0..1_000).flat_map(|_| frame(continuation, 0, 1, &header)));
    let settings: Vec<u8> = [0, 3, 0, 0, 0, 9].repeat(2_000);
    for (name, bytes, times) in [
        ("continuations without a byte", endless, 1),
        ("headers without end", headers, 1),
        ("settings", frame(settings_kind, 0, 0, &settings), 100_000),
        ("pings", frame(ping, 0, 0, b"12345678"), 1_000_000),
        ("data nobody asked for", frame(data, 0, 1, &[b'x'; 16_000]), 10_000),
        ("a frame too large", frame(data, 0, 1, &[b'x'; 60_000]), 10_000),
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), 1),
    ] {
        let (port, written) = frames(bytes, times).await;
        let started = Instant::now();
        let seen = patient(ProbeKind::Http(http2_probe(port))).await;
        assert!(seen.starts_with("protocol: "), "{name}: {seen}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
        // What the system's buffers hold, and no more.
        let written = written.load(Ordering::Relaxed);
        assert!(written < 32 * 1024 * 1024, "{name}: {written} bytes");
    }
}

#[tokio::test]
async fn a_server_without_an_answer_times_out_and_one_that_closes_says_so() {
    let (port, _) = frames(Vec::new(), 0).await;
    let seen = probe(ProbeKind::Http(http2_probe(port))).await;
    assert_eq!(seen, "timeout: no response within 400 ms");
    let closing = serve(|mut stream| async move {
        let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        let _ = stream.read(&mut [0; 4_096]).await;
        let _ = stream.shutdown().await;
        while matches!(stream.read(&mut [0; 4_096]).await, Ok(1..)) {}
    });
    let seen = patient(ProbeKind::Http(http2_probe(closing.await.port()))).await;
    assert_eq!(seen, "protocol: connection closed before a whole response");
}

/// A TLS server that offers `protocols` by ALPN and speaks what was agreed.
async fn alpn_site(authority: &Authority, protocols: &[&str]) -> u16 {
    let mut config = server_config(authority.sign(&["shop.example.com"], NOW), &TLS_VERSIONS);
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                return answer(stream, Answer::Pieces(200, &["by HTTP/2"])).await;
            }
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nby HTTP/1.1").await;
            let _ = stream.shutdown().await;
        }
    });
    server.await.port()
}

#[tokio::test]
async fn alpn_decides_or_must_agree() {
    use HttpVersion::{Any, Http1, Http2};
    let authority = Authority::new();
    let refused = "protocol: the server does not agree to HTTP/2 (ALPN)";
    for (version, protocols, body, expected) in [
        (Any, &["h2", "http/1.1"][..], "by HTTP/2", "ok"),
        (Any, &["http/1.1"], "by HTTP/1.1", "ok"),
        (Any, &[], "by HTTP/1.1", "ok"),
        (Http1, &["h2", "http/1.1"], "by HTTP/1.1", "ok"),
        (Http2, &["h2", "http/1.1"], "by HTTP/2", "ok"),
        (Http2, &["http/1.1"], "", refused),
        (Http2, &[], "", refused),
    ] {
        let mut wanted = http_probe(alpn_site(&authority, protocols).await);
        wanted.version = version;
        wanted.tls = Some(TlsProbe { ..authority.tls() });
        wanted.expect_body = Some(TextMatch::Text(body.to_owned()));
        let seen = patient(ProbeKind::Http(wanted)).await;
        assert_eq!(seen, expected, "{version:?} {protocols:?}");
    }
}
