//! Watching files: a change is loaded once it has settled.
//!
//! The kernel's notices only wake this thread early; what decides is size, time
//! and identity of every file, looked at through links, so that a Kubernetes
//! ConfigMap's swapped link counts as a change, and a missed notice is made up
//! for within seconds.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::Watcher;
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

/// What is seen of the files.
type Seen = BTreeMap<PathBuf, Option<FileState>>;

/// Starts the watching thread.
pub(super) fn start(
    publisher: Arc<Publisher>,
    stopping: signal::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || Watch::new(publisher, stopping).run())
}

struct Watch {
    publisher: Arc<Publisher>,
    stopping: signal::Receiver<bool>,
    notices: mpsc::Receiver<()>,
    watcher: Option<notify::RecommendedWatcher>,
    directories: Vec<PathBuf>,
}

impl Watch {
    fn new(publisher: Arc<Publisher>, stopping: signal::Receiver<bool>) -> Watch {
        let (sender, notices) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "no file notices: changes are seen within seconds");
            })
            .ok();
        Watch { publisher, stopping, notices, watcher, directories: Vec::new() }
    }

    fn run(mut self) {
        let mut loaded = self.look();
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
            let seen = self.look();
            looked = Instant::now();
            if seen == loaded {
                continue;
            }
            loaded = self.settle(seen);
            self.publisher.reload_and_log(Cause::FileChange);
            // Includes may name other files now.
            let after = self.look();
            loaded.retain(|path, _| after.contains_key(path));
            for (path, state) in after {
                loaded.entry(path).or_insert(state);
            }
            self.follow(&loaded);
        }
    }

    /// Waits until all files look the same twice.
    fn settle(&self, mut seen: Seen) -> Seen {
        for _ in 0..SETTLE_ROUNDS_MAX {
            std::thread::sleep(SETTLE);
            let again = self.look();
            if again == seen {
                break;
            }
            seen = again;
        }
        seen
    }

    /// The state of every file the config in force was read from, of the main
    /// file's includes as they are now, and of the geo databases.
    fn look(&self) -> Seen {
        let config = Arc::clone(&self.publisher.serving().snapshot.config);
        let mut paths: Vec<PathBuf> = vec![self.publisher.path().to_owned()];
        paths.extend(config.files.iter().cloned());
        paths.extend(config.geo.databases.iter().cloned());
        paths.extend(self.publisher.refused_files());
        for pattern in &config.include_patterns {
            paths.extend(Disk.glob(pattern).unwrap_or_default());
        }
        paths.into_iter().map(|path| (state_of(&path), path)).map(|(s, p)| (p, s)).collect()
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
