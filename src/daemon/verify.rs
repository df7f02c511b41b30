//! Checks that cannot work on this host, as problems with their place in the config.

use crate::config::Origins;
use crate::config::model::{CheckId, Config};
use crate::probe::{Checked, Flaw, verify};
use crate::problem::{Problem, Problems};

/// Looks at every check of `config`, used or not, and adds what is wrong. Blocks.
///
/// What is wrong with a check that is in force already, unchanged, is a warning: a file
/// that has gone since must not keep another change from being loaded.
pub(super) fn checks(
    config: &Config,
    in_force: Option<&Config>,
    origins: &Origins,
    problems: &mut Problems,
) {
    let goes_on = |id: usize| {
        let check = &config.health_checks[id];
        in_force.into_iter().flat_map(|config| &config.health_checks).any(|old| {
            old.name == check.name && old.probe == check.probe && old.address == check.address
        })
    };
    let checks = config.health_checks.iter();
    let checks: Vec<Checked<'_>> = checks
        .map(|check| Checked { probe: &check.probe, address: check.address.as_ref() })
        .collect();
    for mut flaw in verify(&checks) {
        flaw.is_error &= !goes_on(flaw.check);
        let name = &config.health_checks[flaw.check].name;
        let problem = problem(&flaw, name);
        problems.push(match origins.check_key(flaw.check as CheckId, flaw.key) {
            Some(spot) => problem.at_with(spot, ""),
            None => problem,
        });
    }
}

fn problem(flaw: &Flaw, name: &str) -> Problem {
    let problem = match flaw.is_error {
        true => {
            Problem::error(flaw.code, format!("the check \"{name}\" cannot work: {}", flaw.message))
        }
        false => {
            Problem::warning(flaw.code, format!("the check \"{name}\" may fail: {}", flaw.message))
        }
    };
    problem.help(flaw.help)
}
