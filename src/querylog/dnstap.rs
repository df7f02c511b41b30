//! dnstap's messages (dnstap.proto), encoded. Only what this server has to say.

use std::net::IpAddr;

use super::tap::Kept;
use crate::metrics::Transport;

/// What the messages say of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) identity: Option<String>,
    pub(super) version: String,
}

/// `Message.Type`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    AuthQuery = 1,
    AuthResponse = 2,
}

/// `Dnstap.Type` MESSAGE.
const MESSAGE: u64 = 1;

/// Appends one `Dnstap`; `inner` is room.
pub(super) fn encode(
    server: &Server,
    kind: Kind,
    kept: &Kept,
    inner: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    inner.clear();
    number(inner, 1, kind as u64);
    let ip = kept.client.ip();
    number(inner, 2, if ip.is_ipv4() { 1 } else { 2 });
    number(inner, 3, socket_protocol(kept.transport));
    address(inner, 4, ip);
    if let Some(local) = kept.local.filter(|local| local.is_ipv4() == ip.is_ipv4()) {
        address(inner, 5, local);
    }
    number(inner, 6, u64::from(kept.client.port()));
    let (at_s, at_ns) = (kept.at_ns / 1_000_000_000, (kept.at_ns % 1_000_000_000) as u32);
    number(inner, 8, at_s);
    fixed(inner, 9, at_ns);
    match kind {
        Kind::AuthQuery => bytes(inner, 10, &kept.query),
        Kind::AuthResponse => {
            number(inner, 12, at_s);
            fixed(inner, 13, at_ns);
            bytes(inner, 14, &kept.reply);
        }
    }
    if let Some(identity) = &server.identity {
        bytes(out, 1, identity.as_bytes());
    }
    bytes(out, 2, server.version.as_bytes());
    bytes(out, 14, inner);
    number(out, 15, MESSAGE);
}

/// `SocketProtocol`; HTTP/3 has none of its own.
fn socket_protocol(transport: Transport) -> u64 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Dot => 3,
        Transport::Doh | Transport::Doh3 => 4,
        Transport::Doq => 7,
    }
}

//------------ Protocol Buffers -----------------------------------------------

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of wire type 0.
fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

/// A field of wire type 5.
fn fixed(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A field of wire type 2.
fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn address(out: &mut Vec<u8>, field: u64, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => bytes(out, field, &ip.octets()),
        IpAddr::V6(ip) => bytes(out, field, &ip.octets()),
    }
}
