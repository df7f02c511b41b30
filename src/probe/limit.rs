//! How many probes run at once, in all and to one address.
//!
//! What does not fit waits in order; an address that is full holds up nobody
//! else. Pure: it counts, the runner starts.
//!
//! An address gets as many slots as its targets need when none of them answers:
//! with fewer, results of a VIP that fell silent would come ever later, and it
//! would be answered all the while.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

use crate::health::plan::{Plan, ProbeAddress};
use crate::health::{Due, ProbeKey, schedule};

/// An address gets slots for so many times its steady rate, as the budget of first and
/// confirm probes is twice that of all: a third result comes within 1.5 intervals.
const STEADY_RATES: f64 = 2.0;

/// Caps on probes in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProbeLimits {
    /// In all; at least 1.
    pub concurrency: u32,
    /// To one address; at least 1. More where its targets need more.
    pub concurrency_per_address: u32,
}

impl Default for ProbeLimits {
    fn default() -> ProbeLimits {
        ProbeLimits { concurrency: 4_096, concurrency_per_address: 64 }
    }
}

/// What stands for an address here: a hash, so that no name is copied for every probe.
/// Two addresses that have the same share a cap, which harms nobody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Place(u64);

impl Place {
    pub(super) fn of(address: &ProbeAddress) -> Place {
        let mut hasher = Xxh3::new();
        address.hash(&mut hasher);
        Place(hasher.finish())
    }
}

/// A probe that wants to run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub key: ProbeKey,
    pub place: Place,
    /// When it should have started, monotonic milliseconds.
    pub due_ms: u64,
}

impl Wanted {
    pub(super) fn new(due: Due, address: &ProbeAddress) -> Wanted {
        Wanted { key: due.key, place: Place::of(address), due_ms: due.due_ms }
    }
}

#[derive(Debug, Default)]
struct Entry {
    in_flight: u32,
    waiting: VecDeque<Wanted>,
}

/// Probes in flight and those that wait.
#[derive(Debug)]
pub(super) struct Slots {
    limits: ProbeLimits,
    /// Slots that a place's targets need when they all time out; not where it is one.
    needed: HashMap<Place, u32>,
    in_flight: u32,
    places: HashMap<Place, Entry>,
    /// Held up by the cap over all.
    waiting: VecDeque<Wanted>,
    /// How many are held up by full places.
    waiting_at_places: usize,
}

impl Slots {
    pub(super) fn new(limits: ProbeLimits) -> Slots {
        Slots {
            limits,
            needed: HashMap::new(),
            in_flight: 0,
            places: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_at_places: 0,
        }
    }

    /// Other caps from now on. Follow with [`Slots::next`].
    pub(super) fn set_limits(&mut self, limits: ProbeLimits) {
        self.limits = limits;
        self.look_again();
    }

    /// Addresses get the slots that `plan` needs from now on. Follow with [`Slots::next`].
    pub(super) fn set_plan(&mut self, plan: &Plan) {
        let mut needed: HashMap<Place, f64> = HashMap::new();
        for target in &plan.targets {
            *needed.entry(Place::of(&target.identity.address)).or_default() +=
                STEADY_RATES * schedule::slots_when_silent(target);
        }
        let many = needed.into_iter().filter(|(_, slots)| *slots > 1.0);
        self.needed = many.map(|(place, slots)| (place, slots.ceil() as u32)).collect();
        self.look_again();
    }

    /// How many probes may run to `place`: as configured, or as its targets need, but
    /// then no more than half of all, so that one address leaves room for others.
    fn most_to(&self, place: Place) -> u32 {
        let needed = self.needed.get(&place).copied().unwrap_or(0);
        let needed = needed.min(self.limits.concurrency / 2);
        self.limits.concurrency_per_address.max(needed).max(1)
    }

    fn look_again(&mut self) {
        // Those held up by a full address are looked at again.
        for entry in self.places.values_mut() {
            self.waiting.extend(entry.waiting.drain(..));
        }
        self.waiting_at_places = 0;
        self.waiting.make_contiguous().sort_by_key(|wanted| wanted.due_ms);
    }

    /// Adds a probe that wants to run. Follow with [`Slots::next`].
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.waiting.push_back(wanted);
    }

    /// A probe to `place` ended. Follow with [`Slots::next`].
    pub(super) fn release(&mut self, place: Place) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.places.get_mut(&place) else { return };
        entry.in_flight = entry.in_flight.saturating_sub(1);
        if let Some(wanted) = entry.waiting.pop_front() {
            // It waited long enough already: before those that wait for any slot.
            self.waiting.push_front(wanted);
            self.waiting_at_places -= 1;
        } else if entry.in_flight == 0 {
            self.places.remove(&place);
        }
    }

    /// The next probe that may start now; it counts as started.
    pub(super) fn next(&mut self) -> Option<Wanted> {
        while self.in_flight < self.limits.concurrency.max(1) {
            let wanted = self.waiting.pop_front()?;
            let most = self.most_to(wanted.place);
            let entry = self.places.entry(wanted.place).or_default();
            if entry.in_flight < most {
                entry.in_flight += 1;
                self.in_flight += 1;
                return Some(wanted);
            }
            entry.waiting.push_back(wanted);
            self.waiting_at_places += 1;
        }
        None
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + self.waiting_at_places
    }
}

#[cfg(test)]
#[path = "tests/silent.rs"]
mod silent;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn wanted(key: ProbeKey, last: u8) -> Wanted {
        let place = Place::of(&ProbeAddress::Ip([192, 0, 2, last].into()));
        Wanted { key, place, due_ms: 0 }
    }

    #[test]
    fn a_full_address_holds_up_nobody_else() {
        let mut slots = Slots::new(ProbeLimits { concurrency: 4, concurrency_per_address: 2 });
        for key in 0..6 {
            slots.want(wanted(key, 1));
        }
        slots.want(wanted(6, 2));
        let started: Vec<_> =
            std::iter::from_fn(|| slots.next()).map(|started| started.key).collect();
        assert_eq!(started, [0, 1, 6]);
        assert_eq!((slots.in_flight(), slots.waiting()), (3, 4));
        slots.release(wanted(0, 1).place);
        assert_eq!(slots.next(), Some(wanted(2, 1)));
        assert_eq!(slots.next(), None);
        slots.set_limits(ProbeLimits { concurrency: 5, concurrency_per_address: 9 });
        assert_eq!((slots.in_flight(), slots.waiting()), (3, 3));
        let started: Vec<_> = std::iter::from_fn(|| slots.next()).map(|next| next.key).collect();
        assert_eq!(started, [3, 4]);
    }

    proptest! {
        #[test]
        fn caps_hold_and_every_probe_starts_once(
            steps in prop::collection::vec((0_u8..5, any::<bool>()), 1..300),
        ) {
            let limits = ProbeLimits { concurrency: 7, concurrency_per_address: 3 };
            let mut slots = Slots::new(limits);
            let mut running: Vec<Wanted> = Vec::new();
            let mut started = Vec::new();
            let mut count = 0;
            let mut take = |slots: &mut Slots, running: &mut Vec<Wanted>| {
                while let Some(probe) = slots.next() {
                    started.push(probe.key);
                    running.push(probe);
                }
                let mut per_place: HashMap<Place, u32> = HashMap::new();
                for probe in running.iter() {
                    *per_place.entry(probe.place).or_default() += 1;
                }
                assert!(running.len() <= 7 && per_place.values().all(|count| *count <= 3));
            };
            for (last, want) in steps {
                if want {
                    slots.want(wanted(count, last));
                    count += 1;
                } else if !running.is_empty() {
                    let ended = running.remove(usize::from(last) % running.len());
                    slots.release(ended.place);
                }
                take(&mut slots, &mut running);
            }
            while let Some(ended) = running.pop() {
                slots.release(ended.place);
                take(&mut slots, &mut running);
            }
            prop_assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
            prop_assert!(slots.places.is_empty());
            started.sort_unstable();
            prop_assert_eq!(started, (0..count).collect::<Vec<_>>());
        }
    }
}
