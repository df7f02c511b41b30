//! What a server is asked: a method for each call of the API.
//!
//! It must not know how a request travels.

use reqwest::Method;

use super::{Client, ClientError, UPGRADE_TIMEOUT};
use crate::admin::types::{
    ChecksPage, ChecksRequest, ClearRequest, ExplainRequest, FailbackRequest, FailedBack,
    LimiterReleased, LogRequest, LogStatus, OverrideDone, OverrideRequest, OverridesPage,
    ReloadReport, SimulateRequest, Simulation, Status, Upgraded, WebhookTested, WebhooksPage,
};

impl Client {
    /// `GET /api/v1/status`
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/api/v1/status", &[]).await
    }

    /// `GET /api/v1/checks`, one page.
    pub async fn checks(&self, request: &ChecksRequest) -> Result<ChecksPage, ClientError> {
        self.get("/api/v1/checks", &request.to_query()).await
    }

    /// `GET /api/v1/explain`
    pub async fn explain(
        &self,
        request: &ExplainRequest,
    ) -> Result<serde_json::Value, ClientError> {
        self.get("/api/v1/explain", &request.to_query()).await
    }

    /// `POST /api/v1/simulate`
    pub async fn simulate(&self, request: &SimulateRequest) -> Result<Simulation, ClientError> {
        self.post("/api/v1/simulate", Some(request)).await
    }

    /// `POST /api/v1/failback`
    pub async fn fail_back(&self, request: &FailbackRequest) -> Result<FailedBack, ClientError> {
        self.post("/api/v1/failback", Some(request)).await
    }

    /// `POST /api/v1/limiter/release`
    pub async fn release_limiter(&self) -> Result<LimiterReleased, ClientError> {
        self.post("/api/v1/limiter/release", None::<&()>).await
    }

    /// `GET /api/v1/overrides`
    pub async fn overrides(&self) -> Result<OverridesPage, ClientError> {
        self.get("/api/v1/overrides", &[]).await
    }

    /// `POST /api/v1/overrides`. One that the safety rules forbid is a
    /// [`ClientError::Problem`] that carries the rules.
    pub async fn say_override(
        &self,
        request: &OverrideRequest,
    ) -> Result<OverrideDone, ClientError> {
        self.post("/api/v1/overrides", Some(request)).await
    }

    /// `POST /api/v1/overrides/clear`, likewise.
    pub async fn clear_overrides(
        &self,
        request: &ClearRequest,
    ) -> Result<OverrideDone, ClientError> {
        self.post("/api/v1/overrides/clear", Some(request)).await
    }

    /// `GET /api/v1/log`
    pub async fn log(&self) -> Result<LogStatus, ClientError> {
        self.get("/api/v1/log", &[]).await
    }

    /// `PUT /api/v1/log`
    pub async fn set_log(&self, request: &LogRequest) -> Result<LogStatus, ClientError> {
        let url = self.url("/api/v1/log");
        self.ask(self.http.request(Method::PUT, url).json(request)).await
    }

    /// `GET /api/v1/webhooks`
    pub async fn webhooks(&self) -> Result<WebhooksPage, ClientError> {
        self.get("/api/v1/webhooks", &[]).await
    }

    /// `POST /api/v1/webhooks/{name}/test`
    pub async fn test_webhook(&self, name: &str) -> Result<WebhookTested, ClientError> {
        // Names have no letter that a path could not.
        self.post(&format!("/api/v1/webhooks/{name}/test"), None::<&()>).await
    }

    /// `POST /api/v1/reload`. A config that is refused is a
    /// [`ClientError::Problem`] that carries all its problems.
    pub async fn reload(&self) -> Result<ReloadReport, ClientError> {
        self.post("/api/v1/reload", None::<&()>).await
    }

    /// `POST /api/v1/upgrade`, which takes as long as a start.
    pub async fn upgrade(&self) -> Result<Upgraded, ClientError> {
        let request = self.http.request(Method::POST, self.url("/api/v1/upgrade"));
        self.ask(request.timeout(UPGRADE_TIMEOUT)).await
    }
}
