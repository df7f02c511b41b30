//! Bodies of requests: JSON of a type, or a refusal that names the field.

use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::desk::ApiError;
use crate::admin::problem::Problem;

/// Reads a request's body. None at all reads as `{}`.
pub(super) fn read<T: DeserializeOwned + Serialize>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, Problem> {
    let is_empty = body.is_empty();
    if !is_empty && !is_json(headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-json",
            "The body is not JSON",
            "Send JSON, and say so: Content-Type: application/json",
        ));
    }
    let text = if is_empty { b"{}" } else { body };
    let invalid = |place: &str, error: &dyn std::fmt::Display| {
        let at = if place.is_empty() { String::new() } else { format!(", at {place}") };
        Problem::from(ApiError::Invalid(format!("the body{at}: {error}")))
    };
    let mut json = serde_json::Deserializer::from_slice(text);
    let value: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        invalid(path.trim_matches(['.', '?']), error.inner())
    })?;
    json.end().map_err(|error| invalid("", &error))?;
    let given = serde_json::from_slice(text).map_err(|error| invalid("", &error))?;
    let read = serde_json::to_value(&value).map_err(|error| invalid("", &error))?;
    match list_for_object(&given, &read) {
        Some(path) => Err(invalid(&path, &"invalid type: a list, expected an object")),
        None => Ok(value),
    }
}

/// Where `given` has a list and `read` an object: serde takes a list as the fields of a
/// struct one after another, whose order is nobody's contract.
fn list_for_object(given: &Value, read: &Value) -> Option<String> {
    let below = |name: &str, given, read| {
        let path = list_for_object(given, read)?;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Some(format!("{name}{dot}{path}"))
    };
    match (given, read) {
        (Value::Array(_), Value::Object(_)) => Some(String::new()),
        (Value::Object(given), Value::Object(read)) => {
            given.iter().find_map(|(name, given)| below(name, given, read.get(name)?))
        }
        (Value::Array(given), Value::Array(read)) => (0..)
            .zip(given.iter().zip(read))
            .find_map(|(at, (given, read))| below(&format!("[{at}]"), given, read)),
        _ => None,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = given.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::types::{FailbackRequest, NoBody, OverrideRequest, SimulateRequest};

    fn refused<T: DeserializeOwned + Serialize>(kind: &str, body: &str) -> Problem {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        read::<T>(&headers, body.as_bytes()).err().unwrap_or_else(|| panic!("taken: {body}"))
    }

    #[test]
    fn what_is_wrong_in_a_body_is_named() {
        let json = "application/json";
        for (body, detail) in [
            (
                r#"{"kind":"drain","target":{"wip":5},"reason":"x"}"#,
                "at target.wip: invalid type: integer `5`, expected a string",
            ),
            (
                r#"{"kind":"drain","target":{"wips":"x"},"reason":"x"}"#,
                "unknown field `wips`, expected one of `datacenter`, `wip`, `member`",
            ),
            (
                r#"{"kind":"stop","target":{},"reason":"x"}"#,
                "at kind: unknown variant `stop`, expected one of `drain`, `force-up`, `force-down`",
            ),
            (r#"{"kind":"drain","target":{}}"#, "the body: missing field `reason`"),
            (r#"{"kind":"drain","kind":"drain"}"#, "duplicate field `kind`"),
            (
                r#"{"kind":"drain","target":{},"reason":"x","until_s":-1}"#,
                "at until_s: invalid value: integer `-1`, expected u64",
            ),
            ("[]", "the body: invalid length 0"),
            (
                r#"{"kind":"drain","target":["fra"],"reason":"x"}"#,
                "the body, at target: invalid type: a list, expected an object",
            ),
            ("{", "the body: EOF while parsing an object"),
        ] {
            let problem = refused::<OverrideRequest>(json, body);
            assert_eq!(problem.status, 400);
            assert!(problem.detail.contains(detail), "{body}: {}", problem.detail);
        }
        let listed = r#"{"overrides":[{"kind":"drain","target":{}},["drain",{}]]}"#;
        let listed = refused::<SimulateRequest>(json, listed).detail;
        assert_eq!(listed, "the body, at overrides[1]: invalid type: a list, expected an object");
        let deep = format!("{{\"wip\":{}", "[".repeat(60_000));
        assert!(refused::<FailbackRequest>(json, &deep).detail.starts_with("the body"));
        let twice = refused::<FailbackRequest>(json, "{} {}").detail;
        assert!(twice.starts_with("the body: trailing characters"), "{twice}");
        let any = refused::<NoBody>(json, r#"{"force":true}"#).detail;
        assert!(any.contains("unknown field `force`, there are no fields"), "{any}");
    }

    #[test]
    fn what_is_not_said_to_be_json_is_not_read() {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            let problem = refused::<FailbackRequest>(kind, "{}");
            assert_eq!((problem.status, &*problem.kind), (415, "urn:windrose:problem:not-json"));
        }
        let mut headers = HeaderMap::new();
        assert!(read::<FailbackRequest>(&headers, b"").is_ok(), "nothing is no JSON to speak of");
        headers.insert(header::CONTENT_TYPE, "Application/JSON; charset=utf-8".parse().unwrap());
        assert_eq!(read::<FailbackRequest>(&headers, b"{}").unwrap(), FailbackRequest::default());
    }
}
