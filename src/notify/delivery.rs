//! One delivery: some events, as the JSON that is posted and an id.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::Settings;
use crate::admin::types::Event;

/// What is posted, the same at each attempt.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// The same at each attempt: who has seen it takes it once.
    pub(super) id: String,
    pub(super) body: Bytes,
    /// How many events it has.
    pub(super) events: u64,
    /// How many were lost before it, as it says.
    pub(super) missed: u64,
}

/// The JSON. Fields are added, never changed.
#[derive(Serialize)]
struct Payload<'a> {
    id: &'a str,
    webhook: &'a str,
    identity: Option<&'a str>,
    version: &'a str,
    missed: u64,
    events: Vec<&'a Event>,
}

impl Delivery {
    /// Of at least one event, after `missed` that were lost.
    pub(super) fn new(settings: &Settings, events: &[Arc<Event>], missed: u64) -> Delivery {
        let id_at = |event: Option<&Arc<Event>>| event.map_or(0, |event| event.id);
        // Ids of events grow over restarts too, so no two deliveries have one id.
        let id = format!("wr_{}_{}", id_at(events.first()), id_at(events.last()));
        let payload = Payload {
            id: &id,
            webhook: &settings.webhook.name,
            identity: settings.identity.as_deref(),
            version: env!("CARGO_PKG_VERSION"),
            missed,
            events: events.iter().map(|event| &**event).collect(),
        };
        // Plain structs always come out.
        let body = serde_json::to_vec(&payload).unwrap_or_default();
        Delivery { id, body: body.into(), events: events.len() as u64, missed }
    }
}
