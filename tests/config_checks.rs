//! Every key of a health check, of the limiter, of failback and ramp reaches what
//! is probed and judged.

#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

mod config_support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config_support::MemoryFiles;
use windrose::config::model::Config;
use windrose::geo::BaseTable;
use windrose::health::check::{
    ClientCertificate, DnsProbe, ExecProbe, FileProbe, GrpcProbe, HttpProbe, HttpVersion,
    IcmpProbe, ProbeKind, ProxyHeader, Route, TcpProbe, TextMatch, TlsProbe, TlsVersion,
};
use windrose::health::plan::{Failback, LimiterRules, Plan, ProbeAddress, Verdict};
use windrose::snapshot::{self, Input, Serials};

const BASE: &str = r#"
[zone."example.com"]
nameservers = "ns1.example.net"
hostmaster = "hostmaster@example.net"
[datacenter.fra]
vip = "203.0.113.10"
[datacenter.iad]
vip = "198.51.100.10"
ramp = "2m"
"#;

fn load(text: &str) -> Config {
    let mut files = MemoryFiles::default();
    files.insert("etc/windrose.toml", format!("{BASE}{text}"));
    for path in ["etc/ca.pem", "etc/client.pem", "etc/client.key", "etc/check.sh", "etc/up"] {
        files.insert(path, "");
    }
    let loaded = windrose::config::load(Path::new("etc/windrose.toml"), &files);
    let text = loaded.problems.render(&loaded.sources, false);
    loaded.config.unwrap_or_else(|| panic!("{text}"))
}

fn check(keys: &str) -> ProbeKind {
    let config = load(&format!("[health_check.x]\n{keys}\n"));
    config.health_checks[0].probe.clone()
}

fn plan(text: &str) -> Plan {
    let input = Input {
        config: Arc::new(load(text)),
        base: Arc::new(BaseTable::from_networks(&[])),
        serials: Serials::default(),
        now_s: 1_700_000_000,
        generation: 1,
    };
    let (snapshot, _) = snapshot::compile(input).unwrap();
    snapshot.plan
}

fn route() -> Route {
    Route {
        source_ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)),
        source_ipv6: Some("2001:db8::1".parse().unwrap()),
        proxy_header: None,
    }
}

const SOURCE: &str = r#"source = ["2001:db8::1", "192.0.2.1"]"#;
const TLS: &str = r#"
    sni = "tls.example.com"
    verify = false
    ca_file = "ca.pem"
    client_certificate = "client.pem"
    client_key = "client.key"
    tls_min_version = "1.3"
"#;

fn tls() -> TlsProbe {
    TlsProbe {
        sni: Some("tls.example.com".to_owned()),
        verify: false,
        ca_file: Some(PathBuf::from("etc/ca.pem")),
        client: Some(ClientCertificate {
            certificate: PathBuf::from("etc/client.pem"),
            key: PathBuf::from("etc/client.key"),
        }),
        min_version: TlsVersion::V13,
    }
}

//------------ Types ----------------------------------------------------------

#[test]
fn https_takes_every_option() {
    let probe = check(&format!(
        r#"
        type = "https"
        port = 8443
        host = "www.example.com"
        http_version = "any"
        method = "GET"
        path = "/healthz"
        headers = {{ Accept = "text/plain" }}
        expect_status = [200, "301-302"]
        expect_body_regex = '^ok\b'
        max_body = 1000
        follow_redirects = true
        proxy_protocol = "v2"
        {SOURCE}
        {TLS}"#
    ));
    let expected = HttpProbe {
        tls: Some(tls()),
        port: 8443,
        route: Route { proxy_header: Some(ProxyHeader::V2), ..route() },
        version: HttpVersion::Any,
        host: Some("www.example.com".to_owned()),
        method: "GET".to_owned(),
        path: "/healthz".to_owned(),
        headers: vec![("Accept".to_owned(), "text/plain".to_owned())],
        expect_status: vec![(200, 200), (301, 302)],
        expect_body: Some(TextMatch::Regex(r"^ok\b".to_owned())),
        max_body: 1_000,
        redirects_max: 5,
    };
    assert_eq!(probe, ProbeKind::Http(expected));
}

#[test]
fn http_says_little_unless_asked() {
    let expected = HttpProbe {
        port: 80,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        expect_status: vec![(200, 299)],
        max_body: 65_536,
        ..HttpProbe::default()
    };
    assert_eq!(check("type = \"http\""), ProbeKind::Http(expected.clone()));
    let two = HttpProbe { version: HttpVersion::Http2, ..expected };
    assert_eq!(check("type = \"http\"\nhttp_version = \"2\""), ProbeKind::Http(two));
}

#[test]
fn tcp_grpc_and_icmp_take_every_option() {
    let probe = check(&format!(
        "type = \"tcp\"\nport = 25\ntls = true\nsend = \"QUIT\\r\\n\"\nexpect = \"221\"\n\
         proxy_protocol = \"v1\"\n{SOURCE}\n{TLS}"
    ));
    let proxied = Route { proxy_header: Some(ProxyHeader::V1), ..route() };
    let expected = TcpProbe {
        port: 25,
        route: proxied.clone(),
        tls: Some(tls()),
        send: Some("QUIT\r\n".to_owned()),
        expect: Some("221".to_owned()),
    };
    assert_eq!(probe, ProbeKind::Tcp(expected));
    let probe = check(&format!(
        "type = \"grpc\"\nport = 50051\ntls = true\nservice = \"shop.Cart\"\n\
         host = \"cart.example.com\"\nproxy_protocol = \"v1\"\n{SOURCE}\n{TLS}"
    ));
    let expected = GrpcProbe {
        port: 50_051,
        route: proxied,
        tls: Some(tls()),
        host: Some("cart.example.com".to_owned()),
        service: "shop.Cart".to_owned(),
    };
    assert_eq!(probe, ProbeKind::Grpc(expected));
    let plain = GrpcProbe { port: 50_051, ..GrpcProbe::default() };
    assert_eq!(check("type = \"grpc\"\nport = 50051"), ProbeKind::Grpc(plain));
    let probe = check(&format!("type = \"icmp\"\n{SOURCE}"));
    assert_eq!(probe, ProbeKind::Icmp(IcmpProbe { route: route() }));
}

#[test]
fn dns_takes_every_option() {
    let probe = check(&format!(
        "type = \"dns\"\nport = 5353\ntransport = \"tcp\"\nquery_name = \"WWW.Example.com.\"\n\
         query_type = \"mx\"\nexpect_answer = [\"10 mail.example.com\", \"20 m2.example.com.\"]\n\
         expect_authoritative = true\n{SOURCE}"
    ));
    let expected = DnsProbe {
        port: 5_353,
        route: route(),
        tcp: true,
        name: "www.example.com".to_owned(),
        rtype: 15,
        expect_rcode: 0,
        expect_answers: vec!["10 mail.example.com".to_owned(), "20 m2.example.com.".to_owned()],
        expect_authoritative: true,
    };
    assert_eq!(probe, ProbeKind::Dns(expected));
    let expected = DnsProbe {
        port: 53,
        name: ".".to_owned(),
        rtype: 65_280,
        expect_rcode: 3,
        ..DnsProbe::default()
    };
    let keys = "type = \"dns\"\nquery_name = \".\"\nquery_type = \"TYPE65280\"\n\
                expect_rcode = \"NXDOMAIN\"";
    assert_eq!(check(keys), ProbeKind::Dns(expected));
}

#[test]
fn programs_and_files_are_found_beside_the_config_and_never_through_path() {
    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let probe = check("type = \"exec\"\ncommand = [\"check.sh\", \"{address}\", \"\"]");
    let expected = ExecProbe { command: command(&["etc/check.sh", "{address}", ""]), host: None };
    assert_eq!(probe, ProbeKind::Exec(expected));
    let probe = check("type = \"file\"\nfile = \"up\"\nmax_age = \"1d\"");
    let expected = FileProbe { path: PathBuf::from("etc/up"), max_age_ms: Some(86_400_000) };
    assert_eq!(probe, ProbeKind::File(expected));
    let probe = check("type = \"file\"\nfile = \"by/{address}\"");
    let expected = FileProbe { path: PathBuf::from("etc/by/{address}"), max_age_ms: None };
    assert_eq!(probe, ProbeKind::File(expected));
    // A config named without a directory: the program still has a slash in it.
    let mut files = MemoryFiles::default();
    let text = "[health_check.x]\ntype = \"exec\"\ncommand = [\"check.sh\"]\n";
    files.insert("windrose.toml", text);
    files.insert("check.sh", "");
    let config = windrose::config::load(Path::new("windrose.toml"), &files).config.unwrap();
    let expected = ExecProbe { command: command(&["./check.sh"]), host: None };
    assert_eq!(config.health_checks[0].probe, ProbeKind::Exec(expected));
}

#[test]
fn a_check_goes_to_an_address_or_to_a_host() {
    let address = |text: &str| {
        let config = load(&format!("[health_check.x]\ntype = \"icmp\"\naddress = \"{text}\"\n"));
        config.health_checks[0].address.clone().unwrap()
    };
    for text in ["192.0.2.7", "2001:db8::7", "127.0.0.1"] {
        assert_eq!(address(text), ProbeAddress::Ip(text.parse().unwrap()));
    }
    for (text, host) in [
        ("Shop.Example.com", "shop.example.com"),
        ("localhost", "localhost"),
        ("shop.example.com.", "shop.example.com."),
        ("_probe.10.example.com", "_probe.10.example.com"),
        ("3com", "3com"),
    ] {
        assert_eq!(address(text), ProbeAddress::Host(host.to_owned()));
    }
}

//------------ Plan -----------------------------------------------------------

#[test]
fn limiter_and_references_reach_the_plan() {
    let plan = plan(
        "[health]\nmax_down_fraction = 0.25\nlimiter_window = \"30s\"\nlimiter_min_targets = 4\n\
         certificate_warning = \"30d\"\nreference = [\"192.0.2.1:443\", \"[2001:db8::1]:53\"]\n",
    );
    let rules = LimiterRules { window_ms: 30_000, max_down_fraction: 0.25, min_targets: 4 };
    assert_eq!(plan.limiter, rules);
    assert_eq!(plan.references, [0, 1]);
    assert!(plan.verdicts.is_empty());
    let reference = &plan.targets[1];
    let probe = TcpProbe { port: 53, ..TcpProbe::default() };
    assert_eq!(reference.identity.probe, ProbeKind::Tcp(probe));
    assert_eq!(reference.identity.address.to_string(), "2001:db8::1");
    assert_eq!((reference.check.as_str(), reference.datacenter), ("reference", None));
    assert_eq!((reference.interval_ms, reference.timeout_ms), (5_000, 2_000));
    let config = load("[health]\ncertificate_warning = \"30d\"\n");
    assert_eq!(config.health.certificate_warning_s, 30 * 86_400);
}

#[test]
fn without_a_word_the_limiter_is_as_documented() {
    let plan = plan("");
    assert_eq!(plan.limiter, LimiterRules::default());
    assert!(plan.references.is_empty() && plan.targets.is_empty());
    assert_eq!(load("").health.certificate_warning_s, 14 * 86_400);
}

#[test]
fn a_reference_that_a_check_probes_too_is_one_target() {
    let plan = plan(
        "[health]\nreference = \"203.0.113.10:443\"\n\
         [health_check.port]\ntype = \"tcp\"\nport = 443\n\
         [wip.\"a.example.com\"]\nmembers = [\"fra\"]\nhealth_check = \"port\"\n",
    );
    assert_eq!(plan.targets.len(), 1);
    assert_eq!(plan.references, [0]);
    assert_eq!(plan.targets[0].check, "port");
}

#[test]
fn a_members_ramp_goes_before_its_datacenters_and_that_before_the_wips() {
    let plan = plan(
        "[wip_defaults]\nfailback = \"after:10m\"\nramp = \"1m\"\n\
         [health_check.port]\ntype = \"tcp\"\nport = 443\n\
         [wip.\"a.example.com\"]\nhealth_check = \"port\"\n\
         members = [\"fra\", \"iad\", { name = \"own\", datacenter = \"iad\", ramp = \"3m\" }, \
         { address = \"192.0.2.9\", ramp = \"0s\" }]\n\
         [wip.\"b.example.com\"]\nhealth_check = \"port\"\nmembers = [\"fra\"]\n\
         failback = \"manual\"\nramp = \"0s\"\n",
    );
    let back: Vec<(Failback, u32)> =
        plan.verdicts.iter().map(|verdict| (verdict.failback, verdict.ramp_ms)).collect();
    let after = Failback::AfterMs(600_000);
    let expected =
        [(after, 60_000), (after, 120_000), (after, 180_000), (after, 0), (Failback::Manual, 0)];
    assert_eq!(back, expected);
}

#[test]
fn gates_come_back_at_once_and_members_as_their_wip_says() {
    let plan = plan(
        "[health_check.port]\ntype = \"tcp\"\nport = 443\n\
         [datacenter.ams]\nvip = \"203.0.113.40\"\nhealth_check = \"port\"\nramp = \"5m\"\n\
         [wip.\"a.example.com\"]\nmembers = [\"ams\"]\nfailback = \"manual\"\n",
    );
    let gate = Verdict { targets: vec![0], ..Verdict::default() };
    let member = Verdict {
        gate: Some(0),
        failback: Failback::Manual,
        ramp_ms: 300_000,
        ..Verdict::default()
    };
    assert_eq!(plan.verdicts, [gate, member]);
}
