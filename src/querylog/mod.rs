//! The query log: what is asked and answered, as dnstap, without holding up an answer.
//!
//! ```text
//! worker ─ Tap ─► ring (its own, bounded) ┐
//! worker ─ Tap ─► ring                    ├─► one thread ─► frames ─► socket or file
//!          full: left out and counted     ┘
//! ```
//!
//! A worker copies a request and its reply into memory that it shares with one reader, and
//! does nothing else: no lock, no allocation, no system call, no wait. It must not know DNS:
//! messages are bytes.

mod dnstap;
mod frames;
mod ring;
mod sink;
mod tap;
mod writer;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::ring::Ring;
pub use self::tap::{Exchange, Tap};
use crate::config::model::{QueryLog as Settings, QueryLogTo};

/// Longest that a stop waits for what is not yet written.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Bit of [`Shared::mode`]: requests are kept.
const QUERIES: u64 = 1 << 32;
/// Bit of [`Shared::mode`]: replies are kept.
const RESPONSES: u64 = 1 << 33;

//------------ QueryLog -------------------------------------------------------

/// The log of a whole process.
#[derive(Debug)]
pub struct QueryLog {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// What the thread begins with.
    begin: fn(),
}

/// What workers and the writer share.
#[derive(Debug)]
struct Shared {
    /// One request in so many, in the low half; 0: nothing is kept. Then two bits. On a line
    /// of its own: every worker reads it with each batch.
    mode: Line<AtomicU64>,
    slots: Box<[Arc<Slot>]>,
    to: Mutex<Wanted>,
    /// [`Shared::to`] changed.
    changed: Condvar,
    /// Grows with each change.
    turn: AtomicU64,
    stop: AtomicBool,
    written: AtomicU64,
    /// Taken from a ring, and never written.
    lost: AtomicU64,
}

/// Alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

/// What one worker and the writer share. The ring is made when a log is first wanted.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    ring: OnceLock<Ring>,
    /// Found no room. One writer: the worker.
    dropped: AtomicU64,
}

/// What is to be written where, and by whom.
#[derive(Clone, Debug, Default)]
struct Wanted {
    to: Option<QueryLogTo>,
    identity: Option<String>,
}

/// What became of what was to be logged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Messages written.
    pub written: u64,
    /// Requests left out: no room, or nobody took them.
    pub dropped: u64,
}

impl QueryLog {
    /// For so many workers; nothing is logged until [`apply`](QueryLog::apply). The thread
    /// that writes begins with `begin`.
    pub fn new(workers: usize, begin: fn()) -> QueryLog {
        let shared = Shared {
            mode: Line::default(),
            slots: (0..workers).map(|_| Arc::default()).collect(),
            to: Mutex::default(),
            changed: Condvar::new(),
            turn: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        };
        QueryLog { shared: Arc::new(shared), thread: Mutex::new(None), begin }
    }

    /// The end of a worker. Of each there may be one: a ring has one writer.
    pub fn tap(&self, worker: usize) -> Option<Tap> {
        let slot = self.shared.slots.get(worker)?;
        Some(Tap::new(Arc::clone(&self.shared), Arc::clone(slot)))
    }

    /// Logs so from now on.
    pub fn apply(&self, settings: &Settings, identity: Option<&str>) -> io::Result<()> {
        let mode = match settings.to {
            Some(_) => {
                u64::from(settings.sample)
                    | if settings.queries { QUERIES } else { 0 }
                    | if settings.responses { RESPONSES } else { 0 }
            }
            None => 0,
        };
        if mode != 0 {
            for slot in &self.shared.slots {
                slot.ring.get_or_init(Ring::new);
            }
            self.start()?;
        }
        self.shared.mode.0.store(mode, Ordering::Release);
        let mut wanted = self.shared.wanted();
        let identity = identity.map(str::to_owned);
        if wanted.to != settings.to || wanted.identity != identity {
            *wanted = Wanted { to: settings.to.clone(), identity };
            self.shared.turn.fetch_add(1, Ordering::Release);
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// What became of what was to be logged; none: nothing ever was.
    pub fn totals(&self) -> Option<Totals> {
        let shared = &self.shared;
        shared.slots.iter().any(|slot| slot.ring.get().is_some()).then(|| {
            let dropped = |slot: &Arc<Slot>| slot.dropped.load(Ordering::Relaxed);
            Totals {
                written: shared.written.load(Ordering::Relaxed),
                dropped: shared.slots.iter().map(dropped).sum::<u64>()
                    + shared.lost.load(Ordering::Relaxed),
            }
        })
    }

    /// Writes what is there, if that is quick, and ends.
    pub fn stop(&self) {
        self.shared.mode.0.store(0, Ordering::Release);
        self.shared.stop.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        let Some(thread) = self.thread().take() else { return };
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < STOP_WITHIN {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn start(&self) -> io::Result<()> {
        let mut thread = self.thread();
        if thread.is_none() {
            let (shared, begin) = (Arc::clone(&self.shared), self.begin);
            let write = move || {
                begin();
                writer::run(&shared);
            };
            *thread = Some(std::thread::Builder::new().name("query-log".to_owned()).spawn(write)?);
        }
        Ok(())
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
