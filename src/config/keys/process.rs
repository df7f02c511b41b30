//! Keys of the process: server, admin, geo, health, safety, metrics, log.

use std::sync::OnceLock;

use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is};

const PATH: Kind = Kind::Text { what: "a path", example: "\"data/city.mmdb\"" };

section! {
    /// Keys before the first table.
    root, "", Form::Root;
    INCLUDE "include" Kind::OneOrMore(&Kind::Text { what: "a path or pattern", example: "\"wips.d/*.toml\"" }),
        Is("[]"),
        "Further files, relative to this one; `*`, `?` and `[…]` match names, `**` directories. Read in the order of their names; they say anything but `include`.";
}

section! {
    /// The DNS listeners and the process.
    server, "server", Form::Single;
    LISTEN "listen" Kind::OneOrMore(&Kind::Text { what: "an address and port", example: "\"0.0.0.0:53\"" }),
        Is("[\"0.0.0.0:53\", \"[::]:53\"]"),
        "Addresses for UDP and TCP.";
    IDENTITY "identity" Kind::Text { what: "a text of at most 64 bytes", example: "\"gtm1.example.net\"" },
        Absent("no NSID is given and id.server is refused"),
        "Who answered: NSID (RFC 5001) and the CHAOS name id.server.";
    STATE_DIR "state_dir" Kind::Text { what: "a path", example: "\"/var/lib/windrose\"" },
        Absent("nothing outlives the process"),
        "Directory for overrides and their audit log, health verdicts and zone serials; it has one server. Without it no override is taken.";
    USER "user" Kind::Text { what: "a user's name, or the numbers of a user and a group", example: "\"windrose\"" },
        Absent("the user it is started as"),
        "Who a server that is started as root becomes once its sockets are bound; it keeps the right to bind ports below 1024 (and to raw packets for icmp checks), and no other.";
    WORKERS "workers" Kind::Integer { min: 0, max: 1_024 },
        Is("0"),
        "UDP threads; 0 is one per core.";
    ECS "ecs" Kind::Bool,
        Is("true"),
        "Whether client subnets (RFC 7871) steer answers; false echoes them with scope 0.";
    CHAOS_VERSION "chaos_version" Kind::Text { what: "a text of at most 255 bytes", example: "\"windrose\"" },
        Absent("the names are refused: a version tells attackers what to try"),
        "Text for the CHAOS names version.bind and version.server.";
    TCP_CONNECTIONS_MAX "tcp_connections_max" Kind::Integer { min: 1, max: 1_000_000 },
        Is("1000"),
        "Most TCP connections at once, and as many of DNS over TLS, so that descriptors stay bounded. At the limit an idle one makes room, of the client that has most.";
    TCP_CONNECTIONS_PER_CLIENT_MAX "tcp_connections_per_client_max" Kind::Integer { min: 1, max: 1_000_000 },
        Is("100"),
        "Most of them from one client, an IPv4 address or an IPv6 /64; more are closed at once.";
    TCP_IDLE_TIMEOUT "tcp_idle_timeout" Kind::Duration { min_ms: 100, max_ms: 600_000 },
        Is("\"10s\""),
        "A TCP connection idle this long is closed (RFC 7766 6.2.3).";
    TCP_MESSAGE_TIMEOUT "tcp_message_timeout" Kind::Duration { min_ms: 100, max_ms: 600_000 },
        Is("\"5s\""),
        "Longest that one message may take from its first byte to its last, and all that comes before the first: a TLS handshake, a proxy's header.";
    TCP_WRITE_TIMEOUT "tcp_write_timeout" Kind::Duration { min_ms: 100, max_ms: 600_000 },
        Is("\"5s\""),
        "A client that has not taken the replies it is owed within this time is cut off.";
    REPORT_CHANNEL "report_channel" Kind::Text { what: "a domain name", example: "\"er.example.com\"" },
        Absent("none"),
        "Under which name resolvers may report that answers failed (RFC 9567): the domain of a monitoring agent, given in replies to queries with EDNS.";
}

section! {
    /// The HTTP listener for metrics, the API and the status page.
    admin, "admin", Form::Single;
    LISTEN "listen" Kind::Text { what: "an address and port, \"unix:/PATH\" or \"off\"", example: "\"127.0.0.1:8053\"" },
        Is("\"127.0.0.1:8053\""),
        "Where it listens: an address and port, \"unix:/run/windrose/admin.sock\", or \"off\".";
    TOKEN_FILE "token_file" Kind::Text { what: "a path", example: "\"/etc/windrose/admin.token\"" },
        Absent("no token is asked for; allowed on loopback and unix sockets only"),
        "File with the bearer token.";
    TLS_CERTIFICATE "tls_certificate" Kind::Text { what: "a path", example: "\"/etc/windrose/admin.crt\"" },
        Absent("it speaks plain HTTP"),
        "PEM file with the certificate with which it speaks TLS, and those between it and a root. Needs `tls_key`. A renewed one counts within seconds.";
    TLS_KEY "tls_key" Kind::Text { what: "a path", example: "\"/etc/windrose/admin.key\"" },
        Absent("it speaks plain HTTP"),
        "PEM file with the certificate's key.";
}

section! {
    /// Where clients are.
    geo, "geo", Form::Single;
    DATABASES "databases" Kind::OneOrMore(&PATH),
        Is("[]"),
        "MMDB files (city, country, ASN; MaxMind's or DB-IP's fields). None: the country table that is built in.";
}

section! {
    /// Limits of health checking as a whole.
    health, "health", Form::Single;
    PROBE_BUDGET "probe_budget" Kind::Integer { min: 1, max: 10_000_000 },
        Is("20000"),
        "Most probes per second a config may plan; one that plans more is refused.";
    START_HOLD "start_hold" Kind::Duration { min_ms: 0, max_ms: 600_000 },
        Is("\"10s\""),
        "Longest that readiness waits for first verdicts; queries are answered meanwhile.";
    CONCURRENCY "concurrency" Kind::Integer { min: 1, max: 1_000_000 },
        Is("4096"),
        "Most probes in flight at once.";
    CONCURRENCY_PER_ADDRESS "concurrency_per_address" Kind::Integer { min: 1, max: 65_535 },
        Is("64"),
        "Most probes in flight to one address, so that a load balancer is not flooded; more where its probes need more when none is answered.";
    MAX_DOWN_FRACTION "max_down_fraction" Kind::Number { min: 0.0, max: 1.0 },
        Is("0.5"),
        "When more than this share of every datacenter's targets would go down within `limiter_window`, the fault is held to be ours and nothing goes down; 1.0 turns that off.";
    LIMITER_WINDOW "limiter_window" Kind::Duration { min_ms: 1_000, max_ms: 600_000 },
        Is("\"10s\""),
        "Losses within this time are counted together.";
    LIMITER_MIN_TARGETS "limiter_min_targets" Kind::Integer { min: 1, max: 1_000_000 },
        Is("10"),
        "With fewer targets in all nothing is held: a few may well go down together.";
    REFERENCE "reference" Kind::OneOrMore(&Kind::Text { what: "an address and port", example: "\"192.0.2.1:443\"" }),
        Is("[]"),
        "Addresses outside the datacenters that accept TCP connections. They count where there is one datacenter: while they fail too, the fault is ours; without them nothing is held. With several, the datacenters speak for each other.";
    CERTIFICATE_WARNING "certificate_warning" Kind::Seconds { max_s: 31_536_000 },
        Is("\"14d\""),
        "A certificate that a probe sees is warned of so long before it expires; 0s: never.";
}

section! {
    /// What operators cannot do without breaking the glass (docs/OVERRIDES.md).
    safety, "safety", Form::Single;
    MIN_MEMBERS "min_members" Kind::Integer { min: 0, max: 65_535 },
        Is("1"),
        "No override, nor the end of one, may leave a WIP with fewer available members, unless it had no more before; 0: any may.";
    MIN_DATACENTERS "min_datacenters" Kind::Integer { min: 0, max: 65_535 },
        Is("0"),
        "Nor fewer datacenters in service, with a member of some WIP available; 0: no such rule.";
    MAX_DATACENTERS_CHANGED "max_datacenters_changed" Kind::Integer { min: 0, max: 65_535 },
        Is("0"),
        "Operators may take members out of so many datacenters within `change_window`; 0: of any number.";
    CHANGE_WINDOW "change_window" Kind::Seconds { max_s: 604_800 },
        Is("\"10m\""),
        "How long a datacenter that members were taken out of counts as changed; 0s: for that change alone.";
}

section! {
    /// What is counted.
    metrics, "metrics", Form::Single;
    PER_WIP "per_wip" Kind::Bool,
        Absent("on up to 2,000 WIPs, off above: a scrape must stay small"),
        "Whether there are series per WIP.";
}

section! {
    /// What is logged.
    log, "log", Form::Single;
    LEVEL "level" Kind::Text { what: "a level or filter", example: "\"info,windrose::probe=debug\"" },
        Absent("\"info\", unless the environment or command line says otherwise"),
        "Least severe level shown (error, warn, info, debug, trace), or a filter by module.";
    FORMAT "format" Kind::Choice(&["text", "json"]),
        Absent("text on a terminal, JSON otherwise"),
        "How lines look.";
}
