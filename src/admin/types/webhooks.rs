//! Webhooks: how they are, and tests of them. Nothing here is secret.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/webhooks`
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WebhooksPage {
    /// Each, by name.
    pub webhooks: Vec<WebhookStatus>,
}

/// One webhook.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WebhookStatus {
    /// Its name.
    pub name: String,
    /// Where it goes, the host and no more.
    pub place: String,
    /// Deliveries that were taken.
    pub delivered: u64,
    /// Attempts that failed, and were to be repeated.
    pub failed: u64,
    /// Deliveries that the receiver refused for good.
    pub refused: u64,
    /// Deliveries given up after `retry_for`.
    pub expired: u64,
    /// Events that wait.
    pub queued: u64,
    /// Events that were lost: no room, refused or given up.
    pub dropped: u64,
    /// When the last attempt ended; none: there was none.
    pub last_at_s: Option<u64>,
    /// How it ended: "204 No Content".
    pub last_result: Option<String>,
}

/// `POST /api/v1/webhooks/{name}/test`: what the receiver said to one event that is a test.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WebhookTested {
    /// Whether it took it.
    pub taken: bool,
    /// Its HTTP status; none: there was no reply.
    pub status: Option<u16>,
    /// In words.
    pub detail: String,
    /// How long it took.
    pub took_ms: u64,
}
