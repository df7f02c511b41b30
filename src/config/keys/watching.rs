//! Keys of what watches the server: query log, webhooks.

use std::sync::OnceLock;

use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is, Required};

/// Most of `[query_log] file_keep`.
const FILES_MAX: i64 = 1_000;

section! {
    /// What is asked and answered, as dnstap. It never holds up an answer: what finds no room is left out and counted.
    query_log, "query_log", Form::Single;
    SOCKET "socket" Kind::Text { what: "a path", example: "\"/run/windrose/dnstap.sock\"" },
        Absent("no socket; without a file either, nothing is logged"),
        "Unix socket of a dnstap reader (Frame Streams, bidirectional), which is connected to and waited for.";
    FILE "file" Kind::Text { what: "a path", example: "\"/var/lib/windrose/queries.dnstap\"" },
        Absent("no file; without a socket either, nothing is logged"),
        "File to write instead of a socket.";
    FILE_SIZE_MB "file_size_mb" Kind::Integer { min: 1, max: 1_000_000 },
        Is("100"),
        "A file that has so many megabytes is put aside as FILE.1, that as FILE.2, and a new one begun.";
    FILE_KEEP "file_keep" Kind::Integer { min: 1, max: FILES_MAX },
        Is("5"),
        "Most files put aside; the oldest goes.";
    SAMPLE "sample" Kind::Integer { min: 1, max: 1_000_000 },
        Is("1"),
        "One request in so many of each worker is logged.";
    MESSAGES "messages" Kind::OneOrMore(&Kind::Choice(&["query", "response"])),
        Is("[\"response\"]"),
        "What of each: the request (AUTH_QUERY), the reply (AUTH_RESPONSE), or both.";
}

section! {
    /// A program that is told of events over HTTP.
    webhook, "webhook", Form::Named { what: "a webhook", example: "oncall" };
    URL "url" Kind::Text { what: "an address", example: "\"https://hooks.example.com/windrose\"" },
        Required,
        "Where events are posted to, as JSON; https, or http.";
    EVENTS "events" Kind::OneOrMore(&Kind::Choice(&[
        "member", "check", "fail-open", "limiter", "certificate", "config", "override", "prober",
    ])),
        Is("[\"member\", \"fail-open\", \"limiter\", \"certificate\", \"override\", \"prober\"]"),
        "What it is told of.";
    SECRET_FILE "secret_file" Kind::Text { what: "a path", example: "\"/etc/windrose/webhook.secret\"" },
        Absent("nothing is signed"),
        "File with the secret that signs each delivery (HMAC-SHA256), of at least 16 characters; read for each.";
    HEADERS "headers" Kind::Map(&Kind::Text { what: "a header's value", example: "\"value\"" }),
        Is("{}"),
        "Further request headers.";
    CA_FILE "ca_file" Kind::Text { what: "a path", example: "\"/etc/windrose/hooks-ca.pem\"" },
        Absent("the host's certificate authorities"),
        "Certificate authorities to trust, in PEM, instead of the host's.";
    TIMEOUT "timeout" Kind::Duration { min_ms: 100, max_ms: 20_000 },
        Is("\"10s\""),
        "Longest that one attempt takes.";
    RETRY_FOR "retry_for" Kind::Duration { min_ms: 0, max_ms: 86_400_000 },
        Is("\"6h\""),
        "A delivery that fails is tried again for so long, with growing pauses.";
}
