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

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::Watcher;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use tokio::sync::watch as signal;

use super::disk::{Disk, FileState, Seen, state_of};
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
    /// Directories that notices come from, with device and inode: one that was
    /// replaced gives none.
    directories: BTreeMap<PathBuf, (u64, u64)>,
    /// Files that no load has asked for, as they were when one was made for them.
    unread: Seen,
}

impl Watch {
    fn new(publisher: Arc<Publisher>, stopping: signal::Receiver<bool>) -> Watch {
        // One waiting notice says as much as many.
        let (sender, notices) = mpsc::sync_channel(1);
        let open = Arc::new(Mutex::new(HashSet::new()));
        let written = Arc::clone(&open);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            note_writers(&event, &mut written.lock().unwrap_or_else(PoisonError::into_inner));
            if !event.kind.is_access() {
                let _ = sender.try_send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "no file notices: changes are seen within seconds");
            })
            .ok();
        let (directories, unread) = (BTreeMap::new(), Seen::new());
        Watch { publisher, stopping, notices, open, watcher, directories, unread }
    }

    fn run(mut self) {
        let mut loaded = self.as_loaded(Seen::new());
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
            self.follow(&seen);
            if seen == loaded {
                continue;
            }
            loaded = self.settle(seen);
            // Before the load: who writes while it runs is to be noticed.
            self.follow(&loaded);
            if *self.stopping.borrow() {
                break;
            }
            // SIGHUP or the API may have been first.
            if !self.publisher.has_read(&loaded) {
                self.publisher.reload_and_log(Cause::FileChange);
            }
            // Includes may name other files now.
            loaded = self.as_loaded(loaded);
            self.follow(&loaded);
        }
    }

    /// All files that are to be watched now, as they were when the last load read
    /// them: one that has changed since is a change. `before` is what was seen of
    /// those that it did not read.
    fn as_loaded(&mut self, mut before: Seen) -> Seen {
        let read = self.publisher.read_files();
        let as_loaded = |(path, state): (PathBuf, Option<FileState>)| {
            let state = match (read.files.get(&path), before.remove(&path)) {
                (Some(&read), _) => read,
                (None, Some(before)) => before,
                // It came behind the load's back; one load is made for it, no more.
                (None, None) if self.unread.get(&path) != Some(&state) => {
                    self.unread.insert(path.clone(), state);
                    None
                }
                (None, None) => state,
            };
            (path, state)
        };
        look(&self.publisher).into_iter().map(as_loaded).collect()
    }

    /// Waits until all files look the same twice and are closed.
    fn settle(&self, mut seen: Seen) -> Seen {
        let mut resting = 0;
        for _ in 0..SETTLE_ROUNDS_MAX {
            if *self.stopping.borrow() {
                break;
            }
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

    /// Asks for notices on the directories of all files, and again on one that was
    /// replaced by another of its name.
    fn follow(&mut self, seen: &Seen) {
        let Some(watcher) = &mut self.watcher else { return };
        let parents: BTreeSet<&Path> = seen
            .keys()
            .filter_map(|path| path.parent())
            .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
            .collect();
        let identity = |path: &Path| state_of(path).map(|(_, _, _, device, inode)| (device, inode));
        let directories: BTreeMap<&Path, (u64, u64)> =
            parents.into_iter().filter_map(|path| Some((path, identity(path)?))).collect();
        self.directories.retain(|path, identity| {
            let stays = directories.get(&**path) == Some(identity);
            if !stays {
                let _ = watcher.unwatch(path);
            }
            stays
        });
        for (path, identity) in directories {
            if self.directories.contains_key(path) {
                continue;
            }
            match watcher.watch(path, notify::RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.directories.insert(path.to_owned(), identity);
                }
                Err(error) => {
                    let directory = path.display();
                    tracing::debug!(%directory, %error, "no notices for this directory");
                }
            }
        }
    }
}

/// The state of every file the config in force was read from, of those that the last
/// load asked for, of what is included as it is now, and of the geo databases.
pub(super) fn look(publisher: &Publisher) -> Seen {
    let config = Arc::clone(&publisher.serving().snapshot.config);
    let mut paths: Vec<PathBuf> = vec![publisher.path().to_owned()];
    paths.extend(config.files.iter().cloned());
    paths.extend(config.geo.databases.iter().cloned());
    let read = publisher.read_files();
    paths.extend(read.files.into_keys());
    let patterns = config.include_patterns.iter().chain(&read.patterns);
    let disk = Disk::default();
    for pattern in patterns.collect::<BTreeSet<_>>() {
        paths.extend(disk.glob(pattern).unwrap_or_default());
    }
    paths.into_iter().map(|path| (state_of(&path), path)).map(|(s, p)| (p, s)).collect()
}
