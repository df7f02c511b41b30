//! Keys of signed messages: a name, an algorithm, a secret that is never shown.

use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::dns::Name;

//------------ Algorithm ------------------------------------------------------

/// A hash that keys are used with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// Old servers only.
    Sha1,
    /// As above.
    Sha224,
    /// What RFC 8945 wants everybody to have.
    Sha256,
    /// Longer.
    Sha384,
    /// Longest.
    Sha512,
}

impl Algorithm {
    /// All, by name.
    pub const ALL: [(&'static str, Algorithm); 5] = [
        ("hmac-sha256", Algorithm::Sha256),
        ("hmac-sha384", Algorithm::Sha384),
        ("hmac-sha512", Algorithm::Sha512),
        ("hmac-sha224", Algorithm::Sha224),
        ("hmac-sha1", Algorithm::Sha1),
    ];

    /// Its name as configured.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, algorithm)| *algorithm == self);
        found.map_or("", |(name, _)| name)
    }

    /// Its name on the wire.
    pub(super) fn wire(self) -> &'static [u8] {
        match self {
            Algorithm::Sha1 => b"\x09hmac-sha1\x00",
            Algorithm::Sha224 => b"\x0bhmac-sha224\x00",
            Algorithm::Sha256 => b"\x0bhmac-sha256\x00",
            Algorithm::Sha384 => b"\x0bhmac-sha384\x00",
            Algorithm::Sha512 => b"\x0bhmac-sha512\x00",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha224 => hmac::HMAC_SHA224,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// Bytes of a whole MAC.
    pub(super) fn length(self) -> usize {
        match self {
            Algorithm::Sha1 => 20,
            Algorithm::Sha224 => 28,
            Algorithm::Sha256 => 32,
            Algorithm::Sha384 => 48,
            Algorithm::Sha512 => 64,
        }
    }
}

//------------ Key ------------------------------------------------------------

/// A shared secret with its name. Its secret is never shown.
pub struct Key {
    pub(super) name: Name,
    pub(super) algorithm: Algorithm,
    pub(super) hmac: hmac::Key,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm.as_str())
    }
}

impl Key {
    /// A key of `secret`.
    pub fn new(name: &Name, algorithm: Algorithm, secret: &[u8]) -> Key {
        Key { name: name.to_lowercase(), algorithm, hmac: hmac::Key::new(algorithm.hmac(), secret) }
    }

    /// Its name, in lower case.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Bytes of a record signed with it, with `other_length` bytes of other data.
    pub fn record_length(&self, other_length: usize) -> usize {
        self.name.wire().len()
            + 10
            + self.algorithm.wire().len()
            + 16
            + self.algorithm.length()
            + other_length
    }
}

/// All keys of a server.
#[derive(Debug, Default)]
pub struct Keys(Vec<Arc<Key>>);

impl Keys {
    /// Of these keys, each name once.
    pub fn new(mut keys: Vec<Arc<Key>>) -> Keys {
        keys.sort_by(|a, b| a.name.wire().cmp(b.name.wire()));
        Keys(keys)
    }

    /// The key of that name.
    pub fn find(&self, name: &Name) -> Option<&Arc<Key>> {
        let lower = name.to_lowercase();
        let index = self.0.binary_search_by(|key| key.name.wire().cmp(lower.wire())).ok()?;
        self.0.get(index)
    }
}
