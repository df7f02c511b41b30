//! WIPs and datacenters one by one, as the status page draws them: what queries see of
//! each member, and why.
//!
//! A page walks the names and words of all WIPs, and tells only of its own in full; what
//! members are is looked up once for each strategy. It must not know HTTP or the prober:
//! reasons come from who asks it.

use std::collections::{HashMap, HashSet};

use super::checks::find_wip;
use crate::admin::ApiError;
use crate::admin::types::{
    Datacenter, DatacentersPage, Location, VipStatus, WipMember, WipStatus, WipsPage, WipsRequest,
};
use crate::config::model::{Member, Pool};
use crate::dns::{Name, name};
use crate::geo;
use crate::health::plan::VerdictId;
use crate::health::table::{Override, State, Word};
use crate::overrides::Deciders;
use crate::snapshot::{Serving, Snapshot, WipEntry};

/// A page ends early when its WIPs have so many members.
const PAGE_MEMBERS_MAX: usize = 20_000;

/// Why verdicts are as they are, in words, as far as it is known.
pub(super) type Reasons<'a> = &'a dyn Fn(&[VerdictId]) -> HashMap<VerdictId, String>;

//------------ WIPs -----------------------------------------------------------

/// One page of WIPs.
pub(super) fn page(
    serving: &Serving,
    request: &WipsRequest,
    reasons: Reasons<'_>,
    deciders: &Deciders,
) -> Result<WipsPage, ApiError> {
    let start = match &request.after {
        Some(name) => find_wip(&serving.snapshot, name)? + 1,
        None => 0,
    };
    let (mut total, mut members) = (0, 0);
    let mut shown: Vec<u32> = Vec::new();
    let mut is_full = false;
    each_wanted(serving, request, |wip, entry| {
        total += 1;
        if wip < start || is_full {
            return;
        }
        let size = serving.snapshot.strategy(entry).members.len();
        is_full = shown.len() == request.limit as usize
            || !shown.is_empty() && members + size > PAGE_MEMBERS_MAX;
        if !is_full {
            members += size;
            shown.push(wip);
        }
    });
    let wips = wips(serving, &shown, reasons, deciders);
    let next = wips.last().filter(|_| is_full).map(|wip| wip.name.clone());
    Ok(WipsPage { total, wips, next })
}

/// The WIP of this canonical name or alias.
pub(super) fn one(
    serving: &Serving,
    name: &Name,
    reasons: Reasons<'_>,
    deciders: &Deciders,
) -> Result<WipStatus, ApiError> {
    let wip = find_wip(&serving.snapshot, name)?;
    let found = wips(serving, &[wip], reasons, deciders).pop();
    found.ok_or_else(|| ApiError::NotFound(format!("there is no WIP \"{name}\"")))
}

/// Gives each WIP that is asked for to `emit`, in the order of the config.
fn each_wanted(serving: &Serving, request: &WipsRequest, mut emit: impl FnMut(u32, &WipEntry)) {
    let snapshot = &serving.snapshot;
    let text = request.q.as_deref().unwrap_or_default();
    let by_alias: HashSet<u32> = match text {
        "" => HashSet::new(),
        text => {
            let aliases = snapshot.config.wips.aliases();
            aliases.filter(|(alias, _)| alias.to_string().contains(text)).map(|(_, w)| w).collect()
        }
    };
    let mut shown = String::new();
    for ((wip, wire, _), entry) in snapshot.config.wips.iter().zip(&snapshot.wips) {
        if !text.is_empty() && !by_alias.contains(&wip) {
            shown.clear();
            // Writing to a string cannot fail.
            let _ = name::write_presentation(wire, &mut shown);
            if !shown.contains(text) {
                continue;
            }
        }
        if !request.troubled || is_troubled(serving, wip) {
            emit(wip, entry);
        }
    }
}

/// Whether a VIP is not up, or an operator decides of it.
fn is_troubled(serving: &Serving, wip: u32) -> bool {
    let is_well =
        |word: Word| word.available() && word.state() == State::Up && word.over() == Override::None;
    !serving.words(wip).all(is_well)
}

/// Tells of some WIPs in full, with one question for reasons.
fn wips(
    serving: &Serving,
    shown: &[u32],
    reasons: Reasons<'_>,
    deciders: &Deciders,
) -> Vec<WipStatus> {
    let snapshot = &serving.snapshot;
    let places: HashMap<u32, usize> = shown.iter().copied().zip(0..).collect();
    let mut aliases: Vec<Vec<String>> = vec![Vec::new(); shown.len()];
    for (alias, wip) in snapshot.config.wips.aliases() {
        if let Some(&place) = places.get(&wip) {
            aliases[place].push(alias.to_string());
        }
    }
    let mut asked = HashSet::new();
    let mut of_members: Vec<Vec<Option<VerdictId>>> = Vec::with_capacity(shown.len());
    let mut statuses: Vec<WipStatus> = Vec::with_capacity(shown.len());
    for (&wip, aliases) in shown.iter().zip(aliases) {
        let (status, telling) = wip_status(serving, wip, aliases, deciders);
        asked.extend(telling.iter().flatten().copied());
        of_members.push(telling);
        statuses.push(status);
    }
    let asked: Vec<VerdictId> = asked.into_iter().collect();
    let known = if asked.is_empty() { HashMap::new() } else { reasons(&asked) };
    for (status, telling) in statuses.iter_mut().zip(of_members) {
        for (member, verdict) in status.members.iter_mut().zip(telling) {
            let health = verdict.and_then(|id| known.get(&id));
            member.reason = reason(member, health);
        }
    }
    statuses
}

/// One WIP without reasons, and for each member the verdict that tells why it is not up.
fn wip_status(
    serving: &Serving,
    wip: u32,
    aliases: Vec<String>,
    deciders: &Deciders,
) -> (WipStatus, Vec<Option<VerdictId>>) {
    let snapshot = &serving.snapshot;
    let config = &snapshot.config;
    let entry = &snapshot.wips[wip as usize];
    let strategy = snapshot.strategy(entry);
    let verdicts = snapshot.verdicts(entry, strategy);
    let words: Vec<Word> = serving.words(wip).collect();
    let mut telling = Vec::with_capacity(strategy.members.len());
    let mut members = Vec::with_capacity(strategy.members.len());
    for ((pool, member), compiled) in members_of(snapshot, entry).zip(&strategy.members) {
        let range = usize::from(compiled.vips.start)..usize::from(compiled.vips.end);
        let best = range.clone().max_by_key(|&vip| (rank(words[vip]), std::cmp::Reverse(vip)));
        let word = best.map_or(Word::UP, |vip| words[vip]);
        let is_well = word.available() && word.state() == State::Up;
        telling.push(best.filter(|_| !is_well).map(|vip| verdicts[vip]));
        members.push(WipMember {
            name: member.name.clone(),
            pool: pool.name.clone(),
            datacenter: member.datacenter.map(|id| config.datacenters[id as usize].name.clone()),
            weight: member.weight,
            available: word.available(),
            effective: effective(word).to_owned(),
            probed: word.state().as_str().to_owned(),
            reason: None,
            vips: range.map(|vip| vip_status(strategy.shown(vip as u16), words[vip])).collect(),
            override_id: deciders.of(wip, entry.strategy, telling.len() - 1),
        });
    }
    let one_pool = strategy.pools.len() == 1;
    let policy = if one_pool { strategy.pools[0].policy } else { strategy.policy };
    let status = WipStatus {
        name: snapshot.wip_name(wip),
        aliases,
        policy: policy.as_str().to_owned(),
        ttl_s: strategy.ttl_s,
        available: members.iter().filter(|member| member.available).count() as u64,
        members,
    };
    (status, telling)
}

/// Members of all pools of a WIP, in the order of its strategy.
fn members_of<'s>(
    snapshot: &'s Snapshot,
    entry: &WipEntry,
) -> impl Iterator<Item = (&'s Pool, &'s Member)> {
    let config = &snapshot.config;
    let settings = snapshot.strategy_settings[entry.strategy as usize];
    let pools = config.wip_settings[settings as usize].pools.iter();
    let pools = pools.map(|&pool| &config.pools[pool as usize]);
    pools.flat_map(|pool| pool.members.iter().map(move |member| (pool, member)))
}

fn vip_status(address: String, word: Word) -> VipStatus {
    VipStatus {
        address,
        effective: effective(word).to_owned(),
        probed: word.state().as_str().to_owned(),
        available: word.available(),
    }
}

/// What queries see. Its own checks may pass while its site is lost.
fn effective(word: Word) -> &'static str {
    let lost = word.over() == Override::None && !word.is_held() && !word.available();
    if lost { State::Down.as_str() } else { word.effective() }
}

/// Of a member's VIPs, the one with the highest is shown for it.
fn rank(word: Word) -> (bool, bool, bool) {
    (word.available(), word.state() == State::Up, word.over() == Override::None)
}

/// Why a member is not up: an operator's word first, then health's.
fn reason(member: &WipMember, health: Option<&String>) -> Option<String> {
    let first = match member.effective.as_str() {
        "drained" => Some("drained by an operator"),
        "forced-down" => Some("forced down by an operator"),
        "forced-up" if member.probed != "up" => Some("forced up by an operator"),
        "held" => Some("is up again and held out of answers"),
        _ => None,
    };
    match (first, health) {
        (Some(first), Some(health)) => Some(format!("{first}; {health}")),
        (Some(first), None) => Some(first.to_owned()),
        (None, health) => health.cloned(),
    }
}

//------------ Datacenters ----------------------------------------------------

/// Every datacenter.
pub(super) fn datacenters(serving: &Serving) -> DatacentersPage {
    let config = &serving.snapshot.config;
    let mut tallies = vec![Tally::default(); config.datacenters.len()];
    tally(serving, &mut tallies);
    let datacenters = config.datacenters.iter().zip(&tallies).map(|(datacenter, tally)| {
        let location = datacenter.location.and_then(geo::Location::point);
        Datacenter {
            name: datacenter.name.clone(),
            location: location
                .map(|point| Location { latitude: point.latitude, longitude: point.longitude }),
            vips: datacenter.vips.iter().map(|vip| vip.address.to_string()).collect(),
            gate: tally.gate.map(|state| state.as_str().to_owned()),
            state: tally.state().to_owned(),
            members: tally.members,
            available: tally.available,
            overridden: tally.overridden,
            probe_ms: Vec::new(),
            answers_per_s: Vec::new(),
        }
    });
    DatacentersPage { datacenters: datacenters.collect(), series_interval_s: 0 }
}

/// What is counted of one datacenter.
#[derive(Clone, Debug, Default)]
struct Tally {
    members: u64,
    available: u64,
    overridden: u64,
    /// Members that are out at an operator's word.
    taken_out: u64,
    /// Members of which nothing was judged.
    unknown: u64,
    /// A VIP is out, though its member may not be.
    lacks_vip: bool,
    gate: Option<State>,
}

impl Tally {
    fn state(&self) -> &'static str {
        match self {
            Tally { members: 0, .. } => "unused",
            Tally { members, unknown, .. } if unknown == members => "unknown",
            Tally { members, taken_out, .. } if taken_out == members => "drained",
            Tally { available: 0, .. } => "down",
            Tally { members, available, lacks_vip, .. } if available < members || *lacks_vip => {
                "degraded"
            }
            _ => "up",
        }
    }

    fn add(&mut self, words: &[Word]) {
        let any = |is: fn(&Word) -> bool| words.iter().any(is);
        self.members += 1;
        self.overridden += u64::from(any(|word| word.over() != Override::None));
        self.lacks_vip |= any(|word| !word.available());
        let is_available = any(|word| word.available());
        let is_taken_out =
            |word: &Word| matches!(word.over(), Override::Drained | Override::ForcedDown);
        self.available += u64::from(is_available);
        self.taken_out += u64::from(!is_available && words.iter().any(is_taken_out));
        let is_unknown =
            |word: &Word| word.state() == State::Unknown && word.over() == Override::None;
        self.unknown += u64::from(words.iter().all(is_unknown));
    }

    /// The site is as its worst VIP.
    fn add_gate(&mut self, state: State) {
        let weight = |state: State| match state {
            State::Down => 0,
            State::Unknown => 1,
            State::Up => 2,
        };
        self.gate = match self.gate {
            Some(other) if weight(other) <= weight(state) => Some(other),
            _ => Some(state),
        };
    }
}

/// A member of a strategy as it is counted: its datacenter, and its VIPs.
type Placed = (usize, std::ops::Range<usize>);

fn tally(serving: &Serving, tallies: &mut [Tally]) {
    let snapshot = &serving.snapshot;
    let placed = |entry: &WipEntry| -> Vec<Placed> {
        let members = members_of(snapshot, entry);
        let compiled = &snapshot.strategy(entry).members;
        let placed = members.zip(compiled).filter_map(|((_, member), compiled)| {
            let vips = usize::from(compiled.vips.start)..usize::from(compiled.vips.end);
            Some((member.datacenter? as usize, vips))
        });
        placed.collect()
    };
    let mut by_strategy: Vec<Option<Vec<Placed>>> = vec![None; snapshot.strategies.len()];
    let mut words = Vec::new();
    for (wip, entry) in (0..).zip(&snapshot.wips) {
        let members = by_strategy[entry.strategy as usize].get_or_insert_with(|| placed(entry));
        words.clear();
        words.extend(serving.words(wip));
        for (datacenter, vips) in members {
            tallies[*datacenter].add(&words[vips.clone()]);
        }
    }
    // WIPs share verdicts: each site's own is looked at through one WIP of each strategy.
    let mut seen = HashSet::new();
    for entry in &snapshot.wips {
        if !seen.insert(entry.strategy) {
            continue;
        }
        let verdicts = snapshot.verdicts(entry, snapshot.strategy(entry));
        for (datacenter, vips) in by_strategy[entry.strategy as usize].iter().flatten() {
            for &verdict in &verdicts[vips.clone()] {
                let gate = snapshot.plan.verdicts.get(verdict as usize).and_then(|v| v.gate);
                if let Some(gate) = gate {
                    tallies[*datacenter].add_gate(serving.health.word(gate).state());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
