//! Paths, and what their handlers share.
//!
//! ```text
//! admit (source, token, body) ─► read or act ─► calls ─► Desk
//! ```

mod act;
mod admit;
mod body;
mod calls;
mod overrides;
mod read;
mod think;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};
use tokio::sync::{Semaphore, watch};

use self::calls::Calls;
use super::desk::Desk;
use super::guard::Guard;
use super::listener::Limits;
use super::page;
use super::problem::Problem;
use super::stream::Streaming;

/// Most bytes of a request's body: enough for a simulation with all the weights it may have.
pub(super) const BODY_LENGTH_MAX: usize = 128 * 1_024;
/// Most calls to the daemon at once, metrics apart.
const DESK_CALLS_MAX: usize = 4;
/// Longest wait for an upgrade, which ends by itself before that.
const UPGRADE_MAX: Duration = Duration::from_secs(65);
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
    /// Of its own, because it takes as long as a new process needs to start.
    upgrades: Calls,
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
        upgrades: Calls::new(2, UPGRADE_MAX),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        heartbeat: limits.heartbeat,
        body_timeout: limits.body,
    });
    let mut router = Router::new();
    for (path, answers) in routes() {
        router = router.route(path, answers);
    }
    router
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

/// Every path and what answers there; `openapi::endpoints` tells of each.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Shared>>)> {
    vec![
        ("/", get(|| async { page::response() })),
        ("/healthz", get(|| async { "ok\n" })),
        ("/readyz", get(read::readyz)),
        ("/metrics", get(read::metrics)),
        ("/api/v1/openapi.json", get(read::document)),
        ("/api/v1/status", get(read::status)),
        ("/api/v1/explain", get(read::explain)),
        ("/api/v1/checks", get(read::checks)),
        ("/api/v1/wips", get(read::wips)),
        ("/api/v1/wips/{name}", get(read::wip)),
        ("/api/v1/datacenters", get(read::datacenters)),
        ("/api/v1/events", get(read::events)),
        ("/api/v1/log", get(watching::log).put(watching::set_log)),
        ("/api/v1/failback", post(act::fail_back)),
        ("/api/v1/limiter/release", post(act::release_limiter)),
        ("/api/v1/reload", post(act::reload)),
        ("/api/v1/simulate", post(think::simulate)),
        ("/api/v1/overrides", get(overrides::list).post(overrides::say)),
        ("/api/v1/overrides/clear", post(overrides::clear)),
        ("/api/v1/support-bundle", get(watching::support_bundle)),
        ("/api/v1/webhooks", get(watching::webhooks)),
        ("/api/v1/webhooks/{name}/test", post(watching::test_webhook)),
        ("/api/v1/upgrade", post(act::upgrade)),
    ]
}

/// Every path there is.
#[cfg(test)]
pub(super) fn paths() -> Vec<&'static str> {
    routes().into_iter().map(|(path, _)| path).collect()
}
