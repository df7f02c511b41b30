//! One scrape: every value in, the page out. Pure.

use super::connections::{self, ConnectionTotals};
use super::counters::{DropReason, Family, RCODE_NAMES, Transport};
use super::families::{self as family, MetricFamily};
use super::histogram::HistogramTotals;
use super::refusals;
use super::text::{FamilyWriter, Page, Value};
use super::totals::Totals;
use super::transitions::TransitionCounters;
use super::watched::{self, OwnCertificate, QueryLogTotals, WebhookTotals};

/// Response codes that are shown from the start at 0, so that the first one of
/// a kind is a rise that an alert can see; others appear when they happen.
const RCODES_ALWAYS: [usize; 7] = [0, 1, 2, 3, 4, 5, 16];

//------------ Scrape ---------------------------------------------------------

/// All that one page shows.
#[derive(Clone, Copy)]
pub struct Scrape<'a> {
    /// The running version.
    pub version: &'a str,
    /// The query path's counters.
    pub totals: &'a Totals,
    /// Connections, for each transport that has them.
    pub connections: &'a [(Transport, ConnectionTotals)],
    /// The certificate of encrypted transports; none: they are not spoken.
    pub own_certificate: Option<OwnCertificate>,
    /// Series per WIP; none when there are too many (`[metrics] per_wip`).
    pub wips: Option<&'a dyn WipSeries>,
    /// Changes of health; shown with the series per WIP.
    pub transitions: &'a TransitionCounters,
    /// Counts of all checks.
    pub probes: &'a [CheckTotals],
    /// Targets of each check: unknown, up, down.
    pub targets: &'a [(String, [u64; 3])],
    /// The blast-radius limiter.
    pub limiter: LimiterTotals,
    /// What operators say over health.
    pub overrides: OverrideTotals,
    /// Check, member, and when the member's certificate expires, in unix seconds; each
    /// pair once.
    pub certificates: &'a [(String, String, u64)],
    /// How far the most overdue probe is behind, in milliseconds; none: no prober runs.
    pub probe_lag_ms: Option<u64>,
    /// Whether the prober is stuck or dead; none: no prober runs.
    pub prober_stalled: Option<bool>,
    /// Writes to the state directory; none: there is none.
    pub state: Option<StateTotals>,
    /// How late probes started; none: no prober runs.
    pub probe_start_lag: Option<&'a HistogramTotals>,
    /// Number of the config in force.
    pub config_generation: u64,
    /// Whether the last load was taken.
    pub config_reload_success: bool,
    /// Unix time of the last load that was taken, in seconds.
    pub config_reload_at_s: u64,
    /// Unix time at which the oldest geo database was built, in seconds; none: unknown.
    pub geo_database_built_at_s: Option<u64>,
    /// Deliveries of each webhook.
    pub webhooks: &'a [WebhookTotals],
    /// The query log; none: nothing is logged.
    pub query_log: Option<QueryLogTotals>,
    /// What the system says about this process; none: it does not say.
    pub process: Option<Process>,
}

/// Writes to the state directory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StateTotals {
    /// Unix time at which health state was last written, in seconds; 0: not yet.
    pub saved_at_s: u64,
    /// Writes that failed.
    pub failures: u64,
}

/// What operators say over health.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OverrideTotals {
    /// Overrides in force, by kind.
    pub in_force: [(&'static str, u64); 3],
    /// Refusals by rule.
    pub refusals: [(&'static str, u64); 3],
}

/// The blast-radius limiter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LimiterTotals {
    /// It has tripped.
    pub active: bool,
    /// Targets it holds.
    pub held: u64,
    /// How often it tripped.
    pub trips: u64,
}

/// Probes of one check.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CheckTotals {
    /// Name of the check.
    pub check: String,
    /// Each result there can be, those that did not happen included, and how
    /// often: ("success", 5), ("timeout", 0), …
    pub results: Vec<(&'static str, u64)>,
    /// From start to verdict.
    pub duration: HistogramTotals,
    /// Kinds of TLS handshakes and how often: ("full", 5), …; none without TLS.
    pub handshakes: Vec<(&'static str, u64)>,
}

/// Values that live with the WIPs. Each method gives all its series to `emit`,
/// WIP by WIP. A member that stands in several pools of a WIP may come once for
/// each: the page must not have one series twice, so they are put together.
pub trait WipSeries {
    /// WIP, member, answers that held it.
    fn answers(&self, emit: &mut dyn FnMut(&str, &str, u64));
    /// WIP, answers given with nobody available.
    fn fail_open(&self, emit: &mut dyn FnMut(&str, u64));
    /// WIP, member, its state.
    fn member_states(&self, emit: &mut dyn FnMut(&str, &str, MemberState));
}

/// A member's effective state. The numbers are a contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemberState {
    /// Not judged.
    Unknown = 0,
    /// Passing.
    Up = 1,
    /// Failing.
    Down = 2,
    /// Drained by an operator.
    Drained = 3,
    /// Forced up by an operator.
    ForcedUp = 4,
    /// Forced down by an operator.
    ForcedDown = 5,
    /// Up again after a loss, and kept out of answers.
    Held = 6,
}

/// What the system says about this process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Process {
    /// CPU time, in nanoseconds.
    pub cpu_ns: u64,
    /// In bytes.
    pub resident_memory_bytes: u64,
    /// Descriptors open.
    pub open_fds: u64,
    /// Descriptors allowed; none: no limit.
    pub max_fds: Option<u64>,
    /// Unix time, in nanoseconds.
    pub started_at_ns: u64,
}

/// Most WIPs that have series of their own when `[metrics] per_wip` is not set:
/// at ten members each they make a page of some 6 MB.
pub const WIPS_WITH_SERIES_MAX: usize = 2_000;

/// Whether WIPs have series of their own: as set, or while they are few.
pub fn has_series_per_wip(per_wip: Option<bool>, wips: usize) -> bool {
    per_wip.unwrap_or(wips <= WIPS_WITH_SERIES_MAX)
}

//------------ render ---------------------------------------------------------

/// Appends the page to `out`.
pub fn render(scrape: &Scrape<'_>, out: &mut String) {
    let mut page = Page::new(out);
    page.begin(&family::BUILD_INFO).sample(&[scrape.version], Value::Whole(1));
    dns(&mut page, scrape.totals);
    connections::connections(&mut page, scrape.connections);
    watched::own_certificate(&mut page, scrape.own_certificate);
    if let Some(wips) = scrape.wips {
        per_wip(&mut page, wips, scrape.transitions);
    }
    health(&mut page, scrape);
    probes(&mut page, scrape);
    config(&mut page, scrape);
    watched::webhooks(&mut page, scrape.webhooks);
    watched::query_log(&mut page, scrape.query_log);
    if let Some(process) = &scrape.process {
        self::process(&mut page, process);
    }
}

fn dns(page: &mut Page<'_>, totals: &Totals) {
    let mut samples = page.begin(&family::DNS_QUERIES);
    for transport in Transport::ALL {
        for family in Family::ALL {
            let value = totals.queries[transport as usize][family as usize];
            samples.sample(&[transport.label(), family.label()], Value::Whole(value));
        }
    }
    let mut samples = page.begin(&family::DNS_RESPONSES);
    for transport in Transport::ALL {
        let mut other = 0;
        for (rcode, &value) in totals.responses[transport as usize].iter().enumerate() {
            match RCODE_NAMES.get(rcode).copied().flatten() {
                None => other += value,
                Some(_) if value == 0 && !RCODES_ALWAYS.contains(&rcode) => {}
                Some(name) => samples.sample(&[transport.label(), name], Value::Whole(value)),
            }
        }
        if other != 0 {
            samples.sample(&[transport.label(), "other"], Value::Whole(other));
        }
    }
    let mut samples = page.begin(&family::DNS_DROPPED);
    for reason in DropReason::ALL {
        samples.sample(&[reason.label()], Value::Whole(totals.dropped[reason as usize]));
    }
    refusals::render(page, totals);
    page.begin(&family::DNS_RESPONSE_SECONDS).histogram(&[], &totals.response_time);
}

fn per_wip(page: &mut Page<'_>, wips: &dyn WipSeries, transitions: &TransitionCounters) {
    let mut samples = page.begin(&family::WIP_ANSWERS);
    let mut members = Members::default();
    wips.answers(&mut |wip, member, count| {
        members.add(&mut samples, wip, member, count, |sum, count| sum + count);
    });
    members.end(&mut samples);
    let mut samples = page.begin(&family::WIP_FAIL_OPEN);
    wips.fail_open(&mut |wip, count| samples.sample(&[wip], Value::Whole(count)));
    let mut samples = page.begin(&family::MEMBER_STATE);
    wips.member_states(&mut |wip, member, state| {
        // It is probed alike in each pool, so the states are equal.
        members.add(&mut samples, wip, member, state as u64, |first, _| first);
    });
    members.end(&mut samples);
    let mut samples = page.begin(&family::HEALTH_TRANSITIONS);
    transitions.each(|wip, member, to, count| {
        samples.sample(&[wip, member, to.label()], Value::Whole(count));
    });
}

/// The members of the WIP that is being given, each once.
#[derive(Default)]
struct Members {
    wip: String,
    values: Vec<(String, u64)>,
}

impl Members {
    fn add(
        &mut self,
        samples: &mut FamilyWriter<'_>,
        wip: &str,
        member: &str,
        value: u64,
        merge: fn(u64, u64) -> u64,
    ) {
        if self.wip != wip {
            self.end(samples);
            wip.clone_into(&mut self.wip);
        }
        match self.values.iter_mut().find(|(known, _)| known == member) {
            Some((_, known)) => *known = merge(*known, value),
            None => self.values.push((member.to_owned(), value)),
        }
    }

    /// Writes what was gathered.
    fn end(&mut self, samples: &mut FamilyWriter<'_>) {
        for (member, value) in self.values.drain(..) {
            samples.sample(&[&self.wip, &member], Value::Whole(value));
        }
    }
}

/// The `state` label, in the order of [`Scrape::targets`].
const STATES: [&str; 3] = ["unknown", "up", "down"];

fn health(page: &mut Page<'_>, scrape: &Scrape<'_>) {
    let mut samples = page.begin(&family::HEALTH_TARGETS);
    for (check, counts) in scrape.targets {
        for (state, count) in STATES.iter().zip(counts) {
            samples.sample(&[check, state], Value::Whole(*count));
        }
    }
    let LimiterTotals { active, held, trips } = scrape.limiter;
    page.single(&family::LIMITER_ACTIVE, Value::Whole(active.into()));
    page.single(&family::LIMITER_HELD, Value::Whole(held));
    page.single(&family::LIMITER_TRIPS, Value::Whole(trips));
    let OverrideTotals { in_force, refusals } = scrape.overrides;
    let of_overrides = [(&family::OVERRIDES, in_force), (&family::SAFETY_REFUSALS, refusals)];
    for (family, counts) in of_overrides {
        let mut samples = page.begin(family);
        for (label, count) in counts {
            samples.sample(&[label], Value::Whole(count));
        }
    }
    let mut samples = page.begin(&family::CERTIFICATE_EXPIRY);
    for (check, member, expires_s) in scrape.certificates {
        samples.sample(&[check, member], Value::Whole(*expires_s));
    }
}

fn probes(page: &mut Page<'_>, scrape: &Scrape<'_>) {
    let mut samples = page.begin(&family::PROBE_RESULTS);
    for check in scrape.probes {
        for (result, count) in &check.results {
            samples.sample(&[&check.check, result], Value::Whole(*count));
        }
    }
    let mut samples = page.begin(&family::PROBE_DURATION);
    for check in scrape.probes {
        samples.histogram(&[&check.check], &check.duration);
    }
    let mut samples = page.begin(&family::PROBE_HANDSHAKES);
    for check in scrape.probes {
        for (kind, count) in &check.handshakes {
            samples.sample(&[&check.check, kind], Value::Whole(*count));
        }
    }
    if let Some(lag_ms) = scrape.probe_lag_ms {
        page.single(&family::PROBE_LAG, Value::Milliseconds(lag_ms));
    }
    optional(page, &family::PROBER_STALLED, scrape.prober_stalled.map(u64::from));
    if let Some(lags) = scrape.probe_start_lag {
        page.begin(&family::PROBE_START_LAG).histogram(&[], lags);
    }
}

fn config(page: &mut Page<'_>, scrape: &Scrape<'_>) {
    page.single(&family::CONFIG_GENERATION, Value::Whole(scrape.config_generation));
    page.single(&family::CONFIG_RELOAD_SUCCESS, Value::Whole(scrape.config_reload_success.into()));
    page.single(&family::CONFIG_RELOAD_TIMESTAMP, Value::Whole(scrape.config_reload_at_s));
    optional(page, &family::GEO_DATABASE_BUILD_TIMESTAMP, scrape.geo_database_built_at_s);
    if let Some(state) = scrape.state {
        page.single(&family::STATE_SAVED_TIMESTAMP, Value::Whole(state.saved_at_s));
        page.single(&family::STATE_SAVE_FAILURES, Value::Whole(state.failures));
    }
}

fn process(page: &mut Page<'_>, process: &Process) {
    page.single(&family::PROCESS_CPU, Value::Nanoseconds(process.cpu_ns));
    let resident = Value::Whole(process.resident_memory_bytes);
    page.single(&family::PROCESS_RESIDENT_MEMORY, resident);
    page.single(&family::PROCESS_OPEN_FDS, Value::Whole(process.open_fds));
    optional(page, &family::PROCESS_MAX_FDS, process.max_fds);
    page.single(&family::PROCESS_START_TIME, Value::Nanoseconds(process.started_at_ns));
}

/// A value nobody knows is left out: 0 would be a lie.
fn optional(page: &mut Page<'_>, family: &'static MetricFamily, value: Option<u64>) {
    if let Some(value) = value {
        page.single(family, Value::Whole(value));
    }
}

#[cfg(test)]
mod tests;
