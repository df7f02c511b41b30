//! A scrape's values, gathered from the hands that count them.

use std::sync::atomic::Ordering;

use super::publisher::Publisher;
use super::watching::Watching;
use crate::admin::process;
use crate::health::table::{Override, State, Word};
use crate::health::{FailureKind, LimiterPhase};
use crate::listen::{Running, TcpCounts};
use crate::metrics::{
    self, CheckTotals, ConnectionTotals, DropReason, HistogramTotals, LimiterTotals, MemberState,
    OwnCertificate, Scrape, WipSeries,
};
use crate::probe::{CheckCounters, ProbeMetrics, Summary};
use crate::snapshot::Serving;
use crate::tls::{Certificate, CertificateTotals};

/// Appends the metrics page.
pub(super) fn page(publisher: &Publisher, running: &Running, out: &mut String) {
    let (_counts_stay, serving) = publisher.counted();
    let config = &serving.snapshot.config;
    let mut totals = publisher.registry.totals();
    let drops = running.drops();
    totals.dropped[DropReason::SourcePortZero as usize] += drops.port_zero;
    totals.dropped[DropReason::Oversized as usize] += drops.oversized;
    totals.dropped[DropReason::Unaddressed as usize] += drops.unaddressed;
    totals.dropped[DropReason::SendFailed as usize] += drops.send_failed;
    totals.dropped[DropReason::SendFull as usize] += drops.send_full;
    totals.dropped[DropReason::QueueFull as usize] += drops.queue_full;
    totals.dropped[DropReason::ProxyHeader as usize] += drops.bad_header;
    let connections = running.connections();
    let connections: Vec<_> = connections
        .iter()
        .map(|(transport, counts)| (*transport, connection_totals(counts)))
        .collect();
    let prober = publisher.prober();
    let probes = prober.as_ref().map(|prober| prober.metrics());
    let summary = prober.map(|prober| prober.summary()).unwrap_or_default();
    let targets: Vec<_> =
        summary.checks.iter().map(|(check, counts)| (check.clone(), *counts)).collect();
    let checks = probes.as_ref().map(check_totals).unwrap_or_default();
    let start_lag = probes.as_ref().map(start_lag);
    let series = Series(&serving);
    let per_wip = metrics::scrape::has_series_per_wip(config.metrics.per_wip, config.wips.len());
    let built = serving.snapshot.base.info().iter().map(|source| source.build_epoch_s).min();
    let webhooks = publisher.watching.get().map(Watching::totals).unwrap_or_default();
    metrics::render(
        &Scrape {
            version: env!("CARGO_PKG_VERSION"),
            totals: &totals,
            connections: &connections,
            own_certificate: running
                .certificate()
                .map(|certificate| certificate_totals(certificate)),
            wips: per_wip.then_some(&series as &dyn WipSeries),
            transitions: &publisher.transitions,
            probes: &checks,
            targets: &targets,
            limiter: LimiterTotals {
                active: summary.limiter.phase == LimiterPhase::Tripped,
                held: u64::from(summary.limiter.held),
                trips: summary.limiter.trips,
            },
            overrides: publisher.overrides.totals(),
            certificates: &certificates(&summary),
            probe_lag_ms: probes.as_ref().map(|probes| (probes.lag_s * 1_000.0) as u64),
            prober_stalled: probes.as_ref().map(|probes| probes.stalled),
            state: publisher.state.as_ref().map(|state| state.totals()),
            probe_start_lag: start_lag.as_ref(),
            config_generation: serving.snapshot.generation,
            config_reload_success: publisher.refused().is_none(),
            config_reload_at_s: publisher.loaded_at_s.load(Ordering::Relaxed),
            geo_database_built_at_s: built,
            webhooks: &webhooks,
            query_log: publisher.watching.get().and_then(Watching::query_log_totals),
            process: process::read(),
        },
        out,
    );
}

fn connection_totals(counts: &TcpCounts) -> ConnectionTotals {
    ConnectionTotals {
        open: counts.open,
        admitted: counts.admitted,
        evicted: counts.evicted,
        refused_full: counts.refused_full,
        refused_client: counts.refused_client,
        stalled: counts.stalled,
        unanswerable: counts.unanswerable,
        handshake_failed: counts.handshake_failed,
        bad_header: counts.bad_header,
    }
}

fn certificate_totals(certificate: &Certificate) -> OwnCertificate {
    let CertificateTotals { expires_s, renewed, refused } = certificate.totals();
    OwnCertificate { expires_s, renewed, refused }
}

fn certificates(summary: &Summary) -> Vec<(String, String, u64)> {
    let certificates = summary.certificates.iter();
    certificates.map(|c| (c.check.clone(), c.member.clone(), c.expires_s)).collect()
}

fn check_totals(probes: &ProbeMetrics) -> Vec<CheckTotals> {
    let total = |(check, counters): (&String, &CheckCounters)| {
        let mut results = vec![("success", counters.passed)];
        results.extend(
            FailureKind::ALL.iter().map(|&kind| (kind.as_str(), counters.failed[kind as usize])),
        );
        let mut handshakes =
            vec![("full", counters.handshakes_full), ("resumed", counters.handshakes_resumed)];
        if handshakes.iter().all(|(_, count)| *count == 0) {
            handshakes.clear();
        }
        CheckTotals { check: check.clone(), results, duration: duration(counters), handshakes }
    };
    probes.checks.iter().map(total).collect()
}

/// Series of WIPs and members, read where they are kept.
struct Series<'a>(&'a Serving);

impl WipSeries for Series<'_> {
    fn answers(&self, emit: &mut dyn FnMut(&str, &str, u64)) {
        self.0.each_answer_count(emit);
    }

    fn fail_open(&self, emit: &mut dyn FnMut(&str, u64)) {
        self.0.each_fail_open_count(emit);
    }

    fn member_states(&self, emit: &mut dyn FnMut(&str, &str, MemberState)) {
        let snapshot = &self.0.snapshot;
        for (wip, entry) in snapshot.wips.iter().enumerate() {
            let name = snapshot.wip_name(wip as u32);
            let strategy = snapshot.strategy(entry);
            let words: Vec<Word> = self.0.words(wip as u32).collect();
            let names = snapshot.member_names(entry);
            for (member, member_name) in strategy.members.iter().zip(names) {
                let words = member.vips.clone().filter_map(|vip| words.get(usize::from(vip)));
                let words = words.copied();
                emit(&name, member_name, member_state(words));
            }
        }
    }
}

/// The state of a member: its best VIP's.
fn member_state(words: impl Iterator<Item = Word>) -> MemberState {
    let states = words.map(|word| match (word.over(), word.state()) {
        (Override::Drained, _) => MemberState::Drained,
        (Override::ForcedUp, _) => MemberState::ForcedUp,
        (Override::ForcedDown, _) => MemberState::ForcedDown,
        (Override::None, _) if word.is_held() => MemberState::Held,
        (Override::None, _) if !word.available() => MemberState::Down,
        (Override::None, State::Up) => MemberState::Up,
        (Override::None, _) => MemberState::Unknown,
    });
    let rank = |state: &MemberState| match state {
        MemberState::ForcedUp => 6,
        MemberState::Up => 5,
        MemberState::Unknown => 4,
        MemberState::Drained => 3,
        MemberState::Held => 2,
        MemberState::Down => 1,
        MemberState::ForcedDown => 0,
    };
    states.max_by_key(rank).unwrap_or(MemberState::Unknown)
}

fn duration(counters: &CheckCounters) -> HistogramTotals {
    HistogramTotals {
        unit: metrics::Unit::Microseconds,
        bounds: &crate::probe::BUCKETS_US,
        counts: counters.buckets.to_vec(),
        sum: counters.duration_us_sum,
    }
}

fn start_lag(probes: &ProbeMetrics) -> HistogramTotals {
    HistogramTotals {
        unit: metrics::Unit::Milliseconds,
        bounds: &crate::probe::LAG_BUCKETS_MS,
        counts: probes.start_lag_buckets.to_vec(),
        sum: probes.start_lag_ms_sum,
    }
}
