//! What a service manager says to a process it starts, and hears from it.
//!
//! ```text
//!   NOTIFY_SOCKET ◄── notify      ready, reloading, stopping, a sign of life
//!   LISTEN_FDS    ──► activation  sockets that are bound already
//! ```
//!
//! The protocols are systemd's (sd_notify(3), sd_listen_fds(3)); anything that
//! speaks them will do, and without them nothing is said or taken.
//!
//! It must not know what the process does: who calls says when it is ready.

mod activation;
mod notify;

pub use activation::{ActivationError, take_sockets};
pub use notify::{Notifier, NotifyError};

/// What of the environment is meant for the process the service manager started, and
/// must not reach one that takes its place: the number of that process stands in it.
pub const MEANT_FOR_ONE_PROCESS: [&str; 4] =
    ["LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_PID"];
