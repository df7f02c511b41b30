//! Several servers that answer as servers in trouble do.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use super::*;
use crate::admin::types::{OverrideKind, OverrideTarget};

/// A server that answers a dry run and then the change, each with a status and a body.
fn server(dry: (u16, String), told: (u16, String)) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = Vec::new();
            let mut part = [0; 4_096];
            while !request.ends_with(b"}") {
                let length = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..length]);
            }
            let is_dry = String::from_utf8_lossy(&request).contains("\"dry_run\":true");
            let (status, body) = if is_dry { &dry } else { &told };
            let kind = if *status == 200 { "application/json" } else { "application/problem+json" };
            let reply = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    url
}

fn fine() -> (u16, String) {
    (200, serde_json::to_string(&OverrideDone::default()).unwrap())
}

fn problem(status: u16, kind: &str) -> (u16, String) {
    let problem = Problem {
        kind: format!("urn:windrose:problem:{kind}"),
        status,
        title: "Trouble".to_owned(),
        detail: "so it is".to_owned(),
        ..Problem::default()
    };
    (status, serde_json::to_string(&problem).unwrap())
}

fn arguments(servers: &[String]) -> ServersArguments {
    ServersArguments {
        servers: servers.to_vec(),
        token_file: None::<PathBuf>,
        ca_file: None,
        json: false,
    }
}

fn outcomes(change: &Change, servers: &[String], how: How) -> (Account, Vec<Outcome>) {
    let clients = clients(&arguments(servers)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let account = runtime.block_on(apply(change, clients, how));
    let outcomes = account.servers.iter().map(|part| part.outcome).collect();
    (account, outcomes)
}

fn drain() -> Change {
    Change::Say(OverrideRequest { kind: OverrideKind::Drain, ..OverrideRequest::default() })
}

fn clear() -> Change {
    Change::Clear(ClearRequest { target: OverrideTarget::default(), ..ClearRequest::default() })
}

const HOW: How = How { dry_run: false, even_if_unreachable: false };

#[test]
fn a_server_that_breaks_off_may_have_taken_it() {
    for (status, kind, expected) in [
        (503, "late", Outcome::Unknown),
        (500, "internal", Outcome::Unknown),
        (503, "not-saved", Outcome::Refused),
        (503, "not-ready", Outcome::Refused),
        (409, "changed-meanwhile", Outcome::Refused),
    ] {
        let servers = [server(fine(), problem(status, kind))];
        let (account, found) = outcomes(&drain(), &servers, HOW);
        assert_eq!((account.done, account.begun, &found[..]), (false, true, &[expected][..]));
        // A dry run changes nothing, however it ends.
        let servers = [server(problem(status, kind), fine())];
        let (account, found) = outcomes(&drain(), &servers, HOW);
        assert_eq!((account.begun, &found[..]), (false, &[Outcome::Refused][..]), "{kind}");
    }
}

#[test]
fn a_clear_passes_over_a_server_that_has_nothing_to_clear() {
    let nothing = || server(problem(404, "not-found"), fine());
    let servers = [nothing(), server(fine(), fine())];
    let (account, found) = outcomes(&clear(), &servers, HOW);
    assert_eq!(
        (account.done, &found[..]),
        (true, &[Outcome::NothingToClear, Outcome::Applied][..])
    );
    // Where nobody has it the target is mistyped; and to a drain a 404 is a refusal.
    let (account, _) = outcomes(&clear(), &[nothing(), nothing()], HOW);
    assert_eq!((account.done, account.begun), (false, false));
    let servers = [nothing(), server(fine(), fine())];
    let (account, found) = outcomes(&drain(), &servers, HOW);
    assert_eq!((account.begun, found[0]), (false, Outcome::Refused));
}

#[test]
fn a_server_named_in_two_ways_is_one() {
    let named = |servers: &[&str]| {
        let servers: Vec<String> = servers.iter().map(|&server| server.to_owned()).collect();
        clients(&arguments(&servers)).unwrap().len()
    };
    assert_eq!(named(&["http://gtm1", "http://gtm1/", "http://GTM1:80", " http://gtm1:80//"]), 1);
    assert_eq!(named(&["https://gtm1/a", "https://gtm1:443/a/", "unix:/a", "unix:/a"]), 2);
    assert_eq!(named(&["http://gtm1", "http://gtm1:8053", "https://gtm1", "http://gtm1/a"]), 4);
    assert_eq!(named(&["unix:/a", "unix:/b", "http://localhost"]), 3);
    assert_eq!(named(&["unix:/a", "unix:/./a", "unix://a"]), 1);
}
