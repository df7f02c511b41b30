//! Replacing the server by another process.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The reply to `POST /api/v1/upgrade`: another process answers now.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Upgraded {
    /// The process that was asked, and ends.
    pub old_pid: u32,
    /// The process that answers from now on.
    pub new_pid: u32,
    /// The version of the one.
    pub old_version: String,
    /// The version of the other.
    pub new_version: String,
    /// How long it took, from the word to the new process's first answer.
    pub took_ms: u64,
}
