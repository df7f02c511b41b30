//! What a reload keeps: history by identity, verdicts by member.
//!
//! ```text
//!   same probe at the same address         all of it; thresholds may differ
//!   another probe of the same member's     the verdict, with zero counters
//!   address, for the same WIP
//!   anything else                          never judged
//! ```
//!
//! A verdict that judges other targets than any before is held, or ramps up, as the
//! one did that it seems to have been ([`Kin`]): a change of checks lets nobody in.
//!
//! It must not know words or votes.

use std::collections::{HashMap, HashSet};

use super::budget;
use super::check::Require;
use super::engine::Engine;
use super::event::{Now, ProbeKey, Purpose};
use super::hold::{ReturnPhase, Returns};
use super::plan::{Identity, Plan, ProbeAddress, Target, TargetId, Verdict, VerdictId};
use super::schedule::{self, Start, steady_per_s};
use super::table::{Override, State, Table, Word};
use super::track::Tracked;

/// The targets of `plan` with what `previous` knows, and the next unused key.
pub(super) fn targets(
    plan: &Plan,
    previous: Option<&Engine>,
    mut next_key: ProbeKey,
    now: Now,
) -> (Vec<Tracked>, ProbeKey) {
    let history = History::new(previous, plan);
    let steady_per_s = steady_per_s(&plan.targets);
    let same = || plan.targets.iter().filter(|target| history.same(target).is_some());
    let first_per_s = budget::first_per_s(steady_per_s, schedule::steady_per_s(same()));
    let start = Start::new(plan.targets.len() - same().count(), first_per_s);
    let mut fresh = |target: &Target| {
        let mut tracked = Tracked::new(target, next_key, now);
        next_key += 1;
        tracked.due_ms = start.first_due_ms(target, tracked.phase, now.mono_ms);
        tracked
    };
    let mut seen = HashSet::new();
    let mut targets = Vec::with_capacity(plan.targets.len());
    for target in &plan.targets {
        let same = history.same(target).filter(|old| seen.insert(old.key));
        let tracked = match (same, history.same_member(target)) {
            (Some(old), _) => kept(old, target, now),
            (None, Some(old)) if !old.idle => inherited(fresh(target), old),
            (None, _) => fresh(target),
        };
        targets.push(tracked);
    }
    (targets, next_key)
}

/// A table whose words know when each verdict was lost, and no more yet: from the
/// same verdict before; for a new one, the latest loss among its targets. And which
/// verdicts are on their way back.
pub(super) fn verdicts(
    plan: &Plan,
    targets: &[Tracked],
    previous: Option<&Engine>,
) -> (Table, Returns) {
    let (table, mut returns) = (Table::new(plan.verdicts.len()), Returns::default());
    let mut before: HashMap<Signature, Vec<VerdictId>> = HashMap::new();
    if let Some(engine) = previous {
        for (id, verdict) in (0..).zip(&engine.plan.verdicts) {
            let signature = Signature::new(verdict, &engine.plan, &engine.targets, false);
            before.entry(signature).or_default().push(id);
        }
    }
    let latest = |ids: &[TargetId]| ids.iter().map(|id| targets[*id as usize].lost_at_s).max();
    let mut gone: HashSet<&Signature> = before.keys().collect();
    let mut changed = Vec::new();
    for (id, verdict) in (0..).zip(&plan.verdicts) {
        let signature = Signature::new(verdict, plan, targets, true);
        let same = before.get(&signature);
        gone.remove(&signature);
        let old = previous.zip(same).and_then(|(engine, ids)| {
            // Best the one that came back in the same way.
            let likeness = |old: &&VerdictId| {
                let of_old = &engine.plan.verdicts[**old as usize];
                let alike =
                    (of_old.failback, of_old.ramp_ms) == (verdict.failback, verdict.ramp_ms);
                (alike, engine.returns.get(**old).is_some())
            };
            Some((engine, *ids.iter().max_by_key(likeness)?))
        });
        let lost_at_s = match old {
            Some((engine, old)) => {
                returns.carry(id, &engine.returns, old);
                engine.table.word(old).lost_at_s()
            }
            None => {
                changed.push((id, signature));
                latest(&verdict.targets).unwrap_or(0)
            }
        };
        table.set(id, Word::new(State::Unknown, false, Override::None, 0, lost_at_s));
    }
    let Some(engine) = previous.filter(|_| !changed.is_empty()) else { return (table, returns) };
    let gone: HashSet<VerdictId> = gone.into_iter().flat_map(|old| &before[old]).copied().collect();
    let kin = Kin::new(engine, gone);
    for (id, signature) in changed {
        if let Some(old) = kin.of(&signature, plan, &plan.verdicts[id as usize]) {
            returns.carry(id, &engine.returns, old);
        }
    }
    (table, returns)
}

/// A verdict in words that outlive a reload.
#[derive(Eq, Hash, PartialEq)]
struct Signature {
    /// In their own order: that of the plan is another as soon as a WIP is added.
    targets: Vec<ProbeKey>,
    require: Require,
    gate: Option<(Vec<ProbeKey>, Require)>,
}

impl Signature {
    /// With `as_before`, of targets that took others' place, the others.
    fn new(verdict: &Verdict, plan: &Plan, targets: &[Tracked], as_before: bool) -> Signature {
        let key = |id: &TargetId| {
            let tracked = &targets[*id as usize];
            tracked.heir_of.filter(|_| as_before).unwrap_or(tracked.key)
        };
        let keys = |ids: &[TargetId]| {
            let mut keys: Vec<ProbeKey> = ids.iter().map(key).collect();
            keys.sort_unstable();
            keys
        };
        let gate = verdict.gate.map(|gate| &plan.verdicts[gate as usize]);
        Signature {
            targets: keys(&verdict.targets),
            require: verdict.require,
            gate: gate.map(|gate| (keys(&gate.targets), gate.require)),
        }
    }
}

//------------ Kin ------------------------------------------------------------

/// So many lost verdicts of one target are looked at: what more of them share is
/// nobody's own.
const KIN_MAX: usize = 64;

/// Verdicts of before that were lost, found by one of their targets.
struct Kin<'a> {
    engine: &'a Engine,
    /// Those that the new plan does not have.
    gone: HashSet<VerdictId>,
    /// How many verdicts judge a target, lost or not.
    shared_by: HashMap<ProbeKey, usize>,
    /// Those not in service, the strictest first.
    lost: HashMap<ProbeKey, Vec<VerdictId>>,
}

impl<'a> Kin<'a> {
    fn new(engine: &'a Engine, gone: HashSet<VerdictId>) -> Kin<'a> {
        let mut found: Vec<_> = engine.returns.all().collect();
        found.sort_by_key(|found| found.phase.number());
        let mut kin = Kin { engine, gone, shared_by: HashMap::new(), lost: HashMap::new() };
        if found.is_empty() {
            return kin;
        }
        let keys = |verdict: &'a Verdict| {
            verdict.targets.iter().map(|id| engine.targets[*id as usize].key)
        };
        for key in engine.plan.verdicts.iter().flat_map(keys) {
            *kin.shared_by.entry(key).or_default() += 1;
        }
        for found in found {
            for key in keys(&engine.plan.verdicts[found.verdict as usize]) {
                kin.lost.entry(key).or_default().push(found.verdict);
            }
        }
        kin
    }

    /// What `verdict` of `plan` seems to have been: the strictest of those that share
    /// the target which fewest share.
    fn of(&self, signature: &Signature, plan: &Plan, verdict: &Verdict) -> Option<VerdictId> {
        let shared = signature.targets.iter().filter(|key| self.shared_by.contains_key(key));
        let own = shared.min_by_key(|key| self.shared_by[*key])?;
        let lost = self.lost.get(own)?.iter().copied().take(KIN_MAX);
        let before = &self.engine.plan;
        // One that is not gone was another's. It says that a new one at its addresses
        // is to be held too, but not that it is down, and nothing of one elsewhere.
        let fits = |old: &VerdictId| {
            let of_old = &before.verdicts[*old as usize];
            let (old_at, at) = (addresses(before, of_old), addresses(plan, verdict));
            self.gone.contains(old)
                || self.engine.returns.phase(*old) != Some(ReturnPhase::Away)
                    && (old_at.is_subset(&at) || at.is_subset(&old_at))
        };
        lost.into_iter().find(fits)
    }
}

fn addresses<'a>(plan: &'a Plan, verdict: &Verdict) -> HashSet<&'a ProbeAddress> {
    verdict.targets.iter().map(|id| &plan.targets[*id as usize].identity.address).collect()
}

/// The same probe goes on. A shorter interval counts from now: what was in time
/// by the old one is neither late nor silent.
fn kept(old: &Tracked, target: &Target, now: Now) -> Tracked {
    let mut tracked = Tracked { heir_of: None, ..old.clone() };
    let interval_ms = schedule::interval_ms(target);
    if !tracked.silent {
        tracked.judged_ms = old.judged_ms.max(now.mono_ms.saturating_sub(interval_ms));
    }
    if tracked.due_ms > now.mono_ms + interval_ms {
        tracked.due_ms = schedule::steady_due_ms(target, tracked.phase, now.mono_ms);
        if tracked.purpose == Purpose::Confirm {
            tracked.purpose = Purpose::Steady;
        }
    }
    tracked
}

fn inherited(mut tracked: Tracked, old: &Tracked) -> Tracked {
    if !tracked.idle {
        tracked.machine = old.machine.inherit();
        tracked.stale = old.stale;
        tracked.judged = tracked.settled();
        tracked.since_s = old.since_s;
        tracked.transitions = old.transitions;
    }
    tracked.lost_at_s = old.lost_at_s;
    tracked.heir_of = Some(old.key);
    tracked
}

//------------ History --------------------------------------------------------

type Member<'a> = (Option<&'a str>, &'a str, &'a ProbeAddress);

/// The previous engine's targets, found by what they are.
#[derive(Default)]
struct History<'a> {
    same: HashMap<&'a Identity, &'a Tracked>,
    /// Targets that are not in the new plan, by member and check.
    gone: HashMap<Member<'a>, Vec<(&'a str, &'a Tracked)>>,
}

impl<'a> History<'a> {
    fn new(previous: Option<&'a Engine>, plan: &Plan) -> History<'a> {
        let mut history = History::default();
        let Some(previous) = previous else { return history };
        let wanted: HashSet<&Identity> = plan.targets.iter().map(|t| &t.identity).collect();
        for (target, tracked) in previous.plan().targets.iter().zip(&previous.targets) {
            if wanted.contains(&target.identity) {
                history.same.insert(&target.identity, tracked);
            } else {
                let gone = history.gone.entry(member(target)).or_default();
                gone.push((target.check.as_str(), tracked));
            }
        }
        history
    }

    fn same(&self, target: &Target) -> Option<&'a Tracked> {
        self.same.get(&target.identity).copied()
    }

    /// The probe that `target` takes the place of: of the same check, or the only one.
    fn same_member(&self, target: &Target) -> Option<&'a Tracked> {
        let gone = self.gone.get(&member(target))?;
        let (_, tracked) = match gone.as_slice() {
            [only] => only,
            several => several.iter().find(|(check, _)| *check == target.check)?,
        };
        Some(tracked)
    }
}

fn member(target: &Target) -> Member<'_> {
    (target.wip.as_deref(), &target.member, &target.identity.address)
}
