//! The WIPs of one file, read and checked by themselves.
//!
//! ```text
//! text of a file ─► Block ┐
//! text of a file ─► Block ┼─► Wips ─► resolve ─► Config
//! unchanged file ─► (the Block of the load before) ┘
//! ```
//!
//! Nothing in a block depends on another file, on where its own stands, or on
//! what the rest of the config says: names, settings as written, places within
//! the text. So a file whose text is as it was gives the block it gave before,
//! whatever else changed. It must not know defaults, pools, checks or zones.

use std::collections::{BTreeMap, HashMap};

use super::model::SettingsId;
use super::raw::RawSettings;
use crate::dns::Name;
use crate::problem::Spot;

/// The WIPs of one file. There may be a million, so a WIP is its name's bytes
/// and sixteen more; what it says is shared within the file.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// What was read, if it was WIPs alone and nothing was wrong with them: the
    /// same text gives the same block.
    pub(super) text: Option<TextId>,
    /// Names in wire form and lower case, one after another.
    arena: Vec<u8>,
    rows: Vec<Row>,
    /// Distinct settings, in the order of their first WIPs.
    pub(super) settings: Vec<RawSettings>,
    /// The first WIP of each.
    pub(super) firsts: Vec<u32>,
    /// Further names of WIPs, in lower case, with the WIP's row.
    pub(super) aliases: Vec<(Name, u32)>,
    pub(super) alias_spots: Vec<Spot>,
    /// `check_host` of the rows that say one.
    pub(super) check_hosts: BTreeMap<u32, String>,
    /// Rows whose name begins with `*.`.
    pub(super) wildcards: Vec<u32>,
}

/// A text by its length and hash.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct TextId {
    length: usize,
    hash: u128,
}

impl TextId {
    pub(super) fn of(text: &[u8]) -> TextId {
        TextId { length: text.len(), hash: xxhash_rust::xxh3::xxh3_128(text) }
    }
}

/// One WIP: where its name starts in the arena, its settings in the block, and
/// where its name stands in the text.
#[derive(Clone, Copy, Debug)]
struct Row {
    name: u32,
    settings: SettingsId,
    spot: Spot,
}

impl Block {
    /// How many WIPs.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All names, one after another.
    pub(super) fn names(&self) -> &[u8] {
        &self.arena
    }

    /// The name of a row.
    pub(super) fn name(&self, row: usize) -> &[u8] {
        let start = self.rows[row].name as usize;
        let end = self.rows.get(row + 1).map_or(self.arena.len(), |next| next.name as usize);
        &self.arena[start..end]
    }

    /// The settings of a row, within the block.
    pub(super) fn settings_of(&self, row: usize) -> SettingsId {
        self.rows[row].settings
    }

    /// Where the name of a row stands. The file is that of the first reading.
    pub(super) fn spot(&self, row: usize) -> Option<Spot> {
        self.rows.get(row).map(|row| row.spot)
    }
}

//------------ Reading --------------------------------------------------------

/// A block in the making.
#[derive(Debug, Default)]
pub(super) struct Reading {
    block: Block,
    settings: HashMap<RawSettings, SettingsId>,
}

impl Reading {
    /// How many WIPs so far.
    pub(super) fn len(&self) -> usize {
        self.block.rows.len()
    }

    /// Adds a WIP and returns its row.
    pub(super) fn push(&mut self, name: &Name, settings: RawSettings, spot: Spot) -> u32 {
        let block = &mut self.block;
        let row = block.rows.len() as u32;
        let next = self.settings.len() as SettingsId;
        let settings = *self.settings.entry(settings).or_insert(next);
        if settings == next {
            block.firsts.push(row);
        }
        let at = u32::try_from(block.arena.len()).expect("names of a file fit its 2 GiB");
        block.arena.extend(name.wire().iter().map(u8::to_ascii_lowercase));
        block.rows.push(Row { name: at, settings, spot });
        if name.is_wildcard() {
            block.wildcards.push(row);
        }
        row
    }

    pub(super) fn push_alias(&mut self, alias: &Name, row: u32, spot: Spot) {
        self.block.aliases.push((alias.to_lowercase(), row));
        self.block.alias_spots.push(spot);
    }

    pub(super) fn set_check_host(&mut self, row: u32, host: String) {
        self.block.check_hosts.insert(row, host);
    }

    /// The block, and an empty reading for the next.
    pub(super) fn take(&mut self, text: Option<TextId>) -> Block {
        let Reading { mut block, settings } = std::mem::take(self);
        let mut list: Vec<_> = settings.into_iter().collect();
        list.sort_unstable_by_key(|(_, id)| *id);
        block.settings = list.into_iter().map(|(settings, _)| settings).collect();
        block.text = text;
        block.arena.shrink_to_fit();
        block.rows.shrink_to_fit();
        block.aliases.shrink_to_fit();
        block.alias_spots.shrink_to_fit();
        block
    }
}
