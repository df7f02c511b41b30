//! The config as read: values checked, references still names.
//!
//! ```text
//! files ─► tables ─► Raw (this) ─► resolve ─► model::Config
//! ```
//!
//! WIPs come in blocks, one a file: what a WIP says is interned, so that a million
//! that say the same cost a name each. Equality ignores places; the first stands
//! for all.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::block::{Block, Reading};
use super::model::{
    Access, Admin, Cookies, Geo, Health, HealthCheck, Log, Metrics, Proxy, QueryLog, RateLimit,
    Safety, Server, ServiceBinding, ServiceRecord, SettingsId, Tls, TsigKey, Vip, Webhook, Wips,
    Zone,
};
use super::reader::At;
use super::sections::transports::Listens;
use crate::dns::Name;
use crate::geo::{Location, Serves};
use crate::health::check::Require;
use crate::health::plan::Failback;
use crate::problem::{FileId, Spot};
use crate::steer::{Families, OnAllDown, Policy};

//------------ Raw ------------------------------------------------------------

/// Everything the files say.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) server: Server,
    pub(super) tls: Tls,
    /// Where each of its addresses stands.
    pub(super) listens: Listens,
    pub(super) proxy: Proxy,
    pub(super) access: Access,
    pub(super) rate_limit: RateLimit,
    pub(super) cookies: Cookies,
    pub(super) admin: Admin,
    pub(super) geo: Geo,
    pub(super) health: Health,
    /// Where each of its references stands.
    pub(super) reference_spots: Vec<Spot>,
    pub(super) safety: Safety,
    pub(super) metrics: Metrics,
    pub(super) log: Log,
    pub(super) query_log: QueryLog,
    pub(super) webhooks: Vec<Webhook>,
    pub(super) tsig: Vec<TsigKey>,
    /// Names of all keys, those with mistakes too.
    pub(super) tsig_names: HashSet<Name>,
    pub(super) zones: Vec<RawZone>,
    pub(super) datacenters: Vec<RawDatacenter>,
    pub(super) health_checks: Vec<RawCheck>,
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
    /// TSIG keys it names.
    pub(super) keys: Vec<At<Name>>,
}

impl RawZone {
    pub(super) fn is_secondary(&self) -> bool {
        self.zone.is_secondary()
    }
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
    pub(super) ramp_ms: Option<u32>,
}

/// A health check, where its name stands, and where the values of its keys.
#[derive(Debug)]
pub(super) struct RawCheck {
    pub(super) check: HealthCheck,
    pub(super) spot: Spot,
    pub(super) key_spots: Vec<(&'static str, Spot)>,
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
    pub(super) cname: Option<At<Name>>,
    pub(super) weight: Option<u32>,
    pub(super) location: Option<ExactLocation>,
    pub(super) serves: Option<Vec<At<Serves>>>,
    pub(super) bias: Option<i8>,
    pub(super) ramp_ms: Option<u32>,
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

/// Most WIPs of all files.
pub(super) const WIPS_MAX: usize = 16_000_000;

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
    pub(super) failback: Option<At<Failback>>,
    pub(super) ramp_ms: Option<At<u32>>,
    /// Written: none is "false".
    pub(super) https: Option<At<Option<ServiceBinding>>>,
    pub(super) svcb: Option<At<Option<ServiceBinding>>>,
    pub(super) srv: Option<At<Vec<ServiceRecord>>>,
}

/// The WIPs of all files, in the order they were read.
#[derive(Debug, Default)]
pub(super) struct RawWips {
    /// The file that is being read.
    pub(super) reading: Reading,
    blocks: Vec<(FileId, Arc<Block>)>,
    /// WIPs in `blocks`.
    length: usize,
}

/// All WIPs as one list, and what they say.
#[derive(Debug, Default)]
pub(super) struct JoinedWips {
    pub(super) wips: Wips,
    /// Distinct settings, in the order of their first WIPs.
    pub(super) settings: Vec<RawSettings>,
    /// The first WIP of each: it stands for all.
    pub(super) firsts: Vec<u32>,
}

impl RawWips {
    /// How many were read, in the file that is being read too.
    pub(super) fn len(&self) -> usize {
        self.length + self.reading.len()
    }

    /// Adds the block of a file; false when that would be more than can be.
    pub(super) fn push(&mut self, file: FileId, block: Arc<Block>) -> bool {
        if self.length + block.len() > WIPS_MAX {
            return false;
        }
        self.length += block.len();
        self.blocks.push((file, block));
        true
    }

    /// Makes one list of all.
    pub(super) fn join(self) -> JoinedWips {
        let mut joined = JoinedWips::default();
        let mut ids: HashMap<&RawSettings, SettingsId> = HashMap::new();
        for (file, block) in &self.blocks {
            let start = joined.wips.len() as u32;
            let settings = block.settings.iter().zip(&block.firsts).map(|(settings, first)| {
                *ids.entry(settings).or_insert_with(|| {
                    joined.settings.push(settings.in_file(*file));
                    joined.firsts.push(start + first);
                    (joined.settings.len() - 1) as SettingsId
                })
            });
            let settings = settings.collect();
            joined.wips.push(Arc::clone(block), *file, settings);
        }
        joined
    }
}

//------------ Places ---------------------------------------------------------

/// What was read as part of one file and now is part of another with the same text.
trait InFile {
    fn move_to(&mut self, file: FileId);
}

impl RawSettings {
    /// The same, standing in `file`.
    fn in_file(&self, file: FileId) -> RawSettings {
        let mut moved = self.clone();
        moved.move_to(file);
        moved
    }
}

impl InFile for RawSettings {
    fn move_to(&mut self, file: FileId) {
        // Named one by one, so that a new key is not forgotten.
        let RawSettings {
            members,
            pools,
            policy,
            health_checks,
            require,
            ttl_s,
            ttl_min_s,
            max_answers,
            on_all_down,
            ecs,
            families,
            failback,
            ramp_ms,
            https,
            svcb,
            srv,
        } = self;
        members.move_to(file);
        pools.move_to(file);
        policy.move_to(file);
        health_checks.move_to(file);
        require.move_to(file);
        ttl_s.move_to(file);
        ttl_min_s.move_to(file);
        max_answers.move_to(file);
        on_all_down.move_to(file);
        ecs.move_to(file);
        families.move_to(file);
        failback.move_to(file);
        ramp_ms.move_to(file);
        https.move_to(file);
        svcb.move_to(file);
        srv.move_to(file);
    }
}

impl InFile for RawMember {
    fn move_to(&mut self, file: FileId) {
        let RawMember {
            name: _,
            datacenter,
            vips,
            cname,
            weight: _,
            location: _,
            serves,
            bias: _,
            ramp_ms: _,
        } = self;
        datacenter.move_to(file);
        vips.move_to(file);
        cname.move_to(file);
        serves.move_to(file);
    }
}

impl<T: InFile> InFile for At<T> {
    fn move_to(&mut self, file: FileId) {
        self.spot.file = file;
        self.value.move_to(file);
    }
}

impl<T: InFile> InFile for Option<T> {
    fn move_to(&mut self, file: FileId) {
        self.iter_mut().for_each(|inner| inner.move_to(file));
    }
}

impl<T: InFile> InFile for Vec<T> {
    fn move_to(&mut self, file: FileId) {
        self.iter_mut().for_each(|inner| inner.move_to(file));
    }
}

/// Values without places of their own.
macro_rules! placeless {
    ($($name:ty),+) => { $(impl InFile for $name {
        fn move_to(&mut self, _: FileId) {}
    })+ };
}

placeless!(
    String,
    Vip,
    Serves,
    Policy,
    Require,
    u32,
    u8,
    bool,
    OnAllDown,
    Families,
    Failback,
    ServiceBinding,
    ServiceRecord,
    Name
);
