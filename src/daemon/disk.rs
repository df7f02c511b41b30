//! The config loader's files, from the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Files;
use crate::geo::DatabaseBytes;

/// Largest file read: a config of a million WIPs is a tenth of it.
const FILE_LENGTH_MAX: u64 = 2 << 30;

/// What is seen of a file: size, modification time (seconds, nanoseconds), device
/// and inode.
pub(super) type FileState = (u64, i64, i64, u64, u64);

/// What is seen of files; none: there was none.
pub(super) type Seen = BTreeMap<PathBuf, Option<FileState>>;

/// Looks at a file, through links; none where there is none.
pub(super) fn state_of(path: &Path) -> Option<FileState> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.dev(), metadata.ino()))
}

/// The length of a file that may be read.
fn length_of(path: &Path) -> io::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    // A pipe or device would hold the load up, maybe for ever.
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if metadata.len() > FILE_LENGTH_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 2 GiB"));
    }
    Ok(metadata.len())
}

/// A geo database, read piece by piece.
pub(super) struct DatabaseFile {
    file: File,
    length: u64,
}

impl DatabaseFile {
    pub(super) fn open(path: &Path) -> io::Result<DatabaseFile> {
        let length = length_of(path)?;
        Ok(DatabaseFile { file: File::open(path)?, length })
    }
}

impl DatabaseBytes for DatabaseFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}

//------------ Disk -----------------------------------------------------------

/// What one load read from the disk, so that a change behind its back is seen.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadFiles {
    /// Every file asked for, as it was just before it was read first.
    pub(super) files: Seen,
    /// Every pattern asked for.
    pub(super) patterns: BTreeSet<String>,
}

/// The disk of this machine, for one load.
#[derive(Debug, Default)]
pub(super) struct Disk {
    read: Mutex<ReadFiles>,
}

impl Disk {
    /// What was read.
    pub(super) fn into_read(self) -> ReadFiles {
        self.read.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted(&self) -> MutexGuard<'_, ReadFiles> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Before it is read, and once: the texts for messages are read again later.
        self.noted().files.entry(path.to_owned()).or_insert_with(|| state_of(path));
        length_of(path)?;
        std::fs::read(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        self.noted().patterns.insert(pattern.to_owned());
        let paths = glob::glob(pattern).map_err(|error| error.to_string())?;
        paths.map(|path| path.map_err(|error| error.to_string())).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        path.is_file()
    }
}
