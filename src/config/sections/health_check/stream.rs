//! Types `tcp`, `grpc` and `icmp`; the route and TLS of every type that has them.

use std::net::IpAddr;

use super::{expected_text, refuse_others, required};
use crate::config::keys::{Key, health_check as h};
use crate::config::mistakes;
use crate::config::reader::{Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::health::check::{
    ClientCertificate, GrpcProbe, IcmpProbe, ProbeKind, ProxyHeader, Route, TcpProbe, TlsProbe,
    TlsVersion,
};
use crate::problem::Problem;

/// Longest name of a gRPC service, in bytes.
const SERVICE_LENGTH_MAX: usize = 1_024;

pub(super) const TLS: [&Key; 6] =
    [&h::SNI, &h::VERIFY, &h::CA_FILE, &h::CLIENT_CERTIFICATE, &h::CLIENT_KEY, &h::TLS_MIN_VERSION];
const TCP: [&Key; 6] = [&h::PORT, &h::TLS, &h::SEND, &h::EXPECT, &h::SOURCE, &h::PROXY_PROTOCOL];
const GRPC: [&Key; 6] = [&h::PORT, &h::SERVICE, &h::HOST, &h::TLS, &h::SOURCE, &h::PROXY_PROTOCOL];

//------------ Types ----------------------------------------------------------

pub(super) fn tcp(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ProbeKind> {
    let tls = tls_if_asked(table, "tcp", &TCP, cx);
    required(table, &h::PORT, "a tcp check has no port of its own", cx);
    Some(ProbeKind::Tcp(TcpProbe {
        port: table.value(&h::PORT, cx, Item::number)?,
        route: route(table, cx),
        tls,
        send: table.value(&h::SEND, cx, expected_text),
        expect: table.value(&h::EXPECT, cx, expected_text),
    }))
}

pub(super) fn grpc(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ProbeKind> {
    let tls = tls_if_asked(table, "grpc", &GRPC, cx);
    required(table, &h::PORT, "a grpc check has no port of its own", cx);
    Some(ProbeKind::Grpc(GrpcProbe {
        port: table.value(&h::PORT, cx, Item::number)?,
        route: route(table, cx),
        tls,
        host: table.value(&h::HOST, cx, |item, cx| item.parse(cx, values::host)),
        service: table.value_or(&h::SERVICE, cx, service),
    }))
}

pub(super) fn icmp(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ProbeKind> {
    refuse_others(table, "icmp", &[&h::SOURCE], cx);
    Some(ProbeKind::Icmp(IcmpProbe { route: route(table, cx) }))
}

fn service(item: &Item<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = item.text(cx)?;
    if text.len() > SERVICE_LENGTH_MAX || text.contains(|c: char| c.is_control()) {
        let bad = Bad::new("bad-name", "is not the name of a service")
            .help("for example: \"shop.v1.Cart\"; \"\" is the server as a whole");
        return item.bad(&bad, cx);
    }
    Some(text.to_owned())
}

/// Refuses what is not for the type, TLS keys too unless `tls = true`.
fn tls_if_asked(
    table: &Table<'_>,
    kind: &str,
    keys: &[&'static Key],
    cx: &mut Context<'_>,
) -> Option<TlsProbe> {
    let secure = table.value_or(&h::TLS, cx, Item::bool);
    let allowed: Vec<&Key> = if secure { [keys, &TLS[..]].concat() } else { keys.to_vec() };
    refuse_others(table, kind, &allowed, cx);
    secure.then(|| tls(table, cx))
}

//------------ TLS ------------------------------------------------------------

pub(super) fn tls(table: &Table<'_>, cx: &mut Context<'_>) -> TlsProbe {
    TlsProbe {
        sni: table.value(&h::SNI, cx, |item, cx| item.parse(cx, values::host)),
        verify: table.value_or(&h::VERIFY, cx, Item::bool),
        ca_file: table.value(&h::CA_FILE, cx, Item::path),
        client: client(table, cx),
        min_version: match table.value(&h::TLS_MIN_VERSION, cx, Item::choice) {
            Some("1.3") => TlsVersion::V13,
            _ => TlsVersion::V12,
        },
    }
}

/// A certificate and its key: both or none.
fn client(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ClientCertificate> {
    let both = [(&h::CLIENT_CERTIFICATE, &h::CLIENT_KEY), (&h::CLIENT_KEY, &h::CLIENT_CERTIFICATE)];
    for (key, other) in both {
        if table.has(key) && !table.has(other) {
            let path = mistakes::key_path(table.section, table.name, other.name);
            cx.problems.push(
                Problem::error("missing-key", format!("{path} is missing"))
                    .at_with(table.spot_of(key, cx), format!("goes with `{}`", other.name))
                    .help(format!("add: {} = {}", other.name, other.kind.example())),
            );
        }
    }
    let certificate = table.value(&h::CLIENT_CERTIFICATE, cx, Item::path);
    let key = table.value(&h::CLIENT_KEY, cx, Item::path);
    Some(ClientCertificate { certificate: certificate?, key: key? })
}

//------------ Route ----------------------------------------------------------

/// Where packets come from and what is sent first. Keys that the type has not
/// are refused elsewhere.
pub(super) fn route(table: &Table<'_>, cx: &mut Context<'_>) -> Route {
    let mut route = Route {
        proxy_header: table.value(&h::PROXY_PROTOCOL, cx, Item::choice).map(
            |version| match version {
                "v1" => ProxyHeader::V1,
                _ => ProxyHeader::V2,
            },
        ),
        ..Route::default()
    };
    let Some(item) = table.get(&h::SOURCE, cx) else { return route };
    let sources = item.list(cx, |item, cx| item.parse(cx, values::source));
    for (index, source) in sources.iter().enumerate() {
        let family = source.value.is_ipv4();
        if let Some(first) = sources[..index].iter().find(|at| at.value.is_ipv4() == family) {
            let family = if source.value.is_ipv4() { "IPv4" } else { "IPv6" };
            let title = format!("{} has two {family} addresses", mistakes::path(&item));
            cx.problems.push(
                Problem::error("duplicate-value", title)
                    .at_with(source.spot, "one per family")
                    .at_with(first.spot, "first here"),
            );
            continue;
        }
        match source.value {
            IpAddr::V4(v4) => route.source_ipv4 = Some(v4),
            IpAddr::V6(v6) => route.source_ipv6 = Some(v6),
        }
    }
    route
}
