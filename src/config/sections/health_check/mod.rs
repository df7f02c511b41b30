//! `[health_check.…]`: what all types share, and which keys are whose.

mod dns;
mod http;
mod local;
mod stream;

pub(super) use http::headers;

use crate::config::keys::{Key, health_check as h};
use crate::config::mistakes;
use crate::config::model::HealthCheck;
use crate::config::raw::{Raw, RawCheck};
use crate::config::reader::{Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::health::check::ProbeKind;
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

pub(super) fn health_check(table: &Table<'_>, name: &str, raw: &mut Raw, cx: &mut Context<'_>) {
    if let Err(bad) = values::object_name(name) {
        cx.problems.push(mistakes::bad_table_name(table, &bad));
    }
    let kind = table.get(&h::TYPE, cx).and_then(|item| item.choice(cx));
    let probe = kind.and_then(|kind| probe(table, kind, cx));
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
        address: table.value(&h::ADDRESS, cx, |item, cx| item.parse(cx, values::probe_address)),
        interval_ms,
        timeout_ms,
        confirm_interval_ms,
        fall: table.value_or(&h::FALL, cx, Item::number),
        rise,
        clear: table.value(&h::CLEAR, cx, Item::number).unwrap_or(rise),
    };
    times_fit(table, &check, cx);
    let written = table
        .section
        .keys
        .iter()
        .copied()
        .filter_map(|key| Some((key.name, table.get(key, cx)?.spot)));
    let key_spots = written.collect();
    raw.health_checks.push(RawCheck { check, spot: table.spot, key_spots });
}

fn probe(table: &Table<'_>, kind: &'static str, cx: &mut Context<'_>) -> Option<ProbeKind> {
    match kind {
        "http" | "https" => http::http(table, kind, cx),
        "tcp" => stream::tcp(table, cx),
        "icmp" => stream::icmp(table, cx),
        "grpc" => stream::grpc(table, cx),
        "dns" => dns::dns(table, cx),
        "exec" => local::exec(table, cx),
        "file" => local::file(table, cx),
        _ => {
            refuse_others(table, "always", &[], cx);
            Some(ProbeKind::Always)
        }
    }
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

//------------ Keys of types --------------------------------------------------

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
        cx.problems.push(match (kind, known(&stream::TLS)) {
            ("tcp" | "grpc", true) => problem.help("add: tls = true"),
            ("https", _) if key.name == h::TLS.name => problem.help("https always speaks TLS"),
            ("http", true) => problem.help("write type = \"https\""),
            _ if names.is_empty() => problem.help("a check that is always up sends nothing"),
            _ => problem.help(format!("for this type: {}", names.join(", "))),
        });
    }
}

/// A key that types without it do without, and this one cannot.
fn required(table: &Table<'_>, key: &'static Key, why: &str, cx: &mut Context<'_>) {
    if !table.has(key) {
        cx.problems.push(mistakes::missing_key(table, key).help(why));
    }
}

/// Two keys of which one makes the other void.
fn exclude(
    table: &Table<'_>,
    key: &'static Key,
    other: &'static Key,
    why: &str,
    help: &str,
    cx: &mut Context<'_>,
) {
    if table.has(key) && table.has(other) {
        let title = format!("`{}` and `{}` exclude each other", key.name, other.name);
        let problem = Problem::error("conflicting-keys", title)
            .at_with(table.spot_of(other, cx), why)
            .at_with(table.spot_of(key, cx), key.name)
            .help(help);
        cx.problems.push(problem);
    }
}

fn expected_text(item: &Item<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = item.text(cx)?;
    if text.is_empty() {
        let bad = Bad::new("empty-text", "is empty").help("leave the key out");
        return item.bad(&bad, cx);
    }
    Some(text.to_owned())
}
