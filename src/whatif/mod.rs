//! What a change would do to answers: two states of one config, or of two, compared.
//!
//! ```text
//! (config, words) before ┐
//! (config, words) after  ┴► WIP by WIP: who decides ─► known? ─► steer::choose, for each
//!                                                                kind of client ─► moves
//! ```
//! Queries are decided by the same function, so what is told is what they would get.
//! WIPs with equal strategies and equal words are compared once, and so is each pair of
//! rows; that makes thousands of WIPs a matter of a few (docs/OPERATING.md, "What if").
//!
//! It must not know who asks, what is shown, or time: whoever asks says when to stop.

mod clients;
mod groups;
mod moves;
mod names;
mod places;
mod side;
mod weights;

use std::collections::HashMap;

use ipnet::IpNet;

use self::clients::Clients;
pub use self::clients::Measure;
use self::groups::Groups;
use self::moves::{Bench, Moved, Sides};
use self::names::Named;
use self::places::{Names, Places};
use self::side::{Decider, Side};
pub use self::weights::{Weighted, parse as parse_weights};
use crate::snapshot::Serving;

/// Less of all clients is nothing.
const LEAST: f64 = 1e-9;

//------------ Comparison -----------------------------------------------------

/// How answers move from one state to another. Shares are of all clients, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// WIPs of either state.
    pub wips: u64,
    /// WIPs of both, some of whose answers move.
    pub wips_moved: u64,
    /// WIPs of both where more clients than before are left with a last resort, or nobody
    /// because all is forced down.
    pub wips_lost: u64,
    /// Names that come, aliases included.
    pub names_added: u64,
    /// Names that go.
    pub names_removed: u64,
    /// Over the WIPs of both, each weighing the same.
    pub all: Moves,
    /// The names that change, those that move most first; as many as were asked for.
    pub names: Vec<NameMoves>,
    /// What shares are of.
    pub measure: Measure,
}

/// A name whose answers move.
#[derive(Clone, Debug, PartialEq)]
pub struct NameMoves {
    /// The name of a WIP, or an alias.
    pub name: String,
    /// True of an alias that comes, goes or changes to another WIP.
    pub is_alias: bool,
    /// In what way.
    pub change: Change,
    /// How.
    pub moves: Moves,
}

/// What becomes of a name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// It goes.
    Removed,
    /// More clients than before are left with a last resort, or nobody.
    Lost,
    /// Clients are sent elsewhere.
    Moved,
    /// It comes.
    Added,
}

/// Who is sent where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moves {
    /// Share of clients whose answer moves.
    pub moved: f64,
    /// The same of IPv4 clients.
    pub moved_v4: f64,
    /// The same of IPv6 clients.
    pub moved_v6: f64,
    /// By destination, before and after, largest first.
    pub shares: Vec<(String, [f64; 2])>,
    /// From one to another, largest first; to the same: to another of its addresses.
    pub flows: Vec<([String; 2], f64)>,
}

/// Whoever asked said to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("stopped before all was compared")]
pub struct Stopped;

/// Compares two states. Their health must stand still meanwhile. `weights`: networks of
/// clients; none: the address space. At most `limit` names are listed. `go_on` is asked
/// again and again.
pub fn compare(
    before: &Serving,
    after: &Serving,
    weights: &[Weighted],
    limit: usize,
    go_on: &dyn Fn() -> bool,
) -> Result<Comparison, Stopped> {
    let states = [before, after];
    let tables = states.map(|state| &*state.snapshot.base);
    let clients = Clients::new(tables, &networks(states), weights, go_on)?;
    let mut comparer = Comparer {
        states,
        clients,
        go_on,
        groups: Groups::default(),
        names: Names::new(),
        known: HashMap::new(),
        outcomes: Vec::new(),
        bench: Bench::default(),
    };
    let mut compared: Vec<(Named<'_>, usize)> = Vec::new();
    let mut stopped = false;
    names::for_each(&before.snapshot, &after.snapshot, &mut |named| {
        match comparer.outcome(named.wips) {
            Some(outcome) => compared.push((named, outcome)),
            None => stopped = true,
        }
        !stopped
    });
    if stopped { Err(Stopped) } else { Ok(comparer.sum(compared, limit)) }
}

/// All networks that rules of either state name.
fn networks(states: [&Serving; 2]) -> Vec<IpNet> {
    let strategies = states.into_iter().flat_map(|state| &state.snapshot.strategies);
    let mut networks: Vec<IpNet> =
        strategies.flat_map(|strategy| strategy.networks.iter().copied()).collect();
    networks.sort();
    networks.dedup();
    networks
}

//------------ Comparer -------------------------------------------------------

/// What decides of a name on both sides; none: the name is not there.
type Key = [Option<Decider>; 2];

struct Comparer<'a> {
    states: [&'a Serving; 2],
    clients: Clients,
    go_on: &'a dyn Fn() -> bool,
    groups: Groups,
    names: Names,
    /// Indices into `outcomes`.
    known: HashMap<Key, usize>,
    outcomes: Vec<Moved>,
    bench: Bench,
}

impl Comparer<'_> {
    /// How the answers of a name move, by the WIPs that stand there; none: stop.
    fn outcome(&mut self, wips: [Option<u32>; 2]) -> Option<usize> {
        let [before, after] = self.states;
        let decider = |state: &Serving, wip: Option<u32>| {
            let wip = wip?;
            let strategy = state.snapshot.wips[wip as usize].strategy;
            Some(Decider::new(&state.snapshot, strategy, state.words(wip)))
        };
        let key = [decider(before, wips[0]), decider(after, wips[1])];
        if let Some(&known) = self.known.get(&key) {
            return Some(known);
        }
        let outcome = self.moved(&key)?;
        self.outcomes.push(outcome);
        self.known.insert(key, self.outcomes.len() - 1);
        Some(self.outcomes.len() - 1)
    }

    fn moved(&mut self, key: &Key) -> Option<Moved> {
        let [before, after] = self.states.map(|state| &*state.snapshot);
        let mut places = Places::new(&mut self.names);
        let mut side = |snapshot, decider: &Option<Decider>| {
            decider.as_ref().map(|decider| Side::new(snapshot, decider, &mut places))
        };
        let sides = [side(before, &key[0]), side(after, &key[1])];
        let are_same = std::ptr::eq(before, after) && key[0] == key[1];
        let map =
            |side: &Option<Side<'_>>| side.as_ref().and_then(|side| side.strategy.map.clone());
        let maps = [map(&sides[0]), map(&sides[1])];
        let groups = self.groups.of([maps[0].as_ref(), maps[1].as_ref()], &self.clients);
        let sides = Sides { sides, are_same, named: places.named };
        sides.compare(&groups, &self.clients, &mut self.bench, self.go_on)
    }

    fn sum(&self, compared: Vec<(Named<'_>, usize)>, limit: usize) -> Comparison {
        let mut counts = vec![0u64; self.outcomes.len()];
        let mut changed = Vec::new();
        let (mut wips, mut moved, mut lost, mut added, mut removed) = (0, 0, 0, 0, 0);
        for (named, outcome) in compared {
            let change = change_of(&named, &self.outcomes[outcome]);
            wips += u64::from(!named.is_alias);
            if !named.is_alias && named.wips[0].is_some() && named.wips[1].is_some() {
                counts[outcome] += 1;
                lost += u64::from(change == Some(Change::Lost));
                moved += u64::from(self.outcomes[outcome].total() > LEAST);
            }
            added += u64::from(change == Some(Change::Added));
            removed += u64::from(change == Some(Change::Removed));
            changed.extend(change.map(|change| (named, outcome, change)));
        }
        changed.sort_by(|a, b| {
            let moved = |at: usize| self.outcomes[at].total();
            let by_moved = moved(b.1).total_cmp(&moved(a.1));
            by_moved.then(a.2.cmp(&b.2)).then_with(|| a.0.order().cmp(b.0.order()))
        });
        let names = changed.into_iter().take(limit).map(|(named, outcome, change)| NameMoves {
            name: named.text(),
            is_alias: named.is_alias,
            change,
            moves: self.moves(&self.outcomes[outcome]),
        });
        Comparison {
            wips,
            wips_moved: moved,
            wips_lost: lost,
            names_added: added,
            names_removed: removed,
            names: names.collect(),
            all: self.moves(&self.mean(&counts)),
            measure: self.clients.measure,
        }
    }

    /// The mean of all outcomes, each so many times.
    fn mean(&self, counts: &[u64]) -> Moved {
        let all: u64 = counts.iter().sum();
        let mut mean = Moved::default();
        let mut shares: HashMap<u32, [f64; 2]> = HashMap::new();
        let mut flows: HashMap<[u32; 2], f64> = HashMap::new();
        for (outcome, &count) in self.outcomes.iter().zip(counts).filter(|(_, count)| **count > 0) {
            let part = count as f64 / all as f64;
            for side in 0..2 {
                mean.moved[side] += outcome.moved[side] * part;
                mean.last_resort[side] += outcome.last_resort[side] * part;
            }
            for (name, share) in &outcome.shares {
                let sum = shares.entry(*name).or_default();
                (0..2).for_each(|side| sum[side] += share[side] * part);
            }
            for (names, share) in &outcome.flows {
                *flows.entry(*names).or_default() += share * part;
            }
        }
        mean.shares.extend(shares);
        mean.flows.extend(flows);
        mean
    }

    fn moves(&self, moved: &Moved) -> Moves {
        let [v4, v6] = self.clients.families;
        let of_family = |moved: f64, family: f64| if family > 0.0 { moved / family } else { 0.0 };
        let name = |number: u32| self.names.name(number).to_owned();
        let mut shares: Vec<(String, [f64; 2])> = moved
            .shares
            .iter()
            .filter(|(_, share)| share[0].max(share[1]) > LEAST)
            .map(|&(number, share)| (name(number), share))
            .collect();
        shares.sort_by(|a, b| {
            let largest = |share: [f64; 2]| share[0].max(share[1]);
            largest(b.1).total_cmp(&largest(a.1)).then_with(|| a.0.cmp(&b.0))
        });
        let mut flows: Vec<([String; 2], f64)> = moved
            .flows
            .iter()
            .filter(|(_, share)| *share > LEAST)
            .map(|&(numbers, share)| (numbers.map(name), share))
            .collect();
        flows.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Moves {
            moved: moved.total(),
            moved_v4: of_family(moved.moved[0], v4),
            moved_v6: of_family(moved.moved[1], v6),
            shares,
            flows,
        }
    }
}

/// What becomes of a name; none: nothing that clients see.
fn change_of(named: &Named<'_>, outcome: &Moved) -> Option<Change> {
    match named.wips {
        [None, _] => Some(Change::Added),
        [_, None] => Some(Change::Removed),
        _ if outcome.last_resort[1] > outcome.last_resort[0] + LEAST => Some(Change::Lost),
        _ if outcome.total() > LEAST => Some(Change::Moved),
        _ => None,
    }
}
