//! Cells of clients that two maps together do not tell apart.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::clients::Clients;
use crate::geo::Map;

/// Clients with one row on each side.
#[derive(Debug)]
pub(super) struct Group {
    /// Before and after.
    pub(super) rows: [u32; 2],
    /// True of IPv4.
    pub(super) is_v4: bool,
    /// Their share of all.
    pub(super) weight: f64,
    /// Indices into the cells.
    pub(super) cells: Vec<u32>,
}

/// Most cells in groups that are kept, some bytes each: with the world's places a map has
/// hundreds of thousands, and a config may have a thousand maps.
const CELLS_KEPT_MAX: usize = 8 << 20;

/// The groups of pairs of maps that were asked about lately.
#[derive(Debug, Default)]
pub(super) struct Groups {
    known: HashMap<[usize; 2], Rc<[Group]>>,
}

impl Groups {
    /// The groups under two maps; none: every client has row 0.
    pub(super) fn of(&mut self, maps: [Option<&Arc<Map>>; 2], clients: &Clients) -> Rc<[Group]> {
        // Maps live as long as the two states that are compared.
        let key = maps.map(|map| map.map_or(0, |map| Arc::as_ptr(map) as usize));
        // Each pair has all cells.
        if !self.known.contains_key(&key)
            && (self.known.len() + 1).saturating_mul(clients.cells.len()) > CELLS_KEPT_MAX
        {
            self.known.clear();
        }
        Rc::clone(self.known.entry(key).or_insert_with(|| group(maps, clients)))
    }
}

fn group(maps: [Option<&Arc<Map>>; 2], clients: &Clients) -> Rc<[Group]> {
    let same = match maps {
        [Some(a), Some(b)] => Arc::ptr_eq(a, b),
        _ => false,
    };
    let mut index: HashMap<([u32; 2], bool), usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (at, cell) in clients.cells.iter().enumerate() {
        let row = |map: Option<&Arc<Map>>| map.map_or(0, |map| map.lookup(cell.address).0);
        let before = row(maps[0]);
        let rows = [before, if same { before } else { row(maps[1]) }];
        let found = *index.entry((rows, cell.is_v4)).or_insert_with(|| {
            groups.push(Group { rows, is_v4: cell.is_v4, weight: 0.0, cells: Vec::new() });
            groups.len() - 1
        });
        groups[found].weight += cell.weight;
        groups[found].cells.push(at as u32);
    }
    groups.into()
}
