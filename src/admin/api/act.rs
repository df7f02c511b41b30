//! Requests that change something: reload, and releases of what health holds.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::{Connection, Shared, body};
use crate::admin::problem::Problem;
use crate::admin::types::{FailbackRequest, NoBody};

pub(super) async fn reload(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let NoBody {} = body::read(&headers, &body)?;
    tracing::info!(%peer, "reload asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.reload()).await
}

pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let NoBody {} = body::read(&headers, &body)?;
    tracing::info!(%peer, "upgrade asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    shared.upgrades.json(move || desk.upgrade()).await
}

pub(super) async fn release_limiter(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let NoBody {} = body::read(&headers, &body)?;
    tracing::warn!(%peer, "release of the limiter asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.release_limiter()).await
}

pub(super) async fn fail_back(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    // Nothing named: everything that is held.
    let request: FailbackRequest = body::read(&headers, &body)?;
    let (wip, member) = (request.wip.as_deref(), request.member.as_deref());
    tracing::warn!(%peer, wip, member, "failback asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.fail_back(&request)).await
}
