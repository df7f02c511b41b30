//! The config loader's files, from the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::config::Files;
use crate::geo::DatabaseBytes;

/// Largest file read: a config of a million WIPs is a tenth of it.
const FILE_LENGTH_MAX: u64 = 2 << 30;

/// What is seen of a file: size, modification time (seconds, nanoseconds), device
/// and inode.
pub(super) type FileState = (u64, i64, i64, u64, u64);

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

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        length_of(path)?;
        std::fs::read(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let paths = glob::glob(pattern).map_err(|error| error.to_string())?;
        paths.map(|path| path.map_err(|error| error.to_string())).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        path.is_file()
    }
}
