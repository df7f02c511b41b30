//! What is measured: the families' names, the counters behind them, their text.
//!
//! ```text
//! responders ─ WorkerCounters ──► Registry ─ sum at scrape ┐  one writer each
//! probes, connections, config: plain values ───────────────┼► Scrape ─ render ─► text
//! WIPs, members: read where they live, streamed ───────────┘
//! ```
//!
//! Names and labels are a contract ([`families::FAMILIES`]); labels are bounded
//! and never come from a query. This module knows nothing else of Windrose:
//! values come in as arguments, so a scrape is a pure function to text.

mod connections;
pub mod counters;
pub mod families;
pub mod histogram;
pub mod refusals;
pub mod scrape;
pub mod text;
mod totals;
pub mod transitions;
mod watched;

pub use connections::ConnectionTotals;
pub use counters::{DropReason, DropStage, Family, Registry, Transport, WorkerCounters};
pub use histogram::{HistogramTotals, Unit};
pub use refusals::{RateAction, RateClass, Refusal};
pub use scrape::{
    CheckTotals, LimiterTotals, MemberState, OverrideTotals, Process, Scrape, StateTotals,
    WipSeries, render,
};
pub use totals::Totals;
pub use transitions::{TransitionCounters, TransitionTo};
pub use watched::{OwnCertificate, QueryLogTotals, WebhookTotals};
