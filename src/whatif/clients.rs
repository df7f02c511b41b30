//! Who the clients are: cells of the address space that no WIP of either state tells
//! apart but by hash, what each weighs, and addresses that stand for it.
//!
//! ```text
//! both geo tables ┐                          ┌► cells: weight, one address
//! operators' nets ┼► geo::for_each_piece ─►──┤
//! weighted nets ──┘                          └► points: addresses spread over each cell
//! ```
//! A cell's first address tells the row of all in it. Where the choice hangs on the
//! client's own network (`hash`, ties, ramps), its points are asked one by one: they
//! are spread evenly over its weight, so that few tell of many.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use ipnet::IpNet;

use super::Stopped;
use super::weights::Weighted;
use crate::geo::{self, BaseTable, ClassId, Piece};
use crate::steer::hash::{SCOPE_V4, SCOPE_V6};

/// Points of each family, about; a cell has its share of them.
const POINTS: f64 = 2_048.0;
/// And so many more, so that small cells are seen too: a power of two, which small
/// networks that are one divide evenly.
const POINTS_MORE: usize = 16;
/// Most of those more in all: a city database has many small cells.
const POINTS_MORE_MAX: usize = 1 << 16;

/// What shares are of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    /// Addresses whose place is known. Each family that has any weighs the same.
    AddressSpace,
    /// Weights of networks as given, whatever the family.
    Weights,
}

/// All clients there are.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) cells: Vec<Cell>,
    points: Vec<IpAddr>,
    /// Shares of IPv4 and of IPv6 in all, which are 1 together.
    pub(super) families: [f64; 2],
    pub(super) measure: Measure,
}

/// Clients that only a hash tells apart.
#[derive(Debug)]
pub(super) struct Cell {
    /// True of IPv4.
    pub(super) is_v4: bool,
    /// One of them.
    pub(super) address: IpAddr,
    /// Their share of all.
    pub(super) weight: f64,
    points: Range<usize>,
}

impl Clients {
    /// Of both tables. `networks`: all that operators' rules name in either config.
    /// `weights`: none for the address space. `go_on` is asked again and again.
    pub(super) fn new(
        tables: [&BaseTable; 2],
        networks: &[IpNet],
        weights: &[Weighted],
        go_on: &dyn Fn() -> bool,
    ) -> Result<Clients, Stopped> {
        let weights = &merged(weights)[..];
        let all: Vec<IpNet> = networks
            .iter()
            .copied()
            .chain(weights.iter().map(|weighted| weighted.network))
            .collect();
        let measure = if weights.is_empty() { Measure::AddressSpace } else { Measure::Weights };
        let mut density = Density::new(tables, weights, networks.len());
        let walk = Walk { tables, networks: &all, go_on };
        let mut sums = Sums::of(&walk, &mut density)?;
        if sums.totals == [0.0; 2] {
            // Nobody's place is known: all that could be clients count.
            density.is_place_known = None;
            sums = Sums::of(&walk, &mut density)?;
        }
        let families = sums.families(measure);
        let mut clients = Clients { cells: Vec::new(), points: Vec::new(), families, measure };
        clients.fill(&sums);
        clients.spread(&walk, &mut density, &sums)?;
        Ok(clients)
    }

    /// Addresses of a cell, spread evenly over it.
    pub(super) fn points(&self, cell: &Cell) -> &[IpAddr] {
        &self.points[cell.points.clone()]
    }

    fn fill(&mut self, sums: &Sums) {
        let more = (POINTS_MORE_MAX / sums.cells.len().max(1)).clamp(1, POINTS_MORE);
        let mut start = 0;
        for sum in &sums.cells {
            let family = usize::from(!sum.is_v4);
            let share = sum.weight / sums.totals[family];
            let count = ((POINTS * share).ceil() as usize + more).next_multiple_of(more);
            // More points than networks that are told apart tell nothing new.
            let count = match sum.networks {
                1 => 1,
                networks => count.min(networks.saturating_mul(POINTS_MORE)),
            };
            self.cells.push(Cell {
                is_v4: sum.is_v4,
                address: address(sum.is_v4, sum.first),
                weight: share * self.families[family],
                points: start..start + count,
            });
            self.points.extend(std::iter::repeat_n(address(sum.is_v4, sum.first), count));
            start += count;
        }
    }

    /// Puts the points where they belong.
    fn spread(
        &mut self,
        walk: &Walk<'_>,
        density: &mut Density<'_>,
        sums: &Sums,
    ) -> Result<(), Stopped> {
        // Of each cell: the weight gone by, and how many points are placed.
        let mut gone = vec![(0.0, 0usize); self.cells.len()];
        walk.for_each_piece(&mut |piece| {
            let each = density.of(&piece);
            if each == 0.0 {
                return;
            }
            let at = sums.index[&key(&piece)];
            let range = self.cells[at].points.clone();
            let step = sums.cells[at].weight / range.len() as f64;
            let (before, placed) = &mut gone[at];
            let after = *before + each * piece.size();
            while *placed < range.len() && (*placed as f64 + 0.5) * step < after {
                let offset = (((*placed as f64 + 0.5) * step - *before) / each).max(0.0);
                let bits = piece.first + (offset as u128).min(piece.last - piece.first);
                self.points[range.start + *placed] = address(piece.is_v4, bits);
                *placed += 1;
            }
            *before = after;
        })
    }
}

/// The same networks with the same weights, each once.
fn merged(weights: &[Weighted]) -> Vec<Weighted> {
    let mut merged: BTreeMap<IpNet, f64> = BTreeMap::new();
    for weighted in weights {
        *merged.entry(weighted.network).or_default() += weighted.weight;
    }
    merged.into_iter().map(|(network, weight)| Weighted { network, weight }).collect()
}

//------------ Walk -----------------------------------------------------------

/// So many pieces are visited before it is asked again whether to go on.
const PIECES_UNASKED: u32 = 1_024;

/// All pieces, as often as they are wanted.
struct Walk<'a> {
    tables: [&'a BaseTable; 2],
    networks: &'a [IpNet],
    go_on: &'a dyn Fn() -> bool,
}

impl Walk<'_> {
    fn for_each_piece(&self, visit: &mut dyn FnMut(Piece<'_>)) -> Result<(), Stopped> {
        let (mut count, mut goes_on) = (0_u32, true);
        geo::for_each_piece(self.tables, self.networks, &mut |piece| {
            if goes_on && count.is_multiple_of(PIECES_UNASKED) {
                goes_on = (self.go_on)();
            }
            count = count.wrapping_add(1);
            if goes_on {
                visit(piece);
            }
        });
        if goes_on { Ok(()) } else { Err(Stopped) }
    }
}

//------------ Density --------------------------------------------------------

/// What one address weighs.
struct Density<'a> {
    weights: &'a [Weighted],
    /// Index of the first weighted network among all networks.
    first: usize,
    /// By class, of both tables; none: any place counts as known.
    is_place_known: Option<[Vec<bool>; 2]>,
    /// Of the chains of each family that were asked about, the sum of their weights.
    chains: [Vec<Option<f64>>; 2],
}

impl<'a> Density<'a> {
    fn new(tables: [&BaseTable; 2], weights: &'a [Weighted], first: usize) -> Density<'a> {
        let known = |table: &BaseTable| -> Vec<bool> {
            let places = (0..table.class_count() as ClassId).map(|class| table.place(class));
            places.map(|place| place.point.is_some() || place.continent.is_some()).collect()
        };
        let is_place_known = weights.is_empty().then(|| tables.map(known));
        Density { weights, first, is_place_known, chains: Default::default() }
    }

    fn of(&mut self, piece: &Piece<'_>) -> f64 {
        if self.weights.is_empty() {
            let known = |known: &[Vec<bool>; 2]| {
                (0..2).any(|side| known[side][piece.classes[side] as usize])
            };
            let counts = piece.is_client && self.is_place_known.as_ref().is_none_or(known);
            return if counts { 1.0 } else { 0.0 };
        }
        let (known, at) = (&mut self.chains[usize::from(!piece.is_v4)], piece.chain as usize);
        if known.len() <= at {
            known.resize(at + 1, None);
        }
        *known[at].get_or_insert_with(|| {
            let own = piece.networks.iter().filter_map(|&at| at.checked_sub(self.first));
            own.map(|at| self.weights[at].weight / size(&self.weights[at].network)).sum()
        })
    }
}

fn size(network: &IpNet) -> f64 {
    f64::from(network.max_prefix_len() - network.prefix_len()).exp2()
}

//------------ Sums -----------------------------------------------------------

/// What pieces have in common that are one cell.
type Key = (bool, [ClassId; 2], u32);

fn key(piece: &Piece<'_>) -> Key {
    (piece.is_v4, piece.classes, piece.chain)
}

/// Cells before they are shares.
#[derive(Default)]
struct Sums {
    index: HashMap<Key, usize>,
    cells: Vec<Sum>,
    /// Weight of each family.
    totals: [f64; 2],
}

struct Sum {
    is_v4: bool,
    first: u128,
    weight: f64,
    /// Networks that a hash can tell apart, about.
    networks: usize,
}

impl Sums {
    fn of(walk: &Walk<'_>, density: &mut Density<'_>) -> Result<Sums, Stopped> {
        let mut sums = Sums::default();
        walk.for_each_piece(&mut |piece| {
            let weight = density.of(&piece) * piece.size();
            if weight == 0.0 {
                return;
            }
            let at = *sums.index.entry(key(&piece)).or_insert_with(|| {
                sums.cells.push(Sum {
                    is_v4: piece.is_v4,
                    first: piece.first,
                    weight: 0.0,
                    networks: 0,
                });
                sums.cells.len() - 1
            });
            let sum = &mut sums.cells[at];
            sum.weight += weight;
            sum.networks = sum.networks.saturating_add(hashed_networks(&piece));
            sums.totals[usize::from(!piece.is_v4)] += weight;
        })?;
        Ok(sums)
    }

    fn families(&self, measure: Measure) -> [f64; 2] {
        let [v4, v6] = match measure {
            Measure::AddressSpace => self.totals.map(|total| if total > 0.0 { 1.0 } else { 0.0 }),
            Measure::Weights => self.totals,
        };
        let all = if v4 + v6 > 0.0 { v4 + v6 } else { 1.0 };
        [v4 / all, v6 / all]
    }
}

fn hashed_networks(piece: &Piece<'_>) -> usize {
    let bits = if piece.is_v4 { 32 - SCOPE_V4 } else { 128 - SCOPE_V6 };
    usize::try_from((piece.last >> bits) - (piece.first >> bits) + 1).unwrap_or(usize::MAX)
}

fn address(is_v4: bool, bits: u128) -> IpAddr {
    match is_v4 {
        true => Ipv4Addr::from(bits as u32).into(),
        false => Ipv6Addr::from(bits).into(),
    }
}
