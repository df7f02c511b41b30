//! Requests about overrides: what there is, saying one, taking some back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::{Connection, Shared};
use crate::admin::desk::ApiError;
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
    body: Bytes,
) -> Result<Response, Problem> {
    let request: OverrideRequest = read(&body)?;
    let desk = Arc::clone(&shared.desk);
    let done = shared.calls.run(move || desk.say_override(&request, &peer)).await?;
    Ok(Json(done?).into_response())
}

pub(super) async fn clear(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: ClearRequest = read(&body)?;
    let desk = Arc::clone(&shared.desk);
    let done = shared.calls.run(move || desk.clear_overrides(&request, &peer)).await?;
    Ok(Json(done?).into_response())
}

/// Reads a body; the error names what is wrong in it, and what is allowed there.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::from(ApiError::Invalid(format!("the body: {error}"))))
}
