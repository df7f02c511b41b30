//! The status page at `/`: one document without a request for anything but the API.
//!
//! Its parts lie in `page/` and are put together here: style and scripts stand in the
//! document itself, so that the Content-Security-Policy can name them by their digests
//! and forbid all else. It must not know what the page shows: the page is a client of
//! the API as any other, and gets its data there, with the token.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

const FRAME: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
/// The outline of the world, a path in the projection of `page/sites.js`.
const LAND: &str = include_str!("../../data/map/land.path");
/// One scope of their own for all, so that they see one another and nothing else sees them.
const SCRIPT: &str = concat!(
    "(() => {\n\"use strict\";\n",
    include_str!("page/base.js"),
    include_str!("page/server.js"),
    include_str!("page/live.js"),
    include_str!("page/head.js"),
    include_str!("page/sites.js"),
    include_str!("page/grid.js"),
    include_str!("page/events.js"),
    include_str!("page/overrides.js"),
    include_str!("page/change.js"),
    include_str!("page/main.js"),
    "})();\n",
);

/// The document and the policy that goes with it.
struct Page {
    html: String,
    policy: String,
}

/// Put together at the first request, once.
static PAGE: LazyLock<Page> = LazyLock::new(|| Page {
    html: FRAME
        .replace("{{style}}", STYLE)
        .replace("{{land}}", LAND.trim_end())
        .replace("{{script}}", SCRIPT),
    policy: format!(
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src '{}'; \
         script-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        source(STYLE),
        source(SCRIPT),
    ),
});

/// The page, with its policy.
pub(super) fn response() -> Response {
    let mut response = Html(PAGE.html.as_str()).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&PAGE.policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// How a policy names the text of an element (CSP 3, 2.3.1): its digest in base64.
fn source(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut out = String::from("sha256-");
    for chunk in digest.as_ref().chunks(3) {
        let bytes =
            [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        for place in 0..4 {
            match place <= chunk.len() {
                true => out.push(char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63])),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_named_as_browsers_reckon_them() {
        // `printf %s TEXT | openssl dgst -sha256 -binary | base64`
        assert_eq!(source(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(source("abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn the_document_stands_alone() {
        let html = &PAGE.html;
        assert!(!html.contains("{{"), "a part is missing");
        assert_eq!(html.matches("<script").count(), 1);
        assert_eq!(html.matches("<style").count(), 1);
        assert_eq!(html.matches("</script").count(), 1, "a script must not end itself");
        assert_eq!(html.matches("</style").count(), 1);
        for loads in [" src=", "@import", "url(", "<link rel=\"stylesheet", "<iframe", "<base"] {
            assert!(!html.contains(loads), "{loads}");
        }
        // The policy would refuse them, and the page would be half dead.
        for inline in [" style=", " onclick=", " onload=", "javascript:"] {
            assert!(!html.contains(inline), "{inline}");
        }
        assert!(html.len() < 128 * 1_024, "{} bytes", html.len());
    }

    #[test]
    fn the_policy_allows_the_document_alone() {
        let response = response();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; connect-src 'self'; img-src 'self' data:"));
        for part in [source(STYLE), source(SCRIPT)] {
            assert!(policy.contains(&part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn no_script_turns_data_into_markup() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ] {
            assert!(!SCRIPT.contains(way), "{way}");
        }
    }
}
