//! The state directory: what outlives the process.
//!
//! ```text
//!   lock           held while a server runs; the number of its process
//!   serials.json   zone serials, written at loads
//!   health         verdicts and counters, written by the saver's thread
//!   overrides.json, audit.log   what operators said over health (daemon/overrides)
//! ```
//!
//! Every file is written by `write`, so that there is always a whole one. Trouble
//! with any of them is said once, counted, and never stops a server: it answers
//! as one without a state directory. Only another server in the same directory
//! does: the two would overwrite each other's state for as long as they run.

mod saver;
mod serials;
mod write;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(super) use saver::{Saver, Wake};
pub(super) use serials::{read_serials, save_serials};

use crate::health::saved::Saved;
use crate::metrics::StateTotals;

const LOCK_FILE: &str = "lock";
const HEALTH_FILE: &str = "health";
const OVERRIDES_FILE: &str = "overrides.json";
const SERIALS_FILE: &str = "serials.json";
/// Longest wait for a server that is about to end.
const LOCK_WAIT: Duration = Duration::from_secs(3);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Largest file read: the state of millions of targets.
const FILE_LENGTH_MAX: u64 = 1 << 30;

/// Another server runs in the state directory.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state directory {} is in use by another server{holder}: give each server a `state_dir` \
     of its own",
    directory.display()
)]
pub struct StateInUse {
    directory: PathBuf,
    /// " (process 4711)", if it says so.
    holder: String,
}

/// The directory of a server that runs.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// Held until the process ends; none: it cannot be locked.
    lock: Option<File>,
    /// Files that cannot be written now, and why.
    trouble: Mutex<BTreeMap<&'static str, String>>,
    saved_at_s: AtomicU64,
    failures: AtomicU64,
}

impl StateDir {
    /// Makes the directory if need be, locks it, and removes what a process that was
    /// killed left of its writes.
    ///
    /// # Errors
    /// Another server holds it.
    pub(super) fn open(path: &Path) -> Result<StateDir, StateInUse> {
        let lock = match lock(path) {
            Ok(lock) => Some(lock),
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            Err(TryLockError::Error(error)) => {
                let directory = path.display();
                tracing::warn!(%directory, %error, "cannot lock the state directory");
                None
            }
        };
        if lock.is_some() {
            for name in [HEALTH_FILE, SERIALS_FILE, OVERRIDES_FILE] {
                write::clean_up(&path.join(name));
            }
        }
        Ok(StateDir::new(path, lock))
    }

    /// Goes on with the directory of a server that holds `lock` and is about to end: what
    /// it writes meanwhile is left alone.
    ///
    /// # Errors
    /// The lock is not the directory's, and another server holds that.
    pub(super) fn take_over(path: &Path, lock: OwnedFd) -> Result<StateDir, StateInUse> {
        let mut lock = File::from(lock);
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let ours = lock.metadata().map(identity).ok();
        let there = fs::metadata(path.join(LOCK_FILE)).map(identity).ok();
        // Of the very same open file, which has it already, this does not wait.
        if ours.is_none() || ours != there || lock.try_lock().is_err() {
            return StateDir::open(path);
        }
        say_holder(&mut lock);
        Ok(StateDir::new(path, Some(lock)))
    }

    fn new(path: &Path, lock: Option<File>) -> StateDir {
        StateDir {
            path: path.to_owned(),
            lock,
            trouble: Mutex::default(),
            saved_at_s: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What holds it, for another process to hold it too.
    pub(super) fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.lock.as_ref().map(AsFd::as_fd)
    }

    /// The health state that an earlier server kept, if there is any and it is whole.
    pub(super) fn read_health(&self) -> Option<Saved> {
        let path = self.path.join(HEALTH_FILE);
        let decoded = match read_bounded(&path) {
            Ok(bytes) => Saved::decode(&bytes).map_err(|unusable| unusable.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(format!("it cannot be read: {error}")),
        };
        let ignored = |reason| {
            let file = path.display();
            tracing::error!(
                %file, reason,
                "the kept health state is ignored as a whole: every target starts unknown"
            );
        };
        decoded.map_err(ignored).ok()
    }

    /// What there is to count.
    pub(super) fn totals(&self) -> StateTotals {
        StateTotals {
            saved_at_s: self.saved_at_s.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    /// Writes the health state; false if that failed.
    fn save_health(&self, saved: &Saved) -> bool {
        let written = self.write(HEALTH_FILE, &saved.encode());
        if written {
            self.saved_at_s.store(u64::from(saved.written_at_s), Ordering::Relaxed);
        }
        written
    }

    /// The overrides that an earlier server kept; none: there is no such file, nor ever was
    /// a directory to keep one in.
    pub(super) fn read_overrides(&self) -> io::Result<Option<Vec<u8>>> {
        match read_bounded(&self.path.join(OVERRIDES_FILE)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the overrides. Once it returns they outlive a loss of power.
    pub(super) fn write_overrides(&self, bytes: &[u8]) -> io::Result<()> {
        self.try_write(OVERRIDES_FILE, bytes)
    }

    /// Writes a file; false if that failed.
    fn write(&self, name: &'static str, bytes: &[u8]) -> bool {
        self.try_write(name, bytes).is_ok()
    }

    /// Writes a file. A failure is said when it is another than
    /// at the last write, and so is its end.
    fn try_write(&self, name: &'static str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        // A directory that was removed is not made again: the lock went with it, and
        // another server could take the new one.
        let result = write::write_whole(&write::Disk, &path, bytes);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let file = path.display();
        match &result {
            Ok(()) => {
                if trouble.remove(name).is_some() {
                    tracing::info!(%file, "state is kept again");
                }
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let error = error.to_string();
                if trouble.get(name) != Some(&error) {
                    tracing::error!(%file, error, "cannot keep state: a restart would lose it");
                    trouble.insert(name, error);
                }
            }
        }
        result
    }
}

/// Puts `bytes` in the place of the file `path`, for good.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write::write_whole(&write::Disk, path, bytes)
}

/// Takes the lock, waiting for a server that is about to end.
fn lock(directory: &Path) -> Result<File, TryLockError> {
    fs::create_dir_all(directory).map_err(TryLockError::Error)?;
    let path = directory.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(path).map_err(TryLockError::Error)?;
    let begun = Instant::now();
    while let Err(error) = file.try_lock() {
        if !matches!(error, TryLockError::WouldBlock) || begun.elapsed() >= LOCK_WAIT {
            return Err(error);
        }
        std::thread::sleep(LOCK_LOOK_EVERY);
    }
    say_holder(&mut file);
    Ok(file)
}

/// For whoever finds it locked; the lock itself does not need it.
fn say_holder(file: &mut File) {
    let rewritten = file.set_len(0).and_then(|()| file.rewind());
    let _ = rewritten.and_then(|()| writeln!(file, "{}", std::process::id()));
}

fn in_use(directory: &Path) -> StateInUse {
    let holder = fs::read_to_string(directory.join(LOCK_FILE)).unwrap_or_default();
    let holder = match holder.trim().parse::<u32>() {
        Ok(process) => format!(" (process {process})"),
        Err(_) => String::new(),
    };
    StateInUse { directory: directory.to_owned(), holder }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // A pipe or a device would hold the start up, maybe for ever.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_LENGTH_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(at_s: u32) -> Saved {
        Saved { written_at_s: at_s, ..Saved::default() }
    }

    #[test]
    fn health_comes_back_and_damaged_health_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/on/the/way");
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.read_health(), None);
        state.save_health(&saved(7));
        assert_eq!(state.read_health(), Some(saved(7)));
        assert_eq!(state.totals(), StateTotals { saved_at_s: 7, failures: 0 });
        let file = path.join(HEALTH_FILE);
        let whole = fs::read(&file).unwrap();
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..length]).unwrap();
            assert_eq!(state.read_health(), None, "{length} bytes");
        }
        state.save_health(&saved(8));
        assert_eq!(state.read_health(), Some(saved(8)));
        // Nothing that could not be opened holds the start up.
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(state.read_health(), None);
    }

    #[test]
    fn writes_that_fail_are_counted_and_leave_the_rest_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let state = StateDir::open(&path).unwrap();
        state.save_health(&saved(7));
        // Where it would be written stands something else.
        let aside = path.join("health.new");
        fs::create_dir(&aside).unwrap();
        for failures in 1..=3 {
            assert!(!state.save_health(&saved(8)));
            assert_eq!(state.totals(), StateTotals { saved_at_s: 7, failures });
        }
        assert_eq!(state.trouble.lock().unwrap().len(), 1);
        assert_eq!(state.read_health(), Some(saved(7)));
        fs::remove_dir(&aside).unwrap();
        assert!(state.save_health(&saved(9)));
        assert_eq!(state.totals(), StateTotals { saved_at_s: 9, failures: 3 });
        assert!(state.trouble.lock().unwrap().is_empty());
        // A directory that was taken away is missed, and not made again without its lock.
        fs::remove_dir_all(&path).unwrap();
        assert!(!state.save_health(&saved(10)) && !path.exists());
        assert_eq!(state.totals(), StateTotals { saved_at_s: 9, failures: 4 });
        assert_eq!(state.trouble.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_directory_has_one_server_and_is_cleaned_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let aside = path.join("health.new");
        fs::write(&aside, "left by a kill").unwrap();
        let first = StateDir::open(path).unwrap();
        assert!(!aside.exists());
        fs::write(&aside, "the first is writing").unwrap();
        let refused = StateDir::open(path).unwrap_err().to_string();
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
        assert!(aside.exists());
        drop(first);
        StateDir::open(path).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_is_no_reason_not_to_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "no directory").unwrap();
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.read_health(), None);
        state.save_health(&saved(7));
        assert_eq!(state.totals(), StateTotals { saved_at_s: 0, failures: 1 });
    }
}
