//! The API's requests and replies, versioned with `/api/v1`: fields are added,
//! never changed or removed. Times are unix seconds, `_s` at the end.

mod events;
mod health;
mod log;
mod overrides;
mod simulation;
mod support;
mod upgrade;
mod webhooks;
mod wips;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use self::events::{Event, EventKind, EventsRequest, SaidOverride, Subject};
pub use self::health::{
    CHECKS_MAX, CheckStatus, ChecksPage, ChecksRequest, DatacenterLosses, FailbackRequest,
    FailedBack, HealthStatus, LimiterReleased, LimiterState, ProberStatus,
};
pub use self::log::{LOG_CONFIGURED, LOG_FOR_MAX_S, LogRequest, LogStatus};
pub use self::overrides::{
    BrokenRule, ClearRequest, OverrideDone, OverrideEffect, OverrideKind, OverrideRequest,
    OverrideStatus, OverrideTarget, OverridesPage, WIPS_SHOWN_MAX, WipEffect,
};
pub use self::simulation::{
    Flow, MOVES_MAX, Moves, Share, SimulateRequest, Simulation, ThoughtOverride, WEIGHTS_MAX,
    WeightedNetwork, WipMoves,
};
pub use self::support::SupportBundle;
pub use self::upgrade::Upgraded;
pub use self::webhooks::{WebhookStatus, WebhookTested, WebhooksPage};
pub use self::wips::{
    Datacenter, DatacentersPage, Location, VipStatus, WIPS_MAX, WipMember, WipStatus, WipsPage,
    WipsRequest,
};
use crate::dns::Name;

//------------ Status ---------------------------------------------------------

/// `GET /api/v1/status`
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// The running version.
    pub version: String,
    /// `[server] identity`.
    pub identity: Option<String>,
    /// When the server started.
    pub started_at_s: u64,
    /// Why it is not ready; none: it is.
    pub not_ready: Option<String>,
    /// The config in force.
    pub config: ConfigStatus,
    /// Health as a whole.
    #[serde(default)]
    pub health: HealthStatus,
    /// Each datacenter, in the order of the config.
    pub datacenters: Vec<DatacenterStatus>,
    /// What operators say over health.
    #[serde(default)]
    pub overrides: OverridesPage,
    /// The zones, in the order of the config: the first 1,000.
    #[serde(default)]
    pub zones: Vec<ZoneStatus>,
    /// Members that are not up or are overridden: the first
    /// [`MEMBERS_NOT_UP_MAX`].
    pub members_not_up: Vec<MemberStatus>,
    /// How many there are in all.
    pub members_not_up_total: u64,
}

/// One zone.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ZoneStatus {
    /// Its apex.
    pub name: String,
    /// "primary" where the data is this server's own, "secondary" where it is transferred.
    pub role: String,
    /// Its serial; none: there is no data yet.
    pub serial: Option<u32>,
    /// Why it is answered with SERVFAIL; none: it is not.
    pub not_ready: Option<String>,
    /// The primary that was asked last.
    pub primary: Option<String>,
    /// When a check last found it current or brought it.
    pub checked_at_s: Option<u64>,
    /// When it was last transferred.
    pub transferred_at_s: Option<u64>,
    /// When it expires unless a primary answers before.
    pub expires_at_s: Option<u64>,
    /// Why the last check failed; none: it did not.
    pub last_error: Option<String>,
}

/// Most entries of [`Status::members_not_up`].
pub const MEMBERS_NOT_UP_MAX: usize = 1_000;

/// The config in force, and how the last load went.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ConfigStatus {
    /// Grows by one with each config that is published.
    pub generation: u64,
    /// When the one in force was taken.
    pub loaded_at_s: u64,
    /// Why the last reload was refused; none: it was taken.
    pub last_reload_refused: Option<ReloadRefused>,
    /// How many zones.
    pub zones: u64,
    /// How many WIPs.
    pub wips: u64,
    /// How many distinct probes.
    pub probes: u64,
}

/// One site.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct DatacenterStatus {
    /// Its name.
    pub name: String,
    /// Its own checks: "unknown", "up", "down"; none: it has none.
    pub gate: Option<String>,
    /// Verdicts of its members that are up.
    pub up: u64,
    /// Those that are down.
    pub down: u64,
    /// Those not judged.
    pub unknown: u64,
    /// Those of which an operator decides, whatever probes say.
    #[serde(default)]
    pub overridden: u64,
}

/// [`MemberStatus::share_percent`] of servers that do not say it.
fn all_clients() -> u8 {
    100
}

/// One member of one WIP. What probes say and what queries see are both shown.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MemberStatus {
    /// The WIP; the first, where several share the verdict.
    pub wip: String,
    /// The member.
    pub member: String,
    /// What is probed: "203.0.113.10".
    pub address: String,
    /// What probes say: "unknown", "up", "down".
    pub probed: String,
    /// What queries see: the same, or "held", "drained", "forced-up", "forced-down".
    pub effective: String,
    /// Parts of a hundred of its clients that it takes: fewer than all while it ramps up
    /// after a return.
    #[serde(default = "all_clients")]
    pub share_percent: u8,
    /// The check that is the reason; none: all its checks are well.
    #[serde(default)]
    pub check: Option<String>,
    /// That check is its site's own.
    #[serde(default)]
    pub of_site: bool,
    /// When that check's state last changed; none: not since the start.
    pub since_s: Option<u64>,
    /// How that check failed last: a kind and some words.
    pub failure: Option<String>,
}

//------------ ExplainRequest -------------------------------------------------

/// `GET /api/v1/explain`
#[derive(Clone, Debug, Eq, IntoParams, PartialEq)]
#[into_params(parameter_in = Query)]
pub struct ExplainRequest {
    /// The name asked.
    #[param(value_type = String, example = "shop.gslb.example.com")]
    pub name: Name,
    /// The record type asked, in upper case: "A", "AAAA", "TYPE65".
    #[param(rename = "type", required = false, default = "A")]
    pub record_type: String,
    /// The packet's source; none: this host.
    #[param(value_type = Option<String>, example = "192.0.2.1")]
    pub client: Option<IpAddr>,
    /// The client subnet option.
    #[param(value_type = Option<String>, example = "198.51.100.0/24")]
    pub ecs: Option<IpNet>,
    /// Datacenters to think down; may be given several times.
    #[param(required = false, example = json!(["fra"]))]
    pub down: Vec<String>,
}

impl ExplainRequest {
    /// Reads the parameters `name`, `type`, `client`, `ecs` and any number of
    /// `down`. Errors say what was wrong, in a sentence.
    pub fn from_query(pairs: &[(String, String)]) -> Result<ExplainRequest, String> {
        let mut once = Once { pairs };
        let request = ExplainRequest {
            name: {
                let text = once.take("name")?.ok_or("the parameter \"name\" is missing")?;
                Name::parse(text).map_err(|error| format!("name \"{text}\": {error}"))?
            },
            record_type: once.take("type")?.unwrap_or("A").to_ascii_uppercase(),
            client: once.parse("client", "an IP address such as 192.0.2.1")?,
            ecs: once.parse("ecs", "a network such as 192.0.2.0/24")?,
            down: pairs.iter().filter(|(key, _)| key == "down").map(|(_, v)| v.clone()).collect(),
        };
        once.known(&["name", "type", "client", "ecs", "down"])?;
        Ok(request)
    }

    /// The parameters, for a client to send.
    pub fn to_query(&self) -> Vec<(String, String)> {
        let mut pairs = vec![
            ("name".to_owned(), self.name.to_string()),
            ("type".to_owned(), self.record_type.clone()),
        ];
        pairs.extend(self.client.map(|client| ("client".to_owned(), client.to_string())));
        pairs.extend(self.ecs.map(|ecs| ("ecs".to_owned(), ecs.to_string())));
        pairs.extend(self.down.iter().map(|down| ("down".to_owned(), down.clone())));
        pairs
    }
}

/// Reads parameters that may stand once.
struct Once<'a> {
    pairs: &'a [(String, String)],
}

impl<'a> Once<'a> {
    fn known(&self, known: &[&str]) -> Result<(), String> {
        match self.pairs.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => {
                Err(format!("unknown parameter \"{key}\"; known are {}", known.join(", ")))
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, key: &str) -> Result<Option<&'a str>, String> {
        let mut values = self.pairs.iter().filter(|(name, _)| name == key);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(format!("the parameter \"{key}\" is there twice")),
            (first, None) => Ok(first.map(|(_, value)| value.as_str())),
        }
    }

    fn parse<T: std::str::FromStr>(&mut self, key: &str, want: &str) -> Result<Option<T>, String> {
        let Some(text) = self.take(key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("{key} \"{text}\" is not {want}"))
    }

    /// A DNS name, in lower case.
    fn name(&mut self, key: &str) -> Result<Option<Name>, String> {
        let Some(text) = self.take(key)? else { return Ok(None) };
        let name = Name::parse(text).map_err(|error| format!("{key} \"{text}\": {error}"))?;
        Ok(Some(name.to_lowercase()))
    }

    /// A number from 1 to `max`.
    fn limit(&mut self, key: &str, max: u32) -> Result<Option<u32>, String> {
        let want = format!("a number from 1 to {max}");
        match self.parse(key, &want)? {
            Some(limit) if !(1..=max).contains(&limit) => {
                Err(format!("{key} \"{limit}\" is not {want}"))
            }
            limit => Ok(limit),
        }
    }
}

//------------ NoBody ---------------------------------------------------------

/// The body of a request that says all there is to say by itself: none, or `{}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoBody {}

//------------ Reload ---------------------------------------------------------

/// `POST /api/v1/reload`, taken.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ReloadReport {
    /// The generation now in force.
    pub generation: u64,
    /// What changed, a line each; empty: nothing.
    pub changes: Vec<String>,
    /// Warnings of the config checker.
    pub warnings: Vec<ConfigProblem>,
}

/// `POST /api/v1/reload`, refused: the old config stays in force.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ReloadRefused {
    /// All problems as `windrose check` prints them.
    pub report: String,
    /// The same, one by one.
    pub problems: Vec<ConfigProblem>,
}

/// One thing that is wrong in the config, as `windrose check --json` shows it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ConfigProblem {
    /// Stable: "unknown-key".
    pub code: String,
    /// "error" or "warning".
    pub severity: String,
    /// What is wrong, in a line.
    pub title: String,
    /// Where; the first is the one to look at.
    pub places: Vec<ConfigPlace>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// What may help.
    pub help: Vec<String>,
}

/// Where in the config something is wrong.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ConfigPlace {
    /// The file.
    pub file: String,
    /// From 1; none: the file as a whole.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
    /// The line's text.
    pub excerpt: Option<String>,
    /// A few words on this place; may be empty.
    pub label: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
        query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn problems_of_the_checker_reach_the_api_whole() {
        use crate::problem::{Problem, Problems, Sources};

        let mut sources = Sources::default();
        let file = sources.add("windrose.toml").unwrap();
        sources.set_text(file, Some("a = 1\nb = 2\n".to_owned()));
        let mut problems = Problems::default();
        problems.push(Problem::error("unknown-key", "no such key").at_line(file, 2, 1).help("c"));
        problems.push(Problem::error("no-zone", "there is no zone"));
        let json = problems.to_json(&sources);
        let read: Vec<ConfigProblem> = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].places[0].line, Some(2));
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
    }

    #[test]
    fn an_explain_request_survives_its_query() {
        let request = ExplainRequest {
            name: Name::parse("shop.gslb.example.com").unwrap(),
            record_type: "AAAA".to_owned(),
            client: Some("2001:db8::1".parse().unwrap()),
            ecs: Some("192.0.2.0/24".parse().unwrap()),
            down: vec!["fra".to_owned(), "iad".to_owned()],
        };
        assert_eq!(ExplainRequest::from_query(&request.to_query()).unwrap(), request);
        let least = ExplainRequest::from_query(&pairs(&[("name", "a.example")])).unwrap();
        assert_eq!((least.record_type.as_str(), least.down.len()), ("A", 0));
    }

    #[test]
    fn a_bad_query_is_refused_with_the_parameter_named() {
        for (query, error) in [
            (pairs(&[]), "the parameter \"name\" is missing"),
            (
                pairs(&[("name", "a..b")]),
                "name \"a..b\": a label is empty (two dots in a row, or a dot in front)",
            ),
            (pairs(&[("name", "a"), ("name", "b")]), "the parameter \"name\" is there twice"),
            (
                pairs(&[("name", "a"), ("client", "x")]),
                "client \"x\" is not an IP address such as 192.0.2.1",
            ),
            (
                pairs(&[("name", "a"), ("ecs", "192.0.2.1/33")]),
                "ecs \"192.0.2.1/33\" is not a network such as 192.0.2.0/24",
            ),
            (
                pairs(&[("name", "a"), ("clinet", "192.0.2.1")]),
                "unknown parameter \"clinet\"; known are name, type, client, ecs, down",
            ),
        ] {
            assert_eq!(ExplainRequest::from_query(&query).unwrap_err(), error);
        }
    }
}
