//! Signals that a server hears: from when it says that it is ready, and those that are
//! requests already while it loads. One that comes too early would end the process.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is heard, and kept until somebody waits for it.
pub struct Signals {
    hangup: Signal,
    upgrade: Signal,
    /// Terminate and interrupt.
    stop: Option<[Signal; 2]>,
}

/// One that came.
pub(super) enum Heard {
    Stop,
    Reload,
    Upgrade,
}

impl Signals {
    /// From now on SIGHUP and SIGUSR2 wait. Starts no thread.
    ///
    /// # Errors
    /// The system refuses.
    pub fn of_requests() -> io::Result<Signals> {
        // What is heard is of the process: a later runtime passes it on.
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let _within = runtime.enter();
        let (hangup, upgrade) =
            (signal(SignalKind::hangup())?, signal(SignalKind::user_defined2())?);
        Ok(Signals { hangup, upgrade, stop: None })
    }

    /// From now on SIGTERM and SIGINT wait too. Before there is something to stop they
    /// end the process, as they do any.
    ///
    /// # Errors
    /// The system refuses.
    pub fn and_stop(mut self) -> io::Result<Signals> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let _within = runtime.enter();
        self.stop = Some([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]);
        Ok(self)
    }

    /// The next.
    pub(super) async fn next(&mut self) -> Heard {
        let stop = async |stop: &mut Option<[Signal; 2]>| match stop {
            Some([terminate, interrupt]) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            None => std::future::pending().await,
        };
        tokio::select! {
            () = stop(&mut self.stop) => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload,
            _ = self.upgrade.recv() => Heard::Upgrade,
        }
    }
}
