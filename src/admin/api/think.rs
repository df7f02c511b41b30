//! Requests that ask what would be: nothing changes by them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::Shared;
use crate::admin::desk::ApiError;
use crate::admin::problem::Problem;
use crate::admin::types::SimulateRequest;

pub(super) async fn simulate(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: SimulateRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::from(ApiError::Invalid(format!("the body: {error}"))))?;
    let desk = Arc::clone(&shared.desk);
    let simulation = shared.calls.run(move || desk.simulate(&request)).await?;
    Ok(Json(simulation?).into_response())
}
