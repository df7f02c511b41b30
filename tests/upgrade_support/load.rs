//! Clients that ask without a pause and forgive nothing: a query that is not answered is
//! lost, for none is asked twice; every answer is checked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::Scope;
use std::time::Duration;

/// A query that is not answered for so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(8);
/// Queries of one UDP client under way: with all clients, far fewer than one socket's
/// queue holds.
const IN_FLIGHT: usize = 8;
/// A UDP client takes another port after so many queries, and so another worker's socket.
const QUERIES_PER_PORT: u64 = 500;

/// What all clients share.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) stop: AtomicBool,
    /// The address that the flipping WIP must be answered with; 0: either.
    pub(crate) must_be: AtomicU8,
    pub(crate) udp: AtomicU64,
    pub(crate) tcp: AtomicU64,
    pub(crate) connections: AtomicU64,
    /// What was lost or wrong.
    pub(crate) faults: Mutex<Vec<String>>,
}

/// A question and what may come back.
#[derive(Clone, Copy)]
struct Question {
    name: &'static str,
    kind: u16,
    rcode: u8,
    /// Last bytes of addresses that may be answered, one of them.
    members: &'static [u8],
}

const QUESTIONS: [Question; 6] = [
    Question { name: "turns.g.example", kind: 1, rcode: 0, members: &[1, 2, 3] },
    Question { name: "flip.g.example", kind: 1, rcode: 0, members: &[1, 2] },
    Question { name: "first.g.example", kind: 1, rcode: 0, members: &[1] },
    Question { name: "first.g.example", kind: 28, rcode: 0, members: &[] },
    Question { name: "none.g.example", kind: 1, rcode: 3, members: &[] },
    Question { name: "elsewhere.example", kind: 1, rcode: 5, members: &[] },
];

/// A query for `name`.
pub(crate) fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    query
}

/// The last byte of the one address in `reply`, which answers `query`; none: no address.
pub(crate) fn member(query: &[u8], reply: &[u8]) -> Result<(u8, Option<u8>), String> {
    let wrong = |what: &str| Err(format!("{what}: {query:02x?} was answered {reply:02x?}"));
    if reply.len() < query.len() || reply[..2] != query[..2] || reply[2] & 0xfa != 0x80 {
        return wrong("no answer to it");
    }
    if reply[4..6] != [0, 1] || reply[12..query.len()] != query[12..] {
        return wrong("another question");
    }
    let rcode = reply[3] & 15;
    match (u16::from_be_bytes([reply[6], reply[7]]), &reply[query.len()..]) {
        (0, _) => Ok((rcode, None)),
        // Name, type A, class IN, TTL, length 4, 192.0.2.x
        (1, [0xc0, 12, 0, 1, 0, 1, _, _, _, _, 0, 4, 192, 0, 2, last]) => Ok((rcode, Some(*last))),
        _ => wrong("other records"),
    }
}

struct Asked {
    query: Vec<u8>,
    question: Question,
    must_be: u8,
}

impl Load {
    /// Begins: two UDP clients at each address, and of TCP one that stays connected and
    /// pipelines, and one that connects for each query.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        addresses: &'scope [SocketAddr],
    ) {
        for &address in addresses {
            for seed in 0..2 {
                scope.spawn(move || self.report(self.ask_udp(address, seed)));
            }
            scope.spawn(move || self.report(self.stay_connected(address)));
            scope.spawn(move || self.report(self.connect_anew(address)));
        }
    }

    pub(crate) fn asked(&self) -> u64 {
        self.udp.load(Ordering::Relaxed) + self.tcp.load(Ordering::Relaxed)
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn report(&self, outcome: Result<(), String>) {
        if let Err(fault) = outcome {
            self.faults.lock().unwrap().push(fault);
        }
    }

    fn next(&self, number: u64) -> Asked {
        let question = QUESTIONS[number as usize % QUESTIONS.len()];
        let must_be = self.must_be.load(Ordering::SeqCst);
        // As many different IDs as there are.
        let id = (number.wrapping_mul(40_503) & 0xffff) as u16;
        Asked { query: query(id, question.name, question.kind), question, must_be }
    }

    fn check(&self, asked: &Asked, reply: &[u8]) -> Result<(), String> {
        let (rcode, member) = member(&asked.query, reply)?;
        let name = asked.question.name;
        let is_known = match member {
            Some(member) => asked.question.members.contains(&member),
            None => asked.question.members.is_empty(),
        };
        if rcode != asked.question.rcode || !is_known {
            return Err(format!("{name} was answered {member:?}, response code {rcode}"));
        }
        let settled = asked.must_be != 0 && asked.must_be == self.must_be.load(Ordering::SeqCst);
        if name == "flip.g.example" && settled && member != Some(asked.must_be) {
            return Err(format!("{name} was answered {member:?}, not {}", asked.must_be));
        }
        Ok(())
    }

    fn ask_udp(&self, server: SocketAddr, seed: u64) -> Result<(), String> {
        let mut number = seed * 1_000_003;
        while self.goes_on() {
            let any: SocketAddr = if server.is_ipv4() {
                ([127, 0, 0, 1], 0).into()
            } else {
                "[::1]:0".parse().unwrap()
            };
            let socket = UdpSocket::bind(any).map_err(|error| error.to_string())?;
            socket.connect(server).unwrap();
            socket.set_read_timeout(Some(LOST_AFTER)).unwrap();
            number = self.ask_from(&socket, number, server)?;
        }
        Ok(())
    }

    fn ask_from(
        &self,
        socket: &UdpSocket,
        mut number: u64,
        server: SocketAddr,
    ) -> Result<u64, String> {
        let last = number + QUERIES_PER_PORT;
        let mut under_way: HashMap<[u8; 2], Asked> = HashMap::new();
        let mut reply = [0; 1_500];
        loop {
            while under_way.len() < IN_FLIGHT && number < last && self.goes_on() {
                let asked = self.next(number);
                number += 1;
                socket.send(&asked.query).map_err(|error| format!("UDP {server}: {error}"))?;
                under_way.insert([asked.query[0], asked.query[1]], asked);
            }
            if under_way.is_empty() {
                return Ok(number);
            }
            let lost = |error| format!("UDP {server}: {} lost: {error}", under_way.len());
            let length = socket.recv(&mut reply).map_err(lost)?;
            let Some(asked) = under_way.remove(&[reply[0], reply[1]]) else {
                return Err(format!("UDP {server}: an answer to nothing"));
            };
            self.check(&asked, &reply[..length])?;
            self.udp.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn connect(&self, server: SocketAddr) -> Result<TcpStream, String> {
        let stream =
            TcpStream::connect(server).map_err(|error| format!("TCP {server}: {error}"))?;
        stream.set_read_timeout(Some(LOST_AFTER)).unwrap();
        stream.set_nodelay(true).unwrap();
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }

    fn ask_tcp(&self, stream: &mut TcpStream, batch: &[Asked]) -> Result<(), String> {
        let mut out = Vec::new();
        for asked in batch {
            out.extend((asked.query.len() as u16).to_be_bytes());
            out.extend(&asked.query);
        }
        let lost = |error: std::io::Error| format!("TCP: {} lost: {error}", batch.len());
        stream.write_all(&out).map_err(lost)?;
        for asked in batch {
            let mut prefix = [0; 2];
            stream.read_exact(&mut prefix).map_err(lost)?;
            let mut reply = vec![0; u16::from_be_bytes(prefix).into()];
            stream.read_exact(&mut reply).map_err(lost)?;
            self.check(asked, &reply)?;
            self.tcp.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// One connection from the first query to the last.
    fn stay_connected(&self, server: SocketAddr) -> Result<(), String> {
        let mut stream = self.connect(server)?;
        let mut number = 0;
        while self.goes_on() {
            let batch: Vec<Asked> = (number..number + 8).map(|number| self.next(number)).collect();
            self.ask_tcp(&mut stream, &batch)?;
            number += 8;
            // Between two of its batches it is idle, as connections mostly are.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn connect_anew(&self, server: SocketAddr) -> Result<(), String> {
        let mut number = 0;
        while self.goes_on() {
            let mut stream = self.connect(server)?;
            self.ask_tcp(&mut stream, &[self.next(number)])?;
            number += 1;
            // Closed connections hold their ports for a minute.
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}
