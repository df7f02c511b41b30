//! Keys of DNS cookies.

use std::sync::OnceLock;

use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is};

section! {
    /// DNS cookies (RFC 7873, RFC 9018): clients that show one are where they say, and are exempt from limits.
    cookies, "cookies", Form::Single;
    ENABLED "enabled" Kind::Bool,
        Is("true"),
        "Whether clients that send a cookie get one.";
    SECRET_FILE "secret_file" Kind::Text { what: "a path", example: "\"/etc/windrose/cookies.secret\"" },
        Absent("a random secret, which lives as long as the process and its upgrades in place: for one server alone"),
        "File with up to 4 secrets, one a line, of 32 hexadecimal digits each. The first makes cookies, all recognise theirs. Servers that answer at one address share it; a changed file counts within seconds.";
    POLICY "policy" Kind::Choice(&["never", "limited", "always"]),
        Is("\"never\""),
        "When a client over UDP that sends a cookie, but none of ours that is fresh, gets BADCOOKIE and a good one instead of an answer: never; where the rate limit would hold its answer back; always.";
}
