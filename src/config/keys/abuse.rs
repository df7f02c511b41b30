//! Keys of what keeps abuse out: access lists, response rate limiting.

use std::sync::OnceLock;

use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is};

const NETWORK: Kind = Kind::Text { what: "a network", example: "\"192.0.2.0/24\"" };
const NETWORKS: Kind = Kind::OneOrMore(&NETWORK);
/// Answers a second; 0: no limit.
const RATE: Kind = Kind::Integer { min: 0, max: 1_000_000 };

section! {
    /// Who may ask. The most specific network that holds the client's address decides.
    access, "access", Form::Single;
    ALLOW "allow" NETWORKS,
        Is("[]"),
        "Networks that may ask; where there are some, nobody else may.";
    DENY "deny" NETWORKS,
        Is("[]"),
        "Networks that may not ask.";
    ACTION "action" Kind::Choice(&["refuse", "drop"]),
        Is("\"refuse\""),
        "What a client gets that may not ask: REFUSED with the extended error 18 (Prohibited), or no reply.";
    UDP "udp" Kind::Table(&access_lists::SECTION),
        Absent("no further lists"),
        "Lists for UDP alone; a client must pass the general lists too.";
    TCP "tcp" Kind::Table(&access_lists::SECTION),
        Absent("no further lists"),
        "The same for TCP.";
    DOT "dot" Kind::Table(&access_lists::SECTION),
        Absent("no further lists"),
        "The same for DNS over TLS.";
    DOH "doh" Kind::Table(&access_lists::SECTION),
        Absent("no further lists"),
        "The same for DNS over HTTPS (HTTP/1.1, HTTP/2).";
    DOQ "doq" Kind::Table(&access_lists::SECTION),
        Absent("no further lists"),
        "The same for DNS over QUIC.";
    DOH3 "doh3" Kind::Table(&access_lists::SECTION),
        Absent("no further lists"),
        "The same for DNS over HTTP/3.";
}

section! {
    /// Lists of one transport.
    access_lists, "access_lists", Form::Inline;
    ALLOW "allow" NETWORKS,
        Is("[]"),
        "Networks that may ask this way; where there are some, nobody else may.";
    DENY "deny" NETWORKS,
        Is("[]"),
        "Networks that may not ask this way.";
}

section! {
    /// Response rate limiting over UDP: what a network of clients gets in a second. Clients that prove their address (TCP and all above it, a DNS cookie) are never limited.
    rate_limit, "rate_limit", Form::Single;
    RESPONSES "responses_per_second" RATE,
        Is("0"),
        "Most answers of one name to one network in a second, in the long run; 0: no limit. A big resolver asks for one name once for each client subnet: count first.";
    NODATA "nodata_per_second" RATE,
        Absent("as `responses_per_second`"),
        "Likewise of answers without data, from one zone.";
    NXDOMAINS "nxdomains_per_second" RATE,
        Absent("as `responses_per_second`"),
        "Likewise of NXDOMAIN, from one zone.";
    REFERRALS "referrals_per_second" RATE,
        Absent("as `responses_per_second`"),
        "Likewise of referrals, from one zone.";
    ERRORS "errors_per_second" RATE,
        Absent("as `responses_per_second`"),
        "Likewise of REFUSED, FORMERR, NOTIMP and other errors, all together.";
    ALL "all_per_second" RATE,
        Is("0"),
        "Likewise of all replies together, whatever they say; 0: no such limit. It holds where queries go over many names.";
    WINDOW "window" Kind::Duration { min_ms: 1_000, max_ms: 3_600_000 },
        Is("\"15s\""),
        "How long a network that asked too much stays limited, at most, once it asks less.";
    SLIP "slip" Kind::Integer { min: 0, max: 255 },
        Is("2"),
        "Every so many limited answers one goes out empty and truncated, so that a real client asks over TCP; 1: all of them, 0: none.";
    IPV4_PREFIX "ipv4_prefix" Kind::Integer { min: 1, max: 32 },
        Is("24"),
        "Bits of an IPv4 address that make a network.";
    IPV6_PREFIX "ipv6_prefix" Kind::Integer { min: 1, max: 128 },
        Is("56"),
        "Bits of an IPv6 address that make a network.";
    EXEMPT "exempt" NETWORKS,
        Is("[]"),
        "Networks that are never limited: monitoring, own resolvers.";
    TABLE_SIZE "table_size" Kind::Integer { min: 1_024, max: 16_777_216 },
        Is("65536"),
        "Pairs of a network and what it was told that each UDP thread keeps count of, at 16 bytes each.";
}
