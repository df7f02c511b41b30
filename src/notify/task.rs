//! One webhook's task: takes events in while it delivers, one delivery at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::delivery::Delivery;
use super::queue::Queue;
use super::sender::{Answer, Attempt, Sender};
use super::{Counts, Settings};
use crate::admin::Reader;
use crate::admin::types::{Event, EventKind};
use crate::clock;
use crate::log::Sparse;

/// How often one webhook's failures are said.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How fast a task goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Events that come so soon after one another go together.
    pub(super) gather: Duration,
    /// Pause after the first failure; each further one doubles it.
    pub(super) first: Duration,
    /// Longest pause.
    pub(super) longest: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            gather: Duration::from_millis(200),
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
        }
    }
}

/// What is being delivered.
struct Current {
    delivery: Arc<Delivery>,
    begun: Instant,
    failures: u32,
}

type Attempting = Pin<Box<dyn Future<Output = Attempt> + Send>>;

pub(super) struct Task {
    settings: watch::Receiver<Arc<Settings>>,
    reader: Reader,
    counts: Arc<Counts>,
    stop: watch::Receiver<bool>,
    pace: Pace,
    queue: Queue,
    current: Option<Current>,
    sender: Option<Sender>,
    said: Sparse,
}

impl Task {
    pub(super) fn new(
        settings: watch::Receiver<Arc<Settings>>,
        reader: Reader,
        counts: Arc<Counts>,
        stop: watch::Receiver<bool>,
        pace: Pace,
    ) -> Task {
        Task {
            settings,
            reader,
            counts,
            stop,
            pace,
            queue: Queue::default(),
            current: None,
            sender: None,
            said: Sparse::every(SAY_EVERY),
        }
    }

    /// Until the server stops, or the webhook is gone from the config.
    pub(super) async fn run(mut self) {
        // When to act next, and what is being done; never both.
        let mut wake: Option<Instant> = None;
        let mut attempting: Option<Attempting> = None;
        loop {
            let waits =
                self.queue.len() as u64 + self.current.as_ref().map_or(0, |c| c.delivery.events);
            self.counts.queued.store(waits, Ordering::Relaxed);
            if wake.is_none() && attempting.is_none() && !self.queue.is_empty() {
                wake = Some(Instant::now() + self.pace.gather);
            }
            tokio::select! {
                batch = self.reader.next() => {
                    let events = &self.settings.borrow().webhook.events;
                    let lagged = batch.lagged.flatten().unwrap_or(0);
                    let lost = self.queue.lose(lagged) + self.queue.add(batch.events, events);
                    Counts::add(&self.counts.dropped, lost);
                }
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // What could not be delivered there may be at once here.
                    self.sender = None;
                    if attempting.take().is_some() || wake.is_some() {
                        wake = Some(Instant::now());
                    }
                }
                () = until(wake) => {
                    wake = None;
                    attempting = Some(self.begin().await);
                }
                attempt = on(&mut attempting) => {
                    attempting = None;
                    wake = self.done(attempt);
                }
                () = stopped(&mut self.stop) => break,
            }
        }
        self.flush(attempting).await;
    }

    /// Starts an attempt: of what is being delivered, or of what waits.
    async fn begin(&mut self) -> Attempting {
        if self.current.is_none() {
            let (events, missed) = self.queue.take();
            let settings = self.settings.borrow().clone();
            let delivery = Arc::new(Delivery::new(&settings, &events, missed));
            self.current = Some(Current { delivery, begun: Instant::now(), failures: 0 });
        }
        if self.sender.is_none() {
            let settings = self.settings.borrow().clone();
            self.sender = Some(sender(&settings).await);
        }
        // Both were just made sure of.
        let (delivery, sender) =
            (self.current.as_ref().map(|c| Arc::clone(&c.delivery)), self.sender.clone());
        Box::pin(async move {
            match (delivery, sender) {
                (Some(delivery), Some(sender)) => sender.attempt(&delivery).await,
                _ => std::future::pending().await,
            }
        })
    }

    /// Takes the outcome of an attempt; when to act again.
    fn done(&mut self, attempt: Attempt) -> Option<Instant> {
        let name = self.settings.borrow().webhook.name.clone();
        let place = self.settings.borrow().webhook.place();
        let current = self.current.as_mut()?;
        let (answer, after) = match attempt {
            Attempt::Taken(answer) => {
                Counts::add(&self.counts.delivered, 1);
                if current.failures > 0 {
                    tracing::info!(webhook = name, place, "the webhook takes deliveries again");
                }
                self.note(&answer);
                return self.next();
            }
            Attempt::Refused(answer) => {
                Counts::add(&self.counts.refused, 1);
                let (events, detail) = (current.delivery.events, &answer.detail);
                tracing::error!(
                    webhook = name,
                    place,
                    events,
                    error = detail,
                    "the webhook refuses a delivery, it is lost"
                );
                self.note(&answer);
                return self.lose();
            }
            Attempt::Failed(answer, after) => (answer, after),
        };
        Counts::add(&self.counts.failed, 1);
        current.failures += 1;
        let retry_for_ms = u64::from(self.settings.borrow().webhook.retry_for_ms);
        let pause = after.unwrap_or_else(|| pause(self.pace, current.failures));
        let (events, detail) = (current.delivery.events, &answer.detail);
        if current.begun.elapsed() + pause > Duration::from_millis(retry_for_ms) {
            Counts::add(&self.counts.expired, 1);
            tracing::error!(
                webhook = name,
                place,
                events,
                error = detail,
                "the webhook did not take a delivery in time, it is lost"
            );
            self.note(&answer);
            return self.lose();
        }
        if let Some(left_out) = self.said.allow(std::time::Instant::now()) {
            tracing::warn!(
                webhook = name,
                place,
                error = detail,
                left_out,
                "the webhook fails, the delivery is tried again"
            );
        }
        self.note(&answer);
        Some(Instant::now() + pause)
    }

    /// What is being delivered is lost.
    fn lose(&mut self) -> Option<Instant> {
        if let Some(Current { delivery, .. }) = &self.current {
            Counts::add(&self.counts.dropped, delivery.events);
            // Nobody was told of those either.
            self.queue.lose(delivery.events + delivery.missed);
        }
        self.next()
    }

    /// On to what waits, at once: it has waited.
    fn next(&mut self) -> Option<Instant> {
        self.current = None;
        (!self.queue.is_empty()).then(Instant::now)
    }

    fn note(&self, answer: &Answer) {
        let noted = (u64::from(clock::unix_s()), answer.detail.clone());
        *self.counts.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(noted);
    }

    /// What waits, each once; whoever stops waits for it, but not for long.
    async fn flush(&mut self, attempting: Option<Attempting>) {
        let mut attempting = attempting;
        loop {
            let attempt = match attempting.take() {
                Some(attempt) => attempt.await,
                None if self.current.is_none() && self.queue.is_empty() => return,
                None => self.begin().await.await,
            };
            let taken = matches!(attempt, Attempt::Taken(_));
            self.done(attempt);
            if !taken {
                return;
            }
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn on(attempting: &mut Option<Attempting>) -> Attempt {
    match attempting {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

async fn sender(settings: &Arc<Settings>) -> Sender {
    let webhook = settings.webhook.clone();
    let made = tokio::task::spawn_blocking(move || Sender::new(&webhook));
    // It panics for no webhook; if it ever does, the next attempt makes another.
    made.await.unwrap_or_else(|_| Sender::new(&settings.webhook))
}

/// Between half and all of a pause that doubles: servers that fail together must not
/// come back together.
fn pause(pace: Pace, failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(30));
    let whole = pace.first.saturating_mul(doubled).min(pace.longest);
    let mut byte = [0];
    // Without randomness all of it.
    let part = match aws_lc_rs::rand::fill(&mut byte) {
        Ok(()) => u32::from(byte[0]),
        Err(_) => 255,
    };
    whole / 2 + whole / 2 * part / 255
}

/// One event that is a test, once.
pub(super) async fn test(settings: &Arc<Settings>, at_us: u64) -> Answer {
    let event = Arc::new(Event { id: at_us, at_us, what: EventKind::Test });
    let delivery = Delivery::new(settings, &[event], 0);
    let (Attempt::Taken(answer) | Attempt::Refused(answer) | Attempt::Failed(answer, _)) =
        sender(settings).await.attempt(&delivery).await;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_all_alike() {
        let pace = Pace::default();
        for failures in 1..200 {
            let whole = pace.first * 2u32.pow(failures.min(20) - 1);
            let whole = whole.min(pace.longest);
            let pause = pause(pace, failures);
            assert!(pause >= whole / 2 && pause <= whole, "{failures}: {pause:?}");
        }
        let first = pause(pace, 9);
        assert!((0..100).any(|_| pause(pace, 9) != first));
    }
}
