//! What the admin listener asks of the daemon.

use std::sync::Arc;

use super::journal::Journal;
use super::types::{
    BrokenRule, ChecksPage, ChecksRequest, ClearRequest, DatacentersPage, ExplainRequest,
    FailbackRequest, FailedBack, LimiterReleased, LogRequest, LogStatus, OverrideDone,
    OverrideRequest, OverridesPage, ReloadRefused, ReloadReport, SimulateRequest, Simulation,
    Status, SupportBundle, Upgraded, WebhookTested, WebhooksPage, WipStatus, WipsPage, WipsRequest,
};
use crate::dns::Name;

/// The daemon, as the admin listener sees it.
///
/// All but [`Desk::ready`] are called on threads where they may take their
/// time; a call that outlives its request runs to its end.
pub trait Desk: Send + Sync + 'static {
    /// Appends the whole metrics page to `out`.
    fn metrics(&self, out: &mut String);

    /// Whether this server should be sent clients; if not, why, in a sentence.
    /// Called on an async thread: it must not wait.
    fn ready(&self) -> Result<(), String>;

    /// What runs, and how it is.
    fn status(&self) -> Status;

    /// What is logged.
    fn log(&self) -> Result<LogStatus, ApiError>;

    /// Logs more or less from now on.
    fn set_log(&self, request: &LogRequest) -> Result<LogStatus, ApiError>;

    /// What whoever is to help needs to see, with secrets out.
    fn support_bundle(&self) -> SupportBundle;

    /// How the webhooks are.
    fn webhooks(&self) -> WebhooksPage;

    /// Sends a test to one, and waits for what becomes of it.
    fn test_webhook(&self, name: &str) -> Result<WebhookTested, ApiError>;

    /// What is probed and how it is, one by one.
    fn checks(&self, request: &ChecksRequest) -> Result<ChecksPage, ApiError>;

    /// Some of the WIPs, and how each member is.
    fn wips(&self, request: &WipsRequest) -> Result<WipsPage, ApiError>;

    /// The WIP of this name or alias.
    fn wip(&self, name: &Name) -> Result<WipStatus, ApiError>;

    /// Every datacenter, and how its members are.
    fn datacenters(&self) -> DatacentersPage;

    /// What happened last, and what happens. Called on an async thread: it must not
    /// wait.
    fn journal(&self) -> Arc<Journal>;

    /// Why a client gets its answer, as JSON for people and programs.
    fn explain(&self, request: &ExplainRequest) -> Result<serde_json::Value, ApiError>;

    /// How answers would move, were sites lost or members overridden.
    fn simulate(&self, request: &SimulateRequest) -> Result<Simulation, ApiError>;

    /// Lets the losses that the blast-radius limiter holds take their course.
    fn release_limiter(&self) -> Result<LimiterReleased, ApiError>;

    /// Lets members that are held take part again.
    fn fail_back(&self, request: &FailbackRequest) -> Result<FailedBack, ApiError>;

    /// What operators said over health.
    fn overrides(&self) -> OverridesPage;

    /// Says something of members for somebody at `peer`. Once it returns, it is on the
    /// disk and in answers.
    fn say_override(&self, request: &OverrideRequest, peer: &str)
    -> Result<OverrideDone, ApiError>;

    /// Takes back what was said of a target, likewise.
    fn clear_overrides(&self, request: &ClearRequest, peer: &str)
    -> Result<OverrideDone, ApiError>;

    /// Loads the config anew. Returns when it is in force, or refused.
    fn reload(&self) -> Result<ReloadReport, ReloadRefused>;

    /// Has a new process take this one's place. Returns when it answers, or when it is
    /// clear that it never will: within a minute.
    fn upgrade(&self) -> Result<Upgraded, ApiError>;
}

/// Why the daemon did not do what a request asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// The request makes no sense: 400.
    #[error("{0}")]
    Invalid(String),
    /// It names something that is not there: 404.
    #[error("{0}")]
    NotFound(String),
    /// There is nothing to do it to, as things are: 409.
    #[error("{0}")]
    Conflict(String),
    /// The safety rules forbid it: 409, with the rules.
    #[error("{detail}")]
    Unsafe {
        /// In a sentence.
        detail: String,
        /// The rules.
        broken: Vec<BrokenRule>,
    },
    /// It is meant for something that is no longer so: 409.
    #[error("{0}")]
    ChangedMeanwhile(String),
    /// It would not outlive the process, for there is no `state_dir`: 409.
    #[error("{0}")]
    NoStateDir(String),
    /// The disk does not take it, so nothing was changed: 503.
    #[error("{0}")]
    NotSaved(String),
    /// This process cannot be replaced, or is being replaced: 409.
    #[error("{0}")]
    NoUpgrade(String),
    /// The process that was to take over cannot: 422.
    #[error("{0}")]
    UpgradeFailed(String),
    /// Not now; later it may work: 503.
    #[error("{0}")]
    NotReady(String),
}
