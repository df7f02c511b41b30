//! From one listener to the next over the very same sockets: no datagram and no
//! connection is lost, however often and under whatever load.
#![allow(clippy::unwrap_used)] // a panic here is a failed test

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use windrose::listen::{
    BindOptions, Inherited, Meta, Responder, ResponderFactory, Running, StartOptions, bind,
    bind_or_take,
};

/// How long a test waits for what should come at once.
const SOON: Duration = Duration::from_secs(10);

/// Answers with the name of its server in front.
#[derive(Clone, Copy)]
struct Named(u8);

impl ResponderFactory for Named {
    type Responder = Named;

    fn udp(&self, _: usize) -> Named {
        *self
    }

    fn tcp(&self, _: usize) -> Named {
        *self
    }
}

impl Responder for Named {
    fn respond(&mut self, request: &[u8], _: &Meta, out: &mut [u8]) -> usize {
        out[0] = self.0;
        out[1..=request.len()].copy_from_slice(request);
        request.len() + 1
    }
}

fn options(udp_workers: usize) -> BindOptions {
    BindOptions { udp_workers, ..BindOptions::default() }
}

fn start(bound: windrose::listen::Bound, name: u8) -> Running {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    bound.start(&Named(name), &StartOptions::default(), RUNTIME.handle()).unwrap()
}

fn first(addresses: &[&str], udp_workers: usize) -> Running {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    start(bind(&addresses, &options(udp_workers)).unwrap(), b'0')
}

/// The next server, beside the one before, as another process would have it.
fn next(before: &Running, name: u8, udp_workers: usize) -> Running {
    let inherited: Vec<Inherited> = before.offered(|offered, _| {
        let copy = |fd: &std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        let inherit = |offered: &windrose::listen::Offered<'_>| Inherited {
            asked: offered.asked,
            udp: offered.udp.iter().map(copy).collect(),
            tcp: copy(&offered.tcp),
        };
        offered.iter().map(inherit).collect()
    });
    let asked: Vec<SocketAddr> = inherited.iter().map(|inherited| inherited.asked).collect();
    let bound = bind_or_take(&asked, &options(udp_workers), inherited).unwrap();
    assert_eq!(bound.local_addrs(), before.local_addrs());
    start(bound, name)
}

/// Ends the one before.
fn replace(before: &Running, next: &Running) {
    assert!(before.hand_over(SOON, |moved| next.adopt(moved)));
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend(message);
    framed
}

fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).unwrap();
    let mut message = vec![0; u16::from_be_bytes(prefix).into()];
    stream.read_exact(&mut message).unwrap();
    message
}

#[test]
fn an_idle_server_is_replaced_at_once_and_its_sockets_go_on() {
    let before = first(&["127.0.0.1:0", "127.0.0.2:0"], 3);
    let addresses = before.local_addrs().to_vec();
    let after = next(&before, b'1', 3);
    let begun = Instant::now();
    replace(&before, &after);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    for address in addresses {
        // Another port each time, so that every worker's socket is asked.
        for _ in 0..20 {
            let client = client();
            client.send_to(b"x", address).unwrap();
            let mut reply = [0; 9];
            assert_eq!(client.recv(&mut reply).unwrap(), 2);
            assert_eq!(&reply[..2], b"1x");
        }
    }
    assert!(after.stop());
}

#[test]
fn workers_become_more_and_never_fewer() {
    let before = first(&["127.0.0.1:0"], 1);
    let count = |running: &Running| running.offered(|offered, _| offered[0].udp.len());
    let more = next(&before, b'1', 3);
    replace(&before, &more);
    assert_eq!(count(&more), 3);
    // A socket less would lose what waits in it.
    let fewer = next(&more, b'2', 2);
    replace(&more, &fewer);
    assert_eq!(count(&fewer), 3);
}

#[test]
fn under_load_no_datagram_is_lost_over_twenty_servers() {
    const IN_FLIGHT: usize = 16;
    let mut server = first(&["127.0.0.1:0"], 2);
    let address = server.local_addrs()[0];
    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let client = client();
                let mut sent = 0u64;
                let mut seen = 0u64;
                let mut reply = [0; 32];
                while seen < sent || !stop.load(Ordering::Relaxed) {
                    while sent - seen < IN_FLIGHT as u64 && !stop.load(Ordering::Relaxed) {
                        client.send_to(&sent.to_be_bytes(), address).unwrap();
                        sent += 1;
                    }
                    if seen < sent {
                        // A lost one ends this with a timeout.
                        assert_eq!(client.recv(&mut reply).unwrap(), 9);
                        seen += 1;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for name in 1..=20 {
            let after = next(&server, name, 2);
            replace(&server, &after);
            server = after;
            let enough = answered.load(Ordering::Relaxed) + 200;
            let begun = Instant::now();
            while answered.load(Ordering::Relaxed) < enough && begun.elapsed() < SOON {
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 4_000);
}

#[test]
fn connections_go_on_in_the_next_server_in_the_middle_of_a_message_too() {
    let before = first(&["127.0.0.1:0"], 1);
    let address = before.local_addrs()[0];
    let connect = || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    let (mut idle, mut midway, mut never) = (connect(), connect(), connect());
    for stream in [&mut idle, &mut midway] {
        stream.write_all(&framed(b"a")).unwrap();
        assert_eq!(read_message(stream), b"0a");
    }
    never.write_all(&framed(b"a")).unwrap();
    assert_eq!(read_message(&mut never), b"0a");
    let message = framed(b"a longer message");
    midway.write_all(&message[..7]).unwrap();
    let begun = Instant::now();
    while before.tcp().idle > 2 {
        assert!(begun.elapsed() < SOON, "what was sent is not read");
        std::thread::sleep(Duration::from_millis(1));
    }
    let after = next(&before, b'1', 1);
    replace(&before, &after);
    midway.write_all(&message[7..]).unwrap();
    assert_eq!(read_message(&mut midway), b"1a longer message");
    idle.write_all(&framed(b"b")).unwrap();
    assert_eq!(read_message(&mut idle), b"1b");
    assert_eq!(after.tcp().open, 3);
    drop(never);
}

#[test]
fn pipelined_connections_and_new_ones_lose_nothing_over_twenty_servers() {
    let mut server = first(&["127.0.0.1:0"], 1);
    let address = server.local_addrs()[0];
    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            let mut next = 0u32;
            while !stop.load(Ordering::Relaxed) {
                let batch: Vec<u8> =
                    (next..next + 8).flat_map(|id| framed(&id.to_be_bytes())).collect();
                stream.write_all(&batch).unwrap();
                for id in next..next + 8 {
                    assert_eq!(read_message(&mut stream)[1..], id.to_be_bytes());
                }
                next += 8;
                answered.fetch_add(8, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                stream.write_all(&framed(b"new")).unwrap();
                assert_eq!(read_message(&mut stream)[1..], *b"new");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        for name in 1..=20 {
            let after = next(&server, name, 1);
            replace(&server, &after);
            server = after;
            let enough = answered.load(Ordering::Relaxed) + 50;
            let begun = Instant::now();
            while answered.load(Ordering::Relaxed) < enough && begun.elapsed() < SOON {
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 1_000);
}
