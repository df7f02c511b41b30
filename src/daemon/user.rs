//! Becoming the user that the config names, once all sockets are bound.
//!
//! What would stop that user later stops the start: a state directory it cannot write
//! to, a file that a reload could not read.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

use crate::config::model::{AdminListen, Config, QueryLogTo};
use crate::health::check::{ProbeKind, TlsProbe};
use crate::service::{self, PrivilegeError, User, UserError};

/// Entries of a state directory that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// Why this process cannot go on as the user.
#[derive(Debug, thiserror::Error)]
pub enum BecomeError {
    /// There is none.
    #[error("[server] user: {0}")]
    User(#[from] UserError),
    /// Privileges cannot be given up.
    #[error("[server] user: {0}")]
    Privileges(#[from] PrivilegeError),
    /// Its state could not be kept.
    #[error(
        "the state directory is no use to user {user}: {} belongs to user {owner}; \
         chown -R {user}: {}", path.display(), directory.display()
    )]
    State {
        /// Who is to write there.
        user: String,
        /// The state directory.
        directory: PathBuf,
        /// What stands in the way.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A file or directory cannot be dealt with.
    #[error("{}: {what}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was to be done.
        what: String,
        /// What the system said.
        error: io::Error,
    },
}

/// The user this process is still to become; none: the config names nobody, or it is
/// that user already.
///
/// # Errors
/// There is no such user, or this process may not become it.
pub fn user_to_become(config: &Config) -> Result<Option<User>, BecomeError> {
    let Some(name) = &config.server.user else { return Ok(None) };
    let user = service::find_user(name)?;
    Ok(service::is_still_to_become(&user)?.then_some(user))
}

/// Becomes it, for good. Only for a process of one thread.
///
/// # Errors
/// It cannot, or could not do its work then: the process must end.
pub fn become_user(config: &Config, user: &User) -> Result<(), BecomeError> {
    if let Some(directory) = &config.server.state_dir {
        prepare_state(directory, user)?;
    }
    if let Some(AdminListen::Unix(path)) = &config.admin.listen {
        give_socket(path, user)?;
    }
    let sends_echoes = |kind: &ProbeKind| matches!(kind, ProbeKind::Icmp(_));
    let raw = config.health_checks.iter().any(|check| sends_echoes(&check.probe));
    service::become_user(user, raw)?;
    for path in read_later(config) {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let what = format!("user {} cannot read it, as a reload has to", user.name);
                return Err(BecomeError::File { path: path.to_owned(), what, error });
            }
            // What else is wrong with it was said by the load.
            _ => {}
        }
    }
    if let Some(QueryLogTo::File { path, .. }) = &config.query_log.to {
        may_make_files(path.parent().unwrap_or(Path::new("/")), user)?;
    }
    Ok(())
}

/// All files that are read again while the server is at work.
fn read_later(config: &Config) -> Vec<&Path> {
    let admin = config.admin.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
    let hooks =
        config.webhooks.iter().flat_map(|hook| hook.secret_file.iter().chain(&hook.ca_file));
    let checks = config.health_checks.iter().filter_map(|check| tls_of(&check.probe));
    let checks = checks.flat_map(|tls| {
        let client = tls.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        client.chain(&tls.ca_file)
    });
    let files = config.files.iter().chain(&config.geo.databases).chain(&config.admin.token_file);
    let cookies = config.cookies.secret_file.iter().map(|(path, _)| path);
    files.chain(cookies).chain(admin).chain(hooks).chain(checks).map(PathBuf::as_path).collect()
}

fn tls_of(probe: &ProbeKind) -> Option<&TlsProbe> {
    match probe {
        ProbeKind::Http(http) => http.tls.as_ref(),
        ProbeKind::Tcp(tcp) => tcp.tls.as_ref(),
        ProbeKind::Grpc(grpc) => grpc.tls.as_ref(),
        ProbeKind::Icmp(_)
        | ProbeKind::Dns(_)
        | ProbeKind::Exec(_)
        | ProbeKind::File(_)
        | ProbeKind::Always => None,
    }
}

/// Whether the user, which this process is by now, may make files there.
fn may_make_files(directory: &Path, user: &User) -> Result<(), BecomeError> {
    // Only trying tells, whatever lists of access there are.
    let path = directory.join(format!(".windrose-{}", std::process::id()));
    match File::create_new(&path) {
        Ok(_) => drop(fs::remove_file(&path)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let what = format!("user {} cannot write there, as [query_log] file has to", user.name);
            return Err(BecomeError::File { path: directory.to_owned(), what, error });
        }
        // One that is missing may be made yet: the query log tries again.
        Err(_) => {}
    }
    Ok(())
}

/// Makes the directory for the user, or sees that it and what is in it are the user's.
fn prepare_state(directory: &Path, user: &User) -> Result<(), BecomeError> {
    let failed = |what: &str| {
        let (path, what) = (directory.to_owned(), what.to_owned());
        move |error| BecomeError::File { path, what, error }
    };
    if !directory.exists() {
        if let Some(parent) = directory.parent() {
            fs::create_dir_all(parent).map_err(failed("cannot make its parent"))?;
        }
        fs::DirBuilder::new().mode(0o750).create(directory).map_err(failed("cannot make it"))?;
        return lchown(directory, Some(user.uid), Some(user.gid)).map_err(failed("cannot give it"));
    }
    let entries = fs::read_dir(directory).map_err(failed("cannot read it"))?;
    let paths = entries.take(ENTRIES_MAX).filter_map(|entry| Some(entry.ok()?.path()));
    for path in [directory.to_owned()].into_iter().chain(paths) {
        // One that is gone meanwhile stands in nobody's way.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if !may_write(&metadata, user) {
            let (user, directory) = (user.name.clone(), directory.to_owned());
            return Err(BecomeError::State { user, directory, path, owner: metadata.uid() });
        }
    }
    Ok(())
}

fn may_write(metadata: &fs::Metadata, user: &User) -> bool {
    let mode = metadata.mode();
    let bits = if metadata.uid() == user.uid {
        mode >> 6
    } else if user.groups.contains(&metadata.gid()) {
        mode >> 3
    } else {
        mode
    };
    bits & 0o2 != 0
}

/// The admin listener's socket was made by root: its owner and group may use it.
fn give_socket(path: &Path, user: &User) -> Result<(), BecomeError> {
    let ours = |metadata: fs::Metadata| metadata.file_type().is_socket() && metadata.uid() == 0;
    if !fs::symlink_metadata(path).is_ok_and(ours) {
        return Ok(());
    }
    // What somebody puts in its place meanwhile may be a link to anything.
    lchown(path, Some(user.uid), Some(user.gid)).map_err(|error| BecomeError::File {
        path: path.to_owned(),
        what: format!("cannot give it to user {}", user.name),
        error,
    })
}
