//! A load: files to a compiled snapshot, or all problems of all files. `check`,
//! `explain` and `serve` go through here, so that none knows better than another.

use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, ReadFiles};
use super::geo::{self, Geo};
use super::{publisher, state, verify};
use crate::clock;
use crate::config::model::Config;
use crate::config::{self, Loaded, Origins};
use crate::problem::{Problem, Problems, Sources};
use crate::snapshot::{self, CompileProblem, Input, Serials, Snapshot, Subject};

/// A load that can be published.
#[derive(Debug)]
pub struct Candidate {
    /// The checked config.
    pub config: Arc<Config>,
    /// It, compiled.
    pub snapshot: Snapshot,
    /// The geo table it was compiled with.
    pub geo: Geo,
    /// Warnings.
    pub problems: Problems,
    /// Texts for showing them.
    pub sources: Sources,
    /// The files it was read from.
    pub(super) read: ReadFiles,
}

/// A load that cannot.
#[derive(Debug)]
pub struct Refused {
    /// Everything found, rendered without colour.
    pub report: String,
    /// Everything found.
    pub problems: Problems,
    /// Texts for showing them.
    pub sources: Sources,
    /// The files it was read from.
    pub(super) read: ReadFiles,
}

/// What a load goes on from.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// Serials of the last load.
    pub serials: Serials,
    /// The snapshot in force: what has not changed since need not be parsed and
    /// compiled again.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The geo table in force and the databases it came from: kept when they
    /// cannot be read again.
    pub geo: Option<Geo>,
    /// Number of the snapshot in force.
    pub generation: u64,
}

/// Loads for the first time.
pub fn load(path: &Path) -> Result<Candidate, Box<Refused>> {
    load_after(path, Before::default())
}

/// Loads for a process that is to take the place of one that answers beside it: on a
/// thread of its own, at the low priority of a reload. The thread has ended when this
/// returns.
pub fn load_beside(path: &Path, before: Before) -> Result<Candidate, Box<Refused>> {
    let again = before.clone();
    let beside = std::thread::scope(|scope| {
        let load = || {
            publisher::give_way();
            load_after(path, before)
        };
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, load);
        thread.ok()?.join().ok()
    });
    // Better at the same priority than not at all.
    beside.unwrap_or_else(|| load_after(path, again))
}

/// Loads after another load.
pub fn load_after(path: &Path, before: Before) -> Result<Candidate, Box<Refused>> {
    let in_force = before.snapshot.as_deref();
    let in_force_config = in_force.map(|snapshot| &*snapshot.config);
    let disk = Disk::default();
    let mut loaded = config::load_after(path, &disk, in_force_config);
    let Some(config) = loaded.config.take() else { return Err(refuse(loaded, disk)) };
    let config = Arc::new(config);
    verify::checks(&config, in_force_config, &loaded.origins, &mut loaded.problems);
    verify::listeners(&config, in_force_config, &mut loaded.problems);
    verify::cookies(&config, &mut loaded.problems);
    let serials = match before.generation {
        0 => state::read_serials(&config).unwrap_or_else(|problem| {
            loaded.problems.push(problem);
            Serials::default()
        }),
        _ => before.serials,
    };
    let mut read_databases = Vec::new();
    let geo = match geo::load(&config.geo.databases, before.geo.as_ref()) {
        Ok(geo) => {
            read_databases.extend(geo.files());
            geo
        }
        Err(error) => match before.geo {
            Some(geo) => {
                let problem = Problem::warning("geo-database", error)
                    .note("the table loaded before stays in force");
                loaded.problems.push(problem);
                geo
            }
            None => {
                loaded.problems.push(Problem::error("geo-database", error));
                return Err(refuse(loaded, disk));
            }
        },
    };
    let input = Input {
        config: Arc::clone(&config),
        base: Arc::clone(&geo.table),
        serials,
        now_s: u64::from(clock::unix_s()),
        generation: before.generation + 1,
    };
    match snapshot::compile_after(input, in_force) {
        Ok(_) if loaded.problems.has_errors() => Err(refuse(loaded, disk)),
        Ok((snapshot, warnings)) => {
            for warning in &warnings {
                let problem = problem_of(warning, &loaded.origins);
                loaded.problems.push(problem);
            }
            loaded.problems.sort();
            loaded.fetch_texts(&disk);
            let Loaded { problems, sources, .. } = loaded;
            let mut read = disk.into_read();
            read.files.extend(read_databases);
            Ok(Candidate { config, snapshot, geo, problems, sources, read })
        }
        Err(errors) => {
            for error in &errors {
                let problem = problem_of(error, &loaded.origins);
                loaded.problems.push(problem);
            }
            Err(refuse(loaded, disk))
        }
    }
}

fn refuse(mut loaded: Loaded, disk: Disk) -> Box<Refused> {
    loaded.problems.sort();
    loaded.fetch_texts(&disk);
    let Loaded { problems, sources, .. } = loaded;
    let report = problems.render(&sources, false);
    Box::new(Refused { report, problems, sources, read: disk.into_read() })
}

/// A compiler's finding with its place in the files.
fn problem_of(found: &CompileProblem, origins: &Origins) -> Problem {
    let make = if found.is_error { Problem::error } else { Problem::warning };
    let problem = make(found.code, found.message.clone()).help_if(found.help.clone());
    let problem = at_subject(problem, &found.subject, "", origins);
    match &found.also {
        Some((subject, what)) => at_subject(problem, subject, what, origins),
        None => problem,
    }
}

/// A problem with the place of one entry more.
fn at_subject(problem: Problem, subject: &Subject, what: &str, origins: &Origins) -> Problem {
    let spot = match subject {
        Subject::Config => None,
        Subject::Zone(zone) => origins.zone(*zone as usize),
        Subject::Wip(wip) => origins.wip(*wip),
        Subject::Datacenter(id) => origins.datacenter(*id),
        Subject::MasterFile { zone, line, column } => {
            return match origins.master_file(*zone as usize) {
                Some(file) => problem.at_line(file, *line, *column),
                None => problem,
            };
        }
        Subject::Alias(alias) => origins.alias(*alias as usize),
        Subject::Pool(pool) => origins.pool(*pool),
        Subject::Record { zone, record } => origins.record(*zone as usize, *record as usize),
    };
    match spot {
        Some(spot) => problem.at_with(spot, what),
        None => problem,
    }
}
