//! DNS checks against servers that answer in odd ways.

use std::net::{IpAddr, UdpSocket as StdSocket};

use tokio::net::UdpSocket;

use super::*;
use crate::health::check::{DnsProbe, Route};

fn wanted(port: u16) -> DnsProbe {
    DnsProbe {
        port,
        name: "shop.example.com".to_owned(),
        rtype: 1,
        expect_answers: vec!["192.0.2.1".to_owned()],
        ..DnsProbe::default()
    }
}

/// The query made an answer: flags, rcode, and one A record.
fn answer(query: &[u8], flags: u8, rcode: u8, last: u8) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2] = 0x80 | flags;
    reply[3] = rcode;
    reply[7] = 1;
    reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    reply
}

/// A UDP server that sends back what `replies` makes of each query.
async fn udp_server<F>(replies: F) -> u16
where
    F: Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
{
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(answer_all(socket, replies));
    port
}

async fn answer_all<F: Fn(&[u8]) -> Vec<Vec<u8>>>(socket: UdpSocket, replies: F) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        for reply in replies(&buffer[..length]) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

/// A TCP server that answers each query with what `reply` makes of it.
async fn answer_tcp(mut stream: TcpStream, reply: impl Fn(&[u8]) -> Vec<u8>) {
    let Ok(length) = stream.read_u16().await else { return };
    let mut query = vec![0; usize::from(length)];
    if stream.read_exact(&mut query).await.is_ok() {
        let _ = stream.write_all(&reply(&query)).await;
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn the_answer_decides_over_udp() {
    for (flags, rcode, last, expected) in [
        (4, 0, 1, "ok"),
        (4, 0, 9, "body: answer holds 192.0.2.9, expected 192.0.2.1"),
        (0, 5, 1, "status: rcode REFUSED (lame for the name?), expected NOERROR"),
        (0, 2, 1, "status: rcode SERVFAIL, expected NOERROR"),
    ] {
        let port = udp_server(move |query| vec![answer(query, flags, rcode, last)]).await;
        assert_eq!(probe(ProbeKind::Dns(wanted(port))).await, expected);
    }
}

#[tokio::test]
async fn whatever_is_not_ours_is_passed_over_until_the_deadline() {
    fn stray(query: &[u8]) -> Vec<Vec<u8>> {
        let mut other_id = answer(query, 4, 0, 9);
        other_id[0] ^= 1;
        let mut other_name = answer(query, 4, 0, 9);
        other_name[13] ^= 1;
        vec![vec![], vec![0xff; 600], query.to_vec(), other_id, other_name]
    }
    let port = udp_server(stray).await;
    assert_eq!(probe(ProbeKind::Dns(wanted(port))).await, "timeout: no answer within 400 ms");
    let port = udp_server(|query| [stray(query), vec![answer(query, 4, 0, 1)]].concat()).await;
    assert_eq!(probe(ProbeKind::Dns(wanted(port))).await, "ok");
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(answer_all(socket, |query| vec![answer(query, 2, 0, 9)]));
    let target = ProbeKind::Dns(wanted(address.port()));
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer_tcp(stream, |query| framed(&answer(query, 4, 0, 1))).await;
        listener
    });
    assert_eq!(probe(target.clone()).await, "ok");
    drop(served.await.unwrap());
    // Truncated, and nobody there to give the rest.
    assert_eq!(probe(target).await, "refused: connect: connection refused");
}

#[tokio::test]
async fn over_tcp_anything_else_is_a_protocol_failure() {
    type Reply = fn(&[u8]) -> Vec<u8>;
    let cases: [(Reply, &str); 7] = [
        (|query| framed(&answer(query, 4, 0, 1)), "ok"),
        (
            |query| framed(&answer(query, 4, 0, 9)),
            "body: answer holds 192.0.2.9, expected 192.0.2.1",
        ),
        (|query| framed(&answer(query, 2, 0, 1)), "protocol: answer truncated over TCP"),
        (|_| b"HTTP/1.1 400 Bad".to_vec(), "protocol: connection closed before a whole answer"),
        (|_| framed(b"short"), "protocol: what came over TCP is no answer to the query"),
        (|_| vec![0, 0], "protocol: what came over TCP is no answer to the query"),
        (|_| vec![], "protocol: connection closed before a whole answer"),
    ];
    for (reply, expected) in cases {
        let port = serve(move |stream| answer_tcp(stream, reply)).await.port();
        let target = DnsProbe { tcp: true, ..wanted(port) };
        assert_eq!(probe(ProbeKind::Dns(target)).await, expected);
    }
}

#[tokio::test]
async fn a_closed_port_is_refused_over_udp_too() {
    let socket = StdSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    assert_eq!(probe(ProbeKind::Dns(wanted(port))).await, "refused: answer: connection refused");
}

#[tokio::test]
async fn queries_leave_from_the_checks_source() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let source = [127, 0, 0, 77];
    let seen = tokio::spawn(async move {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        socket.send_to(&answer(&buffer[..length], 4, 0, 1), from).await.unwrap();
        from.ip()
    });
    let route = Route { source_ipv4: Some(source.into()), ..Route::default() };
    let target = DnsProbe { route, ..wanted(port) };
    assert_eq!(probe(ProbeKind::Dns(target.clone())).await, "ok");
    assert_eq!(seen.await.unwrap(), IpAddr::from(source));
    let route = Route { source_ipv4: Some([192, 0, 2, 7].into()), ..Route::default() };
    let seen = probe(ProbeKind::Dns(DnsProbe { route, ..target })).await;
    assert_eq!(seen, "internal: source 192.0.2.7 is not on this host");
}
