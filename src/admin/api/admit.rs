//! What every request passes before its handler: source, token, body.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::{BODY_LENGTH_MAX, Connection, Shared};
use crate::admin::problem::Problem;
use crate::log::Sparse;

static NOT_ADMITTED: Sparse = Sparse::every(Duration::from_secs(10));

/// Lets a request in: source, token, then its body, which must be small.
pub(super) async fn admit(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admitted(&shared, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The page brings its own; nothing else is for browsers to show.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
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
