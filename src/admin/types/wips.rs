//! WIPs and datacenters, one by one: what the status page draws.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/wips`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WipsRequest {
    /// Only names that hold this text, whatever its case.
    pub q: Option<String>,
    /// Only those that have a member that is not up, or is overridden.
    pub troubled: bool,
    /// Those after this WIP, in the order of the config: the last of the page before.
    pub after: Option<String>,
    /// Most entries: 100 unless said, [`WIPS_MAX`] at most.
    pub limit: Option<u32>,
}

/// Most entries of [`WipsPage::wips`].
pub const WIPS_MAX: usize = 1_000;

/// `GET /api/v1/wips`, one page.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct WipsPage {
    /// How many match in all.
    pub total: u64,
    /// Some of them, in the order of the config.
    pub wips: Vec<WipStatus>,
    /// There are more: ask for those after this name.
    pub next: Option<String>,
}

/// One WIP (`GET /api/v1/wips/{name}`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct WipStatus {
    /// Its name.
    pub name: String,
    /// Other names that are answered alike.
    pub aliases: Vec<String>,
    /// "geo", "round-robin", "weighted", "failover", "hash": over pools, or over the members of the
    /// only one.
    pub policy: String,
    /// TTL of a calm answer, in seconds.
    pub ttl_s: u32,
    /// Members that may be answered.
    pub available: u64,
    /// Members of all pools, in the order of the config.
    pub members: Vec<WipMember>,
}

/// One member of one WIP.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct WipMember {
    /// Its name.
    pub name: String,
    /// Its pool; none: the WIP has members of its own.
    pub pool: Option<String>,
    /// Its datacenter; none: it is an address of its own.
    pub datacenter: Option<String>,
    /// Its weight.
    pub weight: u32,
    /// Whether it may be answered: one of its VIPs may.
    pub available: bool,
    /// The state of its best VIP: "unknown", "up", "down", "held", "drained", "forced-up",
    /// "forced-down".
    pub effective: String,
    /// What probes say of that VIP: "unknown", "up", "down".
    pub probed: String,
    /// Why it is not up, in words; none: it is, or nobody knows.
    pub reason: Option<String>,
    /// Its VIPs.
    pub vips: Vec<VipStatus>,
    /// Number of the override that decides; none: health does.
    pub override_id: Option<u64>,
}

/// One VIP of one member.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct VipStatus {
    /// What is answered.
    pub address: String,
    /// What queries see, as in [`WipMember::effective`].
    pub effective: String,
    /// What probes say.
    pub probed: String,
    /// Whether it may be answered.
    pub available: bool,
}

/// `GET /api/v1/datacenters`
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct DatacentersPage {
    /// All there are, in the order of the config.
    pub datacenters: Vec<Datacenter>,
    /// Seconds between two points of a series.
    pub series_interval_s: u32,
}

/// One site.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Datacenter {
    /// Its name.
    pub name: String,
    /// Where it stands, in degrees; none: the config does not say.
    pub location: Option<Location>,
    /// Addresses of its load balancers.
    pub vips: Vec<String>,
    /// Its own checks: "unknown", "up", "down"; none: it has none.
    pub gate: Option<String>,
    /// "up", "degraded" (some members are out), "down" (all are), "drained" (all are, at an operator's
    /// word), "unknown" (nothing was judged yet), "unused" (no WIP has it).
    pub state: String,
    /// Members of WIPs that it has.
    pub members: u64,
    /// Those that may be answered.
    pub available: u64,
    /// Those of which an operator decides.
    pub overridden: u64,
    /// Mean time of its probes that succeeded, in milliseconds, a point for each interval,
    /// oldest first; null where there was none.
    pub probe_ms: Vec<Option<f64>>,
    /// Answers that named it, a second, likewise; empty where series per WIP are off.
    pub answers_per_s: Vec<Option<f64>>,
}

/// A place on earth, in degrees.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Location {
    /// North is positive.
    pub latitude: f64,
    /// East is positive.
    pub longitude: f64,
}
