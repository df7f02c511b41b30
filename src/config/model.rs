//! The config as checked: every reference resolved, every value in its range.
//!
//! What can be named can be relied on: indices point into the lists beside
//! them, names are canonical and unique, policies have what they need. The
//! snapshot compiler, the prober and the listeners read this and nothing
//! earlier. WIPs are rows in an arena, because there may be a million.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use crate::dns::Name;
use crate::geo::{Location, Serves};
use crate::health::check::{ProbeKind, Require};
use crate::health::plan::{Failback, LimiterRules, ProbeAddress};
use crate::steer::{Families, OnAllDown, Policy};

mod abuse;
mod admin;
mod cookies;
mod records;
mod server;
mod tls;
mod transfers;
mod watching;

pub use self::abuse::{Access, AccessLists, RateLimit};
pub use self::records::{ServiceBinding, ServiceRecord};
pub use self::server::Server;
pub use self::tls::{Proxy, Tls, TlsFiles};
pub use self::transfers::{Grant, Remote, TsigKey};

pub use self::admin::{Admin, AdminListen};
pub use self::cookies::{BadCookie, Cookies};
pub use self::watching::{EventClass, QueryLog, QueryLogTo, Webhook};
pub use super::wips::{Matched, Run, Wips};

/// Most members a pool may have: a set of members fits four machine words.
pub const POOL_MEMBERS_MAX: usize = 256;

//------------ Config ---------------------------------------------------------

/// A whole, valid configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[access]`
    pub access: Access,
    /// `[rate_limit]`
    pub rate_limit: RateLimit,
    /// `[cookies]`
    pub cookies: Cookies,
    /// `[admin]`
    pub admin: Admin,
    /// `[geo]`
    pub geo: Geo,
    /// `[health]`
    pub health: Health,
    /// `[safety]`
    pub safety: Safety,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[log]`
    pub log: Log,
    /// `[query_log]`
    pub query_log: QueryLog,
    /// `[webhook.…]`
    pub webhooks: Vec<Webhook>,
    /// `[tsig.…]`
    pub tsig: Vec<TsigKey>,
    /// `[zone."…"]`
    pub zones: Vec<Zone>,
    /// `[datacenter.…]`
    pub datacenters: Vec<Datacenter>,
    /// `[health_check.…]`
    pub health_checks: Vec<HealthCheck>,
    /// `[pool.…]`, and one unnamed pool for each distinct `members` list of a WIP.
    pub pools: Vec<Pool>,
    /// Everything a WIP says but its names; equal settings are one entry.
    pub wip_settings: Vec<WipSettings>,
    /// `[wip."…"]`
    pub wips: Wips,
    /// Files read: the main file, then includes and master files, for watching.
    pub files: Vec<PathBuf>,
    /// Patterns of `include`, resolved: a new file that matches is a change too.
    pub include_patterns: Vec<String>,
}

//------------ Sections -------------------------------------------------------

/// `[geo]`
#[derive(Clone, Debug, Default)]
pub struct Geo {
    /// `.mmdb` files, as resolved paths; empty: the embedded country table.
    pub databases: Vec<PathBuf>,
}

/// `[health]`
#[derive(Clone, Debug)]
pub struct Health {
    /// Most probes per second a config may plan.
    pub probe_budget: u32,
    /// Longest that readiness waits for first verdicts, in milliseconds.
    pub start_hold_ms: u32,
    /// Most probes in flight at once.
    pub concurrency: u32,
    /// Most probes in flight to one address.
    pub concurrency_per_address: u32,
    /// When simultaneous losses are held to be our own fault.
    pub limiter: LimiterRules,
    /// TCP addresses that tell whether this host's own network works.
    pub references: Vec<SocketAddr>,
    /// Certificates are warned of so long before they expire, in seconds; 0: never.
    pub certificate_warning_s: u32,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            probe_budget: 20_000,
            start_hold_ms: 10_000,
            concurrency: 4_096,
            concurrency_per_address: 64,
            limiter: LimiterRules::default(),
            references: Vec::new(),
            certificate_warning_s: 1_209_600,
        }
    }
}

/// `[safety]`: what operators cannot do without breaking the glass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Safety {
    /// Fewest members of a WIP that stay available.
    pub min_members: u32,
    /// Fewest datacenters that stay in service; 0: no such rule.
    pub min_datacenters: u32,
    /// Most datacenters that members are taken out of within the window; 0: no such rule.
    pub max_datacenters_changed: u32,
    /// The window, in seconds.
    pub change_window_s: u32,
}

impl Default for Safety {
    fn default() -> Safety {
        Safety {
            min_members: 1,
            min_datacenters: 0,
            max_datacenters_changed: 0,
            change_window_s: 600,
        }
    }
}

/// `[metrics]`
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Whether there are series per WIP; none: on up to 2,000 WIPs.
    pub per_wip: Option<bool>,
}

/// `[log]`
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Least severe level shown, or a filter such as "info,windrose::probe=debug".
    pub level: Option<String>,
    /// None: text on a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

//------------ Zone -----------------------------------------------------------

/// `[zone."…"]`
#[derive(Clone, Debug)]
pub struct Zone {
    /// Canonical (lower-case) apex.
    pub origin: Name,
    /// NS targets; empty when the master file gives SOA and NS.
    pub nameservers: Vec<Name>,
    /// The SOA's RNAME, already in name form; none when the file gives the SOA.
    pub hostmaster: Option<Name>,
    /// The master file, as resolved path, and its text.
    pub file: Option<MasterFile>,
    /// Inline records: lines of master-file text, relative to the origin.
    pub records: Vec<String>,
    /// TTL of the SOA, NS and inline records without one, in seconds.
    pub ttl_s: u32,
    /// TTL of negative answers, in seconds. None: the file's SOA decides.
    pub negative_ttl_s: Option<u32>,
    /// A fixed serial; none: from the time of the load that changed content.
    pub serial: Option<u32>,
    /// Where it is transferred from; empty: it is this server's own.
    pub primaries: Vec<Remote>,
    /// Who is told of a new serial.
    pub notify: Vec<Remote>,
    /// Who may transfer it.
    pub allow_transfer: Vec<Grant>,
}

impl Zone {
    /// Whether its data comes from other servers.
    pub fn is_secondary(&self) -> bool {
        !self.primaries.is_empty()
    }
}

/// A master file's path and what was read from it.
#[derive(Clone, Debug)]
pub struct MasterFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its text.
    pub text: Vec<u8>,
}

//------------ Datacenter -----------------------------------------------------

/// `[datacenter.…]`
#[derive(Clone, Debug)]
pub struct Datacenter {
    /// Its key in the file.
    pub name: String,
    /// At least one.
    pub vips: Vec<Vip>,
    /// Where it is; none: it has no distance.
    pub location: Option<Location>,
    /// Clients it serves, whatever the distance.
    pub serves: Vec<Serves>,
    /// Route 53's bias, −99…99.
    pub bias: i8,
    /// Default weight of members that stand for it.
    pub weight: u32,
    /// Base of the site's own names.
    pub wildcard: Option<Name>,
    /// Checks of the site as a whole: they gate every member in it.
    pub health_checks: Vec<CheckId>,
    /// How many of those must pass.
    pub require: Require,
    /// Ramp of members that stand for it, in milliseconds; none: the WIP's.
    pub ramp_ms: Option<u32>,
}

/// One address of a site's load balancer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Vip {
    /// The address answered.
    pub address: IpAddr,
    /// `for`: only clients inside these get it, instead of the plain ones. Empty: everyone else.
    pub clients: Vec<IpNet>,
}

//------------ Health checks --------------------------------------------------

/// Index into [`Config::health_checks`].
pub type CheckId = u32;
/// Index into [`Config::pools`].
pub type PoolId = u32;
/// Index into [`Config::datacenters`].
pub type DatacenterId = u32;
/// Index into [`Config::wip_settings`].
pub type SettingsId = u32;

/// `[health_check.…]`
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// Its key in the file.
    pub name: String,
    /// What is sent and expected.
    pub probe: ProbeKind,
    /// Probe here instead of at the VIP.
    pub address: Option<ProbeAddress>,
    /// Time between probes, in milliseconds.
    pub interval_ms: u32,
    /// A probe's one deadline, in milliseconds; less than the interval.
    pub timeout_ms: u32,
    /// Time between probes while a contrary result is pending, in milliseconds.
    pub confirm_interval_ms: u32,
    /// Failures that make it DOWN.
    pub fall: u8,
    /// Consecutive successes that make it UP.
    pub rise: u8,
    /// Consecutive successes that forget counted failures.
    pub clear: u8,
}

//------------ Pools and WIPs -------------------------------------------------

/// A set of members with a policy.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its key in the file; none for a WIP's own `members`.
    pub name: Option<String>,
    /// How a member is chosen.
    pub policy: Policy,
    /// 1 to [`POOL_MEMBERS_MAX`], distinct names.
    pub members: Vec<Member>,
    /// Fewest available members that make the pool usable.
    pub min_available: u16,
}

/// One of a pool: a datacenter's VIPs or an explicit address.
#[derive(Clone, Debug)]
pub struct Member {
    /// The datacenter's name, or `name`, or the address as text.
    pub name: String,
    /// The datacenter it stands in, whose gate it obeys.
    pub datacenter: Option<DatacenterId>,
    /// At least one, unless it is a name.
    pub vips: Vec<Vip>,
    /// The name it is: answered as CNAME.
    pub cname: Option<Name>,
    /// Share under `weighted` and `hash`.
    pub weight: u32,
    /// Its own or its datacenter's.
    pub location: Option<Location>,
    /// Its own or its datacenter's.
    pub serves: Vec<Serves>,
    /// Its own or its datacenter's.
    pub bias: i8,
    /// Its own or its datacenter's, in milliseconds; none: the WIP's.
    pub ramp_ms: Option<u32>,
}

/// All of a WIP but its names. Equal settings are shared.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct WipSettings {
    /// Policy over `pools`; without effect when there is one.
    pub policy: Policy,
    /// At least one.
    pub pools: Vec<PoolId>,
    /// Checks of each member; empty: always up.
    pub health_checks: Vec<CheckId>,
    /// How many of those must pass.
    pub require: Require,
    /// TTL of a calm answer, in seconds.
    pub ttl_s: u32,
    /// Least TTL that health may give, in seconds.
    pub ttl_min_s: u32,
    /// Most members in one answer.
    pub max_answers: u8,
    /// When nobody is available.
    pub on_all_down: OnAllDown,
    /// Whether the client subnet option steers.
    pub ecs: bool,
    /// Whether A and AAAA are decided together.
    pub families: Families,
    /// When a member that was down takes part again.
    pub failback: Failback,
    /// A returning member's share grows over this time, in milliseconds; 0: at once.
    pub ramp_ms: u32,
    /// Its HTTPS record.
    pub https: Option<ServiceBinding>,
    /// Its SVCB record.
    pub svcb: Option<ServiceBinding>,
    /// SRV records that name it.
    pub srv: Vec<ServiceRecord>,
}
