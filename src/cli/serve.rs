//! `windrose serve`

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::Failed;
use crate::config::model::Config;
use crate::daemon::upgrade::{Program, TakeOver};
use crate::daemon::{Daemon, Signals, Sockets, StartError, become_user, load, user_to_become};
use crate::log;
use crate::service::{self, Notifier};

pub(super) fn run(config_path: &Path) -> Result<(), Failed> {
    // First of all: it needs a process of one thread.
    let mut given = service::take_sockets()?;
    let program = Program::of_this_process();
    let signals = Signals::of_requests()?;
    let mut from = TakeOver::from_environment()?;
    let begun = begin(config_path, &mut given, from.as_mut());
    if let (Some(from), Err(Failed(why))) = (&from, &begun) {
        from.refuse(why);
    }
    let (loaded, bound) = begun?;
    service::keep_to_ourselves();
    let filter = std::env::var(log::FILTER_VARIABLE).ok();
    log::init(&loaded.config.log, filter.as_deref())?;
    log::report_panics();
    let bind = |config: &Config, from: Option<&mut TakeOver>| match (bound, from) {
        (Some(sockets), _) => Ok(sockets),
        (None, Some(from)) => Sockets::take(config, from),
        (None, None) => Sockets::bind(config, given),
    };
    let result = serve(config_path, loaded, from, bind, (program, signals));
    // What failed is printed next, and the process ends.
    log::flush();
    result
}

/// Loads. As root, where the config names a user: the sockets, then nothing more as root,
/// then everything that makes threads. Else: in the order that lets a server that ends go
/// first.
fn begin(
    config_path: &Path,
    given: &mut Vec<(String, OwnedFd)>,
    from: Option<&mut TakeOver>,
) -> Result<(load::Candidate, Option<Sockets>), Failed> {
    let loaded = match &from {
        Some(from) => load::load_beside(config_path, from.before()),
        None => load::load(config_path),
    };
    let loaded = loaded.map_err(|refused| Failed(refused.report))?;
    let Some(user) = user_to_become(&loaded.config)? else { return Ok((loaded, None)) };
    let sockets = match from {
        Some(from) => Sockets::take(&loaded.config, from)?,
        None => Sockets::bind(&loaded.config, std::mem::take(given))?,
    };
    become_user(&loaded.config, &user)?;
    Ok((loaded, Some(sockets)))
}

fn serve(
    config_path: &Path,
    loaded: load::Candidate,
    from: Option<TakeOver>,
    bind: impl FnOnce(&Config, Option<&mut TakeOver>) -> Result<Sockets, StartError>,
    (program, signals): (Program, Signals),
) -> Result<(), Failed> {
    if !loaded.problems.is_empty() {
        // Through the log, so that every line of it keeps its form.
        let report = loaded.problems.render(&loaded.sources, false);
        let warnings = loaded.problems.warnings();
        tracing::warn!(warnings, "the config is taken, with warnings\n{report}");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %config_path.display(),
        zones = loaded.config.zones.len(),
        wips = loaded.config.wips.len(),
        probes = loaded.snapshot.plan.targets.len(),
        "starting"
    );
    let notifier = Notifier::from_environment()?;
    // Before a server that ends with this one's first word is told anything.
    let signals = signals.and_stop()?;
    let config = Arc::clone(&loaded.config);
    let bind = |from: Option<&mut TakeOver>| bind(&config, from);
    let daemon = Daemon::start_on(config_path.to_owned(), loaded, from, bind)?;
    daemon.may_be_upgraded(program);
    daemon.report_to(Arc::new(notifier));
    daemon.run_until_signal(signals);
    daemon.stop();
    Ok(())
}
