//! `[health_check.…]`.

use crate::config::keys::{Key, health_check as h};
use crate::config::mistakes;
use crate::config::model::HealthCheck;
use crate::config::raw::Raw;
use crate::config::reader::{At, Context, Item, Table};
use crate::config::values;
use crate::health::check::{HttpProbe, ProbeKind, TcpProbe, TextMatch, TlsProbe};
use crate::health::plan::ProbeAddress;
use crate::problem::Problem;

/// Time between probes while a contrary result is pending, in milliseconds.
const CONFIRM_INTERVAL_DEFAULT_MS: u32 = 1_000;

/// Keys of every type.
const COMMON: [&Key; 8] = [
    &h::TYPE,
    &h::INTERVAL,
    &h::TIMEOUT,
    &h::CONFIRM_INTERVAL,
    &h::FALL,
    &h::RISE,
    &h::CLEAR,
    &h::ADDRESS,
];
const HTTP: [&Key; 8] = [
    &h::PORT,
    &h::HOST,
    &h::METHOD,
    &h::PATH,
    &h::HEADERS,
    &h::EXPECT_STATUS,
    &h::EXPECT_BODY,
    &h::MAX_BODY,
];
const TLS: [&Key; 3] = [&h::SNI, &h::VERIFY, &h::CA_FILE];
const TCP: [&Key; 4] = [&h::PORT, &h::TLS, &h::SEND, &h::EXPECT];

/// Types that other servers have and this version has not.
const NOT_IN_THIS_VERSION: [&str; 5] = ["icmp", "dns", "grpc", "exec", "file"];

pub(super) fn health_check(table: &Table<'_>, name: &str, raw: &mut Raw, cx: &mut Context<'_>) {
    if let Err(bad) = values::object_name(name) {
        cx.problems.push(mistakes::bad_table_name(table, &bad));
    }
    let kind = table.get(&h::TYPE, cx).and_then(|item| check_type(&item, cx));
    let probe = match kind {
        Some("http") => http(table, "http", cx),
        Some("https") => http(table, "https", cx),
        Some("tcp") => tcp(table, cx),
        Some(_) => {
            refuse_others(table, "always", &[], cx);
            Some(ProbeKind::Always)
        }
        None => None,
    };
    let interval_ms = table.value_or(&h::INTERVAL, cx, Item::duration_ms);
    let timeout_ms = table.value_or(&h::TIMEOUT, cx, Item::duration_ms);
    let confirm_interval_ms = table
        .value(&h::CONFIRM_INTERVAL, cx, Item::duration_ms)
        .unwrap_or(CONFIRM_INTERVAL_DEFAULT_MS.min(interval_ms));
    let rise = table.value_or(&h::RISE, cx, Item::number);
    let check = HealthCheck {
        name: name.to_owned(),
        // A check that was refused still has its name, so that references to it hold.
        probe: probe.unwrap_or(ProbeKind::Always),
        address: table
            .value(&h::ADDRESS, cx, |item, cx| item.parse(cx, values::address))
            .map(ProbeAddress::from),
        interval_ms,
        timeout_ms,
        confirm_interval_ms,
        fall: table.value_or(&h::FALL, cx, Item::number),
        rise,
        clear: table.value(&h::CLEAR, cx, Item::number).unwrap_or(rise),
    };
    times_fit(table, &check, cx);
    raw.health_checks.push(At { value: check, spot: table.spot });
}

fn check_type(item: &Item<'_>, cx: &mut Context<'_>) -> Option<&'static str> {
    let text = item.text(cx)?;
    if NOT_IN_THIS_VERSION.contains(&text) {
        let title = format!("{} cannot be \"{text}\"", mistakes::path(item));
        cx.problems.push(
            Problem::error("unknown-value", title)
                .at_with(item.spot, "not in this version")
                .help("this version has: \"http\", \"https\", \"tcp\" and \"always\""),
        );
        return None;
    }
    item.choice(cx)
}

/// The deadline ends before the next probe, and confirming is not slower.
fn times_fit(table: &Table<'_>, check: &HealthCheck, cx: &mut Context<'_>) {
    let text = |ms: u32| values::duration_text(u64::from(ms));
    let mut refuse = |key: &'static Key, ms: u32, rule: &str| {
        let path = mistakes::key_path(table.section, table.name, key.name);
        let title = format!(
            "{path} ({}) must be {rule} `interval` ({})",
            text(ms),
            text(check.interval_ms)
        );
        let mut problem = Problem::error("out-of-range", title).at_with(
            table.spot_of(key, cx),
            if table.has(key) {
                "too long".to_owned()
            } else {
                format!("`{}` is {} by default", key.name, text(ms))
            },
        );
        if table.has(&h::INTERVAL) {
            problem = problem.at_with(table.spot_of(&h::INTERVAL, cx), "the interval");
        }
        cx.problems.push(problem);
    };
    if check.timeout_ms >= check.interval_ms {
        refuse(&h::TIMEOUT, check.timeout_ms, "less than");
    }
    if check.confirm_interval_ms > check.interval_ms {
        refuse(&h::CONFIRM_INTERVAL, check.confirm_interval_ms, "at most");
    }
}

//------------ Types ----------------------------------------------------------

fn http(table: &Table<'_>, kind: &'static str, cx: &mut Context<'_>) -> Option<ProbeKind> {
    let secure = kind == "https";
    let allowed: Vec<&Key> = if secure { [&HTTP[..], &TLS[..]].concat() } else { HTTP.to_vec() };
    refuse_others(table, kind, &allowed, cx);
    let method = table.value(&h::METHOD, cx, Item::choice).unwrap_or("GET");
    let expect_body = table.value(&h::EXPECT_BODY, cx, |item, cx| expected_text(item, cx));
    if method == "HEAD" && expect_body.is_some() {
        cx.problems.push(
            Problem::warning("body-without-body", "a reply to HEAD has no body to look at")
                .at_with(table.spot_of(&h::EXPECT_BODY, cx), "never found")
                .at_with(table.spot_of(&h::METHOD, cx), "no body comes")
                .help("write method = \"GET\", or leave `expect_body` out"),
        );
    }
    Some(ProbeKind::Http(HttpProbe {
        tls: secure.then(|| tls(table, cx)),
        port: table.value(&h::PORT, cx, Item::number).unwrap_or(if secure { 443 } else { 80 }),
        host: table.value(&h::HOST, cx, |item, cx| item.parse(cx, values::host)),
        method: method.to_owned(),
        path: table.value_or(&h::PATH, cx, |item, cx| item.parse(cx, values::request_path)),
        headers: table.value_or(&h::HEADERS, cx, headers),
        expect_status: table.value_or(&h::EXPECT_STATUS, cx, status_ranges),
        expect_body: expect_body.map(TextMatch::Text),
        max_body: table.value_or(&h::MAX_BODY, cx, Item::number),
        ..HttpProbe::default()
    }))
}

fn tcp(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ProbeKind> {
    let secure = table.value_or(&h::TLS, cx, Item::bool);
    let allowed: Vec<&Key> = if secure { [&TCP[..], &TLS[..]].concat() } else { TCP.to_vec() };
    refuse_others(table, "tcp", &allowed, cx);
    if !table.has(&h::PORT) {
        cx.problems.push(
            mistakes::missing_key(table, &h::PORT).help("a tcp check has no port of its own"),
        );
    }
    Some(ProbeKind::Tcp(TcpProbe {
        port: table.value(&h::PORT, cx, Item::number)?,
        tls: secure.then(|| tls(table, cx)),
        send: table.value(&h::SEND, cx, expected_text),
        expect: table.value(&h::EXPECT, cx, expected_text),
        ..TcpProbe::default()
    }))
}

fn tls(table: &Table<'_>, cx: &mut Context<'_>) -> TlsProbe {
    TlsProbe {
        sni: table.value(&h::SNI, cx, |item, cx| item.parse(cx, values::host)),
        verify: table.value_or(&h::VERIFY, cx, Item::bool),
        ca_file: table.value(&h::CA_FILE, cx, Item::existing_file),
        ..TlsProbe::default()
    }
}

/// Keys that this type has no use for.
fn refuse_others(table: &Table<'_>, kind: &str, allowed: &[&Key], cx: &mut Context<'_>) {
    for key in table.section.keys.iter().copied().filter(|key| table.has(key)) {
        let known = |list: &[&Key]| list.iter().any(|one| one.name == key.name);
        if known(&COMMON) || known(allowed) {
            continue;
        }
        let path = mistakes::key_path(table.section, table.name, key.name);
        let names: Vec<&str> = allowed.iter().map(|key| key.name).collect();
        let problem = Problem::error("key-not-for-type", format!("{path} has no meaning here"))
            .at_with(table.spot_of(key, cx), format!("not for type = \"{kind}\""));
        cx.problems.push(match (kind, TLS.iter().any(|one| one.name == key.name)) {
            ("tcp", true) => problem.help("add: tls = true"),
            ("http", true) => problem.help("write type = \"https\""),
            _ if names.is_empty() => problem.help("a check that is always up sends nothing"),
            _ => problem.help(format!("for this type: {}", names.join(", "))),
        });
    }
}

//------------ Values ---------------------------------------------------------

fn expected_text(item: &Item<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = item.text(cx)?;
    if text.is_empty() {
        let bad = values::Bad::new("empty-text", "is empty").help("leave the key out");
        return item.bad(&bad, cx);
    }
    Some(text.to_owned())
}

fn status_ranges(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<(u16, u16)>> {
    if item.value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        return item
            .bad(&values::Bad::new("empty-list", "is empty").label("nothing would pass"), cx);
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

fn headers(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<(String, String)>> {
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
