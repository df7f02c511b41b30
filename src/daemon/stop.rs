//! How the server ends: for good, or because another process has its place.

use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Daemon;
use super::upgrade::{LEAVE_WAIT, Successor};

/// Longest wait for the runtime's tasks at a stop.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// Longest wait for requests to the admin listener, when another process has it.
const ADMIN_WAIT: Duration = Duration::from_secs(3);
/// Longest wait for an upgrade that was decided when the stop came: what is left of it
/// is to tell the service manager.
const DECIDED_WAIT: Duration = Duration::from_secs(10);

impl Daemon {
    /// Stops: no new queries, state is saved, probes end, threads join. Where another
    /// process has taken over, state is its, and so are connections.
    pub fn stop(self) {
        // Whoever sets this first decides: an upgrade that comes second ends the process
        // that it started.
        if self.publisher.stopping.swap(true, Ordering::AcqRel)
            && let Some(successor) = self.successor()
        {
            return self.leave(&successor);
        }
        tracing::info!("stopping");
        self.publisher.teller.stopping();
        let _ = self.stop.send(true);
        // Through the shared reference: an upgrade that is under way counts with it, and
        // so does the admin listener.
        self.running.stop_now();
        if let Some(saver) = self.saver {
            saver.stop();
        }
        self.publisher.stop();
        if let Some(watching) = self.publisher.watching.get() {
            watching.stop();
        }
        self.runtime.shutdown_timeout(STOP_WAIT);
        join_watcher(&self.watcher);
    }

    /// The process that has this one's place, once it is told that it has.
    fn successor(&self) -> Option<std::sync::Arc<Successor>> {
        let mut told = self.upgrader.successor();
        self.runtime.block_on(async {
            let told = tokio::time::timeout(DECIDED_WAIT, told.wait_for(Option::is_some)).await;
            told.ok()?.ok()?.clone()
        })
    }

    /// Gives everything to the process that answers already, and ends.
    fn leave(self, successor: &Successor) {
        let _ = self.stop.send(true);
        self.running.hand_over(LEAVE_WAIT, |moved| successor.take(&moved));
        let watching = self.publisher.watching.get();
        // Before the other's file has grown to where this one would put it aside.
        watching.inspect(|watching| watching.stop_logging());
        // Probes of two would be twice as many.
        self.publisher.stop();
        // The other process tells what comes after what was handed to it, and no more.
        watching.inspect(|watching| watching.stop());
        if let Some(task) = self.admin_task {
            // Whoever asked for the upgrade gets an answer.
            let ended =
                self.runtime.block_on(async { tokio::time::timeout(ADMIN_WAIT, task).await });
            if ended.is_err() {
                tracing::warn!("the admin listener does not end: not waiting for it");
            }
        }
        if let Some(saver) = self.saver {
            saver.stop();
        }
        self.runtime.shutdown_timeout(STOP_WAIT);
        join_watcher(&self.watcher);
        tracing::info!(pid = successor.pid, "handed over: this process ends");
    }
}

fn join_watcher(watcher: &JoinHandle<()>) {
    // It may be in the middle of a load, which nobody needs any more.
    let begun = Instant::now();
    while !watcher.is_finished() && begun.elapsed() < STOP_WAIT {
        std::thread::sleep(Duration::from_millis(5));
    }
}
