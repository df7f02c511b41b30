//! Overrides with the real binary: durable before they are acknowledged, refused whole,
//! one after another, in time, and on several servers (docs/OPERATING.md, "Draining").

#![allow(clippy::unwrap_used)] // a panic is a failed test

#[allow(dead_code)]
#[path = "dns_support/message.rs"]
mod message;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

/// Longest wait for anything that is to happen.
const WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const FRA: &str = "127.0.29.1";
const IAD: &str = "127.0.29.2";
const SHOP: &str = "shop.gslb.example.com";

//------------ Durable --------------------------------------------------------

#[test]
fn every_acknowledged_change_outlives_kill_9() {
    const ROUNDS: usize = 30;
    let wips: Vec<String> = (0..8).map(|n| format!("w{n}.gslb.example.com")).collect();
    let config: String = wips.iter().map(|wip| format!("[wip.\"{wip}\"]\n")).collect();
    let place = Place::new(&config);
    // What was acknowledged, and what was asked for and may have been done.
    let mut drained = BTreeSet::new();
    let mut last_revision = 0;
    let mut random = 17_u32;
    let mut next = move || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 16
    };
    let mut acknowledged = 0;
    let mut pending: Option<usize> = None;
    for round in 0..=ROUNDS {
        let mut server = Server::start(&place);
        let page = server.overrides();
        let found: BTreeSet<usize> = targets(&page).iter().map(|wip| number(wip)).collect();
        if let Some(wip) = pending.take().filter(|_| found != drained) {
            toggle(&mut drained, wip);
        }
        assert_eq!(found, drained, "round {round}");
        let revision = page["revision"].as_u64().unwrap();
        assert!(revision >= last_revision, "round {round}: {revision} < {last_revision}");
        last_revision = revision;
        assert_eq!(place.audited(), (revision, found.clone()), "round {round}");
        for (index, wip) in wips.iter().enumerate() {
            let expected = if found.contains(&index) { IAD } else { FRA };
            assert_eq!(server.ask(wip), expected, "round {round}: {wip}");
        }
        if round == ROUNDS {
            break;
        }
        // Some changes on, at any moment of the next ones.
        let wanted = acknowledged + next() as usize % 3;
        let mut killer = None;
        loop {
            if acknowledged >= wanted && killer.is_none() {
                let wait = Duration::from_micros(u64::from(next()) % 30_000);
                killer = Some(server.kill_after(wait));
            }
            let wip = next() as usize % wips.len();
            let target = json!({ "datacenter": "fra", "wip": wips[wip] });
            let is_drained = drained.contains(&wip);
            let (path, body) = match is_drained {
                true => ("/api/v1/overrides/clear", json!({ "target": target })),
                false => ("/api/v1/overrides", drain(&target)),
            };
            let Some((status, reply)) = server.try_post(path, &body) else {
                pending = Some(wip);
                break;
            };
            assert_eq!(status, 200, "{reply}");
            toggle(&mut drained, wip);
            last_revision = reply["revision"].as_u64().unwrap();
            acknowledged += 1;
        }
        killer.unwrap().join().unwrap();
        server.reap();
    }
    assert!(acknowledged > ROUNDS, "only {acknowledged} changes were tried");
}

#[test]
fn a_disk_that_takes_nothing_refuses_and_dns_does_not_move() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n[wip.\"b.gslb.example.com\"]\n"));
    let server = Server::start(&place);
    let other = json!({ "datacenter": "fra", "wip": "b.gslb.example.com" });
    assert_eq!(server.post("/api/v1/overrides", &drain(&other)).0, 200);
    let before = server.overrides();
    let body = drain(&json!({ "datacenter": "fra", "wip": SHOP }));
    let refused = |what: &str| {
        let (status, reply) = server.post("/api/v1/overrides", &body);
        assert_eq!((status, kind(&reply)), (503, "not-saved"), "{what}: {reply}");
        assert_eq!(server.ask(SHOP), FRA, "{what}");
        let page = server.overrides();
        assert_eq!(page["overrides"], before["overrides"], "{what}");
        let detail = reply["detail"].as_str().unwrap();
        assert!(detail.contains(place.state().to_str().unwrap()), "{what}: {detail}");
    };
    // The audit log takes part of a line, as on a disk that is about to be full.
    let audit = place.state().join("audit.log");
    let length = fs::metadata(&audit).unwrap().len();
    server.limit_files_to(Some(length + 100));
    refused("the audit log is full");
    assert_eq!(fs::metadata(&audit).unwrap().len(), length, "nothing of the line is left");
    server.limit_files_to(None);
    // It takes the line, and the other file cannot be written.
    let aside = place.state().join("overrides.json.new");
    fs::create_dir(&aside).unwrap();
    refused("something is in the way");
    fs::remove_dir(&aside).unwrap();
    assert_eq!(place.audited().1.len(), 1, "the audit log says that it failed");
    // And then again it does.
    assert_eq!(server.post("/api/v1/overrides", &body).0, 200);
    assert_eq!(server.ask(SHOP), IAD);
    assert_eq!(place.audited().1.len(), 2);
    let wip = server.request("GET", &format!("/api/v1/wips/{SHOP}"), "").unwrap().1;
    let wip: Value = serde_json::from_str(&wip).unwrap();
    let decides = |member: usize| wip["members"][member]["override_id"].as_u64();
    assert_eq!((decides(0), decides(1)), (Some(2), None), "{wip}");
}

#[test]
fn without_a_state_directory_nothing_can_be_said() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n"));
    let config = fs::read_to_string(place.config()).unwrap();
    let without: String = config
        .lines()
        .filter(|l| !l.starts_with("state_dir"))
        .fold(String::new(), |text, line| text + line + "\n");
    fs::write(place.config(), without).unwrap();
    let server = Server::start(&place);
    for dry_run in [true, false] {
        let mut body = drain(&json!({ "datacenter": "fra", "wip": SHOP }));
        body["dry_run"] = json!(dry_run);
        let (status, reply) = server.post("/api/v1/overrides", &body);
        assert_eq!((status, kind(&reply)), (409, "no-state-dir"), "{reply}");
    }
    assert_eq!(server.ask(SHOP), FRA);
}

#[test]
fn overrides_that_nobody_can_read_stop_the_start() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n"));
    let mut server = Server::start(&place);
    assert_eq!(
        server.post("/api/v1/overrides", &drain(&json!({ "datacenter": "fra", "wip": SHOP }))).0,
        200
    );
    server.kill();
    let file = place.state().join("overrides.json");
    let whole = fs::read_to_string(&file).unwrap();
    for (content, why) in [
        (whole[..whole.len() / 2].to_owned(), "it is damaged: EOF"),
        (whole.replace("\"version\": 1", "\"version\": 9"), "a newer one wrote it"),
    ] {
        fs::write(&file, &content).unwrap();
        let output = windrose(&["serve", "--config", place.config().to_str().unwrap()]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(why) && error.contains("mv "), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content, "it is left as it is");
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(Server::start(&place).ask(SHOP), IAD);
}

//------------ One after another ----------------------------------------------

#[test]
fn operators_at_once_are_served_one_after_another() {
    let wips: String = (0..40).map(|n| format!("[wip.\"w{n}.gslb.example.com\"]\n")).collect();
    let place = Place::new(&wips);
    let server = Server::start(&place);
    let revisions: Vec<u64> = std::thread::scope(|scope| {
        let operators = (0..4).map(|operator| {
            let server = &server;
            scope.spawn(move || {
                let mut revisions = Vec::new();
                for n in 0..10 {
                    let wip = format!("w{}.gslb.example.com", operator * 10 + n);
                    let body = drain(&json!({ "datacenter": "fra", "wip": wip }));
                    let (status, reply) = server.post("/api/v1/overrides", &body);
                    assert_eq!(status, 200, "{reply}");
                    revisions.push(reply["revision"].as_u64().unwrap());
                }
                revisions
            })
        });
        let operators: Vec<_> = operators.collect();
        operators.into_iter().flat_map(|operator| operator.join().unwrap()).collect()
    });
    let distinct: BTreeSet<u64> = revisions.iter().copied().collect();
    assert_eq!(distinct, (1..=40).collect());
    // Of several who looked at the same overrides, one changes them.
    let won: Vec<bool> = std::thread::scope(|scope| {
        let operators: Vec<_> = (0..6)
            .map(|n| {
                let server = &server;
                scope.spawn(move || {
                    let wip = format!("w{n}.gslb.example.com");
                    let target = json!({ "datacenter": "fra", "wip": wip });
                    let body = json!({ "target": target, "expected_revision": 40 });
                    let (status, reply) = server.post("/api/v1/overrides/clear", &body);
                    assert!(
                        status == 200 || (status, kind(&reply)) == (409, "changed-meanwhile"),
                        "{reply}"
                    );
                    status == 200
                })
            })
            .collect();
        operators.into_iter().map(|operator| operator.join().unwrap()).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    assert_eq!(server.overrides()["overrides"].as_array().unwrap().len(), 39);
}

#[test]
fn what_makes_no_sense_is_refused_and_says_why() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n"));
    let server = Server::start(&place);
    for (path, body, status, why) in [
        ("", "", 400, "the body: "),
        ("", "[]", 400, "the body: "),
        ("", "{\"kind\":\"drain\",\"target\":{\"site\":\"fra\"}}", 400, "unknown field `site`"),
        ("", "{\"kind\":\"drown\"}", 400, "unknown variant `drown`"),
        ("", "{\"kind\":\"drain\",\"target\":{},\"reason\":\"x\"}", 400, "name one"),
        ("", "{\"kind\":\"drain\",\"target\":{\"wip\":\"*\"},\"reason\":\" \"}", 400, "reason is"),
        (
            "",
            "{\"kind\":\"drain\",\"target\":{\"datacenter\":\"fra1\"},\"reason\":\"x\"}",
            404,
            "did you mean \\\"fra\\\"?",
        ),
        (
            "",
            "{\"kind\":\"drain\",\"target\":{\"wip\":\"shopp.gslb.example.com\"},\"reason\":\"x\"}",
            404,
            "did you mean \\\"shop.gslb.example.com\\\"?",
        ),
        ("/clear", "{\"target\":{\"wip\":\"*\"}}", 404, "nothing is overridden"),
        ("/clear", "{\"target\":{\"wip\":\"*\"},\"force\":true}", 400, "unknown field `force`"),
    ] {
        let path = format!("/api/v1/overrides{path}");
        let (found, reply) = server.request("POST", &path, body).unwrap();
        assert_eq!(found, status, "{body}: {reply}");
        assert!(reply.contains(why), "{body}: {reply}");
    }
    assert_eq!(server.overrides()["revision"], 0);
    assert!(!place.state().join("audit.log").exists(), "none of it is worth a line");
}

/// The command line asks first in a dry run, and so does the page.
#[test]
fn what_is_refused_as_not_safe_leaves_a_trace_in_a_dry_run_too() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n"));
    let server = Server::start(&place);
    let output = windrose(&["drain", "--wip", SHOP, "--reason", "x", "--server", &server.url()]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let lines = place.audit_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["outcome"], "refused");
    let (_, page) = server.request("GET", "/metrics", "").unwrap();
    assert!(page.contains("windrose_safety_refusals_total{rule=\"min_members\"} 1"), "{page}");
}

//------------ Time and config ------------------------------------------------

#[test]
fn what_is_planned_begins_and_ends_by_itself_or_is_refused_loudly() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\nttl = \"60s\"\nttl_min = \"1s\"\n"));
    let server = Server::start(&place);
    let now_s = server.overrides()["now_s"].as_u64().unwrap();
    let mut body = drain(&json!({ "datacenter": "fra" }));
    body["at_s"] = json!(now_s + 2);
    body["until_s"] = json!(now_s + 5);
    assert_eq!(server.post("/api/v1/overrides", &body).0, 200);
    // It would leave nobody once the other begins.
    let mut other = drain(&json!({ "datacenter": "iad" }));
    other["at_s"] = json!(now_s + 3);
    assert_eq!(server.post("/api/v1/overrides", &other).0, 200);
    let phase = |index: usize| server.overrides()["overrides"][index]["phase"].clone();
    assert_eq!((server.ask(SHOP).as_str(), phase(0)), (FRA, json!("announced")));
    until("it begins", || server.ask(SHOP) == IAD);
    until("the other is refused", || phase(1) == "refused");
    assert_eq!(server.ask(SHOP), IAD);
    until("it ends", || server.ask(SHOP) == FRA);
    let page = server.overrides();
    assert_eq!(page["overrides"].as_array().unwrap().len(), 1, "{page}");
    let metrics = server.request("GET", "/metrics", "").unwrap().1;
    assert!(metrics.contains("windrose_safety_refusals_total{rule=\"min_members\"} 1\n"));
    assert!(metrics.contains("windrose_overrides{kind=\"drain\"} 0\n"));
    let log = server.log();
    assert!(log.contains("could not start or end when its time came"), "{log}");
    // The audit log tells the same.
    let lines = place.audit_lines();
    let told: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line["what"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("drain", "accepted"),
            ("drain", "accepted"),
            ("start", "accepted"),
            ("start", "refused"),
            ("end", "accepted"),
        ]
    );
}

#[test]
fn a_reload_serves_nothing_without_its_overrides() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n[wip.\"b.gslb.example.com\"]\n"));
    let server = Server::start(&place);
    for wip in [SHOP, "b.*", "*new*"] {
        let body = drain(&json!({ "datacenter": "fra", "wip": wip }));
        let (status, reply) = server.post("/api/v1/overrides", &body);
        let expected = if wip.contains("new") { 404 } else { 200 };
        assert_eq!(status, expected, "{reply}");
    }
    // One WIP goes, another comes that an override means.
    let config = fs::read_to_string(place.config()).unwrap();
    let changed = config.replace("b.gslb.example.com", "b.x.gslb.example.com");
    fs::write(place.config(), changed.replace(SHOP, "other.gslb.example.com")).unwrap();
    assert_eq!(server.request("POST", "/api/v1/reload", "").unwrap().0, 200);
    assert_eq!(server.ask("other.gslb.example.com"), FRA);
    assert_eq!(server.ask("b.x.gslb.example.com"), IAD, "from its first answer on");
    let page = server.overrides();
    let members = |index: usize| page["overrides"][index]["members"].as_u64().unwrap();
    assert_eq!((members(0), members(1)), (0, 1), "one means nobody now, and stays: {page}");
    fs::write(place.config(), config).unwrap();
    assert_eq!(server.request("POST", "/api/v1/reload", "").unwrap().0, 200);
    assert_eq!(server.ask(SHOP), IAD, "it is back, and so is what was said of it");
}

//------------ When no answer is valid any more -------------------------------

fn add(server: &Server, body: &Value) -> Value {
    let (status, reply) = server.post("/api/v1/overrides", body);
    assert_eq!(status, 200, "{reply}");
    reply
}

#[test]
fn what_was_out_already_is_drained_when_its_answers_have_expired() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\nttl = \"60s\"\nttl_min = \"1s\"\n"));
    let server = Server::start(&place);
    let first = add(&server, &drain(&json!({ "datacenter": "fra", "wip": SHOP })));
    let drained_at_s = first["drained_at_s"].as_u64().unwrap();
    assert!(drained_at_s >= first["now_s"].as_u64().unwrap() + 60, "{first}");
    std::thread::sleep(Duration::from_secs(1));
    let second = add(&server, &drain(&json!({ "datacenter": "fra" })));
    assert_eq!(second["drained_at_s"], drained_at_s, "{second}");
    // What another said no more decides of is answered until then.
    let mut up = drain(&json!({ "datacenter": "fra" }));
    up["kind"] = json!("force-up");
    assert!(add(&server, &up)["drained_at_s"].is_null());
    let body = json!({ "target": { "datacenter": "fra" } });
    let (status, reply) = server.post("/api/v1/overrides/clear", &body);
    assert_eq!(status, 200, "{reply}");
    let back_s = reply["now_s"].as_u64().unwrap();
    let page = server.overrides();
    assert!(page["overrides"][0]["drained_at_s"].as_u64().unwrap() >= back_s + 60, "{page}");
}

#[test]
fn a_drain_with_nobody_in_its_place_never_says_that_it_is_done() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\nttl = \"2s\"\nttl_min = \"1s\"\n"));
    let server = Server::start(&place);
    let url = server.url();
    add(&server, &drain(&json!({ "datacenter": "iad" })));
    let mut all = drain(&json!({ "datacenter": "fra" }));
    all["break_glass"] = json!("a test");
    all["dry_run"] = json!(true);
    let reply = add(&server, &all);
    assert!(reply["drained_at_s"].is_null(), "{reply}");
    let output = windrose(&[
        "drain",
        "--datacenter",
        "fra",
        "--reason",
        "a test",
        "--break-glass",
        "a test",
        "--wait",
        "--server",
        &url,
    ]);
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{error}");
    assert!(said.contains("still answered as the last resort"), "{said}");
    assert!(error.contains("not drained: ") && error.contains("force-down ends that"), "{error}");
    assert_eq!(server.ask(SHOP), FRA);
    let mut down = drain(&json!({ "datacenter": "fra" }));
    down["kind"] = json!("force-down");
    down["break_glass"] = json!("a test");
    let reply = add(&server, &down);
    assert!(
        reply["drained_at_s"].as_u64() > reply["now_s"].as_u64(),
        "answered until now: {reply}"
    );
    assert_eq!(server.ask(SHOP), IAD);
}

#[test]
fn answers_of_before_a_reload_that_lowered_the_ttl_are_waited_for() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\nttl = \"300s\"\nttl_min = \"1s\"\n"));
    let server = Server::start(&place);
    let now_s = server.overrides()["now_s"].as_u64().unwrap();
    let config = fs::read_to_string(place.config()).unwrap();
    fs::write(place.config(), config.replace("300s", "5s")).unwrap();
    assert_eq!(server.request("POST", "/api/v1/reload", "").unwrap().0, 200);
    let reply = add(&server, &drain(&json!({ "datacenter": "fra" })));
    assert!(reply["drained_at_s"].as_u64().unwrap() >= now_s + 300, "{reply}");
}

#[test]
fn a_plan_that_another_hid_counts_from_when_it_showed() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\nttl = \"60s\"\nttl_min = \"1s\"\n"));
    let server = Server::start(&place);
    let now_s = server.overrides()["now_s"].as_u64().unwrap();
    let mut planned = drain(&json!({ "datacenter": "fra" }));
    planned["at_s"] = json!(now_s + 5);
    add(&server, &planned);
    let mut up = drain(&json!({ "datacenter": "fra", "wip": SHOP }));
    up["kind"] = json!("force-up");
    add(&server, &up);
    std::thread::sleep(Duration::from_secs(3));
    let body = json!({ "target": { "datacenter": "fra", "wip": SHOP } });
    assert_eq!(server.post("/api/v1/overrides/clear", &body).0, 200);
    until("it begins", || server.ask(SHOP) == IAD);
    let page = server.overrides();
    let drained_at_s = page["overrides"][0]["drained_at_s"].as_u64().unwrap();
    assert!((now_s + 63..=now_s + 65).contains(&drained_at_s), "{now_s} {page}");
}

#[test]
fn what_time_brought_is_written_as_soon_as_the_disk_takes_it() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n"));
    let server = Server::start(&place);
    let mut planned = drain(&json!({ "datacenter": "fra" }));
    planned["at_s"] = json!(server.overrides()["now_s"].as_u64().unwrap() + 2);
    add(&server, &planned);
    let aside = place.state().join("overrides.json.new");
    fs::create_dir(&aside).unwrap();
    until("it begins", || server.ask(SHOP) == IAD);
    let kept = || fs::read_to_string(place.state().join("overrides.json")).unwrap();
    assert!(kept().contains("\"planned\""), "{}", kept());
    fs::remove_dir(&aside).unwrap();
    until("it is kept", || kept().contains("\"in-force\""));
}

#[test]
fn counts_are_the_same_whatever_is_laid_over_and_loaded() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\n"));
    let server = Server::start(&place);
    let counted = || {
        let metrics = server.request("GET", "/metrics", "").unwrap().1;
        let lines = metrics.lines().filter(|line| line.starts_with("windrose_wip_"));
        lines
            .filter(|line| line.contains("{") && line.contains("_total"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for _ in 0..7 {
        assert_eq!(server.ask(SHOP), FRA);
    }
    let before = counted();
    assert!(before.iter().any(|line| line.ends_with(" 7")), "{before:?}");
    add(&server, &drain(&json!({ "datacenter": "fra" })));
    assert_eq!(counted(), before);
    assert_eq!(server.request("POST", "/api/v1/reload", "").unwrap().0, 200);
    assert_eq!(counted(), before);
    assert_eq!(server.ask(SHOP), IAD);
    assert_ne!(counted(), before);
}

//------------ The command line -----------------------------------------------

#[test]
fn several_servers_take_a_change_all_or_none() {
    let both = format!("[wip.\"{SHOP}\"]\nttl = \"2s\"\nttl_min = \"1s\"\n");
    let one_place = Place::new(&both);
    let one = Server::start(&one_place);
    let place =
        Place::new(&format!("{both}[wip.\"solo.gslb.example.com\"]\nmembers = [\"fra\"]\n"));
    let other = Server::start(&place);
    let (first, second) = (one.url(), other.url());
    let servers = format!("{first},{second}");
    let run = |arguments: &[&str]| {
        let output = windrose(&[arguments, &["--server", &servers]].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let all = ["drain", "--datacenter", "fra", "--reason", "a test"];
    let (code, said) = run(&all);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nothing was changed on any server"), "{said}");
    assert!(said.contains(&format!("{first}: would take it (1 member of 1 WIP)")), "{said}");
    assert!(said.contains(&format!("{second}: REFUSED: ")), "{said}");
    assert!(said.contains("solo.gslb.example.com"), "{said}");
    assert_eq!((one.ask(SHOP).as_str(), other.ask(SHOP).as_str()), (FRA, FRA));
    assert_eq!(one.overrides()["revision"], 0);

    let shop = ["drain", "--datacenter", "fra", "--wip", SHOP, "--reason", "a test"];
    let (code, said) = run(&shop);
    assert_eq!(code, 0, "{said}");
    assert_eq!((one.ask(SHOP).as_str(), other.ask(SHOP).as_str()), (IAD, IAD));
    let (code, said) = run(&["clear", "--datacenter", "fra", "--wip", SHOP]);
    assert_eq!((code, one.ask(SHOP).as_str(), other.ask(SHOP).as_str()), (0, FRA, FRA), "{said}");

    // One fails after all had agreed.
    let aside = place.state().join("overrides.json.new");
    fs::create_dir(&aside).unwrap();
    let (code, said) = run(&shop);
    assert_eq!((code, one.ask(SHOP).as_str(), other.ask(SHOP).as_str()), (1, IAD, FRA), "{said}");
    let differ = format!("THE SERVERS DIFFER: changed on {first}; not, or not surely, on {second}");
    assert!(said.contains(&differ), "{said}");
    fs::remove_dir(&aside).unwrap();
    assert_eq!(run(&shop).0, 0, "said again it is everywhere");
    assert_eq!((one.ask(SHOP).as_str(), other.ask(SHOP).as_str()), (IAD, IAD));
    assert_eq!(run(&["clear", "--datacenter", "fra", "--wip", SHOP]).0, 0);

    // One is dead.
    drop(other);
    let (code, said) = run(&shop);
    assert_eq!((code, one.ask(SHOP).as_str()), (1, FRA), "{said}");
    assert!(said.contains("NOT REACHED") && said.contains("--even-if-unreachable"), "{said}");
    let (code, said) = run(&[&shop[..], &["--even-if-unreachable"]].concat());
    assert_eq!((code, one.ask(SHOP).as_str()), (0, IAD), "{said}");
    assert!(said.contains(&format!("NOT on {second}: ")), "{said}");
    // It may go on answering: nobody may take the datacenter away yet.
    let waiting = [&shop[..], &["--even-if-unreachable", "--wait"]].concat();
    let (code, said) = run(&waiting);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("NOT drained: {second} could not be told")), "{said}");
    let (code, said) = run(&[&waiting[..], &["--json"]].concat());
    assert!(code == 1 && said.contains("\"drained\": false"), "{said}");
    let (code, said) = run(&["overrides", "--json"]);
    assert_eq!(code, 1, "one of them cannot be asked: {said}");
}

#[test]
fn a_drain_that_waits_returns_when_no_answer_is_valid_any_more() {
    let place = Place::new(&format!("[wip.\"{SHOP}\"]\nttl = \"2s\"\nttl_min = \"1s\"\n"));
    let server = Server::start(&place);
    let url = server.url();
    let run = |arguments: &[&str]| windrose(&[arguments, &["--server", &url]].concat());
    let begun = Instant::now();
    let drain = ["drain", "--datacenter", "fra", "--reason", "a test"];
    let output = run(&[&drain[..], &["--wait", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&reply["done"], &reply["drained"]), (&json!(true), &json!(true)), "{reply}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    let said = &reply["servers"][0]["done"];
    assert_eq!(said["drained_at_s"].as_u64().unwrap() - said["now_s"].as_u64().unwrap(), 3);
    assert_eq!(run(&["clear", "--datacenter", "fra"]).status.code(), Some(0));
    // A planned one is waited for too, and one that is cleared meanwhile is no success.
    let waiting = std::thread::scope(|scope| {
        let planned = [&drain[..], &["--at", "2s", "--wait"]].concat();
        let waiting = scope.spawn(move || run(&planned));
        until("it is planned", || targets_of(&server.overrides(), "datacenter") == ["fra"]);
        until("it has begun", || server.ask(SHOP) == IAD);
        let first = waiting.join().unwrap();
        let planned = [&drain[..], &["--at", "60s", "--wait"]].concat();
        let waiting = scope.spawn(move || run(&planned));
        until("it is planned", || {
            server.overrides()["overrides"][0]["phase"] == "announced"
                || server.overrides()["overrides"][0]["phase"] == "planned"
        });
        assert_eq!(run(&["clear", "--datacenter", "fra"]).status.code(), Some(0));
        (first, waiting.join().unwrap())
    });
    let (first, second) = waiting;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stdout).contains("drained: no answer"), "{}", text(&first.stdout));
    assert_eq!(second.status.code(), Some(1), "{}", text(&second.stdout));
    assert!(text(&second.stderr).contains("the override is no more"), "{}", text(&second.stderr));
}

//------------ Places and servers ---------------------------------------------

/// A directory with a config, where servers start one after another.
struct Place {
    directory: tempfile::TempDir,
    port: u16,
    admin: u16,
}

impl Place {
    /// Two sites in order, and what a test adds.
    fn new(more: &str) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let state = directory.path().join("state");
        let config = format!(
            "[server]\nlisten = [\"127.0.0.1:{port}\"]\nworkers = 1\nstate_dir = {state:?}\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [zone.\"gslb.example.com\"]\nnameservers = [\"ns1.example.com\"]\n\
             hostmaster = \"hostmaster@example.com\"\n\
             [datacenter.fra]\nvip = \"{FRA}\"\n[datacenter.iad]\nvip = \"{IAD}\"\n\
             [wip_defaults]\nmembers = [\"fra\", \"iad\"]\npolicy = \"failover\"\n{more}"
        );
        fs::write(directory.path().join("windrose.toml"), config).unwrap();
        Place { directory, port, admin }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("windrose.toml")
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Every line of the audit log, each of which is whole.
    fn audit_lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("audit.log")).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is not whole");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The revision, and the WIPs that are overridden, as the audit log tells of them.
    fn audited(&self) -> (u64, BTreeSet<usize>) {
        let lines = self.audit_lines();
        let mut told: Vec<&Value> = Vec::new();
        for line in &lines {
            match line["outcome"].as_str().unwrap() {
                "accepted" => told.push(line),
                "failed" => told.retain(|earlier| earlier["revision"] != line["revision"]),
                other => assert_eq!(other, "refused"),
            }
        }
        let mut wips = BTreeSet::new();
        for line in &told {
            for before in line["before"].as_array().unwrap() {
                wips.remove(&number(before["target"]["wip"].as_str().unwrap()));
            }
            for after in line["after"].as_array().unwrap() {
                wips.insert(number(after["target"]["wip"].as_str().unwrap()));
            }
        }
        (told.last().map_or(0, |line| line["revision"].as_u64().unwrap()), wips)
    }
}

struct Server {
    child: Option<Child>,
    port: u16,
    admin: u16,
    log: tempfile::TempDir,
}

impl Server {
    /// Starts it and waits until it can be operated. A file that grows too long is an
    /// error to it, not its end.
    fn start(place: &Place) -> Server {
        let log = tempfile::tempdir().unwrap();
        let file = fs::File::create(log.path().join("log")).unwrap();
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" serve --config \"$1\""])
            .arg(env!("CARGO_BIN_EXE_windrose"))
            .arg(place.config())
            .stdin(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        let (port, admin) = (place.port, place.admin);
        let server = Server { child: Some(child), port, admin, log };
        until("it answers", || {
            server.request("GET", "/healthz", "").is_some_and(|(status, _)| status == 200)
        });
        server
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log.path().join("log")).unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// Its files may have so many bytes; none: any.
    fn limit_files_to(&self, length: Option<u64>) {
        prlimit(Some(self.pid()), Resource::Fsize, Rlimit { current: length, maximum: None })
            .unwrap();
    }

    fn kill_after(&self, wait: Duration) -> std::thread::JoinHandle<()> {
        let pid = self.pid();
        std::thread::spawn(move || {
            std::thread::sleep(wait);
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        })
    }

    fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
        }
        self.reap();
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    fn overrides(&self) -> Value {
        let (status, body) = self.request("GET", "/api/v1/overrides", "").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.try_post(path, body).expect("the server lives")
    }

    fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let (status, body) = self.request("POST", path, &body.to_string())?;
        Some((status, serde_json::from_str(&body).ok()?))
    }

    /// None where the server ends before it has answered whole.
    fn request(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin)).ok()?;
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
    }

    /// The address that a name has.
    fn ask(&self, name: &str) -> String {
        let mut query = vec![0x17, 0x2a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(label.len() as u8);
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, 1, 0, 1]);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(WITHIN)).unwrap();
        socket.connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        socket.send(&query).unwrap();
        let mut reply = vec![0; 4_096];
        let length = socket.recv(&mut reply).unwrap();
        let reply = message::read(&reply[..length]).unwrap();
        let answer = reply.records.iter().filter(|record| record.section == 0);
        answer.map(|record| record.rdata.clone()).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

//------------ Tools ----------------------------------------------------------

fn drain(target: &Value) -> Value {
    json!({ "kind": "drain", "target": target, "reason": "a test", "actor": "test" })
}

/// The last word of a problem's type.
fn kind(problem: &Value) -> &str {
    problem["type"].as_str().unwrap().rsplit(':').next().unwrap()
}

fn targets(page: &Value) -> Vec<String> {
    targets_of(page, "wip")
}

fn targets_of(page: &Value, part: &str) -> Vec<String> {
    let overrides = page["overrides"].as_array().unwrap();
    overrides.iter().map(|one| one["target"][part].as_str().unwrap().to_owned()).collect()
}

/// 7 of "w7.gslb.example.com"; any other name is a number of its own.
fn number(wip: &str) -> usize {
    let digits = wip.trim_start_matches('w').split('.').next().unwrap();
    digits.parse().unwrap_or_else(|_| wip.len() * 1_000 + usize::from(wip.as_bytes()[0]))
}

fn toggle(drained: &mut BTreeSet<usize>, wip: usize) {
    if !drained.remove(&wip) {
        drained.insert(wip);
    }
}

fn windrose(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_windrose"))
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("WINDROSE_SERVER")
        .env_remove("WINDROSE_CONFIG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A port free for UDP and TCP on 127.0.0.1, as far as can be known.
fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Looks until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}
