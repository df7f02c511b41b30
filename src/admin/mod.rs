//! The admin listener: metrics, health, and the API that operates the server,
//! over HTTP/1.1 on TCP or a unix socket.
//!
//! ```text
//! accept ─► connection (bounded: number, headers, body, life)
//!             └► guard: Host, Origin, token ─► handler ─► Desk, off the async threads
//! ```
//!
//! Everything it shows or does goes through [`Desk`], which the daemon
//! implements: this module must not know the listeners, the prober or the
//! publisher. Whatever its clients do, DNS and probes go on.

mod api;
mod desk;
mod guard;
mod journal;
mod listener;
mod openapi;
mod page;
pub mod problem;
pub mod process;
mod stream;
mod tls;
pub mod types;

pub use desk::{ApiError, Desk};
pub use guard::TokenError;
pub use journal::{Batch, EVENTS_KEPT, Journal, Reader};
pub use listener::{BindError, Bound, Ownership, bind, bind_or_take, serve};

#[cfg(test)]
mod tests;
