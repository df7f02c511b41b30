//! The page, against its golden file (`WINDROSE_UPDATE_GOLDEN=1` writes it).

use super::*;
use crate::metrics::counters::{DropReason, Registry};
use crate::metrics::families::FAMILIES;
use crate::metrics::histogram::Unit;
use crate::metrics::transitions::TransitionTo;

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
        handshakes: vec![("full", 1), ("resumed", 0)],
    };
    let start_lag = HistogramTotals {
        unit: Unit::Milliseconds,
        bounds: &[1, 100],
        counts: vec![7, 1, 0],
        sum: 93,
    };
    let mut out = String::new();
    let scrape = Scrape {
        version: "0.1.0",
        totals: &registry.totals(),
        connections: &[(Transport::Tcp, connections)],
        own_certificate: Some(OwnCertificate {
            expires_s: Some(1_805_000_000),
            renewed: 2,
            refused: 1,
        }),
        wips,
        transitions: &transitions,
        probes: &[check],
        targets: &[("readiness".to_owned(), [0, 2, 1])],
        limiter: LimiterTotals { active: true, held: 7, trips: 2 },
        overrides: OverrideTotals {
            in_force: [("drain", 2), ("force-up", 0), ("force-down", 1)],
            refusals: [("min_members", 3), ("min_datacenters", 0), ("max_datacenters_changed", 0)],
        },
        certificates: &[("readiness".to_owned(), "fra".to_owned(), 1_810_000_000)],
        probe_lag_ms: Some(12),
        prober_stalled: Some(false),
        state: Some(StateTotals { saved_at_s: 1_799_999_900, failures: 2 }),
        probe_start_lag: Some(&start_lag),
        config_generation: 3,
        config_reload_success: true,
        config_reload_at_s: 1_800_000_000,
        geo_database_built_at_s: Some(1_790_000_000),
        webhooks: &[WebhookTotals {
            webhook: "oncall".to_owned(),
            deliveries: [("delivered", 5), ("failed", 2), ("refused", 0), ("expired", 0)],
            queued: 3,
            dropped: 1,
        }],
        query_log: Some(QueryLogTotals { written: 1_000, dropped: 7 }),
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
    assert_eq!(page, include_str!("../golden.prom"));
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
