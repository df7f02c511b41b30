//! HTTP checks: bodies by pattern, redirects.

use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, NOW, TLS_VERSIONS, server_config};
use super::*;
use crate::health::check::TlsProbe;

async fn matched(pattern: &str, script: &'static str) -> String {
    let mut wanted = http_probe(scripted(script).await.port());
    wanted.expect_body = Some(TextMatch::Regex(pattern.to_owned()));
    wanted.max_body = 64;
    patient(ProbeKind::Http(wanted)).await
}

#[tokio::test]
async fn a_pattern_must_match_within_max_body() {
    let good = "HTTP/1.1 200 OK\r\n\r\nnodes: | 3 of 3\nall up\n";
    for (pattern, script, expected) in [
        (r"nodes: *[3-9] of", good, "ok"),
        (r"(?m)^all up$", good, "ok"),
        (r"\Anodes", good, "ok"),
        (r"of 4", good, "body: no match of expect_body_regex in the body's 20 bytes"),
        ("(?i)READY", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nready: all HOLD", "ok"),
        ("ready$", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready HOLD", "ok"),
        (
            "good",
            "HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123good",
            "body: no match of expect_body_regex in the body's 64 bytes",
        ),
    ] {
        assert_eq!(matched(pattern, script).await, expected, "{pattern} in {script:?}");
    }
    // What comes next could undo it.
    let script = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nready HOLD";
    let mut wanted = http_probe(scripted(script).await.port());
    wanted.expect_body = Some(TextMatch::Regex("ready$".to_owned()));
    let seen = probe(ProbeKind::Http(wanted)).await;
    assert_eq!(seen, "timeout: expected text not in the body within 400 ms");
    let seen = matched("(", good).await;
    assert!(seen.starts_with("internal: expect_body_regex: "), "{seen}");
}

/// A site that answers each path by `answer`: head lines and body. Tells what it
/// was asked.
async fn site(
    answer: impl Fn(&str) -> String + Clone + Send + 'static,
) -> (u16, mpsc::UnboundedReceiver<String>) {
    let (sender, asked) = mpsc::unbounded_channel();
    let server = serve(move |mut stream| {
        let (sender, answer) = (sender.clone(), answer.clone());
        async move {
            let head = read_head(&mut stream).await;
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let _ = sender.send(head);
            let _ = stream.write_all(format!("HTTP/1.1 {}", answer(&path)).as_bytes()).await;
        }
    });
    (server.await.port(), asked)
}

fn following(port: u16) -> HttpProbe {
    HttpProbe { redirects_max: 5, ..http_probe(port) }
}

/// What `location` in answer to the first request leads to.
async fn redirected(status: u16, location: &'static str) -> (String, Vec<String>) {
    let (port, mut asked) = site(move |path| match path {
        "/healthz" => format!("{status} X\r\nlocation: {location}\r\n\r\n"),
        "/again" => "302 X\r\nlocation: /healthz\r\n\r\n".to_owned(),
        "/more0" | "/more1" | "/more2" | "/more3" | "/more4" => {
            let next = path[5..].parse::<u8>().unwrap() + 1;
            format!("307 X\r\nlocation: /more{next}\r\n\r\n")
        }
        _ => "200 OK\r\n\r\n".to_owned(),
    })
    .await;
    let seen = patient(ProbeKind::Http(following(port))).await;
    let mut heads = Vec::new();
    while let Ok(head) = asked.try_recv() {
        heads.push(head);
    }
    (seen, heads)
}

#[tokio::test]
async fn redirects_are_followed_at_the_same_address() {
    for (status, location, expected, requests) in [
        (301, "/ready", "ok", 2),
        (302, "ready?x=1", "ok", 2),
        (303, "/more1", "ok", 6),
        (307, "/more0", "status: more than 5 redirects", 6),
        (308, "/again", "status: redirect loop", 2),
        (302, "/healthz", "status: redirect loop", 1),
        (302, "", "status: status 302 with unusable location \"\"", 1),
        (302, "gopher://x/", "status: status 302 with unusable location \"gopher://x/\"", 1),
        // These are not redirects.
        (300, "/ready", "status: status 300, expected 200-299", 1),
        (304, "/ready", "status: status 304, expected 200-299", 1),
        (200, "/again", "ok", 1),
    ] {
        let (seen, heads) = redirected(status, location).await;
        assert_eq!((seen.as_str(), heads.len()), (expected, requests), "{status} {location}");
    }
}

#[tokio::test]
async fn a_location_names_scheme_host_and_port_but_not_the_address() {
    let (other, mut asked) = site(|_| "200 OK\r\n\r\n".to_owned()).await;
    let (port, _) =
        site(move |_| format!("302 X\r\nlocation: http://www.example.net:{other}/x\r\n\r\n")).await;
    let mut wanted = following(port);
    wanted.method = "POST".to_owned();
    wanted.headers = vec![
        ("Host".to_owned(), "mine".to_owned()),
        ("Authorization".to_owned(), "Basic eDp5".to_owned()),
        ("ACCEPT-Language".to_owned(), "de".to_owned()),
    ];
    assert_eq!(patient(ProbeKind::Http(wanted.clone())).await, "ok");
    let expected = format!(
        "GET /x HTTP/1.1\r\nHost: www.example.net:{other}\r\nUser-Agent: windrose\r\n\
         Accept-Language: de\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(asked.recv().await.unwrap(), expected);
    // Nor is it followed where its status is what is expected, or nothing asks for it.
    wanted.expect_status = vec![(302, 302)];
    assert_eq!(patient(ProbeKind::Http(wanted.clone())).await, "ok");
    wanted.redirects_max = 0;
    assert_eq!(patient(ProbeKind::Http(wanted)).await, "ok");
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn headers_of_the_check_go_to_its_own_host_and_port_alone() {
    let (other, mut asked_other) = site(|_| "200 OK\r\n\r\n".to_owned()).await;
    let with_secret = |port| {
        let headers = vec![("X-Api-Key".to_owned(), "secret".to_owned())];
        ProbeKind::Http(HttpProbe { headers, ..following(port) })
    };
    for (location, told) in [
        ("/x".to_owned(), true),
        ("http://SHOP.example.com:{port}/x".to_owned(), true),
        ("http://www.example.com:{port}/x".to_owned(), false),
        (format!("http://shop.example.com:{other}/x"), false),
    ] {
        let (port, mut asked) = site(move |path| match path.strip_prefix("/healthz?") {
            Some(port) => {
                format!("302 X\r\nlocation: {}\r\n\r\n", location.replace("{port}", port))
            }
            None => "200 OK\r\n\r\n".to_owned(),
        })
        .await;
        let mut probe = with_secret(port);
        let ProbeKind::Http(http) = &mut probe else { unreachable!() };
        http.path = format!("/healthz?{port}");
        assert_eq!(patient(probe).await, "ok");
        assert!(asked.recv().await.unwrap().contains("X-Api-Key"));
        let second = asked.try_recv().or_else(|_| asked_other.try_recv()).unwrap();
        assert_eq!(second.contains("secret"), told, "{second}");
    }
}

/// An https site that sends everyone to `location`.
pub(super) async fn tls_redirector(certificate: CertifiedKey, location: &'static str) -> u16 {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(certificate, &TLS_VERSIONS)));
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let head = read_head(&mut stream).await;
            let text = match head.starts_with("GET /healthz ") {
                true => format!("HTTP/1.1 302 X\r\nlocation: {location}\r\n\r\n"),
                false => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.flush().await;
        }
    });
    server.await.port()
}

#[tokio::test]
async fn a_redirect_never_leaves_tls_and_is_verified_by_its_own_name() {
    let authority = Authority::new();
    let certificate = || authority.sign(&["shop.example.com"], NOW);
    let https = async |location| {
        let mut wanted = following(tls_redirector(certificate(), location).await);
        wanted.tls = Some(authority.tls());
        // The location's port is the default one: what counts is how far it gets.
        patient(ProbeKind::Http(wanted)).await
    };
    assert_eq!(https("/ready").await, "ok");
    assert_eq!(https("http://shop.example.com/").await, "status: redirect from https to http");
    let port = tls_redirector(certificate(), "/").await;
    let other = format!("HTTP/1.1 302 X\r\nlocation: https://www.example.com:{port}/\r\n\r\n");
    let first = scripted(other.leak()).await.port();
    // With the system's roots, which do not know this authority, or are none.
    let seen = patient(ProbeKind::Http(following(first))).await;
    let ours = "internal: this host has no root certificates";
    assert!(seen == "tls: certificate from an unknown issuer" || seen.starts_with(ours), "{seen}");
}

#[tokio::test]
async fn the_name_of_a_redirect_is_the_name_verified() {
    let authority = Authority::new();
    let names = ["shop.example.com"];
    let second = tls_redirector(authority.sign(&names, NOW), "/").await;
    let location = format!("https://www.example.com:{second}/x").leak();
    let mut wanted = following(tls_redirector(authority.sign(&names, NOW), location).await);
    // The check's SNI is for its own host.
    wanted.tls = Some(TlsProbe { sni: Some("shop.example.com".to_owned()), ..authority.tls() });
    let seen = patient(ProbeKind::Http(wanted)).await;
    let expected = "tls: certificate not for www.example.com; it names shop.example.com";
    assert_eq!(seen, expected);
}
