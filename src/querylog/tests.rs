//! Workers' ends, rings, readers at sockets, and files.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::frames::{Control, control};
use super::tap::Kept;
use super::*;
use crate::metrics::Transport;

const WITHIN: Duration = Duration::from_secs(20);

fn client() -> SocketAddr {
    "192.0.2.7:4242".parse().unwrap()
}

fn settings(to: QueryLogTo, sample: u32) -> Settings {
    Settings { to: Some(to), sample, queries: true, responses: true }
}

fn exchange<'a>(query: &'a [u8], reply: &'a [u8]) -> Exchange<'a> {
    Exchange { client: client(), local: None, transport: Transport::Udp, query, reply }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WITHIN, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn number(stream: &mut impl Read) -> u32 {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).unwrap();
    u32::from_be_bytes(bytes)
}

/// The next frame: data, or the kind of a control frame.
fn frame(stream: &mut impl Read) -> Result<Vec<u8>, u32> {
    let length = number(stream);
    let escaped = length == 0;
    let length = if escaped { number(stream) } else { length };
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).unwrap();
    if escaped { Err(u32::from_be_bytes(bytes[..4].try_into().unwrap())) } else { Ok(bytes) }
}

/// Takes one connection, as a reader does.
fn accept(listener: &UnixListener) -> UnixStream {
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(frame(&mut stream), Err(Control::Ready as u32));
    stream.write_all(&control(Control::Accept)).unwrap();
    assert_eq!(frame(&mut stream), Err(Control::Start as u32));
    stream
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn what_a_worker_puts_in_a_reader_takes_out_while_both_go_on() {
    let log = QueryLog::new(1, || {});
    let slot = Arc::clone(&log.shared.slots[0]);
    slot.ring.get_or_init(|| Ring::of(64));
    log.shared.mode.0.store(1 | QUERIES | RESPONSES, Ordering::Release);
    let mut tap = log.tap(0).unwrap();
    const COUNT: u64 = 20_000;
    let writer = std::thread::spawn(move || {
        tap.begin_batch();
        let local = "2001:db8::1".parse().unwrap();
        let mut kept = 0;
        for at in 0..COUNT {
            let query = [at as u8; 29];
            let reply = &[at as u8; 40][..(at % 41) as usize];
            let before = tap.slot_dropped();
            let transport = Transport::ALL[usize::from(at as u8) % Transport::ALL.len()];
            let exchange = Exchange { local: Some(local), transport, ..exchange(&query, reply) };
            tap.saw(&exchange);
            kept += u64::from(tap.slot_dropped() == before);
        }
        kept
    });
    let ring = slot.ring.get().unwrap();
    let (mut kept, mut room, mut seen) = (Kept::default(), Vec::new(), 0);
    loop {
        let ended = writer.is_finished();
        while ring.tail() != ring.head() {
            kept.read(ring, &mut room);
            seen += 1;
            let byte = kept.query[0];
            assert_eq!(kept.query, [byte; 29]);
            assert!(kept.reply.iter().all(|&other| other == byte));
            assert_eq!((kept.client, kept.local), (client(), Some("2001:db8::1".parse().unwrap())));
            assert_eq!(kept.transport, Transport::ALL[usize::from(byte) % Transport::ALL.len()]);
            assert!(kept.at_ns > 1_700_000_000_000_000_000);
        }
        if ended {
            break;
        }
    }
    let kept = writer.join().unwrap();
    assert_eq!(seen, kept);
    assert_eq!(kept + slot.dropped.load(Ordering::Relaxed), COUNT);
    assert!(seen > 0);
}

#[test]
fn a_reader_at_a_socket_gets_messages_of_a_sample_and_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dnstap.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let log = QueryLog::new(2, || {});
    let mut tap = log.tap(1).unwrap();
    tap.begin_batch();
    assert!(!tap.is_on());
    tap.saw(&exchange(b"before", b"before"));
    log.apply(&settings(QueryLogTo::Socket(path), 10), Some("gtm1")).unwrap();
    let mut stream = accept(&listener);
    tap.begin_batch();
    for at in 0..25u8 {
        tap.saw(&exchange(&[b'q', at], if at == 20 { b"" } else { b"reply" }));
    }
    for at in [0, 10] {
        let query = frame(&mut stream).unwrap();
        assert!(has(&query, &[b'q', at]) && has(&query, b"gtm1") && has(&query, b"windrose "));
        assert!(has(&query, &[192, 0, 2, 7]));
        assert!(has(&frame(&mut stream).unwrap(), b"reply"));
    }
    // The third has no reply.
    assert!(has(&frame(&mut stream).unwrap(), &[b'q', 20]));
    until("it is counted", || log.totals().unwrap() == Totals { written: 5, dropped: 0 });
    let stopped = std::thread::spawn(move || log.stop());
    assert_eq!(frame(&mut stream), Err(Control::Stop as u32));
    stream.write_all(&control(Control::Finish)).unwrap();
    stopped.join().unwrap();
}

#[test]
fn each_transport_has_its_socket_protocol() {
    // dnstap.proto: UDP 1, TCP 2, DOT 3, DOH 4, DOQ 7.
    let expected = [1, 2, 3, 4, 7, 4];
    for (transport, number) in Transport::ALL.into_iter().zip(expected) {
        let kept = Kept { transport, ..Kept::default() };
        let (mut inner, mut out) = (Vec::new(), Vec::new());
        let kind = dnstap::Kind::AuthQuery;
        dnstap::encode(&Default::default(), kind, &kept, &mut inner, &mut out);
        // Type, family and protocol come first: fields 1, 2, 3 as varints.
        assert_eq!(inner[4..6], [3 << 3, number], "{transport:?}");
    }
}

#[test]
fn a_reader_that_stops_reading_costs_messages_and_no_time_and_a_new_one_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dnstap.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let log = QueryLog::new(1, || {});
    log.apply(&settings(QueryLogTo::Socket(path), 1), None).unwrap();
    let stream = accept(&listener);
    let mut tap = log.tap(0).unwrap();
    tap.begin_batch();
    let (query, reply) = ([1; 40], [2; 400]);
    // More than a ring, a socket and the frames under way can hold.
    for _ in 0..40_000 {
        tap.saw(&exchange(&query, &reply));
    }
    assert!(log.totals().unwrap().dropped > 10_000, "{:?}", log.totals());
    drop(stream);
    let mut stream = accept(&listener);
    assert!(has(&frame(&mut stream).unwrap(), &query));
    assert!(has(&frame(&mut stream).unwrap(), &reply));
}

#[test]
fn files_follow_one_another_and_each_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queries.dnstap");
    std::fs::write(&path, "of an earlier run").unwrap();
    let log = QueryLog::new(1, || {});
    let to = QueryLogTo::File { path: path.clone(), size_max: 10_000, keep: 2 };
    log.apply(&settings(to, 1), None).unwrap();
    let mut tap = log.tap(0).unwrap();
    tap.begin_batch();
    let numbered = |number: u32| directory.path().join(format!("queries.dnstap.{number}"));
    until("the earlier file is put aside", || numbered(1).exists());
    for round in 1..5 {
        for _ in 0..100 {
            tap.saw(&exchange(&[7; 30], &[8; 70]));
        }
        until("it is written", || log.totals().unwrap().written == round * 200);
    }
    log.stop();
    let count = |path: &Path| {
        let mut file = std::fs::File::open(path).unwrap();
        assert_eq!(frame(&mut file), Err(Control::Start as u32));
        let mut count = 0;
        while let Ok(message) = frame(&mut file) {
            assert!(has(&message, &[7; 30]) || has(&message, &[8; 70]));
            count += 1;
        }
        count
    };
    assert_eq!([&path, &numbered(1), &numbered(2)].map(|path| count(path)), [200, 200, 200]);
    assert!(!numbered(3).exists());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
}

#[test]
fn a_place_that_cannot_be_written_holds_up_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nowhere/queries.dnstap");
    let log = QueryLog::new(1, || {});
    let to = QueryLogTo::File { path, size_max: 10_000, keep: 1 };
    log.apply(&settings(to, 1), None).unwrap();
    let mut tap = log.tap(0).unwrap();
    tap.begin_batch();
    for _ in 0..20_000 {
        tap.saw(&exchange(&[7; 100], &[8; 200]));
    }
    assert!(log.totals().unwrap().dropped > 0);
    let begun = Instant::now();
    log.stop();
    assert!(begun.elapsed() < WITHIN);
}

#[test]
fn a_change_of_config_does_not_wait_for_a_reader_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let socket = |name: &str| {
        let path = directory.path().join(name);
        (UnixListener::bind(&path).unwrap(), QueryLogTo::Socket(path))
    };
    let ((hung, first), (listener, second)) = (socket("first"), socket("second"));
    let log = QueryLog::new(1, || {});
    log.apply(&settings(first, 1), None).unwrap();
    let _stream = accept(&hung);
    let mut tap = log.tap(0).unwrap();
    tap.begin_batch();
    // More than the socket and the frames under way can hold.
    for _ in 0..40_000 {
        tap.saw(&exchange(&[1; 40], &[2; 400]));
    }
    log.apply(&settings(second, 1), None).unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _stream = accept(&listener);
        done.send(()).unwrap();
    });
    is_done.recv_timeout(WITHIN).unwrap();
}

#[test]
fn a_reader_that_accepts_nobody_holds_up_nothing() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full");
    let full = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&full, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&full, 0).unwrap();
    let _waits = UnixStream::connect(&path).unwrap();
    let begun = Instant::now();
    assert!(sink::Sink::open(&QueryLogTo::Socket(path)).is_err());
    assert!(begun.elapsed() < WITHIN);
}
