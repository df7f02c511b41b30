//! How the answers of one WIP move between two states, client by kind of client.
//!
//! Of a client's two mixtures, what they share stays: the share that moves is
//! 1 − Σ min(before, after), and goes from those who lose to those who gain, in
//! proportion.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::clients::Clients;
use super::groups::Group;
use super::side::{CYCLE_MAX, Mix, Side, TURNS};
use crate::dns::types::rtype;
use crate::steer::choose::Room;
use crate::steer::cycle::common;

/// Points and turns where a client's answers hang on both.
const POINTS_WITH_TURNS: usize = 256;
const TURNS_WITH_POINTS: u32 = 240;

/// What moves, in shares of all clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    /// Of IPv4 and of IPv6 clients: both together are all that moves.
    pub(super) moved: [f64; 2],
    /// Who gets a last resort or nothing, before and after.
    pub(super) last_resort: [f64; 2],
    /// Shares by name: before and after.
    pub(super) shares: Vec<(u32, [f64; 2])>,
    /// From whom to whom.
    pub(super) flows: Vec<([u32; 2], f64)>,
}

impl Moved {
    pub(super) fn total(&self) -> f64 {
        self.moved[0] + self.moved[1]
    }
}

/// Room for one comparison after another.
#[derive(Default)]
pub(super) struct Bench {
    room: Room,
    mixes: [Mix; 2],
}

/// Both sides of a WIP: a name that is not there answers nobody.
pub(super) struct Sides<'a> {
    pub(super) sides: [Option<Side<'a>>; 2],
    /// True when both decide alike whatever the client.
    pub(super) are_same: bool,
    /// The names of the places they send clients to.
    pub(super) named: Vec<u32>,
}

impl Sides<'_> {
    /// Compares; none if `go_on` says to stop.
    pub(super) fn compare(
        &self,
        groups: &[Group],
        clients: &Clients,
        bench: &mut Bench,
        go_on: &dyn Fn() -> bool,
    ) -> Option<Moved> {
        let hashing = groups.iter().filter(|group| self.hashes(group));
        let cells = hashing.flat_map(|group| &group.cells);
        let points: usize =
            cells.map(|&cell| clients.points(&clients.cells[cell as usize]).len()).sum();
        let turns = self.turns(points > 0);
        let thin = match turns {
            1 => 1,
            _ => points.div_ceil(POINTS_WITH_TURNS).max(1),
        };
        let mut sum = Sum::new(self.named.len());
        for group in groups {
            if !go_on() {
                return None;
            }
            let mut add = |client: IpAddr, weight: f64| {
                self.mix(group, client, turns, bench);
                sum.add(&bench.mixes, weight, group.is_v4);
            };
            if !self.hashes(group) {
                add(clients.cells[group.cells[0] as usize].address, group.weight);
                continue;
            }
            for &cell in &group.cells {
                let cell = &clients.cells[cell as usize];
                let points = clients.points(cell);
                let count = points.len().div_ceil(thin);
                for &point in points.iter().step_by(thin) {
                    add(point, cell.weight / count as f64);
                }
            }
        }
        Some(sum.finish(&self.named))
    }

    fn sides(&self) -> impl Iterator<Item = &Side<'_>> {
        self.sides.iter().flatten()
    }

    fn hashes(&self, group: &Group) -> bool {
        let sides = self.sides.iter().zip(group.rows);
        sides.into_iter().any(|(side, row)| side.as_ref().is_some_and(|side| side.hashes(row)))
    }

    /// How many turns tell the shares of answers.
    fn turns(&self, by_points: bool) -> u32 {
        let (mut cycle, mut uneven) = (1, false);
        for side in self.sides() {
            let (own, is_uneven) = side.cycle();
            (cycle, uneven) = (common(cycle, own), uneven || is_uneven);
        }
        let (most, wanted) =
            if by_points { (TURNS_WITH_POINTS, TURNS_WITH_POINTS) } else { (CYCLE_MAX, TURNS) };
        match uneven {
            _ if cycle > most => wanted,
            true => (wanted / cycle).max(1) * cycle,
            false => cycle,
        }
    }

    fn mix(&self, group: &Group, client: IpAddr, turns: u32, bench: &mut Bench) {
        // A client asks for the type of its own family, or the other where there is none.
        let (own, other) =
            if group.is_v4 { (rtype::A, rtype::AAAA) } else { (rtype::AAAA, rtype::A) };
        let rtype = if self.sides().any(|side| side.has(own)) { own } else { other };
        let [before, after] = &mut bench.mixes;
        for (at, mix) in [(0, &mut *before), (1, &mut *after)] {
            if at == 1 && self.are_same {
                break;
            }
            match &self.sides[at] {
                Some(side) => {
                    mix.clear(self.named.len());
                    side.mix(group.rows[at], client, rtype, turns, &mut bench.room, mix);
                }
                None => mix.nobody(self.named.len()),
            }
        }
        if self.are_same {
            after.copy(before);
        }
    }
}

//------------ Sum ------------------------------------------------------------

/// What moves, while it is added up.
struct Sum {
    moved: [f64; 2],
    last_resort: [f64; 2],
    /// By local place.
    shares: Vec<[f64; 2]>,
    flows: BTreeMap<[usize; 2], f64>,
}

impl Sum {
    fn new(places: usize) -> Sum {
        Sum {
            moved: [0.0; 2],
            last_resort: [0.0; 2],
            shares: vec![[0.0; 2]; places],
            flows: BTreeMap::new(),
        }
    }

    fn add(&mut self, [before, after]: &[Mix; 2], weight: f64, is_v4: bool) {
        self.last_resort[0] += before.last_resort * weight;
        self.last_resort[1] += after.last_resort * weight;
        let mut moved = 0.0;
        for (at, share) in self.shares.iter_mut().enumerate() {
            share[0] += before.shares[at] * weight;
            share[1] += after.shares[at] * weight;
            moved += (before.shares[at] - after.shares[at]).max(0.0);
        }
        // What rounding leaves is not moved.
        if moved < 1e-12 {
            return;
        }
        self.moved[usize::from(!is_v4)] += moved * weight;
        let places = 0..self.shares.len();
        for from in places.clone() {
            let lost = before.shares[from] - after.shares[from];
            if lost <= 0.0 {
                continue;
            }
            for to in places.clone() {
                let gained = after.shares[to] - before.shares[to];
                if gained > 0.0 {
                    *self.flows.entry([from, to]).or_default() += weight * lost * gained / moved;
                }
            }
        }
    }

    /// By name: addresses of one place are one.
    fn finish(self, named: &[u32]) -> Moved {
        let mut shares: BTreeMap<u32, [f64; 2]> = BTreeMap::new();
        for (at, share) in self.shares.iter().enumerate() {
            let sum = shares.entry(named[at]).or_default();
            (0..2).for_each(|side| sum[side] += share[side]);
        }
        let mut flows: BTreeMap<[u32; 2], f64> = BTreeMap::new();
        for (places, share) in self.flows {
            *flows.entry(places.map(|place| named[place])).or_default() += share;
        }
        Moved {
            moved: self.moved,
            last_resort: self.last_resort,
            shares: shares.into_iter().collect(),
            flows: flows.into_iter().collect(),
        }
    }
}
