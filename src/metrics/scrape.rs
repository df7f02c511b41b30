//! One scrape: every value in, the page out. Pure.

use super::counters::{DropReason, Family, RCODE_NAMES, Totals, Transport};
use super::families::{self as family, MetricFamily};
use super::histogram::HistogramTotals;
use super::text::{FamilyWriter, Page, Value};
use super::transitions::TransitionCounters;

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
    /// Series per WIP; none when there are too many (`[metrics] per_wip`).
    pub wips: Option<&'a dyn WipSeries>,
    /// Changes of health; shown with the series per WIP.
    pub transitions: &'a TransitionCounters,
    /// Counts of all checks.
    pub probes: &'a [CheckTotals],
    /// How far the most overdue probe is behind, in milliseconds; none: no prober runs.
    pub probe_lag_ms: Option<u64>,
    /// Number of the config in force.
    pub config_generation: u64,
    /// Whether the last load was taken.
    pub config_reload_success: bool,
    /// Unix time of the last load that was taken, in seconds.
    pub config_reload_at_s: u64,
    /// Unix time at which the oldest geo database was built, in seconds; none: unknown.
    pub geo_database_built_at_s: Option<u64>,
    /// What the system says about this process; none: it does not say.
    pub process: Option<Process>,
}

/// Connections of one transport.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ConnectionTotals {
    /// Open now.
    pub open: u64,
    /// Taken in since the start.
    pub admitted: u64,
    /// Closed while idle, to make room for another.
    pub evicted: u64,
    /// Refused: no room and none idle.
    pub refused_full: u64,
    /// Refused: its client has as many as one may.
    pub refused_client: u64,
    /// Closed: a message or a reply took too long.
    pub stalled: u64,
    /// Closed: nothing in what it sent could be answered.
    pub unanswerable: u64,
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
    connections(&mut page, scrape.connections);
    if let Some(wips) = scrape.wips {
        per_wip(&mut page, wips, scrape.transitions);
    }
    probes(&mut page, scrape);
    config(&mut page, scrape);
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
    page.begin(&family::DNS_RESPONSE_SECONDS).histogram(&[], &totals.response_time);
}

fn connections(page: &mut Page<'_>, connections: &[(Transport, ConnectionTotals)]) {
    let mut samples = page.begin(&family::CONNECTIONS);
    for (transport, totals) in connections {
        samples.sample(&[transport.label()], Value::Whole(totals.open));
    }
    let mut samples = page.begin(&family::CONNECTIONS_ADMITTED);
    for (transport, totals) in connections {
        samples.sample(&[transport.label()], Value::Whole(totals.admitted));
    }
    let mut samples = page.begin(&family::CONNECTIONS_CUT);
    for (transport, totals) in connections {
        for (reason, count) in [
            ("evicted", totals.evicted),
            ("refused_full", totals.refused_full),
            ("refused_client", totals.refused_client),
            ("stalled", totals.stalled),
            ("unanswerable", totals.unanswerable),
        ] {
            samples.sample(&[transport.label(), reason], Value::Whole(count));
        }
    }
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
    if let Some(lag_ms) = scrape.probe_lag_ms {
        page.single(&family::PROBE_LAG, Value::Milliseconds(lag_ms));
    }
}

fn config(page: &mut Page<'_>, scrape: &Scrape<'_>) {
    page.single(&family::CONFIG_GENERATION, Value::Whole(scrape.config_generation));
    page.single(&family::CONFIG_RELOAD_SUCCESS, Value::Whole(scrape.config_reload_success.into()));
    page.single(&family::CONFIG_RELOAD_TIMESTAMP, Value::Whole(scrape.config_reload_at_s));
    optional(page, &family::GEO_DATABASE_BUILD_TIMESTAMP, scrape.geo_database_built_at_s);
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
mod tests {
    use super::super::counters::{DropReason, Registry};
    use super::super::families::FAMILIES;
    use super::super::histogram::Unit;
    use super::super::transitions::TransitionTo;
    use super::*;

    struct Wips;

    impl WipSeries for Wips {
        fn answers(&self, emit: &mut dyn FnMut(&str, &str, u64)) {
            emit("shop.gslb.example.com", "fra", 41);
            emit("shop.gslb.example.com", "iad", 1);
        }
        fn fail_open(&self, emit: &mut dyn FnMut(&str, u64)) {
            emit("shop.gslb.example.com", 0);
        }
        fn member_states(&self, emit: &mut dyn FnMut(&str, &str, MemberState)) {
            emit("shop.gslb.example.com", "fra", MemberState::Up);
            emit("shop.gslb.example.com", "the \"old\" \\ one", MemberState::ForcedDown);
        }
    }

    fn page(wips: Option<&dyn WipSeries>) -> String {
        let registry = Registry::new();
        let worker = registry.worker();
        for (rcode, duration_ns) in [(0, 4_200), (3, 900), (5, 2_000_000_000), (9, 1), (15, 1)] {
            worker.query(Transport::Udp, Family::Ipv4);
            worker.response(Transport::Udp, rcode);
            worker.response_time(duration_ns);
        }
        worker.query(Transport::Tcp, Family::Ipv6);
        worker.dropped(DropReason::Response);
        let connections =
            ConnectionTotals { open: 1, admitted: 9, evicted: 2, stalled: 1, ..Default::default() };
        let transitions = TransitionCounters::default();
        transitions.record("shop.gslb.example.com", "fra", TransitionTo::Down);
        transitions.record("", "iad", TransitionTo::Up);
        let check = CheckTotals {
            check: "readiness".to_owned(),
            results: vec![("success", 1), ("timeout", 0), ("status", 1)],
            duration: HistogramTotals {
                unit: Unit::Microseconds,
                bounds: &[500, 2_500_000],
                counts: vec![0, 1, 1],
                sum: 11_003_200,
            },
        };
        let mut out = String::new();
        let scrape = Scrape {
            version: "0.1.0",
            totals: &registry.totals(),
            connections: &[(Transport::Tcp, connections)],
            wips,
            transitions: &transitions,
            probes: &[check],
            probe_lag_ms: Some(12),
            config_generation: 3,
            config_reload_success: true,
            config_reload_at_s: 1_800_000_000,
            geo_database_built_at_s: Some(1_790_000_000),
            process: Some(Process {
                cpu_ns: 1_230_000_000,
                resident_memory_bytes: 27_262_976,
                open_fds: 17,
                max_fds: Some(1_024),
                started_at_ns: 1_799_999_000_250_000_000,
            }),
        };
        render(&scrape, &mut out);
        out
    }

    #[test]
    fn the_page_is_as_the_golden_file_says() {
        let page = page(Some(&Wips));
        if std::env::var_os("WINDROSE_UPDATE_GOLDEN").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics/golden.prom");
            std::fs::write(path, &page).unwrap();
            return;
        }
        assert_eq!(page, include_str!("golden.prom"));
    }

    #[test]
    fn every_family_of_the_contract_is_rendered_once_with_help_and_type() {
        let page = page(Some(&Wips));
        let headers: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
        let expected: Vec<String> = FAMILIES
            .iter()
            .flat_map(|family| {
                [
                    format!("# HELP {} {}", family.name, family.help),
                    format!("# TYPE {} {}", family.name, family.kind.word()),
                ]
            })
            .collect();
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_member_of_several_pools_of_a_wip_is_one_series() {
        struct Twice;
        impl WipSeries for Twice {
            fn answers(&self, emit: &mut dyn FnMut(&str, &str, u64)) {
                for (wip, member, count) in
                    [("a", "fra", 1), ("a", "iad", 2), ("a", "fra", 40), ("b", "fra", 5)]
                {
                    emit(wip, member, count);
                }
            }
            fn fail_open(&self, _: &mut dyn FnMut(&str, u64)) {}
            fn member_states(&self, emit: &mut dyn FnMut(&str, &str, MemberState)) {
                emit("a", "fra", MemberState::Down);
                emit("a", "fra", MemberState::Down);
            }
        }
        let page = page(Some(&Twice));
        let lines = |start: &str| -> Vec<String> {
            page.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
        };
        assert_eq!(
            lines("windrose_wip_answers_total{"),
            [
                "windrose_wip_answers_total{wip=\"a\",member=\"fra\"} 41",
                "windrose_wip_answers_total{wip=\"a\",member=\"iad\"} 2",
                "windrose_wip_answers_total{wip=\"b\",member=\"fra\"} 5",
            ]
        );
        assert_eq!(
            lines("windrose_member_state{"),
            ["windrose_member_state{wip=\"a\",member=\"fra\"} 2"]
        );
    }

    #[test]
    fn series_per_wip_are_as_set_or_while_wips_are_few() {
        for (setting, wips, on) in [
            (None, 2_000, true),
            (None, 2_001, false),
            (Some(true), 2_001, true),
            (Some(false), 1, false),
        ] {
            assert_eq!(has_series_per_wip(setting, wips), on, "{setting:?} {wips}");
        }
    }

    #[test]
    fn without_series_per_wip_no_family_names_a_wip() {
        let page = page(None);
        assert!(!page.contains("wip"), "{page}");
        assert!(page.contains("windrose_dns_queries_total"));
    }
}
