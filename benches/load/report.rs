//! What a run came to, as JSON and for people.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::account::Memory;
use crate::check::WRONG_KINDS;
use crate::measure::Histogram;

/// What a run came to.
pub(crate) struct Report {
    pub(crate) server: SocketAddr,
    pub(crate) names: usize,
    pub(crate) seconds: f64,
    pub(crate) queries: u64,
    pub(crate) replies: u64,
    pub(crate) lost: u64,
    /// Replies to no outstanding query.
    pub(crate) strays: u64,
    pub(crate) send_failures: u64,
    pub(crate) rcodes: [u64; 16],
    /// By [`crate::check::Wrong`].
    pub(crate) wrong: [u64; WRONG_KINDS],
    pub(crate) latency: Histogram,
    pub(crate) server_ns: Option<u64>,
    pub(crate) server_memory: Option<Memory>,
    pub(crate) loader_ns: u64,
}

impl Report {
    /// Of nothing yet.
    pub(crate) fn new(server: SocketAddr, names: usize) -> Report {
        Report {
            server,
            names,
            seconds: 0.0,
            queries: 0,
            replies: 0,
            lost: 0,
            strays: 0,
            send_failures: 0,
            rcodes: [0; 16],
            wrong: [0; WRONG_KINDS],
            latency: Histogram::new(),
            server_ns: None,
            server_memory: None,
            loader_ns: 0,
        }
    }

    fn rate(&self) -> f64 {
        self.replies as f64 / self.seconds
    }

    fn ns_per_query(&self, ns: u64) -> f64 {
        ns as f64 / self.replies.max(1) as f64
    }

    /// One line of JSON, with `labels` in it.
    pub(crate) fn json(&self, labels: &[(String, String)]) -> String {
        let rcodes: serde_json::Map<_, _> = (0..16)
            .filter(|&code| self.rcodes[code] > 0)
            .map(|code| (code.to_string(), self.rcodes[code].into()))
            .collect();
        let [malformed, question, rcode, answers, edns, scope] = self.wrong;
        let mut row = serde_json::json!({
            "address": self.server.to_string(),
            "names": self.names,
            "seconds": self.seconds,
            "queries": self.queries,
            "replies": self.replies,
            "lost": self.lost,
            "strays": self.strays,
            "send_failures": self.send_failures,
            "rcodes": rcodes,
            "wrong": {
                "malformed": malformed, "question": question, "rcode": rcode,
                "answers": answers, "edns": edns, "scope": scope,
            },
            "rate": self.rate(),
            "p50_us": self.latency.quantile(0.5) as f64 / 1e3,
            "p99_us": self.latency.quantile(0.99) as f64 / 1e3,
            "p999_us": self.latency.quantile(0.999) as f64 / 1e3,
            "max_us": self.latency.max() as f64 / 1e3,
            "server_ns_per_query": self.server_ns.map(|ns| self.ns_per_query(ns)),
            "server_processes": self.server_memory.as_ref().map(|memory| memory.processes),
            "server_pss_kib": self.server_memory.as_ref().map(|memory| memory.shared_out_kib),
            "server_rss_kib": self.server_memory.as_ref().map(|memory| memory.resident_kib),
            "server_peak_kib": self.server_memory.as_ref().map(|memory| memory.peak_kib),
            "loader_ns_per_query": self.ns_per_query(self.loader_ns),
        });
        for (key, text) in labels {
            row[key] = text.as_str().into();
        }
        row.to_string()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let us = |share| self.latency.quantile(share) as f64 / 1e3;
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{:.0} replies/s over {:.2} s: {} asked, {} answered, {} lost, {} stray, {} unsent",
            self.rate(),
            self.seconds,
            self.queries,
            self.replies,
            self.lost,
            self.strays,
            self.send_failures
        );
        let _ = writeln!(
            text,
            "latency us: p50 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
            us(0.5),
            us(0.99),
            us(0.999),
            self.latency.max() as f64 / 1e3
        );
        for (code, &count) in self.rcodes.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let _ = writeln!(text, "rcode {code}: {count}");
        }
        let kinds = ["malformed", "question", "rcode", "answers", "edns", "scope"];
        for (kind, &count) in kinds.iter().zip(&self.wrong).filter(|&(_, &count)| count > 0) {
            let _ = writeln!(text, "WRONG {kind}: {count}");
        }
        if let Some(ns) = self.server_ns {
            let _ = writeln!(text, "server: {:.0} ns per query", self.ns_per_query(ns));
        }
        if let Some(memory) = &self.server_memory {
            let Memory { processes, resident_kib, peak_kib, .. } = memory;
            let _ = writeln!(
                text,
                "server: {processes} processes, {resident_kib} KiB resident, {peak_kib} KiB at \
                 their peaks"
            );
        }
        let _ = writeln!(text, "loader: {:.0} ns per query", self.ns_per_query(self.loader_ns));
        text
    }
}
