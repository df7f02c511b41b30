//! One of two states of one WIP: where a client is sent, by the very function that
//! answers queries.
//!
//! Where turns are taken, a client's answer is a mixture: the shares over a whole cycle
//! of turns if that is short, else over many turns.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use super::places::{NOBODY, Places};
use crate::dns::types::rtype;
use crate::health::plan::VerdictId;
use crate::health::table::{SHARE_FULL, TTL_CAP_NONE, Table, Word};
use crate::snapshot::Snapshot;
use crate::steer::choose::{Outcome, Question, Room, Stage, choose};
use crate::steer::cycle::{self, common};
use crate::steer::hash::ClientNetwork;
use crate::steer::strategy::{Row, Strategy};
use crate::steer::{OnAllDown, Policy};

/// Longest cycle of turns that is gone through whole.
pub(super) const CYCLE_MAX: u32 = 10_080;
/// Turns where shares are even over any run of turns, but no run is a cycle; and where a
/// cycle is too long. All numbers to 10 divide it.
pub(super) const TURNS: u32 = 2_520;

/// What decides of a WIP, without what cannot change who is chosen: equal ones are
/// decided once.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Decider {
    strategy: u32,
    words: Box<[Word]>,
}

impl Decider {
    pub(super) fn new(
        snapshot: &Snapshot,
        strategy: u32,
        words: impl Iterator<Item = Word>,
    ) -> Decider {
        let by_loss =
            snapshot.strategies[strategy as usize].on_all_down == OnAllDown::LastKnownGood;
        let words = words.map(|word| {
            let word = word.with_ttl_cap_s(TTL_CAP_NONE);
            if by_loss { word } else { word.with_lost_at_s(0) }
        });
        Decider { strategy, words: words.collect() }
    }
}

/// A decider with what it takes to decide.
pub(super) struct Side<'a> {
    pub(super) strategy: &'a Strategy,
    table: Table,
    verdicts: Vec<VerdictId>,
    /// Of each VIP.
    places: Vec<usize>,
    /// Of each address of the last resort.
    fallback: Vec<usize>,
    /// True when some VIP takes a share of the clients alone.
    is_ramping: bool,
}

/// How one client's answers are spread over places.
#[derive(Debug, Default)]
pub(super) struct Mix {
    /// By local number of the place; together 1.
    pub(super) shares: Vec<f64>,
    /// Of that, what is a last resort, or nothing because all is forced down.
    pub(super) last_resort: f64,
}

impl<'a> Side<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        decider: &Decider,
        places: &mut Places<'_>,
    ) -> Side<'a> {
        let strategy = &snapshot.strategies[decider.strategy as usize];
        let table = Table::new(decider.words.len());
        for (id, &word) in decider.words.iter().enumerate() {
            table.set(id as VerdictId, word);
        }
        let mut of_vip = vec![NOBODY; strategy.vips.len()];
        for (entry, member) in strategy.members.iter().zip(snapshot.members_of(decider.strategy)) {
            let site = member.datacenter.map(|id| &snapshot.config.datacenters[id as usize].name);
            let label = site.unwrap_or(&member.name);
            for vip in entry.vips.clone() {
                let address = strategy.vips[usize::from(vip)].record.address();
                of_vip[usize::from(vip)] = places.local(label, address);
            }
        }
        let fallback = strategy.fallback.iter().map(|record| {
            let address = record.address();
            places.local(&format!("{address} (last resort)"), address)
        });
        Side {
            strategy,
            verdicts: (0..decider.words.len() as VerdictId).collect(),
            is_ramping: decider.words.iter().any(|word| word.share() < SHARE_FULL),
            places: of_vip,
            fallback: fallback.collect(),
            table,
        }
    }

    /// Whether an address of the type could be answered.
    pub(super) fn has(&self, rtype: u16) -> bool {
        let vips = self.strategy.vips.iter().map(|vip| &vip.record);
        let rtype = self.strategy.decided_type(rtype);
        vips.chain(&self.strategy.fallback).any(|record| record.rtype() == rtype)
    }

    /// Whether clients with this row may be told apart by their networks.
    pub(super) fn hashes(&self, row: u32) -> bool {
        self.strategy.hashes || self.is_ramping || self.row(row).has_ties()
    }

    /// Turns after which the same answers come again, and whether one client's answers
    /// are even over any run of turns without coming again.
    pub(super) fn cycle(&self) -> (u32, bool) {
        if !self.strategy.takes_turns {
            return (1, false);
        }
        let pools = &self.strategy.pools;
        let several = pools.len() > 1;
        let uneven = self.is_ramping
            || several && self.strategy.policy == Policy::Weighted
            || pools.iter().any(|pool| pool.policy == Policy::Weighted);
        // Whom a client's turns are among depends on the VIPs that it may get, on nothing
        // else of its row.
        let rows = match self.strategy.shows_all {
            true => &self.strategy.rows[..1],
            false => &self.strategy.rows,
        };
        let mut known = HashSet::new();
        let mut all = 1;
        for row in rows.iter().filter(|row| known.insert(&row.visible)) {
            for rtype in [rtype::A, rtype::AAAA].into_iter().filter(|rtype| self.has(*rtype)) {
                let question = self.question(row, Ipv4Addr::UNSPECIFIED.into(), rtype);
                all = common(all, cycle::cycle(&question));
            }
        }
        (all, uneven)
    }

    fn question(&self, row: &'a Row, client: IpAddr, rtype: u16) -> Question<'_> {
        Question {
            strategy: self.strategy,
            verdicts: &self.verdicts,
            table: &self.table,
            laid: &[],
            row,
            network: ClientNetwork::of(client),
            turn: 0,
            rtype: self.strategy.decided_type(rtype),
        }
    }

    /// The mixture of a client, over so many turns.
    pub(super) fn mix(
        &self,
        row: u32,
        client: IpAddr,
        rtype: u16,
        turns: u32,
        room: &mut Room,
        mix: &mut Mix,
    ) {
        let mut question = self.question(self.row(row), client, rtype);
        let each = 1.0 / f64::from(turns);
        for turn in 0..turns {
            question.turn = turn;
            let decision = choose(&question, room);
            if decision.stage >= Stage::AllDown {
                mix.last_resort += each;
            }
            match decision.outcome {
                Outcome::Members => {
                    let places = room.chosen().iter().map(|at| self.places[usize::from(at.vip)]);
                    mix.add(each, places);
                }
                Outcome::Addresses => {
                    let fits = |at: &usize| self.strategy.fallback[*at].rtype() == rtype;
                    let fitting = (0..self.fallback.len()).filter(fits);
                    mix.add(each, fitting.map(|at| self.fallback[at]));
                }
                Outcome::NoData | Outcome::ServFail | Outcome::Refuse => {
                    mix.add(each, std::iter::empty());
                }
            }
        }
    }

    fn row(&self, row: u32) -> &'a Row {
        self.strategy.rows.get(row as usize).unwrap_or(&self.strategy.rows[0])
    }
}

impl Mix {
    /// Everything to nobody, over so many places.
    pub(super) fn nobody(&mut self, places: usize) {
        self.clear(places);
        self.shares[NOBODY] = 1.0;
    }

    /// Nothing yet, over so many places.
    pub(super) fn clear(&mut self, places: usize) {
        self.shares.clear();
        self.shares.resize(places, 0.0);
        self.last_resort = 0.0;
    }

    /// The same as another.
    pub(super) fn copy(&mut self, other: &Mix) {
        self.shares.clone_from(&other.shares);
        self.last_resort = other.last_resort;
    }

    /// Shares `each` among the addresses of one answer.
    fn add(&mut self, each: f64, places: impl Iterator<Item = usize> + Clone) {
        let count = places.clone().count();
        if count == 0 {
            self.shares[NOBODY] += each;
        }
        for place in places {
            self.shares[place] += each / count as f64;
        }
    }
}
