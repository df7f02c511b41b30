//! How probes get there: PROXY headers, source addresses.

use std::net::Ipv4Addr;

use super::*;
use crate::health::check::{ProxyHeader, Route};

/// A server that tells who connected, and the first line or block it read.
async fn listener() -> (u16, mpsc::UnboundedReceiver<(SocketAddr, Vec<u8>)>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let server = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            let peer = stream.peer_addr().unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") || bytes.starts_with(b"\r\n") && bytes.len() < 40 {
                let Ok(byte) = stream.read_u8().await else { break };
                bytes.push(byte);
            }
            let _ = sender.send((peer, bytes));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    });
    (server.await.port(), seen)
}

fn routed(port: u16, route: Route) -> ProbeKind {
    ProbeKind::Http(HttpProbe { route, ..http_probe(port) })
}

#[tokio::test]
async fn the_proxy_header_comes_first_and_names_the_connection_itself() {
    let (port, mut seen) = listener().await;
    let route = Route { proxy_header: Some(ProxyHeader::V1), ..Route::default() };
    assert_eq!(patient(routed(port, route)).await, "ok");
    let (peer, bytes) = seen.recv().await.unwrap();
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\nGET /healthz", peer.port());
    assert!(bytes.starts_with(expected.as_bytes()), "{}", String::from_utf8_lossy(&bytes));

    let route = Route { proxy_header: Some(ProxyHeader::V2), ..Route::default() };
    assert_eq!(patient(routed(port, route)).await, "ok");
    let (peer, bytes) = seen.recv().await.unwrap();
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01".to_vec();
    expected.extend_from_slice(&peer.port().to_be_bytes());
    expected.extend_from_slice(&port.to_be_bytes());
    expected.extend_from_slice(b"GET /healthz");
    assert!(bytes.starts_with(&expected), "{bytes:?}");
}

#[tokio::test]
async fn probes_come_from_the_source_they_are_told() {
    let (port, mut seen) = listener().await;
    // All of 127.0.0.0/8 is this host.
    let source = Ipv4Addr::new(127, 0, 0, 5);
    let route = Route { source_ipv4: Some(source), ..Route::default() };
    assert_eq!(patient(routed(port, route)).await, "ok");
    assert_eq!(seen.recv().await.unwrap().0.ip(), source);
    // The other family's is not for this one.
    let route = Route { source_ipv6: Some("2001:db8::1".parse().unwrap()), ..Route::default() };
    assert_eq!(patient(routed(port, route)).await, "ok");
    let route = Route { source_ipv4: Some(Ipv4Addr::new(192, 0, 2, 5)), ..Route::default() };
    assert_eq!(
        patient(routed(port, route)).await,
        "internal: source 192.0.2.5 is not on this host"
    );
}
