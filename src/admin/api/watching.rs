//! Requests about how the server is watched: its log, its webhooks, what it tells
//! those who are to help.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::{Connection, Shared, body};
use crate::admin::problem::Problem;
use crate::admin::types::{LogRequest, NoBody};

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

pub(super) async fn webhooks(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || Ok::<_, Problem>(desk.webhooks())).await
}

pub(super) async fn test_webhook(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let NoBody {} = body::read(&headers, &body)?;
    tracing::info!(%peer, webhook = name, "test of a webhook asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.test_webhook(&name)).await
}

pub(super) async fn support_bundle(
    State(shared): State<Arc<Shared>>,
    Extension(Connection { peer, .. }): Extension<Connection>,
) -> Result<Response, Problem> {
    tracing::info!(%peer, "support bundle asked for over the admin listener");
    let desk = Arc::clone(&shared.desk);
    let bundle = shared.calls.run(move || desk.support_bundle()).await?;
    Ok(Json(bundle).into_response())
}
