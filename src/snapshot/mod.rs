//! All that a query may read: the immutable compiled form of one config.
//!
//! ```text
//! config + geo table ─► compile ─► Snapshot ┐
//!                          └─► Plan ─► health table ┴─► Serving ─► cell (swap)
//! ```
//!
//! A snapshot holds names, zones, strategies and ready records; health is a
//! table beside it, and what workers count lives in a state of their own. It
//! must not know sockets, files or time: the load's time comes in as a value.

mod abuse;
mod bindings;
mod clashes;
mod handover;
mod networks;
mod places;
mod problem;
mod serial;
mod services;
mod steering;
mod targets;
mod worker;
mod zones;

use std::sync::Arc;

use crate::config::model::Config;
use crate::geo::BaseTable;
use crate::health::plan::{Plan, VerdictId};
use crate::health::table::{Table, Word};
use crate::steer::overlay::Overlay;
use crate::steer::strategy::{Record, Strategy};
use crate::zone::Zones;

pub use abuse::{Access, RateRules};
pub use networks::NetworkSet;
pub use problem::{CompileProblem, Subject};
pub use serial::{Serial, Serials};
pub use targets::REFERENCE_CHECK;
pub use worker::WorkerState;

/// [`WipEntry::turn`] and [`WipEntry::counter`] of a WIP that needs none.
pub const NONE: u32 = u32::MAX;
/// WIPs up to which there are counters for each, unless the config says otherwise.
const PER_WIP_DEFAULT_MAX: usize = 2_000;

//------------ Snapshot -------------------------------------------------------

/// One config, compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with every publication.
    pub generation: u64,
    /// Static data and the names of WIPs and sites.
    pub zones: Zones,
    /// One entry for each WIP, in the order of the config.
    pub wips: Box<[WipEntry]>,
    /// Distinct strategies.
    pub strategies: Box<[Strategy]>,
    /// Settings of each strategy, for telling people.
    pub strategy_settings: Box<[u32]>,
    /// Verdict lists, one id for each VIP of the strategy.
    pub verdicts: Box<[VerdictId]>,
    /// Records of each datacenter's own names.
    pub sites: Box<[SiteEntry]>,
    /// What is probed.
    pub plan: Plan,
    /// How many turn counters a worker needs.
    pub turn_count: usize,
    /// How many answer counters a worker needs; 0: series per WIP are off.
    pub counter_count: usize,
    /// Who may ask; none: everybody.
    pub access: Option<Access>,
    /// How much clients get over UDP; none: as much as they ask for.
    pub rate_rules: Option<Arc<RateRules>>,
    /// Serials of the zones, to be kept for the next load.
    pub serials: Serials,
    /// What it was compiled from.
    pub config: Arc<Config>,
    /// The geo table it was compiled from.
    pub base: Arc<BaseTable>,
    /// Maps over that table, for the next snapshot.
    maps: steering::KnownMaps,
}

/// What a query needs of a WIP.
#[derive(Clone, Copy, Debug)]
pub struct WipEntry {
    /// Index into [`Snapshot::strategies`].
    pub strategy: u32,
    /// Start of its list in [`Snapshot::verdicts`].
    pub verdicts: u32,
    /// Its first turn counter (A, then AAAA, then HTTPS and SVCB where it has such
    /// records), or [`NONE`].
    pub turn: u32,
    /// Its first answer counter (fail-open, then one a member), or [`NONE`].
    pub counter: u32,
}

/// A datacenter's own names: every name below its wildcard base.
#[derive(Debug, Default)]
pub struct SiteEntry {
    /// A records, ready with their TTL.
    pub a: Box<[Record]>,
    /// AAAA records, ready with their TTL.
    pub aaaa: Box<[Record]>,
}

impl Snapshot {
    /// The strategy of a WIP.
    #[inline]
    pub fn strategy(&self, wip: &WipEntry) -> &Strategy {
        &self.strategies[wip.strategy as usize]
    }

    /// The server's identity, as NSID gives it.
    pub fn identity(&self) -> Option<&[u8]> {
        self.config.server.identity.as_deref().map(str::as_bytes)
    }

    /// The verdict ids of a WIP, one for each VIP of its strategy.
    #[inline]
    pub fn verdicts(&self, wip: &WipEntry, strategy: &Strategy) -> &[VerdictId] {
        let start = wip.verdicts as usize;
        &self.verdicts[start..start + strategy.vips.len()]
    }
}

//------------ Serving --------------------------------------------------------

/// What a worker holds while it answers a batch.
#[derive(Debug)]
pub struct Serving {
    /// The config, compiled.
    pub snapshot: Arc<Snapshot>,
    /// Health, written by the prober alone.
    pub health: Arc<Table>,
    /// What operators say of it.
    pub overlay: Arc<Overlay>,
    /// One state a worker; each is written by its worker alone.
    pub workers: Arc<[WorkerState]>,
    /// What was counted under the snapshots before; written by the publisher alone.
    pub counted_before: Arc<WorkerState>,
}

impl Serving {
    /// Joins a snapshot and its health table for `workers` workers, without a word of
    /// operators. Turns go on from `previous`; its counts come with
    /// [`take_counts_of`](Self::take_counts_of).
    pub fn new(
        snapshot: Arc<Snapshot>,
        health: Arc<Table>,
        workers: usize,
        previous: Option<&Serving>,
    ) -> Serving {
        let counted_before = Arc::new(WorkerState::new(&snapshot, 0));
        let workers = (0..workers).map(|index| WorkerState::new(&snapshot, index)).collect();
        let overlay = Arc::default();
        let serving = Serving { snapshot, health, overlay, workers, counted_before };
        if let Some(previous) = previous {
            serving.take_turns_of(previous);
        }
        serving
    }

    /// The same under what operators say now. Turns and counts are the very same: workers
    /// go on with them whichever of the two they hold.
    pub fn with_overlay(&self, overlay: Arc<Overlay>) -> Serving {
        Serving {
            snapshot: Arc::clone(&self.snapshot),
            health: Arc::clone(&self.health),
            overlay,
            workers: Arc::clone(&self.workers),
            counted_before: Arc::clone(&self.counted_before),
        }
    }

    /// The same with health as it is at this moment, for a look at many WIPs.
    pub fn frozen(&self) -> Serving {
        let overlay = Arc::clone(&self.overlay);
        Serving { health: Arc::new(self.health.frozen()), ..self.with_overlay(overlay) }
    }

    /// The words that decide of a WIP's VIPs, in the order of its strategy: health under
    /// what operators say.
    pub fn words(&self, wip: u32) -> impl Iterator<Item = Word> {
        let entry = self.snapshot.wips.get(wip as usize);
        let verdicts = entry
            .map_or(&[][..], |entry| self.snapshot.verdicts(entry, self.snapshot.strategy(entry)));
        let laid = entry.map_or(&[][..], |entry| self.overlay.row(wip, entry.strategy));
        verdicts.iter().enumerate().map(move |(vip, &verdict)| {
            let word = self.health.word(verdict);
            laid.get(vip).map_or(word, |laid| laid.over(word))
        })
    }
}

//------------ compile --------------------------------------------------------

/// What a snapshot is compiled from.
#[derive(Clone, Debug)]
pub struct Input {
    /// The checked config.
    pub config: Arc<Config>,
    /// Where clients are.
    pub base: Arc<BaseTable>,
    /// Serials of the load before.
    pub serials: Serials,
    /// Unix time of this load, in seconds.
    pub now_s: u64,
    /// Number of this publication.
    pub generation: u64,
}

/// Compiles a snapshot, or says everything that is wrong. Warnings come along.
pub fn compile(input: Input) -> Result<(Snapshot, Vec<CompileProblem>), Vec<CompileProblem>> {
    compile_after(input, None)
}

/// The same after another snapshot, whose maps of clients are taken over where
/// sites and the geo table are as they were. What comes of it is the same.
pub fn compile_after(
    input: Input,
    before: Option<&Snapshot>,
) -> Result<(Snapshot, Vec<CompileProblem>), Vec<CompileProblem>> {
    let Input { config, base, serials, now_s, generation } = input;
    let (zones, serials, mut warnings) = zones::compile(&config, &serials, now_s)?;
    let places = places::check(&config, &base);
    if places.iter().any(|problem| problem.is_error) {
        return Err(places);
    }
    warnings.extend(places);
    let too_large = steering::too_large(&config);
    if !too_large.is_empty() {
        return Err(too_large);
    }
    let before = before.filter(|before| Arc::ptr_eq(&before.base, &base));
    let steering = steering::compile(&config, &base, before.map(|before| &before.maps));
    let mut targets = targets::Targets::new(&config);
    let mut wips = Vec::with_capacity(config.wips.len());
    let per_wip = config.metrics.per_wip.unwrap_or(config.wips.len() <= PER_WIP_DEFAULT_MAX);
    let (mut turn_count, mut counter_count) = (0, 0);
    for (index, _, settings) in config.wips.iter() {
        let strategy = &steering.strategies[settings as usize];
        let turn = take(&mut turn_count, strategy.turn_count());
        let counters = if per_wip { 1 + strategy.members.len() } else { 0 };
        wips.push(WipEntry {
            strategy: settings,
            verdicts: targets.verdicts_of(index, settings),
            turn,
            counter: take(&mut counter_count, counters),
        });
    }
    let sites = zones::sites(&config);
    let (plan, verdicts, problems) = targets.finish();
    warnings.extend(problems.iter().filter(|problem| !problem.is_error).cloned());
    if problems.iter().any(|problem| problem.is_error) {
        return Err(problems);
    }
    let snapshot = Snapshot {
        generation,
        zones,
        wips: wips.into(),
        strategy_settings: (0..steering.strategies.len() as u32).collect(),
        strategies: steering.strategies.into(),
        maps: steering.maps,
        verdicts: verdicts.into(),
        sites,
        plan,
        turn_count,
        counter_count,
        access: Access::compile(&config.access),
        rate_rules: RateRules::compile(&config.rate_limit).map(Arc::new),
        serials,
        config,
        base,
    };
    Ok((snapshot, warnings))
}

/// Takes `length` places from a running count; [`NONE`] for none.
fn take(count: &mut usize, length: usize) -> u32 {
    if length == 0 {
        return NONE;
    }
    let start = *count as u32;
    *count += length;
    start
}
