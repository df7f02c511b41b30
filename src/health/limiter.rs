//! The blast-radius limiter: when nearly everything is lost at once, the fault is
//! ours (docs/HEALTH.md).
//!
//! ```text
//!             more than the fraction of every datacenter
//!             lost within the window                        an operator
//!   ARMED ───────────────────────────────────► TRIPPED ────────────────► OVERRULED
//!     ▲            the window's losses are       │ further ones           │ losses
//!     │            undone                        │ are held               │ happen
//!     └──────────────────────────────────────────┴────────────────────────┘
//!             some datacenter is at the fraction or below again
//! ```
//!
//! A target is *marked* while its loss counts: in ARMED it went DOWN within the
//! window; in TRIPPED it would be DOWN and is held; in OVERRULED it went, or is
//! about to go, since an operator took over. A mark ends when the target answers
//! again. What was DOWN before the window is not there at all: a datacenter wholly
//! down neither trips the limiter nor keeps it from tripping.
//!
//! Everything is counted as it changes: a result costs the same however many
//! targets there are. Only a trip, a release and a reload look at all of them.
//!
//! It must not know votes, words or schedules.

mod count;
mod reference;

use std::collections::{HashMap, VecDeque};

use self::count::Groups;
pub(super) use self::reference::Answer;
use self::reference::References;
use super::machine::Machine;
use super::plan::{LimiterRules, Plan, TargetId};

/// References that went DOWN longer ago than so many windows say nothing.
const REFERENCE_WINDOWS: u64 = 2;

/// No mark.
const UNMARKED: u64 = u64::MAX;

//------------ Words of the interface -----------------------------------------

/// What the limiter does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LimiterPhase {
    /// Losses are counted and take their course.
    #[default]
    Armed,
    /// No target goes DOWN.
    Tripped,
    /// An operator released it: losses take their course, and it does not trip until
    /// it would have released by itself.
    Overruled,
}

/// The limiter at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimiterStatus {
    /// What it does.
    pub phase: LimiterPhase,
    /// Unix second at which that began; 0: at the start.
    pub since_s: u32,
    /// Targets that would be DOWN but for it.
    pub held: u32,
    /// How often it tripped since the start.
    pub trips: u64,
    /// Every datacenter with targets that are counted.
    pub datacenters: Vec<DatacenterLoss>,
}

/// How much of a datacenter is lost, or would be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DatacenterLoss {
    /// Index of the datacenter in the config.
    pub datacenter: u32,
    /// Its targets.
    pub targets: u32,
    /// Of them, those that were not DOWN before.
    pub counted: u32,
    /// Of those, lost within the window, or held.
    pub lost: u32,
    /// `lost` of `counted`; 0 where nothing counts.
    pub share: f64,
}

/// What a target was before it was lost.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub machine: Machine,
    pub since_s: u32,
    pub lost_at_s: u32,
}

/// What a result of a target means here.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It went DOWN.
    Lost(Before),
    /// It would have gone DOWN, and was held.
    Held,
    /// It came UP from DOWN.
    Risen,
    /// It passed, and has often enough in a row to forget failures.
    Calm,
    /// Nothing of the kind.
    Other,
}

/// What the engine must do.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Undo these losses, and hold what else would go DOWN.
    Trip(Vec<(TargetId, Before)>),
    /// Hold no more; so many were held.
    Release(u32),
}

//------------ Limiter --------------------------------------------------------

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Limiter {
    rules: LimiterRules,
    phase: LimiterPhase,
    groups: Groups,
    /// The number of a target's mark, or [`UNMARKED`].
    marks: Vec<u64>,
    next_mark: u64,
    /// Losses of the window, oldest first; those whose mark is gone are left lying.
    losses: VecDeque<Loss>,
    references: References,
    trips: u64,
}

#[derive(Clone, Debug)]
struct Loss {
    at_ms: u64,
    target: TargetId,
    mark: u64,
    before: Before,
}

impl Limiter {
    /// The limiter of `plan`, whose target `id` is eligible as `eligible(id)` says.
    pub(super) fn new(plan: &Plan, eligible: impl Fn(TargetId) -> bool) -> Limiter {
        Limiter {
            rules: plan.limiter,
            groups: Groups::new(plan, eligible),
            marks: vec![UNMARKED; plan.targets.len()],
            references: References::new(&plan.references),
            ..Limiter::default()
        }
    }

    /// As [`Limiter::new`], and goes on where `previous` is, which calls its targets
    /// what `old_id` says.
    pub(super) fn after(
        previous: &Limiter,
        old_id: impl Fn(TargetId) -> Option<TargetId>,
        plan: &Plan,
        eligible: impl Fn(TargetId) -> bool,
    ) -> Limiter {
        let mut limiter = Limiter::new(plan, &eligible);
        limiter.carry(previous, old_id, eligible);
        limiter
    }

    fn carry(
        &mut self,
        previous: &Limiter,
        old_id: impl Fn(TargetId) -> Option<TargetId>,
        eligible: impl Fn(TargetId) -> bool,
    ) {
        self.phase = previous.phase;
        self.trips = previous.trips;
        self.next_mark = previous.next_mark;
        let mut new_id = HashMap::new();
        for id in 0..self.marks.len() as TargetId {
            let Some(old) = old_id(id) else { continue };
            new_id.insert(old, id);
            let mark = previous.marks[old as usize];
            if mark != UNMARKED && self.groups.counts(id) {
                self.set_mark(id, mark, eligible(id));
            }
        }
        let losses = previous
            .losses
            .iter()
            .filter_map(|loss| Some(Loss { target: *new_id.get(&loss.target)?, ..loss.clone() }));
        self.losses = losses.collect();
        self.references.carry(&previous.references, old_id);
    }

    /// Whether this host has a route to target `id`, which is `eligible`: without one
    /// it is never judged, and neither lost nor left. What was lost before counts on: a
    /// cut may well begin with timeouts.
    pub(super) fn route(&mut self, id: TargetId, routed: bool, eligible: bool) {
        if routed || self.marks[id as usize] == UNMARKED {
            self.groups.count(id, routed, eligible);
        }
    }

    /// Whether what would go DOWN now is to be held.
    pub(super) fn holds(&self, id: TargetId) -> bool {
        self.phase == LimiterPhase::Tripped && self.groups.counts(id)
    }

    /// Takes in what a result of target `id` came to.
    pub(super) fn see(&mut self, id: TargetId, seen: Seen, now_ms: u64) -> Option<Change> {
        if !self.groups.counts(id) {
            return None;
        }
        self.forget_old(now_ms);
        match seen {
            Seen::Lost(before) => self.lost(id, before, now_ms),
            Seen::Held if self.marks[id as usize] == UNMARKED => drop(self.mark(id, true)),
            Seen::Risen => {
                self.unmark(id, false);
                self.groups.change(id, |group| group.eligible += 1);
            }
            Seen::Calm => self.unmark(id, true),
            Seen::Held | Seen::Other => {}
        }
        self.settle(now_ms)
    }

    /// Takes in a result of target `id` if it is a reference.
    pub(super) fn see_reference(
        &mut self,
        id: TargetId,
        answer: Answer,
        now_ms: u64,
    ) -> Option<Change> {
        if !self.references.take(id, answer, now_ms) {
            return None;
        }
        self.forget_old(now_ms);
        self.settle(now_ms)
    }

    /// An operator's word: nothing is held any more, and the same losses do not trip
    /// it again. How many were held; none: it had not tripped.
    pub(super) fn overrule(&mut self) -> Option<u32> {
        let held = self.held();
        (self.phase == LimiterPhase::Tripped).then(|| {
            self.phase = LimiterPhase::Overruled;
            held
        })
    }

    /// Trips or releases as the counts say.
    pub(super) fn settle(&mut self, now_ms: u64) -> Option<Change> {
        let excessive = self.excessive(now_ms);
        match self.phase {
            LimiterPhase::Armed if excessive => Some(self.trip()),
            LimiterPhase::Tripped if !excessive => {
                let held = self.held();
                self.rearm();
                Some(Change::Release(held))
            }
            LimiterPhase::Overruled if !excessive => {
                self.rearm();
                None
            }
            _ => None,
        }
    }

    pub(super) fn phase(&self) -> LimiterPhase {
        self.phase
    }

    /// How many targets are held.
    pub(super) fn held(&self) -> u32 {
        match self.phase {
            LimiterPhase::Tripped => self.groups.all().held,
            _ => 0,
        }
    }

    /// How many targets are counted.
    pub(super) fn targets(&self) -> u32 {
        self.groups.all().targets
    }

    pub(super) fn status(&self, since_s: u32) -> LimiterStatus {
        LimiterStatus {
            phase: self.phase,
            since_s,
            held: self.held(),
            trips: self.trips,
            datacenters: self.groups.datacenters(),
        }
    }

    /// Whether what is lost, or would be, is more than could be true.
    fn excessive(&self, now_ms: u64) -> bool {
        let targets_min = self.rules.min_targets;
        if let Some(over) = self.groups.every_datacenter_over(targets_min) {
            return over;
        }
        let window_ms = u64::from(self.rules.window_ms);
        let references_fail = || match self.phase {
            LimiterPhase::Armed => {
                self.references.fail_too(now_ms.saturating_sub(REFERENCE_WINDOWS * window_ms))
            }
            _ => self.references.fail_still(),
        };
        self.groups.all_over(targets_min) && references_fail()
    }

    fn lost(&mut self, id: TargetId, before: Before, now_ms: u64) {
        self.unmark(id, true);
        self.groups.change(id, |group| group.eligible -= 1);
        let mark = self.mark(id, false);
        if self.phase == LimiterPhase::Armed {
            self.losses.push_back(Loss { at_ms: now_ms, target: id, mark, before });
        }
    }

    fn trip(&mut self) -> Change {
        self.phase = LimiterPhase::Tripped;
        self.trips += 1;
        let losses = std::mem::take(&mut self.losses).into_iter();
        let valid = losses.filter(|loss| self.marks[loss.target as usize] == loss.mark);
        let undone: Vec<_> = valid.map(|loss| (loss.target, loss.before)).collect();
        for (id, _) in &undone {
            self.groups.change(*id, |group| {
                group.out -= 1;
                group.held += 1;
                group.eligible += 1;
            });
        }
        Change::Trip(undone)
    }

    /// Begins anew: what is DOWN was DOWN before.
    fn rearm(&mut self) {
        self.phase = LimiterPhase::Armed;
        self.losses.clear();
        self.marks.fill(UNMARKED);
        self.groups.forget_losses();
    }

    /// Losses older than the window are no part of what happens now.
    fn forget_old(&mut self, now_ms: u64) {
        let window_ms = u64::from(self.rules.window_ms);
        while let Some(loss) = self.losses.pop_front_if(|loss| loss.at_ms + window_ms < now_ms) {
            if self.marks[loss.target as usize] == loss.mark {
                self.unmark(loss.target, false);
            }
        }
    }

    fn mark(&mut self, id: TargetId, eligible: bool) -> u64 {
        self.next_mark += 1;
        self.set_mark(id, self.next_mark, eligible);
        self.next_mark
    }

    fn set_mark(&mut self, id: TargetId, mark: u64, eligible: bool) {
        self.marks[id as usize] = mark;
        self.groups.change(id, |group| match eligible {
            true => group.held += 1,
            false => group.out += 1,
        });
    }

    fn unmark(&mut self, id: TargetId, eligible: bool) {
        if std::mem::replace(&mut self.marks[id as usize], UNMARKED) != UNMARKED {
            self.groups.change(id, |group| match eligible {
                true => group.held -= 1,
                false => group.out -= 1,
            });
        }
    }
}

#[cfg(test)]
mod tests;
