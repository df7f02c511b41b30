//! Watches the prober from outside its runtime: a thread that needs nothing of it.
//!
//! ```text
//!             no turn for 3 s, or no result for the longest timeout + 3 s
//!   CLEAR ──────────────────────────────────────────────► VEILED ◄─┐ veil every
//!     ▲                                                     │  └───┘ word again
//!     │ the runner has judged all anew     turns, results   │
//!     └───────────────────────────────── LIFTED ◄───────────┘
//! ```
//!
//! While the prober is stuck or dead, what the table says is no verdict of now. So
//! every word is *veiled*: unknown, availability as it was, at the least TTL. Two
//! threads then write to the table, without a lock that one of them could be stuck
//! with. What keeps them apart:
//!
//! - The watchdog alone leaves CLEAR and VEILED; the runner alone leaves LIFTED, and
//!   only for CLEAR, by an exchange that fails if the watchdog was faster.
//! - The watchdog writes words in VEILED alone, and again at every look: what a
//!   runner that is half alive wrote meanwhile does not stay.
//! - LIFTED is stored after the last of those writes and seen before the runner
//!   judges every word anew, so no veil outlives CLEAR.
//! - A veil changes neither availability nor the time of a loss, so what the engine
//!   reads back of a veiled word (a gate's) is sound.
//!
//! A process that was stopped as a whole stops its watchdog too: a look that comes
//! late gives the prober its time anew, once.
//!
//! It must not know probes, plans or why the prober is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Shared;
use crate::clock::Clock;
use crate::health::table::Table;

/// The runner turns every half second at the latest; for so long it may not.
const TURN_BOUND_MS: u64 = 3_000;
/// A result may come so much later than the longest timeout.
const RESULT_MARGIN_MS: u64 = 3_000;
const LOOK_EVERY_MS: u64 = 500;
/// A look that comes so late was held up with everything else.
const LATE_MS: u64 = 1_000;
/// What is still so is said again this often.
const SAY_EVERY_MS: u64 = 60_000;

const CLEAR: u8 = 0;
const VEILED: u8 = 1;
const LIFTED: u8 = 2;

//------------ Between runner and watchdog ------------------------------------

/// What the runner shows to the watchdog, and the veil.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Monotonic time of the last result, or at which no probe was in flight.
    result_ms: AtomicU64,
    /// Of the targets that are probed.
    timeout_ms_max: AtomicU64,
    veil: AtomicU8,
    /// The words that queries read.
    table: ArcSwap<Table>,
}

impl Watched {
    /// A result came in, or there is none to come.
    pub(super) fn result(&self, now_ms: u64) {
        self.result_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Other words are read from now on. `in_flight`: probes of the plan before are.
    pub(super) fn publish(&self, table: &Arc<Table>, timeout_ms_max: u64, in_flight: bool) {
        let before_ms = self.timeout_ms_max.load(Ordering::Relaxed);
        let timeout_ms_max = timeout_ms_max.max(if in_flight { before_ms } else { 0 });
        self.timeout_ms_max.store(timeout_ms_max, Ordering::Relaxed);
        // Results may be stuck while the runner is not.
        if self.is_stalled() {
            table.veil();
        }
        self.table.store(Arc::clone(table));
    }

    /// Judges every word anew, if they are veiled no longer.
    pub(super) fn lift(&self, rejudge_all: impl FnOnce()) {
        if self.veil.load(Ordering::Acquire) == LIFTED {
            rejudge_all();
            // Stuck again meanwhile: the next look veils what was just written.
            let _ = self.veil.compare_exchange(LIFTED, CLEAR, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Whether words are veiled.
    pub(super) fn is_stalled(&self) -> bool {
        self.veil.load(Ordering::Relaxed) != CLEAR
    }

    fn veil(&self) {
        self.veil.store(VEILED, Ordering::Release);
        self.table.load().veil();
    }
}

//------------ Watchdog -------------------------------------------------------

/// Handle of the watching thread.
#[derive(Debug)]
pub(super) struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watchdog {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(shared: Arc<Shared>, clock: Clock) -> std::io::Result<Watchdog> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let mut watch = Watch::new(clock.now().mono_ms);
            while !stopping.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(LOOK_EVERY_MS));
                watch.look(&shared, clock.now().mono_ms);
            }
        })?;
        Ok(Watchdog { stop, thread: Some(thread) })
    }

    /// Ends it: a prober that is told to stop is not stuck.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// The watching thread's own state.
struct Watch {
    judge: Judge,
    /// Since when it is stuck, and when that was said last.
    stalled: Option<(u64, u64)>,
}

impl Watch {
    fn new(now_ms: u64) -> Watch {
        Watch { judge: Judge { looked_ms: now_ms, spared_ms: now_ms }, stalled: None }
    }

    fn look(&mut self, shared: &Shared, now_ms: u64) {
        let (counters, watched) = (&shared.counters, &shared.watched);
        let stall = self.judge.look(&Seen {
            now_ms,
            turn_ms: counters.turn_ms.load(Ordering::Relaxed),
            result_ms: watched.result_ms.load(Ordering::Relaxed),
            in_flight: counters.in_flight.load(Ordering::Relaxed) > 0,
            timeout_ms_max: watched.timeout_ms_max.load(Ordering::Relaxed),
        });
        match (stall, self.stalled) {
            (None, None) => {}
            (None, Some((since_ms, _))) => {
                watched.veil.store(LIFTED, Ordering::Release);
                self.stalled = None;
                let stalled_ms = now_ms.saturating_sub(since_ms);
                tracing::warn!(stalled_ms, "the prober goes on: members are judged anew");
            }
            (Some(stall), before) => {
                watched.veil();
                let (since_ms, said_ms) = before.unwrap_or((now_ms, now_ms));
                let said_ms = if before.is_none() || now_ms - said_ms >= SAY_EVERY_MS {
                    say(stall, now_ms - since_ms);
                    now_ms
                } else {
                    said_ms
                };
                self.stalled = Some((since_ms, said_ms));
            }
        }
    }
}

fn say(stall: Stall, stalled_ms: u64) {
    let (reason, silent_ms) = match stall {
        Stall::NoTurn(ms) => ("its thread does nothing or has died", ms),
        Stall::NoResult(ms) => ("probes do not end, not even at their deadline", ms),
    };
    tracing::error!(
        reason,
        silent_ms,
        stalled_ms,
        "the prober is stuck: all members are unknown and answered as before, at the least TTL"
    );
}

//------------ Judge ----------------------------------------------------------

/// What is seen at one look; times are monotonic.
#[derive(Clone, Copy)]
struct Seen {
    now_ms: u64,
    turn_ms: u64,
    result_ms: u64,
    in_flight: bool,
    timeout_ms_max: u64,
}

/// How the prober is stuck, and for how many milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stall {
    NoTurn(u64),
    NoResult(u64),
}

/// Tells a stuck prober from a process that was stopped. Pure.
struct Judge {
    looked_ms: u64,
    /// What was missing before this is not held against the prober.
    spared_ms: u64,
}

impl Judge {
    fn look(&mut self, seen: &Seen) -> Option<Stall> {
        let late = seen.now_ms.saturating_sub(self.looked_ms) > LOOK_EVERY_MS + LATE_MS;
        self.looked_ms = seen.now_ms;
        // Only if it has moved since it was spared last: a host too busy for looks
        // in time must not hide a dead prober for ever.
        if late && seen.turn_ms > self.spared_ms {
            self.spared_ms = seen.now_ms;
        }
        let silent_ms = |since_ms: u64| seen.now_ms.saturating_sub(since_ms.max(self.spared_ms));
        let (turn_ms, result_ms) = (silent_ms(seen.turn_ms), silent_ms(seen.result_ms));
        if turn_ms > TURN_BOUND_MS {
            return Some(Stall::NoTurn(turn_ms));
        }
        let overdue = result_ms > seen.timeout_ms_max + RESULT_MARGIN_MS;
        (seen.in_flight && overdue).then_some(Stall::NoResult(result_ms))
    }
}

#[cfg(test)]
#[path = "tests/watchdog.rs"]
mod tests;
