//! Windrose, an authoritative DNS server for Global Server Load Balancing.
//!
//! A query, from left to right:
//!
//! ```text
//! socket ─► listen ─► answer ─► zone::lookup ─┬─ static records ────────────┐
//!            batch    (pure)                  ├─ a site's own name ─────────┤
//!                                             └─ WIP: geo map ─► steer ─────┤
//!                                                  (order)  (health words)  │
//! socket ◄─ listen ◄──────────────────────────────────────── dns::encode ◄──┘
//! ```
//!
//! Control, into one swap:
//!
//! ```text
//! files ─► config ─► snapshot::compile ─┬─ Snapshot ──────────────► Serving ─► queries
//! geo databases ─► geo ────┘            └─ Plan ─► health ─► Table ────┘
//!                                                 ▲     │
//!                                         results └─ probe
//! file change, SIGHUP, API ─► daemon::publisher: one load at a time, all or nothing
//! ```
//!
//! A module may use those of lower layers; `tests/layers.rs` enforces it.
//!
//! | layer | module | what it is |
//! |---|---|---|
//! | 0 words | [`dns`] | Words of the wire |
//! |  | [`geo`] | From a client's address to its place and its order of sites |
//! |  | [`metrics`] | What is counted, and its text |
//! |  | [`problem`] | Diagnostics with their places |
//! | 1 rules | [`zone`] | What stands at a name |
//! |  | [`health`] | When a verdict changes, and what queries see of it |
//! |  | [`steer`] | Who is chosen |
//! | 2 brain | [`config`] | The config file: text in, a checked model or all problems out |
//! |  | [`snapshot`] | All that a query may read, compiled |
//! |  | [`answer`] | From a request's bytes to a reply's |
//! |  | [`whatif`] | How a change would move answers |
//! |  | [`overrides`] | What operators say over health, and what is too dangerous to say |
//! | 3 hands | [`listen`] | Sockets for DNS |
//! |  | [`probe`] | Probes as real connections |
//! |  | [`tls`] | Certificates of our own listeners |
//! |  | [`admin`] | HTTP for metrics, readiness and the API |
//! |  | [`clock`] | The only reader of time |
//! |  | [`log`] | What is shown in the log, and how |
//! |  | [`service`] | What a service manager is told and gives |
//! |  | [`querylog`] | What is asked and answered, as dnstap |
//! |  | [`notify`] | Webhooks: events over HTTP |
//! | 4 desk | [`daemon`] | Joins everything: start, publish, reload, stop |
//! | 5 door | [`cli`] | The command line |
//! |  | [`demo`] | A tour on loopback |
//!
//! Below layer 3 there is no socket, file, clock, thread or hidden randomness.
//! `docs/ARCHITECTURE.md` has the reasons, the invariants and the threads.

pub mod admin;
pub mod answer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod dns;
pub mod geo;
pub mod health;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod overrides;
pub mod probe;
pub mod problem;
pub mod querylog;
pub mod service;
pub mod snapshot;
pub mod steer;
pub mod tls;
pub mod whatif;
pub mod zone;
