//! Watching files: a change is loaded once it has settled.
//!
//! ```text
//! notice, or 2 s ─► look: as loaded? ─yes─► wait
//!                     │no
//!                     ▼
//!                   look again until nothing has moved for 100 ms
//!                   and whoever wrote has closed its file ─► load
//! ```
//!
//! The kernel's notices only wake this thread early; what decides is size, time
//! and identity of every file, looked at through links, so that a Kubernetes
//! ConfigMap's swapped link counts as a change, and a missed notice is made up
//! for within seconds. That a writer still has a file open is known from notices
//! alone: it can put a load off for a while and no more.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::Watcher;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use tokio::sync::watch as signal;

use super::disk::{Disk, FileState, state_of};
use super::publisher::{Cause, Publisher};
use crate::config::Files;

/// How often files are looked at without a notice.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How soon a stop is noticed.
const STOP_WAIT: Duration = Duration::from_millis(100);
/// A file has settled when it looks the same twice, this far apart.
const SETTLE: Duration = Duration::from_millis(100);
/// Longest wait for a file that never settles.
const SETTLE_ROUNDS_MAX: usize = 600;
/// Longest wait for a writer that rests without closing its file.
const CLOSE_ROUNDS_MAX: usize = 20;

/// Most open files kept in mind: the directories may have other users.
const OPEN_MAX: usize = 4_096;

/// What is seen of the files.
pub(super) type Seen = BTreeMap<PathBuf, Option<FileState>>;

/// Starts the watching thread.
pub(super) fn start(
    publisher: Arc<Publisher>,
    stopping: signal::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || Watch::new(publisher, stopping).run())
}

/// Keeps `open` up to what a notice says.
fn note_writers(event: &notify::Event, open: &mut HashSet<PathBuf>) {
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) if open.len() < OPEN_MAX => {
            open.extend(event.paths.iter().cloned());
        }
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Remove(_)
        | EventKind::Modify(ModifyKind::Name(_)) => {
            for path in &event.paths {
                open.remove(path);
            }
        }
        _ => {}
    }
}

struct Watch {
    publisher: Arc<Publisher>,
    stopping: signal::Receiver<bool>,
    notices: mpsc::Receiver<()>,
    /// Files that were written to and not closed since.
    open: Arc<Mutex<HashSet<PathBuf>>>,
    watcher: Option<notify::RecommendedWatcher>,
    directories: Vec<PathBuf>,
}

impl Watch {
    fn new(publisher: Arc<Publisher>, stopping: signal::Receiver<bool>) -> Watch {
        let (sender, notices) = mpsc::channel();
        let open = Arc::new(Mutex::new(HashSet::new()));
        let written = Arc::clone(&open);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            note_writers(&event, &mut written.lock().unwrap_or_else(PoisonError::into_inner));
            if !event.kind.is_access() {
                let _ = sender.send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "no file notices: changes are seen within seconds");
            })
            .ok();
        Watch { publisher, stopping, notices, open, watcher, directories: Vec::new() }
    }

    fn run(mut self) {
        let mut loaded = look(&self.publisher);
        self.follow(&loaded);
        let mut looked = Instant::now();
        while !*self.stopping.borrow() {
            match self.notices.recv_timeout(STOP_WAIT) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) if looked.elapsed() < LOOK_EVERY => continue,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY),
            }
            while self.notices.try_recv().is_ok() {}
            let seen = look(&self.publisher);
            looked = Instant::now();
            if seen == loaded {
                continue;
            }
            loaded = self.settle(seen);
            // SIGHUP or the API may have been first.
            if !self.publisher.has_read(&loaded) {
                self.publisher.reload_and_log(Cause::FileChange);
            }
            // Includes may name other files now.
            let after = look(&self.publisher);
            loaded.retain(|path, _| after.contains_key(path));
            for (path, state) in after {
                loaded.entry(path).or_insert(state);
            }
            self.follow(&loaded);
        }
    }

    /// Waits until all files look the same twice and are closed.
    fn settle(&self, mut seen: Seen) -> Seen {
        let mut resting = 0;
        for _ in 0..SETTLE_ROUNDS_MAX {
            std::thread::sleep(SETTLE);
            let again = look(&self.publisher);
            if again != seen {
                seen = again;
                resting = 0;
            } else if resting == CLOSE_ROUNDS_MAX || !self.being_written(&seen) {
                break;
            } else {
                resting += 1;
            }
        }
        seen
    }

    /// Whether a writer has one of these files open, as far as notices tell.
    fn being_written(&self, seen: &Seen) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_empty() {
            return false;
        }
        // Notices have whole paths. What is said of files that are none of ours
        // need not be kept.
        let ours: HashSet<PathBuf> =
            seen.keys().filter_map(|path| std::path::absolute(path).ok()).collect();
        open.retain(|path| ours.contains(path));
        !open.is_empty()
    }

    /// Asks for notices on the directories of all files.
    fn follow(&mut self, seen: &Seen) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut directories: Vec<PathBuf> = seen
            .keys()
            .filter_map(|path| path.parent())
            .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
            .map(Path::to_owned)
            .collect();
        directories.sort();
        directories.dedup();
        for gone in self.directories.iter().filter(|known| !directories.contains(known)) {
            let _ = watcher.unwatch(gone);
        }
        for new in directories.iter().filter(|new| !self.directories.contains(new)) {
            if let Err(error) = watcher.watch(new, notify::RecursiveMode::NonRecursive) {
                tracing::debug!(directory = %new.display(), %error, "no notices for this directory");
            }
        }
        self.directories = directories;
    }
}

/// The state of every file the config in force was read from, of the main
/// file's includes as they are now, and of the geo databases.
pub(super) fn look(publisher: &Publisher) -> Seen {
    let config = Arc::clone(&publisher.serving().snapshot.config);
    let mut paths: Vec<PathBuf> = vec![publisher.path().to_owned()];
    paths.extend(config.files.iter().cloned());
    paths.extend(config.geo.databases.iter().cloned());
    paths.extend(publisher.refused_files());
    for pattern in &config.include_patterns {
        paths.extend(Disk.glob(pattern).unwrap_or_default());
    }
    paths.into_iter().map(|path| (state_of(&path), path)).map(|(s, p)| (p, s)).collect()
}
