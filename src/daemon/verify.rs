//! Checks that cannot work on this host, as problems with their place in the config.

use crate::config::Origins;
use crate::config::model::{CheckId, Config};
use crate::probe::{Checked, Flaw, verify};
use crate::problem::{Problem, Problems};

/// Looks at every check of `config`, used or not, and adds what is wrong. Blocks.
pub(super) fn checks(config: &Config, origins: &Origins, problems: &mut Problems) {
    let checks = config.health_checks.iter();
    let checks: Vec<Checked<'_>> = checks
        .map(|check| Checked { probe: &check.probe, address: check.address.as_ref() })
        .collect();
    for flaw in verify(&checks) {
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
