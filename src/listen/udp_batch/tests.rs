//! Batches over loopback sockets.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::*;

fn pair() -> (UdpSocket, UdpSocket) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    (server, client)
}

fn local(socket: &UdpSocket) -> IpAddr {
    socket.local_addr().unwrap().ip()
}

#[test]
fn each_request_of_a_batch_gets_its_own_reply() {
    let (server, client) = pair();
    for i in 0..20u8 {
        client.send(&[i; 3]).unwrap();
    }
    let mut batch = Batch::new(local(&server), 32);
    let mut seen = 0;
    while seen < 20 {
        seen += batch.receive(server.as_fd(), Wait::ForOne).unwrap();
        let refused = batch.answer_each(|request, meta, out| {
            assert_eq!(meta.client, client.local_addr().unwrap());
            assert_eq!(meta.local, Some(local(&server)));
            // Odd ones are dropped, the others get replies of different lengths.
            if request[0] % 2 == 1 {
                return 0;
            }
            let length = 1 + usize::from(request[0]) * 100;
            out[..length].fill(request[0]);
            length
        });
        assert_eq!(refused, Refused::default());
        let sent = batch.send(server.as_fd());
        assert_eq!((sent.failed, sent.full), (0, 0));
    }
    for i in (0..20u8).step_by(2) {
        let mut reply = [0; 4096];
        let length = client.recv(&mut reply).unwrap();
        assert_eq!(&reply[..length], vec![i; 1 + usize::from(i) * 100]);
    }
}

#[test]
fn source_port_zero_is_never_asked_nor_answered() {
    let (server, client) = pair();
    client.send(b"query").unwrap();
    let mut batch = Batch::new(local(&server), 4);
    assert_eq!(batch.receive(server.as_fd(), Wait::ForOne).unwrap(), 1);
    // The kernel would have written it so; only a raw socket, and so root, can send it.
    batch.forge_port_zero(0);
    let refused = batch.answer_each(|_, _, _| panic!("asked"));
    assert_eq!(refused, Refused { port_zero: 1, ..Refused::default() });
    assert_eq!(batch.send(server.as_fd()), Sent::default());
}

#[test]
fn the_longest_request_passes_and_a_longer_one_is_refused() {
    let (server, client) = pair();
    client.send(&[7; REQUEST_MAX]).unwrap();
    client.send(&[8; REQUEST_MAX + 1]).unwrap();
    let mut batch = Batch::new(local(&server), 1);
    let mut lengths = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..2 {
        batch.receive(server.as_fd(), Wait::ForOne).unwrap();
        refused.push(batch.answer_each(|request, _, _| {
            lengths.push(request.len());
            0
        }));
    }
    assert_eq!(lengths, [REQUEST_MAX]);
    assert_eq!(refused[1], Refused { oversized: 1, ..Refused::default() });
}

#[test]
fn a_reply_longer_than_its_room_is_not_sent() {
    let (server, client) = pair();
    client.send(b"query").unwrap();
    let mut batch = Batch::new(local(&server), 4);
    batch.receive(server.as_fd(), Wait::ForOne).unwrap();
    batch.answer_each(|_, _, out| out.len() + 1);
    assert_eq!(batch.send(server.as_fd()), Sent::default());
}

#[test]
fn a_refused_datagram_does_not_hold_up_those_behind_it() {
    // Not connected: the kernel does not know where to.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut batch = Batch::new(local(&socket), 3);
    for _ in 0..3 {
        assert!(batch.push(|out| {
            out[..4].copy_from_slice(b"lost");
            4
        }));
    }
    assert!(!batch.push(|_| 1));
    assert_eq!(batch.send(socket.as_fd()), Sent { sent: 0, failed: 3, full: 0 });
    assert_eq!(batch.send(socket.as_fd()), Sent::default());
}

#[test]
fn a_queue_that_stays_full_is_given_up() {
    let (socket, _never_read) = UnixDatagram::pair().unwrap();
    let mut batch = Batch::new(Ipv4Addr::LOCALHOST.into(), BATCH_MAX);
    let mut total = Sent::default();
    // More than any default limit of a UNIX socket's queue.
    for _ in 0..8 {
        while batch.push(|_| 1000) {}
        let sent = batch.send(socket.as_fd());
        assert_eq!(sent.sent + sent.full, BATCH_MAX as u64);
        total.full += sent.full;
    }
    assert!(total.full > 0);
}

#[test]
fn a_wildcard_socket_that_is_not_told_destinations_answers_nothing() {
    let server = UdpSocket::bind("0.0.0.0:0").unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"query", ("127.0.0.1", server.local_addr().unwrap().port())).unwrap();
    let mut batch = Batch::new(local(&server), 4);
    batch.receive(server.as_fd(), Wait::ForOne).unwrap();
    let refused = batch.answer_each(|_, _, _| panic!("asked"));
    assert_eq!(refused, Refused { unaddressed: 1, ..Refused::default() });
}

#[test]
fn requests_lie_in_different_cache_sets() {
    let sets = |stride: usize| (0..16).map(|i| i * stride / 64 % 64).collect::<BTreeSet<_>>();
    assert_eq!(sets(REQUEST_STRIDE).len(), 16);
    assert_eq!(sets(REQUEST_MAX).len(), 1, "what the stride is for");
}

#[test]
fn what_the_kernel_throws_away_is_told() {
    let (server, client) = pair();
    size_buffers(server.as_fd(), 1);
    assert_eq!(kernel_drops(server.as_fd()), Some(0));
    for _ in 0..200 {
        client.send(&[0; 1000]).unwrap();
    }
    let mut batch = Batch::new(local(&server), 256);
    let received = batch.receive(server.as_fd(), Wait::No).unwrap();
    assert!(received < 200);
    assert_eq!(kernel_drops(server.as_fd()), Some(200 - received as u32));
}
