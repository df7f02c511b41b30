//! Names that are pinned, and options each of which makes another name.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::check::ClientCertificate;
use super::*;

fn at(probe: ProbeKind) -> Identity {
    Identity { probe, address: IpAddr::from([192, 0, 2, 1]).into() }
}

fn web() -> HttpProbe {
    HttpProbe {
        port: 80,
        host: Some("shop.example.com".to_owned()),
        method: "GET".to_owned(),
        path: "/healthz".to_owned(),
        expect_status: vec![(200, 299)],
        max_body: 65_536,
        ..HttpProbe::default()
    }
}

fn secure() -> TlsProbe {
    TlsProbe { verify: true, ..TlsProbe::default() }
}

const NAMES: [&str; 10] = [
    "2dfea38a3d7ab296752d797a7831925c",
    "eea0800d99ffeada967cfde0165d0397",
    "d810d4cf896df86d19bdd288c3004f9a",
    "0dd4cced1380bc8c72c66d0cd9723c31",
    "004e9d68da23240731c984d33afd0ef3",
    "f0aae7da4100dcc80f6f3192cd28a876",
    "a154c56d378aa3386c7fd90bfbe8d6ea",
    "2707c5d3dafbf9175355eb4d0f45052f",
    "680d122a1c31b1d2049f7f50ce6d669e",
    "33c1c0416d5419f89cb64b5c985fd705",
];

const VERDICT_NAME: &str = "b8ed5a78f034fcd5abc67258457dad01";
const RETURN_NAMES: [&str; 5] = [
    "e4a94cf961fd906b9ff1dec0923f79a6",
    "133725683f5e3a24dd292c9b092b7106",
    "7260663a57ff8905901d90f5e2afcf7b",
    "9be13a6ac8ad51ab8a3a7e051f9ebd66",
    "6dc00c1a6a57cd6d66e2ebf4f88124bd",
];

/// Changing any of these lines throws away the history that servers keep.
#[test]
fn names_stay_as_they_are() {
    let text = target_text(&at(ProbeKind::Http(web()))).0;
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "ip=9:192.0.2.1\nhttp=0:\nport=2:80\nhost=16:shop.example.com\nmethod=3:GET\n\
         path=8:/healthz\nstatus=3:200\nto=3:299\nmax_body=5:65536\n"
    );
    let https = HttpProbe { tls: Some(secure()), port: 443, ..web() };
    let tcp = TcpProbe { port: 25, expect: Some("220".to_owned()), ..TcpProbe::default() };
    let dns =
        DnsProbe { port: 53, name: "example.com".to_owned(), rtype: 1, ..DnsProbe::default() };
    let grpc = GrpcProbe { port: 50_051, ..GrpcProbe::default() };
    let exec = ExecProbe { command: vec!["/bin/true".to_owned()], host: None };
    let file = FileProbe { path: "/run/shop.state".into(), max_age_ms: Some(60_000) };
    let mut host = at(ProbeKind::Tcp(tcp.clone()));
    host.address = ProbeAddress::Host("mail.example.com".to_owned());
    let mut six = at(ProbeKind::Icmp(IcmpProbe::default()));
    six.address = IpAddr::V6("2001:db8::1".parse().unwrap()).into();
    let identities = [
        at(ProbeKind::Http(web())),
        at(ProbeKind::Http(https)),
        at(ProbeKind::Tcp(tcp)),
        host,
        six,
        at(ProbeKind::Dns(dns)),
        at(ProbeKind::Grpc(grpc)),
        at(ProbeKind::Exec(exec)),
        at(ProbeKind::File(file)),
        at(ProbeKind::Always),
    ];
    let names = identities.map(|identity| format!("{:032x}", target_key(&identity)));
    assert_eq!(names, NAMES);
}

#[test]
fn every_option_makes_another_name() {
    let mut identities = vec![
        at(ProbeKind::Always),
        at(ProbeKind::Icmp(IcmpProbe::default())),
        Identity { probe: ProbeKind::Always, address: ProbeAddress::Host("192.0.2.1".to_owned()) },
        Identity { probe: ProbeKind::Always, address: IpAddr::from([192, 0, 2, 2]).into() },
    ];
    identities.extend(web_variants().into_iter().map(|probe| at(ProbeKind::Http(probe))));
    identities.extend(other_variants().into_iter().map(at));
    let mut seen: HashMap<StableKey, &Identity> = HashMap::new();
    for identity in &identities {
        if let Some(twin) = seen.insert(target_key(identity), identity) {
            panic!("one name for {identity:?} and {twin:?}");
        }
    }
}

fn web_variants() -> Vec<HttpProbe> {
    let text = |text: &str| Some(text.to_owned());
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let tls = |tls| HttpProbe { tls: Some(tls), ..web() };
    let client = |certificate: &str, key: &str| ClientCertificate {
        certificate: certificate.into(),
        key: key.into(),
    };
    let route = |route| HttpProbe { route, ..web() };
    vec![
        web(),
        HttpProbe { port: 81, ..web() },
        HttpProbe { version: HttpVersion::Http2, ..web() },
        HttpProbe { version: HttpVersion::Any, ..web() },
        HttpProbe { host: None, ..web() },
        HttpProbe { host: text(""), ..web() },
        HttpProbe { host: text("shop.example.com\npath=1:/"), ..web() },
        HttpProbe { method: "HEAD".to_owned(), ..web() },
        HttpProbe { path: "/".to_owned(), ..web() },
        HttpProbe { headers: vec![header("a", "b")], ..web() },
        HttpProbe { headers: vec![header("ab", "")], ..web() },
        HttpProbe { headers: vec![header("a", "b"), header("a", "b")], ..web() },
        HttpProbe { expect_status: vec![], ..web() },
        HttpProbe { expect_status: vec![(200, 200), (299, 299)], ..web() },
        HttpProbe { expect_body: Some(TextMatch::Text("ok".to_owned())), ..web() },
        HttpProbe { expect_body: Some(TextMatch::Regex("ok".to_owned())), ..web() },
        HttpProbe { max_body: 1, ..web() },
        HttpProbe { redirects_max: 5, ..web() },
        tls(secure()),
        tls(TlsProbe { verify: false, ..secure() }),
        tls(TlsProbe { sni: text("a"), ..secure() }),
        tls(TlsProbe { ca_file: Some("a".into()), ..secure() }),
        tls(TlsProbe { client: Some(client("a", "b")), ..secure() }),
        tls(TlsProbe { client: Some(client("b", "a")), ..secure() }),
        tls(TlsProbe { min_version: TlsVersion::V13, ..secure() }),
        route(Route { source_ipv4: Some(Ipv4Addr::LOCALHOST), ..Route::default() }),
        route(Route { source_ipv6: Some(Ipv6Addr::LOCALHOST), ..Route::default() }),
        route(Route { proxy_header: Some(ProxyHeader::V1), ..Route::default() }),
        route(Route { proxy_header: Some(ProxyHeader::V2), ..Route::default() }),
    ]
}

fn other_variants() -> Vec<ProbeKind> {
    let text = |text: &str| Some(text.to_owned());
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let v1 = || Route { proxy_header: Some(ProxyHeader::V1), ..Route::default() };
    let from = || Route { source_ipv4: Some(Ipv4Addr::LOCALHOST), ..Route::default() };
    let tcp = || TcpProbe { port: 80, ..TcpProbe::default() };
    let dns = || DnsProbe { port: 53, ..DnsProbe::default() };
    let grpc = || GrpcProbe { port: 80, ..GrpcProbe::default() };
    let exec = |command: &[&str]| ExecProbe { command: words(command), host: None };
    let file = || FileProbe { path: "/a".into(), max_age_ms: None };
    vec![
        ProbeKind::Icmp(IcmpProbe { route: from() }),
        ProbeKind::Tcp(tcp()),
        ProbeKind::Tcp(TcpProbe { port: 81, ..tcp() }),
        ProbeKind::Tcp(TcpProbe { tls: Some(secure()), ..tcp() }),
        ProbeKind::Tcp(TcpProbe { route: v1(), ..tcp() }),
        ProbeKind::Tcp(TcpProbe { send: text("a"), ..tcp() }),
        ProbeKind::Tcp(TcpProbe { expect: text("a"), ..tcp() }),
        ProbeKind::Dns(dns()),
        ProbeKind::Dns(DnsProbe { port: 54, ..dns() }),
        ProbeKind::Dns(DnsProbe { route: from(), ..dns() }),
        ProbeKind::Dns(DnsProbe { tcp: true, ..dns() }),
        ProbeKind::Dns(DnsProbe { name: "a".to_owned(), ..dns() }),
        ProbeKind::Dns(DnsProbe { rtype: 28, ..dns() }),
        ProbeKind::Dns(DnsProbe { expect_rcode: 3, ..dns() }),
        ProbeKind::Dns(DnsProbe { expect_answers: words(&["a", "b"]), ..dns() }),
        ProbeKind::Dns(DnsProbe { expect_answers: words(&["ab"]), ..dns() }),
        ProbeKind::Dns(DnsProbe { expect_authoritative: true, ..dns() }),
        ProbeKind::Grpc(grpc()),
        ProbeKind::Grpc(GrpcProbe { port: 81, ..grpc() }),
        ProbeKind::Grpc(GrpcProbe { route: v1(), ..grpc() }),
        ProbeKind::Grpc(GrpcProbe { tls: Some(secure()), ..grpc() }),
        ProbeKind::Grpc(GrpcProbe { host: text("a"), ..grpc() }),
        ProbeKind::Grpc(GrpcProbe { service: "a".to_owned(), ..grpc() }),
        ProbeKind::Exec(exec(&["/a", "b", "c"])),
        ProbeKind::Exec(exec(&["/a", "bc"])),
        ProbeKind::Exec(exec(&["/a", "b c"])),
        ProbeKind::Exec(ExecProbe { host: text("a"), ..exec(&["/a", "b", "c"]) }),
        ProbeKind::File(file()),
        ProbeKind::File(FileProbe { path: "/b".into(), ..file() }),
        ProbeKind::File(FileProbe { max_age_ms: Some(1), ..file() }),
    ]
}

#[test]
fn a_verdict_is_named_by_what_it_judges_not_by_its_place_in_the_plan() {
    let keys: Vec<StableKey> = vec![7, 8, 9];
    let moved: Vec<StableKey> = vec![9, 7, 8];
    let of = |targets: &[u32], require| Verdict {
        targets: targets.to_vec(),
        require,
        ..Verdict::default()
    };
    let two = of(&[0, 1], Require::All);
    let name = verdict_key(&two, None, &keys);
    assert_eq!(verdict_key(&of(&[1, 2], Require::All), None, &moved), name);
    assert_eq!(verdict_key(&of(&[0, 1], Require::All), None, &[8, 7]), name, "in any order");
    assert_ne!(verdict_key(&of(&[0, 1], Require::Any), None, &keys), name);
    assert_ne!(verdict_key(&of(&[0], Require::All), None, &keys), name);
    let gate = of(&[2], Require::All);
    assert_ne!(verdict_key(&two, Some(&gate), &keys), name);
    let gated_by_own = verdict_key(&of(&[0], Require::All), Some(&of(&[1], Require::All)), &keys);
    assert_ne!(gated_by_own, name);
}

#[test]
fn the_way_back_makes_another_name_and_each_stays_as_it_is() {
    let judged = verdict_key(&Verdict { targets: vec![0], ..Verdict::default() }, None, &[7]);
    let ways = [
        (Failback::Auto, 0),
        (Failback::Auto, 5_000),
        (Failback::Manual, 0),
        (Failback::Manual, 5_000),
        (Failback::AfterMs(5_000), 0),
    ];
    let names = ways.map(|(failback, ramp_ms)| {
        format!("{:032x}", return_key(judged, &Verdict { failback, ramp_ms, ..Verdict::default() }))
    });
    assert_eq!(names, RETURN_NAMES);
    assert_eq!(format!("{judged:032x}"), VERDICT_NAME);
}
