//! The process that is to take over, while it does not yet: its life is in this one's hand.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::channel::{Channel, ChannelError, Frame};
use super::letters::FAILED;
use super::program::Program;
use super::take_over::VARIABLE;
use crate::daemon::publisher::Publisher;
use crate::service::{self, MEANT_FOR_ONE_PROCESS};

/// A process whose line has closed is about to end; how it does is waited for so long.
const END_WAIT: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why there is no upgrade. In each case this server goes on as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// Nothing can be started there.
    #[error("cannot start {program}: {error}")]
    Start { program: String, error: io::Error },
    /// It did not get as far as it should.
    #[error("the new process {stage}: {error}{ended}")]
    Line {
        stage: &'static str,
        error: ChannelError,
        /// " (exit status: 1)", where it ended by itself.
        ended: String,
    },
    /// It says so itself.
    #[error("the new process refuses: {0}")]
    Refused(String),
    /// This server cannot give what is needed.
    #[error("{0}")]
    Own(&'static str),
}

impl Failed {
    pub(super) fn at(stage: &'static str, error: ChannelError) -> Failed {
        Failed::Line { stage, error, ended: String::new() }
    }
}

/// The process, and the line to it. Dropped, it is killed.
pub(super) struct Starting<'p> {
    child: Option<Child>,
    pub(super) channel: Arc<Channel>,
    publisher: &'p Publisher,
}

impl<'p> Starting<'p> {
    /// Starts `program`.
    pub(super) fn start(
        program: &Program,
        publisher: &'p Publisher,
    ) -> Result<Starting<'p>, Failed> {
        let own = |_| Failed::Own("this server has no descriptor left for an upgrade");
        let (ours, theirs) = UnixStream::pair().map_err(own)?;
        let channel = Arc::new(Channel::new(ours).map_err(own)?);
        let mut command = program.command();
        command.env(VARIABLE, std::process::id().to_string());
        for name in MEANT_FOR_ONE_PROCESS {
            command.env_remove(name);
        }
        // The right to low ports, which no other program that is started here gets.
        let lent = service::lend();
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn();
        drop(lent);
        // The command, which goes here, has the last descriptor of the other end: without
        // it, this end learns when the process ends.
        drop(command);
        let failed = |error| Failed::Start { program: program.path().display().to_string(), error };
        Ok(Starting { child: Some(child.map_err(failed)?), channel, publisher })
    }

    /// The frame `kind`, which is due within a time.
    pub(super) fn hear(
        &self,
        kind: u8,
        within: Duration,
        stage: &'static str,
    ) -> Result<Frame, Failed> {
        let goes_on = || !self.publisher.stopping.load(Ordering::Relaxed);
        let frame = self.channel.receive(within, &goes_on);
        let frame = frame.map_err(|error| Failed::at(stage, error))?;
        match frame.kind {
            found if found == kind => Ok(frame),
            FAILED => {
                Err(Failed::Refused(String::from_utf8_lossy(&frame.payload).trim_end().to_owned()))
            }
            _ => Err(Failed::at(stage, ChannelError::Strange("another word"))),
        }
    }

    /// The same, as what it holds.
    pub(super) fn word<T: DeserializeOwned>(
        &self,
        kind: u8,
        within: Duration,
        stage: &'static str,
    ) -> Result<T, Failed> {
        let frame = self.hear(kind, within, stage)?;
        serde_json::from_slice(&frame.payload)
            .map_err(|_| Failed::at(stage, ChannelError::Strange("no JSON")))
    }

    /// It has taken over: this process may end before it.
    pub(super) fn let_go(mut self) -> Arc<Channel> {
        self.child = None;
        Arc::clone(&self.channel)
    }

    /// Ends the process, and adds how it ended where that was its own doing.
    pub(super) fn end(&mut self, failed: Failed) -> Failed {
        match failed {
            Failed::Line { stage, error: error @ ChannelError::Closed, .. } => {
                let ended = self.status().map(|status| format!(" ({status})")).unwrap_or_default();
                Failed::Line { stage, error, ended }
            }
            failed => failed,
        }
    }

    fn status(&mut self) -> Option<std::process::ExitStatus> {
        let child = self.child.as_mut()?;
        let begun = Instant::now();
        while begun.elapsed() < END_WAIT {
            if let Some(status) = child.try_wait().ok()? {
                return Some(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        None
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended already is only waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
