//! TCP from outside: the listener with a responder that does as the request says, asked
//! over real connections by clients of every kind.
#![allow(clippy::unwrap_used)] // a panic here is a failed test

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tokio::runtime::Runtime;
use windrose::listen::{
    BindOptions, Meta, Responder, ResponderFactory, Running, StartOptions, TcpOptions, Transport,
    bind,
};

/// How long a test waits for what should come at once.
const SOON: Duration = Duration::from_secs(5);

/// Obeys the first byte: `e` echo, `b` as long a reply as there can be, `n` none,
/// `w` who asked, where and how.
struct Obey;

impl ResponderFactory for Obey {
    type Responder = Obey;

    fn udp(&self, _: usize) -> Obey {
        Obey
    }

    fn tcp(&self, _: usize) -> Obey {
        Obey
    }
}

impl Responder for Obey {
    fn respond(&mut self, request: &[u8], meta: &Meta, out: &mut [u8]) -> usize {
        let who;
        let reply = match request[0] {
            b'e' => request,
            b'b' => {
                out.fill(b'b');
                return out.len();
            }
            b'w' => {
                assert_eq!(meta.transport, Transport::Tcp);
                who = format!("{} {}", meta.client, meta.local.unwrap());
                who.as_bytes()
            }
            _ => return 0,
        };
        out[..reply.len()].copy_from_slice(reply);
        reply.len()
    }
}

fn serve(tcp: TcpOptions) -> (Running, SocketAddr) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    let bound = bind(&["127.0.0.1:0".parse().unwrap()], &BindOptions::default()).unwrap();
    let options = StartOptions { tcp, ..StartOptions::default() };
    let running = bound.start(&Obey, &options, RUNTIME.handle()).unwrap();
    let server = running.local_addrs()[0];
    (running, server)
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// From another address of the loopback network.
fn connect_from(client: &str, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(client.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.into()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    bytes
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(prefix))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

fn ask(stream: &mut TcpStream, message: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(message)).unwrap();
    receive(stream)
}

/// How long until the server closes; what it still sends is thrown away.
fn closed_after(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return begun.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return begun.elapsed(),
            Err(error) => panic!("not closed: {error}"),
        }
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_message_split_anywhere_is_answered() {
    let (_running, server) = serve(TcpOptions::default());
    let bytes = [framed(b"e first"), framed(b"e second")].concat();
    for cut in 0..=bytes.len() {
        let mut stream = connect(server);
        stream.write_all(&bytes[..cut]).unwrap();
        std::thread::sleep(ms(2));
        stream.write_all(&bytes[cut..]).unwrap();
        assert_eq!(receive(&mut stream), b"e first", "cut at {cut}");
        assert_eq!(receive(&mut stream), b"e second", "cut at {cut}");
    }
    // And everywhere at once.
    let mut stream = connect(server);
    for byte in bytes {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(ms(1));
    }
    assert_eq!(receive(&mut stream), b"e first");
    assert_eq!(receive(&mut stream), b"e second");
}

#[test]
fn a_thousand_queries_in_one_write_are_all_answered() {
    let (_running, server) = serve(TcpOptions::default());
    let mut stream = connect(server);
    let messages: Vec<Vec<u8>> = (0..1000).map(|n| format!("e{n:0>100}").into_bytes()).collect();
    let bytes: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    for message in &messages {
        assert_eq!(&receive(&mut stream), message);
    }
    writing.join().unwrap();
}

#[test]
fn messages_of_every_size_pass() {
    let (_running, server) = serve(TcpOptions::default());
    let mut stream = connect(server);
    for length in [1, 2, 3, 4094, 4095, 4096, 4097, 16_382, 16_384, 16_385, 65_534, 65_535] {
        let message = vec![b'e'; length];
        assert_eq!(ask(&mut stream, &message), message, "{length}");
    }
    assert_eq!(ask(&mut stream, b"b").len(), 65_535);
}

#[test]
fn the_responder_is_told_who_asked_and_where() {
    let (_running, server) = serve(TcpOptions::default());
    let mut stream = connect(server);
    let expected = format!("{} 127.0.0.1", stream.local_addr().unwrap());
    assert_eq!(String::from_utf8(ask(&mut stream, b"w")).unwrap(), expected);
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let (running, server) = serve(TcpOptions::default());
    let mut stream = connect(server);
    let bytes = [framed(b"e 1"), framed(b"b"), framed(b"e 2")].concat();
    stream.write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream), b"e 1");
    assert_eq!(receive(&mut stream).len(), 65_535);
    assert_eq!(receive(&mut stream), b"e 2");
    assert!(closed_after(&mut stream) < SOON);
    eventually("its place is free", || running.tcp().open == 0);
}

#[test]
fn a_client_that_ends_within_a_message_is_let_go() {
    let (running, server) = serve(TcpOptions::default());
    let mut stream = connect(server);
    stream.write_all(&framed(b"e whole")).unwrap();
    stream.write_all(&framed(b"e partial")[..5]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream), b"e whole");
    assert!(closed_after(&mut stream) < SOON);
    eventually("its place is free", || running.tcp().open == 0);
}

#[test]
fn an_idle_connection_is_closed_and_a_used_one_lives_on() {
    let (running, server) = serve(TcpOptions { idle_timeout: ms(300), ..TcpOptions::default() });
    let mut idle = connect(server);
    let mut used = connect(server);
    for _ in 0..6 {
        assert_eq!(ask(&mut used, b"e"), b"e");
        std::thread::sleep(ms(100));
    }
    assert!(closed_after(&mut idle) < SOON);
    assert_eq!(ask(&mut used, b"e"), b"e");
    let closed = closed_after(&mut used);
    assert!((ms(250)..SOON).contains(&closed), "{closed:?}");
    assert_eq!(running.tcp().stalled, 0);
}

#[test]
fn a_slow_sender_is_cut_off_however_busy_it_looks() {
    let (running, server) = serve(TcpOptions { message_timeout: ms(300), ..TcpOptions::default() });
    let mut stream = connect(server);
    let begun = Instant::now();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        // A byte every 50 ms: never idle, never done.
        for byte in framed(&[b'e'; 100]) {
            if writer.write_all(&[byte]).is_err() {
                break;
            }
            std::thread::sleep(ms(50));
        }
    });
    closed_after(&mut stream);
    let closed = begun.elapsed();
    assert!((ms(250)..SOON).contains(&closed), "{closed:?}");
    assert_eq!(running.tcp().stalled, 1);
    writing.join().unwrap();
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_bounded() {
    let (running, server) = serve(TcpOptions { write_timeout: ms(300), ..TcpOptions::default() });
    let stream = connect(server);
    stream.set_write_timeout(Some(SOON)).unwrap();
    // 64 MiB of replies, if all were made.
    let asked = (0..1000).map(|_| framed(b"b")).collect::<Vec<_>>().concat();
    (&stream).write_all(&asked).unwrap();
    let mut other = connect(server);
    assert_eq!(ask(&mut other, b"e"), b"e", "others are served meanwhile");
    eventually("cut off", || running.tcp().stalled == 1);
    eventually("its place is free", || running.tcp().open == 1);
}

#[test]
fn when_full_the_oldest_idle_one_goes() {
    let (running, server) = serve(TcpOptions { connections_max: 3, ..TcpOptions::default() });
    let mut first = connect(server);
    let mut second = connect(server);
    let mut third = connect(server);
    // A reply is here before its connection counts as idle.
    let ask_and_rest = |stream: &mut TcpStream| {
        assert_eq!(ask(stream, b"e"), b"e");
        eventually("all idle", || running.tcp().idle == 3);
    };
    for stream in [&mut first, &mut second, &mut third] {
        ask_and_rest(stream);
    }
    // The first has been used since: the second is the oldest now.
    ask_and_rest(&mut first);
    let mut fourth = connect(server);
    assert_eq!(ask(&mut fourth, b"e"), b"e");
    assert!(closed_after(&mut second) < SOON);
    for stream in [&mut first, &mut third, &mut fourth] {
        assert_eq!(ask(stream, b"e"), b"e");
    }
    let counts = running.tcp();
    assert_eq!((counts.open, counts.admitted, counts.evicted), (3, 4, 1));
}

#[test]
fn when_full_of_busy_ones_the_new_one_is_refused() {
    let (running, server) = serve(TcpOptions { connections_max: 2, ..TcpOptions::default() });
    let mut busy = [connect(server), connect(server)];
    for stream in &mut busy {
        // Asked, and half of the next.
        assert_eq!(ask(stream, b"e"), b"e");
        stream.write_all(&[0]).unwrap();
    }
    std::thread::sleep(ms(50));
    let mut refused = connect(server);
    assert!(closed_after(&mut refused) < SOON);
    assert_eq!(running.tcp().refused_full, 1);
    for stream in &mut busy {
        stream.write_all(&[1, b'e']).unwrap();
        assert_eq!(receive(stream), b"e");
    }
}

#[test]
fn one_client_cannot_take_all_places() {
    let (running, server) =
        serve(TcpOptions { connections_per_client_max: 2, ..TcpOptions::default() });
    let mut held = [connect(server), connect(server)];
    for stream in &mut held {
        assert_eq!(ask(stream, b"e"), b"e");
    }
    assert!(closed_after(&mut connect(server)) < SOON);
    assert_eq!(ask(&mut connect_from("127.0.0.2", server), b"e"), b"e");
    assert_eq!(running.tcp().refused_client, 1);
    drop(held);
    eventually("places are given back", || running.tcp().open == 0);
    assert_eq!(ask(&mut connect(server), b"e"), b"e");
}

#[test]
fn an_empty_message_ends_the_connection_after_the_answers_before_it() {
    let (_running, server) = serve(TcpOptions::default());
    let mut stream = connect(server);
    stream.write_all(&[framed(b"e last"), vec![0, 0]].concat()).unwrap();
    assert_eq!(receive(&mut stream), b"e last");
    assert!(closed_after(&mut stream) < SOON);
}

#[test]
fn what_is_not_dns_is_cut_off() {
    let options = TcpOptions { message_timeout: ms(300), ..TcpOptions::default() };
    let (running, server) = serve(options);
    // A length of 18,245 ("GE"), and of 5,635 (a TLS handshake record): neither comes.
    let http = b"GET / HTTP/1.1\r\nHost: ns1.example\r\n\r\n".to_vec();
    let tls = [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01][..], &[7; 512]].concat();
    for bytes in [http, tls] {
        let mut stream = connect(server);
        stream.write_all(&bytes).unwrap();
        let closed = closed_after(&mut stream);
        assert!((ms(250)..SOON).contains(&closed), "{closed:?}");
    }
    // Messages nothing can be said to: two are borne, and the third ends it.
    let mut stream = connect(server);
    stream.write_all(&[framed(b"n"), framed(b"n"), framed(b"e")].concat()).unwrap();
    assert_eq!(receive(&mut stream), b"e");
    stream.write_all(&framed(b"n")).unwrap();
    assert!(closed_after(&mut stream) < SOON);
    let counts = running.tcp();
    assert_eq!((counts.stalled, counts.unanswerable), (2, 1));
}

#[test]
fn random_bytes_harm_nobody() {
    let options = TcpOptions { message_timeout: ms(300), ..TcpOptions::default() };
    let (running, server) = serve(options);
    let mut state = 1u64;
    for _ in 0..300 {
        let mut stream = connect(server);
        let mut bytes = Vec::new();
        for _ in 0..state % 3000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.push((state >> 56) as u8);
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // The server may have closed by then.
        let _ = stream.write_all(&bytes);
        if state & 1 == 0 {
            let _ = stream.read(&mut [0; 64]);
        }
    }
    assert_eq!(ask(&mut connect(server), b"e"), b"e");
    eventually("all places are free", || running.tcp().open == 0);
}

#[test]
fn a_thousand_idle_connections_leave_room_for_work() {
    let options = TcpOptions { connections_per_client_max: 1000, ..TcpOptions::default() };
    let (running, server) = serve(options);
    let mut held: Vec<TcpStream> = (0..999).map(|_| connect(server)).collect();
    eventually("all are admitted", || running.tcp().open == 999);
    for stream in held.iter_mut().step_by(100) {
        assert_eq!(ask(stream, b"e"), b"e");
    }
    assert_eq!(ask(&mut connect_from("127.0.0.2", server), b"e"), b"e");
}

#[test]
fn stopping_answers_what_has_come_and_takes_less_than_a_second() {
    let (running, server) = serve(TcpOptions::default());
    let mut idle = connect(server);
    assert_eq!(ask(&mut idle, b"e"), b"e");
    let mut within = connect(server);
    within.write_all(&framed(b"e half")[..4]).unwrap();
    let stuck = connect(server);
    let asked = (0..100).map(|_| framed(b"b")).collect::<Vec<_>>().concat();
    (&stuck).write_all(&asked).unwrap();
    eventually("all are here", || running.tcp().open == 3);
    std::thread::sleep(ms(50));
    let stopping = std::thread::spawn(move || {
        let begun = Instant::now();
        (running.stop(), begun.elapsed())
    });
    assert!(closed_after(&mut idle) < SOON);
    within.write_all(&framed(b"e half")[4..]).unwrap();
    assert_eq!(receive(&mut within), b"e half");
    let (joined, took) = stopping.join().unwrap();
    assert!(joined);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(TcpStream::connect(server).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // Although connections of it linger, the port can be bound again.
    bind(&[server], &BindOptions::default()).unwrap();
}

#[test]
fn a_runtime_that_ends_first_does_not_hold_up_the_stop() {
    let runtime = Runtime::new().unwrap();
    let bound = bind(&["127.0.0.1:0".parse().unwrap()], &BindOptions::default()).unwrap();
    let running = bound.start(&Obey, &StartOptions::default(), runtime.handle()).unwrap();
    let _client = connect(running.local_addrs()[0]);
    drop(runtime);
    assert!(running.stop());
}
