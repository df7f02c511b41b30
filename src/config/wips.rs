//! The WIPs of a config: rows over one arena of names.
//!
//! There may be a million, so a WIP is its name's bytes and eight more; what it
//! says is shared. It must not know where names were written.

use std::collections::BTreeMap;

use super::model::SettingsId;
use crate::dns::Name;

/// All WIPs: rows over one arena of names.
#[derive(Clone, Debug, Default)]
pub struct Wips {
    arena: Vec<u8>,
    rows: Vec<WipRow>,
    /// Further names of WIPs: canonical, distinct from every WIP and alias.
    pub aliases: Vec<(Name, u32)>,
    /// `check_host` of the WIPs that say one.
    pub check_hosts: BTreeMap<u32, String>,
}

/// One WIP: where its name starts in the arena, and its settings.
#[derive(Clone, Copy, Debug)]
struct WipRow {
    name: u32,
    settings: SettingsId,
}

impl Wips {
    /// Adds a WIP and returns its index. `wire` is its name in wire form; it is
    /// kept in lower case.
    pub fn push(&mut self, wire: &[u8], settings: SettingsId) -> u32 {
        let name = u32::try_from(self.arena.len()).expect("names of all WIPs fit 4 GiB");
        self.arena.extend(wire.iter().map(u8::to_ascii_lowercase));
        self.rows.push(WipRow { name, settings });
        (self.rows.len() - 1) as u32
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The canonical wire name of WIP `index`.
    pub fn name(&self, index: u32) -> &[u8] {
        let start = self.rows[index as usize].name as usize;
        let end =
            self.rows.get(index as usize + 1).map_or(self.arena.len(), |next| next.name as usize);
        &self.arena[start..end]
    }

    /// The settings of WIP `index`.
    pub fn settings(&self, index: u32) -> SettingsId {
        self.rows[index as usize].settings
    }

    /// Frees what growing left over.
    pub fn shrink(&mut self) {
        self.arena.shrink_to_fit();
        self.rows.shrink_to_fit();
        self.aliases.shrink_to_fit();
    }
}
