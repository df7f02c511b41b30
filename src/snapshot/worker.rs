//! What a worker counts: turns of round-robin and weighted WIPs, answers per
//! member. One writer each, read by scrapes: plain loads and stores, no locked
//! instruction on the query path.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{NONE, Serving, Snapshot, WipEntry};

/// State of one worker under one snapshot.
#[derive(Debug, Default)]
pub struct WorkerState {
    turns: Box<[AtomicU32]>,
    counters: Box<[AtomicU64]>,
}

impl WorkerState {
    /// State for `snapshot`, all counts at 0. Workers begin at different turns, so
    /// that they do not favour one member together.
    pub(super) fn new(snapshot: &Snapshot, index: usize) -> WorkerState {
        let first = (index as u32).wrapping_mul(0x9e37_79b9) >> 8;
        WorkerState {
            turns: (0..snapshot.turn_count).map(|_| AtomicU32::new(first)).collect(),
            counters: (0..snapshot.counter_count).map(|_| AtomicU64::new(0)).collect(),
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
        self.turns.get(slot as usize).map_or(0, |turn| turn.load(Ordering::Relaxed))
    }

    pub(super) fn set_turn(&self, slot: u32, value: u32) {
        if let Some(turn) = self.turns.get(slot as usize) {
            turn.store(value, Ordering::Relaxed);
        }
    }

    /// Adds to the counter at `slot`.
    #[inline]
    pub fn add(&self, slot: u32, amount: u64) {
        if let Some(counter) = self.counters.get(slot as usize) {
            // One writer: no read-modify-write is needed.
            counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
        }
    }

    /// The counter at `slot`.
    pub fn count(&self, slot: u32) -> u64 {
        self.counters.get(slot as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

impl Snapshot {
    /// Names of a WIP's members, in the order of its strategy.
    pub fn member_names(&self, entry: &WipEntry) -> Vec<&str> {
        let settings =
            &self.config.wip_settings[self.strategy_settings[entry.strategy as usize] as usize];
        settings
            .pools
            .iter()
            .flat_map(|&pool| &self.config.pools[pool as usize].members)
            .map(|member| member.name.as_str())
            .collect()
    }
}

impl Snapshot {
    /// Datacenters of a WIP's members, in the order of its strategy.
    pub fn member_datacenters(&self, wip: u32) -> Vec<Option<u32>> {
        let settings = &self.config.wip_settings[self.config.wips.settings(wip) as usize];
        let pools = settings.pools.iter().map(|&pool| &self.config.pools[pool as usize]);
        pools.flat_map(|pool| &pool.members).map(|member| member.datacenter).collect()
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
