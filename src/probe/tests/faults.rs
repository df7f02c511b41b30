//! Back ends that misbehave: how each failure is called, and what it costs.

use super::*;

/// One attempt against `server`, and how long it took.
async fn timed(mut wanted: HttpProbe, server: SocketAddr) -> (String, Duration) {
    wanted.port = server.port();
    let started = Instant::now();
    let seen = probe(ProbeKind::Http(wanted)).await;
    (seen, started.elapsed())
}

fn expecting(text: &str, max_body: u32) -> HttpProbe {
    let expect_body = Some(TextMatch::Text(text.to_owned()));
    HttpProbe { expect_body, max_body, ..http_probe(0) }
}

/// What fails by itself or at a deadline of 400 ms; a busy machine may add to that,
/// but not so much.
const IN_TIME: Duration = Duration::from_secs(3);

/// A server that drips `text`, a byte each 20 ms, without end.
async fn dripping(first: &'static str, drop: &'static str) -> SocketAddr {
    serve(move |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(first.as_bytes()).await;
        while stream.write_all(drop.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn whoever_drips_meets_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\n";
    let body = "HTTP/1.1 200 OK\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let in_body = "timeout: expected text not in the body within 400 ms";
    for (first, drop, expected) in [
        ("", "H", "timeout: no response within 400 ms"),
        (head, "x", "timeout: no response within 400 ms"),
        (head, "x: y\r\n", "timeout: no response within 400 ms"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", "timeout: no response within 400 ms"),
        (body, "x", in_body),
        (chunked, "1\r\nx\r\n", in_body),
        (chunked, "1;x=y\r\nx\r\n", in_body),
    ] {
        let (seen, took) = timed(expecting("all good", 1_024), dripping(first, drop).await).await;
        assert!(seen.starts_with(expected), "{first:?} {drop:?}: {seen}");
        assert!(took < IN_TIME, "{took:?}");
    }
}

/// A server that writes `first`, then `more` as often as it can, `times` at most.
/// Counts the bytes it could write.
async fn pushing(
    first: &'static str,
    more: Vec<u8>,
    times: usize,
) -> (SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let server = serve(move |mut stream| {
        let (more, count) = (more.clone(), Arc::clone(&count));
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(first.as_bytes()).await;
            for _ in 0..times {
                if stream.write_all(&more).await.is_err() {
                    return;
                }
                count.fetch_add(more.len(), Ordering::Relaxed);
            }
        }
    });
    (server.await, written)
}

#[tokio::test]
async fn large_and_endless_answers_cost_max_body_and_no_more() {
    const KIB: usize = 1_024;
    let mib_64 = "HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n";
    let unbounded = "HTTP/1.1 200 OK\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let missing = "body: expected text not in the body's 65536 bytes";
    let x = vec![b'x'; 64 * KIB];
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend_from_slice(&x);
    chunk.extend_from_slice(b"\r\n");
    let too_much = "protocol: the peer sent more than 262144 bytes and no whole response";
    for (name, first, more, times, expected) in [
        ("64 KiB and the text", unbounded, [&x[8..], b"all good"].concat(), 1, "ok"),
        ("64 KiB without it", unbounded, x.clone(), 1, missing),
        ("64 MiB", mib_64, x.clone(), 1_024, missing),
        ("an endless body", unbounded, x.clone(), 1 << 20, missing),
        ("endless chunks", chunked, chunk, 1 << 20, missing),
        ("chunks of one byte", chunked, b"1\r\nx\r\n".repeat(10_000), 1 << 20, too_much),
        ("interim responses", "", b"HTTP/1.1 100 X\r\n\r\n".repeat(500), 1 << 20, too_much),
        (
            "a header without end",
            "HTTP/1.1 200 OK\r\nx: ",
            x,
            1 << 20,
            "protocol: response headers too large",
        ),
    ] {
        let (server, written) = pushing(first, more, times).await;
        let mut wanted = expecting("all good", 64 * KIB as u32);
        wanted.port = server.port();
        let mut target = target(ProbeKind::Http(wanted));
        // What is asserted is that it ends by itself.
        target.timeout_ms = 20_000;
        let plan = Plan { targets: vec![target.clone()], ..Plan::default() };
        let started = Instant::now();
        let result = attempt(
            &target,
            &tools(&plan),
            &Commons::default(),
            Clock::start(),
            &mut Progress::default(),
        )
        .await;
        let seen = result.map_or_else(|failure| failure.to_string(), |()| "ok".to_owned());
        assert_eq!(seen, expected, "{name}");
        assert!(started.elapsed() < Duration::from_secs(10), "{name}: {:?}", started.elapsed());
        // What the system's buffers hold, and no more.
        let written = written.load(Ordering::Relaxed);
        assert!(written < 24 * KIB * KIB, "{name}: {written} bytes");
    }
    // Without a text to find the body is not read at all.
    let (server, _) = pushing(mib_64, vec![b'x'; 64 * KIB], 1_024).await;
    assert_eq!(patient(ProbeKind::Http(http_probe(server.port()))).await, "ok");
}

#[tokio::test]
async fn garbage_and_smuggled_lengths_are_protocol_failures() {
    let chunked =
        |chunks: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
    let good = "8\r\nall good\r\n0\r\n\r\n";
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ntransfer-encoding: chunked\r\n\r\n";
    for (name, text, expected) in [
        ("good chunks", chunked(good), "ok"),
        (
            "both lengths",
            format!("{both}{good}"),
            "protocol: both Content-Length and Transfer-Encoding",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ncontent-length: 9\r\n\r\nall good".to_owned(),
            "protocol: ",
        ),
        (
            "a length below zero",
            "HTTP/1.1 200 OK\r\ncontent-length: -8\r\n\r\nall good".to_owned(),
            "protocol: ",
        ),
        (
            "a chunk size beyond all numbers",
            chunked("fffffffffffffffff8\r\nall good\r\n"),
            "protocol: bad chunks",
        ),
        ("a chunk size that is none", chunked("0x8\r\nall good\r\n"), "protocol: bad chunks"),
        ("no chunk size", chunked("\r\nall good\r\n"), "protocol: bad chunks"),
        (
            "a line break in an extension",
            chunked("8;a=\"\nb\r\nall good\r\n"),
            "protocol: bad chunks",
        ),
        (
            "an extension without end",
            chunked(&format!("8;{}\r\nall good\r\n", "x".repeat(20_000))),
            "protocol: bad chunks",
        ),
        ("no end of a chunk", chunked("4\r\nall good\r\n"), "protocol: bad chunks"),
        ("cut chunks", chunked("8\r\nall "), "protocol: connection closed before a whole response"),
        (
            "a header that is none",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\nall good".to_owned(),
            "protocol: not an HTTP/1.1 response",
        ),
        (
            "a space before the colon",
            "HTTP/1.1 200 OK\r\nx : y\r\n\r\nall good".to_owned(),
            "protocol: not an HTTP/1.1 response",
        ),
        ("another protocol", "220 mail ready\r\n".to_owned(), "protocol: not an HTTP/1.1 response"),
        ("nothing but zeros", "\0\0\0\0\0\0\0\0".to_owned(), "protocol: not an HTTP/1.1 response"),
        ("HTTP/2 frames", "\0\0\0\u{4}\0\0\0\0\0".to_owned(), "protocol: not an HTTP/1.1 response"),
    ] {
        let mut wanted = expecting("all good", 1_024);
        wanted.port = scripted(text.leak()).await.port();
        let started = Instant::now();
        let seen = patient(ProbeKind::Http(wanted)).await;
        let took = started.elapsed();
        let matches = if expected == "ok" { seen == "ok" } else { seen.starts_with(expected) };
        assert!(matches, "{name}: {seen}");
        assert!(took < IN_TIME, "{name}: {took:?}");
    }
}

#[tokio::test]
async fn a_cut_in_the_body_is_a_reset_and_a_stalled_handshake_a_timeout() {
    let server = scripted("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nbegin RST").await;
    let (seen, took) = timed(expecting("all good", 1_024), server).await;
    assert_eq!(seen, "reset: response: connection reset by peer");
    assert!(took < IN_TIME);
    // Half a ServerHello, and then nothing.
    let stalled = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4_096]).await;
        let _ = stream.write_all(b"\x16\x03\x03\x00\x7a\x02\x00").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let tls = crate::health::check::TlsProbe::default();
    let wanted = HttpProbe { tls: Some(tls), ..http_probe(0) };
    let (seen, took) = timed(wanted, stalled.await).await;
    assert_eq!(seen, "timeout: no TLS handshake within 400 ms");
    assert!(took < IN_TIME);
}
