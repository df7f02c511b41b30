//! One scrape: every value in, the page out. Pure.

use super::counters::{DropReason, Family, RCODE_NAMES, Totals, Transport};
use super::families::{self as family, MetricFamily};
use super::probes::{CheckTotals, ProbeResult, TransitionCounters};
use super::text::{Page, Value};

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
    /// Series per WIP; none when there are too many (`[metrics] per_wip`).
    pub wips: Option<&'a dyn WipSeries>,
    /// Changes of health; shown with the series per WIP.
    pub transitions: &'a TransitionCounters,
    /// Counts of all checks.
    pub probes: &'a [CheckTotals],
    /// How far the most overdue probe is behind, in nanoseconds; none: no prober runs.
    pub probe_lag_ns: Option<u64>,
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

/// Values that live with the WIPs. Each method gives its series to `emit`, all
/// of them and each once, at the moment of the scrape.
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

//------------ render ---------------------------------------------------------

/// Appends the page to `out`.
pub fn render(scrape: &Scrape<'_>, out: &mut String) {
    let mut page = Page::new(out);
    page.begin(&family::BUILD_INFO).sample(&[scrape.version], Value::Whole(1));
    dns(&mut page, scrape.totals);
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
    // Datagrams have no connections: a series for them would always be 0.
    let tcp = Transport::Tcp;
    page.begin(&family::CONNECTIONS)
        .sample(&[tcp.label()], Value::Whole(totals.connections[tcp as usize]));
}

fn per_wip(page: &mut Page<'_>, wips: &dyn WipSeries, transitions: &TransitionCounters) {
    let mut samples = page.begin(&family::WIP_ANSWERS);
    wips.answers(&mut |wip, member, count| samples.sample(&[wip, member], Value::Whole(count)));
    let mut samples = page.begin(&family::WIP_FAIL_OPEN);
    wips.fail_open(&mut |wip, count| samples.sample(&[wip], Value::Whole(count)));
    let mut samples = page.begin(&family::MEMBER_STATE);
    wips.member_states(&mut |wip, member, state| {
        samples.sample(&[wip, member], Value::Whole(state as u64));
    });
    let mut samples = page.begin(&family::HEALTH_TRANSITIONS);
    transitions.each(|wip, member, to, count| {
        samples.sample(&[wip, member, to.label()], Value::Whole(count));
    });
}

fn probes(page: &mut Page<'_>, scrape: &Scrape<'_>) {
    let mut samples = page.begin(&family::PROBE_RESULTS);
    for check in scrape.probes {
        for result in ProbeResult::ALL {
            let count = check.results[result as usize];
            samples.sample(&[&check.check, result.label()], Value::Whole(count));
        }
    }
    let mut samples = page.begin(&family::PROBE_DURATION);
    for check in scrape.probes {
        samples.histogram(&[&check.check], &check.duration);
    }
    if let Some(lag_ns) = scrape.probe_lag_ns {
        page.single(&family::PROBE_LAG, Value::Nanoseconds(lag_ns));
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
    use super::super::counters::Registry;
    use super::super::families::FAMILIES;
    use super::super::probes::{ProbeCounters, TransitionTo};
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
        let shared = registry.shared();
        shared.query(Transport::Tcp, Family::Ipv6);
        shared.dropped(DropReason::SendFailed);
        let _open = registry.connection(Transport::Tcp);
        let transitions = TransitionCounters::default();
        transitions.record("shop.gslb.example.com", "fra", TransitionTo::Down);
        transitions.record("", "iad", TransitionTo::Up);
        let probes = ProbeCounters::default();
        probes.check("readiness").record(ProbeResult::Success, 3_200_000);
        probes.check("readiness").record(ProbeResult::Status, 11_000_000_000);
        let mut out = String::new();
        let scrape = Scrape {
            version: "0.1.0",
            totals: &registry.totals(),
            wips,
            transitions: &transitions,
            probes: &probes.totals(),
            probe_lag_ns: Some(12_000_000),
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
    fn without_series_per_wip_no_family_names_a_wip() {
        let page = page(None);
        assert!(!page.contains("wip"), "{page}");
        assert!(page.contains("windrose_dns_queries_total"));
    }
}
