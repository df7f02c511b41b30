//! The side of the server that takes another's place.
//!
//! Until it says that it is ready, nothing it does may harm the one at work: it shuts no
//! socket down, removes no file, and writes no state: it loads nothing anew, saves nothing,
//! and takes no override.
//! socket down and removes no file. Of state it writes zone serials alone, when the one at
//! work has stopped writing: they are those that it was given or later ones.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::getppid;

use super::channel::{Channel, ChannelError, Descriptors, Frame};
use super::letters::{
    CONNECTION, Connection, DESCRIPTORS, EVENTS, FAILED, HEALTH, HELLO, Hello, OFFER, Offer,
    OfferedEncrypted, PREPARED, Prepared, READY, STATE_END, STATE_FORMAT, TURNS,
};
use crate::admin::types::Event;
use crate::daemon::load::Before;
use crate::dns::cookie::Secret;
use crate::health::saved::Saved;
use crate::listen::{Inherited, InheritedSocket, Moved, Running, Transport};

/// Number of the process that is to be replaced: the one that started this one, to which
/// standard input leads.
pub(super) const VARIABLE: &str = "WINDROSE_TAKE_OVER";

/// Longest wait for what the server at work says next.
const WORD_WAIT: Duration = Duration::from_secs(60);
/// Longest wait for a next connection, while the server before ends.
const CONNECTION_WAIT: Duration = Duration::from_secs(30);

/// There is nothing to take over, although there should be.
#[derive(Debug, thiserror::Error)]
#[error("cannot take over from the server at work: {0}")]
pub struct TakeOverError(#[from] ChannelError);

/// What a server at work gives, and the line to it.
#[derive(Debug)]
pub struct TakeOver {
    channel: Arc<Channel>,
    offer: Offer,
    addresses: Vec<Inherited>,
    encrypted: Vec<InheritedSocket>,
    admin: Option<OwnedFd>,
    /// And was taken.
    has_admin: bool,
    lock: Option<OwnedFd>,
}

/// State of the server before, as of a moment ago.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Handed {
    pub(in crate::daemon) health: Option<Saved>,
    pub(in crate::daemon) turns: Vec<u8>,
    pub(in crate::daemon) events: Vec<Event>,
    /// Which server it was.
    pub(in crate::daemon) version: String,
    pub(in crate::daemon) pid: u32,
    /// Its own secret for cookies; none: a version that had none.
    pub(in crate::daemon) cookie_secret: Option<Secret>,
}

impl TakeOver {
    /// The server that this process was started to replace, if it was.
    ///
    /// # Errors
    /// It was, and that server does not say what it should.
    pub fn from_environment() -> Result<Option<TakeOver>, TakeOverError> {
        let Some(of) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let stdin = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(system)?;
        let stream = UnixStream::from(stdin);
        // Children of a server that took over find the variable too, but no line.
        if stream.local_addr().is_err() {
            return Ok(None);
        }
        let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
        if parent.is_none_or(|parent| *of != *parent) {
            // A second server beside whatever has become of that one is what nobody asked for.
            return Err(TakeOverError(ChannelError::Closed));
        }
        // What this process starts must not find the line.
        let null = std::fs::File::open("/dev/null").map_err(ChannelError::System)?;
        rustix::stdio::dup2_stdin(null).map_err(system)?;
        let channel = Channel::new(stream).map_err(ChannelError::System)?;
        Ok(Some(TakeOver::begin(channel)?))
    }

    fn begin(channel: Channel) -> Result<TakeOver, ChannelError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        say(&channel, HELLO, &Hello { version, pid: std::process::id() })?;
        let frame = channel.receive(WORD_WAIT, &|| true)?;
        let offer: Offer = match frame.kind {
            OFFER => read(&frame)?,
            _ => return Err(ChannelError::Strange("no offer")),
        };
        let mut descriptors = Descriptors::default();
        while descriptors.0.len() < offer.descriptors() {
            let frame = channel.receive(WORD_WAIT, &|| true)?;
            if frame.kind != DESCRIPTORS || frame.descriptors.is_empty() {
                return Err(ChannelError::Strange("fewer descriptors than it names"));
            }
            descriptors.0.extend(frame.descriptors);
        }
        let mut addresses = Vec::new();
        for address in &offer.addresses {
            let udp = (0..address.udp).map(|_| descriptors.next()).collect::<Result<_, _>>()?;
            addresses.push(Inherited { asked: address.asked, udp, tcp: descriptors.next()? });
        }
        let admin = offer.admin.is_some().then(|| descriptors.next()).transpose()?;
        let lock = offer.state_dir.is_some().then(|| descriptors.next()).transpose()?;
        let mut encrypted = Vec::new();
        for OfferedEncrypted { transport, asked } in &offer.encrypted {
            let socket = descriptors.next()?;
            let known = Transport::ALL.into_iter().find(|known| known.label() == transport);
            // One of a later version is closed: nobody here could speak over it.
            encrypted.extend(known.map(|transport| InheritedSocket {
                transport,
                asked: *asked,
                socket,
            }));
        }
        let channel = Arc::new(channel);
        Ok(TakeOver { channel, offer, addresses, encrypted, admin, has_admin: false, lock })
    }

    /// What the first load goes on from.
    pub fn before(&self) -> Before {
        Before {
            serials: self.offer.serials(),
            generation: self.offer.generation,
            ..Before::default()
        }
    }

    /// Says that this process does not take over, and why.
    pub fn refuse(&self, why: &str) {
        // One that is gone need not know.
        let _ = self.channel.send(FAILED, why.as_bytes(), &[]);
    }

    /// Sockets for DNS; once.
    pub(in crate::daemon) fn addresses(&mut self) -> Vec<Inherited> {
        std::mem::take(&mut self.addresses)
    }

    /// Sockets of encrypted transports; once.
    pub(in crate::daemon) fn encrypted(&mut self) -> Vec<InheritedSocket> {
        std::mem::take(&mut self.encrypted)
    }

    /// The admin listener, if it listens where it is to; once.
    pub(in crate::daemon) fn admin(&mut self, listen: &str) -> Option<OwnedFd> {
        let admin = self.admin.take().filter(|_| self.offer.admin.as_deref() == Some(listen));
        self.has_admin = admin.is_some();
        admin
    }

    /// Whether the file of the admin listener's socket is this process's once it is ready.
    pub(in crate::daemon) fn has_admin_file(&self) -> bool {
        self.has_admin && self.offer.admin_file
    }

    /// The lock of the state directory, if it is the same one; once.
    pub(in crate::daemon) fn lock(&mut self, state_dir: &Path) -> Option<OwnedFd> {
        let lock = self.lock.take();
        lock.filter(|_| self.offer.state_dir.as_deref() == Some(state_dir))
    }

    /// Says that only state is missing, and takes it.
    pub(in crate::daemon) fn take_state(&self) -> Result<Handed, TakeOverError> {
        say(&self.channel, PREPARED, &Prepared { admin: self.has_admin })?;
        let known = self.offer.state_format == STATE_FORMAT;
        let (version, pid) = (self.offer.version.clone(), self.offer.pid);
        let cookie_secret = self.offer.cookie_secret.as_deref().and_then(Secret::parse);
        let mut handed = Handed { version, pid, cookie_secret, ..Handed::default() };
        loop {
            let frame = self.channel.receive(WORD_WAIT, &|| true)?;
            match frame.kind {
                STATE_END => break,
                HEALTH if known => {
                    let health = Saved::decode(&frame.payload);
                    let unusable = |error| tracing::error!(%error, "health was not handed over");
                    handed.health = health.map_err(unusable).ok();
                }
                TURNS if known => handed.turns = frame.payload,
                EVENTS if known => {
                    handed.events = serde_json::from_slice(&frame.payload).unwrap_or_default();
                }
                // Another version's: state is read from the files.
                _ => {}
            }
        }
        Ok(handed)
    }

    /// Says that this process answers now, and goes on with the connections of the one
    /// before until that has ended.
    pub(in crate::daemon) fn ready(&self, running: Weak<Running>) -> Result<(), TakeOverError> {
        let line = Arc::clone(&self.channel);
        let take_all = move || {
            while let Ok(frame) = line.receive(CONNECTION_WAIT, &|| true) {
                if let (Some(moved), Some(running)) = (connection(frame), running.upgrade()) {
                    running.adopt(moved);
                }
            }
        };
        let builder = std::thread::Builder::new().name("take-over".to_owned());
        builder.spawn(take_all).map_err(ChannelError::System)?;
        // The last that can fail: from here on the one before ends.
        Ok(self.channel.send(READY, b"", &[])?)
    }
}

fn connection(frame: Frame) -> Option<Moved> {
    let at = frame.payload.iter().position(|byte| *byte == b'\n')?;
    let Connection { client, unanswered } = serde_json::from_slice(&frame.payload[..at]).ok()?;
    let stream = TcpStream::from(frame.descriptors.into_iter().next()?);
    let is_connection = frame.kind == CONNECTION;
    let input = frame.payload[at + 1..].to_vec();
    is_connection.then_some(Moved { stream, client, input, unanswered })
}

fn system(error: rustix::io::Errno) -> ChannelError {
    ChannelError::System(error.into())
}

fn say(channel: &Channel, kind: u8, word: &impl serde::Serialize) -> Result<(), ChannelError> {
    let text = serde_json::to_vec(word).map_err(|_| ChannelError::Strange("no JSON"))?;
    channel.send(kind, &text, &[])
}

fn read<T: serde::de::DeserializeOwned>(frame: &Frame) -> Result<T, ChannelError> {
    serde_json::from_slice(&frame.payload).map_err(|_| ChannelError::Strange("no JSON"))
}
