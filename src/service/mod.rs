//! What a service manager says to a process it starts, and hears from it; and the rights
//! that a process has.
//!
//! ```text
//!   NOTIFY_SOCKET ◄── notify      ready, reloading, stopping, a sign of life
//!   LISTEN_FDS    ──► activation  sockets that are bound already
//!   root          ──► privileges  another user, with little more than its own rights
//! ```
//!
//! The protocols are systemd's (sd_notify(3), sd_listen_fds(3)); anything that
//! speaks them will do, and without them nothing is said or taken.
//!
//! It must not know what the process does: who calls says when it is ready.

mod activation;
mod notify;
mod privileges;
mod users;

pub use activation::{ActivationError, take_sockets};
pub use notify::{Notifier, NotifyError};
pub use privileges::{
    Lent, PrivilegeError, become_user, is_still_to_become, keep_to_ourselves, lend,
};
pub use users::{User, UserError, find_user};

/// What of the environment is meant for the process the service manager started, and
/// must not reach one that takes its place: the number of that process stands in it.
pub const MEANT_FOR_ONE_PROCESS: [&str; 4] =
    ["LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_PID"];
