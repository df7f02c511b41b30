//! Streams beyond plain TCP, from outside: DNS over TLS, replies of many messages, and
//! clients behind a proxy, with a responder that does as the request says.
#![allow(clippy::unwrap_used)] // a panic here is a failed test

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use tokio::runtime::Runtime;
use windrose::config::model::TlsFiles;
use windrose::listen::proxy::Proxies;
use windrose::listen::{
    BindOptions, Messages, Meta, Responder, ResponderFactory, Running, StartOptions, TcpOptions,
    Transport, bind,
};
use windrose::problem::{Sources, Spot};
use windrose::tls::{Certificate, LOOK_EVERY, Owner};

/// How long a test waits for what should come at once.
const SOON: Duration = Duration::from_secs(10);

/// Messages of transfers that were made.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// Obeys the first byte: `e` echo, `w` who asked, where and how, `t` a transfer of as many
/// messages as the next two bytes say, each of them large.
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
        let who = format!("{} {} {}", meta.client, meta.local.unwrap(), meta.transport.label());
        let reply = match request.first() {
            Some(b'e') => request,
            Some(b'w') => who.as_bytes(),
            _ => return 0,
        };
        out[..reply.len()].copy_from_slice(reply);
        reply.len()
    }

    fn begin_transfer(&mut self, request: &[u8], _: &Meta) -> Option<Box<dyn Messages>> {
        let [b't', high, low, ..] = *request else { return None };
        Some(Box::new(Zone { left: u16::from_be_bytes([high, low]), name: request[3] }))
    }
}

struct Zone {
    left: u16,
    name: u8,
}

impl Messages for Zone {
    fn next(&mut self, out: &mut [u8]) -> usize {
        if self.left == 0 {
            return 0;
        }
        self.left -= 1;
        MADE.fetch_add(1, Ordering::Relaxed);
        out[..20_000].fill(self.name);
        20_000
    }
}

struct Server {
    running: Running,
    directory: tempfile::TempDir,
    files: TlsFiles,
    plain: SocketAddr,
    dot: SocketAddr,
}

fn write_pair(files: &TlsFiles) {
    let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
}

fn files_in(directory: &Path) -> TlsFiles {
    let mut sources = Sources::default();
    let spot = Spot::new(sources.add("windrose.toml").unwrap(), 0..1);
    let (certificate, key) = (directory.join("dns.crt"), directory.join("dns.key"));
    TlsFiles { certificate, key, spots: (spot, spot) }
}

fn serve_with(tcp: TcpOptions, proxies: &[&str]) -> Server {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let files = files_in(directory.path());
    write_pair(&files);
    let certificate = Certificate::read(&files, Owner::Dns).unwrap();
    let options = BindOptions::default();
    let at = "127.0.0.1:0".parse().unwrap();
    let bound = bind(&[at], &options).unwrap();
    let bound = bound.with_encrypted(&[(Transport::Dot, at)], &options, Vec::new()).unwrap();
    let dot = bound.encrypted_addrs()[0].1;
    let proxies: Vec<_> = proxies.iter().map(|network| network.parse().unwrap()).collect();
    let start = StartOptions {
        tcp,
        certificate: Some(certificate),
        proxies: Proxies::new(&proxies).map(Arc::new),
        ..StartOptions::default()
    };
    let running = bound.start(&Obey, &start, RUNTIME.handle()).unwrap();
    let plain = running.local_addrs()[0];
    Server { running, directory, files, plain, dot }
}

fn serve() -> Server {
    serve_with(TcpOptions::default(), &[])
}

impl Server {
    fn trusting(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let pem = std::fs::read(&self.files.certificate).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn counts(&self, of: Transport) -> windrose::listen::TcpCounts {
        let counts = self.running.connections();
        counts.into_iter().find(|(transport, _)| *transport == of).unwrap().1
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn secure(config: Arc<ClientConfig>, stream: TcpStream) -> Tls {
    let name = ServerName::try_from("dns.example").unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

fn receive(stream: &mut impl Read) -> Vec<u8> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(prefix))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

fn ask(stream: &mut (impl Read + Write), message: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(message)).unwrap();
    receive(stream)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks for the zone called `name` of so many messages.
fn transfer(messages: u16, name: u8) -> Vec<u8> {
    let [high, low] = messages.to_be_bytes();
    framed(&[b't', high, low, name])
}

// ---- DNS over TLS ----------------------------------------------------------------------

#[test]
fn dot_answers_and_keeps_the_connection() {
    let server = serve();
    for protocols in [&["dot"][..], &[], &["h2", "dot"]] {
        let mut tls = secure(server.trusting(protocols), connect(server.dot));
        let from = tls.sock.local_addr().unwrap();
        for _ in 0..3 {
            assert_eq!(ask(&mut tls, b"e hello"), b"e hello");
        }
        let who = format!("{from} 127.0.0.1 dot");
        assert_eq!(ask(&mut tls, b"w"), who.as_bytes());
        let expected = protocols.contains(&"dot").then_some(&b"dot"[..]);
        assert_eq!(tls.conn.alpn_protocol(), expected, "{protocols:?}");
    }
    eventually("all three count", || server.counts(Transport::Dot).admitted == 3);
    assert_eq!(server.counts(Transport::Tcp).admitted, 0);
}

#[test]
fn a_client_of_another_protocol_is_refused() {
    let server = serve();
    let mut tls = secure(server.trusting(&["h2"]), connect(server.dot));
    let error = tls.write_all(&framed(b"e")).and_then(|()| tls.flush()).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    // Nor is what does not speak TLS.
    let mut plain = connect(server.dot);
    plain.write_all(&framed(b"e in clear")).unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!rest.windows(2).any(|bytes| bytes == b"e "), "{rest:?}");
    eventually("both are counted", || server.counts(Transport::Dot).handshake_failed == 2);
    assert_eq!(server.counts(Transport::Dot).admitted, 0);
}

#[test]
fn a_client_that_comes_again_resumes_its_session() {
    let server = serve();
    let config = server.trusting(&["dot"]);
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let mut tls = secure(Arc::clone(&config), connect(server.dot));
        assert_eq!(ask(&mut tls, b"e"), b"e");
        kinds.push(tls.conn.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_open_connections_go_on() {
    let server = serve();
    let before = server.trusting(&["dot"]);
    let mut open = secure(before, connect(server.dot));
    assert_eq!(ask(&mut open, b"e"), b"e");
    let certificate = server.running.certificate().unwrap();
    let begun = Instant::now();
    write_pair(&server.files);
    let after = server.trusting(&["dot"]);
    eventually("the pair is taken", || {
        certificate.look();
        certificate.totals().renewed > 0
    });
    assert!(begun.elapsed() < LOOK_EVERY + SOON);
    let mut new = secure(Arc::clone(&after), connect(server.dot));
    assert_eq!(ask(&mut new, b"e new"), b"e new");
    assert_eq!(ask(&mut open, b"e open"), b"e open");
    // Of no use: the one before goes on.
    std::fs::write(server.directory.path().join("dns.key"), "nothing").unwrap();
    eventually("it is refused", || {
        certificate.look();
        certificate.totals().refused > 0
    });
    let mut still = secure(after, connect(server.dot));
    assert_eq!(ask(&mut still, b"e still"), b"e still");
}

#[test]
fn a_handshake_that_does_not_go_on_is_cut_off() {
    let options =
        TcpOptions { message_timeout: Duration::from_millis(200), ..TcpOptions::default() };
    let server = serve_with(options, &[]);
    let mut silent = connect(server.dot);
    let mut half = connect(server.dot);
    half.write_all(&[22, 3, 1, 0, 200, 1]).unwrap();
    for stream in [&mut silent, &mut half] {
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "closed");
    }
    eventually("both are counted", || server.counts(Transport::Dot).handshake_failed == 2);
    let mut tls = secure(server.trusting(&["dot"]), connect(server.dot));
    assert_eq!(ask(&mut tls, b"e"), b"e");
}

#[test]
fn at_a_handover_tls_ends_politely_once_it_is_answered() {
    let server = serve();
    let mut idle = secure(server.trusting(&["dot"]), connect(server.dot));
    assert_eq!(ask(&mut idle, b"e"), b"e");
    let mut asking = secure(server.trusting(&["dot"]), connect(server.dot));
    assert_eq!(ask(&mut asking, b"e"), b"e");
    // Half of a message is here: its rest is waited for.
    let message = framed(b"e the last");
    asking.write_all(&message[..5]).unwrap();
    asking.flush().unwrap();
    eventually("it has begun", || server.counts(Transport::Dot).idle == 1);
    std::thread::scope(|scope| {
        let leaving = scope.spawn(|| {
            let mut moved = 0;
            let all = server.running.hand_over(SOON, |_| moved += 1);
            (all, moved)
        });
        // close_notify, and not a cut.
        assert_eq!(idle.read(&mut [0; 16]).unwrap(), 0);
        asking.write_all(&message[5..]).unwrap();
        assert_eq!(receive(&mut asking), b"e the last");
        assert_eq!(asking.read(&mut [0; 16]).unwrap(), 0);
        assert_eq!(leaving.join().unwrap(), (true, 0));
    });
}

// ---- Replies of many messages ----------------------------------------------------------

#[test]
fn other_queries_are_answered_between_the_messages_of_a_transfer() {
    let server = serve();
    let mut stream = connect(server.plain);
    // More than the socket's buffers hold: it cannot be over when the query comes.
    stream.write_all(&transfer(1_000, b'z')).unwrap();
    assert_eq!(receive(&mut stream), vec![b'z'; 20_000]);
    stream.write_all(&framed(b"e between")).unwrap();
    let (mut messages, mut answered_after) = (1, None);
    while messages < 1_000 || answered_after.is_none() {
        match receive(&mut stream) {
            reply if reply == b"e between" => answered_after = Some(messages),
            reply => {
                assert_eq!(reply, vec![b'z'; 20_000]);
                messages += 1;
            }
        }
    }
    assert!(answered_after.unwrap() < 1_000, "{answered_after:?}");
    assert_eq!(ask(&mut stream, b"e after"), b"e after");
}

#[test]
fn transfers_of_one_connection_take_turns_and_a_half_closed_client_gets_all() {
    let server = serve();
    for is_tls in [false, true] {
        let mut bytes: Vec<u8> = (b'a'..=b'g').flat_map(|name| transfer(20, name)).collect();
        bytes.extend(framed(b"e last"));
        let (mut counts, mut order, mut is_answered) = ([0; 256], Vec::new(), false);
        let mut see = |reply: Vec<u8>| match &reply[..] {
            b"e last" => is_answered = true,
            [name, ..] => {
                counts[usize::from(*name)] += 1;
                order.push(*name);
            }
            [] => panic!("an empty message"),
        };
        if is_tls {
            let mut tls = secure(server.trusting(&["dot"]), connect(server.dot));
            tls.write_all(&bytes).unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
            (0..=140).for_each(|_| see(receive(&mut tls)));
            assert_eq!(tls.read(&mut [0; 1]).unwrap(), 0);
        } else {
            let mut stream = connect(server.plain);
            stream.write_all(&bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            (0..=140).for_each(|_| see(receive(&mut stream)));
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        }
        assert!(is_answered);
        assert_eq!(&counts[usize::from(b'a')..=usize::from(b'g')], [20; 7]);
        let first_of_b = order.iter().position(|name| *name == b'b').unwrap();
        assert!(first_of_b < 20, "{first_of_b} messages of the first came before the second's");
    }
}

#[test]
fn a_transfer_is_made_as_its_client_reads_it() {
    let options = TcpOptions { write_timeout: Duration::from_millis(300), ..TcpOptions::default() };
    let server = serve_with(options, &[]);
    let before = MADE.load(Ordering::Relaxed);
    let mut stream = connect(server.plain);
    // 1.3 GB, of which nothing is read.
    stream.write_all(&transfer(u16::MAX, b'z')).unwrap();
    eventually("it is given up", || server.counts(Transport::Tcp).stalled == 1);
    // Other tests of this file make some thousands; this one is cut off after what the
    // sockets hold.
    let made = MADE.load(Ordering::Relaxed) - before;
    assert!(made < 20_000, "{made} messages were made");
    eventually("its place is free", || server.counts(Transport::Tcp).open == 0);
}

#[test]
fn transfers_beyond_the_limit_wait_for_their_turn() {
    let options = TcpOptions { transfers_max: 1, ..TcpOptions::default() };
    let server = serve_with(options, &[]);
    let mut first = connect(server.plain);
    first.write_all(&transfer(1_000, b'a')).unwrap();
    assert_eq!(receive(&mut first)[0], b'a');
    let mut second = connect(server.plain);
    second.write_all(&transfer(2, b'b')).unwrap();
    // Other queries need not wait.
    assert_eq!(ask(&mut second, b"e"), b"e");
    (1..1_000).for_each(|_| assert_eq!(receive(&mut first)[0], b'a'));
    assert_eq!([receive(&mut second)[0], receive(&mut second)[0]], [b'b'; 2]);
}

// ---- Behind a proxy --------------------------------------------------------------------

fn header(command: u8, family: u8, client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let mut rest = match client {
        SocketAddr::V4(v4) => [v4.ip().octets(), [198, 51, 100, 53]].concat(),
        SocketAddr::V6(v6) => [v6.ip().octets(), [9; 16]].concat(),
    };
    rest.extend(client.port().to_be_bytes());
    rest.extend(53u16.to_be_bytes());
    rest.extend([0x20, 0, 1, 7]);
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, &rest].concat()
}

#[test]
fn the_client_behind_a_proxy_is_the_one_seen() {
    let server = serve_with(TcpOptions::default(), &["127.0.0.0/8"]);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(SOON)).unwrap();
    udp.connect(server.plain).unwrap();
    for (command, family, client) in [
        (0x21, 0x12, Some("192.0.2.7:4321")),
        (0x21, 0x22, Some("[2001:db8::7]:4321")),
        (0x20, 0x00, None),
        (0x21, 0x00, None),
    ] {
        let header = header(command, family, client.unwrap_or("192.0.2.9:1"));
        let expected = |own: SocketAddr, transport: &str| match client {
            Some(v4) if family == 0x12 => format!("{v4} 198.51.100.53 {transport}"),
            Some(v6) => format!("{v6} 909:909:909:909:909:909:909:909 {transport}"),
            None => format!("{own} 127.0.0.1 {transport}"),
        };
        udp.send(&[&header[..], b"w"].concat()).unwrap();
        let mut reply = [0; 512];
        let length = udp.recv(&mut reply).unwrap();
        let own = udp.local_addr().unwrap();
        assert_eq!(String::from_utf8_lossy(&reply[..length]), expected(own, "udp"));

        let mut tcp = connect(server.plain);
        let own = tcp.local_addr().unwrap();
        // In pieces: a header may be split anywhere.
        let bytes = [&header[..], &framed(b"w")].concat();
        for piece in bytes.chunks(7) {
            tcp.write_all(piece).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(String::from_utf8(receive(&mut tcp)).unwrap(), expected(own, "tcp"));

        let mut stream = connect(server.dot);
        let own = stream.local_addr().unwrap();
        stream.write_all(&header).unwrap();
        let mut tls = secure(server.trusting(&["dot"]), stream);
        assert_eq!(String::from_utf8(ask(&mut tls, b"w")).unwrap(), expected(own, "dot"));
    }
}

#[test]
fn a_proxy_without_a_good_header_gets_nothing_and_is_counted() {
    let server = serve_with(TcpOptions::default(), &["127.0.0.0/8"]);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(SOON)).unwrap();
    udp.connect(server.plain).unwrap();
    let good = [&header(0x21, 0x12, "192.0.2.7:9")[..], b"e good"].concat();
    let bad: [Vec<u8>; 5] = [
        b"e no header".to_vec(),
        good[..20].to_vec(),
        header(0x22, 0x12, "192.0.2.7:9"),
        header(0x21, 0x99, "192.0.2.7:9"),
        // A reply to port 0 could reach nobody.
        [&header(0x21, 0x12, "192.0.2.7:0")[..], b"e"].concat(),
    ];
    for bytes in &bad {
        udp.send(bytes).unwrap();
        udp.send(&good).unwrap();
        // The good one's reply is the first to come: the bad one had none.
        let mut reply = [0; 64];
        let length = udp.recv(&mut reply).unwrap();
        assert_eq!(&reply[..length], b"e good");
    }
    eventually("all are counted", || server.running.drops().bad_header == bad.len() as u64);
    for bytes in [&b"\0\x01e\0\x01e\0\x01e\0\x01e\0\x01e\0\x01e"[..], &bad[2], &bad[3]] {
        let mut tcp = connect(server.plain);
        tcp.write_all(bytes).unwrap();
        let read = tcp.read(&mut [0; 16]);
        let is_reset = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
        assert!(read.as_ref().is_ok_and(|count| *count == 0) || read.is_err_and(|e| is_reset(&e)));
    }
    eventually("these too", || server.counts(Transport::Tcp).bad_header == 3);
    assert_eq!(server.counts(Transport::Tcp).admitted, 0);
}

#[test]
fn from_others_no_header_is_looked_for() {
    let server = serve_with(TcpOptions::default(), &["192.0.2.0/24"]);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(SOON)).unwrap();
    udp.connect(server.plain).unwrap();
    // What looks like one is a message that nobody understands.
    udp.send(&[&header(0x21, 0x12, "192.0.2.7:9")[..], b"w"].concat()).unwrap();
    udp.send(b"w").unwrap();
    let mut reply = [0; 512];
    let length = udp.recv(&mut reply).unwrap();
    let expected = format!("{} 127.0.0.1 udp", udp.local_addr().unwrap());
    assert_eq!(String::from_utf8_lossy(&reply[..length]), expected);
    let mut tcp = connect(server.plain);
    assert_eq!(ask(&mut tcp, b"e"), b"e");
    assert_eq!(server.running.drops().bad_header, 0);
}
