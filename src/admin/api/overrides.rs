//! Requests about overrides: what there is, saying one, taking some back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::{Connection, Shared, body};
use crate::admin::problem::Problem;
use crate::admin::types::{ClearRequest, OverrideRequest};

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    let page = shared.calls.run(move || desk.overrides()).await?;
    Ok(Json(page).into_response())
}

pub(super) async fn say(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: OverrideRequest = body::read(&headers, &body)?;
    let desk = Arc::clone(&shared.desk);
    let done = shared.calls.run(move || desk.say_override(&request, &peer)).await?;
    Ok(Json(done?).into_response())
}

pub(super) async fn clear(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: ClearRequest = body::read(&headers, &body)?;
    let desk = Arc::clone(&shared.desk);
    let done = shared.calls.run(move || desk.clear_overrides(&request, &peer)).await?;
    Ok(Json(done?).into_response())
}
