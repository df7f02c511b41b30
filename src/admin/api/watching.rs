//! Requests about how the server is watched: its log.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::{Connection, Shared, body};
use crate::admin::problem::Problem;
use crate::admin::types::LogRequest;

pub(super) async fn log(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.log()).await
}

pub(super) async fn set_log(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: LogRequest = body::read(&headers, &body)?;
    let (level, for_s) = (request.level.clone(), request.for_s);
    let desk = Arc::clone(&shared.desk);
    let status = shared.calls.run(move || desk.set_log(&request)).await??;
    // Whatever is logged from now on, this is.
    tracing::error!(%peer, level, for_s, "log level set over the admin listener");
    Ok(Json(status).into_response())
}
