//! The thread that writes: empties the rings in turn, and waits for readers instead of those
//! who answer.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::dnstap::{self, Kind, Server};
use super::frames;
use super::ring::Ring;
use super::sink::Sink;
use super::tap::Kept;
use super::{Shared, Wanted};
use crate::log::Sparse;

/// Rest while the rings are empty: a ring holds some tens of milliseconds at full load.
const REST: Duration = Duration::from_millis(5);
/// Pause before a reader or a file is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Written in one go, roughly.
const CHUNK_BYTES: usize = 64 << 10;
/// Exchanges of one worker before the next has its turn.
const TURN: usize = 256;

/// How often trouble is said.
static TROUBLE: Sparse = Sparse::every(Duration::from_secs(60));

/// Until the server stops.
pub(super) fn run(shared: &Shared) {
    while !shared.is_stopping() {
        let (wanted, turn) = wanted(shared);
        let Some(to) = &wanted.to else { continue };
        let mut sink = match Sink::open(to) {
            Ok(sink) => sink,
            Err(error) => {
                trouble(&error, "the query log has no reader");
                pause(shared, turn);
                continue;
            }
        };
        tracing::info!("the query log is written");
        let mut drain = Drain::new(&wanted);
        if let Err(error) = drain.all(shared, &mut sink, turn) {
            trouble(&error, "the query log cannot be written");
            pause(shared, turn);
        } else {
            sink.close();
        }
    }
}

fn trouble(error: &std::io::Error, what: &str) {
    if let Some(left_out) = TROUBLE.allow(Instant::now()) {
        tracing::warn!(%error, left_out, "{what}: it is tried again, what finds no room is lost");
    }
}

/// What is wanted, once anything is; none, when the server stops.
fn wanted(shared: &Shared) -> (Wanted, u64) {
    let mut wanted = shared.wanted();
    while wanted.to.is_none() && !shared.is_stopping() {
        wanted = shared.changed.wait(wanted).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    (wanted.clone(), shared.turn.load(Ordering::Acquire))
}

/// Whether the server stops, or something else is wanted.
fn is_over(shared: &Shared, turn: u64) -> bool {
    shared.is_stopping() || shared.turn.load(Ordering::Acquire) != turn
}

/// A while, or until something else is wanted.
fn pause(shared: &Shared, turn: u64) {
    let same = |_: &mut Wanted| !is_over(shared, turn);
    drop(shared.changed.wait_timeout_while(shared.wanted(), RETRY, same));
}

struct Drain {
    server: Server,
    kept: Kept,
    frames: Vec<u8>,
    /// Messages in `frames`.
    count: u64,
    room: Vec<u8>,
}

impl Drain {
    fn new(wanted: &Wanted) -> Drain {
        let version = concat!("windrose ", env!("CARGO_PKG_VERSION")).to_owned();
        Drain {
            server: Server { identity: wanted.identity.clone(), version },
            kept: Kept::default(),
            frames: Vec::with_capacity(2 * CHUNK_BYTES),
            count: 0,
            room: Vec::new(),
        }
    }

    /// Writes what comes, until something else is wanted or the server stops.
    fn all(&mut self, shared: &Shared, sink: &mut Sink, turn: u64) -> std::io::Result<()> {
        loop {
            let ends = is_over(shared, turn);
            let mut busy = false;
            for ring in shared.slots.iter().filter_map(|slot| slot.ring.get()) {
                busy |= self.some(ring);
                if self.frames.len() >= CHUNK_BYTES {
                    self.write(shared, sink, turn)?;
                }
            }
            // At a stop all that is left is written; nothing comes after it.
            if busy && (!ends || shared.is_stopping()) {
                continue;
            }
            self.write(shared, sink, turn)?;
            if ends {
                return Ok(());
            }
            std::thread::sleep(REST);
        }
    }

    /// Takes some of one worker's; whether there were any.
    fn some(&mut self, ring: &Ring) -> bool {
        for taken in 0..TURN {
            if ring.tail() == ring.head() {
                return taken > 0;
            }
            self.kept.read(ring, &mut self.room);
            let (kept, server, room) = (&self.kept, &self.server, &mut self.room);
            for (kind, message) in
                [(Kind::AuthQuery, &kept.query), (Kind::AuthResponse, &kept.reply)]
            {
                if !message.is_empty() {
                    frames::data(&mut self.frames, |out| {
                        dnstap::encode(server, kind, kept, room, out);
                    });
                    self.count += 1;
                }
            }
        }
        true
    }

    fn write(&mut self, shared: &Shared, sink: &mut Sink, turn: u64) -> std::io::Result<()> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let written = sink.write(&self.frames, || is_over(shared, turn));
        let counter = if written.is_ok() { &shared.written } else { &shared.lost };
        counter.fetch_add(self.count, Ordering::Relaxed);
        self.frames.clear();
        self.count = 0;
        written
    }
}
