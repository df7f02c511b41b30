//! Checks that cannot work on this host, as problems with their place in the config.

use std::os::unix::fs::PermissionsExt;

use crate::admin;
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

/// Looks at the admin listener's certificate and key, and adds what is wrong. One that
/// goes bad while it is in force is a warning, likewise: the listener keeps what it read.
pub(super) fn admin(config: &Config, in_force: Option<&Config>, problems: &mut Problems) {
    let Some(tls) = &config.admin.tls else { return };
    let Err(error) = admin::check_tls(tls) else { return };
    let code = if error.is_unreadable { "file-unreadable" } else { "file-invalid" };
    let goes_on = in_force.is_some_and(|config| config.admin.tls.as_ref() == Some(tls));
    let title = format!("the admin listener cannot speak TLS: {error}");
    let problem = match goes_on {
        true => Problem::warning(code, title),
        false => Problem::error(code, title),
    };
    let spot = if error.is_key { tls.spots.1 } else { tls.spots.0 };
    problems
        .push(problem.at_with(spot, "").help("PEM files: the certificate's chain, and its key"));
}

/// Warns of a file of cookie secrets that everybody on this host can read.
pub(super) fn cookies(config: &Config, problems: &mut Problems) {
    let Some((path, spot)) = &config.cookies.secret_file else { return };
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o007 != 0 {
        let title = format!("everybody on this host can use {}", path.display());
        problems.push(
            Problem::warning("secret-readable", title)
                .at_with(*spot, format!("mode {:04o}", mode & 0o7777))
                .help("who knows the secret has everybody's cookies: chmod o= that file"),
        );
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
