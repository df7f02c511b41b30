//! `windrose serve`

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::Failed;
use crate::daemon::{Daemon, Sockets, become_user, load, user_to_become};
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
    // What failed is printed next, and the process ends.
    log::flush();
    result
}

fn serve(
    config_path: &Path,
    loaded: load::Candidate,
    bound: Option<Sockets>,
    given: Vec<(String, OwnedFd)>,
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
    daemon.report_to(Arc::new(notifier));
    let result = daemon.run_until_signal().map_err(Failed::from);
    daemon.stop();
    result
}
