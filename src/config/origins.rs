//! Where the parts of a config stand, kept for problems found after the load.

use super::model::{CheckId, DatacenterId, PoolId, Wips};
use crate::problem::{FileId, Spot};

/// Places of the parts of a [`super::model::Config`], in the order of its lists.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    pub(super) zones: Vec<Spot>,
    pub(super) master_files: Vec<Option<FileId>>,
    pub(super) records: Vec<Vec<Spot>>,
    pub(super) datacenters: Vec<Spot>,
    /// Those of `[health] reference`.
    pub(super) references: Vec<Spot>,
    pub(super) health_checks: Vec<Spot>,
    pub(super) check_keys: Vec<Vec<(&'static str, Spot)>>,
    pub(super) pools: Vec<Spot>,
    pub(super) wips: Wips,
}

impl Origins {
    /// The name of zone `index` in `[zone."…"]`.
    pub fn zone(&self, index: usize) -> Option<Spot> {
        self.zones.get(index).copied()
    }

    /// The master file of zone `index`, for problems with its lines.
    pub fn master_file(&self, index: usize) -> Option<FileId> {
        self.master_files.get(index).copied().flatten()
    }

    /// Inline record `record` (of `Zone::records`) of zone `index`.
    pub fn record(&self, index: usize, record: usize) -> Option<Spot> {
        self.records.get(index)?.get(record).copied()
    }

    /// The name of a datacenter.
    pub fn datacenter(&self, id: DatacenterId) -> Option<Spot> {
        self.datacenters.get(id as usize).copied()
    }

    /// The name of a health check.
    pub fn health_check(&self, id: CheckId) -> Option<Spot> {
        self.health_checks.get(id as usize).copied()
    }

    /// The value of a health check's key, or the check's name where the key was left out.
    pub fn check_key(&self, id: CheckId, key: &str) -> Option<Spot> {
        let written = self.check_keys.get(id as usize)?.iter().find(|(name, _)| *name == key);
        written.map(|(_, spot)| *spot).or_else(|| self.health_check(id))
    }

    /// The name of a pool, or the `members` list it was made from.
    pub fn pool(&self, id: PoolId) -> Option<Spot> {
        self.pools.get(id as usize).copied()
    }

    /// The name of WIP `index` in `[wip."…"]`.
    pub fn wip(&self, index: u32) -> Option<Spot> {
        self.wips.spot(index)
    }

    /// The name of alias `index` (of `Wips::aliases`).
    pub fn alias(&self, index: usize) -> Option<Spot> {
        self.wips.alias_spot(index)
    }
}
