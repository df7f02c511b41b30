//! Requests that look: status, checks, events, explain, metrics.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Connection, STREAMS_MAX, Shared};
use crate::admin::desk::ApiError;
use crate::admin::openapi;
use crate::admin::problem::Problem;
use crate::admin::stream::{self, EventStream, Source};
use crate::admin::types::{ChecksRequest, EventsRequest, ExplainRequest, WipsRequest};
use crate::dns::Name;
use crate::metrics::text;

pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.desk.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document()).into_response()
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    let page = shared.scrapes.run(move || {
        let mut out = String::new();
        desk.metrics(&mut out);
        out
    });
    Ok(([(header::CONTENT_TYPE, text::CONTENT_TYPE)], page.await?).into_response())
}

pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || Ok::<_, Problem>(desk.status())).await
}

/// A request's parameters, as they come.
pub(super) type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// How parameters become a request; the error is words for the client.
pub(super) type ReadPairs<T> = fn(&[(String, String)]) -> Result<T, String>;

/// Reads a request's parameters.
pub(super) fn parse<T>(pairs: Pairs, read: ReadPairs<T>) -> Result<T, Problem> {
    pairs
        .map_err(|rejection| rejection.body_text())
        .and_then(|Query(pairs)| read(&pairs))
        .map_err(|detail| Problem::from(ApiError::Invalid(detail)))
}

pub(super) async fn checks(
    State(shared): State<Arc<Shared>>,
    query: Pairs,
) -> Result<Response, Problem> {
    let request = parse(query, ChecksRequest::from_query)?;
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.checks(&request)).await
}

pub(super) async fn wips(
    State(shared): State<Arc<Shared>>,
    query: Pairs,
) -> Result<Response, Problem> {
    let request = parse(query, WipsRequest::from_query)?;
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.wips(&request)).await
}

pub(super) async fn wip(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    // What is no name is no WIP's.
    let none = |detail: String| Problem::from(ApiError::NotFound(detail));
    let Path(text) = path.map_err(|rejection| none(rejection.body_text()))?;
    let name =
        Name::parse(&text).map_err(|error| none(format!("there is no WIP \"{text}\": {error}")))?;
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.wip(&name.to_lowercase())).await
}

pub(super) async fn datacenters(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || Ok::<_, Problem>(desk.datacenters())).await
}

pub(super) async fn events(
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

pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    query: Pairs,
) -> Result<Response, Problem> {
    let request = parse(query, ExplainRequest::from_query)?;
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.explain(&request)).await
}
