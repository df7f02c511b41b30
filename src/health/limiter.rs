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

use std::collections::{HashMap, HashSet, VecDeque};

use super::check::ProbeKind;
use super::machine::Machine;
use super::plan::{LimiterRules, Plan, TargetId};

/// References that went DOWN longer ago than so many windows say nothing.
const REFERENCE_WINDOWS: u64 = 2;

/// No mark.
const UNMARKED: u64 = u64::MAX;
/// A group that a target does not have.
const NO_GROUP: u32 = u32::MAX;
/// The group of all that is counted.
const ALL: usize = 0;

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
    /// It is up, and has passed often enough in a row to forget failures.
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
    /// All that is counted, then one group for each datacenter.
    groups: Vec<Group>,
    /// Datacenters with anything counted, and those of them over the fraction.
    live: u32,
    over: u32,
    /// Index into `groups` for each target's datacenter.
    group_of: Vec<u32>,
    /// Whether a target is counted at all.
    counted: Vec<bool>,
    /// The number of a target's mark, or [`UNMARKED`].
    marks: Vec<u64>,
    next_mark: u64,
    /// Losses of the window, oldest first; those whose mark is gone are left lying.
    losses: VecDeque<Loss>,
    references: Vec<Reference>,
    trips: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    datacenter: Option<u32>,
    targets: u32,
    /// Not DOWN.
    eligible: u32,
    /// Marked and DOWN.
    out: u32,
    /// Marked and not DOWN.
    held: u32,
}

impl Group {
    fn counted(&self) -> u32 {
        self.eligible + self.out
    }

    fn lost(&self) -> u32 {
        self.out + self.held
    }

    fn over(&self, fraction: f64) -> bool {
        self.lost() > 0 && f64::from(self.lost()) > fraction * f64::from(self.counted())
    }
}

#[derive(Clone, Debug)]
struct Loss {
    at_ms: u64,
    target: TargetId,
    mark: u64,
    before: Before,
}

/// One address that tells whether this host's network works.
#[derive(Clone, Copy, Debug)]
struct Reference {
    target: TargetId,
    /// It has passed at least once.
    passed: bool,
    failing: bool,
    calm: bool,
    /// When it went DOWN; none: it is not.
    down_ms: Option<u64>,
}

impl Limiter {
    /// The limiter of `plan`, whose target `id` is eligible as `eligible(id)` says.
    /// `previous` goes on, with what its targets are called there.
    pub(super) fn new(
        plan: &Plan,
        eligible: impl Fn(TargetId) -> bool,
        previous: Option<(&Limiter, &dyn Fn(TargetId) -> Option<TargetId>)>,
    ) -> Limiter {
        let count = plan.targets.len();
        let mut limiter = Limiter {
            rules: plan.limiter,
            groups: vec![Group::default()],
            group_of: vec![NO_GROUP; count],
            counted: vec![false; count],
            marks: vec![UNMARKED; count],
            references: plan.references.iter().map(|id| Reference::new(*id)).collect(),
            ..Limiter::default()
        };
        let references: HashSet<TargetId> = plan.references.iter().copied().collect();
        let mut groups = HashMap::new();
        for (id, target) in (0..).zip(&plan.targets) {
            let idle = target.identity.probe == ProbeKind::Always;
            if idle || references.contains(&id) {
                continue;
            }
            limiter.counted[id as usize] = true;
            if let Some(datacenter) = target.datacenter {
                let next = limiter.groups.len() as u32;
                let group = *groups.entry(datacenter).or_insert(next);
                if group == next {
                    let datacenter = Some(datacenter);
                    limiter.groups.push(Group { datacenter, ..Group::default() });
                }
                limiter.group_of[id as usize] = group;
            }
            limiter.change(id, |group| {
                group.targets += 1;
                group.eligible += u32::from(eligible(id));
            });
        }
        if let Some((previous, old_id)) = previous {
            limiter.carry(previous, old_id, eligible);
        }
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
            if mark != UNMARKED && self.counted[id as usize] {
                self.set_mark(id, mark, eligible(id));
            }
        }
        let losses = previous
            .losses
            .iter()
            .filter_map(|loss| Some(Loss { target: *new_id.get(&loss.target)?, ..loss.clone() }));
        self.losses = losses.collect();
        for reference in &mut self.references {
            let old = old_id(reference.target);
            let old = previous.references.iter().find(|other| Some(other.target) == old);
            if let Some(old) = old {
                *reference = Reference { target: reference.target, ..*old };
            }
        }
    }

    /// Whether what would go DOWN now is to be held.
    pub(super) fn holds(&self, id: TargetId) -> bool {
        self.phase == LimiterPhase::Tripped && self.counted[id as usize]
    }

    /// Takes in what a result of target `id` came to.
    pub(super) fn see(&mut self, id: TargetId, seen: Seen, now_ms: u64) -> Option<Change> {
        if !self.counted[id as usize] {
            return None;
        }
        self.forget_old(now_ms);
        match seen {
            Seen::Lost(before) => self.lost(id, before, now_ms),
            Seen::Held if self.marks[id as usize] == UNMARKED => drop(self.mark(id, true)),
            Seen::Risen => {
                self.unmark(id, false);
                self.change(id, |group| group.eligible += 1);
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
        passed: bool,
        calm: bool,
        down: bool,
        now_ms: u64,
    ) -> Option<Change> {
        let mut found = false;
        for reference in self.references.iter_mut().filter(|reference| reference.target == id) {
            found = true;
            reference.passed |= passed;
            reference.failing = !passed;
            reference.calm = calm;
            reference.down_ms = down.then(|| reference.down_ms.unwrap_or(now_ms));
        }
        if !found {
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
            LimiterPhase::Tripped => self.groups[ALL].held,
            _ => 0,
        }
    }

    /// How many targets are counted.
    pub(super) fn targets(&self) -> u32 {
        self.groups[ALL].targets
    }

    pub(super) fn status(&self, since_s: u32) -> LimiterStatus {
        let datacenters = self.groups.iter().filter_map(|group| {
            let (counted, lost) = (group.counted(), group.lost());
            Some(DatacenterLoss {
                datacenter: group.datacenter?,
                targets: group.targets,
                counted,
                lost,
                share: f64::from(lost) / f64::from(counted.max(1)),
            })
        });
        LimiterStatus {
            phase: self.phase,
            since_s,
            held: self.held(),
            trips: self.trips,
            datacenters: datacenters.collect(),
        }
    }

    //--- Counting

    /// Whether what is lost, or would be, is more than could be true.
    fn excessive(&self, now_ms: u64) -> bool {
        if self.live >= 2 {
            let targets = || self.groups[ALL + 1..].iter().map(|group| group.targets).sum::<u32>();
            return self.over == self.live && targets() >= self.rules.min_targets;
        }
        let all = &self.groups[ALL];
        all.over(self.rules.max_down_fraction)
            && all.targets >= self.rules.min_targets
            && self.references_fail(now_ms)
    }

    /// Whether there are references and all of them fail, too. One that was DOWN
    /// before, or never passed, knows nothing about now.
    fn references_fail(&self, now_ms: u64) -> bool {
        let tripped = self.phase != LimiterPhase::Armed;
        let since_ms = now_ms.saturating_sub(REFERENCE_WINDOWS * u64::from(self.rules.window_ms));
        let speaks = |reference: &&Reference| {
            let recent = reference.down_ms.is_none_or(|down_ms| down_ms >= since_ms);
            reference.passed && (recent || tripped)
        };
        let mut speaking = self.references.iter().filter(speaks).peekable();
        // One success in a row of failures opens nothing; enough of them do.
        let fails = |reference: &Reference| match tripped {
            true => !reference.calm,
            false => reference.failing,
        };
        speaking.peek().is_some() && speaking.all(fails)
    }

    fn lost(&mut self, id: TargetId, before: Before, now_ms: u64) {
        self.unmark(id, true);
        self.change(id, |group| group.eligible -= 1);
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
            self.change(*id, |group| {
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
        for index in 0..self.groups.len() {
            self.change_group(index, |group| (group.out, group.held) = (0, 0));
        }
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
        self.change(id, |group| match eligible {
            true => group.held += 1,
            false => group.out += 1,
        });
    }

    fn unmark(&mut self, id: TargetId, eligible: bool) {
        if std::mem::replace(&mut self.marks[id as usize], UNMARKED) != UNMARKED {
            self.change(id, |group| match eligible {
                true => group.held -= 1,
                false => group.out -= 1,
            });
        }
    }

    /// Changes every group of target `id`.
    fn change(&mut self, id: TargetId, change: impl Fn(&mut Group)) {
        self.change_group(ALL, &change);
        let group = self.group_of[id as usize];
        if group != NO_GROUP {
            self.change_group(group as usize, &change);
        }
    }

    fn change_group(&mut self, index: usize, change: impl Fn(&mut Group)) {
        let fraction = self.rules.max_down_fraction;
        let group = &mut self.groups[index];
        let state =
            |group: &Group| (u32::from(group.counted() > 0), u32::from(group.over(fraction)));
        let (live, over) = state(group);
        change(group);
        let (live_now, over_now) = state(group);
        if index != ALL {
            self.live = self.live + live_now - live;
            self.over = self.over + over_now - over;
        }
    }
}

impl Reference {
    fn new(target: TargetId) -> Reference {
        Reference { target, passed: false, failing: false, calm: false, down_ms: None }
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
