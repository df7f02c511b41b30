//! The config as read: values checked, references still names.
//!
//! ```text
//! files ─► tables ─► Raw (this) ─► resolve ─► model::Config
//! ```
//!
//! WIPs are rows: what a WIP says is interned, so that a million that say the
//! same cost a name each. Equality ignores places; the first stands for all.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::model::{
    Admin, Geo, Health, HealthCheck, Log, Metrics, Server, SettingsId, Vip, Wips, Zone,
};
use super::reader::At;
use crate::dns::Name;
use crate::geo::{Location, Serves};
use crate::health::check::Require;
use crate::problem::{FileId, Spot};
use crate::steer::{Families, OnAllDown, Policy};

//------------ Raw ------------------------------------------------------------

/// Everything the files say.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) server: Server,
    pub(super) admin: Admin,
    pub(super) geo: Geo,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    pub(super) log: Log,
    pub(super) zones: Vec<RawZone>,
    pub(super) datacenters: Vec<RawDatacenter>,
    pub(super) health_checks: Vec<At<HealthCheck>>,
    pub(super) pools: Vec<RawPool>,
    /// `[wip_defaults]`, absent keys filled in.
    pub(super) defaults: RawSettings,
    pub(super) wips: RawWips,
    /// Where each section or name was first defined: `("server", "")`, `("pool", "europe")`.
    pub(super) defined: HashMap<(&'static str, String), Spot>,
}

/// A zone, where its name stands, and its master file in the sources.
#[derive(Debug)]
pub(super) struct RawZone {
    pub(super) zone: Zone,
    pub(super) spot: Spot,
    pub(super) master_file: Option<FileId>,
    /// Where each inline record stands.
    pub(super) record_spots: Vec<Spot>,
}

/// A datacenter with its checks still names.
#[derive(Debug)]
pub(super) struct RawDatacenter {
    pub(super) name: String,
    pub(super) spot: Spot,
    pub(super) vips: Vec<At<Vip>>,
    pub(super) location: Option<Location>,
    pub(super) serves: Vec<At<Serves>>,
    pub(super) bias: i8,
    pub(super) weight: u32,
    pub(super) wildcard: Option<At<Name>>,
    pub(super) health_checks: Vec<At<String>>,
    pub(super) require: Option<At<Require>>,
}

/// A named pool.
#[derive(Debug)]
pub(super) struct RawPool {
    pub(super) name: String,
    pub(super) spot: Spot,
    pub(super) policy: Policy,
    pub(super) members: At<Vec<At<RawMember>>>,
    pub(super) min_available: At<u16>,
}

/// A member: `"fra"` is one with a datacenter and nothing else.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct RawMember {
    pub(super) name: Option<String>,
    pub(super) datacenter: Option<At<String>>,
    pub(super) vips: Option<Vec<At<Vip>>>,
    pub(super) weight: Option<u32>,
    pub(super) location: Option<ExactLocation>,
    pub(super) serves: Option<Vec<At<Serves>>>,
    pub(super) bias: Option<i8>,
}

/// A location that can be a key: equal when its numbers are, bit by bit.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExactLocation(pub(super) Location);

impl ExactLocation {
    fn bits(self) -> (u64, u64) {
        match self.0 {
            Location::Point { latitude, longitude } => (latitude.to_bits(), longitude.to_bits()),
            Location::Country([a, b]) => (u64::MAX, u64::from(a) << 8 | u64::from(b)),
        }
    }
}

impl PartialEq for ExactLocation {
    fn eq(&self, other: &ExactLocation) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for ExactLocation {}

impl Hash for ExactLocation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

//------------ WIPs -----------------------------------------------------------

/// What a WIP or `[wip_defaults]` says, but its names.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct RawSettings {
    pub(super) members: Option<At<Vec<At<RawMember>>>>,
    pub(super) pools: Option<At<Vec<At<String>>>>,
    pub(super) policy: Option<At<Policy>>,
    pub(super) health_checks: Option<At<Vec<At<String>>>>,
    pub(super) require: Option<At<Require>>,
    pub(super) ttl_s: Option<At<u32>>,
    pub(super) ttl_min_s: Option<At<u32>>,
    pub(super) max_answers: Option<At<u8>>,
    pub(super) on_all_down: Option<At<OnAllDown>>,
    pub(super) ecs: Option<At<bool>>,
    pub(super) families: Option<At<Families>>,
}

/// All WIPs. The settings ids in `rows` are those of `settings` here.
#[derive(Debug, Default)]
pub(super) struct RawWips {
    pub(super) rows: Wips,
    /// Where each name stands.
    pub(super) spots: Vec<Spot>,
    /// Where each alias stands.
    pub(super) alias_spots: Vec<Spot>,
    /// Those whose name begins with `*.`.
    pub(super) wildcards: Vec<u32>,
    settings: HashMap<RawSettings, SettingsId>,
}

impl RawWips {
    /// The id of `settings`, new or known.
    pub(super) fn intern(&mut self, settings: RawSettings) -> SettingsId {
        let next = self.settings.len() as SettingsId;
        *self.settings.entry(settings).or_insert(next)
    }

    /// All distinct settings, in the order of their ids.
    pub(super) fn take_settings(&mut self) -> Vec<RawSettings> {
        let mut list: Vec<_> = std::mem::take(&mut self.settings).into_iter().collect();
        list.sort_unstable_by_key(|(_, id)| *id);
        list.into_iter().map(|(settings, _)| settings).collect()
    }
}
