//! HTTPS and SVCB records of a WIP (RFC 9460): all of a record but the addresses is
//! ready, and those are what the same client is given for A and AAAA.
//!
//! ```text
//! priority target mandatory alpn no-default-alpn port │ ipv4hint │ ech │ ipv6hint
//!                        compiled                      decided  compiled  decided
//! ```
//!
//! Parameters stand in the order of their numbers (RFC 9460 2.2), so the hints are written
//! between the others. It must not know how a config spells them.

use super::strategy::Record;
use crate::dns::encode::{Full, Section, Writer};
use crate::dns::types::rtype;

/// Numbers of the parameters (RFC 9460 14.3.2).
pub mod key {
    /// Parameters that a client must understand.
    pub const MANDATORY: u16 = 0;
    /// Protocols.
    pub const ALPN: u16 = 1;
    /// The scheme's own protocol is not spoken.
    pub const NO_DEFAULT_ALPN: u16 = 2;
    /// The port.
    pub const PORT: u16 = 3;
    /// IPv4 addresses.
    pub const IPV4HINT: u16 = 4;
    /// Encrypted ClientHello.
    pub const ECH: u16 = 5;
    /// IPv6 addresses.
    pub const IPV6HINT: u16 = 6;
}

/// Most addresses of one family in one reply: `max_answers` and the addresses of
/// `on_all_down` allow no more.
const HINTS_MAX: usize = 32;

//------------ Binding --------------------------------------------------------

/// One such record of a WIP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    /// HTTPS or SVCB.
    pub rtype: u16,
    /// Priority, target, and the parameters before the first hint.
    pub before_hints: Box<[u8]>,
    /// The parameters between the hints: ECH.
    pub between_hints: Box<[u8]>,
    /// Whether it has hints.
    pub hints: bool,
}

impl Binding {
    /// Writes the record with these addresses into the answer section.
    pub fn put(
        &self,
        writer: &mut Writer<'_>,
        owner: &[u8],
        ttl_s: u32,
        hints: &Hints,
    ) -> Result<(), Full> {
        let (v4, v6) =
            if self.hints { (hints.v4.data(), hints.v6.data()) } else { (&[][..], &[][..]) };
        let (v4_head, v6_head) =
            (parameter_head(key::IPV4HINT, v4.len()), parameter_head(key::IPV6HINT, v6.len()));
        let v4_head = if v4.is_empty() { &[][..] } else { &v4_head[..] };
        let v6_head = if v6.is_empty() { &[][..] } else { &v6_head[..] };
        let pieces = [&self.before_hints[..], v4_head, v4, &self.between_hints[..], v6_head, v6];
        writer.put_pieces(Section::Answer, owner, self.rtype, ttl_s, &pieces)
    }
}

/// Number and length, which stand before a parameter's value.
pub fn parameter_head(key: u16, length: usize) -> [u8; 4] {
    let ([a, b], [c, d]) = (key.to_be_bytes(), (length as u16).to_be_bytes());
    [a, b, c, d]
}

//------------ Hints ----------------------------------------------------------

/// Addresses that a client is given for A and AAAA.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    v4: List<{ 4 * HINTS_MAX }>,
    v6: List<{ 16 * HINTS_MAX }>,
}

/// Bytes of addresses, one after another.
#[derive(Clone, Debug)]
struct List<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for List<N> {
    fn default() -> List<N> {
        List { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> List<N> {
    fn data(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn add(&mut self, address: &[u8]) {
        let end = self.length + address.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(address);
            self.length = end;
        }
    }
}

impl Hints {
    /// Adds the address of an A or AAAA record.
    pub fn add(&mut self, record: &Record) {
        match record.rtype() {
            rtype::A => self.v4.add(record.rdata()),
            _ => self.v6.add(record.rdata()),
        }
    }

    /// True when the client is given no address at all.
    pub fn is_empty(&self) -> bool {
        self.v4.length == 0 && self.v6.length == 0
    }
}
