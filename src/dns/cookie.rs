//! DNS cookies (RFC 7873): what a client has that has seen an answer of ours, and an
//! attacker who forges its address has not.

/// Length of the client's part.
const CLIENT_LENGTH: usize = 8;

/// A cookie option as a query sent it: the client's own part of 8 bytes, then what the
/// client last got from a server, if anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cookie<'a> {
    /// At least the client's part.
    raw: &'a [u8],
}

impl<'a> Cookie<'a> {
    /// Reads the option's data. `None`: malformed, to be answered FORMERR (RFC 7873 5.2.2).
    pub fn parse(raw: &'a [u8]) -> Option<Cookie<'a>> {
        matches!(raw.len(), 8 | 16..=40).then_some(Cookie { raw })
    }

    /// The client's part, to be echoed.
    pub fn client(&self) -> [u8; CLIENT_LENGTH] {
        self.raw.first_chunk().copied().unwrap_or_default()
    }

    /// The server's part; empty where the client has none yet.
    pub fn server(&self) -> &'a [u8] {
        self.raw.get(CLIENT_LENGTH..).unwrap_or_default()
    }
}
