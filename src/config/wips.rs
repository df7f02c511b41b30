//! The WIPs of a config: the blocks of its files, one after another.
//!
//! A WIP's index counts through all blocks in the order they were read. Blocks
//! are shared between the config of one load and that of the next, so that what
//! did not change costs nothing, and is known not to have changed. It must not
//! know what settings say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::block::{Block, TextId};
use super::model::SettingsId;
use crate::dns::Name;
use crate::problem::{FileId, Spot};

/// All WIPs, in the order of the files.
#[derive(Clone, Default)]
pub struct Wips {
    /// None of them empty.
    parts: Vec<Part>,
    length: usize,
}

/// A block and its place among the others.
#[derive(Clone)]
struct Part {
    block: Arc<Block>,
    file: FileId,
    /// Index of its first WIP.
    start: u32,
    /// For each of the block's settings, their index in the config.
    settings: Box<[SettingsId]>,
}

/// WIPs that stand one after another in two configs alike, name by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// Index of the first in this config.
    pub start: u32,
    /// Index of the first in the other.
    pub other: u32,
    /// How many.
    pub length: u32,
    /// They say the same too, if the configs' settings are the same list.
    pub identical: bool,
}

/// Two configs' WIPs side by side.
#[derive(Debug, Default)]
pub struct Matched {
    /// The same names in the same order.
    pub runs: Vec<Run>,
    /// This config's WIPs outside the runs.
    pub rest: Vec<u32>,
    /// The other config's.
    pub other_rest: Vec<u32>,
}

impl Wips {
    /// How many.
    pub fn len(&self) -> usize {
        self.length
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes of all names.
    pub fn names_length(&self) -> usize {
        self.parts.iter().map(|part| part.block.names().len()).sum()
    }

    /// The canonical wire name of WIP `index`.
    pub fn name(&self, index: u32) -> &[u8] {
        let (part, row) = self.part(index);
        part.block.name(row)
    }

    /// The settings of WIP `index`.
    pub fn settings(&self, index: u32) -> SettingsId {
        let (part, row) = self.part(index);
        part.settings[part.block.settings_of(row) as usize]
    }

    /// The `check_host` of WIP `index`, if it says one.
    pub fn check_host(&self, index: u32) -> Option<&str> {
        let (part, row) = self.part(index);
        part.block.check_hosts.get(&(row as u32)).map(String::as_str)
    }

    /// Index, canonical wire name and settings of every WIP. Cheaper than asking
    /// for them one by one.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8], SettingsId)> {
        self.parts.iter().flat_map(|part| {
            (0..part.block.len()).map(|row| {
                let settings = part.settings[part.block.settings_of(row) as usize];
                (part.start + row as u32, part.block.name(row), settings)
            })
        })
    }

    /// Further names of WIPs, canonical and distinct from every WIP and alias,
    /// with the WIP they stand for.
    pub fn aliases(&self) -> impl Iterator<Item = (&Name, u32)> {
        self.parts
            .iter()
            .flat_map(|part| part.block.aliases.iter().map(|(name, row)| (name, part.start + row)))
    }

    /// Those whose name begins with `*.`.
    pub(super) fn wildcards(&self) -> impl Iterator<Item = u32> {
        self.parts.iter().flat_map(|part| part.block.wildcards.iter().map(|row| part.start + row))
    }

    /// The first WIP that has these settings.
    pub(super) fn first_of(&self, settings: SettingsId) -> Option<u32> {
        self.parts.iter().find_map(|part| {
            let own = part.settings.iter().position(|id| *id == settings)?;
            Some(part.start + part.block.firsts[own])
        })
    }

    /// The WIPs of this config and of another by name, as far as whole files tell.
    pub fn matched(&self, other: &Wips) -> Matched {
        // No name is there twice, so the first one tells which block it could be.
        let mut theirs: BTreeMap<&[u8], &Part> =
            other.parts.iter().map(|part| (part.block.name(0), part)).collect();
        let mut matched = Matched::default();
        for part in &self.parts {
            let first = part.block.name(0);
            let same = theirs.get(first).copied().filter(|their| {
                Arc::ptr_eq(&part.block, &their.block) || part.block.names() == their.block.names()
            });
            let Some(same) = same else {
                matched.rest.extend(part.indices());
                continue;
            };
            theirs.remove(first);
            matched.runs.push(Run {
                start: part.start,
                other: same.start,
                length: part.block.len() as u32,
                identical: Arc::ptr_eq(&part.block, &same.block) && part.settings == same.settings,
            });
        }
        matched.other_rest.extend(theirs.into_values().flat_map(Part::indices));
        matched
    }

    /// Blocks that hang on nothing but their text.
    pub(super) fn blocks_by_text(&self) -> HashMap<TextId, Arc<Block>> {
        let blocks = self.parts.iter().map(|part| &part.block);
        blocks.filter_map(|block| Some((block.text?, Arc::clone(block)))).collect()
    }

    /// Adds the WIPs of a file.
    pub(super) fn push(&mut self, block: Arc<Block>, file: FileId, settings: Box<[SettingsId]>) {
        if block.len() > 0 {
            let start = self.length as u32;
            self.length += block.len();
            self.parts.push(Part { block, file, start, settings });
        }
    }

    /// Where the name of WIP `index` stands.
    pub(super) fn spot(&self, index: u32) -> Option<Spot> {
        let (part, row) = self.find(index)?;
        Some(Spot { file: part.file, ..part.block.spot(row)? })
    }

    /// Where alias `index` (in the order of [`Wips::aliases`]) stands.
    pub(super) fn alias_spot(&self, mut index: usize) -> Option<Spot> {
        for part in &self.parts {
            match part.block.alias_spots.get(index) {
                Some(spot) => return Some(Spot { file: part.file, ..*spot }),
                None => index -= part.block.alias_spots.len(),
            }
        }
        None
    }

    fn part(&self, index: u32) -> (&Part, usize) {
        self.find(index).expect("indices of WIPs come from this config")
    }

    fn find(&self, index: u32) -> Option<(&Part, usize)> {
        let at = self.parts.partition_point(|part| part.start <= index).checked_sub(1)?;
        let part = &self.parts[at];
        let row = (index - part.start) as usize;
        (row < part.block.len()).then_some((part, row))
    }
}

impl Part {
    fn indices(&self) -> std::ops::Range<u32> {
        self.start..self.start + self.block.len() as u32
    }
}

/// What the WIPs are, however they are kept.
impl std::fmt::Debug for Wips {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(wip, name, settings)| {
                (Name::from_wire(name), settings, self.check_host(wip))
            }))
            .entries(self.aliases())
            .finish()
    }
}
