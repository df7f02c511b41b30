//! `windrose serve`

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::Failed;
use crate::daemon::{Daemon, Sockets, become_user, load, user_to_become};
use crate::daemon::upgrade::{Program, TakeOver};
use crate::log;
use crate::service::{self, Notifier};

pub(super) fn run(config_path: &Path) -> Result<(), Failed> {
    // First of all: it needs a process of one thread.
    let mut given = service::take_sockets()?;
    let loaded = load::load(config_path).map_err(|refused| Failed(refused.report))?;
    // As root: the sockets, then nothing more as root, then everything that makes threads.
    // Else: in the order that lets a server that ends go first.
    let bound = match user_to_become(&loaded.config)? {
        Some(user) => {
            let sockets = Sockets::bind(&loaded.config, std::mem::take(&mut given))?;
            become_user(&loaded.config, &user)?;
            Some(sockets)
        }
        None => None,
    };
    service::keep_to_ourselves();
    let filter = std::env::var(log::FILTER_VARIABLE).ok();
    log::init(&loaded.config.log, filter.as_deref())?;
    log::report_panics();
    let result = serve(config_path, loaded, bound, given);
    let given = service::take_sockets()?;
    let from = TakeOver::from_environment()?;
    let program = Program::of_this_process();
    let before = from.as_ref().map(TakeOver::before).unwrap_or_default();
    let loaded = load::load_after(config_path, before).map_err(|refused| {
        from.iter().for_each(|from| from.refuse(&refused.report));
        Failed(refused.report)
    })?;
    let result = serve(config_path, loaded, given, from, program);
    // What failed is printed next, and the process ends.
    log::flush();
    result
}

fn serve(
    config_path: &Path,
    loaded: load::Candidate,
    bound: Option<Sockets>,
    given: Vec<(String, OwnedFd)>,
    from: Option<TakeOver>,
    program: Program,
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
    let config = Arc::clone(&loaded.config);
    let bind = || bound.map_or_else(|| Sockets::bind(&config, given), Ok);
    let daemon = Daemon::start_on(config_path.to_owned(), loaded, bind)?;
    let bind = |from: Option<&mut TakeOver>| match from {
        Some(from) => Sockets::take(&config, from),
        None => Sockets::bind(&config, given),
    };
    let daemon = Daemon::start_on(config_path.to_owned(), loaded, from, bind)?;
    daemon.may_be_upgraded(program);
    daemon.report_to(Arc::new(notifier));
    let result = daemon.run_until_signal().map_err(Failed::from);
    daemon.stop();
    result
}
