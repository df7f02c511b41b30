//! The config loader's files, from the disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Files;

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

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let metadata = std::fs::metadata(path)?;
        // A pipe or device would hold the load up, maybe for ever.
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if metadata.len() > FILE_LENGTH_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 2 GiB"));
        }
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
