//! `[server]`, `[admin]`, `[geo]`, `[health]`, `[safety]`, `[metrics]`, `[log]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::keys::{
    admin as a, geo as g, health as h, log as l, metrics as m, safety as f, server as s,
};
use crate::config::mistakes;
use crate::config::model::{
    Admin, AdminListen, Geo, Health, Log, LogFormat, Metrics, Safety, Server, TlsFiles,
};
use crate::config::reader::{At, Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::dns::Name;
use crate::health::plan::LimiterRules;
use crate::problem::{Problem, Spot};

/// Most UDP and TCP addresses.
const LISTEN_MAX: usize = 256;
/// Most references.
const REFERENCES_MAX: usize = 64;

pub(super) fn server(table: &Table<'_>, cx: &mut Context<'_>) -> Server {
    Server {
        listen: table.value_or(&s::LISTEN, cx, listen),
        identity: table.value(&s::IDENTITY, cx, |item, cx| short_text(item, 64, cx)),
        state_dir: table.value(&s::STATE_DIR, cx, Item::path),
        user: table.value(&s::USER, cx, |item, cx| short_text(item, 64, cx)),
        workers: table.value_or(&s::WORKERS, cx, Item::number),
        ecs: table.value_or(&s::ECS, cx, Item::bool),
        chaos_version: table.value(&s::CHAOS_VERSION, cx, |item, cx| short_text(item, 255, cx)),
        tcp_connections_max: table.value_or(&s::TCP_CONNECTIONS_MAX, cx, Item::number),
        tcp_connections_per_client_max: table.value_or(
            &s::TCP_CONNECTIONS_PER_CLIENT_MAX,
            cx,
            Item::number,
        ),
        tcp_message_timeout_ms: table.value_or(&s::TCP_MESSAGE_TIMEOUT, cx, Item::duration_ms),
        tcp_write_timeout_ms: table.value_or(&s::TCP_WRITE_TIMEOUT, cx, Item::duration_ms),
        tcp_idle_timeout_ms: table.value_or(&s::TCP_IDLE_TIMEOUT, cx, Item::duration_ms),
        report_channel: table.value(&s::REPORT_CHANNEL, cx, report_channel),
    }
}

/// The root would tell resolvers not to report (RFC 9567 5).
fn report_channel(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Name> {
    let name = item.parse(cx, values::plain_name)?;
    if name.is_root() {
        let bad = Bad::new("bad-name", "is the root, where nobody listens to reports");
        return item.bad(&bad.help("leave it out for no reports"), cx);
    }
    Some(name)
}

fn listen(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<SocketAddr>> {
    if item.elements(cx).len() > LISTEN_MAX {
        let bad = Bad::new("out-of-range", "has more than 256 addresses").label("too many");
        return item.bad(&bad, cx);
    }
    let list = item.list(cx, |item, cx| item.parse(cx, values::listen));
    mistakes::twice(item, &list, SocketAddr::to_string, cx.problems);
    let addresses: Vec<SocketAddr> = list.iter().map(|at| at.value).collect();
    if addresses.is_empty() && item.elements(cx).is_empty() {
        let bad = Bad::new("empty-list", "is empty: nobody could ask")
            .help("leave it out for all addresses at port 53");
        return item.bad(&bad, cx);
    }
    Some(addresses)
}

fn short_text(item: &Item<'_>, length_max: usize, cx: &mut Context<'_>) -> Option<String> {
    let text = item.text(cx)?;
    if text.is_empty() || text.len() > length_max {
        let bad = Bad::new("out-of-range", format!("must have 1 to {length_max} bytes"))
            .label(format!("{} bytes", text.len()));
        return item.bad(&bad, cx);
    }
    Some(text.to_owned())
}

pub(super) fn admin(table: &Table<'_>, cx: &mut Context<'_>) -> Admin {
    let listen = table.value(&a::LISTEN, cx, admin_listen).flatten();
    let token_file: Option<PathBuf> = table.value(&a::TOKEN_FILE, cx, Item::existing_file);
    if listen.as_ref().is_some_and(AdminListen::requires_token) && !table.has(&a::TOKEN_FILE) {
        cx.problems.push(
            Problem::error("missing-key", "the admin listener needs a token off loopback")
                .at_with(table.spot_of(&a::LISTEN, cx), "reachable from other hosts")
                .help("add: token_file = \"/etc/windrose/admin.token\"")
                .help("or listen on loopback or a unix socket"),
        );
    }
    let tls = admin_tls(table, cx);
    match &listen {
        Some(AdminListen::Unix(_)) if tls.is_some() => cx.problems.push(
            Problem::error("conflicting-keys", "a unix socket does not speak TLS")
                .at_with(table.spot_of(&a::TLS_CERTIFICATE, cx), "")
                .help("nobody can listen in on it: leave out tls_certificate and tls_key"),
        ),
        Some(listen) if listen.requires_token() && tls.is_none() && token_file.is_some() => {
            cx.problems.push(
                Problem::warning("token-in-clear", "the admin token travels in clear text")
                    .at_with(table.spot_of(&a::LISTEN, cx), "reachable from other hosts")
                    .help("set tls_certificate and tls_key, or have something in front speak TLS"),
            );
        }
        _ => {}
    }
    Admin { listen, token_file, tls }
}

/// Both keys, or neither. What the files hold is looked at where files are read.
fn admin_tls(table: &Table<'_>, cx: &mut Context<'_>) -> Option<TlsFiles> {
    let certificate: Option<PathBuf> = table.value(&a::TLS_CERTIFICATE, cx, Item::existing_file);
    let key: Option<PathBuf> = table.value(&a::TLS_KEY, cx, Item::existing_file);
    let spots = (table.spot_of(&a::TLS_CERTIFICATE, cx), table.spot_of(&a::TLS_KEY, cx));
    let missing = match (table.has(&a::TLS_CERTIFICATE), table.has(&a::TLS_KEY)) {
        (true, false) => Some(("tls_key", "admin.key", spots.0)),
        (false, true) => Some(("tls_certificate", "admin.crt", spots.1)),
        _ => None,
    };
    if let Some((missing, file, spot)) = missing {
        let title = format!("[admin] {missing} is missing: a certificate and its key go together");
        let help = format!("add: {missing} = \"/etc/windrose/{file}\"");
        cx.problems.push(Problem::error("missing-key", title).at_with(spot, "").help(help));
    }
    Some(TlsFiles { certificate: certificate?, key: key?, spots })
}

/// `Some(None)` is "off".
fn admin_listen(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Option<AdminListen>> {
    let text = item.text(cx)?;
    if text == "off" {
        return Some(None);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return item.bad(
                &Bad::new("bad-path", "names no socket")
                    .help("for example: \"unix:/run/windrose/admin.sock\""),
                cx,
            );
        }
        return Some(Some(AdminListen::Unix(cx.resolve(path))));
    }
    item.parse(cx, |text| {
        values::listen(text).map(|address| Some(AdminListen::Tcp(address))).map_err(|bad| Bad {
            help: vec![
                "for example: \"127.0.0.1:8053\", \"unix:/run/windrose/admin.sock\" or \"off\""
                    .to_owned(),
            ],
            ..bad
        })
    })
}

pub(super) fn geo(table: &Table<'_>, cx: &mut Context<'_>) -> Geo {
    let databases = table.value_or(&g::DATABASES, cx, |item, cx| {
        Some(item.list(cx, Item::existing_file).into_iter().map(|at| at.value).collect())
    });
    Geo { databases }
}

/// `[health]`, and where its references stand.
pub(super) fn health(table: &Table<'_>, cx: &mut Context<'_>) -> (Health, Vec<Spot>) {
    let references = table.value_or(&h::REFERENCE, cx, references);
    let spots = references.iter().map(|at| at.spot).collect();
    let health = Health {
        probe_budget: table.value_or(&h::PROBE_BUDGET, cx, Item::number),
        start_hold_ms: table.value_or(&h::START_HOLD, cx, Item::duration_ms),
        concurrency: table.value_or(&h::CONCURRENCY, cx, Item::number),
        concurrency_per_address: table.value_or(&h::CONCURRENCY_PER_ADDRESS, cx, Item::number),
        limiter: LimiterRules {
            window_ms: table.value_or(&h::LIMITER_WINDOW, cx, Item::duration_ms),
            max_down_fraction: table.value_or(&h::MAX_DOWN_FRACTION, cx, Item::float),
            min_targets: table.value_or(&h::LIMITER_MIN_TARGETS, cx, Item::number),
        },
        references: references.into_iter().map(|at| at.value).collect(),
        certificate_warning_s: table.value_or(&h::CERTIFICATE_WARNING, cx, Item::seconds),
    };
    (health, spots)
}

fn references(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<At<SocketAddr>>> {
    let written = item.elements(cx).len();
    if written > REFERENCES_MAX {
        let bad = Bad::new("out-of-range", format!("has {written} addresses"))
            .label(format!("at most {REFERENCES_MAX}"));
        return item.bad(&bad, cx);
    }
    let list = item.list(cx, |item, cx| item.parse(cx, values::reference));
    mistakes::twice(item, &list, SocketAddr::to_string, cx.problems);
    Some(list)
}

pub(super) fn safety(table: &Table<'_>, cx: &mut Context<'_>) -> Safety {
    Safety {
        min_members: table.value_or(&f::MIN_MEMBERS, cx, Item::number),
        min_datacenters: table.value_or(&f::MIN_DATACENTERS, cx, Item::number),
        max_datacenters_changed: table.value_or(&f::MAX_DATACENTERS_CHANGED, cx, Item::number),
        change_window_s: table.value_or(&f::CHANGE_WINDOW, cx, Item::seconds),
    }
}

pub(super) fn metrics(table: &Table<'_>, cx: &mut Context<'_>) -> Metrics {
    Metrics { per_wip: table.value(&m::PER_WIP, cx, Item::bool) }
}

pub(super) fn log(table: &Table<'_>, cx: &mut Context<'_>) -> Log {
    Log {
        level: table.value(&l::LEVEL, cx, |item, cx| short_text(item, 1_024, cx)),
        format: table.value(&l::FORMAT, cx, Item::choice).map(|format| match format {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        }),
    }
}
