//! `[tls]`, `[proxy]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::config::keys::{Key, proxy as p, tls as t};
use crate::config::mistakes;
use crate::config::model::{Proxy, Server, Tls, TlsFiles};
use crate::config::reader::{Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::metrics::Transport;
use crate::problem::{Problem, Problems, Spot};

/// Most addresses of one transport.
const LISTEN_MAX: usize = 256;
/// Longest path of DNS over HTTPS.
const PATH_MAX: usize = 256;
/// Most networks of proxies.
const PROXIES_MAX: usize = 1024;

/// `[tls]`, and where each of its addresses stands.
pub(in crate::config) type Listens = Vec<(Transport, SocketAddr, Spot)>;

pub(super) fn tls(table: &Table<'_>, cx: &mut Context<'_>) -> (Tls, Listens) {
    let files = files(table, cx);
    let mut listens = Listens::new();
    let mut listen = |transport: Transport, key: &'static Key, cx: &mut Context<'_>| {
        let found: Vec<_> = table.value_or(key, cx, addresses);
        listens.extend(found.iter().map(|(address, spot)| (transport, *address, *spot)));
        found.into_iter().map(|(address, _)| address).collect::<Vec<_>>()
    };
    let dot = listen(Transport::Dot, &t::DOT, cx);
    let doh = listen(Transport::Doh, &t::DOH, cx);
    let doq = listen(Transport::Doq, &t::DOQ, cx);
    let doh3 = listen(Transport::Doh3, &t::DOH3, cx);
    let doh_path = table.value_or(&t::DOH_PATH, cx, path);
    let written = table.has(&t::CERTIFICATE) || table.has(&t::KEY);
    match listens.first() {
        Some((.., spot)) if !written => cx.problems.push(
            Problem::error("missing-key", "[tls] has an address and no certificate")
                .at_with(*spot, "to be served encrypted")
                .help("add: certificate = \"/etc/windrose/dns.crt\"")
                .help("add: key = \"/etc/windrose/dns.key\""),
        ),
        None if written => cx.problems.push(
            Problem::warning("unused", "[tls] has a certificate, and no transport uses it")
                .at_with(table.spot_of(&t::CERTIFICATE, cx), "")
                .help("for DNS over TLS add: dot = [\"0.0.0.0:853\", \"[::]:853\"]"),
        ),
        _ => {}
    }
    (Tls { files, dot, doh, doq, doh3, doh_path }, listens)
}

/// An absolute path that is written in a request as it is here.
fn path(item: &Item<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = item.text(cx)?;
    // RFC 3986 3.3: what stands for itself in a path. Percent signs have two spellings.
    let stands = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
    if text.starts_with('/') && text.len() <= PATH_MAX && text.bytes().all(stands) {
        return Some(text.to_owned());
    }
    let bad = Bad::new("bad-path", "is no path of DNS over HTTPS")
        .help("for example: \"/dns-query\": it begins with a slash, and has letters, digits and -._~ alone")
        .help("the `{?dns}` of a URI template is not part of it");
    item.bad(&bad, cx)
}

/// Both keys, or neither. What the files hold is looked at where files are read.
fn files(table: &Table<'_>, cx: &mut Context<'_>) -> Option<TlsFiles> {
    let certificate: Option<PathBuf> = table.value(&t::CERTIFICATE, cx, Item::existing_file);
    let key: Option<PathBuf> = table.value(&t::KEY, cx, Item::existing_file);
    let spots = (table.spot_of(&t::CERTIFICATE, cx), table.spot_of(&t::KEY, cx));
    let missing = match (table.has(&t::CERTIFICATE), table.has(&t::KEY)) {
        (true, false) => Some(("key", "dns.key", spots.0)),
        (false, true) => Some(("certificate", "dns.crt", spots.1)),
        _ => None,
    };
    if let Some((missing, file, spot)) = missing {
        let title = format!("[tls] {missing} is missing: a certificate and its key go together");
        let help = format!("add: {missing} = \"/etc/windrose/{file}\"");
        cx.problems.push(Problem::error("missing-key", title).at_with(spot, "").help(help));
    }
    Some(TlsFiles { certificate: certificate?, key: key?, spots })
}

fn addresses(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<(SocketAddr, Spot)>> {
    if item.elements(cx).len() > LISTEN_MAX {
        let bad = Bad::new("out-of-range", "has more than 256 addresses").label("too many");
        return item.bad(&bad, cx);
    }
    let list = item.list(cx, |item, cx| {
        item.parse(cx, |text| {
            values::listen(text).map_err(|bad| Bad {
                help: vec!["for example: \"0.0.0.0:853\" or \"[2001:db8::1]:853\"".to_owned()],
                ..bad
            })
        })
    });
    mistakes::twice(item, &list, SocketAddr::to_string, cx.problems);
    Some(list.iter().map(|at| (at.value, at.spot)).collect())
}

/// Two listeners of one protocol cannot share an address.
pub(in crate::config) fn check_listens(
    server: &Server,
    listens: &Listens,
    problems: &mut Problems,
) {
    for (index, (transport, address, spot)) in listens.iter().enumerate() {
        let (protocol, key) = match transport.is_datagram() {
            true => ("UDP", transport.label()),
            false => ("TCP", transport.label()),
        };
        let problem = |other: &str| {
            let title =
                format!("{address} is to serve {transport} and {other}, both over {protocol}");
            Problem::error("address-taken", title)
                .at_with(*spot, "")
                .help(format!("give [tls] {key} a port of its own"))
        };
        if address.port() != 0 && server.listen.contains(address) {
            problems.push(problem("plain DNS ([server] listen)"));
        }
        let earlier = listens[..index].iter().find(|(other, at, _)| {
            address.port() != 0
                && at == address
                && other != transport
                && other.is_datagram() == transport.is_datagram()
        });
        if let Some((other, _, first)) = earlier {
            problems.push(problem(&other.to_string()).at_with(*first, "here first"));
        }
    }
}

pub(super) fn proxy(table: &Table<'_>, cx: &mut Context<'_>) -> Proxy {
    Proxy { from: table.value_or(&p::FROM, cx, networks) }
}

fn networks(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<IpNet>> {
    if item.elements(cx).len() > PROXIES_MAX {
        let bad = Bad::new("out-of-range", "has more than 1,024 networks").label("too many");
        return item.bad(&bad, cx);
    }
    let list = item.list(cx, |item, cx| item.parse(cx, values::network));
    mistakes::twice(item, &list, IpNet::to_string, cx.problems);
    for at in list.iter().filter(|at| at.value.prefix_len() == 0) {
        let title = "[proxy] from is the whole internet: anybody can say to be any client";
        cx.problems.push(
            Problem::error("bad-network", title)
                .at_with(at.spot, "")
                .help("list the addresses of the proxies in front of this server"),
        );
    }
    Some(list.into_iter().map(|at| at.value).collect())
}
