//! Whole-config rules for zones that come from other servers, and for keys.

use std::collections::HashMap;

use super::model::Wips;
use super::raw::{Raw, RawZone};
use crate::dns::name::{parent, write_presentation};
use crate::problem::{Problem, Problems, Spot};

/// Reports keys that are not there, secondaries that cannot be kept, and what is to be
/// decided inside them.
pub(super) fn check(raw: &Raw, wips: &Wips, problems: &mut Problems) {
    for zone in &raw.zones {
        for key in zone.keys.iter().filter(|key| !raw.tsig_names.contains(&key.value)) {
            problems.push(
                Problem::error(
                    "unknown-reference",
                    format!("there is no TSIG key \"{}\"", key.value),
                )
                .at_with(key.spot, "named here")
                .help(format!("add [tsig.\"{}\"], with `secret_file`", key.value)),
            );
        }
        if zone.is_secondary() && raw.server.state_dir.is_none() {
            let title = format!("zone {} has nowhere to be kept", zone.zone.origin);
            problems.push(
                Problem::error("state-dir-missing", title)
                    .at_with(zone.spot, "comes from its primaries")
                    .help("give `state_dir` in [server]: what is transferred is kept there"),
            );
        }
    }
    if raw.zones.iter().any(RawZone::is_secondary) {
        decided_inside(raw, wips, problems);
    }
}

/// WIPs, aliases and site wildcards whose zone comes from a primary.
fn decided_inside(raw: &Raw, wips: &Wips, problems: &mut Problems) {
    let zones: HashMap<&[u8], &RawZone> =
        raw.zones.iter().map(|zone| (zone.zone.origin.wire(), zone)).collect();
    let zone_of = |name: &[u8]| {
        let above = std::iter::successors(Some(name), |name| parent(name));
        above.filter_map(|name| zones.get(name)).next().copied().filter(|zone| zone.is_secondary())
    };
    let names = wips.iter().map(|(wip, name, _)| (name, wips.spot(wip)));
    let aliases = wips.aliases().enumerate();
    let aliases = aliases.map(|(index, (alias, _))| (alias.wire(), wips.alias_spot(index)));
    let sites = raw.datacenters.iter().filter_map(|site| site.wildcard.as_ref());
    let sites: Vec<_> = sites.map(|base| (base.value.to_lowercase(), base.spot)).collect();
    let sites = sites.iter().map(|(base, spot)| (base.wire(), Some(*spot)));
    for (name, spot) in names.chain(aliases).chain(sites) {
        if let (Some(zone), Some(spot)) = (zone_of(name), spot) {
            problems.push_error_with(|| inside(name, zone, spot));
        }
    }
}

fn inside(name: &[u8], zone: &RawZone, spot: Spot) -> Problem {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_presentation(name, &mut text);
    let origin = &zone.zone.origin;
    let title = format!("{text} is in zone {origin}, which comes from its primaries");
    Problem::error("in-secondary-zone", title)
        .at_with(spot, "cannot be decided here")
        .at_with(zone.spot, "has `primaries`")
        .help(format!(
            "delegate a zone of its own below {origin} to this server, or be a CNAME there to a name in one"
        ))
}
