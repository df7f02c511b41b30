//! Requests that ask what would be: nothing changes by them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::{Shared, body};
use crate::admin::problem::Problem;
use crate::admin::types::SimulateRequest;

pub(super) async fn simulate(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: SimulateRequest = body::read(&headers, &body)?;
    let desk = Arc::clone(&shared.desk);
    shared.calls.json(move || desk.simulate(&request)).await
}
