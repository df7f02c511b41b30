//! Errors as RFC 9457 problem documents.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::desk::ApiError;
use super::types::{BrokenRule, ConfigProblem, ReloadRefused};

/// `Content-Type` of a problem document (RFC 9457 3).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// "urn:windrose:problem:" and a stable word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, always the same for it.
    pub title: String,
    /// The HTTP status, again.
    pub status: u16,
    /// This occurrence, in a sentence or two.
    pub detail: String,
    /// Of a refused reload: its report and problems, beside the other members.
    #[serde(flatten)]
    pub refused: Option<Box<ReloadRefused>>,
    /// Of an override that is not safe: the rules that it breaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<BrokenRule>,
}

/// [`Problem`] as the OpenAPI document has it: which further members there are depends on
/// the kind.
#[derive(ToSchema)]
#[schema(as = Problem, description = "What went wrong with a request (RFC 9457).")]
#[expect(dead_code, reason = "for its schema alone")]
pub(super) struct ProblemSchema {
    /// "urn:windrose:problem:" and a stable word.
    #[schema(pattern = "^urn:windrose:problem:[a-z-]+$")]
    r#type: String,
    /// The kind in a few words, always the same for it.
    title: String,
    /// The HTTP status, again.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// This occurrence, in a sentence or two.
    detail: String,
    /// Of a refused reload ("config-refused"): all problems as `windrose check` prints them.
    report: Option<String>,
    /// Of a refused reload: the same, one by one.
    problems: Option<Vec<ConfigProblem>>,
}

impl Problem {
    /// A problem with the stable word `kind`.
    pub(super) fn new(
        status: StatusCode,
        kind: &str,
        title: &str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem {
            kind: format!("urn:windrose:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            ..Problem::default()
        }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Problem {
        let (status, kind, title, detail) = match error {
            ApiError::Unsafe { detail, broken } => {
                let (kind, title) = ("unsafe-change", "The change is not safe");
                return Problem {
                    broken,
                    ..Problem::new(StatusCode::CONFLICT, kind, title, detail)
                };
            }
            ApiError::ChangedMeanwhile(detail) => (
                StatusCode::CONFLICT,
                "changed-meanwhile",
                "Somebody changed the overrides meanwhile",
                detail,
            ),
            ApiError::NoStateDir(detail) => {
                (StatusCode::CONFLICT, "no-state-dir", "There is nowhere to keep it", detail)
            }
            ApiError::NotSaved(detail) => {
                (StatusCode::SERVICE_UNAVAILABLE, "not-saved", "It could not be kept", detail)
            }
            ApiError::Invalid(detail) => {
                (StatusCode::BAD_REQUEST, "invalid-request", "The request makes no sense", detail)
            }
            ApiError::NotFound(detail) => {
                (StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
            }
            ApiError::Conflict(detail) => {
                (StatusCode::CONFLICT, "nothing-to-do", "There is nothing to do", detail)
            }
            ApiError::NoUpgrade(detail) => {
                (StatusCode::CONFLICT, "no-upgrade", "The server cannot be replaced now", detail)
            }
            ApiError::UpgradeFailed(detail) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "upgrade-failed",
                "The server was not replaced",
                detail,
            ),
            ApiError::NotReady(detail) => {
                (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not possible now", detail)
            }
        };
        Problem::new(status, kind, title, detail)
    }
}

impl From<ReloadRefused> for Problem {
    fn from(refused: ReloadRefused) -> Problem {
        let detail = match refused.problems.len() {
            0 => "The old one stays in force.".to_owned(),
            1 => "The config has a problem; the old one stays in force.".to_owned(),
            count => format!("The config has {count} problems; the old one stays in force."),
        };
        Problem {
            refused: Some(Box::new(refused)),
            ..Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "config-refused",
                "The config was refused",
                detail,
            )
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 11.6.1: a 401 names the scheme.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
