//! Upgrade in place: a new process takes the place of this one over the very same
//! sockets, and no query is lost (decision 0045).
//!
//! ```text
//!   this server                          the new one, of the same path and arguments
//!   starts it ──────────────────────────► loads, checks
//!   answers on                            "prepared"
//!   health, turns, events, as of now ───► goes on with them; answers too
//!   stops, connections ─────────────────► "ready"
//! ```
//!
//! For a moment both answer from one queue: what either takes, it answers. Until the new
//! one says that it is ready, whatever happens to it is its own affair: it is killed, and
//! this server goes on as if nothing had been.
//!
//! While an upgrade is under way no config is loaded and no override is taken. From when
//! the new process has its config this one writes nothing to the state directory: the new
//! one reads it, and writes.

mod channel;
mod letters;
mod program;
mod starting;
mod take_over;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, TryLockError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub use self::program::Program;
pub(super) use self::take_over::Handed;
pub use self::take_over::{TakeOver, TakeOverError};

use self::channel::{Channel, ChannelError, DESCRIPTORS_MAX};
use self::letters::{
    CONNECTION, Connection, DESCRIPTORS, EVENTS, HEALTH, HELLO, Hello, OFFER, Offer,
    OfferedAddress, OfferedEncrypted, PREPARED, Prepared, READY, STATE_END, STATE_FORMAT, TURNS,
};
use self::starting::{Failed, Starting};
use super::publisher::Publisher;
use crate::admin::types::{Event, EventKind, Upgraded};
use crate::admin::{self, ApiError, Ownership};
use crate::config::model::AdminListen;
use crate::dns::cookie::Secret;
use crate::listen::{Moved, Offered, OfferedSocket, Running};

/// A new process must say that it is there within this time: it has done nothing yet.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// And have loaded and checked its config within this one, a million WIPs too.
const PREPARED_WAIT: Duration = Duration::from_secs(35);
/// And answer within this one after it has the state.
const READY_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for the prober's copy of its history.
const HISTORY_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for the last write of the health state.
const SAVE_WAIT: Duration = Duration::from_secs(5);
/// How long connections may stay that cannot go to the new process: those whose client
/// does not read the reply it is owed.
pub(super) const LEAVE_WAIT: Duration = Duration::from_secs(10);

/// A stop came before the new process was ready.
const STOPPING: Failed = Failed::Own("this server is stopping");

/// The process that took over, and what is still to be done for it.
#[derive(Debug)]
pub(super) struct Successor {
    channel: Arc<Channel>,
    /// Its process.
    pub(super) pid: u32,
    /// It has the admin listener too.
    admin: bool,
}

impl Successor {
    /// Hands a connection over.
    pub(super) fn take(&self, moved: &Moved) {
        let Moved { stream, client, input, unanswered } = moved;
        let word = Connection { client: *client, unanswered: *unanswered };
        let Ok(mut payload) = serde_json::to_vec(&word) else { return };
        payload.push(b'\n');
        payload.extend_from_slice(input);
        if let Err(error) = self.channel.send(CONNECTION, &payload, &[stream.as_fd()]) {
            tracing::warn!(%client, %error, "a TCP connection was not handed over");
        }
    }
}

/// The admin listener of this server.
#[derive(Debug)]
pub(super) struct AdminSocket {
    /// As configured.
    pub(super) listen: String,
    pub(super) descriptor: OwnedFd,
    pub(super) file: Ownership,
}

impl AdminSocket {
    pub(super) fn of(bound: &admin::Bound, listen: &AdminListen) -> std::io::Result<AdminSocket> {
        let (descriptor, file) = (bound.descriptor()?, bound.ownership());
        Ok(AdminSocket { listen: listen.to_string(), descriptor, file })
    }
}

//------------ Upgrader -------------------------------------------------------

/// Replaces this server when asked to.
pub(super) struct Upgrader {
    /// What is started; none: this process is more than a server.
    program: OnceLock<Program>,
    publisher: Arc<Publisher>,
    running: Weak<Running>,
    admin: Option<AdminSocket>,
    /// Who took over.
    successor: watch::Sender<Option<Arc<Successor>>>,
    one_at_a_time: Mutex<()>,
}

impl Upgrader {
    pub(super) fn new(
        publisher: &Arc<Publisher>,
        running: &Arc<Running>,
        admin: Option<AdminSocket>,
    ) -> Upgrader {
        Upgrader {
            program: OnceLock::new(),
            publisher: Arc::clone(publisher),
            running: Arc::downgrade(running),
            admin,
            successor: watch::Sender::new(None),
            one_at_a_time: Mutex::new(()),
        }
    }

    /// From now on this server may be replaced, by `program`.
    pub(super) fn allow(&self, program: Program) {
        let _ = self.program.set(program);
    }

    /// Told of the process that took over.
    pub(super) fn successor(&self) -> watch::Receiver<Option<Arc<Successor>>> {
        self.successor.subscribe()
    }

    /// Replaces this server. Returns when the new one answers, or when it is clear that
    /// it never will.
    pub(super) fn upgrade(&self, cause: &str) -> Result<Upgraded, ApiError> {
        let not_now = |why: &str| Err(ApiError::NoUpgrade(why.to_owned()));
        let _one = match self.one_at_a_time.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return not_now("An upgrade is under way."),
        };
        if std::process::id() == 1 {
            return not_now(
                "This server is process 1, with which its container ends: replace the container.",
            );
        }
        let Some(program) = self.program.get() else {
            return not_now("This server was not started by `windrose serve`.");
        };
        // Waits for a load that runs, and others wait for this.
        let loads = self.publisher.hold_loads();
        if self.publisher.stopping.load(Ordering::Relaxed) {
            return not_now("This server is stopping.");
        }
        tracing::info!(cause, program = %program.path().display(), "upgrade begins");
        self.publisher.overrides.freeze(true);
        let begun = Instant::now();
        match self.attempt(program) {
            Ok((hello, successor)) => {
                // Whoever waits to load finds that there is nothing to load for.
                drop(loads);
                self.publisher.teller.handed_over(hello.pid);
                if let (true, Some(admin)) = (successor.admin, &self.admin) {
                    admin.file.set(false);
                }
                let took_ms = begun.elapsed().as_millis() as u64;
                tracing::info!(pid = hello.pid, version = hello.version, took_ms, "upgraded");
                self.successor.send_replace(Some(Arc::new(successor)));
                Ok(Upgraded {
                    old_pid: std::process::id(),
                    new_pid: hello.pid,
                    old_version: env!("CARGO_PKG_VERSION").to_owned(),
                    new_version: hello.version,
                    took_ms,
                })
            }
            Err(failed) => {
                self.publisher.overrides.freeze(false);
                self.publisher.wake.go_on();
                let why = failed.to_string();
                tracing::error!(cause, why, "no upgrade: this server goes on");
                self.publisher.tell(EventKind::UpgradeFailed { why: why.clone() });
                Err(ApiError::UpgradeFailed(format!("{why}; this server goes on as it was")))
            }
        }
    }

    /// The whole conversation, up to the word that the new process answers.
    fn attempt(&self, program: &Program) -> Result<(Hello, Successor), Failed> {
        let mut starting = Starting::start(program, &self.publisher)?;
        let talk = || -> Result<(Hello, Prepared), Failed> {
            let hello = starting.word(HELLO, HELLO_WAIT, "did not begin")?;
            // Held no longer than needed: a stop need not wait for it.
            let running = self.running.upgrade().ok_or(STOPPING)?;
            running
                .offered(|plain, encrypted| self.offer(&starting.channel, plain, encrypted))
                .map_err(|error| Failed::at("did not take the sockets", error))?;
            drop(running);
            let prepared = starting.word(PREPARED, PREPARED_WAIT, "was not prepared")?;
            // What is on the disk from here on is the new process's.
            if !self.publisher.wake.pause(SAVE_WAIT) {
                return Err(Failed::Own("the last write of the health state hangs"));
            }
            self.give_state(&starting.channel)
                .map_err(|error| Failed::at("did not take the state", error))?;
            starting.hear(READY, READY_WAIT, "did not become ready")?;
            // Whoever was told to stop meanwhile means the service, not this process.
            if self.publisher.stopping.swap(true, Ordering::AcqRel) {
                return Err(STOPPING);
            }
            Ok((hello, prepared))
        };
        match talk() {
            Ok((hello, Prepared { admin })) => {
                let (pid, channel) = (hello.pid, starting.let_go());
                Ok((hello, Successor { channel, pid, admin }))
            }
            Err(failed) => Err(starting.end(failed)),
        }
    }

    fn offer(
        &self,
        channel: &Channel,
        plain: &[Offered<'_>],
        encrypted: &[OfferedSocket<'_>],
    ) -> Result<(), ChannelError> {
        let snapshot = Arc::clone(&self.publisher.serving().snapshot);
        let state = self.publisher.state.as_ref();
        let lock = state.and_then(|state| state.lock());
        let mut descriptors: Vec<BorrowedFd<'_>> = Vec::new();
        let mut addresses = Vec::new();
        for Offered { asked, udp, tcp } in plain {
            addresses.push(OfferedAddress { asked: *asked, udp: udp.len() });
            descriptors.extend(udp);
            descriptors.push(*tcp);
        }
        descriptors.extend(self.admin.iter().map(|admin| admin.descriptor.as_fd()));
        descriptors.extend(lock);
        descriptors.extend(encrypted.iter().map(|one| one.socket));
        let name = |one: &OfferedSocket<'_>| OfferedEncrypted {
            transport: one.transport.label().to_owned(),
            asked: one.asked,
        };
        let offer = Offer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            state_format: STATE_FORMAT,
            generation: snapshot.generation,
            serials: letters::serials_of(&snapshot.serials),
            addresses,
            encrypted: encrypted.iter().map(name).collect(),
            admin: self.admin.as_ref().map(|admin| admin.listen.clone()),
            admin_file: self.admin.as_ref().is_some_and(|admin| admin.file.is_ours()),
            state_dir: lock.and(state).map(|state| state.path().to_owned()),
            cookie_secret: self.publisher.cookie_secret.map(Secret::to_hex),
        };
        let text = serde_json::to_vec(&offer).map_err(|_| ChannelError::Strange("no JSON"))?;
        channel.send(OFFER, &text, &[])?;
        descriptors
            .chunks(DESCRIPTORS_MAX)
            .try_for_each(|some| channel.send(DESCRIPTORS, b"", some))
    }

    /// Health, turns and events as they are now: the less time passes from here to the
    /// new process's first answer, the less it has missed.
    fn give_state(&self, channel: &Channel) -> Result<(), ChannelError> {
        let kept = self.publisher.journal.kept();
        let events: Vec<&Event> = kept.iter().map(|event| &**event).collect();
        let events = serde_json::to_vec(&events).unwrap_or_default();
        channel.send(EVENTS, &events, &[])?;
        // A prober that is stuck has nothing to tell; the new process reads the file.
        if let Some(saved) = self.publisher.history(HISTORY_WAIT) {
            channel.send(HEALTH, &saved.encode(), &[])?;
        }
        channel.send(TURNS, &self.publisher.serving().turns(), &[])?;
        channel.send(STATE_END, b"", &[])
    }
}
