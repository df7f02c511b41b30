//! Asks the server for every WIP, ever more often as its answer comes into doubt, and
//! keeps when each answer named the member that dies for the last time.
//!
//! An answer's TTL sinks while its member is in doubt, so the server itself tells which
//! names are worth asking for each millisecond.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Trial, now_us, stamp};

/// The TTL of an answer about which there is no doubt.
const CALM_TTL_S: u32 = 30;
/// Pauses between two questions for a name: calm, or over; in doubt, when two results are
/// a second away; one result from the verdict.
const CALM: Duration = Duration::from_millis(200);
const DOUBTED: Duration = Duration::from_millis(20);
const CLOSE: Duration = Duration::from_millis(1);
/// A question without a reply is asked again: after this, and where it matters sooner.
const PATIENCE: Duration = Duration::from_millis(200);
const PATIENCE_CLOSE: Duration = Duration::from_millis(5);
/// Questions sent before replies are looked at.
const PART: usize = 16;
/// Pause where nothing is due.
const PAUSE: Duration = Duration::from_micros(100);

/// The asking thread.
pub(crate) struct Asked {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Names whose last answer was calm and named the member that dies.
    calm: AtomicUsize,
    /// Names whose answer has changed.
    changed: AtomicUsize,
    names: usize,
}

impl Asked {
    pub(crate) fn start(port: u16, trials: &[Arc<Trial>]) -> Result<Asked, String> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let socket = socket.map_err(|error| error.to_string())?;
        let ready = socket.connect((Ipv4Addr::LOCALHOST, port));
        ready.and_then(|()| socket.set_nonblocking(true)).map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared { names: trials.len(), ..Shared::default() });
        let names: Vec<Name> = trials.iter().enumerate().map(Name::new).collect();
        let on_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || ask(&socket, names, &on_thread));
        Ok(Asked { shared, thread: Some(thread) })
    }

    pub(crate) fn all_calm(&self) -> bool {
        self.shared.calm.load(Ordering::Relaxed) == self.shared.names
    }

    pub(crate) fn all_changed(&self) -> bool {
        self.shared.changed.load(Ordering::Relaxed) == self.shared.names
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One WIP as it is asked for.
struct Name {
    trial: Arc<Trial>,
    query: Vec<u8>,
    next: Instant,
    patience: Duration,
    calm: bool,
    changed: bool,
}

impl Name {
    fn new((id, trial): (usize, &Arc<Trial>)) -> Name {
        let mut query = (id as u16).to_be_bytes().to_vec();
        query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in [trial.wip.as_str(), "safety", "example"] {
            query.push(label.len() as u8);
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, 1, 0, 1]);
        let trial = Arc::clone(trial);
        let (next, patience) = (Instant::now(), PATIENCE);
        Name { trial, query, next, patience, calm: false, changed: false }
    }

    /// Takes a reply in: an address and its TTL.
    fn take(&mut self, address: Ipv4Addr, ttl_s: u32, now: Instant) {
        let names_dying = address == self.trial.dying;
        self.calm = names_dying && ttl_s == CALM_TTL_S;
        let has_died = self.trial.died_us.load(Ordering::Relaxed) != 0;
        match (names_dying, has_died) {
            (true, true) => self.trial.last_named_us.store(now_us(), Ordering::Relaxed),
            (false, true) => {
                stamp(&self.trial.first_changed_us);
                self.changed = true;
            }
            _ => {}
        }
        let (pause, patience) = match ttl_s {
            CALM_TTL_S => (CALM, PATIENCE),
            _ if self.changed => (CALM, PATIENCE),
            0 | 1 => (CLOSE, PATIENCE_CLOSE),
            _ => (DOUBTED, PATIENCE),
        };
        (self.next, self.patience) = (now + pause, patience);
    }
}

fn ask(socket: &UdpSocket, mut names: Vec<Name>, shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        let mut idle = true;
        let now = Instant::now();
        let due: Vec<usize> = (0..names.len()).filter(|id| names[*id].next <= now).collect();
        for part in due.chunks(PART) {
            for &id in part {
                // A full buffer or a refusal: it is asked again.
                let _ = socket.send(&names[id].query);
                names[id].next = now + names[id].patience;
            }
            // Before others are asked, so that a reply does not wait for them.
            idle &= !take_replies(socket, &mut names);
        }
        idle &= due.is_empty() && !take_replies(socket, &mut names);
        shared.calm.store(names.iter().filter(|name| name.calm).count(), Ordering::Relaxed);
        shared.changed.store(names.iter().filter(|name| name.changed).count(), Ordering::Relaxed);
        if idle {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Takes all that have come; whether there were any.
fn take_replies(socket: &UdpSocket, names: &mut [Name]) -> bool {
    let mut reply = [0; 512];
    let mut any = false;
    while let Ok(length) = socket.recv(&mut reply) {
        any = true;
        if let Some((id, address, ttl_s)) = read(&reply[..length])
            && let Some(name) = names.get_mut(id)
        {
            name.take(address, ttl_s, Instant::now());
        }
    }
    any
}

/// Id, first address and its TTL of a reply with one question and an answer of A
/// records whose names are pointers, as this server writes them.
fn read(reply: &[u8]) -> Option<(usize, Ipv4Addr, u32)> {
    let word = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let id = usize::from(word(0)?);
    (word(6)? > 0).then_some(())?;
    let mut at = 12;
    while *reply.get(at)? != 0 {
        at += usize::from(reply[at]) + 1;
    }
    // Behind the root label, type and class of the question.
    let record = at + 5;
    (*reply.get(record)? >= 0xc0 && word(record + 2)? == 1).then_some(())?;
    let ttl_s = u32::from(word(record + 6)?) << 16 | u32::from(word(record + 8)?);
    let address: [u8; 4] = reply.get(record + 12..record + 16)?.try_into().ok()?;
    Some((id, address.into(), ttl_s))
}
