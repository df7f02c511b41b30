//! What threads ask of the runner, without waiting for ever: it may be stuck.
//!
//! ```text
//!   ASKED ──► BEGUN ──► TAKEN      the runner's, one step after another
//!     └─────────┴─────► GIVEN UP   the asker's, who went away
//! ```
//!
//! A plan that was given up is never taken: what is served would go on reading the
//! words of the plan before, which nobody writes any more.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc as blocking;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::prepared::Prepared;
use super::runner::Command;
use super::{Prober, Stopped};
use crate::health::plan::Plan;
use crate::health::table::Table;
use crate::health::{Engine, Now};

/// The runner looks for commands every half second at the latest; a host under attack
/// leaves it a small part of a processor.
const BEGIN_WAIT: Duration = Duration::from_secs(5);
/// Longest that it may take to work through a plan: seconds for millions of targets.
const WORK_WAIT: Duration = Duration::from_secs(60);

/// Why a plan was not taken. What was probed before is, if anything is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotApplied {
    /// The thread has ended.
    #[error(
        "the prober has died, which is a bug (the log says where): nothing is probed, members \
         are answered as before, and no config can be taken until the server is restarted"
    )]
    Stopped,
    /// It does not answer.
    #[error(
        "the prober is stuck and did not take the config in time: members are answered as \
         before; load it again once the log says that the prober goes on, and restart the \
         server if it never does"
    )]
    Stuck,
}

impl From<Stopped> for NotApplied {
    fn from(_: Stopped) -> NotApplied {
        NotApplied::Stopped
    }
}

//------------ Claim ----------------------------------------------------------

const ASKED: u8 = 0;
const BEGUN: u8 = 1;
const TAKEN: u8 = 2;
const GIVEN_UP: u8 = 3;

/// Whose a plan is. See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Claim(AtomicU8);

impl Claim {
    /// False: the asker went away.
    pub(super) fn begin(&self) -> bool {
        self.step(ASKED, BEGUN)
    }

    /// False: the asker went away.
    pub(super) fn take(&self) -> bool {
        self.step(BEGUN, TAKEN)
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

//------------ Prober ---------------------------------------------------------

impl Prober {
    /// Probes `plan` from now on, keeping history. The table is fully written;
    /// the one before is written no more, so publish the snapshot at once.
    /// Blocks, and reads CA files: not for async tasks.
    ///
    /// # Errors
    /// What [`NotApplied`] says; all is as it was.
    pub fn apply(&self, plan: Plan) -> Result<Arc<Table>, NotApplied> {
        self.apply_within(BEGIN_WAIT, plan)
    }

    /// As [`Prober::apply`], if the runner begins with it so soon.
    pub(super) fn apply_within(
        &self,
        begin: Duration,
        plan: Plan,
    ) -> Result<Arc<Table>, NotApplied> {
        let prepared = {
            // Replaced whole: a panic leaves what was there.
            let mut last = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Arc::new(Prepared::load(&plan, &last));
            Arc::clone(&last)
        };
        let (reply, answer) = blocking::sync_channel(1);
        let claim = Arc::new(Claim::default());
        let command = Command::Apply { plan, prepared, claim: Arc::clone(&claim), reply };
        self.commands.send(command).map_err(|_| Stopped)?;
        // What it had come to when time was over; a plan that is taken is answered at once.
        for (wait, stage) in [(begin, ASKED), (WORK_WAIT, BEGUN), (WORK_WAIT, TAKEN)] {
            match answer.recv_timeout(wait) {
                Ok(table) => return Ok(table),
                Err(blocking::RecvTimeoutError::Disconnected) => return Err(NotApplied::Stopped),
                Err(blocking::RecvTimeoutError::Timeout) if claim.step(stage, GIVEN_UP) => break,
                Err(blocking::RecvTimeoutError::Timeout) => {}
            }
        }
        Err(NotApplied::Stuck)
    }

    /// As [`Prober::look`], for threads: waits so long and no longer. None: the prober
    /// has stopped, or is stuck.
    pub fn look_within<T: Send + 'static>(
        &self,
        within: Duration,
        look: impl FnOnce(&Engine, Now) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = blocking::sync_channel(1);
        let asker = Arc::new(());
        let waits = Arc::downgrade(&asker);
        let look = Box::new(move |engine: &Engine, now: Now| {
            // An asker who went away needs no answer: a runner that was stuck for long
            // finds many of them.
            if waits.strong_count() > 0 {
                let _ = reply.send(look(engine, now));
            }
        });
        self.commands.send(Command::Look(look)).ok()?;
        let found = answer.recv_timeout(within).ok();
        drop(asker);
        found
    }
}
