//! Paths and handlers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::desk::{ApiError, Desk};
use super::guard::Guard;
use super::listener::Limits;
use super::problem::Problem;
use super::stream::{EventStream, Source, Streaming};
use super::types::{ChecksRequest, EventsRequest, ExplainRequest, FailbackRequest};
use super::{page, stream};
use crate::log::Sparse;
use crate::metrics::text;

/// Most bytes of a request's body. No request has more than a few hundred.
pub(super) const BODY_LENGTH_MAX: usize = 64 * 1_024;
/// Most calls to the daemon at once, metrics apart.
const DESK_CALLS_MAX: usize = 4;
/// Most streams of events at once: a share of the connections there may be.
pub(super) const STREAMS_MAX: usize = 8;

static NOT_ADMITTED: Sparse = Sparse::every(Duration::from_secs(10));

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
        .route("/", get(|| async { Html(page::INDEX) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/explain", get(explain))
        .route("/api/v1/checks", get(checks))
        .route("/api/v1/events", get(events))
        .route("/api/v1/failback", post(fail_back))
        .route("/api/v1/limiter/release", post(release_limiter))
        .route("/api/v1/reload", post(reload))
        .fallback(|| async {
            let detail = "The page at / lists what there is.";
            Problem::new(StatusCode::NOT_FOUND, "no-such-path", "There is no such path", detail)
        })
        .method_not_allowed_fallback(|| async {
            let (status, title) = (StatusCode::METHOD_NOT_ALLOWED, "Another method is wanted");
            Problem::new(status, "wrong-method", title, "The Allow header lists those that work.")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), admit))
        .with_state(shared)
}

//------------ Before every handler -------------------------------------------

/// Lets a request in: source, token, then its body, which must be small.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match admitted(&shared, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

async fn admitted(shared: &Arc<Shared>, request: Request) -> Result<Request, Problem> {
    let path = request.uri().path();
    shared.guard.check_source(path, request.headers())?;
    if shared.guard.wants_token(path) {
        let (on_thread, headers) = (Arc::clone(shared), request.headers().clone());
        let checked = shared.tokens.run(move || on_thread.guard.check_token(&headers)).await?;
        if let Err(problem) = checked {
            if let (Some(left_out), Some(Connection { peer, .. })) =
                (NOT_ADMITTED.allow(Instant::now()), request.extensions().get())
            {
                tracing::warn!(%peer, %path, status = problem.status, left_out, "not admitted");
            }
            return Err(problem);
        }
    }
    let (parts, body) = request.into_parts();
    let body = read_body(body, shared.body_timeout).await?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

async fn read_body(body: Body, limit: Duration) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
            format!("A body has at most {BODY_LENGTH_MAX} bytes."),
        )
    };
    // One that says so before it comes is not waited for.
    if body.size_hint().lower() > BODY_LENGTH_MAX as u64 {
        return Err(too_large());
    }
    match timeout(limit, Limited::new(body, BODY_LENGTH_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "body-broken",
            "The body did not come whole",
            error.to_string(),
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-late",
            "The body took too long",
            format!("It must be here after {} s.", limit.as_secs()),
        )),
    }
}

//------------ Handlers -------------------------------------------------------

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.desk.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    let page = shared.scrapes.run(move || {
        let mut out = String::new();
        desk.metrics(&mut out);
        out
    });
    Ok(([(header::CONTENT_TYPE, text::CONTENT_TYPE)], page.await?).into_response())
}

async fn status(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    let status = shared.calls.run(move || desk.status()).await?;
    Ok(Json(status).into_response())
}

/// A request's parameters, as they come.
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// How parameters become a request; the error is words for the client.
type ReadPairs<T> = fn(&[(String, String)]) -> Result<T, String>;

/// Reads a request's parameters.
fn parse<T>(pairs: Pairs, read: ReadPairs<T>) -> Result<T, Problem> {
    pairs
        .map_err(|rejection| rejection.body_text())
        .and_then(|Query(pairs)| read(&pairs))
        .map_err(|detail| Problem::from(ApiError::Invalid(detail)))
}

async fn checks(State(shared): State<Arc<Shared>>, query: Pairs) -> Result<Response, Problem> {
    let request = parse(query, ChecksRequest::from_query)?;
    let desk = Arc::clone(&shared.desk);
    let page = shared.calls.run(move || desk.checks(&request)).await?;
    Ok(Json(page?).into_response())
}

async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let after = parse(query, EventsRequest::from_query)?.after;
    // A browser that comes back says so in a header.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let permit = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-streams",
            "There are too many streams of events",
            format!("{STREAMS_MAX} are followed already; one of them must end first."),
        )
    })?;
    let source = Source {
        reader: shared.desk.journal().reader(last.or(after)),
        stopping: connection.stopping,
        heartbeat: shared.heartbeat,
        _permit: permit,
    };
    let body = Body::new(EventStream::new(source, connection.streaming));
    Ok(([(header::CONTENT_TYPE, stream::CONTENT_TYPE)], body).into_response())
}

async fn explain(State(shared): State<Arc<Shared>>, query: Pairs) -> Result<Response, Problem> {
    let request = parse(query, ExplainRequest::from_query)?;
    let desk = Arc::clone(&shared.desk);
    let explained = shared.calls.run(move || desk.explain(&request)).await?;
    Ok(Json(explained?).into_response())
}

async fn reload(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
) -> Result<Response, Problem> {
    tracing::info!(%peer, "reload asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    let report = shared.calls.run(move || desk.reload()).await?;
    Ok(Json(report?).into_response())
}

async fn release_limiter(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
) -> Result<Response, Problem> {
    tracing::warn!(%peer, "release of the limiter asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    let released = shared.calls.run(move || desk.release_limiter()).await?;
    Ok(Json(released?).into_response())
}

async fn fail_back(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    body: Bytes,
) -> Result<Response, Problem> {
    // Nothing named: everything that is held.
    let request = if body.is_empty() { b"{}" } else { &body[..] };
    let request: FailbackRequest = serde_json::from_slice(request)
        .map_err(|error| Problem::from(ApiError::Invalid(format!("the body: {error}"))))?;
    let (wip, member) = (request.wip.as_deref(), request.member.as_deref());
    tracing::warn!(%peer, wip, member, "failback asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    let done = shared.calls.run(move || desk.fail_back(&request)).await?;
    Ok(Json(done?).into_response())
}

//------------ Calls ----------------------------------------------------------

/// Calls to the daemon: some at once, each within a time.
struct Calls {
    permits: Arc<Semaphore>,
    limit: Duration,
}

impl Calls {
    fn new(at_once: usize, limit: Duration) -> Calls {
        Calls { permits: Arc::new(Semaphore::new(at_once)), limit }
    }

    /// Runs `call` where it may take its time. One that takes too long goes on,
    /// and keeps its permit, but its request is answered.
    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permits = Arc::clone(&self.permits);
        let work = async move {
            let permit = permits.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                call()
            })
            .await
        };
        match timeout(self.limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::error!(%error, "a call from the admin listener failed");
                Err(Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "This server made a mistake",
                    "Its log says more.",
                ))
            }
            Err(_) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "late",
                "This took too long",
                format!("No answer within {} s; it may still take effect.", self.limit.as_secs()),
            )),
        }
    }
}
