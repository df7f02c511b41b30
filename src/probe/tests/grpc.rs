//! gRPC checks against a server made of HTTP/2.

use bytes::Bytes;
use hyper::Response;
use hyper::header::HeaderMap;
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, NOW, TLS_VERSIONS, server_config};
use super::*;
use crate::health::check::GrpcProbe;

/// Answers with `message` and `grpc-status`, or in the headers alone; the service
/// "cart" is NOT_SERVING.
async fn answer<S>(stream: S, status: &'static str, trailers_only: bool)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.method(), "POST");
        assert_eq!(request.headers()["te"], "trailers");
        assert_eq!(request.headers()["grpc-timeout"], "10000m");
        tokio::spawn(async move {
            let mut asked = Vec::new();
            let mut body = request.into_body();
            while let Some(Ok(piece)) = body.data().await {
                asked.extend_from_slice(&piece);
            }
            let mut head = Response::new(());
            head.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            if status == "14" {
                trailers.insert("grpc-message", "no%20back%20end".parse().unwrap());
            }
            if trailers_only {
                head.headers_mut().extend(trailers);
                let _ = respond.send_response(head, true);
                return;
            }
            let mut body = respond.send_response(head, false).unwrap();
            let serving = if asked.ends_with(b"cart") { 2 } else { 1 };
            let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, serving]);
            let _ = body.send_data(message, false);
            let _ = body.send_trailers(trailers);
        });
    }
}

fn grpc_probe(port: u16, service: &str) -> GrpcProbe {
    let host = Some("shop.example.com".to_owned());
    GrpcProbe { port, service: service.to_owned(), host, ..GrpcProbe::default() }
}

#[tokio::test]
async fn a_service_passes_while_it_is_serving() {
    for (service, status, trailers_only, expected) in [
        ("", "0", false, "ok"),
        ("web", "0", false, "ok"),
        ("cart", "0", false, "status: the service is NOT_SERVING"),
        ("web", "14", false, "status: grpc-status 14 (UNAVAILABLE): no back end"),
        (
            "web",
            "5",
            true,
            "status: grpc-status 5 (NOT_FOUND: the server does not know the service)",
        ),
        (
            "web",
            "12",
            true,
            "status: grpc-status 12 (UNIMPLEMENTED: the server has no health service)",
        ),
        ("web", "99", true, "status: grpc-status 99"),
        ("web", "0", true, "protocol: no grpc-status"),
    ] {
        let port = serve(move |stream| answer(stream, status, trailers_only)).await.port();
        let seen = patient(ProbeKind::Grpc(grpc_probe(port, service))).await;
        assert_eq!(seen, expected, "{service} {status}");
    }
}

#[tokio::test]
async fn a_web_server_is_no_grpc_server() {
    let port = scripted("HTTP/1.1 400 Bad\r\n\r\n").await.port();
    let seen = patient(ProbeKind::Grpc(grpc_probe(port, ""))).await;
    assert!(seen.starts_with("protocol: "), "{seen}");
    let server = serve(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let head = Response::builder().status(404).body(()).unwrap();
            let _ = respond.send_response(head, true);
        }
    });
    let seen = patient(ProbeKind::Grpc(grpc_probe(server.await.port(), ""))).await;
    assert_eq!(seen, "status: HTTP status 404");
}

#[tokio::test]
async fn over_tls_the_server_must_agree_to_http2() {
    let authority = Authority::new();
    for (protocols, expected) in [
        (vec![b"h2".to_vec()], "ok"),
        (vec![], "protocol: the server does not agree to HTTP/2 (ALPN)"),
    ] {
        let mut config = server_config(authority.sign(&["shop.example.com"], NOW), &TLS_VERSIONS);
        config.alpn_protocols = protocols;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                answer(stream, "0", false).await;
            }
        });
        let mut wanted = grpc_probe(server.await.port(), "");
        wanted.tls = Some(authority.tls());
        assert_eq!(patient(ProbeKind::Grpc(wanted)).await, expected);
    }
}
