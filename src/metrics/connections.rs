//! Connections of each transport, as they are counted.

use super::counters::Transport;
use super::families as family;
use super::text::{Page, Value};

/// Connections of one transport.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ConnectionTotals {
    /// Open now.
    pub open: u64,
    /// Taken in since the start.
    pub admitted: u64,
    /// Closed while idle, to make room for another.
    pub evicted: u64,
    /// Refused: no room and none idle.
    pub refused_full: u64,
    /// Refused: its client has as many as one may.
    pub refused_client: u64,
    /// Closed: a message or a reply took too long.
    pub stalled: u64,
    /// Closed: nothing in what it sent could be answered.
    pub unanswerable: u64,
    /// Closed: no TLS could be agreed on.
    pub handshake_failed: u64,
    /// Closed: a proxy did not say who the client is.
    pub bad_header: u64,
}

pub(super) fn connections(page: &mut Page<'_>, connections: &[(Transport, ConnectionTotals)]) {
    let mut samples = page.begin(&family::CONNECTIONS);
    for (transport, totals) in connections {
        samples.sample(&[transport.label()], Value::Whole(totals.open));
    }
    let mut samples = page.begin(&family::CONNECTIONS_ADMITTED);
    for (transport, totals) in connections {
        samples.sample(&[transport.label()], Value::Whole(totals.admitted));
    }
    let mut samples = page.begin(&family::CONNECTIONS_CUT);
    for (transport, totals) in connections {
        for (reason, count) in [
            ("evicted", totals.evicted),
            ("refused_full", totals.refused_full),
            ("refused_client", totals.refused_client),
            ("stalled", totals.stalled),
            ("unanswerable", totals.unanswerable),
            ("handshake_failed", totals.handshake_failed),
            ("proxy_header", totals.bad_header),
        ] {
            samples.sample(&[transport.label(), reason], Value::Whole(count));
        }
    }
}
