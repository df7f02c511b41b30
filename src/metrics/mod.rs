//! What is measured: the families' names, the counters behind them, their text.
//!
//! ```text
//! UDP worker ─ WorkerCounters ┐  one writer each, no read-modify-write
//! TCP tasks  ─ SharedCounters ┼► Registry ─ sum at scrape ┐
//! prober     ─ ProbeCounters ─┘                           ├► Scrape ─ render ─► text
//! WIPs, members: read where they live, streamed ──────────┘
//! ```
//!
//! Names and labels are a contract ([`families::FAMILIES`]); labels are bounded
//! and never come from a query. This module knows nothing else of Windrose:
//! values come in as arguments, so a scrape is a pure function to text.

pub mod counters;
pub mod families;
pub mod histogram;
pub mod probes;
pub mod scrape;
pub mod text;

pub use counters::{
    DropReason, Family, Registry, SharedCounters, Totals, Transport, WorkerCounters,
};
pub use probes::{CheckCounters, ProbeCounters, ProbeResult, TransitionCounters, TransitionTo};
pub use scrape::{MemberState, Process, Scrape, WipSeries, render};
