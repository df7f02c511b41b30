//! The level in force, and who set it: the config, the environment, or an operator for
//! a while.
//!
//! An operator's level outlives neither the process nor its time. What it goes back to is
//! what holds then, not what held when it was set.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{FILTER_DEFAULT, LogError, LogHandle};

/// Whose word the level is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetBy {
    /// Nobody's.
    Default,
    /// `[log] level`.
    Config,
    /// The environment variable, which wins over the config.
    Environment,
    /// An operator's, which wins over both.
    Operator,
}

impl SetBy {
    /// As the API gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            SetBy::Default => "default",
            SetBy::Config => "config",
            SetBy::Environment => "environment",
            SetBy::Operator => "operator",
        }
    }
}

/// The level of a running log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Level {
    /// The filter in force, as its parser writes it.
    pub filter: String,
    /// Whose it is.
    pub set_by: SetBy,
    /// The filter that holds without an operator's.
    pub configured: String,
    /// When an operator's ends, in unix seconds; none: with the process.
    pub until_s: Option<u64>,
}

/// Sets the level of a running log.
#[derive(Debug)]
pub struct Levels {
    handle: LogHandle,
    environment: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: Option<String>,
    /// An operator's is in force, until this unix second if it has an end.
    by_operator: Option<Option<u64>>,
    /// Grows with each word of an operator, so that the end of one does not end the next.
    turn: u64,
}

impl Levels {
    /// Of a log that was started with these.
    pub(super) fn new(
        handle: LogHandle,
        config: Option<String>,
        environment: Option<String>,
    ) -> Levels {
        let state = State { config, by_operator: None, turn: 0 };
        Levels { handle, environment, state: Mutex::new(state) }
    }

    /// What is in force.
    pub fn level(&self) -> Level {
        let state = self.state();
        let (configured, set_by) = self.configured(&state);
        Level {
            filter: self.handle.filter(),
            set_by: if state.by_operator.is_some() { SetBy::Operator } else { set_by },
            configured: configured.to_owned(),
            until_s: state.by_operator.flatten(),
        }
    }

    /// An operator's word; a bad filter changes nothing. The number is for
    /// [`end`](Levels::end), which whoever gives an end calls then.
    pub fn set(&self, filter: &str, until_s: Option<u64>) -> Result<u64, LogError> {
        let mut state = self.state();
        self.handle.set_filter(filter)?;
        state.by_operator = Some(until_s);
        state.turn += 1;
        Ok(state.turn)
    }

    /// Back to what the environment or the config says.
    pub fn reset(&self) -> Result<(), LogError> {
        let mut state = self.state();
        self.handle.set_filter(self.configured(&state).0)?;
        state.by_operator = None;
        state.turn += 1;
        Ok(())
    }

    /// Ends the word of that number; false when another came since.
    pub fn end(&self, turn: u64) -> bool {
        if self.state().turn != turn {
            return false;
        }
        self.reset().is_ok()
    }

    /// Takes `[log] level` of a config that came into force.
    pub fn configure(&self, level: Option<&str>) -> Result<(), LogError> {
        let mut state = self.state();
        if state.config.as_deref() == level {
            return Ok(());
        }
        state.config = level.map(str::to_owned);
        if state.by_operator.is_none() {
            self.handle.set_filter(self.configured(&state).0)?;
        }
        Ok(())
    }

    fn configured<'a>(&'a self, state: &'a State) -> (&'a str, SetBy) {
        match (&self.environment, &state.config) {
            (Some(filter), _) => (filter, SetBy::Environment),
            (None, Some(filter)) => (filter, SetBy::Config),
            (None, None) => (FILTER_DEFAULT, SetBy::Default),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{subscriber, tests::Kept};
    use super::*;
    use crate::config::model;

    /// Levels of a log with these settings, and the log's subscriber, without which it
    /// has ended.
    fn levels(config: Option<&str>, environment: Option<&str>) -> (Levels, impl Sized) {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let settings = model::Log { level: own(config), ..Default::default() };
        let (subscriber, handle) =
            subscriber(&settings, environment, false, Kept::default()).unwrap();
        (Levels::new(handle, own(config), own(environment)), subscriber)
    }

    fn seen(levels: &Levels) -> (String, &'static str, Option<u64>) {
        let Level { filter, set_by, until_s, .. } = levels.level();
        (filter, set_by.as_str(), until_s)
    }

    #[test]
    fn an_operators_level_holds_until_it_is_taken_back() {
        let (levels, _log) = levels(Some("warn"), None);
        assert_eq!(seen(&levels), ("warn".to_owned(), "config", None));
        levels.set("windrose::probe=debug", None).unwrap();
        assert_eq!(seen(&levels), ("windrose::probe=debug".to_owned(), "operator", None));
        assert_eq!(levels.level().configured, "warn");
        levels.set("lots", None).unwrap_err();
        assert_eq!(seen(&levels).0, "windrose::probe=debug");
        levels.reset().unwrap();
        assert_eq!(seen(&levels), ("warn".to_owned(), "config", None));
    }

    #[test]
    fn the_end_of_one_word_does_not_end_the_next() {
        let (levels, _log) = levels(None, None);
        let first = levels.set("debug", Some(100)).unwrap();
        let second = levels.set("trace", Some(200)).unwrap();
        assert!(!levels.end(first));
        assert_eq!(seen(&levels), ("trace".to_owned(), "operator", Some(200)));
        assert!(levels.end(second));
        assert_eq!(seen(&levels), ("info".to_owned(), "default", None));
    }

    #[test]
    fn a_config_that_is_loaded_sets_the_level_unless_others_do() {
        let (plain, _log) = levels(Some("warn"), None);
        plain.configure(Some("error")).unwrap();
        assert_eq!(seen(&plain), ("error".to_owned(), "config", None));
        plain.set("debug", None).unwrap();
        plain.configure(None).unwrap();
        assert_eq!(seen(&plain).0, "debug");
        plain.reset().unwrap();
        assert_eq!(seen(&plain), ("info".to_owned(), "default", None));
        let (forced, _log) = levels(Some("warn"), Some("trace"));
        forced.configure(Some("error")).unwrap();
        assert_eq!(seen(&forced), ("trace".to_owned(), "environment", None));
    }
}
