//! Requests that change something: reload, and releases of what health holds.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};

use super::{Connection, Shared};
use crate::admin::desk::ApiError;
use crate::admin::problem::Problem;
use crate::admin::types::FailbackRequest;

pub(super) async fn reload(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
) -> Result<Response, Problem> {
    tracing::info!(%peer, "reload asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    let report = shared.calls.run(move || desk.reload()).await?;
    Ok(Json(report?).into_response())
}

pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
) -> Result<Response, Problem> {
    tracing::info!(%peer, "upgrade asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    let done = shared.upgrades.run(move || desk.upgrade()).await?;
    Ok(Json(done?).into_response())
}

pub(super) async fn release_limiter(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
) -> Result<Response, Problem> {
    tracing::warn!(%peer, "release of the limiter asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    let released = shared.calls.run(move || desk.release_limiter()).await?;
    Ok(Json(released?).into_response())
}

pub(super) async fn fail_back(
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
