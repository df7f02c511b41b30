//! WIPs and datacenters, one by one: what the status page draws.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Once;
use crate::dns::Name;

//------------ WipsRequest ----------------------------------------------------

/// Most entries of [`WipsPage::wips`].
pub const WIPS_MAX: u32 = 1_000;
/// How many when nothing is said.
const WIPS_DEFAULT: u32 = 100;
/// Most characters of a text to look for: names are shorter.
const TEXT_LENGTH_MAX: usize = 256;

/// `GET /api/v1/wips`
#[derive(Clone, Debug, Eq, IntoParams, PartialEq)]
#[into_params(parameter_in = Query)]
pub struct WipsRequest {
    /// Only those of which the name or an alias holds this text, whatever its case.
    #[param(max_length = 256)]
    pub q: Option<String>,
    /// Only those that have a VIP that is not up, or is overridden.
    #[param(required = false)]
    pub troubled: bool,
    /// Those after this WIP, in the order of the config: [`WipsPage::next`] of the page
    /// before.
    #[param(value_type = Option<String>)]
    pub after: Option<Name>,
    /// Most entries. A page of WIPs with very many members may have fewer.
    #[param(required = false, minimum = 1, maximum = 1_000, default = 100)]
    pub limit: u32,
}

impl Default for WipsRequest {
    fn default() -> WipsRequest {
        WipsRequest { q: None, troubled: false, after: None, limit: WIPS_DEFAULT }
    }
}

impl WipsRequest {
    /// Reads the parameters `q`, `troubled`, `after` and `limit`. Errors say what was
    /// wrong, in a sentence.
    pub fn from_query(pairs: &[(String, String)]) -> Result<WipsRequest, String> {
        let mut once = Once { pairs };
        once.known(&["q", "troubled", "after", "limit"])?;
        let q = once.take("q")?.filter(|text| !text.is_empty());
        if q.is_some_and(|text| text.chars().count() > TEXT_LENGTH_MAX) {
            return Err(format!("q has more than {TEXT_LENGTH_MAX} characters"));
        }
        Ok(WipsRequest {
            q: q.map(str::to_ascii_lowercase),
            troubled: once.parse("troubled", "true or false")?.unwrap_or(false),
            after: once.name("after")?,
            limit: once.limit("limit", WIPS_MAX)?.unwrap_or(WIPS_DEFAULT),
        })
    }

    /// The parameters, for a client to send.
    pub fn to_query(&self) -> Vec<(String, String)> {
        let texts = [
            ("q", self.q.clone()),
            ("troubled", self.troubled.then(|| "true".to_owned())),
            ("after", self.after.as_ref().map(ToString::to_string)),
            ("limit", Some(self.limit.to_string())),
        ];
        let given = texts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        given.collect()
    }
}

//------------ WIPs -----------------------------------------------------------

/// `GET /api/v1/wips`, one page.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WipsPage {
    /// How many match in all.
    pub total: u64,
    /// Some of them, in the order of the config.
    pub wips: Vec<WipStatus>,
    /// There are more: ask for those after this name.
    pub next: Option<String>,
}

/// One WIP (`GET /api/v1/wips/{name}`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
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
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
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
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
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

//------------ Datacenters ----------------------------------------------------

/// `GET /api/v1/datacenters`
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct DatacentersPage {
    /// All there are, in the order of the config.
    pub datacenters: Vec<Datacenter>,
    /// Seconds between two points of a series.
    pub series_interval_s: u32,
}

/// One site.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Datacenter {
    /// Its name.
    pub name: String,
    /// Where it stands, in degrees; none: the config does not say.
    pub location: Option<Location>,
    /// Addresses of its load balancers.
    pub vips: Vec<String>,
    /// Its own checks: "unknown", "up", "down" (of one of its VIPs); none: it has none.
    pub gate: Option<String>,
    /// "up", "degraded" (some members or VIPs are out), "down" (all are), "drained" (all are, at
    /// an operator's word), "unknown" (nothing was judged yet), "unused" (no WIP has it).
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Location {
    /// North is positive.
    pub latitude: f64,
    /// East is positive.
    pub longitude: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wips_request_survives_its_query() {
        let whole = WipsRequest {
            q: Some("shop".to_owned()),
            troubled: true,
            after: Some(Name::parse("shop.gslb.example.com").unwrap()),
            limit: 7,
        };
        for request in [whole, WipsRequest::default()] {
            assert_eq!(WipsRequest::from_query(&request.to_query()).unwrap(), request);
        }
    }

    #[test]
    fn a_bad_wips_request_names_what_is_wrong() {
        let long = "x".repeat(257);
        for (key, value, error) in [
            ("troubled", "yes", "troubled \"yes\" is not true or false"),
            ("limit", "1001", "limit \"1001\" is not a number from 1 to 1000"),
            ("q", &*long, "q has more than 256 characters"),
            (
                "after",
                "a..b",
                "after \"a..b\": a label is empty (two dots in a row, or a dot in front)",
            ),
            ("page", "2", "unknown parameter \"page\"; known are q, troubled, after, limit"),
        ] {
            let query = [(key.to_owned(), value.to_owned())];
            assert_eq!(WipsRequest::from_query(&query).unwrap_err(), error);
        }
    }
}
