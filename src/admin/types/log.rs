//! The level of the running log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/log`, and the reply to `PUT`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct LogStatus {
    /// The level or filter in force.
    pub level: String,
    /// Who set it: "default", "config", "environment" or "operator".
    pub set_by: String,
    /// What holds without an operator's.
    pub configured: String,
    /// When an operator's ends; none: with the process.
    pub until_s: Option<u64>,
}

/// `PUT /api/v1/log`
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogRequest {
    /// A level or filter as in `[log] level`; "config": back to what is configured.
    pub level: String,
    /// For so many seconds, at most [`LOG_FOR_MAX_S`]; none: until the process ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
}

/// [`LogRequest::level`] that goes back.
pub const LOG_CONFIGURED: &str = "config";

/// Longest [`LogRequest::for_s`]: a week.
pub const LOG_FOR_MAX_S: u64 = 604_800;
