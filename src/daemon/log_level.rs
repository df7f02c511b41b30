//! The level of the log, set while the server runs, and taken back in time.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::admin::ApiError;
use crate::admin::types::{LOG_CONFIGURED, LOG_FOR_MAX_S, LogRequest, LogStatus};
use crate::config::model;
use crate::log::{self, Levels, LogError};

/// Longest filter, as in `[log] level`.
const LEVEL_LENGTH_MAX: usize = 1_024;

/// What is logged.
pub(super) fn status() -> Result<LogStatus, ApiError> {
    Ok(shown(levels()?))
}

/// Logs as `request` says; what ends it by itself runs on `runtime`.
pub(super) fn set(
    runtime: &Handle,
    request: &LogRequest,
    now_s: u64,
) -> Result<LogStatus, ApiError> {
    let invalid = |why: String| ApiError::Invalid(why);
    let level = request.level.trim();
    if level.len() > LEVEL_LENGTH_MAX {
        return Err(invalid(format!("a level has at most {LEVEL_LENGTH_MAX} bytes")));
    }
    match request.for_s {
        Some(_) if level == LOG_CONFIGURED => {
            return Err(invalid("what is configured holds without an end".to_owned()));
        }
        Some(for_s) if !(1..=LOG_FOR_MAX_S).contains(&for_s) => {
            return Err(invalid(format!("for_s is 1 to {LOG_FOR_MAX_S} seconds, not {for_s}")));
        }
        _ => {}
    }
    let levels = levels()?;
    let bad = |error: LogError| match error {
        LogError::Level(_) | LogError::Filter(_) => invalid(error.to_string()),
        error => ApiError::NotReady(error.to_string()),
    };
    if level == LOG_CONFIGURED {
        levels.reset().map_err(bad)?;
        return Ok(shown(levels));
    }
    let until_s = request.for_s.map(|for_s| now_s.saturating_add(for_s));
    let turn = levels.set(level, until_s).map_err(bad)?;
    if let Some(for_s) = request.for_s {
        runtime.spawn(async move {
            tokio::time::sleep(Duration::from_secs(for_s)).await;
            if levels.end(turn) {
                let level = levels.level().filter;
                tracing::error!(level, "log level is what is configured again");
            }
        });
    }
    Ok(shown(levels))
}

/// Takes `[log]` of a config that came into force.
pub(super) fn configure(log: &model::Log) {
    if let Some(levels) = log::levels()
        && let Err(error) = levels.configure(log.level.as_deref())
    {
        tracing::error!(%error, "the configured log level is not taken");
    }
}

fn levels() -> Result<&'static Levels, ApiError> {
    let none = || ApiError::NotReady("this process has no log of its own".to_owned());
    log::levels().ok_or_else(none)
}

fn shown(levels: &Levels) -> LogStatus {
    let log::Level { filter, set_by, configured, until_s } = levels.level();
    LogStatus { level: filter, set_by: set_by.as_str().to_owned(), configured, until_s }
}
