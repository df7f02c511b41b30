//! The service manager is told how this server is, from what it really does.
//!
//! ```text
//!   ready       queries are answered, and first verdicts are there or start_hold is over
//!   reloading   a load begins … it is in force or refused: ready
//!   alive       at half the watchdog's time, while every part below is well
//! ```
//!
//! A sign of life is no timer's: it is sent by a task of the runtime that serves TCP and
//! the admin listener, so that one that hangs is silent; and only while every UDP
//! thread that has requests waiting serves them, the prober turns and gets results, and
//! the thread that watches files lives. A server of which part is stuck is restarted by
//! its manager, and other servers answer meanwhile.
//!
//! Load is not trouble: a UDP thread that always has requests waiting is well as long as
//! it serves some between two looks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::publisher::Publisher;
use crate::listen::{Pulse, Running};
use crate::service::Notifier;

/// How often it is looked at what the server does.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A start that waits for first verdicts asks for so much more time.
const START_MORE: Duration = Duration::from_secs(30);

/// How long a manager that does not read is told of the process that took over.
const HAND_OVER_WAIT: Duration = Duration::from_secs(5);
const HAND_OVER_EVERY: Duration = Duration::from_millis(20);
/// When "ready" and a sign of life are said again: after a hand-over the first may come
/// before the manager knows this process, and it drops them then.
const SAY_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(6)];

/// Whether this server should be sent clients; if not, why, in a sentence.
pub(super) fn readiness(publisher: &Publisher) -> Result<(), String> {
    if publisher.stopping.load(Ordering::Relaxed) {
        return Err("stopping".to_owned());
    }
    let serving = publisher.serving();
    let hold_ms = u64::from(serving.snapshot.config.health.start_hold_ms);
    let judged = publisher.prober().is_some_and(|prober| prober.ready());
    if judged || publisher.uptime_ms() >= hold_ms {
        return Ok(());
    }
    Err("waiting for the first verdicts of the health checks".to_owned())
}

//------------ Teller ---------------------------------------------------------

/// What the service manager was told, and what it is still to be told.
#[derive(Debug, Default)]
pub(super) struct Teller {
    notifier: OnceLock<Arc<Notifier>>,
    /// It knows that the start is over.
    started: AtomicBool,
    /// "Ready" was not taken yet.
    owed: AtomicBool,
}

impl Teller {
    /// A load begins.
    pub(super) fn reloading(&self) {
        if let (Some(notifier), true) = (self.notifier.get(), self.started.load(Ordering::Relaxed))
        {
            notifier.reloading();
        }
    }

    /// A load is over, whatever came of it.
    pub(super) fn reloaded(&self, publisher: &Publisher) {
        if self.started.load(Ordering::Relaxed) {
            self.owed.store(true, Ordering::Relaxed);
            self.pay(&status(publisher));
        }
    }

    /// The end begins.
    pub(super) fn stopping(&self) {
        if let Some(notifier) = self.notifier.get() {
            notifier.stopping();
        }
    }

    /// Another process is the service from now on.
    pub(super) fn handed_over(&self, process: u32) {
        if let Some(notifier) = self.notifier.get() {
            // A manager that was not told takes the end of this process for the service's.
            let begun = Instant::now();
            while !notifier.main_process(process) {
                if begun.elapsed() >= HAND_OVER_WAIT {
                    tracing::error!(process, "the service manager does not take the new MAINPID");
                    break;
                }
                std::thread::sleep(HAND_OVER_EVERY);
            }
            notifier.set_silent(true);
        }
    }

    fn pay(&self, status: &str) {
        let Some(notifier) = self.notifier.get() else { return };
        if self.owed.swap(false, Ordering::Relaxed) && !notifier.ready(status) {
            self.owed.store(true, Ordering::Relaxed);
        }
    }
}

/// A line for people.
fn status(publisher: &Publisher) -> String {
    let serving = publisher.serving();
    let config = &serving.snapshot.config;
    let (wips, zones) = (config.wips.len(), config.zones.len());
    let mut line = format!("config {}: {wips} WIPs, {zones} zones", serving.snapshot.generation);
    if let Some(prober) = publisher.prober() {
        let [unknown, up, down] = prober.summary().states();
        line += &format!("; probes: {up} up, {down} down, {unknown} unknown");
    }
    if publisher.refused().is_some() {
        line += "; the last reload was refused";
    }
    line
}

//------------ Supervised -----------------------------------------------------

/// The task that looks at what the server does, and tells.
pub(super) struct Supervised {
    pub(super) notifier: Arc<Notifier>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) running: Weak<Running>,
    pub(super) watcher: Arc<JoinHandle<()>>,
    /// This process took another's place.
    pub(super) took_over: bool,
}

impl Supervised {
    /// Tells until the server stops.
    pub(super) async fn run(self) {
        let _ = self.publisher.teller.notifier.set(Arc::clone(&self.notifier));
        let alive_every = self.notifier.watchdog().map(|within| within / 2);
        let look_every = alive_every.map_or(LOOK_EVERY, |every| LOOK_EVERY.min(every / 2));
        let mut looks = tokio::time::interval(look_every);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut pulses, mut said) = (Pulses::default(), String::new());
        let mut alive_at: Option<Instant> = None;
        let mut more_at: Option<Instant> = None;
        let mut was_well = true;
        let begun = Instant::now();
        let mut again = SAY_AGAIN.iter();
        let mut next_again = again.next().filter(|_| self.took_over);
        loop {
            looks.tick().await;
            let Some(running) = self.running.upgrade() else { return };
            if self.publisher.stopping.load(Ordering::Relaxed) {
                return;
            }
            let well = self.look(&mut pulses, &running);
            drop(running);
            say_once(&well, &mut was_well);
            if next_again.is_some_and(|at| begun.elapsed() >= *at) {
                next_again = again.next();
                let started = self.publisher.teller.started.load(Ordering::Relaxed);
                self.publisher.teller.owed.fetch_or(started, Ordering::Relaxed);
                alive_at = None;
            }
            self.tell_state(&well, &mut said, &mut more_at);
            let is_due = |every: Duration| {
                // A look early rather than one late.
                alive_at.is_none_or(|at| at.elapsed() + look_every > every)
            };
            if well.is_ok() && alive_every.is_some_and(is_due) && self.notifier.alive() {
                alive_at = Some(Instant::now());
            }
        }
    }

    /// Whether every part does its work; if not, which does not.
    fn look(&self, pulses: &mut Pulses, running: &Running) -> Result<(), &'static str> {
        // First, so that no look is missed.
        let threads = pulses.look(running.pulses());
        if self.publisher.prober().is_none_or(|prober| prober.stalled()) {
            return Err("the prober is stuck or dead");
        }
        if self.watcher.is_finished() {
            return Err("the thread that watches files has died");
        }
        threads
    }

    fn tell_state(
        &self,
        well: &Result<(), &'static str>,
        said: &mut String,
        more_at: &mut Option<Instant>,
    ) {
        let teller = &self.publisher.teller;
        let state = match well {
            Ok(()) => status(&self.publisher),
            Err(why) => format!("not well: {why}"),
        };
        if !teller.started.load(Ordering::Relaxed) {
            match readiness(&self.publisher) {
                Ok(()) => {
                    teller.owed.store(true, Ordering::Relaxed);
                    teller.started.store(true, Ordering::Relaxed);
                }
                Err(why) => {
                    if more_at.is_none_or(|at| at.elapsed() >= START_MORE / 3) {
                        self.notifier.more_time(START_MORE);
                        self.notifier.status(&why);
                        *more_at = Some(Instant::now());
                    }
                    return;
                }
            }
        }
        if teller.owed.load(Ordering::Relaxed) {
            teller.pay(&state);
        } else if state != *said && !self.notifier.status(&state) {
            return;
        }
        *said = state;
    }
}

fn say_once(well: &Result<(), &'static str>, was_well: &mut bool) {
    match well {
        Err(reason) if *was_well => {
            tracing::error!(reason, "not well: the service manager gets no sign of life");
        }
        Ok(()) if !*was_well => tracing::warn!("well again"),
        _ => {}
    }
    *was_well = well.is_ok();
}

//------------ Pulses ---------------------------------------------------------

/// What UDP threads did at the look before.
#[derive(Debug, Default)]
struct Pulses(Vec<Pulse>);

impl Pulses {
    fn look(&mut self, now: Vec<Pulse>) -> Result<(), &'static str> {
        let before = std::mem::replace(&mut self.0, now);
        if self.0.iter().any(|pulse| pulse.ended) {
            return Err("a UDP thread has died");
        }
        let mut pairs = before.iter().zip(&self.0);
        if pairs.any(|(before, now)| before.waiting && before.batches == now.batches) {
            return Err("a UDP thread is stuck: requests wait for it and it serves none");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_udp_thread_is_stuck_when_it_leaves_requests_waiting_and_only_then() {
        let pulse = |waiting, batches| Pulse { ended: false, waiting, batches };
        let mut pulses = Pulses::default();
        for (waiting, batches, well) in [
            (false, 0, true),
            (false, 0, true),
            // A flood, and it serves.
            (true, 10, true),
            (true, 20, true),
            (true, 20, false),
            (true, 21, true),
            (false, 22, true),
            (false, 22, true),
        ] {
            let seen = pulses.look(vec![pulse(false, 0), pulse(waiting, batches)]);
            assert_eq!(seen.is_ok(), well, "{waiting} {batches}");
        }
        let ended = Pulse { ended: true, ..pulse(false, 22) };
        assert!(pulses.look(vec![pulse(false, 0), ended]).is_err());
    }
}
