//! Checks that cannot work on this host, as problems with their place in the config.

use std::os::unix::fs::PermissionsExt;

use crate::clock;
use crate::config::Origins;
use crate::config::model::{CheckId, Config, TlsFiles};
use crate::probe::{Checked, Flaw, verify};
use crate::problem::{Problem, Problems};
use crate::tls::{self, Owner, TlsError};

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

/// Looks at the certificates and keys of our own listeners, and adds what is wrong. One
/// that goes bad while it is in force is a warning, likewise: the listener keeps what it
/// read.
pub(super) fn listeners(config: &Config, in_force: Option<&Config>, problems: &mut Problems) {
    let admin = |config: &Config| config.admin.tls.clone();
    let dns = |config: &Config| config.tls.files.clone();
    let asked = [
        (Owner::Admin, admin(config), in_force.and_then(admin), "the admin listener"),
        (Owner::Dns, dns(config), in_force.and_then(dns), "[tls]"),
    ];
    for (owner, files, before, who) in asked {
        let Some(files) = files else { continue };
        match tls::check(&files, owner) {
            Err(error) => {
                let goes_on = before.as_ref() == Some(&files);
                problems.push(unusable(&error, &files, goes_on, who));
            }
            Ok(expires_s) => {
                let soon = expires_s.and_then(|at_s| expiring(at_s, &files, config, who));
                soon.into_iter().for_each(|problem| problems.push(problem));
            }
        }
    }
}

fn unusable(error: &TlsError, files: &TlsFiles, goes_on: bool, who: &str) -> Problem {
    let code = if error.is_unreadable { "file-unreadable" } else { "file-invalid" };
    let title = format!("{who} cannot speak TLS: {error}");
    let problem = match goes_on {
        true => Problem::warning(code, title),
        false => Problem::error(code, title),
    };
    let spot = if error.is_key { files.spots.1 } else { files.spots.0 };
    problem.at_with(spot, "").help("PEM files: the certificate's chain, and its key")
}

/// A certificate that clients will soon refuse, or do already.
fn expiring(expires_s: u64, files: &TlsFiles, config: &Config, who: &str) -> Option<Problem> {
    let now_s = u64::from(clock::unix_s());
    let warning_s = u64::from(config.health.certificate_warning_s);
    if warning_s == 0 || expires_s > now_s + warning_s {
        return None;
    }
    let title = match expires_s.checked_sub(now_s) {
        None | Some(0) => format!("the certificate of {who} has expired: clients refuse it"),
        Some(left_s) => {
            format!("the certificate of {who} expires in {} days", left_s.div_ceil(86_400))
        }
    };
    let problem = Problem::warning("certificate-expires", title).at_with(files.spots.0, "");
    Some(problem.help("replace its files: a new pair counts within seconds, without a restart"))
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
