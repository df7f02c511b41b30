//! DNS over QUIC (RFC 9250) from outside: point 19 of docs/RFCS.md; what is sent to hurt:
//! points 24 and 31.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use quinn::{ConnectionError, ReadError, ReadToEndError, VarInt};
use tokio::time::timeout;
use windrose::metrics;

use crate::Transport;
use crate::battery::query;
use crate::http::runtime;
use crate::quic::{self, Doq, WITHIN, endpoint, exchange, framed};
use crate::server::Server;

const NO_ERROR: u64 = 0;
const PROTOCOL_ERROR: u64 = 2;
const EXCESSIVE_LOAD: u64 = 4;
const UNSPECIFIED_ERROR: u64 = 5;

fn asked() -> Vec<u8> {
    let mut message = query("www.gslb.example.com", 1, 1);
    message[..2].fill(0);
    message
}

/// Point 19 (RFC 9250 4.2, 4.2.1, 4.3.3, 5.5.2).
#[test]
fn what_breaks_a_rule_ends_the_connection() {
    let server = Server::start();
    let changed = |at: usize, value: u8| {
        let mut message = asked();
        message[at] = value;
        framed(&message)
    };
    let mut keepalive = asked();
    keepalive[11] = 1;
    keepalive.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    let mut short = framed(&asked());
    short.pop();
    let cases = [
        ("an ID", changed(1, 1)),
        ("a response", changed(2, 0x80)),
        ("the keepalive option", framed(&keepalive)),
        ("bytes behind the message", [framed(&asked()), vec![0]].concat()),
        ("two messages", [framed(&asked()), framed(&asked())].concat()),
        ("half a message", short),
        ("nothing", vec![]),
        ("no message", vec![0, 0]),
        ("a message of 11 bytes", framed(&asked()[..11])),
        ("endless bytes", vec![0xff; 200_000]),
    ];
    for (what, bytes) in cases {
        let client = Doq::connect(&server);
        assert!(client.exchange(&bytes).is_err(), "{what}");
        assert_eq!(client.closed(), PROTOCOL_ERROR, "{what}");
    }
    let client = Doq::connect(&server);
    client.runtime.block_on(async {
        client.connection.open_uni().await.unwrap().write_all(b"x").await.unwrap();
    });
    assert_eq!(client.closed(), PROTOCOL_ERROR, "a stream of one direction");
    assert_eq!(Doq::connect(&server).ask(&asked())[3] & 0x0f, 0, "others are served");
}

/// Point 19: streams are answered as they come, each by itself (RFC 9250 5.5).
#[test]
fn many_streams_are_answered_beside_one_that_waits() {
    let server = Server::start();
    let client = Doq::connect(&server);
    client.runtime.block_on(async {
        let (mut waiting, mut answer) = client.connection.open_bi().await.unwrap();
        let message = framed(&asked());
        waiting.write_all(&message[..5]).await.unwrap();
        for _ in 0..5 {
            let streams = (0..60).map(|_| {
                let (connection, message) = (client.connection.clone(), message.clone());
                tokio::spawn(async move { exchange(&connection, &message).await.unwrap() })
            });
            for stream in streams.collect::<Vec<_>>() {
                assert_eq!(stream.await.unwrap().len(), 2 + 54);
            }
        }
        // A client that thinks better of it hurts nothing.
        let (mut dropped, _) = client.connection.open_bi().await.unwrap();
        dropped.write_all(&message[..9]).await.unwrap();
        dropped.reset(VarInt::from_u32(3)).unwrap();
        waiting.write_all(&message[5..]).await.unwrap();
        waiting.finish().unwrap();
        let answer = timeout(WITHIN, answer.read_to_end(1_000)).await.unwrap().unwrap();
        assert_eq!(answer.len(), 2 + 54);
    });
}

/// Point 31: a query that does not come to its end is given up, and nothing else.
#[test]
fn a_slow_stream_is_reset() {
    let server = Server::with("tcp_message_timeout = \"300ms\"");
    let client = Doq::connect(&server);
    let reset = client.runtime.block_on(async {
        let (mut send, mut receive) = client.connection.open_bi().await.unwrap();
        send.write_all(&[0, 40, 0]).await.unwrap();
        timeout(WITHIN, receive.read_to_end(1_000)).await.unwrap()
    });
    let code = VarInt::from_u64(UNSPECIFIED_ERROR).unwrap();
    assert_eq!(reset, Err(ReadToEndError::Read(ReadError::Reset(code))));
    assert!(client.exchange(&framed(&asked())).is_ok());
}

/// Point 31: a connection on which nothing is asked is closed (RFC 9250 5.5.1).
#[test]
fn an_idle_connection_is_closed() {
    let server = Server::with("tcp_idle_timeout = \"400ms\"");
    let client = Doq::connect(&server);
    let closed = client
        .runtime
        .block_on(async { timeout(WITHIN, client.connection.closed()).await.unwrap() });
    match closed {
        // Whichever side's clock is first.
        ConnectionError::TimedOut => {}
        ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code.into_inner(), NO_ERROR);
        }
        other => panic!("{other}"),
    }
}

/// Point 31 (RFC 9250 4.3): one client has so many connections.
#[test]
fn one_client_has_so_many_connections() {
    let server = Server::with("tcp_connections_per_client_max = 2");
    let mut held = [Doq::connect(&server), Doq::connect(&server)];
    for client in &mut held {
        assert_eq!(client.ask(&asked())[3] & 0x0f, 0);
    }
    assert_eq!(Doq::connect(&server).closed(), EXCESSIVE_LOAD);
    for client in &mut held {
        assert_eq!(client.ask(&asked())[3] & 0x0f, 0);
    }
}

/// Point 19: the protocol is `doq` (RFC 9250 4.1.1), and nothing is taken before the
/// handshake is done (RFC 9250 4.5).
#[test]
fn other_protocols_and_early_data_are_refused() {
    let server = Server::start();
    runtime().block_on(async {
        let (_, refused) = quic::open(&server, metrics::Transport::Doq, "h3").await;
        assert!(refused.is_err());
        let endpoint = endpoint(&server, "doq");
        let address = server.encrypted(metrics::Transport::Doq);
        let first = endpoint.connect(address, "dns.example").unwrap().await.unwrap();
        // The ticket of the session comes with the first answer, if not before.
        exchange(&first, &framed(&asked())).await.unwrap();
        let again = endpoint.connect(address, "dns.example").unwrap();
        assert!(again.into_0rtt().is_err(), "a ticket allows early data");
    });
}

/// Point 24 (RFC 9000 8.1): many handshakes at once are asked to prove their addresses.
#[test]
fn half_open_handshakes_lead_to_retry() {
    let server = Server::start();
    let address = server.encrypted(metrics::Transport::Doq);
    // First packets of so many clients, each with a connection ID of its own.
    let catcher = UdpSocket::bind("127.0.0.1:0").unwrap();
    catcher.set_read_timeout(Some(WITHIN)).unwrap();
    let caught: SocketAddr = catcher.local_addr().unwrap();
    let runtime = runtime();
    let first_packet = || {
        let connecting = runtime.block_on(async {
            let endpoint = endpoint(&server, "doq");
            (endpoint.connect(caught, "dns.example").unwrap(), endpoint)
        });
        let mut first = vec![0; 2_000];
        let length = catcher.recv(&mut first).unwrap();
        drop(connecting);
        first.truncate(length);
        first
    };
    let mut firsts = Vec::new();
    while firsts.len() < 60 {
        let packet = first_packet();
        // One client may have sent a second packet: its ID is known already.
        if firsts.iter().all(|known: &Vec<u8>| known[5..14] != packet[5..14]) {
            firsts.push(packet);
        }
    }
    let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let clients: Vec<UdpSocket> = firsts.iter().map(|_| socket()).collect();
    for (client, first) in clients.iter().zip(&firsts) {
        client.send_to(first, address).unwrap();
    }
    let begun = std::time::Instant::now();
    let mut retried = 0;
    while retried < 10 && begun.elapsed() < WITHIN {
        for client in &clients {
            client.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            let mut reply = [0; 2_000];
            // A long header of type 3.
            let is_retry = client.recv(&mut reply).is_ok() && reply[0] & 0xf0 == 0xf0;
            retried += usize::from(is_retry);
        }
    }
    assert!(retried >= 10, "{retried} of 60 were asked");
    // A client that proves its address is served all the while.
    assert_eq!(Doq::connect(&server).ask(&asked())[3] & 0x0f, 0);
}

/// Point 29: who is connected at a stop is told (RFC 9250 4.3).
#[test]
fn a_stop_closes_without_an_error() {
    let server = Server::start();
    let client = Doq::connect(&server);
    assert!(client.exchange(&framed(&asked())).is_ok());
    server.stop();
    assert_eq!(client.closed(), NO_ERROR);
}
