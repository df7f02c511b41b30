//! SRV records of WIPs (RFC 2782): static data that the config implies.

use super::clashes::{place_of, wip_subject};
use super::problem::CompileProblem;
use crate::config::model::{Config, ServiceRecord};
use crate::dns::Name;
use crate::dns::types::rtype;
use crate::zone::Record;

/// Records to be added to zones, each with its WIP.
#[derive(Default)]
pub(super) struct Services {
    by_zone: Vec<Vec<(Record, u32)>>,
}

impl Services {
    /// Those of all WIPs and aliases; each names itself, so that one certificate fits.
    pub(super) fn new(config: &Config, problems: &mut Vec<CompileProblem>) -> Services {
        let mut services = Services::default();
        services.by_zone.resize_with(config.zones.len(), Vec::new);
        if config.wip_settings.iter().all(|settings| settings.srv.is_empty()) {
            return services;
        }
        for (wip, name, settings) in config.wips.iter() {
            if let Ok(name) = Name::from_wire(name) {
                services.add(config, wip, &name, settings, problems);
            }
        }
        for (alias, wip) in config.wips.aliases() {
            services.add(config, wip, alias, config.wips.settings(wip), problems);
        }
        services
    }

    fn add(
        &mut self,
        config: &Config,
        wip: u32,
        name: &Name,
        settings: u32,
        problems: &mut Vec<CompileProblem>,
    ) {
        let settings = &config.wip_settings[settings as usize];
        let refused = |message: String| {
            CompileProblem::error("zone-data", wip_subject(config, wip, name), message)
        };
        if name.is_wildcard() && !settings.srv.is_empty() {
            let message = format!("{name}: `srv` needs a name of its own, and this is a wildcard");
            return problems
                .push(refused(message).with_help("leave `srv` out, or add a WIP for one name"));
        }
        let zones = config.zones.iter().enumerate();
        let zones = zones.filter(|(_, zone)| name.is_at_or_below(&zone.origin));
        // In no zone: the zone table says so of the WIP itself.
        let Some((zone, _)) = zones.max_by_key(|(_, zone)| zone.origin.label_count()) else {
            return;
        };
        for service in &settings.srv {
            match record(service, name, settings.ttl_s) {
                Some(record) => self.by_zone[zone].push((record, wip)),
                None => {
                    let message = format!("{}.{name} is longer than 255 bytes", service.prefix);
                    problems.push(refused(message));
                }
            }
        }
    }

    /// Adds a zone's records to those it has, which must not be of the same names.
    pub(super) fn add_to(
        &mut self,
        config: &Config,
        zone: usize,
        records: &mut Vec<Record>,
        problems: &mut Vec<CompileProblem>,
    ) {
        let ours = std::mem::take(&mut self.by_zone[zone]);
        if ours.is_empty() {
            return;
        }
        let clashing = |record: &&Record| matches!(record.rtype, rtype::SRV | rtype::CNAME);
        let theirs: std::collections::BTreeMap<Name, u16> = records
            .iter()
            .filter(clashing)
            .map(|record| (record.owner.to_lowercase(), record.rtype))
            .collect();
        for (record, wip) in &ours {
            let Some(&rtype) = theirs.get(&record.owner) else { continue };
            let kind = rtype::text(rtype);
            let message =
                format!("{}: `srv` makes a record where one of type {kind} stands", record.owner);
            let place = place_of(zone as u32, &config.zones[zone], &record.owner, rtype);
            let wip = super::problem::Subject::Wip(*wip);
            problems.push(
                CompileProblem::error("zone-data", wip, message)
                    .and_at(place, "the static record")
                    .with_help("remove the one or the other"),
            );
        }
        records.extend(ours.into_iter().map(|(record, _)| record));
    }
}

/// The record at `prefix` above `name`; none where that is too long for a name.
fn record(service: &ServiceRecord, name: &Name, ttl_s: u32) -> Option<Record> {
    let prefix = service.prefix.wire();
    let owner = [&prefix[..prefix.len() - 1], name.wire()].concat();
    let mut rdata = Vec::with_capacity(6 + name.wire().len());
    for number in [service.priority, service.weight, service.port] {
        rdata.extend(number.to_be_bytes());
    }
    rdata.extend(name.wire());
    let owner = Name::from_wire(&owner).ok()?;
    Some(Record { owner, rtype: rtype::SRV, ttl_s, rdata: rdata.into() })
}
