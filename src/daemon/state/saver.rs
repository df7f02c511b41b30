//! When health state is written, and the thread that does it.
//!
//! ```text
//!   a change ─► 1 s, so that a storm is one write, and 5 s since the last ─► write
//!   no change for five minutes, or
//!   30 s where `failback = "after:…"` holds ─────────────────────────────────► write
//!   a write that failed, or no copy of the prober's, 5 s ago ────────────────► write
//!   a clean stop ──────────────────────────────────────────────────────────► write
//! ```
//!
//! What has not changed is written too, so that the age of the file is how long
//! the server was away, and not how long nothing happened.
//!
//! The thread is its own: a disk that hangs holds up neither probes nor answers.
//! The prober copies its state; names, bytes and the disk are dealt with here.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::StateDir;
use crate::clock::Clock;
use crate::daemon::publisher::Publisher;
use crate::health::Engine;
use crate::health::plan::Plan;
use crate::health::stable::{StableKey, target_key};

/// The first change of many waits so long for the others.
const GATHER_MS: u64 = 1_000;
/// Writes are so far apart.
const APART_MS: u64 = 5_000;
/// What has not changed is written so often.
const REFRESH_MS: u64 = 300_000;
/// And so often while a member is held for a time: that time is lost with a crash
/// that leaves a file older than a minute.
const REFRESH_HELD_MS: u64 = 30_000;
/// Longest wait for the prober's copy: one that is stuck has nothing new to tell.
const COPY_WAIT: Duration = Duration::from_secs(2);
/// Longest wait for the last write.
const STOP_WAIT: Duration = Duration::from_secs(5);

//------------ Wake -----------------------------------------------------------

/// Tells the saver of changes. Never waits: it is told on the prober's thread.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Wake(Arc<WakeState>);

#[derive(Debug, Default)]
struct WakeState {
    changed: AtomicBool,
    stop: AtomicBool,
    /// Nothing is to be written: another process does.
    pause: AtomicBool,
    /// And nothing will be.
    rests: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Wake {
    /// There is something to be written.
    pub(in crate::daemon) fn changed(&self) {
        if !self.0.changed.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
    }

    /// Writes nothing until it is to go on: what is on the disk is another process's.
    pub(in crate::daemon) fn hold(&self) {
        self.0.rests.store(true, Ordering::Release);
        self.0.pause.store(true, Ordering::Release);
    }

    /// Writes a last time and then no more; false: that hangs. Without a saver there is
    /// nothing to wait for.
    pub(in crate::daemon) fn pause(&self, within: Duration) -> bool {
        self.0.rests.store(false, Ordering::Release);
        self.0.pause.store(true, Ordering::Release);
        self.unpark();
        let begun = Instant::now();
        while self.0.thread.get().is_some() && !self.0.rests.load(Ordering::Acquire) {
            if begun.elapsed() >= within {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Writes again.
    pub(in crate::daemon) fn go_on(&self) {
        self.0.pause.store(false, Ordering::Release);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }
}

//------------ Saver ----------------------------------------------------------

/// Handle of the saving thread.
#[derive(Debug)]
pub(in crate::daemon) struct Saver {
    wake: Wake,
    thread: JoinHandle<()>,
}

impl Saver {
    /// Writes what `publisher`'s prober knows from now on, when `wake` says so.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(in crate::daemon) fn start(
        state: Arc<StateDir>,
        publisher: Weak<Publisher>,
        clock: Clock,
        wake: Wake,
    ) -> io::Result<Saver> {
        let mut saving = Saving { state, publisher, clock, named: None };
        let woken = wake.clone();
        let thread = thread::Builder::new().name("state".to_owned()).spawn(move || {
            saving.run(&woken);
        })?;
        let _ = wake.0.thread.set(thread.thread().clone());
        // A change before this was told to nobody.
        wake.unpark();
        Ok(Saver { wake, thread })
    }

    /// Writes a last time, while there still is a prober. Waits no longer than a
    /// disk that hangs deserves.
    pub(in crate::daemon) fn stop(self) {
        self.wake.0.stop.store(true, Ordering::Release);
        self.wake.unpark();
        let begun = Instant::now();
        while !self.thread.is_finished() {
            if begun.elapsed() >= STOP_WAIT {
                tracing::error!("the last write of the health state hangs: not waiting for it");
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The saving thread's own.
struct Saving {
    state: Arc<StateDir>,
    publisher: Weak<Publisher>,
    clock: Clock,
    /// Names of the targets of the last plan that was written. Held weakly, the plan
    /// itself is freed when it is no more, and its place is not taken by another.
    named: Option<(Weak<Plan>, Vec<StableKey>)>,
}

impl Saving {
    fn run(&mut self, wake: &Wake) {
        let mut pace = Pace::new(self.clock.now().mono_ms);
        loop {
            let stop = wake.0.stop.load(Ordering::Acquire);
            if wake.0.pause.load(Ordering::Acquire) {
                if !wake.0.rests.load(Ordering::Acquire) {
                    self.save();
                    wake.0.rests.store(true, Ordering::Release);
                }
                if stop {
                    return;
                }
                thread::park_timeout(Duration::from_millis(APART_MS));
                continue;
            }
            let now_ms = self.clock.now().mono_ms;
            if wake.0.changed.swap(false, Ordering::AcqRel) {
                pace.changed(now_ms);
            }
            if stop || pace.due_ms() <= now_ms {
                let written = self.save();
                pace.tried(self.clock.now().mono_ms, written);
            }
            if stop {
                return;
            }
            let wait_ms = pace.due_ms().saturating_sub(self.clock.now().mono_ms);
            thread::park_timeout(Duration::from_millis(wait_ms));
        }
    }

    /// Says how soon the next write is due; none: nothing was written.
    fn save(&mut self) -> Option<u64> {
        let prober = self.publisher.upgrade().and_then(|publisher| publisher.prober())?;
        // One that is stuck gives none.
        let copy = prober.look_within(COPY_WAIT, Engine::history);
        drop(prober);
        let history = copy?;
        let saved = history.named(self.names(&history.plan));
        let refresh_ms = if history.waits_for_time() { REFRESH_HELD_MS } else { REFRESH_MS };
        self.state.save_health(&saved).then_some(refresh_ms)
    }

    fn names(&mut self, plan: &Arc<Plan>) -> &[StableKey] {
        let same = self.named.take().filter(|(of, _)| of.as_ptr() == Arc::as_ptr(plan));
        let (_, names) = self.named.insert(same.unwrap_or_else(|| {
            let names = plan.targets.iter().map(|target| target_key(&target.identity));
            (Arc::downgrade(plan), names.collect())
        }));
        names
    }
}

//------------ Pace -----------------------------------------------------------

/// When the next write is due. Pure.
struct Pace {
    /// Not before: the last one was too close.
    earliest_ms: u64,
    /// At the latest.
    refresh_ms: u64,
    /// The first change since.
    changed_ms: Option<u64>,
}

impl Pace {
    fn new(now_ms: u64) -> Pace {
        Pace { earliest_ms: 0, refresh_ms: now_ms + REFRESH_MS, changed_ms: None }
    }

    fn changed(&mut self, now_ms: u64) {
        self.changed_ms.get_or_insert(now_ms);
    }

    /// `written`: and so much later again at the latest. What could not be written is
    /// tried again, no sooner than anything else would be written.
    fn tried(&mut self, now_ms: u64, written: Option<u64>) {
        let refresh_ms = now_ms + written.unwrap_or(REFRESH_MS);
        let changed_ms = written.is_none().then_some(now_ms);
        *self = Pace { earliest_ms: now_ms + APART_MS, refresh_ms, changed_ms };
    }

    fn due_ms(&self) -> u64 {
        match self.changed_ms {
            Some(changed_ms) => (changed_ms + GATHER_MS).max(self.earliest_ms),
            None => self.refresh_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_one_write_and_writes_are_apart() {
        let mut pace = Pace::new(0);
        pace.changed(300);
        pace.changed(1_299);
        assert_eq!(pace.due_ms(), 1_300, "one change after another does not put it off");
        pace.tried(1_310, Some(REFRESH_MS));
        pace.changed(1_320);
        assert_eq!(pace.due_ms(), 6_310);
        pace.tried(6_310, Some(REFRESH_MS));
        pace.changed(10_900);
        assert_eq!(pace.due_ms(), 11_900);
    }

    #[test]
    fn what_does_not_change_is_written_every_five_minutes() {
        let mut pace = Pace::new(7);
        assert_eq!(pace.due_ms(), 300_007);
        pace.tried(300_010, Some(REFRESH_MS));
        assert_eq!(pace.due_ms(), 600_010);
        pace.tried(600_010, Some(REFRESH_HELD_MS));
        assert_eq!(pace.due_ms(), 630_010);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again_after_the_gap() {
        let mut pace = Pace::new(0);
        pace.changed(10);
        pace.tried(1_010, None);
        assert_eq!(pace.due_ms(), 6_010, "without another change");
        pace.tried(6_010, None);
        assert_eq!(pace.due_ms(), 11_010);
        pace.tried(11_010, Some(REFRESH_MS));
        assert_eq!(pace.due_ms(), 311_010);
    }

    #[test]
    fn without_a_prober_nothing_is_written_and_that_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDir::open(directory.path()).unwrap());
        let clock = Clock::start();
        let mut saving = Saving { state, publisher: Weak::new(), clock, named: None };
        assert_eq!(saving.save(), None);
    }
}
