//! Calls to the daemon: where they may take their time, some at once.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::admin::problem::Problem;

/// `Content-Type` of a reply.
const JSON: &str = "application/json";

/// Calls to the daemon: some at once, each within a time.
pub(super) struct Calls {
    permits: Arc<Semaphore>,
    limit: Duration,
}

impl Calls {
    pub(super) fn new(at_once: usize, limit: Duration) -> Calls {
        Calls { permits: Arc::new(Semaphore::new(at_once)), limit }
    }

    /// Runs `call` as [`run`](Self::run) does and gives its reply as JSON, which is
    /// written there too: a large page holds up no other connection.
    pub(super) async fn json<T: Serialize, E: Into<Problem> + Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        let written = self.run(move || Ok(serde_json::to_vec(&call()?)));
        match written.await?.map_err(E::into)? {
            Ok(json) => Ok(([(header::CONTENT_TYPE, JSON)], json).into_response()),
            Err(error) => {
                tracing::error!(%error, "a reply of the admin listener cannot be written");
                Err(internal())
            }
        }
    }

    /// Runs `call` where it may take its time. One that takes too long goes on,
    /// and keeps its permit, but its request is answered.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permits = Arc::clone(&self.permits);
        let work = async move {
            let permit = permits.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                call()
            })
            .await
        };
        match timeout(self.limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::error!(%error, "a call from the admin listener failed");
                Err(internal())
            }
            Err(_) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "late",
                "This took too long",
                format!("No answer within {} s; it may still take effect.", self.limit.as_secs()),
            )),
        }
    }
}

fn internal() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "This server made a mistake",
        "Its log says more.",
    )
}
