//! Health in the API: its summary, the checks one by one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Once;
use crate::dns::Name;

//------------ HealthStatus ---------------------------------------------------

/// Health as a whole, in [`Status`](super::Status).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HealthStatus {
    /// Distinct probes whose state is up.
    pub up: u64,
    /// Whose state is down.
    pub down: u64,
    /// Whose state is unknown.
    pub unknown: u64,
    /// Those with results pending against their state.
    pub pending: u64,
    /// Those without a verdict for three intervals: the prober's trouble.
    pub silent: u64,
    /// Certificates that expire within `[health] certificate_warning`.
    pub certificates_expiring: u64,
    /// The blast-radius limiter.
    pub limiter: LimiterState,
    /// How the prober itself is.
    pub prober: ProberStatus,
}

/// The blast-radius limiter.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LimiterState {
    /// "armed"; "tripped": no target is called down; "overruled": an operator released
    /// it, and it does not trip until it would have released by itself.
    pub phase: String,
    /// Since when; none: the start.
    pub since_s: Option<u64>,
    /// Targets that would be down but for it.
    pub held: u64,
    /// How often it tripped since the start.
    pub trips: u64,
    /// What it sees of each datacenter with targets.
    pub datacenters: Vec<DatacenterLosses>,
}

/// How much of a datacenter the limiter sees lost.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct DatacenterLosses {
    /// Its name.
    pub name: String,
    /// Its targets.
    pub targets: u64,
    /// Of them, those that were not down before.
    pub counted: u64,
    /// Of those, lost within the window, or held.
    pub lost: u64,
}

/// `POST /api/v1/limiter/release`, done.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct LimiterReleased {
    /// Targets that it held: what still fails of them goes down with its next failure.
    pub held: u64,
}

/// How the prober itself is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProberStatus {
    /// How far the most overdue probe is behind its schedule.
    pub lag_ms: u64,
    /// Probes under way.
    pub in_flight: u64,
    /// Probes that are due and wait for a slot.
    pub waiting: u64,
    /// It does not answer: what is shown of health may be old.
    pub unresponsive: bool,
}

//------------ Failback -------------------------------------------------------

/// `POST /api/v1/failback`: lets members that are held take part again.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailbackRequest {
    /// Of this WIP alone.
    #[serde(default)]
    pub wip: Option<String>,
    /// Of this name alone.
    #[serde(default)]
    pub member: Option<String>,
}

/// `POST /api/v1/failback`, done.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct FailedBack {
    /// Verdicts that were held and are no more; WIPs that share one count once.
    pub released: u64,
}

//------------ Checks ---------------------------------------------------------

/// Most checks of one page, and how many when nothing is said.
pub const CHECKS_MAX: u32 = 1_000;
const CHECKS_DEFAULT: u32 = 100;

/// States a check can be asked for by.
const STATES: [&str; 3] = ["unknown", "up", "down"];

/// `GET /api/v1/checks`
#[derive(Clone, Debug, Eq, IntoParams, PartialEq)]
#[into_params(parameter_in = Query)]
pub struct ChecksRequest {
    /// Those that this WIP depends on, shared ones and its sites' own included.
    #[param(value_type = Option<String>)]
    pub wip: Option<Name>,
    /// Those asked for under this member's name.
    pub member: Option<String>,
    /// Those asked for under this check's name.
    pub check: Option<String>,
    /// Those in this state: "unknown", "up", "down".
    #[param(pattern = "^(unknown|up|down)$")]
    pub state: Option<String>,
    /// [`ChecksPage::next`] of the page before.
    pub after: Option<u32>,
    /// Most of one page.
    #[param(required = false, minimum = 1, maximum = 1_000, default = 100)]
    pub limit: u32,
}

impl Default for ChecksRequest {
    fn default() -> ChecksRequest {
        ChecksRequest {
            wip: None,
            member: None,
            check: None,
            state: None,
            after: None,
            limit: CHECKS_DEFAULT,
        }
    }
}

impl ChecksRequest {
    /// Reads the parameters `wip`, `member`, `check`, `state`, `after` and `limit`.
    /// Errors say what was wrong, in a sentence.
    pub fn from_query(pairs: &[(String, String)]) -> Result<ChecksRequest, String> {
        let mut once = Once { pairs };
        once.known(&["wip", "member", "check", "state", "after", "limit"])?;
        let wip = once.name("wip")?;
        let state = once.take("state")?;
        if let Some(state) = state.filter(|state| !STATES.contains(state)) {
            return Err(format!("state \"{state}\" is not one of {}", STATES.join(", ")));
        }
        let limit = once.limit("limit", CHECKS_MAX)?.unwrap_or(CHECKS_DEFAULT);
        Ok(ChecksRequest {
            wip,
            member: once.take("member")?.map(str::to_owned),
            check: once.take("check")?.map(str::to_owned),
            state: state.map(str::to_owned),
            after: once.parse("after", "the \"next\" of a page")?,
            limit,
        })
    }

    /// The parameters, for a client to send.
    pub fn to_query(&self) -> Vec<(String, String)> {
        let texts = [
            ("wip", self.wip.as_ref().map(ToString::to_string)),
            ("member", self.member.clone()),
            ("check", self.check.clone()),
            ("state", self.state.clone()),
            ("after", self.after.map(|after| after.to_string())),
            ("limit", Some(self.limit.to_string())),
        ];
        let given = texts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        given.collect()
    }
}

/// A page of checks, in the order of the config.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ChecksPage {
    /// The config they belong to. A page of another generation than the one before
    /// may leave some out or repeat them.
    pub generation: u64,
    /// Now, by the server's clock.
    pub now_s: u64,
    /// How many there are in all that were asked for.
    pub total: u64,
    /// Those of this page.
    pub checks: Vec<CheckStatus>,
    /// The next page's `after`; none: this was the last.
    pub next: Option<u32>,
}

/// One distinct probe: who asked for it, its state and how it is getting on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct CheckStatus {
    /// Name of the check; where several need the same probe, the first's.
    pub check: String,
    /// "http", "tcp", …
    #[serde(rename = "type")]
    pub kind: String,
    /// The first WIP that needs it; none: a datacenter's own.
    pub wip: Option<String>,
    /// Its member.
    pub member: String,
    /// The member's datacenter.
    pub datacenter: Option<String>,
    /// Where the probe goes.
    pub address: String,
    /// "unknown", "up", "down".
    pub state: String,
    /// Whether its last verdict lets the member take part; a state that is unknown
    /// keeps it.
    pub eligible: bool,
    /// The verdict is an earlier run's: no result of this one judged it yet.
    #[serde(default)]
    pub stale: bool,
    /// No verdict for three intervals.
    pub silent: bool,
    /// When the state last changed; none: not since the start.
    pub since_s: Option<u64>,
    /// "passed" or "failed"; none: not probed yet.
    pub last_result: Option<String>,
    /// When the last probe ended.
    pub last_at_s: Option<u64>,
    /// How long it took.
    pub last_latency_ms: Option<u32>,
    /// Kind of the last failure, kept while probes pass.
    pub last_failure: Option<String>,
    /// The last failure in words.
    pub last_failure_detail: Option<String>,
    /// When the next probe is due, from now; 0: due or under way; none: never.
    pub next_probe_ms: Option<u64>,
    /// Failures counted against up.
    pub failures: u8,
    /// Successes in a row.
    pub successes: u8,
    /// Results in a row that would turn its state.
    pub results_needed: u8,
    /// Successes in a row that make it up, flap damping counted in.
    pub rise_effective: u8,
    /// Probes that passed since the start.
    pub passed: u64,
    /// Probes that failed, by kind; kinds that did not happen are left out.
    pub failed: BTreeMap<String, u64>,
    /// How often it became unknown, up and down.
    pub transitions: BTreeMap<String, u64>,
    /// Until the certificate that it last showed expires, in seconds; negative: it
    /// has; none: it showed none.
    pub certificate_expires_s: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checks_request_survives_its_query() {
        let whole = ChecksRequest {
            wip: Some(Name::parse("shop.gslb.example.com").unwrap()),
            member: Some("fra".to_owned()),
            check: Some("ready".to_owned()),
            state: Some("down".to_owned()),
            after: Some(99),
            limit: 1_000,
        };
        for request in [whole, ChecksRequest::default()] {
            assert_eq!(ChecksRequest::from_query(&request.to_query()).unwrap(), request);
        }
    }

    #[test]
    fn a_bad_checks_request_names_what_is_wrong() {
        for (key, value, error) in [
            ("state", "DOWN", "state \"DOWN\" is not one of unknown, up, down"),
            ("limit", "0", "limit \"0\" is not a number from 1 to 1000"),
            ("limit", "many", "limit \"many\" is not a number from 1 to 1000"),
            ("after", "-1", "after \"-1\" is not the \"next\" of a page"),
            (
                "sate",
                "up",
                "unknown parameter \"sate\"; known are wip, member, check, state, after, limit",
            ),
        ] {
            let query = [(key.to_owned(), value.to_owned())];
            assert_eq!(ChecksRequest::from_query(&query).unwrap_err(), error);
        }
    }
}
