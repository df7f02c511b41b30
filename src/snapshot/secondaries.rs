//! Zones that come from other servers: whether their data may be answered, and whether a
//! primary said that there is newer.
//!
//! What is here outlives the snapshot: the next one goes on with the same states.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Snapshot;
use super::problem::{CompileProblem, Subject};
use crate::config::model::{Config, Zone};
use crate::dns::types::rtype;
use crate::zone::{Builder, Record, master};

/// One zone's state, shared by all snapshots that have it.
#[derive(Debug, Default)]
pub struct SecondaryState {
    /// Its data is older than its SOA allows.
    pub expired: AtomicBool,
    /// A primary has said NOTIFY since this was last taken.
    pub notified: AtomicBool,
}

/// A zone's state, and whether there is data.
type Known = (Arc<SecondaryState>, bool);

/// All zones that come from other servers.
#[derive(Debug, Default)]
pub struct Secondaries {
    /// Whether there is any: most servers have none, and ask no further.
    any: bool,
    /// By zone: its state, and whether there is data.
    zones: Box<[Option<Known>]>,
}

impl Secondaries {
    pub(super) fn new(
        config: &Config,
        has_data: &[bool],
        before: Option<&Snapshot>,
    ) -> Secondaries {
        let state = |index: usize| {
            let zone = &config.zones[index];
            if !zone.is_secondary() {
                return None;
            }
            let before = before.and_then(|before| {
                let same = before.config.zones.iter().position(|old| old.origin == zone.origin)?;
                before.secondaries.state(same as u32).cloned()
            });
            Some((before.unwrap_or_default(), has_data.get(index).copied().unwrap_or(false)))
        };
        let any = config.zones.iter().any(Zone::is_secondary);
        let count = if any { config.zones.len() } else { 0 };
        Secondaries { any, zones: (0..count).map(state).collect() }
    }

    /// Whether a zone cannot be answered: never transferred, or expired.
    #[inline]
    pub fn is_down(&self, zone: u32) -> bool {
        self.any && self.look(zone)
    }

    #[inline(never)]
    fn look(&self, zone: u32) -> bool {
        let state = self.zones.get(zone as usize).and_then(Option::as_ref);
        state.is_some_and(|(state, has_data)| !has_data || state.expired.load(Ordering::Relaxed))
    }

    /// A zone's state; none: it is this server's own.
    pub fn state(&self, zone: u32) -> Option<&Arc<SecondaryState>> {
        self.zones.get(zone as usize)?.as_ref().map(|(state, _)| state)
    }

    /// Whether there is data of a zone, however old.
    pub fn has_data(&self, zone: u32) -> bool {
        self.zones
            .get(zone as usize)
            .and_then(Option::as_ref)
            .is_some_and(|(_, has_data)| *has_data)
    }

    /// Notes that a primary has news.
    pub fn notified(&self, zone: u32) {
        if let Some(state) = self.state(zone) {
            state.notified.store(true, Ordering::Relaxed);
        }
    }
}

//------------ Data -----------------------------------------------------------

/// The records of a zone that was transferred; none, with a warning, where they cannot be
/// served: the rest of the server goes on, and they are fetched again.
pub(super) fn records(
    index: u32,
    zone: &Zone,
    warnings: &mut Vec<CompileProblem>,
) -> Option<Vec<Record>> {
    let file = zone.file.as_ref()?;
    let read = master::parse(&file.text, &zone.origin, zone.ttl_s);
    let read = read.map_err(|errors| errors.first().map(ToString::to_string).unwrap_or_default());
    let checked = read.and_then(|records| check(zone, records));
    checked
        .map_err(|error| {
            let title = format!("the kept copy of zone {} is not used: {error}", zone.origin);
            warnings.push(CompileProblem::warning("kept-zone", Subject::Zone(index), title));
        })
        .ok()
}

/// A zone by itself: what is wrong with it must not stop the others.
fn check(zone: &Zone, records: Vec<Record>) -> Result<Vec<Record>, String> {
    let mut alone = Builder::new();
    alone.add_zone(zone.origin.clone(), records.clone());
    match alone.build() {
        Ok(_) => Ok(records),
        Err(errors) => Err(errors.first().map(ToString::to_string).unwrap_or_default()),
    }
}

/// What stands in for a zone that is not here yet: nothing of it is ever answered.
pub(super) fn placeholder(zone: &Zone) -> Vec<Record> {
    let record = |rtype, rdata: &[u8]| Record {
        owner: zone.origin.clone(),
        rtype,
        ttl_s: 0,
        rdata: rdata.into(),
    };
    vec![record(rtype::SOA, &[0; 22]), record(rtype::NS, &[0])]
}
