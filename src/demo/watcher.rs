//! Asks the demo's server over UDP, as a client would, and prints what moves.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::sites::SITES;
use crate::dns::Name;
use crate::dns::types::rtype;

/// Time between two rounds of questions.
const ROUND: Duration = Duration::from_millis(300);
/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// What is asked: the WIP, the client subnet, and words for the client.
const ASKED: [(&str, Option<[u8; 3]>, &str); 3] = [
    ("shop", Some([91, 0, 0]), "shop.gslb.example for a client in Germany"),
    ("shop", Some([126, 0, 0]), "shop.gslb.example for a client in Japan"),
    ("ledger", None, "ledger.gslb.example (failover)"),
];

type Seen = Arc<Mutex<BTreeMap<usize, Vec<Ipv4Addr>>>>;

/// The watching thread.
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    seen: Seen,
}

impl Watcher {
    pub(super) fn start(server: SocketAddr) -> Watcher {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Seen::default();
        let (stopping, shared) = (Arc::clone(&stop), Arc::clone(&seen));
        // Without its thread the demo goes on; the tour says that no answer came.
        let _ = std::thread::Builder::new()
            .name("watcher".to_owned())
            .spawn(move || watch(server, &stopping, &shared));
        Watcher { stop, seen }
    }

    /// Waits until the WIP's answer is exactly `addresses`; else what was seen.
    pub(super) fn wait_for(
        &self,
        wip: &str,
        addresses: &[Ipv4Addr],
        wait: Duration,
    ) -> Result<(), String> {
        let index = ASKED.iter().position(|(asked, ..)| *asked == wip);
        let until = Instant::now() + wait;
        loop {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let now = index.and_then(|index| seen.get(&index)).cloned();
            drop(seen);
            if now.as_deref() == Some(addresses) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(now.map_or("no answer".to_owned(), |seen| text(&seen)));
            }
            std::thread::sleep(ROUND / 3);
        }
    }

    /// Asks no more.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(server: SocketAddr, stop: &AtomicBool, seen: &Seen) {
    let start = Instant::now();
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return };
    let _ = socket.set_read_timeout(Some(ANSWER_WAIT));
    while !stop.load(Ordering::Relaxed) {
        for (index, (wip, subnet, words)) in ASKED.iter().enumerate() {
            let Some(answer) = ask(&socket, server, wip, *subnet) else { continue };
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.get(&index) != Some(&answer) {
                let elapsed = start.elapsed().as_secs_f32();
                let _ = writeln!(io::stdout(), "{elapsed:6.1} s  {words} → {}", text(&answer));
                seen.insert(index, answer);
            }
        }
        std::thread::sleep(ROUND);
    }
}

fn text(addresses: &[Ipv4Addr]) -> String {
    let one = |address: &Ipv4Addr| {
        let site = SITES.iter().find(|site| site.address == *address);
        format!("{address} ({})", site.map_or("?", |site| site.name))
    };
    let all: Vec<String> = addresses.iter().map(one).collect();
    if all.is_empty() { "no address".to_owned() } else { all.join(", ") }
}

/// One question over UDP; the addresses of the answer's A records.
fn ask(
    socket: &UdpSocket,
    server: SocketAddr,
    wip: &str,
    subnet: Option<[u8; 3]>,
) -> Option<Vec<Ipv4Addr>> {
    let name = Name::parse(&format!("{wip}.gslb.example")).ok()?;
    let mut query = vec![0x57, 0x52, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(subnet.is_some())];
    query.extend(name.wire());
    query.extend([0, rtype::A as u8, 0, 1]);
    let question_end = query.len();
    if let Some([a, b, c]) = subnet {
        query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]);
    }
    socket.send_to(&query, server).ok()?;
    let mut reply = [0; 1_232];
    let length = socket.recv(&mut reply).ok()?;
    let reply = reply.get(..length)?;
    // Each record is the 16 bytes of an A whose owner points at the question.
    let records = reply.get(question_end..)?.chunks_exact(16);
    let count = usize::from(*reply.get(7)?);
    Some(records.take(count).map(|r| Ipv4Addr::new(r[12], r[13], r[14], r[15])).collect())
}
