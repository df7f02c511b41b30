//! TLS sessions kept from probe to probe, so that a target costs a full handshake
//! every few minutes and not every few seconds.
//!
//! A resumed handshake shows no certificate, so a bad one would hide behind it. A
//! session is therefore used only while its target is calm (up, nothing pending,
//! the last probe passed) and for [`FULL_EVERY_MS`] after its full handshake.
//! It belongs to one target: VIPs of one name are many servers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

use crate::health::ProbeKey;
use crate::health::check::ProbeKind;
use crate::health::plan::Target;

/// Longest that sessions stand in for a full handshake.
const FULL_EVERY_MS: u64 = 300_000;
/// Targets do so at up to so much less, each its own, to stay out of step.
const SPREAD_MS: u64 = 60_000;
/// Targets that may keep a session, a few kilobytes each: the server's
/// certificates and its ticket. The rest does full handshakes.
const SESSIONS_MAX: usize = 32_768;
/// A server whose certificates are longer has no session kept.
pub(super) const CHAIN_BYTES_MAX: usize = 16 * 1024;

/// How a handshake went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Handshake {
    /// With the server's certificate.
    Full,
    /// Of a session.
    Resumed,
}

//------------ Sessions -------------------------------------------------------

/// The sessions of all targets. The runner's.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    entries: HashMap<ProbeKey, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    session: Arc<Session>,
    /// Monotonic time until which the session may be resumed.
    until_ms: u64,
}

impl Sessions {
    /// The session for a probe of `target` that starts now; none where no TLS is
    /// spoken, or where too many have one.
    pub(super) fn of(
        &mut self,
        key: ProbeKey,
        target: &Target,
        now_ms: u64,
    ) -> Option<Arc<Session>> {
        let tls = match &target.identity.probe {
            ProbeKind::Http(probe) => probe.tls.is_some(),
            ProbeKind::Tcp(probe) => probe.tls.is_some(),
            ProbeKind::Grpc(probe) => probe.tls.is_some(),
            _ => false,
        };
        if !tls || self.entries.len() >= SESSIONS_MAX && !self.entries.contains_key(&key) {
            return None;
        }
        let entry = self.entries.entry(key).or_default();
        if now_ms >= entry.until_ms {
            entry.session.forget();
        }
        Some(Arc::clone(&entry.session))
    }

    /// A probe ended after `handshake`; `calm`: its target is up, and nothing speaks
    /// against that.
    pub(super) fn settle(
        &mut self,
        key: ProbeKey,
        handshake: Option<Handshake>,
        calm: bool,
        now_ms: u64,
    ) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if handshake == Some(Handshake::Full) {
            entry.until_ms = now_ms + FULL_EVERY_MS - key.wrapping_mul(7_919) % SPREAD_MS;
        }
        if !calm {
            entry.session.forget();
        }
    }

    /// Drops the sessions of all targets but those that are `kept`.
    pub(super) fn keep(&mut self, kept: impl Fn(ProbeKey) -> bool) {
        self.entries.retain(|key, _| kept(*key));
    }
}

//------------ Session --------------------------------------------------------

/// At most one session of either version of TLS, with one server.
#[derive(Debug, Default)]
pub(super) struct Session {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Whom they are with. Another name must not resume them: its certificate would
    /// not be looked at.
    name: Option<ServerName<'static>>,
    group: Option<NamedGroup>,
    tls12: Option<Box<Tls12ClientSessionValue>>,
    tls13: Option<Box<Tls13ClientSessionValue>>,
    /// Nothing more is kept.
    refused: bool,
}

impl Session {
    /// The next handshake is a full one.
    pub(super) fn forget(&self) {
        let mut kept = self.lock();
        kept.tls12 = None;
        kept.tls13 = None;
    }

    /// Keeps no session any more: the server's cost too much memory.
    pub(super) fn refuse(&self) {
        *self.lock() = Kept { refused: true, ..Kept::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Each field stands for itself: a panic breaks nothing.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_for(&self, name: &ServerName<'_>) -> Option<MutexGuard<'_, Kept>> {
        Some(self.lock()).filter(|kept| kept.name.as_ref() == Some(name))
    }

    fn lock_as(&self, name: ServerName<'static>) -> MutexGuard<'_, Kept> {
        let mut kept = self.lock();
        if kept.name.as_ref() != Some(&name) {
            *kept = Kept { name: Some(name), refused: kept.refused, ..Kept::default() };
        }
        kept
    }
}

impl ClientSessionStore for Session {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.lock_as(name).group = Some(group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock_for(name)?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        let mut kept = self.lock_as(name);
        kept.tls12 = (!kept.refused).then(|| Box::new(session));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock_for(name)?.tls12.as_deref().cloned()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(mut kept) = self.lock_for(name) {
            kept.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut kept = self.lock_as(name);
        kept.tls13 = (!kept.refused).then(|| Box::new(ticket));
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.lock_for(name)?.tls13.take().map(|ticket| *ticket)
    }
}
