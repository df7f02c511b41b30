//! DNS over HTTPS (RFC 8484) from outside, over each version of HTTP: point 19 of
//! docs/RFCS.md; what is sent to hurt: points 24 and 31.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use windrose::metrics;

use crate::battery::query;
use crate::http::{Client, MEDIA_TYPE, PATH, VERSIONS, Version, get, get_at, post, runtime, tls};
use crate::quic;
use crate::server::Server;

const WITHIN: Duration = Duration::from_secs(20);
const A: u16 = 1;
const IN: u16 = 1;
const NAME: &str = "www.gslb.example.com";

fn clients(server: &Server) -> impl Iterator<Item = (Version, Client)> + use<'_> {
    VERSIONS.into_iter().map(|version| (version, Client::connect(server, version)))
}

fn with(method: Method, target: &str, kind: Option<&str>, body: Vec<u8>) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    request.body(body.into()).unwrap()
}

/// Points 19 and 20 (RFC 8484 4.1, 4.2.1).
#[test]
fn each_request_has_its_status_over_each_version() {
    let server = Server::start();
    let asked = query(NAME, A, IN);
    let mut response = asked.clone();
    response[2] |= 0x80;
    let post_of = |kind: Option<&str>, body: &[u8]| with(Method::POST, PATH, kind, body.to_vec());
    for (version, mut client) in clients(&server) {
        let cases: Vec<(&str, Request<Bytes>, u16)> = vec![
            ("GET", get(&asked), 200),
            ("POST", post(&asked), 200),
            (
                "HEAD",
                with(
                    Method::HEAD,
                    get(&asked).uri().path_and_query().unwrap().as_str(),
                    None,
                    vec![],
                ),
                200,
            ),
            ("no parameter", get_at(PATH), 400),
            ("padding", get_at("/dns-query?dns=AAAAAA=="), 400),
            ("not base64url", get_at("/dns-query?dns=A+/A"), 400),
            ("no header", get_at("/dns-query?dns=AAAA"), 400),
            ("a response", post(&response), 400),
            ("an empty body", post(&[]), 400),
            ("another path", get_at("/"), 404),
            ("the API", get_at("/api/v1/status"), 404),
            ("metrics", get_at("/metrics"), 404),
            ("another method", with(Method::PUT, PATH, Some(MEDIA_TYPE), asked.clone()), 405),
            ("no type", post_of(None, &asked), 415),
            ("another type", post_of(Some("text/plain"), &asked), 415),
        ];
        for (what, request, status) in cases {
            let is_head = request.method() == Method::HEAD;
            let response = client.send(request);
            assert_eq!(response.status(), status, "{what} over {version:?}");
            assert_eq!(response.body().is_empty(), is_head, "{what} over {version:?}");
            let allow = response.headers().get("allow").map(hyper::http::HeaderValue::as_bytes);
            let expected = (status == 405).then_some(&b"GET, HEAD, POST"[..]);
            assert_eq!(allow, expected, "{what} over {version:?}");
            if is_head {
                assert_eq!(response.headers()["content-length"], "54");
            }
        }
    }
}

/// Point 19 (RFC 8484 4.2.1): more than a message can have.
#[test]
fn a_body_that_is_too_long_is_refused() {
    let server = Server::start();
    for version in VERSIONS {
        // The longest is taken, and is no query.
        let longest = Client::connect(&server, version).send(post(&vec![0xff; 65_535]));
        assert_eq!(longest.status(), StatusCode::BAD_REQUEST, "{version:?}");
        let longer = Client::connect(&server, version).try_send(post(&vec![0xff; 65_536]));
        // Or the connection ends while the body is still being sent.
        if let Some(longer) = longer {
            assert_eq!(longer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{version:?}");
        } else {
            assert_ne!(version, Version::Two);
        }
    }
}

/// Point 19 (RFC 8484 5.1).
#[test]
fn a_reply_is_fresh_for_as_long_as_its_records() {
    let server = Server::start();
    let cases = [
        ("www.gslb.example.com", 1, "max-age=300"),
        ("chain.gslb.example.com", 1, "max-age=300"),
        ("shop.gslb.example.com", 1, "max-age=30"),
        ("www.example.org", 1, "max-age=0"),
    ];
    for (version, mut client) in clients(&server) {
        for (name, kind, expected) in cases {
            let response = client.send(get(&query(name, kind, IN)));
            assert_eq!(response.status(), 200, "{name}: a DNS error is none of HTTP");
            let shown = response.headers()["cache-control"].to_str().unwrap();
            assert_eq!(shown, expected, "{name} over {version:?}");
        }
        // NXDOMAIN: the SOA's, which is 60 s at most of a zone made from the config.
        let response = client.send(get(&query("no.gslb.example.com", 1, IN)));
        let age = response.headers()["cache-control"].to_str().unwrap().to_owned();
        let reply = response.into_body();
        assert_eq!(reply[3] & 0x0f, 3);
        let minimum = u32::from_be_bytes(*reply.last_chunk().unwrap());
        assert_eq!(age, format!("max-age={minimum}"), "{version:?}");
    }
}

/// RFC 7838: who comes over TCP is told of HTTP/3.
#[test]
fn http3_is_told_of() {
    let server = Server::start();
    let port = server.encrypted(metrics::Transport::Doh3).port();
    for version in [Version::One, Version::Two] {
        let response = Client::connect(&server, version).send(get(&query(NAME, A, IN)));
        assert_eq!(response.headers()["alt-svc"], format!("h3=\":{port}\"; ma=86400"));
    }
}

/// Point 19: a client that offers other protocols alone is refused (RFC 7301 3.2).
#[test]
fn another_protocol_is_refused_in_the_handshake() {
    let server = Server::start();
    let refused = runtime().block_on(async { tls(&server, "dot").await });
    assert!(refused.is_err());
}

/// Points 24 and 31: heads are bounded in number and length (RFC 6585 5).
#[test]
fn floods_of_headers_are_refused() {
    let server = Server::start();
    let asked = query(NAME, A, IN);
    for version in VERSIONS {
        let mut long = get(&asked);
        long.headers_mut().insert("x-long", "x".repeat(30_000).parse().unwrap());
        // Or the connection ends.
        if let Some(response) = Client::connect(&server, version).try_send(long) {
            assert_eq!(response.status(), 431, "{version:?}");
        }
    }
    let mut many = get(&asked);
    for index in 0..65 {
        let name: hyper::header::HeaderName = format!("x-{index}").parse().unwrap();
        many.headers_mut().insert(name, "x".parse().unwrap());
    }
    let response = Client::connect(&server, Version::One).send(many);
    assert_eq!(response.status(), 431);
    for (version, mut client) in clients(&server) {
        assert_eq!(client.send(get(&asked)).status(), 200, "{version:?}: others are served");
    }
}

/// Points 24 and 31: a request that is reset as soon as it is sent, again and again, ends
/// the connection (CVE-2023-44487).
#[test]
fn a_flood_of_resets_ends_its_connection() {
    let server = Server::start();
    let asked = query(NAME, A, IN);
    runtime().block_on(async {
        let stream = tls(&server, "h2").await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let flood = async {
            for _ in 0..20_000 {
                sender = sender.ready().await?;
                let request = Request::post(format!("https://dns.example{PATH}"))
                    .header("content-type", MEDIA_TYPE);
                let (response, mut body) = sender.send_request(request.body(()).unwrap(), false)?;
                body.send_reset(h2::Reason::CANCEL);
                drop(response);
            }
            Ok::<_, h2::Error>(())
        };
        let flooded = timeout(WITHIN, flood).await.unwrap();
        let ended = timeout(WITHIN, connection).await;
        let told = flooded.is_err() || matches!(ended, Ok(Ok(Err(_))));
        assert!(told, "20,000 resets were taken");
    });
    assert_eq!(Client::connect(&server, Version::Two).send(get(&asked)).status(), 200);
}

/// One frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Points 24 and 31: a head that never ends, in CONTINUATION frames (CVE-2024-27316).
#[test]
fn a_flood_of_continuations_ends_its_connection() {
    let server = Server::start();
    let ended = async {
        let mut stream = tls(&server, "h2").await.unwrap();
        let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        begin.extend(frame(4, 0, 0, &[]));
        // HEADERS without END_HEADERS; a literal field without end.
        begin.extend(frame(1, 0, 1, &[0x00, 0x01, b'x', 0x7f, 0xff, 0xff, 0xff, 0x07]));
        stream.write_all(&begin).await.unwrap();
        let more = frame(9, 0, 1, &[b'x'; 16_000]);
        for sent in 0.. {
            assert!(sent < 100, "1.6 MB of a head were taken");
            if stream.write_all(&more).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            let mut reply = [0; 1024];
            let read = timeout(Duration::from_millis(20), stream.read(&mut reply)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                return;
            }
        }
    };
    runtime().block_on(async { timeout(WITHIN, ended).await.unwrap() });
    let mut client = Client::connect(&server, Version::Two);
    assert_eq!(client.send(get(&query(NAME, A, IN))).status(), 200);
}

/// Points 24 and 31: a frame of HTTP/3 that is said to be endless is not kept.
#[test]
fn an_endless_frame_of_http3_is_cut_off() {
    let server = Server::start();
    runtime().block_on(async {
        let opened = quic::open(&server, metrics::Transport::Doh3, "h3").await;
        let connection = opened.1.unwrap();
        let mut control = connection.open_uni().await.unwrap();
        // A control stream with SETTINGS.
        control.write_all(&[0, 4, 0]).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        // HEADERS of a gigabyte.
        send.write_all(&[1, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]).await.unwrap();
        let mut sent = 0;
        let flood = async {
            while send.write_all(&[0; 8 * 1024]).await.is_ok() {
                sent += 8 * 1024;
                assert!(sent < 2 << 20, "2 MiB of a frame were taken");
            }
        };
        timeout(WITHIN, flood).await.unwrap();
    });
    let mut client = Client::connect(&server, Version::Three);
    assert_eq!(client.send(get(&query(NAME, A, IN))).status(), 200);
}

/// Point 31: a body that does not come is not waited for.
#[test]
fn a_slow_body_is_given_up() {
    let server = Server::with("tcp_message_timeout = \"300ms\"");
    let slow = async {
        let mut stream = tls(&server, "http/1.1").await.unwrap();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: {MEDIA_TYPE}\r\n\
             content-length: 100\r\n\r\nabc"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        let mut room = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut room).await {
            reply.extend_from_slice(&room[..read]);
        }
        String::from_utf8(reply).unwrap()
    };
    let reply = runtime().block_on(async { timeout(WITHIN, slow).await.unwrap() });
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

/// Point 31: a connection on which nothing is asked is closed, whatever else is sent.
#[test]
fn an_idle_connection_is_closed() {
    let server = Server::with("tcp_idle_timeout = \"300ms\"");
    runtime().block_on(async {
        // Half a head; a connection of HTTP/2 that pings.
        let mut stream = tls(&server, "http/1.1").await.unwrap();
        stream.write_all(b"GET /dns").await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(WITHIN, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "half a head keeps a connection");
        let stream = tls(&server, "h2").await.unwrap();
        let (_sender, mut connection) = h2::client::handshake(stream).await.unwrap();
        let mut pings = connection.ping_pong().unwrap();
        tokio::spawn(async move { while pings.ping(h2::Ping::opaque()).await.is_ok() {} });
        assert!(timeout(WITHIN, connection).await.is_ok(), "pings keep a connection");
    });
}

/// Point 31: connections of one client have a cap of each transport's own.
#[test]
fn one_client_has_so_many_connections() {
    let server = Server::with("tcp_connections_per_client_max = 2");
    let asked = query(NAME, A, IN);
    let mut held: Vec<Client> = (0..2).map(|_| Client::connect(&server, Version::One)).collect();
    for client in &mut held {
        assert_eq!(client.send(get(&asked)).status(), 200);
    }
    let third = runtime().block_on(async {
        let mut stream = tls(&server, "http/1.1").await?;
        let mut rest = Vec::new();
        timeout(WITHIN, stream.read_to_end(&mut rest)).await.unwrap()
    });
    assert!(matches!(third, Ok(0) | Err(_)), "{third:?}");
    for client in &mut held {
        assert_eq!(client.send(get(&asked)).status(), 200);
    }
    assert_eq!(Client::connect(&server, Version::Three).send(get(&asked)).status(), 200);
}

/// Point 29: who is connected at a stop is told (RFC 9113 6.8).
#[test]
fn a_stop_says_goodbye() {
    let server = Server::start();
    let runtime = runtime();
    let mut connection = None;
    runtime.block_on(async {
        let stream = tls(&server, "h2").await.unwrap();
        let (sender, driver) = h2::client::handshake(stream).await.unwrap();
        connection = Some(tokio::spawn(driver));
        let mut sender = sender.ready().await.unwrap();
        let request =
            Request::get(format!("https://dns.example{}", get(&query(NAME, A, IN)).uri()));
        let (response, _) = sender.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
    });
    server.stop();
    let ended =
        runtime.block_on(async { timeout(WITHIN, connection.unwrap()).await.unwrap().unwrap() });
    assert!(ended.is_ok(), "{ended:?}");
}
