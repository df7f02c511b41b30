//! From a base table and the operator's networks to a map.
//!
//! Every place where the class, the innermost network or a special block
//! changes is visited once, in order; each pair of class and innermost network
//! is asked about once; neighbours with equal answers become one range.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ipnet::IpNet;

use super::base::BaseTable;
use super::client::{Block, TUNNELS, UNROUTABLE_V4, UNROUTABLE_V6};
use super::halves::{Halver, Halves};
use super::key::Key;
use super::map::{Map, Special};
use super::ranges::Ranges;
use super::steps::{Chain, Nested, Steps, combine, for_each_pair};
use super::{ClassId, Place};

/// While compiling, values from here on are specials, and from there on splits.
const SPECIAL: u32 = 1 << 31;
const SPLIT: u32 = SPECIAL | 1 << 30;
/// A class that was not asked about yet.
const UNASKED: u32 = u32::MAX;

/// Compiles one map.
///
/// `networks` are all that an operator's rules name, in any nesting. `row_of`
/// is asked once for each pair of a class and an innermost network that occurs
/// together: it gets the class's place and the indices of all networks around
/// those clients, longest first, equal ones in the order given, and gives the
/// row, below 2³⁰.
pub fn compile(
    base: &BaseTable,
    networks: &[IpNet],
    row_of: &mut dyn FnMut(&Place, &[usize]) -> u32,
) -> Map {
    let v4: Family<u32> = Family::new(networks, &UNROUTABLE_V4, &[]);
    let v6: Family<u128> = Family::new(networks, &UNROUTABLE_V6, &TUNNELS);
    let mut compiler = Compiler {
        base,
        row_of,
        plain: vec![UNASKED; base.class_count()],
        inside: HashMap::new(),
        specials: HashMap::new(),
        list: Vec::new(),
        rows_end: 0,
        only_row: None,
    };
    let mut steps_v4 = Steps::empty();
    compiler.family(base.v4().iter(), &v4, 0, &mut |start, value| steps_v4.push(start, value));
    let mut halver = Halver::new(Halved { steps: Steps::empty(), inside: Vec::new() });
    compiler.family(base.v6().iter(), &v6, UNROUTABLE_V4.len(), &mut |start, value| {
        halver.push(start, value);
    });
    let Compiler { list, rows_end, only_row, .. } = compiler;
    if let Some(OnlyRow::One(row)) = only_row {
        // Nothing depends on the client, hidden and unroutable ones included.
        return Map {
            v4: Ranges::new(&[0], &[row]),
            v6: Ranges::new(&[0], &[row]),
            specials: Box::default(),
            rows_end,
        };
    }
    finish(steps_v4, halver.finish().0, list, rows_end)
}

//------------ Family ---------------------------------------------------------

/// What lies over the base table in one address family.
struct Family<K> {
    /// An index into `overlaps`.
    overlay: Steps<K>,
    /// (innermost network, special block): indices into the two below; 0: none.
    overlaps: Vec<(u32, u32)>,
    chains: Vec<Chain>,
    /// For each special block and none: its index in the family's lists, the
    /// unroutable ones first.
    blocks: Vec<Option<usize>>,
    /// How many blocks are unroutable ones; the others are tunnels.
    unroutable_count: usize,
}

impl<K: Key> Family<K> {
    fn new(networks: &[IpNet], unroutable: &[Block], tunnels: &[Block]) -> Family<K> {
        let of_family = networks.iter().enumerate().filter_map(|(index, network)| {
            let first = match network {
                IpNet::V4(network) if K::BITS == 32 => u128::from(u32::from(network.network())),
                IpNet::V6(network) if K::BITS == 128 => u128::from(network.network()),
                _ => return None,
            };
            Some((first, network.prefix_len(), index))
        });
        let networks: Nested<K> = Nested::new(of_family);
        let blocks = unroutable.iter().chain(tunnels).enumerate();
        let blocks: Nested<K> =
            Nested::new(blocks.map(|(index, block)| (block.first, block.length, index)));
        let mut overlaps = Vec::new();
        let overlay =
            combine(networks.innermost.iter(), blocks.innermost.iter(), |network, block| {
                overlaps.push((network, block));
                (overlaps.len() - 1) as u32
            });
        Family {
            overlay,
            overlaps,
            chains: networks.chains,
            blocks: blocks.chains.iter().map(|chain| chain.first().copied()).collect(),
            unroutable_count: unroutable.len(),
        }
    }
}

//------------ Compiler -------------------------------------------------------

struct Compiler<'a> {
    base: &'a BaseTable,
    row_of: &'a mut dyn FnMut(&Place, &[usize]) -> u32,
    /// Rows of classes outside all networks.
    plain: Vec<u32>,
    /// Rows of classes inside the networks of one family at a time.
    inside: HashMap<(ClassId, u32), u32>,
    /// Specials by block and row.
    specials: HashMap<(usize, u32), u32>,
    list: Vec<Special>,
    rows_end: u32,
    only_row: Option<OnlyRow>,
}

/// How many rows were seen.
#[derive(Clone, Copy)]
enum OnlyRow {
    One(u32),
    Several,
}

impl Compiler<'_> {
    /// Gives each step of one family. `first_block`: what distinguishes this
    /// family's blocks from another's.
    fn family<K: Key>(
        &mut self,
        base: impl Iterator<Item = (K, ClassId)>,
        family: &Family<K>,
        first_block: usize,
        step: &mut dyn FnMut(K, u32),
    ) {
        self.inside.clear();
        for_each_pair(base, family.overlay.iter(), |start, class, overlap| {
            let (network, block) = family.overlaps[overlap as usize];
            let row = self.row(class, network, &family.chains);
            let value = match family.blocks[block as usize] {
                Some(index) if index >= family.unroutable_count => {
                    self.special(first_block + index, row, Special::Tunnel(row))
                }
                Some(index) if network == 0 => {
                    self.special(first_block + index, row, Special::Ignored(row))
                }
                _ => row,
            };
            step(start, value);
        });
    }

    fn row(&mut self, class: ClassId, network: u32, chains: &[Chain]) -> u32 {
        let known = match network {
            0 => self.plain[class as usize],
            _ => self.inside.get(&(class, network)).copied().unwrap_or(UNASKED),
        };
        if known != UNASKED {
            return known;
        }
        let row = (self.row_of)(&self.base.place(class), &chains[network as usize]);
        assert!(row < SPLIT - SPECIAL, "rows are below 2^30");
        match network {
            0 => self.plain[class as usize] = row,
            _ => {
                self.inside.insert((class, network), row);
            }
        }
        self.rows_end = self.rows_end.max(row + 1);
        self.only_row = match self.only_row {
            None => Some(OnlyRow::One(row)),
            Some(OnlyRow::One(only)) if only == row => self.only_row,
            Some(_) => Some(OnlyRow::Several),
        };
        row
    }

    /// Each block has specials of its own, so that no scope spans two.
    fn special(&mut self, block: usize, row: u32, special: Special) -> u32 {
        match self.specials.entry((block, row)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                self.list.push(special);
                *vacant.insert(SPECIAL + (self.list.len() - 1) as u32)
            }
        }
    }
}

//------------ Finishing ------------------------------------------------------

/// IPv6 by /64s, and what is inside of some.
struct Halved {
    steps: Steps<u64>,
    inside: Vec<Steps<u64>>,
}

impl Halves for Halved {
    fn step(&mut self, half: u64, value: u32) {
        self.steps.push(half, value);
    }

    fn split(&mut self, inside: Steps<u64>) -> u32 {
        self.inside.push(inside);
        SPLIT + (self.inside.len() - 1) as u32
    }
}

/// Numbers the specials after the rows, the splits after the other specials, and
/// makes the tables.
fn finish(v4: Steps<u32>, v6: Halved, mut specials: Vec<Special>, rows_end: u32) -> Map {
    let splits_start = rows_end + specials.len() as u32;
    let number = |value: u32| match value {
        SPLIT.. => value - SPLIT + splits_start,
        SPECIAL.. => value - SPECIAL + rows_end,
        _ => value,
    };
    let v4 = ranges(v4, number);
    specials.extend(v6.inside.into_iter().map(|inside| Special::Split(ranges(inside, number))));
    let v6 = ranges(v6.steps, number);
    Map { v4, v6, specials: specials.into_boxed_slice(), rows_end }
}

fn ranges<K: Key>(mut steps: Steps<K>, number: impl Fn(u32) -> u32) -> Ranges<K> {
    steps.values_mut().iter_mut().for_each(|value| *value = number(*value));
    let (starts, values) = steps.lists();
    Ranges::new(starts, values)
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
