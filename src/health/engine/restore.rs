//! History over a restart: handed out by one engine, taken in by another.
//!
//! ```text
//!   younger than ten minutes   verdicts, counters, flap damping
//!   older, or from the future  verdicts
//!   not in the file            never judged
//! ```
//!
//! What was taken in is *stale* until the target's first result: it decides what
//! is available, at the least TTL, and readiness goes on waiting for that result.
//! Stale or not, a verdict is overturned by as many results as ever: a restart
//! neither revives a dead member nor kills a live one with a single packet.
//!
//! It must not know files.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::event::Now;
use super::super::hold::{Return, ReturnPhase};
use super::super::machine::Machine;
use super::super::plan::{Failback, Plan, TargetId, Verdict, VerdictId};
use super::super::saved::{KeptTarget, Saved, SavedHold};
use super::super::stable::{StableKey, return_key, target_key, verdict_key};
use super::super::table::{Override, State, Word};
use super::super::track::Tracked;
use super::{Engine, limiter};

/// A time up without a break goes on over a restart if the file is no older: written
/// every 30 seconds while such a time passes ([`History::waits_for_time`]).
const WATCHED_S: u32 = 60;
/// Counters of an older history say nothing about now.
pub const COUNTERS_KEPT_S: u32 = 600;

/// All that is to be kept, at one moment. Taking it is a copy; naming the targets
/// takes longer and is left to whoever writes it.
#[derive(Debug)]
pub struct History {
    /// What is probed.
    pub plan: Arc<Plan>,
    /// Unix second.
    pub at_s: u32,
    /// Of `plan.targets`, in their order.
    pub targets: Vec<KeptTarget>,
    /// Verdicts that were lost and are not back in service.
    pub returns: Vec<Return>,
}

impl History {
    /// Whether a time up without a break passes somewhere: the younger the file is at a
    /// crash, the likelier does that time go on.
    pub fn waits_for_time(&self) -> bool {
        let by_time = |id: VerdictId| {
            matches!(self.plan.verdicts[id as usize].failback, Failback::AfterMs(_))
        };
        let held = |found: &&Return| found.phase == ReturnPhase::Held;
        self.returns.iter().filter(held).any(|found| by_time(found.verdict))
    }

    /// With the targets' names, in the order of the plan.
    pub fn named(&self, keys: &[StableKey]) -> Saved {
        let targets = keys.iter().copied().zip(self.targets.iter().copied());
        Saved { written_at_s: self.at_s, targets: targets.collect(), holds: self.holds(keys) }
    }

    /// Every return, and those in service that judge the same as one of them and come
    /// back in another way: what is said of nobody would be taken from the other.
    fn holds(&self, keys: &[StableKey]) -> Vec<SavedHold> {
        let verdicts = &self.plan.verdicts;
        let judged = |verdict: &Verdict| (verdict.targets.clone(), verdict.require, verdict.gate);
        let hold = |id: VerdictId, kind: u8, since_s: u32| {
            let (verdict, judged) = names(&self.plan, id, keys);
            SavedHold { verdict, judged, kind, since_s }
        };
        let lost = self.returns.iter();
        let mut holds: Vec<SavedHold> =
            lost.map(|found| hold(found.verdict, found.phase.number(), found.since_s)).collect();
        if holds.is_empty() {
            return holds;
        }
        let lost: HashSet<VerdictId> = self.returns.iter().map(|found| found.verdict).collect();
        let twins: HashSet<_> = lost.iter().map(|id| judged(&verdicts[*id as usize])).collect();
        let others = (0..).zip(verdicts).filter(|(id, verdict)| {
            comes_back_slowly(verdict) && !lost.contains(id) && twins.contains(&judged(verdict))
        });
        holds.extend(others.map(|(id, _)| hold(id, IN_SERVICE, 0)));
        holds
    }
}

/// The kind of a hold that is none.
const IN_SERVICE: u8 = 0;

fn comes_back_slowly(verdict: &Verdict) -> bool {
    verdict.failback != Failback::Auto || verdict.ramp_ms > 0
}

/// How a verdict comes back, and what it judges.
fn names(plan: &Plan, id: VerdictId, keys: &[StableKey]) -> (StableKey, StableKey) {
    let verdict = &plan.verdicts[id as usize];
    let gate = verdict.gate.map(|gate| &plan.verdicts[gate as usize]);
    let judged = verdict_key(verdict, gate, keys);
    (return_key(judged, verdict), judged)
}

/// What came of taking a history in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Restored {
    /// So many targets had a history.
    pub targets: usize,
    /// It is so old; none: it says that it is from the future.
    pub age_s: Option<u32>,
    /// Whether counters were taken in too.
    pub counters: bool,
}

impl Engine {
    /// What is to be kept over a restart.
    pub fn history(&self, now: Now) -> History {
        History {
            plan: Arc::clone(&self.plan),
            at_s: now.unix_s,
            targets: self.targets.iter().map(|tracked| tracked.keep(now)).collect(),
            returns: self.returns().collect(),
        }
    }

    /// Takes in what an earlier process kept. Only right after [`Engine::new`]
    /// without an engine before: no target has a history yet.
    pub fn restore(&mut self, saved: &Saved, now: Now) -> Restored {
        self.take_in(saved, false, now)
    }

    /// The same from a process that still probes: what it knows is not stale.
    pub fn take_over(&mut self, saved: &Saved, now: Now) -> Restored {
        self.take_in(saved, true, now)
    }

    fn take_in(&mut self, saved: &Saved, at_work: bool, now: Now) -> Restored {
        // A clock that was set back tells no age: the file may be old.
        let age_s = now.unix_s.checked_sub(saved.written_at_s);
        let counters = age_s.is_some_and(|age_s| age_s < COUNTERS_KEPT_S);
        let age_ms = u64::from(age_s.unwrap_or(u32::MAX)) * 1_000;
        let kept: HashMap<StableKey, &KeptTarget> =
            saved.targets.iter().map(|(key, kept)| (*key, kept)).collect();
        let names = self.plan.targets.iter().map(|target| target_key(&target.identity));
        let names: Vec<StableKey> = names.collect();
        let mut restored = Restored { targets: 0, age_s, counters };
        for (name, tracked) in names.iter().zip(&mut self.targets) {
            if let Some(kept) = kept.get(name).filter(|_| !tracked.idle) {
                tracked.restore(kept, counters.then_some(age_ms), now);
                tracked.stale &= kept.stale || !at_work;
                tracked.judged |= tracked.settled();
                restored.targets += 1;
            }
        }
        self.unjudged = self.targets.iter().filter(|tracked| !tracked.judged).count();
        self.limiter = limiter(&self.plan, &self.targets, None);
        self.note_losses();
        let returns = self.returns_of(&saved.holds, &names);
        let watched = age_s.is_some_and(|age_s| age_s <= WATCHED_S);
        // It judges every verdict, whether or not there are any.
        self.restore_returns(&returns, watched, now);
        restored
    }

    /// `holds` by the verdicts of the plan that have their names and come back other
    /// than at once.
    fn returns_of(&self, holds: &[SavedHold], names: &[StableKey]) -> Vec<Return> {
        if holds.is_empty() {
            return Vec::new();
        }
        let mut by_name: HashMap<StableKey, &SavedHold> = HashMap::new();
        // Where failback or the ramp is another now: what lets it in latest.
        let mut by_judged: HashMap<StableKey, &SavedHold> = HashMap::new();
        for hold in holds {
            by_name.insert(hold.verdict, hold);
            if hold.kind != IN_SERVICE {
                let place = by_judged.entry(hold.judged).or_insert(hold);
                if hold.kind < place.kind {
                    *place = hold;
                }
            }
        }
        let slow = (0..).zip(&self.plan.verdicts).filter(|(_, verdict)| comes_back_slowly(verdict));
        let found = slow.filter_map(|(id, _)| {
            let (name, judged) = self::names(&self.plan, id, names);
            let hold = by_name.get(&name).or_else(|| by_judged.get(&judged))?;
            let phase = ReturnPhase::from_number(hold.kind)?;
            Some(Return { verdict: id, phase, since_s: hold.since_s })
        });
        found.collect()
    }

    /// Words know when their verdict was lost: the latest loss among its targets.
    fn note_losses(&mut self) {
        let lost_at_s = |id: &TargetId| self.targets[*id as usize].lost_at_s;
        for (id, verdict) in (0..).zip(&self.plan.verdicts) {
            let latest_s = verdict.targets.iter().map(lost_at_s).max().unwrap_or(0);
            let unjudged = Word::new(State::Unknown, false, Override::None, 0, latest_s);
            self.table.set(id, unjudged);
            self.lost_before[id as usize] = latest_s;
        }
    }
}

impl Tracked {
    fn keep(&self, now: Now) -> KeptTarget {
        // Stale counters would look younger than they are.
        let machine = if self.stale { self.machine.inherit() } else { self.machine.clone() };
        KeptTarget {
            machine: machine.keep(now.mono_ms),
            stale: self.stale,
            since_s: self.since_s,
            lost_at_s: self.lost_at_s,
            transitions: self.transitions,
        }
    }

    /// `age_ms`: how old counters are; none: they are not taken in.
    fn restore(&mut self, kept: &KeptTarget, age_ms: Option<u64>, now: Now) {
        let machine = Machine::restore(&kept.machine, age_ms.unwrap_or(0), now.mono_ms);
        self.machine = if age_ms.is_some() { machine } else { machine.inherit() };
        self.stale = kept.machine.known;
        self.since_s = kept.since_s;
        self.lost_at_s = kept.lost_at_s;
        self.transitions = kept.transitions;
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
