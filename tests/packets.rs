//! The real binary under random and mangled packets: it answers the good queries between
//! them, does not grow, and is there afterwards.
//!
//! `WINDROSE_PACKETS=10000000` sends more than the usual number, `WINDROSE_BINARY` names
//! another binary, `WINDROSE_SEED` other packets; docs/TESTING.md has what came of ten
//! million.

#![allow(clippy::unwrap_used)] // a panic is a failed test

mod config_support;
mod dns_support;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dns_support::{Random, message, requests};

const PACKETS: u64 = 200_000;
/// Packets between two good queries; few enough for the kernel's buffers.
const BETWEEN: u64 = 64;
const WITHIN: Duration = Duration::from_secs(30);
/// How much resident memory may be more at the end than after the first part.
const GROWTH_MAX_KIB: u64 = 4_096;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Point 28.
#[test]
fn packets_of_every_kind_harm_neither_the_server_nor_good_queries() {
    let packets = setting("WINDROSE_PACKETS", PACKETS);
    let mut random = Random(setting("WINDROSE_SEED", 1));
    let server = Server::start();
    let flood = socket(&server);
    flood.set_nonblocking(true).unwrap();
    let good = socket(&server);
    good.set_read_timeout(Some(WITHIN)).unwrap();
    let (mut replies, mut asked, mut slowest) = (0u64, 0u64, Duration::ZERO);
    let (mut reply, mut warm_kib) = ([0; 65_535], 0);
    let started = Instant::now();
    for number in 0..packets {
        // A failed send is an error of an earlier packet, told late; none is to be had here.
        let _ = flood.send(&packet(&mut random));
        if number % BETWEEN != 0 {
            continue;
        }
        while let Ok(length) = flood.recv(&mut reply) {
            assert!(length >= 12 && reply[2] & 0x80 != 0 && length <= 1_232, "{length} bytes");
            replies += 1;
        }
        let sent = Instant::now();
        ask(&good, number as u16);
        slowest = slowest.max(sent.elapsed());
        asked += 1;
        if number <= packets / 10 {
            warm_kib = server.resident_kib();
        }
    }
    let took = started.elapsed();
    let grown_kib = server.resident_kib().saturating_sub(warm_kib);
    println!(
        "{packets} packets in {took:?}: {replies} replies; {asked} good queries all answered, \
         the slowest after {slowest:?}; {warm_kib} KiB and {grown_kib} more"
    );
    assert!(grown_kib <= GROWTH_MAX_KIB, "{grown_kib} KiB more than {warm_kib}");
    // Most of them are heard: what is measured is not a queue that overflows.
    let metrics = server.metrics();
    let read = sum(&metrics, "windrose_dns_queries_total");
    let dropped: u64 = ["short", "response", "fault", "rate_limited", "denied"]
        .iter()
        .map(|reason| sum(&metrics, &format!("windrose_dns_dropped_total{{reason=\"{reason}\"}}")))
        .sum();
    assert!(read > packets / 2, "only {read} of {packets} were read");
    assert_eq!(read, sum(&metrics, "windrose_dns_responses_total") + dropped);
    assert_eq!(sum(&metrics, "windrose_dns_dropped_total{reason=\"fault\"}"), 0);
    assert!(sum(&metrics, "windrose_dns_refused_total") > packets / 10);
}

/// A query, one with a few bytes wrong, one with many, or noise.
fn packet(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => requests::query(random),
        1..=5 => requests::spoiled(random),
        6 => {
            let mut packet = requests::spoiled(random);
            for _ in 0..random.below(40) {
                let at = random.below(packet.len() + 1);
                packet.insert(at, random.next() as u8);
            }
            packet
        }
        _ => {
            let length = random.below(600);
            (0..length).map(|_| random.next() as u8).collect()
        }
    }
}

/// Asks a good query, again while the kernel drops it, and holds the reply against what it
/// must be.
fn ask(socket: &UdpSocket, id: u16) {
    let mut query = id.to_be_bytes().to_vec();
    query.extend(b"\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01");
    let until = Instant::now() + WITHIN;
    let mut reply = [0; 512];
    loop {
        socket.send(&query).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        match socket.recv(&mut reply) {
            // One that was asked twice is answered twice.
            Ok(_) if reply[..2] != query[..2] => {}
            Ok(length) => {
                let reply = message::read(&reply[..length]).unwrap();
                assert_eq!((reply.rcode(), reply.records.len()), (0, 1));
                assert_eq!(reply.records[0].rdata, "192.0.2.80");
                return;
            }
            Err(error) => assert!(Instant::now() < until, "no reply to a good query: {error}"),
        }
    }
}

fn socket(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
    socket
}

/// The sum of the series whose lines begin so.
fn sum(metrics: &str, start: &str) -> u64 {
    let of_it = metrics.lines().filter(|line| line.starts_with(start));
    of_it.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

//------------ Server ---------------------------------------------------------

struct Server {
    child: Child,
    port: u16,
    admin: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let directory = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let mut config = String::new();
        write!(
            config,
            "[server]\nlisten = \"127.0.0.1:{port}\"\nworkers = 1\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [zone.\"example.com\"]\nnameservers = [\"ns1.example.net\"]\n\
             hostmaster = \"hostmaster@example.com\"\n\
             records = [\"www A 192.0.2.80\", \"*.w TXT wild\", \"c1 CNAME www\", \
             \"d DNAME example.net.\", \"sub NS ns.sub\", \"ns.sub A 192.0.2.9\"]\n\
             [datacenter.fra]\nvip = \"192.0.2.1\"\n[wip.\"geo.gslb.example.com\"]\n\
             policy = \"geo\"\nmembers = [\"fra\"]\n[wip.\"rr.gslb.example.com\"]\n\
             policy = \"round-robin\"\nmembers = [\"fra\"]\n"
        )
        .unwrap();
        let path = directory.path().join("windrose.toml");
        std::fs::write(&path, config).unwrap();
        let binary = std::env::var("WINDROSE_BINARY");
        let binary = binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_windrose").to_owned());
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(&path);
        let child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let server = Server { child, port, admin, _directory: directory };
        let until = Instant::now() + WITHIN;
        while server.get("/readyz").is_none_or(|page| !page.starts_with("HTTP/1.1 200")) {
            assert!(Instant::now() < until, "it is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin)).ok()?;
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(page)
    }

    fn metrics(&self) -> String {
        self.get("/metrics").expect("it is alive")
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it is alive");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One that is free over UDP and TCP.
fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
