//! Keys of zone transfers: TSIG keys, and other servers as zones name them.

use std::sync::OnceLock;

use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is, Required};

const NAME_KIND: Kind =
    Kind::Text { what: "the name of a [tsig] key", example: "\"transfer-key\"" };

/// Another server.
pub(super) const SERVER_KIND: Kind = Kind::Either(&[
    Kind::Text { what: "an address, with a port unless it is 53", example: "\"192.0.2.53\"" },
    Kind::Table(&server_with_key::SECTION),
]);
/// Who may have a zone.
pub(super) const GRANT_KIND: Kind = Kind::Either(&[
    Kind::Text {
        what: "a network, or \"key:\" and the name of a [tsig] key",
        example: "\"192.0.2.0/24\"",
    },
    Kind::Table(&grant::SECTION),
]);

section! {
    /// A secret shared with other servers, which signs messages (TSIG, RFC 8945).
    tsig, "tsig", Form::Named { what: "a domain name", example: "transfer-key" };
    ALGORITHM "algorithm" Kind::Choice(&["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1"]),
        Is("\"hmac-sha256\""),
        "The other side must say the same; the last two are for old servers.";
    SECRET_FILE "secret_file" Kind::Text { what: "a path", example: "\"/etc/windrose/transfer.key\"" },
        Absent("`secret` has it"),
        "File with the secret in base64 and nothing else; a new one counts with the next reload.";
    SECRET "secret" Kind::Text { what: "a secret in base64", example: "\"3sDh4GGJhlUNnV0tGKlgXDPjyDEqBrMRGDfsKYTn7yM=\"" },
        Absent("`secret_file` has it"),
        "The secret itself, in base64. Whoever can read the config can then sign: better a file.";
}

section! {
    /// Another server and the key that signs what is said to it.
    server_with_key, "server", Form::Inline;
    ADDRESS "address" Kind::Text { what: "an address, with a port unless it is 53", example: "\"192.0.2.53\"" },
        Required, "Its address.";
    KEY "key" NAME_KIND, Absent("nothing is signed"), "The [tsig] key that signs both ways.";
}

section! {
    /// Who may have a zone: from this network, and signed with this key.
    grant, "grant", Form::Inline;
    ADDRESS "address" Kind::Text { what: "a network", example: "\"192.0.2.0/24\"" },
        Required, "The network it comes from.";
    KEY "key" NAME_KIND, Required, "The [tsig] key it signs with.";
}
