//! What the two servers tell each other, in this order:
//!
//! ```text
//! old                                   new
//!                  ◄── hello            it is there
//! offer, sockets ──►                    it loads and checks the config, binds what is new
//!                  ◄── prepared
//! health, turns,
//! events, end    ──►                    it goes on with them, and takes requests
//!                  ◄── ready
//! connections    ──►                    …and those, while the old one ends
//! ```
//!
//! Instead of each of its words the new one may say that it failed, and why.
//!
//! Versions: words are JSON, to which fields are added, so that versions understand each
//! other. What cannot be so (how state looks) has a number; a new server that does not
//! know the old one's takes the sockets all the same, and state from its files.
//!
//! It must not know sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dns::Name;
use crate::snapshot::{Serial, Serials};

/// How state looks: [`HEALTH`], [`TURNS`] and [`EVENTS`].
pub(super) const STATE_FORMAT: u32 = 1;

pub(super) const HELLO: u8 = 1;
pub(super) const OFFER: u8 = 2;
/// Descriptors of the offer, as many frames as it takes.
pub(super) const DESCRIPTORS: u8 = 3;
pub(super) const PREPARED: u8 = 4;
/// As the file of it.
pub(super) const HEALTH: u8 = 5;
/// As `Serving::turns` writes them.
pub(super) const TURNS: u8 = 6;
/// JSON, the last events.
pub(super) const EVENTS: u8 = 7;
pub(super) const STATE_END: u8 = 8;
pub(super) const READY: u8 = 9;
/// Text.
pub(super) const FAILED: u8 = 10;
/// A [`Connection`], a line feed, and what was read of it.
pub(super) const CONNECTION: u8 = 11;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Hello {
    pub(super) version: String,
    pub(super) pid: u32,
}

/// What there is to take. Descriptors follow in this order: of each address those of UDP
/// and that of TCP; the admin listener's; the lock's; those of encrypted transports.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Offer {
    pub(super) version: String,
    pub(super) pid: u32,
    pub(super) state_format: u32,
    /// Number of the config in force.
    pub(super) generation: u64,
    pub(super) serials: BTreeMap<String, (u32, u64)>,
    pub(super) addresses: Vec<OfferedAddress>,
    /// Sockets of encrypted transports. An older version does not know them: its own
    /// descriptors come before theirs, and these are closed there.
    pub(super) encrypted: Vec<OfferedEncrypted>,
    /// The admin listener, as configured.
    pub(super) admin: Option<String>,
    /// It is a unix socket whose file goes with it.
    pub(super) admin_file: bool,
    /// The state directory whose lock is held.
    pub(super) state_dir: Option<PathBuf>,
    /// The process's own secret for cookies: those given before go on being good.
    pub(super) cookie_secret: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct OfferedAddress {
    /// As configured.
    pub(super) asked: SocketAddr,
    /// So many sockets of UDP.
    pub(super) udp: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct OfferedEncrypted {
    /// Its label.
    pub(super) transport: String,
    /// As configured.
    pub(super) asked: SocketAddr,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Prepared {
    /// The admin listener goes on; else it is closed by the old one.
    pub(super) admin: bool,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Connection {
    pub(super) client: SocketAddr,
    pub(super) unanswered: usize,
}

impl Offer {
    /// How many descriptors follow.
    pub(super) fn descriptors(&self) -> usize {
        let of_addresses: usize =
            self.addresses.iter().map(|address| address.udp.saturating_add(1)).sum();
        let others = usize::from(self.admin.is_some()) + usize::from(self.state_dir.is_some());
        of_addresses.saturating_add(others).saturating_add(self.encrypted.len())
    }

    pub(super) fn serials(&self) -> Serials {
        let serials = self.serials.iter().filter_map(|(origin, &(number, content_hash))| {
            Some((Name::parse(origin).ok()?, Serial { number, content_hash }))
        });
        Serials(serials.collect())
    }
}

/// Serials as an offer has them.
pub(super) fn serials_of(serials: &Serials) -> BTreeMap<String, (u32, u64)> {
    let told = |(origin, serial): (&Name, &Serial)| {
        (origin.to_string(), (serial.number, serial.content_hash))
    };
    serials.0.iter().map(told).collect()
}
