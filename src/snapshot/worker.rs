//! What a worker counts: turns of round-robin and weighted WIPs, answers per
//! member. One writer each, read by scrapes: plain loads and stores, no locked
//! instruction on the query path, and no cache line shared with another worker,
//! however few there are to count (decisions/0010).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{NONE, Serving, Snapshot, WipEntry};
use crate::config::model::{Member, SettingsId};

/// State of one worker under one snapshot.
#[derive(Debug, Default)]
pub struct WorkerState {
    turns: Lines<AtomicU32, 32>,
    counters: Lines<AtomicU64, 16>,
}

/// Counters on cache lines of their own, in pairs of lines as some processors fetch
/// them. A plain slice of a few would share its lines with whatever else the
/// allocator puts there: the counters of the next worker, most likely.
#[derive(Debug)]
struct Lines<T, const IN_ONE: usize>(Box<[Line<T, IN_ONE>]>);

#[derive(Debug)]
#[repr(align(128))]
struct Line<T, const IN_ONE: usize>([T; IN_ONE]);

impl<T, const IN_ONE: usize> Lines<T, IN_ONE> {
    /// Room for `count` counters.
    fn new(count: usize, make: impl Fn() -> T) -> Lines<T, IN_ONE> {
        let line = || Line(std::array::from_fn(|_| make()));
        Lines(std::iter::repeat_with(line).take(count.div_ceil(IN_ONE)).collect())
    }

    #[inline]
    fn get(&self, slot: u32) -> Option<&T> {
        let slot = slot as usize;
        self.0.get(slot / IN_ONE).map(|line| &line.0[slot % IN_ONE])
    }
}

impl<T, const IN_ONE: usize> Default for Lines<T, IN_ONE> {
    fn default() -> Lines<T, IN_ONE> {
        Lines(Box::default())
    }
}

impl WorkerState {
    /// State for `snapshot`, all counts at 0. Workers begin at different turns, so
    /// that they do not favour one member together.
    pub(super) fn new(snapshot: &Snapshot, index: usize) -> WorkerState {
        let first = (index as u32).wrapping_mul(0x9e37_79b9) >> 8;
        WorkerState {
            turns: Lines::new(snapshot.turn_count, || AtomicU32::new(first)),
            counters: Lines::new(snapshot.counter_count, || AtomicU64::new(0)),
        }
    }

    /// The turn counter at `slot`, which then moves on.
    #[inline]
    pub fn take_turn(&self, slot: u32) -> u32 {
        let turn = self.turn(slot);
        self.set_turn(slot, turn.wrapping_add(1));
        turn
    }

    /// The turn counter at `slot`.
    #[inline]
    pub fn turn(&self, slot: u32) -> u32 {
        self.turns.get(slot).map_or(0, |turn| turn.load(Ordering::Relaxed))
    }

    pub(super) fn set_turn(&self, slot: u32, value: u32) {
        if let Some(turn) = self.turns.get(slot) {
            turn.store(value, Ordering::Relaxed);
        }
    }

    /// Adds to the counter at `slot`.
    #[inline]
    pub fn add(&self, slot: u32, amount: u64) {
        if let Some(counter) = self.counters.get(slot) {
            // One writer: no read-modify-write is needed.
            counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
        }
    }

    /// The counter at `slot`.
    pub fn count(&self, slot: u32) -> u64 {
        self.counters.get(slot).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

impl Snapshot {
    /// Names of a WIP's members, in the order of its strategy.
    pub fn member_names(&self, entry: &WipEntry) -> Vec<&str> {
        self.members_of(entry.strategy).map(|member| member.name.as_str()).collect()
    }
}

impl Snapshot {
    /// Datacenters of a WIP's members, in the order of its strategy.
    pub fn member_datacenters(&self, wip: u32) -> Vec<Option<u32>> {
        let settings = self.config.wips.settings(wip);
        self.members_by(settings).map(|member| member.datacenter).collect()
    }

    /// A strategy's members as the config has them.
    pub fn members_of(&self, strategy: u32) -> impl Iterator<Item = &Member> {
        self.members_by(self.strategy_settings[strategy as usize])
    }

    fn members_by(&self, settings: SettingsId) -> impl Iterator<Item = &Member> {
        let pools = &self.config.wip_settings[settings as usize].pools;
        pools.iter().flat_map(|&pool| &self.config.pools[pool as usize].members)
    }
}

impl Serving {
    /// Calls `emit(wip, member, answers)` for each member that has a counter.
    pub fn each_answer_count(&self, mut emit: impl FnMut(&str, &str, u64)) {
        self.each_counted(|wip, entry| {
            for (index, member) in self.snapshot.member_names(entry).into_iter().enumerate() {
                emit(wip, member, self.sum(entry.counter + 1 + index as u32));
            }
        });
    }

    /// Answers that named a member of each datacenter, in the order of the config; none
    /// where WIPs have no counters.
    pub fn answers_by_datacenter(&self) -> Option<Vec<u64>> {
        let mut sums = vec![0; self.snapshot.config.datacenters.len()];
        let mut is_counted = false;
        for (wip, entry) in self.snapshot.wips.iter().enumerate() {
            if entry.counter == NONE {
                continue;
            }
            is_counted = true;
            let datacenters = self.snapshot.member_datacenters(wip as u32);
            for (slot, datacenter) in (entry.counter + 1..).zip(datacenters) {
                if let Some(sum) = datacenter.and_then(|id| sums.get_mut(id as usize)) {
                    *sum += self.sum(slot);
                }
            }
        }
        is_counted.then_some(sums)
    }

    /// Calls `emit(wip, answers)` with each WIP's fail-open answers.
    pub fn each_fail_open_count(&self, mut emit: impl FnMut(&str, u64)) {
        self.each_counted(|wip, entry| emit(wip, self.sum(entry.counter)));
    }

    fn each_counted(&self, mut emit: impl FnMut(&str, &WipEntry)) {
        for (wip, entry) in self.snapshot.wips.iter().enumerate() {
            if entry.counter != NONE {
                emit(&self.snapshot.wip_name(wip as u32), entry);
            }
        }
    }

    /// A counter over all workers, and over the snapshots before this one.
    pub(super) fn sum(&self, slot: u32) -> u64 {
        let counted: u64 = self.workers.iter().map(|worker| worker.count(slot)).sum();
        counted + self.counted_before.count(slot)
    }
}

impl Snapshot {
    /// A WIP's name as people write it.
    pub fn wip_name(&self, wip: u32) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = crate::dns::name::write_presentation(self.config.wips.name(wip), &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// More than one worker's, and so few that an allocator would pack them.
    #[test]
    fn no_line_holds_counters_of_two_workers() {
        let workers: Vec<WorkerState> = (0..16)
            .map(|_| WorkerState {
                turns: Lines::new(2, || AtomicU32::new(0)),
                counters: Lines::new(4, || AtomicU64::new(0)),
            })
            .collect();
        let mut owners = HashMap::new();
        for (worker, state) in workers.iter().enumerate() {
            let turns =
                (0..2).filter_map(|slot| state.turns.get(slot)).map(|turn| turn.as_ptr() as usize);
            let counts = (0..4)
                .filter_map(|slot| state.counters.get(slot))
                .map(|count| count.as_ptr() as usize);
            let addresses: Vec<usize> = turns.chain(counts).collect();
            assert_eq!(addresses.len(), 6);
            for address in addresses {
                let owner = *owners.entry(address / 128).or_insert(worker);
                assert_eq!(owner, worker, "a line of 128 bytes of two workers");
            }
        }
    }

    #[test]
    fn a_line_holds_nothing_but_counters() {
        assert_eq!(size_of::<Line<AtomicU32, 32>>(), 128);
        assert_eq!(size_of::<Line<AtomicU64, 16>>(), 128);
    }

    #[test]
    fn each_slot_has_a_counter_of_its_own() {
        let lines = Lines::<AtomicU64, 16>::new(33, || AtomicU64::new(0));
        for slot in 0..33 {
            lines.get(slot).unwrap().store(u64::from(slot) + 1, Ordering::Relaxed);
        }
        for slot in 0..33 {
            assert_eq!(lines.get(slot).unwrap().load(Ordering::Relaxed), u64::from(slot) + 1);
        }
        assert!(lines.get(48).is_none());
        assert!(Lines::<AtomicU64, 16>::default().get(0).is_none());
    }
}
