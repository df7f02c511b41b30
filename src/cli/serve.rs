//! `windrose serve`

use std::path::Path;

use super::{Failed, complain};
use crate::daemon::{Daemon, load};
use crate::log;

pub(super) fn run(config_path: &Path) -> Result<(), Failed> {
    let loaded = load::load(config_path).map_err(|refused| Failed(refused.report))?;
    let filter = std::env::var(log::FILTER_VARIABLE).ok();
    log::init(&loaded.config.log, filter.as_deref())?;
    if !loaded.problems.is_empty() {
        complain(&loaded.problems.render(&loaded.sources, false));
    }
    let daemon = Daemon::start_loaded(config_path.to_owned(), loaded)?;
    let result = daemon.run_until_signal().map_err(Failed::from);
    daemon.stop();
    result
}
