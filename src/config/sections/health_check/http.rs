//! Types `http` and `https`.

use super::{exclude, expected_text, refuse_others, stream};
use crate::config::keys::{Key, health_check as h};
use crate::config::reader::{Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::health::check::{HttpProbe, HttpVersion, ProbeKind, TextMatch, body_regex};
use crate::problem::Problem;

/// Most redirects that are followed: browsers follow 20, a check needs one or two.
const REDIRECTS_MAX: u8 = 5;

/// Longest body that a pattern is searched for in: a search takes a processor.
const REGEX_BODY_MAX: u32 = 1024 * 1024;

const HTTP: [&Key; 13] = [
    &h::PORT,
    &h::HOST,
    &h::HTTP_VERSION,
    &h::METHOD,
    &h::PATH,
    &h::HEADERS,
    &h::EXPECT_STATUS,
    &h::EXPECT_BODY,
    &h::EXPECT_BODY_REGEX,
    &h::MAX_BODY,
    &h::FOLLOW_REDIRECTS,
    &h::SOURCE,
    &h::PROXY_PROTOCOL,
];

/// Headers that HTTP/2 has no place for (RFC 9113 8.2.2).
const NOT_OF_HTTP2: [&str; 4] = ["keep-alive", "proxy-connection", "te", "upgrade"];

pub(super) fn http(
    table: &Table<'_>,
    kind: &'static str,
    cx: &mut Context<'_>,
) -> Option<ProbeKind> {
    let secure = kind == "https";
    let allowed: Vec<&Key> =
        if secure { [&HTTP[..], &stream::TLS[..]].concat() } else { HTTP.to_vec() };
    refuse_others(table, kind, &allowed, cx);
    let method = table.value(&h::METHOD, cx, Item::choice).unwrap_or("GET");
    let max_body = table.value_or(&h::MAX_BODY, cx, Item::number);
    Some(ProbeKind::Http(HttpProbe {
        tls: secure.then(|| stream::tls(table, cx)),
        port: table.value(&h::PORT, cx, Item::number).unwrap_or(if secure { 443 } else { 80 }),
        route: stream::route(table, cx),
        version: version(table, secure, cx),
        host: table.value(&h::HOST, cx, |item, cx| item.parse(cx, values::host)),
        method: method.to_owned(),
        path: table.value_or(&h::PATH, cx, |item, cx| item.parse(cx, values::request_path)),
        headers: table.value_or(&h::HEADERS, cx, headers),
        expect_status: table.value_or(&h::EXPECT_STATUS, cx, status_ranges),
        expect_body: expected_body(table, method, max_body, cx),
        max_body,
        redirects_max: redirects_max(table, method, cx),
    }))
}

fn version(table: &Table<'_>, secure: bool, cx: &mut Context<'_>) -> HttpVersion {
    let version = match table.value(&h::HTTP_VERSION, cx, Item::choice) {
        Some("2") => HttpVersion::Http2,
        Some("any") => HttpVersion::Any,
        _ => HttpVersion::Http1,
    };
    if version == HttpVersion::Any && !secure {
        let title = "`http_version = \"any\"` needs TLS, in which versions are agreed on";
        cx.problems.push(
            Problem::error("conflicting-keys", title)
                .at_with(table.spot_of(&h::HTTP_VERSION, cx), "nothing is agreed on without TLS")
                .at_with(table.spot_of(&h::TYPE, cx), "no TLS")
                .help("write type = \"https\", or http_version = \"1.1\" or \"2\""),
        );
    }
    if version != HttpVersion::Http1
        && let Some(item) = table.get(&h::HEADERS, cx)
        && item.is_table()
    {
        for (name, value) in item.map(cx) {
            if NOT_OF_HTTP2.contains(&name.value.to_ascii_lowercase().as_str()) {
                let reason = format!("cannot have `{}`, which HTTP/2 does not carry", name.value);
                let bad = Bad::new("bad-header", reason)
                    .help("leave it out, or write http_version = \"1.1\"");
                Item { spot: name.spot, ..value }.bad::<()>(&bad, cx);
            }
        }
    }
    version
}

/// What the body must hold: a text or a pattern.
fn expected_body(
    table: &Table<'_>,
    method: &str,
    max_body: u32,
    cx: &mut Context<'_>,
) -> Option<TextMatch> {
    exclude(
        table,
        &h::EXPECT_BODY,
        &h::EXPECT_BODY_REGEX,
        "a body must hold one or the other",
        "write the text into the pattern, with a backslash before characters such as `.` and `(`",
        cx,
    );
    let text = table.value(&h::EXPECT_BODY, cx, expected_text);
    let pattern = table.value(&h::EXPECT_BODY_REGEX, cx, |item, cx| item.parse(cx, values::regex));
    let key = if pattern.is_some() { &h::EXPECT_BODY_REGEX } else { &h::EXPECT_BODY };
    let spot = table.spot_of(key, cx);
    if method == "HEAD" && (text.is_some() || pattern.is_some()) {
        cx.problems.push(
            Problem::warning("body-without-body", "a reply to HEAD has no body to look at")
                .at_with(spot, "never found")
                .at_with(table.spot_of(&h::METHOD, cx), "no body comes")
                .help(format!("write method = \"GET\", or leave `{}` out", key.name)),
        );
    }
    if let Some(text) = &text
        && text.len() > max_body as usize
    {
        let title = format!("`expect_body` is longer than the {max_body} bytes that are read");
        cx.problems.push(
            Problem::error("out-of-range", title)
                .at_with(spot, "never found")
                .at_with(table.spot_of(&h::MAX_BODY, cx), "the bytes read"),
        );
    }
    if pattern.is_some() && max_body > REGEX_BODY_MAX {
        let title = format!("no pattern is searched for in more than {REGEX_BODY_MAX} bytes");
        cx.problems.push(
            Problem::error("out-of-range", title)
                .at_with(table.spot_of(&h::MAX_BODY, cx), "the bytes read")
                .at_with(spot, "the pattern")
                .help(format!("write max_body = {REGEX_BODY_MAX} or less, or expect_body")),
        );
    }
    if let Some(Ok(regex)) = pattern.as_deref().map(body_regex)
        && [&b""[..], b"\xff"].iter().all(|body| regex.is_match(body))
    {
        cx.problems.push(
            Problem::warning("matches-anything", "the pattern has a match in every body")
                .at_with(spot, "matches the empty text")
                .help("a pattern need not match the whole body; leave out what may be missing"),
        );
    }
    pattern.map(TextMatch::Regex).or(text.map(TextMatch::Text))
}

fn redirects_max(table: &Table<'_>, method: &str, cx: &mut Context<'_>) -> u8 {
    if !table.value_or(&h::FOLLOW_REDIRECTS, cx, Item::bool) {
        return 0;
    }
    if method == "POST" {
        let title = "`follow_redirects` and `method = \"POST\"` exclude each other";
        cx.problems.push(
            Problem::error("conflicting-keys", title)
                .at_with(table.spot_of(&h::FOLLOW_REDIRECTS, cx), "a POST is not sent twice")
                .at_with(table.spot_of(&h::METHOD, cx), "the method")
                .help("write method = \"GET\", or let the redirect pass: expect_status = 302"),
        );
    }
    REDIRECTS_MAX
}

//------------ Values ---------------------------------------------------------

fn status_ranges(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<(u16, u16)>> {
    if item.value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        return item.bad(&Bad::new("empty-list", "is empty").label("nothing would pass"), cx);
    }
    let list = item.list(cx, |item, cx| {
        if item.is_integer() {
            let code: u16 = item.number(cx)?;
            return Some((code, code));
        }
        if !item.value.get_ref().is_str() {
            return item.wrong_type(cx);
        }
        item.parse(cx, values::status_range)
    });
    Some(list.into_iter().map(|at| at.value).collect())
}

pub(in crate::config::sections) fn headers(
    item: &Item<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for (name, value) in item.map(cx) {
        match values::header_name(name.value) {
            Ok(header) => {
                if let Some(text) = value.parse(cx, values::header_value) {
                    headers.push((header, text));
                }
            }
            Err(bad) => {
                Item { spot: name.spot, ..value }.bad::<()>(&bad, cx);
            }
        }
    }
    Some(headers)
}
