//! `windrose serve`

use std::path::Path;
use std::sync::Arc;

use super::Failed;
use crate::daemon::{Daemon, load};
use crate::log;
use crate::service::Notifier;

pub(super) fn run(config_path: &Path) -> Result<(), Failed> {
    let loaded = load::load(config_path).map_err(|refused| Failed(refused.report))?;
    let filter = std::env::var(log::FILTER_VARIABLE).ok();
    log::init(&loaded.config.log, filter.as_deref())?;
    log::report_panics();
    let result = serve(config_path, loaded);
    // What failed is printed next, and the process ends.
    log::flush();
    result
}

fn serve(config_path: &Path, loaded: load::Candidate) -> Result<(), Failed> {
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
    let daemon = Daemon::start_loaded(config_path.to_owned(), loaded)?;
    daemon.report_to(Arc::new(notifier));
    let result = daemon.run_until_signal().map_err(Failed::from);
    daemon.stop();
    result
}
