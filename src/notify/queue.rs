//! Events that wait for one webhook: bounded, the oldest goes first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::class::class_of;
use crate::admin::types::Event;
use crate::config::model::EventClass;

/// Most events that wait.
pub(super) const QUEUE_MAX: usize = 4_096;
/// Most events of one delivery.
pub(super) const BATCH_MAX: usize = 100;

/// What waits, and how many were lost since the last delivery.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: VecDeque<Arc<Event>>,
    lost: u64,
}

impl Queue {
    /// Takes those of `events` that are of these classes; how many were lost for it.
    pub(super) fn add(&mut self, events: Vec<Arc<Event>>, classes: &[EventClass]) -> u64 {
        let mut lost = 0;
        for event in events {
            if !class_of(&event.what).is_some_and(|class| classes.contains(&class)) {
                continue;
            }
            if self.events.len() == QUEUE_MAX {
                self.events.pop_front();
                lost += 1;
            }
            self.events.push_back(event);
        }
        self.lose(lost)
    }

    /// So many were lost elsewhere.
    pub(super) fn lose(&mut self, lost: u64) -> u64 {
        self.lost = self.lost.saturating_add(lost);
        lost
    }

    /// The next delivery's events, and how many were lost before it.
    pub(super) fn take(&mut self) -> (Vec<Arc<Event>>, u64) {
        let count = self.events.len().min(BATCH_MAX);
        (self.events.drain(..count).collect(), std::mem::take(&mut self.lost))
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
