//! Keys of health checks.

use std::sync::OnceLock;

use super::steering::{ADDRESS_KIND, HOST_KIND};
use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is, Required};

/// Oldest a `file` may be allowed to be, in milliseconds: 30 days.
const AGE_MAX_MS: u64 = 2_592_000_000;

const PEM_KIND: Kind = Kind::Text { what: "a path", example: "\"ca.pem\"" };

section! {
    /// A probe that members share by its name.
    health_check, "health_check", Form::Named { what: "a name of letters, digits, `-`, `_` and `.`", example: "readiness" };
    TYPE "type" Kind::Choice(&["http", "https", "tcp", "icmp", "dns", "grpc", "exec", "file", "always"]),
        Required,
        "What a probe does; `always` is up without probing.";
    INTERVAL "interval" Kind::Duration { min_ms: 100, max_ms: 3_600_000 },
        Is("\"5s\""),
        "Time between probes of one member.";
    TIMEOUT "timeout" Kind::Duration { min_ms: 10, max_ms: 60_000 },
        Is("\"2s\""),
        "One deadline for a whole probe; less than `interval`.";
    CONFIRM_INTERVAL "confirm_interval" Kind::Duration { min_ms: 100, max_ms: 3_600_000 },
        Absent("\"1s\", or `interval` where that is less"),
        "Time between probes once a result contradicts the verdict, until the matter is settled.";
    FALL "fall" Kind::Integer { min: 1, max: 100 },
        Is("3"),
        "Failures that take a member down: with 3, the third does.";
    RISE "rise" Kind::Integer { min: 1, max: 100 },
        Is("2"),
        "Successes in a row that bring it up.";
    CLEAR "clear" Kind::Integer { min: 1, max: 100 },
        Absent("the value of `rise`"),
        "Successes in a row that forget the failures counted so far.";
    ADDRESS "address" Kind::Text { what: "an IP address or a host name", example: "\"192.0.2.10\"" },
        Absent("each VIP is probed itself"),
        "Probe here instead of at the VIP. A host name is resolved again and again by this host's resolver.";
    SOURCE "source" Kind::OneOrMore(&ADDRESS_KIND),
        Absent("the system chooses"),
        "Address of this host that probes come from, or one per family (all but exec and file).";
    PORT "port" Kind::Integer { min: 1, max: 65_535 },
        Absent("80 for http, 443 for https, 53 for dns; required for tcp and grpc"),
        "Port (http, https, tcp, dns, grpc).";
    PROXY_PROTOCOL "proxy_protocol" Kind::Choice(&["v1", "v2"]),
        Absent("none is sent"),
        "PROXY header that is sent first, of this version (http, https, tcp, grpc).";
    HOST "host" HOST_KIND,
        Absent("the WIP's `check_host`, or its own name"),
        "`Host` or `:authority` that is sent (http, https, grpc).";
    HTTP_VERSION "http_version" Kind::Choice(&["1.1", "2", "any"]),
        Is("\"1.1\""),
        "What is spoken: \"2\" must be agreed on in TLS, and begins at once without TLS; \"any\" is what the server picks (http, https).";
    METHOD "method" Kind::Choice(&["GET", "HEAD", "OPTIONS", "POST"]),
        Is("\"GET\""),
        "Request method (http, https).";
    PATH "path" Kind::Text { what: "a path that begins with `/`", example: "\"/healthz\"" },
        Is("\"/\""),
        "Request target (http, https).";
    HEADERS "headers" Kind::Map(&Kind::Text { what: "a header's value", example: "\"value\"" }),
        Is("{}"),
        "Further request headers (http, https).";
    EXPECT_STATUS "expect_status" Kind::OneOrMore(&Kind::Either(&[
            Kind::Text { what: "a status or range", example: "\"200-299\"" },
            Kind::Integer { min: 200, max: 599 },
        ])),
        Is("[\"200-299\"]"),
        "Status codes that pass (http, https).";
    EXPECT_BODY "expect_body" Kind::Text { what: "a text", example: "\"ready\"" },
        Absent("the body is not looked at"),
        "Text the body must hold (http, https).";
    EXPECT_BODY_REGEX "expect_body_regex" Kind::Text { what: "a regular expression", example: "\"\\\"status\\\": *\\\"(ok|warn)\\\"\"" },
        Absent("the body is not looked at"),
        "Pattern of which the body must hold a match, instead of `expect_body` (http, https).";
    MAX_BODY "max_body" Kind::Integer { min: 1, max: 16_777_216 },
        Is("65536"),
        "Most bytes of body read while looking for what is expected (http, https).";
    FOLLOW_REDIRECTS "follow_redirects" Kind::Bool,
        Is("false"),
        "Whether up to 5 redirects are followed, always at the same address (http, https).";
    TLS "tls" Kind::Bool,
        Is("false"),
        "Speak TLS (tcp, grpc).";
    SNI "sni" HOST_KIND,
        Absent("the same as the host"),
        "Server name sent in TLS (https, and tcp and grpc with tls).";
    VERIFY "verify" Kind::Bool,
        Is("true"),
        "Whether the certificate must be valid for the server name (where TLS is spoken).";
    CA_FILE "ca_file" PEM_KIND,
        Absent("the system's roots are trusted"),
        "PEM file of the only roots trusted (where TLS is spoken).";
    CLIENT_CERTIFICATE "client_certificate" Kind::Text { what: "a path", example: "\"client.pem\"" },
        Absent("none is shown"),
        "PEM file of a certificate for servers that ask for one, then its issuers. Goes with `client_key` (where TLS is spoken).";
    CLIENT_KEY "client_key" Kind::Text { what: "a path", example: "\"client.key\"" },
        Absent("none is needed"),
        "PEM file of the private key of `client_certificate`.";
    TLS_MIN_VERSION "tls_min_version" Kind::Choice(&["1.2", "1.3"]),
        Is("\"1.2\""),
        "Oldest version of TLS that passes (where TLS is spoken).";
    SEND "send" Kind::Text { what: "a text", example: "\"PING\\r\\n\"" },
        Absent("nothing is sent"),
        "Sent once the connection stands (tcp).";
    EXPECT "expect" Kind::Text { what: "a text", example: "\"+PONG\"" },
        Absent("a connection is enough"),
        "Text that must come back (tcp).";
    TRANSPORT "transport" Kind::Choice(&["udp", "tcp"]),
        Is("\"udp\""),
        "How a query goes out; \"udp\" turns to TCP where the answer is truncated (dns).";
    QUERY_NAME "query_name" Kind::Text { what: "a domain name", example: "\"www.example.com\"" },
        Absent("required for dns"),
        "Name that is asked for (dns).";
    QUERY_TYPE "query_type" Kind::Text { what: "a record type", example: "\"A\"" },
        Is("\"A\""),
        "Record type that is asked for: a mnemonic, or \"TYPE\" and its number (dns).";
    EXPECT_RCODE "expect_rcode" Kind::Choice(&["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]),
        Is("\"NOERROR\""),
        "Response code that passes (dns).";
    EXPECT_ANSWER "expect_answer" Kind::OneOrMore(&Kind::Text { what: "a record's data", example: "\"192.0.2.1\"" }),
        Is("[]"),
        "Data of records that must all be in the answer, as in a master file; none: the response code is enough (dns).";
    EXPECT_AUTHORITATIVE "expect_authoritative" Kind::Bool,
        Is("false"),
        "Whether the answer must be authoritative (dns).";
    SERVICE "service" Kind::Text { what: "a service's name", example: "\"shop.v1.Cart\"" },
        Is("\"\""),
        "Service asked for; \"\" is the server as a whole (grpc).";
    COMMAND "command" Kind::List(&Kind::Text { what: "a word", example: "\"checks/replica.sh\"" }),
        Absent("required for exec"),
        "Program and its arguments; exit status 0 passes. A path, relative to this file; neither a shell nor PATH takes part. \"{address}\" and \"{host}\" in arguments are filled in (exec).";
    FILE "file" Kind::Text { what: "a path", example: "\"verdicts/shop\"" },
        Absent("required for file"),
        "File whose first word says \"up\" or \"down\"; \"{address}\" in it is filled in (file).";
    MAX_AGE "max_age" Kind::Duration { min_ms: 1_000, max_ms: AGE_MAX_MS },
        Absent("a file of any age will do"),
        "An older file is no verdict: its writer may be dead (file).";
}
