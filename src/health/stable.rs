//! Names of targets and verdicts that stay the same over restarts and releases.
//!
//! A name is XXH3-128 of a text that spells out every option that is not at its
//! default, one to a line: `path=8:/healthz`. An option that a later release adds
//! is left out where it is not used, so it changes no name that there is. Whoever
//! changes what is spelt here throws away the history of every server: the tests
//! pin some names.
//!
//! The derived `Hash` will not do: what it feeds to a hasher is the compiler's
//! business.

use xxhash_rust::xxh3::xxh3_128;

use super::check::{
    DnsProbe, ExecProbe, FileProbe, GrpcProbe, HttpProbe, HttpVersion, IcmpProbe, ProbeKind,
    ProxyHeader, Require, Route, TcpProbe, TextMatch, TlsProbe, TlsVersion,
};
use super::plan::{Failback, Identity, ProbeAddress, TargetId, Verdict};

/// Names a target over restarts.
pub type StableKey = u128;

/// The name of what is probed.
pub fn target_key(identity: &Identity) -> StableKey {
    xxh3_128(&target_text(identity).0)
}

/// The name of a verdict: what it judges together, and under which gate, whatever the
/// order. `keys` are those of the plan's targets, `gate` is the verdict that gates it.
pub fn verdict_key(verdict: &Verdict, gate: Option<&Verdict>, keys: &[StableKey]) -> StableKey {
    let mut text = Text::default();
    for (whose, verdict) in [("own", Some(verdict)), ("gate", gate)] {
        let Some(verdict) = verdict else { continue };
        text.text(whose, require_word(verdict.require).as_bytes());
        let key = |target: &TargetId| keys.get(*target as usize).copied().unwrap_or_default();
        let mut targets: Vec<StableKey> = verdict.targets.iter().map(key).collect();
        // The plan's order is another as soon as a WIP is added.
        targets.sort_unstable();
        for key in targets {
            text.text("target", &key.to_le_bytes());
        }
    }
    xxh3_128(&text.0)
}

/// The name of how a verdict comes back: `judged`, its [`verdict_key`], and in which way.
/// WIPs whose verdicts judge the same are held each by itself if they do not come
/// back the same.
pub fn return_key(judged: StableKey, verdict: &Verdict) -> StableKey {
    let mut text = Text::default();
    text.text("verdict", &judged.to_le_bytes());
    match verdict.failback {
        Failback::Auto => {}
        Failback::Manual => text.text("failback", b"manual"),
        Failback::AfterMs(ms) => text.number("after_ms", u64::from(ms)),
    }
    if verdict.ramp_ms > 0 {
        text.number("ramp_ms", u64::from(verdict.ramp_ms));
    }
    xxh3_128(&text.0)
}

fn require_word(require: Require) -> String {
    match require {
        Require::All => "all".to_owned(),
        Require::Any => "any".to_owned(),
        Require::AtLeast(number) => number.to_string(),
    }
}

//------------ Text -----------------------------------------------------------

/// Lines of `name=length:value`: no value can pass for another line.
#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn text(&mut self, name: &str, value: &[u8]) {
        self.0.extend(name.as_bytes());
        self.0.push(b'=');
        self.0.extend(value.len().to_string().as_bytes());
        self.0.push(b':');
        self.0.extend(value);
        self.0.push(b'\n');
    }

    fn option(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value.as_bytes());
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        self.text(name, value.to_string().as_bytes());
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.text(name, b"");
        }
    }
}

// Every structure is taken apart to its last field below: an option that is
// added and not spelt does not compile.

fn target_text(identity: &Identity) -> Text {
    let Identity { probe, address } = identity;
    let mut text = Text(Vec::with_capacity(256));
    match address {
        ProbeAddress::Ip(address) => text.text("ip", address.to_string().as_bytes()),
        ProbeAddress::Host(host) => text.text("name", host.as_bytes()),
    }
    match probe {
        ProbeKind::Http(probe) => http(&mut text, probe),
        ProbeKind::Tcp(probe) => tcp(&mut text, probe),
        ProbeKind::Icmp(IcmpProbe { route: way }) => {
            text.flag("icmp", true);
            route(&mut text, way);
        }
        ProbeKind::Dns(probe) => dns(&mut text, probe),
        ProbeKind::Grpc(probe) => grpc(&mut text, probe),
        ProbeKind::Exec(ExecProbe { command, host }) => {
            text.flag("exec", true);
            for argument in command {
                text.text("argument", argument.as_bytes());
            }
            text.option("host", host.as_deref());
        }
        ProbeKind::File(FileProbe { path, max_age_ms }) => {
            text.text("file", path.as_os_str().as_encoded_bytes());
            if let Some(max_age_ms) = max_age_ms {
                text.number("max_age_ms", u64::from(*max_age_ms));
            }
        }
        ProbeKind::Always => text.flag("always", true),
    }
    text
}

fn http(text: &mut Text, probe: &HttpProbe) {
    let HttpProbe {
        tls: with_tls,
        port,
        route: way,
        version,
        host,
        method,
        path,
        headers,
        expect_status,
        expect_body,
        max_body,
        redirects_max,
    } = probe;
    text.flag("http", true);
    tls(text, with_tls.as_ref());
    text.number("port", u64::from(*port));
    route(text, way);
    match version {
        HttpVersion::Http1 => {}
        HttpVersion::Http2 => text.text("version", b"2"),
        HttpVersion::Any => text.text("version", b"any"),
    }
    text.option("host", host.as_deref());
    text.text("method", method.as_bytes());
    text.text("path", path.as_bytes());
    for (name, value) in headers {
        text.text("header", name.as_bytes());
        text.text("value", value.as_bytes());
    }
    for (first, last) in expect_status {
        text.number("status", u64::from(*first));
        text.number("to", u64::from(*last));
    }
    match expect_body {
        None => {}
        Some(TextMatch::Text(wanted)) => text.text("body", wanted.as_bytes()),
        Some(TextMatch::Regex(wanted)) => text.text("body_regex", wanted.as_bytes()),
    }
    text.number("max_body", u64::from(*max_body));
    if *redirects_max > 0 {
        text.number("redirects_max", u64::from(*redirects_max));
    }
}

fn tcp(text: &mut Text, probe: &TcpProbe) {
    let TcpProbe { port, route: way, tls: with_tls, send, expect } = probe;
    text.flag("tcp", true);
    text.number("port", u64::from(*port));
    route(text, way);
    tls(text, with_tls.as_ref());
    text.option("send", send.as_deref());
    text.option("expect", expect.as_deref());
}

fn dns(text: &mut Text, probe: &DnsProbe) {
    let DnsProbe {
        port,
        route: way,
        tcp,
        name,
        rtype,
        expect_rcode,
        expect_answers,
        expect_authoritative,
    } = probe;
    text.flag("dns", true);
    text.number("port", u64::from(*port));
    route(text, way);
    text.flag("over_tcp", *tcp);
    text.text("query", name.as_bytes());
    text.number("rtype", u64::from(*rtype));
    text.number("rcode", u64::from(*expect_rcode));
    for answer in expect_answers {
        text.text("answer", answer.as_bytes());
    }
    text.flag("authoritative", *expect_authoritative);
}

fn grpc(text: &mut Text, probe: &GrpcProbe) {
    let GrpcProbe { port, route: way, tls: with_tls, host, service } = probe;
    text.flag("grpc", true);
    text.number("port", u64::from(*port));
    route(text, way);
    tls(text, with_tls.as_ref());
    text.option("host", host.as_deref());
    text.text("service", service.as_bytes());
}

fn route(text: &mut Text, route: &Route) {
    let Route { source_ipv4, source_ipv6, proxy_header } = route;
    if let Some(source) = source_ipv4 {
        text.text("source_ipv4", source.to_string().as_bytes());
    }
    if let Some(source) = source_ipv6 {
        text.text("source_ipv6", source.to_string().as_bytes());
    }
    match proxy_header {
        None => {}
        Some(ProxyHeader::V1) => text.text("proxy", b"v1"),
        Some(ProxyHeader::V2) => text.text("proxy", b"v2"),
    }
}

fn tls(text: &mut Text, tls: Option<&TlsProbe>) {
    let Some(TlsProbe { sni, verify, ca_file, client, min_version }) = tls else { return };
    text.flag("tls", true);
    text.option("sni", sni.as_deref());
    text.flag("unverified", !verify);
    if let Some(path) = ca_file {
        text.text("ca_file", path.as_os_str().as_encoded_bytes());
    }
    if let Some(client) = client {
        let super::check::ClientCertificate { certificate, key } = client;
        text.text("certificate", certificate.as_os_str().as_encoded_bytes());
        text.text("key", key.as_os_str().as_encoded_bytes());
    }
    match min_version {
        TlsVersion::V12 => {}
        TlsVersion::V13 => text.text("min_version", b"1.3"),
    }
}

#[cfg(test)]
#[path = "stable_tests.rs"]
mod tests;
