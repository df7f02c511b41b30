//! From one snapshot to the next: turns and counts of what stays, by name.
//!
//! Turns are taken over before the new snapshot is served, so that round-robin
//! goes on where it was. Counts are taken over once no worker counts under the
//! old snapshot any more: taken earlier, the last few would be lost, and a
//! counter that goes back looks like a restart to whoever scrapes it.

use std::collections::HashMap;

use super::{NONE, Serving, Snapshot, WipEntry};
use crate::config::model::Matched;

/// Bytes of one turn.
const TURN_LENGTH: usize = 4;

impl Serving {
    /// Goes on with the turns of `old`, worker by worker.
    pub(super) fn take_turns_of(&self, old: &Serving) {
        for (new_entry, old_entry) in self.same_wips(old, |entry| entry.turn != NONE) {
            for (worker, before) in self.workers.iter().zip(old.workers.iter()) {
                let turns = |serving: &Serving, entry: &WipEntry| {
                    serving.snapshot.strategy(entry).turn_count() as u32
                };
                for at in 0..turns(self, new_entry).min(turns(old, old_entry)) {
                    worker.set_turn(new_entry.turn + at, before.turn(old_entry.turn + at));
                }
            }
        }
    }

    /// All turns as bytes, for another process: how many workers (u32), then for each WIP
    /// with turns the length of its name (u8), its name, and of each worker the turns of
    /// both families (u32 each): those of HTTPS and SVCB begin anew. Numbers are
    /// little-endian.
    pub fn turns(&self) -> Vec<u8> {
        let wips = (0..).zip(&self.snapshot.wips).filter(|(_, entry)| entry.turn != NONE);
        let mut out = (self.workers.len() as u32).to_le_bytes().to_vec();
        for (wip, entry) in wips {
            let name = self.snapshot.config.wips.name(wip);
            // Names of the DNS have at most 255 bytes.
            out.push(name.len() as u8);
            out.extend_from_slice(name);
            for worker in self.workers.iter() {
                for family in 0..2 {
                    out.extend(worker.turn(entry.turn + family).to_le_bytes());
                }
            }
        }
        out
    }

    /// Goes on with turns of another process, worker by worker; of how many WIPs is
    /// returned. Of bytes that are cut, as far as they go.
    pub fn take_turns(&self, bytes: &[u8]) -> usize {
        let Some((workers, mut rest)) = bytes.split_first_chunk() else { return 0 };
        let length = (u32::from_le_bytes(*workers) as usize).saturating_mul(2 * TURN_LENGTH);
        let mut by_name: HashMap<&[u8], &[u8]> = HashMap::new();
        while let Some((&name_length, tail)) = rest.split_first() {
            let Some((name, tail)) = tail.split_at_checked(name_length.into()) else { break };
            let Some((turns, tail)) = tail.split_at_checked(length) else { break };
            by_name.insert(name, turns);
            rest = tail;
        }
        let mut taken = 0;
        let wips = (0..).zip(&self.snapshot.wips).filter(|(_, entry)| entry.turn != NONE);
        for (wip, entry) in wips {
            let Some(turns) = by_name.get(self.snapshot.config.wips.name(wip)) else { continue };
            taken += 1;
            let of_workers = turns.as_chunks::<TURN_LENGTH>().0.chunks_exact(2);
            for (worker, of_worker) in self.workers.iter().zip(of_workers) {
                for (family, turn) in (0..).zip(of_worker) {
                    worker.set_turn(entry.turn + family, u32::from_le_bytes(*turn));
                }
            }
        }
        taken
    }

    /// Adds what was counted under `old`, and under those before it. To be called
    /// once, when `old` is served no more.
    pub fn take_counts_of(&self, old: &Serving) {
        for (new_entry, old_entry) in self.same_wips(old, |entry| entry.counter != NONE) {
            self.counted_before.add(new_entry.counter, old.sum(old_entry.counter));
            let old_members = old.snapshot.member_names(old_entry);
            let members = self.snapshot.member_names(new_entry);
            for (member, name) in members.iter().enumerate() {
                // One in several pools is one series: the first of it has the counts of all.
                if members[..member].contains(name) {
                    continue;
                }
                let counted = old_members.iter().enumerate().filter(|(_, old)| *old == name);
                let count = counted.map(|(at, _)| old.sum(old_entry.counter + 1 + at as u32)).sum();
                self.counted_before.add(new_entry.counter + 1 + member as u32, count);
            }
        }
    }

    /// WIPs of both that have what is asked for, as (ours, theirs).
    fn same_wips<'a>(
        &'a self,
        old: &'a Serving,
        has: fn(&WipEntry) -> bool,
    ) -> impl Iterator<Item = (&'a WipEntry, &'a WipEntry)> {
        let (ours, theirs) = (&self.snapshot, &old.snapshot);
        // Without any, a million names need not be looked at.
        let any = ours.turn_count > 0 || ours.counter_count > 0;
        let matched = match any {
            true => ours.config.wips.matched(&theirs.config.wips),
            false => Matched::default(),
        };
        let entry = |snapshot: &'a Snapshot, wip: u32| &snapshot.wips[wip as usize];
        let by_name: HashMap<&[u8], u32> =
            matched.other_rest.iter().map(|wip| (theirs.config.wips.name(*wip), *wip)).collect();
        let in_runs = matched
            .runs
            .into_iter()
            .flat_map(|run| (0..run.length).map(move |at| (run.start + at, run.other + at)));
        let others = matched
            .rest
            .into_iter()
            .filter_map(move |wip| Some((wip, *by_name.get(ours.config.wips.name(wip))?)));
        in_runs
            .chain(others)
            .map(move |(our, their)| (entry(ours, our), entry(theirs, their)))
            .filter(move |(our, their)| has(our) && has(their))
    }
}
