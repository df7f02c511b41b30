//! Writing a file so that there is always a whole one: the old one or the new one.
//!
//! ```text
//!   create F.new ─► write ─► sync ─► rename to F ─► sync of the directory
//! ```
//!
//! The bytes are on the disk before they get the name, and the name before the
//! write counts as done: neither `kill -9` nor the loss of power leaves anything
//! else. Each step goes through [`Steps`], so that a test can break off between
//! any two, and within the write after any byte.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Ending of a file that is being written.
const ASIDE: &str = "new";

/// Puts `bytes` in the place of the file `path`.
///
/// # Errors
/// The step that failed. The file is as it was, or, if only the last step failed,
/// the new one, which may not survive the loss of power.
pub(super) fn write_whole(steps: &impl Steps, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = aside(path);
    let written = steps.create(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        steps.sync(&file)
    });
    if let Err(error) = written.and_then(|()| steps.rename(&aside, path)) {
        // A disk that is full must not stay so.
        let _ = steps.remove(&aside);
        return Err(error);
    }
    steps.sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Removes what a process that was killed left of a write.
pub(super) fn clean_up(path: &Path) {
    let _ = fs::remove_file(aside(path));
}

/// Where a file is written: beside it, for a rename crosses no file system.
fn aside(path: &Path) -> PathBuf {
    path.with_added_extension(ASIDE)
}

//------------ Steps ----------------------------------------------------------

/// What a write does to the world.
pub(super) trait Steps {
    /// A file open for writing.
    type File: Write;
    /// Makes an empty file, or empties it.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Puts what was written on the disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Gives a file the name of another, which is no more.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Puts the names in a directory on the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Takes a file away.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
pub(super) struct Disk;

impl Steps for Disk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        File::create(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
