//! Keys of what is answered: zones, datacenters, WIPs, pools.

use std::sync::OnceLock;

use super::records::{BINDING_KIND, SERVICES_KIND};
use super::transfers::{GRANT_KIND, SERVER_KIND};
use super::{Fallback, Form, Key, Kind, Section};
use Fallback::{Absent, Is, Required};

/// Longest TTL of anything, in seconds: 7 days.
const TTL_MAX_S: u32 = 604_800;
/// Longest TTL of a WIP's answers, in seconds: a day. Beyond it steering is none.
const WIP_TTL_MAX_S: u32 = 86_400;
/// Largest weight.
const WEIGHT_MAX: i64 = 65_535;

const POLICY_KIND: Kind = Kind::Choice(&["geo", "round-robin", "weighted", "failover", "hash"]);
const NAME_KIND: Kind = Kind::Text { what: "a domain name", example: "\"www.example.com\"" };
pub(super) const HOST_KIND: Kind =
    Kind::Text { what: "a host name", example: "\"shop.example.com\"" };
pub(super) const ADDRESS_KIND: Kind =
    Kind::Text { what: "an IP address", example: "\"203.0.113.10\"" };
const NETWORK_KIND: Kind = Kind::Text { what: "a network", example: "\"10.0.0.0/8\"" };
const DATACENTER_KIND: Kind = Kind::Text { what: "a datacenter's name", example: "\"fra\"" };
const CHECK_KIND: Kind = Kind::Text { what: "a health check's name", example: "\"readiness\"" };
const POOL_KIND: Kind = Kind::Text { what: "a pool's name", example: "\"europe\"" };
const SERVES_KIND: Kind = Kind::Text {
    what: "a network, \"asn:N\", \"region:CC-X\", \"country:CC\" or \"continent:CC\"",
    example: "\"country:DE\"",
};
const VIP_KIND: Kind = Kind::Either(&[ADDRESS_KIND, Kind::Table(&vip::SECTION)]);
const WEIGHT_KIND: Kind = Kind::Integer { min: 0, max: WEIGHT_MAX };
const BIAS_KIND: Kind = Kind::Integer { min: -99, max: 99 };
const REQUIRE_KIND: Kind =
    Kind::Either(&[Kind::Choice(&["all", "any"]), Kind::Integer { min: 1, max: 255 }]);
const MEMBERS_KIND: Kind =
    Kind::List(&Kind::Either(&[DATACENTER_KIND, Kind::Table(&member::SECTION)]));
const ON_ALL_DOWN_KIND: Kind = Kind::Either(&[
    Kind::Choice(&["all", "first", "last-known-good", "nodata", "servfail", "refuse"]),
    Kind::Table(&on_all_down::SECTION),
]);

/// Longest ramp, in milliseconds: a day.
const RAMP_MAX_MS: u64 = 86_400_000;
const RAMP_KIND: Kind = Kind::Duration { min_ms: 0, max_ms: RAMP_MAX_MS };
const FAILBACK_KIND: Kind = Kind::Either(&[
    Kind::Choice(&["auto", "manual"]),
    Kind::Text { what: "\"after:\" and a duration", example: "\"after:10m\"" },
]);

section! {
    /// A zone this server is authoritative for.
    zone, "zone", Form::Named { what: "a domain name in quotes", example: "\"gslb.example.com\"" };
    NAMESERVERS "nameservers" Kind::OneOrMore(&Kind::Text { what: "a domain name", example: "\"ns1.example.com\"" }),
        Absent("the master file gives SOA and NS"),
        "Targets of the zone's NS records; the first is the SOA's MNAME. Goes with `hostmaster`.";
    HOSTMASTER "hostmaster" Kind::Text { what: "a mailbox", example: "\"hostmaster@example.com\"" },
        Absent("the master file gives SOA and NS"),
        "Mailbox of the SOA record. Goes with `nameservers`.";
    FILE "file" Kind::Text { what: "a path", example: "\"zones/gslb.example.com.zone\"" },
        Absent("the zone has inline records only"),
        "Static records: a master file (RFC 1035 5), relative to this file.";
    RECORDS "records" Kind::List(&Kind::Text { what: "a record", example: "\"www 300 IN A 192.0.2.1\"" }),
        Is("[]"),
        "Static records: lines of a master file, relative to the zone.";
    TTL "ttl" Kind::Seconds { max_s: TTL_MAX_S },
        Is("\"1h\""),
        "TTL of SOA, NS and inline records that give none.";
    NEGATIVE_TTL "negative_ttl" Kind::Seconds { max_s: WIP_TTL_MAX_S },
        Absent("\"30s\" where `nameservers` make the SOA; else the file's SOA decides"),
        "How long \"no such name\" may be cached (RFC 2308). Short: a WIP added must be seen soon.";
    SERIAL "serial" Kind::Integer { min: 0, max: 4_294_967_295 },
        Absent("the time of the load that changed content"),
        "A fixed SOA serial.";
    PRIMARIES "primaries" Kind::OneOrMore(&SERVER_KIND),
        Is("[]"),
        "Servers the zone is transferred from: this one is then a secondary, and the zone has no data of its own. `{ address = …, key = … }` signs with a [tsig] key. NOTIFY is taken from these alone.";
    NOTIFY "notify" Kind::OneOrMore(&SERVER_KIND),
        Is("[]"),
        "Servers that are told of a new serial (NOTIFY, RFC 1996), written as `primaries` are.";
    ALLOW_TRANSFER "allow_transfer" Kind::OneOrMore(&GRANT_KIND),
        Is("[]"),
        "Who may transfer the zone (AXFR, IXFR): networks, \"key:NAME\" for whoever signs with a [tsig] key, `{ address = …, key = … }` for both at once. Nobody unless it is said.";
}

section! {
    /// A site: one or more VIPs at a place.
    datacenter, "datacenter", Form::Named { what: "a name of letters, digits, `-`, `_` and `.`", example: "fra" };
    VIP "vip" Kind::OneOrMore(&VIP_KIND),
        Required,
        "Addresses its load balancer listens on, of either family. `{ address = …, for = [NETWORK, …] }` is given to clients inside those networks instead of the plain ones (split horizon).";
    LOCATION "location" Kind::Table(&location::SECTION),
        Absent("it has no distance and comes after those that have"),
        "Where it stands; never looked up from its VIPs.";
    SERVES "serves" Kind::OneOrMore(&SERVES_KIND),
        Is("[]"),
        "Clients it is for, whatever the distance: the longest network wins, then ASN, region, country, continent.";
    BIAS "bias" BIAS_KIND,
        Is("0"),
        "Makes it seem nearer (1 to 99) or farther (-1 to -99), in per cent.";
    WEIGHT "weight" WEIGHT_KIND,
        Is("1"),
        "Weight of members that stand for it and give none.";
    WILDCARD "wildcard" NAME_KIND,
        Absent("the site has no names of its own"),
        "Base of the site's own names: every name under it answers the VIPs, whatever their health.";
    HEALTH_CHECK "health_check" Kind::OneOrMore(&CHECK_KIND),
        Is("[]"),
        "Checks of the site as a whole: while they fail, every member in it is down.";
    REQUIRE "require" REQUIRE_KIND,
        Is("\"all\""),
        "How many of several checks must pass.";
    RAMP "ramp" RAMP_KIND,
        Absent("what the WIP says"),
        "Time over which the share of members that stand for it grows after they come back, before what WIPs say.";
}

section! {
    /// A VIP that only some clients are given.
    vip, "vip", Form::Inline;
    ADDRESS "address" ADDRESS_KIND, Required, "The address answered.";
    FOR "for" Kind::OneOrMore(&NETWORK_KIND), Is("[]"), "Clients that are given it, instead of the plain ones.";
}

section! {
    /// A place: a point, or a country.
    location, "location", Form::Inline;
    LATITUDE "latitude" Kind::Number { min: -90.0, max: 90.0 },
        Absent("`country` says where"), "Degrees north. Goes with `longitude`.";
    LONGITUDE "longitude" Kind::Number { min: -180.0, max: 180.0 },
        Absent("`country` says where"), "Degrees east. Goes with `latitude`.";
    COUNTRY "country" Kind::Text { what: "a country's two letters", example: "\"DE\"" },
        Absent("`latitude` and `longitude` say where"), "ISO 3166-1 alpha-2: its middle.";
}

section! {
    /// What WIPs say unless they say otherwise.
    wip_defaults, "wip_defaults", Form::Single;
    MEMBERS "members" MEMBERS_KIND,
        Absent("each WIP says its own `members` or `pools`"),
        "Datacenters and addresses to choose from, as in [wip]. Not together with `pools`.";
    POOLS "pools" Kind::List(&POOL_KIND),
        Absent("each WIP says its own `members` or `pools`"),
        "Pools to choose from, as in [wip]. Not together with `members`.";
    POLICY "policy" POLICY_KIND,
        Is("\"geo\""),
        "How one is chosen: nearest, in turn, by weight, first that is up, or by the client's network.";
    HEALTH_CHECK "health_check" Kind::OneOrMore(&CHECK_KIND),
        Is("[]"),
        "Checks of each member; with none, members count as up.";
    REQUIRE "require" REQUIRE_KIND,
        Is("\"all\""),
        "How many of several checks must pass.";
    TTL "ttl" Kind::Seconds { max_s: WIP_TTL_MAX_S },
        Is("\"30s\""),
        "TTL of an answer while nothing is about to change.";
    TTL_MIN "ttl_min" Kind::Seconds { max_s: WIP_TTL_MAX_S },
        Absent("\"5s\", or `ttl` where that is less"),
        "Least TTL while a member is about to change state.";
    MAX_ANSWERS "max_answers" Kind::Integer { min: 1, max: 32 },
        Is("1"),
        "Most members in one answer.";
    ON_ALL_DOWN "on_all_down" ON_ALL_DOWN_KIND,
        Is("\"all\""),
        "When no member is available: choose as if all were up (an outage of the prober must not become one of the service), or as named.";
    ECS "ecs" Kind::Bool,
        Is("true"),
        "Whether client subnets (RFC 7871) steer.";
    FAMILIES "families" Kind::Choice(&["together", "independent"]),
        Is("\"together\""),
        "Whether A and AAAA name one site, or each family is decided for itself.";
    FAILBACK "failback" FAILBACK_KIND,
        Is("\"auto\""),
        "When a member that was down takes part again: once it is up, once an operator says so, or once it has been up for so long without a break.";
    RAMP "ramp" RAMP_KIND,
        Is("\"0s\""),
        "Time over which a returning member's share grows, so that a cold site is not stampeded; 0s: at once.";
    HTTPS "https" BINDING_KIND,
        Is("false"),
        "Whether the name has an HTTPS record with the decided addresses as hints, and what else it says; true: nothing else.";
    SVCB "svcb" BINDING_KIND,
        Is("false"),
        "The same of an SVCB record.";
}

section! {
    /// One application's name.
    wip, "wip", Form::Named { what: "a domain name in quotes", example: "\"shop.gslb.example.com\"" };
    ALIASES "aliases" Kind::OneOrMore(&NAME_KIND),
        Is("[]"),
        "Further names that answer the same.";
    CHECK_HOST "check_host" HOST_KIND,
        Absent("the WIP's own name; a wildcard WIP must give it"),
        "Host and server name of its probes.";
    MEMBERS "members" MEMBERS_KIND,
        Absent("those of [wip_defaults]"),
        "Datacenters and addresses to choose from. Not together with `pools`.";
    POOLS "pools" Kind::List(&POOL_KIND),
        Absent("those of [wip_defaults]"),
        "Pools to choose from: `policy` chooses the pool, the pool's own the member. Not together with `members`.";
    POLICY "policy" POLICY_KIND, Absent("that of [wip_defaults]"), "How one is chosen.";
    HEALTH_CHECK "health_check" Kind::OneOrMore(&CHECK_KIND),
        Absent("those of [wip_defaults], with their `require`"),
        "Checks of each member; [] is none.";
    REQUIRE "require" REQUIRE_KIND,
        Absent("\"all\" beside an own `health_check`, else that of [wip_defaults]"),
        "How many of several checks must pass.";
    TTL "ttl" Kind::Seconds { max_s: WIP_TTL_MAX_S },
        Absent("that of [wip_defaults]"),
        "TTL of an answer while nothing is about to change.";
    TTL_MIN "ttl_min" Kind::Seconds { max_s: WIP_TTL_MAX_S },
        Absent("that of [wip_defaults], or `ttl` where that is less"),
        "Least TTL while a member is about to change state.";
    MAX_ANSWERS "max_answers" Kind::Integer { min: 1, max: 32 },
        Absent("that of [wip_defaults]"), "Most members in one answer.";
    ON_ALL_DOWN "on_all_down" ON_ALL_DOWN_KIND,
        Absent("that of [wip_defaults]"), "What is answered when no member is available.";
    ECS "ecs" Kind::Bool,
        Absent("that of [wip_defaults]"), "Whether client subnets steer.";
    FAMILIES "families" Kind::Choice(&["together", "independent"]),
        Absent("that of [wip_defaults]"), "Whether A and AAAA are decided together.";
    FAILBACK "failback" FAILBACK_KIND,
        Absent("that of [wip_defaults]"), "When a member that was down takes part again.";
    RAMP "ramp" RAMP_KIND,
        Absent("that of [wip_defaults]"), "Time over which a returning member's share grows.";
    HTTPS "https" BINDING_KIND,
        Absent("that of [wip_defaults]"), "Its HTTPS record; false: none.";
    SVCB "svcb" BINDING_KIND,
        Absent("that of [wip_defaults]"), "Its SVCB record; false: none.";
    SRV "srv" SERVICES_KIND,
        Is("{}"),
        "SRV records that name it, by service and protocol: `\"_https._tcp\" = { port = 443 }` stands at `_https._tcp` before its name; each alias has its own.";
}

section! {
    /// Fixed addresses for when no member is available.
    on_all_down, "on_all_down", Form::Inline;
    ADDRESSES "addresses" Kind::OneOrMore(&ADDRESS_KIND), Required, "Answered when no member is available.";
}

section! {
    /// A member that needs more than a datacenter's name.
    member, "member", Form::Inline;
    NAME "name" Kind::Text { what: "a name of letters, digits, `-`, `_` and `.`", example: "\"spare\"" },
        Absent("the datacenter's name, or the address or name answered"), "Its name in logs, metrics and overrides.";
    DATACENTER "datacenter" DATACENTER_KIND,
        Absent("it stands in no datacenter, and needs `address` or `cname`"),
        "The site it stands in: its VIPs unless `address` is given, its health and place in any case.";
    ADDRESS "address" Kind::OneOrMore(&VIP_KIND),
        Absent("the VIPs of `datacenter`"), "Addresses answered, as a datacenter's `vip`.";
    CNAME "cname" NAME_KIND,
        Absent("it has addresses"),
        "A name instead of addresses: where it is chosen, every type is answered with a CNAME to it. All members of a WIP are names, or none.";
    WEIGHT "weight" WEIGHT_KIND,
        Absent("the datacenter's, or 1"),
        "Share under `weighted` and `hash`; 0 is used only when every positive weight is unavailable.";
    LOCATION "location" Kind::Table(&location::SECTION), Absent("the datacenter's"), "Where it stands.";
    SERVES "serves" Kind::OneOrMore(&SERVES_KIND), Absent("the datacenter's"), "Clients it is for.";
    BIAS "bias" BIAS_KIND, Absent("the datacenter's"), "Makes it seem nearer or farther, in per cent.";
    RAMP "ramp" RAMP_KIND, Absent("the datacenter's, else the WIP's"), "Time over which its share grows after it comes back.";
}

section! {
    /// A named set of members, for WIPs of two tiers.
    pool, "pool", Form::Named { what: "a name of letters, digits, `-`, `_` and `.`", example: "europe" };
    MEMBERS "members" MEMBERS_KIND, Required, "Datacenters and addresses to choose from, 1 to 256.";
    POLICY "policy" POLICY_KIND, Is("\"geo\""), "How a member is chosen.";
    MIN_AVAILABLE "min_available" Kind::Integer { min: 1, max: 256 },
        Is("1"), "Fewest available members that make the pool usable; else the next pool is asked.";
}
