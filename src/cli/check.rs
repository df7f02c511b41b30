//! `windrose check`: the loader itself, and what it found.

use std::io::IsTerminal;
use std::path::Path;

use super::{Failed, complain, counted, print, print_json};
use crate::daemon::load;

pub(super) fn run(config_path: &Path, json: bool) -> Result<(), Failed> {
    let (accepted, problems, sources) = match load::load(config_path) {
        Ok(candidate) => {
            (Some((candidate.config, candidate.snapshot)), candidate.problems, candidate.sources)
        }
        Err(refused) => (None, refused.problems, refused.sources),
    };
    if json {
        print_json(&problems.to_json(&sources))?;
    } else if !problems.is_empty() {
        complain(&problems.render(&sources, std::io::stderr().is_terminal()));
    }
    let Some((config, snapshot)) = accepted else {
        return Err(Failed(if json { String::new() } else { problems.summary() }));
    };
    if json {
        return Ok(());
    }
    print(&format!(
        "{}: good. {}, {}, {}, {} ({:.1} per second)",
        config_path.display(),
        counted(config.zones.len() as u64, "zone"),
        counted(config.wips.len() as u64, "WIP"),
        counted(config.datacenters.len() as u64, "datacenter"),
        counted(snapshot.plan.targets.len() as u64, "distinct probe"),
        snapshot.plan.probes_per_second(),
    ))
}
