//! From config to zone data: master files and inline records, the SOA and NS
//! that the config gives, the names of WIPs and sites (docs/CONFIG.md).

use xxhash_rust::xxh3::Xxh3;

use super::SiteEntry;
use super::clashes::Kept;
use super::problem::{CompileProblem, Subject};
use super::serial::Serials;
use super::services::Services;
use crate::config::model::{Config, Datacenter, Member, Pool, WipSettings, Zone};
use crate::dns::types::rtype;
use crate::health::plan::Failback;
use crate::steer::strategy::Record as AddressRecord;
use crate::zone::{self, Builder, Record, ZoneError, ZoneWarning, ZoneWorry, Zones, master};

/// SOA timers of a zone that the config describes, in seconds: how often
/// secondaries ask (RFC 1912 2.2); nobody but they reads them.
const REFRESH_S: u32 = 3_600;
const RETRY_S: u32 = 600;
const EXPIRE_S: u32 = 1_209_600;
/// Negative TTL of a zone that names none, in seconds.
const NEGATIVE_TTL_DEFAULT_S: u32 = 30;

type Compiled = (Zones, Serials, Vec<CompileProblem>);

/// Compiles all zones, or says all that is wrong with them.
pub(super) fn compile(
    config: &Config,
    before: &Serials,
    now_s: u64,
) -> Result<Compiled, Vec<CompileProblem>> {
    let mut builder = Builder::new();
    let mut problems = Vec::new();
    let mut serials = Serials::default();
    let settings = settings_hashes(config);
    let mut kept = Kept::new(config);
    let mut services = Services::new(config, &mut problems);
    for (index, zone) in config.zones.iter().enumerate() {
        let problems_before = problems.len();
        let mut records = read_records(index as u32, zone, &mut problems);
        if problems.len() > problems_before {
            continue; // what is missing may stand in what could not be read
        }
        services.add_to(config, index, &mut records, &mut problems);
        let hash = content_hash(config, &settings, zone, &records);
        let mut serial = before.next(&zone.origin, hash, now_s);
        if let Some(number) = zone.serial {
            serial.number = number;
        }
        serials.0.insert(zone.origin.clone(), serial);
        apex(index as u32, zone, serial.number, &mut records, &mut problems);
        kept.keep(index as u32, &records);
        builder.add_zone(zone.origin.clone(), records);
    }
    builder.reserve(config.wips.len(), config.wips.names_length());
    for (wip, name, _) in config.wips.iter() {
        builder.add_wip(name, wip);
    }
    for (alias, wip) in config.wips.aliases() {
        builder.add_wip(alias.wire(), wip);
    }
    for (site, datacenter) in config.datacenters.iter().enumerate() {
        if let Some(base) = &datacenter.wildcard {
            builder.add_site_wildcard(base.to_lowercase().wire(), site as u32);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    match builder.build() {
        Ok(zones) => {
            let warning = |warning: &ZoneWarning| {
                let subject = Subject::Zone(warning.zone.0);
                let problem = CompileProblem::warning("zone-data", subject, warning.to_string());
                match &warning.worry {
                    ZoneWorry::TargetWithoutAddress { target, .. } => {
                        problem.with_help(format!("add to its zone: {target}. A 192.0.2.1"))
                    }
                    _ => problem,
                }
            };
            let clashes = kept.check(config, &zones);
            if !clashes.is_empty() {
                return Err(clashes);
            }
            let warnings = zones.warnings().iter().map(warning).collect();
            Ok((zones, serials, warnings))
        }
        Err(errors) => Err(errors.iter().map(|error| zone_error(config, error)).collect()),
    }
}

fn zone_error(config: &Config, error: &ZoneError) -> CompileProblem {
    let subject = match error.subject {
        zone::Subject::Zone(id) => Subject::Zone(id.0),
        zone::Subject::Site(site) => Subject::Datacenter(site),
        zone::Subject::Everything => Subject::Config,
        zone::Subject::Wip(wip) => {
            let alias =
                config.wips.aliases().position(|(alias, of)| of == wip && *alias == error.name);
            alias.map_or(Subject::Wip(wip), |alias| Subject::Alias(alias as u32))
        }
    };
    CompileProblem::error("zone-data", subject, error.to_string())
}

/// Records of the sites' own names.
pub(super) fn sites(config: &Config) -> Box<[SiteEntry]> {
    let site = |datacenter: &Datacenter| {
        let Some(base) = &datacenter.wildcard else { return SiteEntry::default() };
        let zone = config.zones.iter().filter(|zone| base.is_at_or_below(&zone.origin));
        let ttl_s = zone.max_by_key(|zone| zone.origin.label_count()).map_or(0, |zone| zone.ttl_s);
        let everyone = || datacenter.vips.iter().filter(|vip| vip.clients.is_empty());
        let records = |ipv4: bool| {
            let family = everyone().filter(|vip| vip.address.is_ipv4() == ipv4);
            family.map(|vip| AddressRecord::new(vip.address).with_ttl(ttl_s)).collect()
        };
        SiteEntry { a: records(true), aaaa: records(false) }
    };
    config.datacenters.iter().map(site).collect()
}

fn read_records(index: u32, zone: &Zone, problems: &mut Vec<CompileProblem>) -> Vec<Record> {
    let mut records = Vec::new();
    if let Some(file) = &zone.file {
        match master::parse(&file.text, &zone.origin, zone.ttl_s) {
            Ok(parsed) => records.extend(parsed),
            Err(errors) => problems.extend(errors.into_iter().map(|error| {
                let subject =
                    Subject::MasterFile { zone: index, line: error.line, column: error.column };
                CompileProblem::error("master-file", subject, error.message)
            })),
        }
    }
    if !zone.records.is_empty() {
        let text = zone.records.join("\n") + "\n";
        match master::parse(text.as_bytes(), &zone.origin, zone.ttl_s) {
            Ok(parsed) => records.extend(parsed),
            Err(errors) => problems.extend(errors.into_iter().map(|error| {
                let record = zone.records.get(error.line.saturating_sub(1) as usize);
                let record = record.map_or("", String::as_str);
                let message = format!("record {record:?}: {}", error.message);
                let subject = Subject::Record { zone: index, record: error.line.saturating_sub(1) };
                CompileProblem::error("record", subject, message)
            })),
        }
    }
    records
}

/// Adds SOA and NS from the config, or makes sure that the file has them.
fn apex(
    index: u32,
    zone: &Zone,
    serial: u32,
    records: &mut Vec<Record>,
    problems: &mut Vec<CompileProblem>,
) {
    let at_apex = |record: &&mut Record| record.owner == zone.origin;
    let soa = records.iter_mut().filter(at_apex).find(|record| record.rtype == rtype::SOA);
    let given = zone.hostmaster.is_some() || !zone.nameservers.is_empty();
    match (soa, given) {
        (Some(_), true) => problems.push(
            CompileProblem::error(
                "soa-twice",
                Subject::Zone(index),
                format!("zone {} has its SOA both in its file and in the config", zone.origin),
            )
            .with_help("remove `nameservers` and `hostmaster`, or the file's SOA and apex NS"),
        ),
        (Some(soa), false) => {
            if let Some(negative_ttl_s) = zone.negative_ttl_s {
                set_minimum(soa, negative_ttl_s);
            }
            if zone.serial.is_some() {
                set_serial(soa, serial);
            }
        }
        (None, false) => problems.push(
            CompileProblem::error(
                "soa-missing",
                Subject::Zone(index),
                format!("zone {} has no SOA", zone.origin),
            )
            .with_help("give `nameservers` and `hostmaster`, or SOA and NS in the master file"),
        ),
        (None, true) => from_config(zone, serial, records),
    }
}

fn from_config(zone: &Zone, serial: u32, records: &mut Vec<Record>) {
    let (Some(first), Some(hostmaster)) = (zone.nameservers.first(), &zone.hostmaster) else {
        return; // the config checker wants both or neither
    };
    let negative_ttl_s = zone.negative_ttl_s.unwrap_or(NEGATIVE_TTL_DEFAULT_S);
    let mut rdata = [first.wire(), hostmaster.wire()].concat();
    for number in [serial, REFRESH_S, RETRY_S, EXPIRE_S, negative_ttl_s] {
        rdata.extend(number.to_be_bytes());
    }
    let record = |rtype, rdata: &[u8]| Record {
        owner: zone.origin.clone(),
        rtype,
        ttl_s: zone.ttl_s,
        rdata: rdata.into(),
    };
    records.push(record(rtype::SOA, &rdata));
    for nameserver in &zone.nameservers {
        records.push(record(rtype::NS, nameserver.wire()));
    }
}

/// The SOA's minimum field, its last four bytes.
fn set_minimum(soa: &mut Record, minimum_s: u32) {
    if let Some(field) = soa.rdata.last_chunk_mut::<4>() {
        *field = minimum_s.to_be_bytes();
    }
}

/// The SOA's serial field, the first four of its last twenty bytes.
fn set_serial(soa: &mut Record, serial: u32) {
    if let Some(fields) = soa.rdata.last_chunk_mut::<20>() {
        fields[..4].copy_from_slice(&serial.to_be_bytes());
    }
}

/// Hash of everything a zone answers from, health and the serial aside.
fn content_hash(config: &Config, settings: &[u64], zone: &Zone, records: &[Record]) -> u64 {
    let mut hash = Xxh3::new();
    for record in records {
        hash.update(record.owner.wire());
        hash.update(&record.rtype.to_be_bytes());
        hash.update(&record.ttl_s.to_be_bytes());
        hash.update(&record.rdata);
    }
    let names = zone.nameservers.iter().chain(&zone.hostmaster);
    names.for_each(|name| hash.update(name.wire()));
    hash.update(&zone.ttl_s.to_be_bytes());
    hash.update(&zone.negative_ttl_s.unwrap_or(u32::MAX).to_be_bytes());
    // A serial that is no longer fixed gives way to the time.
    hash.update(format!("{:?}", zone.serial).as_bytes());
    for (_, name, wip_settings) in config.wips.iter() {
        if crate::dns::name::is_at_or_below(name, zone.origin.wire()) {
            hash.update(name);
            hash.update(&settings[wip_settings as usize].to_be_bytes());
        }
    }
    for (alias, wip) in config.wips.aliases() {
        if alias.is_at_or_below(&zone.origin) {
            hash.update(alias.wire());
            hash.update(&settings[config.wips.settings(wip) as usize].to_be_bytes());
        }
    }
    for datacenter in &config.datacenters {
        if let Some(base) = datacenter.wildcard.as_ref()
            && base.is_at_or_below(&zone.origin)
        {
            hash.update(base.wire());
            hash.update(format!("{:?}", datacenter.vips).as_bytes());
        }
    }
    hash.digest()
}

/// For each entry of the WIP settings, a hash of all that it says, pools included.
fn settings_hashes(config: &Config) -> Vec<u64> {
    let pool = |pool: &Pool| {
        let member = |member: &Member| Member { datacenter: None, ramp_ms: None, ..member.clone() };
        Pool { members: pool.members.iter().map(member).collect(), ..pool.clone() }
    };
    let text = |settings: &WipSettings| {
        let pools: Vec<_> =
            settings.pools.iter().map(|&id| pool(&config.pools[id as usize])).collect();
        // Ids move when something else comes or goes, and health is not content.
        let checks = Vec::new();
        let settings = WipSettings {
            pools: Vec::new(),
            health_checks: checks,
            failback: Failback::default(),
            ramp_ms: 0,
            ..settings.clone()
        };
        format!("{settings:?}{pools:?}")
    };
    let hash = |text: String| xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    config.wip_settings.iter().map(text).map(hash).collect()
}
