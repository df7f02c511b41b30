//! UDP from outside: the listener with an echoing responder, asked over real sockets.
#![allow(clippy::unwrap_used)] // a panic here is a failed test

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Handle, Runtime};
use windrose::listen::{
    BindError, BindOptions, Bound, Meta, Responder, ResponderFactory, Running, StartOptions,
    Transport, bind, udp_batch,
};

/// Echoes, and notes what it saw.
#[derive(Clone, Default)]
struct Echo {
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    metas: Mutex<Vec<(usize, Meta)>>,
    batches: AtomicU64,
    outside_batch: AtomicBool,
}

struct EchoWorker {
    index: usize,
    seen: Arc<Seen>,
    in_batch: bool,
}

impl ResponderFactory for Echo {
    type Responder = EchoWorker;

    fn udp(&self, index: usize) -> EchoWorker {
        EchoWorker { index, seen: Arc::clone(&self.seen), in_batch: false }
    }

    fn tcp(&self, index: usize) -> EchoWorker {
        self.udp(index)
    }
}

impl Responder for EchoWorker {
    fn begin_batch(&mut self) {
        self.in_batch = true;
        self.seen.batches.fetch_add(1, Ordering::Relaxed);
    }

    fn respond(&mut self, request: &[u8], meta: &Meta, out: &mut [u8]) -> usize {
        if !self.in_batch {
            self.seen.outside_batch.store(true, Ordering::Relaxed);
        }
        self.seen.metas.lock().unwrap().push((self.index, *meta));
        out[..request.len()].copy_from_slice(request);
        request.len()
    }

    fn end_batch(&mut self) {
        self.in_batch = false;
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn bound(addresses: &[&str], udp_workers: usize) -> Bound {
    let addresses: Vec<_> = addresses.iter().map(|text| address(text)).collect();
    bind(&addresses, &BindOptions { udp_workers, ..BindOptions::default() }).unwrap()
}

/// One runtime for the TCP side of every test: none is tested here.
fn runtime() -> Handle {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.handle().clone()
}

fn started(addresses: &[&str], udp_workers: usize) -> (Running, Arc<Seen>) {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.seen);
    let bound = bound(addresses, udp_workers);
    (bound.start(&echo, &StartOptions::default(), &runtime()).unwrap(), seen)
}

/// A client that waits two seconds at most. Not connected: it shows who answers.
fn client(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

fn ask(client: &UdpSocket, server: SocketAddr, request: &[u8]) -> (Vec<u8>, SocketAddr) {
    client.send_to(request, server).unwrap();
    let mut reply = [0; 65_535];
    let (length, from) = client.recv_from(&mut reply).unwrap();
    (reply[..length].to_vec(), from)
}

#[test]
fn an_answer_leaves_from_the_address_asked() {
    // listen address, asked at, client
    let cases = [
        ("0.0.0.0:0", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.2", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.3", "127.0.0.9"),
        ("[::]:0", "::1", "::1"),
        ("127.0.0.4:0", "127.0.0.4", "127.0.0.1"),
        ("[::1]:0", "::1", "::1"),
    ];
    for (listen, asked, from) in cases {
        let (running, seen) = started(&[listen], 1);
        let asked: IpAddr = asked.parse().unwrap();
        let server = SocketAddr::new(asked, running.local_addrs()[0].port());
        let client = client(from);
        // Twice: the first answer must leave nothing behind that bends the second.
        for _ in 0..2 {
            assert_eq!(ask(&client, server, b"where"), (b"where".to_vec(), server), "{listen}");
        }
        let (_, meta) = seen.metas.lock().unwrap()[0];
        let expected = Meta {
            client: client.local_addr().unwrap(),
            local: Some(asked),
            transport: Transport::Udp,
        };
        assert_eq!(meta, expected, "{listen}");
        assert!(running.stop());
    }
}

#[test]
fn addresses_of_one_wildcard_asked_in_turns_keep_apart() {
    let (running, _) = started(&["0.0.0.0:0"], 1);
    let port = running.local_addrs()[0].port();
    let client = client("127.0.0.1");
    let servers: Vec<SocketAddr> =
        (2..60u8).map(|last| SocketAddr::from(([127, 0, 0, last], port))).collect();
    for server in &servers {
        client.send_to(server.to_string().as_bytes(), server).unwrap();
    }
    for _ in &servers {
        let mut reply = [0; 64];
        let (length, from) = client.recv_from(&mut reply).unwrap();
        assert_eq!(std::str::from_utf8(&reply[..length]).unwrap(), from.to_string());
    }
}

#[test]
fn ten_thousand_queries_are_all_answered() {
    const WINDOW: u32 = 100;
    let (running, seen) = started(&["127.0.0.1:0"], 1);
    let client = client("127.0.0.1");
    client.connect(running.local_addrs()[0]).unwrap();
    let mut answered = vec![false; 10_000];
    for first in (0..10_000).step_by(WINDOW as usize) {
        for number in first..first + WINDOW {
            client.send(&number.to_be_bytes()).unwrap();
        }
        for _ in 0..WINDOW {
            let mut reply = [0; 4];
            assert_eq!(client.recv(&mut reply).unwrap(), 4);
            let number = u32::from_be_bytes(reply) as usize;
            assert!(!std::mem::replace(&mut answered[number], true), "{number} answered twice");
        }
    }
    assert!(answered.iter().all(|&done| done));
    assert!(running.drops().is_zero());
    assert!(!seen.outside_batch.load(Ordering::Relaxed));
    assert!(seen.batches.load(Ordering::Relaxed) <= 10_000);
}

#[test]
fn every_worker_gets_its_share_and_its_own_responder() {
    let (running, seen) = started(&["127.0.0.1:0", "[::1]:0"], 2);
    for _ in 0..100 {
        ask(&client("127.0.0.1"), running.local_addrs()[0], b"v4");
        ask(&client("::1"), running.local_addrs()[1], b"v6");
    }
    let mut asked = [0; 4];
    for (index, _) in seen.metas.lock().unwrap().iter() {
        asked[*index] += 1;
    }
    assert_eq!(asked[0] + asked[1], 100, "{asked:?}");
    // A hundred source ports that all hash to one worker: 2^-99.
    assert!(asked.iter().all(|&count| count > 0), "{asked:?}");
}

#[test]
fn pinned_workers_serve() {
    let options = StartOptions { pin: true, udp_batch: 1, ..StartOptions::default() };
    let running = bound(&["127.0.0.1:0"], 3).start(&Echo::default(), &options, &runtime()).unwrap();
    for _ in 0..20 {
        assert_eq!(ask(&client("127.0.0.1"), running.local_addrs()[0], b"pin").0, b"pin");
    }
}

#[test]
fn odd_datagrams_are_counted_and_harm_nobody() {
    let (running, _) = started(&["127.0.0.1:0"], 1);
    let server = running.local_addrs()[0];
    let client = client("127.0.0.1");
    client.send_to(&[0; udp_batch::REQUEST_MAX + 1], server).unwrap();
    client.send_to(&[0; 65_507], server).unwrap();
    // Echoed as nothing: a length of 0 is no reply.
    client.send_to(&[], server).unwrap();
    // A batch is counted after its replies went out: the second answer says it was.
    assert_eq!(ask(&client, server, b"after").0, b"after");
    assert_eq!(ask(&client, server, b"again").0, b"again");
    let drops = running.drops();
    assert_eq!((drops.oversized, drops.unaddressed), (2, 0), "{drops:?}");
}

#[test]
#[ignore = "needs CAP_NET_RAW: only a raw socket sends from port 0; run it with --ignored as root"]
fn source_port_zero_is_met_with_silence() {
    let (running, seen) = started(&["127.0.0.1:0"], 1);
    let server = running.local_addrs()[0];
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
    // From 0, to the server, 13 bytes, no checksum.
    let [high, low] = server.port().to_be_bytes();
    let datagram = [&[0, 0, high, low, 0, 13, 0, 0][..], b"query"].concat();
    raw.send_to(&datagram, &SocketAddr::new(server.ip(), 0).into()).unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&client("127.0.0.1"), server, b"after").0, b"after");
    }
    assert_eq!(running.drops().port_zero, 1);
    assert_eq!(seen.metas.lock().unwrap().len(), 2, "the responder was never asked");
}

#[test]
fn a_client_that_is_gone_harms_nobody() {
    let (running, _) = started(&["127.0.0.1:0"], 1);
    let server = running.local_addrs()[0];
    for _ in 0..50 {
        // Closed before the answer comes: the kernel sends back an ICMP error.
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"gone", server).unwrap();
    }
    assert_eq!(ask(&client("127.0.0.1"), server, b"here").0, b"here");
}

#[test]
fn stopping_takes_less_than_a_second_and_frees_the_port() {
    let (running, _) = started(&["127.0.0.1:0", "0.0.0.0:0", "[::]:0"], 2);
    let addresses = running.local_addrs().to_vec();
    ask(&client("127.0.0.1"), addresses[0], b"awake");
    let begun = Instant::now();
    assert!(running.stop());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    for address in addresses {
        bind(&[address], &BindOptions::default()).unwrap();
    }
}

#[test]
fn what_was_queued_before_the_start_or_the_stop_is_answered() {
    let bound = bound(&["127.0.0.1:0"], 1);
    let server = bound.local_addrs()[0];
    let client = client("127.0.0.1");
    for number in 0..200u8 {
        client.send_to(&[number], server).unwrap();
    }
    // Stopped at once: the thread may not have taken one yet.
    let running = bound.start(&Echo::default(), &StartOptions::default(), &runtime()).unwrap();
    assert!(running.stop());
    for number in 0..200u8 {
        let mut reply = [0; 2];
        assert_eq!(client.recv(&mut reply).unwrap(), 1);
        assert_eq!(reply[0], number);
    }
}

#[test]
fn a_stop_under_load_is_as_quick() {
    let (running, _) = started(&["127.0.0.1:0"], 1);
    let server = running.local_addrs()[0];
    let done = Arc::new(AtomicBool::new(false));
    let flood = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let client = client("127.0.0.1");
            while !done.load(Ordering::Relaxed) {
                let _ = client.send_to(b"more", server);
            }
        }
    });
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    assert!(running.stop());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    done.store(true, Ordering::Relaxed);
    flood.join().unwrap();
}

// ---- bind ------------------------------------------------------------------------------

fn refused(addresses: &[SocketAddr]) -> BindError {
    bind(addresses, &BindOptions { udp_workers: 2, ..BindOptions::default() }).unwrap_err()
}

#[test]
fn port_zero_is_one_port_for_both_transports() {
    let bound = bound(&["127.0.0.1:0", "[::1]:0"], 2);
    for address in bound.local_addrs() {
        assert_ne!(address.port(), 0);
        std::net::TcpStream::connect(address).unwrap();
    }
    assert_eq!(bound.udp_threads(), 4);
}

#[test]
fn a_second_instance_is_told_the_address_is_in_use() {
    // Both of one user and with several workers: SO_REUSEPORT alone would let it in.
    let first = bound(&["127.0.0.1:0"], 2);
    let error = refused(&first.local_addrs());
    assert!(matches!(error, BindError::InUse { transport: Transport::Udp, .. }), "{error}");
    let expected = format!(
        "cannot listen on {} (UDP): address in use, by another process or an earlier entry of \
         the list",
        first.local_addrs()[0]
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_tcp_port_taken_alone_is_found() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = refused(&[other.local_addr().unwrap()]);
    assert!(matches!(error, BindError::InUse { transport: Transport::Tcp, .. }), "{error}");
}

#[test]
fn an_address_given_twice_is_refused() {
    let free = bound(&["127.0.0.1:0"], 1).local_addrs()[0];
    let error = refused(&[free, free]);
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    // All or nothing: the first one is free again.
    assert_eq!(bind(&[free], &BindOptions::default()).unwrap().local_addrs(), [free]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    // RFC 5737: nobody's.
    let error = refused(&[address("192.0.2.1:5300")]);
    assert!(matches!(error, BindError::NotLocal { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "cannot listen on 192.0.2.1:5300 (UDP): no interface of this machine has it"
    );
}

#[test]
fn no_address_at_all_is_refused() {
    assert!(matches!(refused(&[]), BindError::NoAddress));
}

#[test]
fn both_wildcards_can_share_a_port() {
    let v4 = bound(&["0.0.0.0:0"], 1);
    let port = v4.local_addrs()[0].port();
    let v6 = bind(&[SocketAddr::new("::".parse().unwrap(), port)], &BindOptions::default());
    assert_eq!(v6.unwrap().local_addrs()[0].port(), port);
}
