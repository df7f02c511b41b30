//! How zones are, for people and programs.

use std::sync::atomic::Ordering;

use super::Exchanges;
use crate::admin::types::ZoneStatus;
use crate::daemon::publisher::Publisher;
use crate::metrics::ExchangeTotals;

/// Most zones told of.
const ZONES_SHOWN_MAX: usize = 1_000;

/// Every zone, in the order of the config.
pub(in crate::daemon) fn page(publisher: &Publisher) -> Vec<ZoneStatus> {
    let serving = publisher.serving();
    let snapshot = &serving.snapshot;
    let secondaries = publisher.exchanges.zones();
    let zones = snapshot.zones.zones().zip(&snapshot.config.zones).take(ZONES_SHOWN_MAX);
    let status = |(zone, config): (&crate::zone::Zone, &crate::config::model::Zone)| {
        let id = zone.id().0;
        let name = config.origin.to_string();
        if !config.is_secondary() {
            let serial = Some(zone.serial());
            return ZoneStatus {
                name,
                role: "primary".to_owned(),
                serial,
                ..ZoneStatus::default()
            };
        }
        let has_data = snapshot.secondaries.has_data(id);
        let known = secondaries.get(&config.origin).cloned().unwrap_or_default();
        ZoneStatus {
            name,
            role: "secondary".to_owned(),
            serial: has_data.then(|| zone.serial()),
            not_ready: match (has_data, snapshot.secondaries.is_down(id)) {
                (false, _) => Some("not transferred yet".to_owned()),
                (true, true) => Some("expired".to_owned()),
                (true, false) => None,
            },
            primary: known.primary.map(|address| address.to_string()),
            checked_at_s: known.checked_at_s,
            transferred_at_s: known.transferred_at_s,
            expires_at_s: known.expires_at_s,
            last_error: known.last_error,
        }
    };
    zones.map(status).collect()
}

impl Exchanges {
    /// What there is to count.
    pub(in crate::daemon) fn totals(&self, publisher: &Publisher) -> ExchangeTotals {
        let serving = publisher.serving();
        let snapshot = &serving.snapshot;
        let mut secondaries = [0; 3];
        for (index, config) in snapshot.config.zones.iter().enumerate() {
            if config.is_secondary() {
                let id = index as u32;
                let state =
                    match (snapshot.secondaries.has_data(id), snapshot.secondaries.is_down(id)) {
                        (false, _) => 1,
                        (true, true) => 2,
                        (true, false) => 0,
                    };
                secondaries[state] += 1;
            }
        }
        let read = |counters: &[std::sync::atomic::AtomicU64; 3]| {
            [0, 1, 2].map(|index| counters[index].load(Ordering::Relaxed))
        };
        ExchangeTotals {
            out: read(&self.out),
            in_: read(&self.in_),
            notify: read(&self.notify),
            secondaries,
        }
    }
}
