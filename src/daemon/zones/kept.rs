//! Zones that were transferred, as master files in `state_dir/zones`.
//!
//! A file is the zone as it was last taken, written whole or not at all. The time it was
//! changed last is that of the last check that found it current: after a restart its age
//! tells whether it has expired.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::model::{Config, MasterFile};
use crate::daemon::state::write_whole;
use crate::dns::Name;

/// Largest file read.
const FILE_LENGTH_MAX: u64 = 2 << 30;
/// Where the files are, below `state_dir`.
const DIRECTORY: &str = "zones";

/// A zone that is offered to a load before it is kept.
#[derive(Clone, Debug)]
pub struct Offered {
    /// Its apex, in lower case.
    pub origin: Name,
    /// Its master file.
    pub text: Arc<[u8]>,
}

/// Gives each zone that comes from primaries its data: what is offered, else what is in
/// force, else what an earlier process kept.
pub(in crate::daemon) fn attach(
    config: &mut Config,
    offered: Option<&Offered>,
    in_force: Option<&Config>,
) {
    let Some(state_dir) = config.server.state_dir.clone() else { return };
    for zone in config.zones.iter_mut().filter(|zone| zone.is_secondary()) {
        let path = path_of(&state_dir, &zone.origin);
        let text = match offered.filter(|offered| offered.origin == zone.origin) {
            Some(offered) => Some(offered.text.to_vec()),
            None => in_force_text(in_force, &zone.origin).or_else(|| read(&path)),
        };
        zone.file = text.map(|text| MasterFile { path, text });
    }
}

fn in_force_text(in_force: Option<&Config>, origin: &Name) -> Option<Vec<u8>> {
    let mut zones = in_force?.zones.iter().filter(|zone| zone.is_secondary());
    let zone = zones.find(|zone| zone.origin == *origin)?;
    zone.file.as_ref().map(|file| file.text.clone())
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > FILE_LENGTH_MAX {
        return None;
    }
    fs::read(path).ok()
}

/// The file of a zone.
pub(super) fn path_of(state_dir: &Path, origin: &Name) -> PathBuf {
    let mut name = String::new();
    for byte in origin.to_string().into_bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            // Nothing in a name may lead to another directory.
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    // Longer than a file's name may be: a hash tells such zones apart.
    if name.len() > 200 {
        let hash = xxhash_rust::xxh3::xxh3_64(origin.wire());
        name = format!("{}%{hash:016x}", &name[..150]);
    }
    state_dir.join(DIRECTORY).join(format!("{name}.zone"))
}

/// Keeps a zone, so that it outlives a loss of power.
pub(super) fn write(state_dir: &Path, origin: &Name, text: &[u8]) -> io::Result<()> {
    let path = path_of(state_dir, origin);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    write_whole(&path, text)
}

/// Notes that a zone is current as of now.
pub(super) fn touch(state_dir: &Path, origin: &Name) -> io::Result<()> {
    File::options().write(true).open(path_of(state_dir, origin))?.set_modified(SystemTime::now())
}

/// How long ago a zone was current; none: it is not kept. A clock that went back makes it
/// new.
pub(super) fn age(state_dir: &Path, origin: &Name) -> Option<Duration> {
    let modified = fs::metadata(path_of(state_dir, origin)).ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(modified.max(UNIX_EPOCH)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_of_its_own_in_the_directory() {
        let path = |name: &str| path_of(Path::new("/s"), &Name::parse(name).unwrap());
        assert_eq!(path("corp.example"), Path::new("/s/zones/corp.example.zone"));
        assert_eq!(path("."), Path::new("/s/zones/..zone"));
        for name in ["a/b.example", "\\000.example", "\\.\\./x"] {
            let path = path(name);
            assert_eq!(path.parent(), Some(Path::new("/s/zones")), "{name}");
        }
        let long = [&"a".repeat(63)[..]; 3].join(".");
        let (one, other) = (path(&format!("{long}.one")), path(&format!("{long}.two")));
        assert_ne!(one, other);
        let (one, other) =
            (format!("{long}.{}", "b".repeat(30)), format!("{long}.{}c", "b".repeat(29)));
        assert_ne!(path(&one), path(&other));
    }

    #[test]
    fn a_zone_is_kept_and_its_age_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let origin = Name::parse("corp.example").unwrap();
        assert_eq!(age(directory.path(), &origin), None);
        write(directory.path(), &origin, b"; empty\n").unwrap();
        assert!(age(directory.path(), &origin).unwrap() < Duration::from_secs(60));
        let file = File::options().write(true).open(path_of(directory.path(), &origin)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(500)).unwrap();
        assert!(age(directory.path(), &origin).unwrap() >= Duration::from_secs(499));
        touch(directory.path(), &origin).unwrap();
        assert!(age(directory.path(), &origin).unwrap() < Duration::from_secs(60));
    }
}
