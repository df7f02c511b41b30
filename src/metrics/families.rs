//! The families of the `/metrics` page: names, kinds, labels and help. A
//! contract with dashboards and alerts; `docs/OPERATING.md` lists them, and a
//! test holds the two equal.
//!
//! A family is here only while something moves it: one that never moves would
//! tell an operator that all is well.

/// What a family's values are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at start.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

impl Kind {
    /// The word of the `# TYPE` line.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One family.
#[derive(Debug)]
pub struct MetricFamily {
    /// Its whole name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Names of its labels, in the order their values are given.
    pub labels: &'static [&'static str],
    /// One line for people.
    pub help: &'static str,
}

macro_rules! families {
    ($($constant:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub const $constant: MetricFamily = MetricFamily {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// All families, in the order of the page.
        pub const FAMILIES: &[&MetricFamily] = &[$(&$constant),*];
    };
}

families! {
    BUILD_INFO Gauge "windrose_build_info" ["version"]
        "Always 1; the label names the running version.";
    DNS_QUERIES Counter "windrose_dns_queries_total" ["transport", "family"]
        "Requests read. Each moves one response or one drop as well.";
    DNS_RESPONSES Counter "windrose_dns_responses_total" ["transport", "rcode"]
        "Replies made, by response code.";
    DNS_DROPPED Counter "windrose_dns_dropped_total" ["reason"]
        "Requests that got no reply, by reason.";
    DNS_REFUSED Counter "windrose_dns_refused_total" ["reason"]
        "Replies that refuse, by reason.";
    RATE_LIMITED Counter "windrose_rate_limited_total" ["class", "action"]
        "Replies over UDP that response rate limiting held back: dropped, or sent short (slip).";
    DNS_RESPONSE_SECONDS Histogram "windrose_dns_response_seconds" []
        "Time to make a reply, of a sample of the requests; of those answered together, the mean.";
    CONNECTIONS Gauge "windrose_connections" ["transport"]
        "DNS connections open now.";
    CONNECTIONS_ADMITTED Counter "windrose_connections_admitted_total" ["transport"]
        "DNS connections taken in.";
    CONNECTIONS_CUT Counter "windrose_connections_cut_total" ["transport", "reason"]
        "DNS connections this server refused or closed, by reason.";
    TLS_CERTIFICATE_EXPIRY Gauge "windrose_tls_certificate_expiry_timestamp_seconds" []
        "Unix time at which the certificate of the encrypted transports expires.";
    TLS_CERTIFICATE_CHANGES Counter "windrose_tls_certificate_changes_total" ["result"]
        "Changes of the certificate's files of the encrypted transports: taken, or refused, so that the pair before goes on.";
    WIP_ANSWERS Counter "windrose_wip_answers_total" ["wip", "member"]
        "Answers that held this member's address.";
    WIP_FAIL_OPEN Counter "windrose_wip_fail_open_total" ["wip"]
        "Answers given although no member was available.";
    MEMBER_STATE Gauge "windrose_member_state" ["wip", "member"]
        "State now: 0 unknown, 1 up, 2 down, 3 drained, 4 forced up, 5 forced down, 6 held.";
    HEALTH_TRANSITIONS Counter "windrose_health_transitions_total" ["wip", "member", "to"]
        "Changes of a probed state. Targets shared by several WIPs count under the first; \
         a datacenter's own checks have an empty wip.";
    HEALTH_TARGETS Gauge "windrose_health_targets" ["check", "state"]
        "Distinct probes by their state now.";
    LIMITER_ACTIVE Gauge "windrose_limiter_active" []
        "1 while the blast-radius limiter holds losses, else 0.";
    LIMITER_HELD Gauge "windrose_limiter_held_targets" []
        "Targets that would be down but for the limiter.";
    LIMITER_TRIPS Counter "windrose_limiter_trips_total" []
        "How often the limiter tripped.";
    OVERRIDES Gauge "windrose_overrides" ["kind"]
        "Overrides of operators in force, by kind.";
    SAFETY_REFUSALS Counter "windrose_safety_refusals_total" ["rule"]
        "Overrides and clears that a safety rule forbade, by rule.";
    CERTIFICATE_EXPIRY Gauge "windrose_certificate_expiry_timestamp_seconds" ["check", "member"]
        "Unix time at which the certificate that a member showed expires; of several, the first. \
         At most a thousand, those that expire first.";
    PROBE_RESULTS Counter "windrose_probe_results_total" ["check", "result"]
        "Probes that ended, by result; resolve and internal are faults of this host.";
    PROBE_DURATION Histogram "windrose_probe_duration_seconds" ["check"]
        "Time a probe took, from start to verdict.";
    PROBE_HANDSHAKES Counter "windrose_probe_handshakes_total" ["check", "kind"]
        "TLS handshakes of probes: full ones, and those that resumed a session.";
    PROBE_LAG Gauge "windrose_probe_lag_seconds" []
        "How far the most overdue probe is behind its schedule.";
    PROBER_STALLED Gauge "windrose_prober_stalled" []
        "1 while the prober is stuck or dead: all members are unknown and answered as before.";
    PROBE_START_LAG Histogram "windrose_probe_start_lag_seconds" []
        "How late probes started, after their time.";
    CONFIG_GENERATION Gauge "windrose_config_generation" []
        "Number of the config in force; grows by one with each that is published.";
    CONFIG_RELOAD_SUCCESS Gauge "windrose_config_reload_success" []
        "1 if the last load or reload was taken, 0 if it was refused.";
    CONFIG_RELOAD_TIMESTAMP Gauge "windrose_config_reload_timestamp_seconds" []
        "Unix time of the last load that was taken.";
    GEO_DATABASE_BUILD_TIMESTAMP Gauge "windrose_geo_database_build_timestamp_seconds" []
        "Unix time at which the oldest geo database in use was built.";
    STATE_SAVED_TIMESTAMP Gauge "windrose_state_saved_timestamp_seconds" []
        "Unix time at which health state was last written to state_dir; 0: not yet.";
    STATE_SAVE_FAILURES Counter "windrose_state_save_failures_total" []
        "Writes to state_dir that failed.";
    WEBHOOK_DELIVERIES Counter "windrose_webhook_deliveries_total" ["webhook", "result"]
        "Attempts to deliver events: delivered, failed (tried again), refused or expired (lost).";
    WEBHOOK_QUEUE Gauge "windrose_webhook_queue" ["webhook"]
        "Events that wait for a webhook.";
    WEBHOOK_DROPPED Counter "windrose_webhook_dropped_total" ["webhook"]
        "Events that a webhook was never told of: no room, refused, or given up.";
    QUERY_LOG_WRITTEN Counter "windrose_query_log_written_total" []
        "Messages written to the query log.";
    QUERY_LOG_DROPPED Counter "windrose_query_log_dropped_total" []
        "Requests left out of the query log: its reader or disk was too slow, or gone.";
    ZONE_TRANSFERS Counter "windrose_zone_transfers_total" ["direction", "result"]
        "Zone transfers to and from other servers, by result.";
    NOTIFY_SENT Counter "windrose_notify_sent_total" ["result"]
        "Servers told of a new serial (NOTIFY), by result.";
    SECONDARY_ZONES Gauge "windrose_secondary_zones" ["state"]
        "Zones that come from primaries: current, waiting for their first transfer, expired.";
    PROCESS_CPU Counter "process_cpu_seconds_total" []
        "CPU time this process used, user and system.";
    PROCESS_RESIDENT_MEMORY Gauge "process_resident_memory_bytes" []
        "Resident memory.";
    PROCESS_OPEN_FDS Gauge "process_open_fds" []
        "File descriptors open now.";
    PROCESS_MAX_FDS Gauge "process_max_fds" []
        "Most file descriptors this process may open.";
    PROCESS_START_TIME Gauge "process_start_time_seconds" []
        "Unix time at which this process started.";
}
