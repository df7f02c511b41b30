//! Paths, and what their handlers share.
//!
//! ```text
//! admit (source, token, body) ─► read or act ─► calls ─► Desk
//! ```

mod act;
mod admit;
mod calls;
mod read;
mod think;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use tokio::sync::{Semaphore, watch};

use self::calls::Calls;
use super::desk::Desk;
use super::guard::Guard;
use super::listener::Limits;
use super::page;
use super::problem::Problem;
use super::stream::Streaming;

/// Most bytes of a request's body. No request has more than a few hundred.
pub(super) const BODY_LENGTH_MAX: usize = 64 * 1_024;
/// Most calls to the daemon at once, metrics apart.
const DESK_CALLS_MAX: usize = 4;
/// Most streams of events at once: a share of the connections there may be.
pub(super) const STREAMS_MAX: usize = 8;

/// What handlers share.
pub(super) struct Shared {
    desk: Arc<dyn Desk>,
    guard: Guard,
    calls: Calls,
    /// Of its own, so that strangers' wrong tokens hold up nobody's call.
    tokens: Calls,
    /// Of its own, so that no API call holds up a scrape; one, so that a flood
    /// of scrapes costs at most one core.
    scrapes: Calls,
    /// Places for streams of events.
    streams: Arc<Semaphore>,
    heartbeat: Duration,
    body_timeout: Duration,
}

/// What the connection of a request says to its handler.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// Who made it, for the log.
    pub(super) peer: String,
    /// Where a stream on it is registered.
    pub(super) streaming: Arc<Streaming>,
    /// True once the server stops.
    pub(super) stopping: watch::Receiver<bool>,
}

pub(super) fn router(desk: Arc<dyn Desk>, guard: Guard, limits: &Limits) -> Router {
    let shared = Arc::new(Shared {
        desk,
        guard,
        calls: Calls::new(DESK_CALLS_MAX, limits.desk),
        tokens: Calls::new(1, limits.desk),
        scrapes: Calls::new(1, limits.desk),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        heartbeat: limits.heartbeat,
        body_timeout: limits.body,
    });
    Router::new()
        .route("/", get(|| async { page::response() }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(read::readyz))
        .route("/metrics", get(read::metrics))
        .route("/api/v1/status", get(read::status))
        .route("/api/v1/explain", get(read::explain))
        .route("/api/v1/checks", get(read::checks))
        .route("/api/v1/wips", get(read::wips))
        .route("/api/v1/wips/{name}", get(read::wip))
        .route("/api/v1/datacenters", get(read::datacenters))
        .route("/api/v1/events", get(read::events))
        .route("/api/v1/log", get(watching::log).put(watching::set_log))
        .route("/api/v1/failback", post(act::fail_back))
        .route("/api/v1/limiter/release", post(act::release_limiter))
        .route("/api/v1/reload", post(act::reload))
        .route("/api/v1/simulate", post(think::simulate))
        .fallback(|| async {
            let detail = "The page at / lists what there is.";
            Problem::new(StatusCode::NOT_FOUND, "no-such-path", "There is no such path", detail)
        })
        .method_not_allowed_fallback(|| async {
            let (status, title) = (StatusCode::METHOD_NOT_ALLOWED, "Another method is wanted");
            Problem::new(status, "wrong-method", title, "The Allow header lists those that work.")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), admit::admit))
        .with_state(shared)
}
