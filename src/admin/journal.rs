//! The journal: the last events in a ring, and readers that follow it.
//!
//! ```text
//!   push ──► [ oldest … latest ] ──► reader (a place in the sequence)
//!              ▲ falls out             └── lost what fell out before it came by
//! ```
//!
//! Whoever writes never waits for a reader: a reader that is too slow loses the
//! oldest events and is told how many. It must not know how events are sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::types::{Event, EventKind};

/// Events kept for readers that are slow or come back.
pub const EVENTS_KEPT: usize = 1_024;
/// Events given to a reader at once.
const BATCH: usize = 64;

/// The last events.
#[derive(Debug)]
pub struct Journal {
    ring: Mutex<Ring>,
    /// Id of the next event: tells readers that there is one more.
    next_id: watch::Sender<u64>,
    first_id: u64,
}

#[derive(Debug)]
struct Ring {
    next_id: u64,
    events: VecDeque<Arc<Event>>,
}

impl Journal {
    /// An empty journal. Ids count from the start in unix microseconds, so that
    /// they grow over restarts too.
    pub fn new(started_at_us: u64) -> Journal {
        Journal {
            ring: Mutex::new(Ring { next_id: started_at_us, events: VecDeque::new() }),
            next_id: watch::channel(started_at_us).0,
            first_id: started_at_us,
        }
    }

    /// One that goes on with the events of another process. What that one adds after
    /// them has ids below `started_at_us`, or else below what comes here by then.
    pub fn resume(events: Vec<Event>, started_at_us: u64) -> Journal {
        let Some(last) = events.last() else { return Journal::new(started_at_us) };
        let next_id = started_at_us.max(last.id + 1);
        let mut journal = Journal::new(next_id);
        journal.first_id = events[0].id;
        let excess = events.len().saturating_sub(EVENTS_KEPT);
        journal.ring.get_mut().unwrap_or_else(PoisonError::into_inner).events =
            events.into_iter().skip(excess).map(Arc::new).collect();
        journal
    }

    /// All events that are kept, oldest first.
    pub fn kept(&self) -> Vec<Arc<Event>> {
        self.ring().events.iter().cloned().collect()
    }

    /// Appends an event that happened at `at_us`, unix microseconds.
    pub fn push(&self, at_us: u64, what: EventKind) {
        let mut ring = self.ring();
        let event = Event { id: ring.next_id, at_us, what };
        if ring.events.len() >= EVENTS_KEPT {
            ring.events.pop_front();
        }
        ring.next_id += 1;
        ring.events.push_back(Arc::new(event));
        // Within the lock, so that readers are told in order.
        self.next_id.send_replace(ring.next_id);
    }

    /// A reader of what comes from now on, or after the event `after`, of which 0
    /// means: all that is kept.
    pub fn reader(self: &Arc<Journal>, after: Option<u64>) -> Reader {
        let ring = self.ring();
        let oldest = ring.events.front().map_or(ring.next_id, |event| event.id);
        let (next, restarted) = match after {
            None => (ring.next_id, false),
            Some(0) => (oldest, false),
            // Of this run, or the last of none yet.
            Some(after) if after + 1 >= self.first_id && after < ring.next_id => (after + 1, false),
            Some(_) => (oldest, true),
        };
        drop(ring);
        Reader { journal: Arc::clone(self), news: self.next_id.subscribe(), next, restarted }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // An event is in the ring or not: a panic elsewhere breaks nothing here.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a reader finds.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// Events were lost before these: how many, none if unknown.
    pub lagged: Option<Option<u64>>,
    /// The next events, oldest first.
    pub events: Vec<Arc<Event>>,
}

/// A place in the journal.
#[derive(Debug)]
pub struct Reader {
    journal: Arc<Journal>,
    news: watch::Receiver<u64>,
    /// Id of the next event.
    next: u64,
    /// It came with the id of an earlier run's event.
    restarted: bool,
}

impl Reader {
    /// Id of the last event before this place.
    pub fn last_id(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The next events; waits until there is one. Dropping the future loses none.
    pub async fn next(&mut self) -> Batch {
        loop {
            // Marked as seen before looking: what comes in between wakes it again.
            self.news.borrow_and_update();
            if let Some(batch) = self.take() {
                return batch;
            }
            if self.news.changed().await.is_err() {
                // The sender lives in the journal, which this holds.
                std::future::pending::<()>().await;
            }
        }
    }

    fn take(&mut self) -> Option<Batch> {
        let ring = self.journal.ring();
        let oldest = ring.events.front().map_or(ring.next_id, |event| event.id);
        let missed = oldest.saturating_sub(self.next);
        let lagged = match (std::mem::take(&mut self.restarted), missed) {
            (true, _) => Some(None),
            (false, 0) => None,
            (false, missed) => Some(Some(missed)),
        };
        // Between two processes' ids there may be a gap.
        let skip = ring.events.partition_point(|event| event.id < self.next);
        let events: Vec<_> = ring.events.iter().skip(skip).take(BATCH).cloned().collect();
        self.next = events.last().map_or(self.next.max(oldest), |last| last.id + 1);
        (lagged.is_some() || !events.is_empty()).then_some(Batch { lagged, events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED_US: u64 = 1_000_000;

    fn journal() -> Arc<Journal> {
        Arc::new(Journal::new(STARTED_US))
    }

    fn push(journal: &Journal, count: u64) {
        for generation in 0..count {
            let cause = "start".to_owned();
            let what = EventKind::ConfigLoaded { generation, cause, changes: Vec::new() };
            journal.push(5, what);
        }
    }

    async fn read(reader: &mut Reader) -> (Option<Option<u64>>, Vec<u64>) {
        let batch = reader.next().await;
        (batch.lagged, batch.events.iter().map(|event| event.id - STARTED_US).collect())
    }

    #[tokio::test]
    async fn a_reader_sees_what_comes_after_it_and_one_that_comes_back_what_it_missed() {
        let journal = journal();
        push(&journal, 3);
        let mut reader = journal.reader(None);
        assert_eq!(reader.last_id(), STARTED_US + 2);
        push(&journal, 2);
        assert_eq!(read(&mut reader).await, (None, vec![3, 4]));
        for (after, expected) in
            [(STARTED_US + 1, vec![2, 3, 4]), (STARTED_US - 1, (0..5).collect())]
        {
            assert_eq!(read(&mut journal.reader(Some(after))).await, (None, expected));
        }
        assert_eq!(read(&mut journal.reader(Some(0))).await, (None, (0..5).collect()));
    }

    #[tokio::test]
    async fn a_reader_goes_on_where_it_was_when_another_process_takes_over() {
        let before = journal();
        push(&before, 3);
        let handed: Vec<Event> = before.kept().iter().map(|event| Event::clone(event)).collect();
        // What the process before told after that.
        push(&before, 2);
        let after = Arc::new(Journal::resume(handed, STARTED_US + 1_000));
        push(&after, 2);
        for (last, expected) in [
            (STARTED_US, vec![1, 2, 1_000, 1_001]),
            (STARTED_US + 2, vec![1_000, 1_001]),
            (STARTED_US + 4, vec![1_000, 1_001]),
            (STARTED_US + 1_000, vec![1_001]),
            (0, vec![0, 1, 2, 1_000, 1_001]),
        ] {
            assert_eq!(read(&mut after.reader(Some(last))).await, (None, expected), "{last}");
        }
        assert_eq!(read(&mut after.reader(Some(7))).await.0, Some(None), "of no run it knows");
        // A clock that was set back makes no id twice.
        let last = STARTED_US + 7;
        let cause = "start".to_owned();
        let what = EventKind::ConfigLoaded { generation: 1, cause, changes: Vec::new() };
        let back = Arc::new(Journal::resume(vec![Event { id: last, at_us: 5, what }], 3));
        push(&back, 1);
        assert_eq!(read(&mut back.reader(Some(last))).await, (None, vec![8]));
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let journal = journal();
        let mut reader = journal.reader(None);
        let writer = Arc::clone(&journal);
        let reading = tokio::spawn(async move { read(&mut reader).await });
        tokio::task::yield_now().await;
        push(&writer, 1);
        assert_eq!(reading.await.unwrap(), (None, vec![0]));
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_oldest_and_is_told_how_many() {
        let journal = journal();
        let mut reader = journal.reader(None);
        push(&journal, EVENTS_KEPT as u64 + 7);
        let (lagged, ids) = read(&mut reader).await;
        assert_eq!((lagged, ids.len(), ids[0]), (Some(Some(7)), BATCH, 7));
        let mut last = *ids.last().unwrap();
        while last < EVENTS_KEPT as u64 + 6 {
            let (lagged, ids) = read(&mut reader).await;
            assert_eq!((lagged, ids[0]), (None, last + 1));
            last = *ids.last().unwrap();
        }
    }

    #[tokio::test]
    async fn an_id_of_another_run_is_told_so_and_gets_all_that_is_kept() {
        let journal = journal();
        for after in [7, STARTED_US - 2, STARTED_US + 99] {
            assert_eq!(read(&mut journal.reader(Some(after))).await, (Some(None), vec![]));
        }
        push(&journal, 2);
        let mut reader = journal.reader(Some(7));
        assert_eq!(read(&mut reader).await, (Some(None), vec![0, 1]));
        push(&journal, 1);
        assert_eq!(read(&mut reader).await, (None, vec![2]));
    }
}
