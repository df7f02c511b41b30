//! What the commands print, seen from outside: the program itself is run.

#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn windrose(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windrose"));
    command.args(arguments).env_clear().current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = windrose(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

const CONFIG: &str = "config/minimal.toml";
const WIP: &str = "shop.gslb.example.com";

#[test]
fn check_counts_what_it_found() {
    let text = printed(&["check", "--config", CONFIG]);
    let counts = "1 zone, 1 WIP, 2 datacenters, 2 distinct probes (0.4 per second)";
    assert_eq!(text, format!("{CONFIG}: good. {counts}\n"));
}

#[test]
fn check_of_nothing_to_probe_says_none() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = printed(&["check", "--config", file.path().to_str().unwrap()]);
    assert!(text.ends_with("0 distinct probes (0.0 per second)\n"), "{text}");
}

#[test]
fn explain_of_a_config_needs_no_server_even_where_one_is_usual() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windrose"));
    command.args(["explain", "--config", CONFIG, WIP]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.env("WINDROSE_SERVER", "http://192.0.2.1:8053").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn explain_decides_addresses_alone() {
    let explain = |kind| printed(&["explain", "--config", CONFIG, "--type", kind, WIP]);
    assert!(explain("A").contains("decision fra (stage: available)"));
    let text = explain("MX");
    assert!(text.contains("name     a WIP, which does not decide MX\n"), "{text}");
    assert!(!text.contains("decision"), "{text}");
}

#[test]
fn failures_say_why_and_exit_with_1_wrong_usage_with_2() {
    for (arguments, status, reason) in [
        (vec!["check", "--config", "missing.toml"], 1, "missing.toml is not there"),
        (vec!["explain", "--config", CONFIG, "a..b"], 1, "a label is empty"),
        (vec!["explain", "--config", CONFIG, "--type", "FOO", WIP], 1, "\"FOO\" is no record type"),
        (vec!["explain", "--config", CONFIG, "--down", "mars", WIP], 1, "there are fra, iad"),
        (vec!["status", "--server", "http://127.0.0.1:1"], 1, "no server at http://127.0.0.1:1"),
        (vec!["serve", "--fast"], 2, "unexpected argument '--fast'"),
    ] {
        let output = windrose(&arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(reason), "{arguments:?}: {errors}");
    }
}

/// A newcomer ends the demo with Ctrl-C: nothing is left behind.
#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_windrose"))
        .args(["demo", "--port", "5360", "--admin-port", "8360"])
        .env("TMPDIR", directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("(failover) →")), "the demo says nothing");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let interrupt = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert!(demo.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_static_record_in_a_wips_way_is_shown_with_the_wip() {
    let dir = tempfile::tempdir().unwrap();
    let zone = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns.example.net.\n\n\
        shop TXT ( \"a\"\n  \"b\" )\nshop HTTPS 1 . alpn=h2\n_http._tcp.shop SRV 0 0 80 shop\n";
    std::fs::write(dir.path().join("zone"), zone).unwrap();
    let config = "[zone.\"example.com\"]\nfile = \"zone\"\nrecords = [\"x TXT y\", \"cdn 60 TXT y\"]\n\
        [datacenter.a]\nvip = \"192.0.2.1\"\n[wip_defaults]\nmembers = [\"a\"]\n\
        [wip.\"shop.example.com\"]\nhttps = true\nsvcb = true\nsrv = { \"_http._tcp\" = { port = 80 } }\n\
        [wip.\"cdn.example.com\"]\nmembers = [{ cname = \"c.example.net\" }]\n\
        [wip.\"example.com\"]\nmembers = [{ cname = \"c.example.net\" }]\n\
        [wip.\"*.w.example.com\"]\nsrv = { \"_http._tcp\" = { port = 80 } }\n";
    let check = |config: &str| {
        let path = dir.path().join("windrose.toml");
        std::fs::write(&path, config).unwrap();
        let output = windrose(&["check", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = check(config);
    for expected in [
        "`srv` makes a record where one of type SRV stands",
        "zone:8:1",
        "`srv` needs a name of its own, and this is a wildcard",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // Zones are made once what they are made of is right.
    let said = check(&config.replace("srv = { \"_http._tcp\" = { port = 80 } }", ""));
    for expected in [
        "shop.example.com: `https` and a static record both say its HTTPS record",
        "zone:7:1",
        "cdn.example.com: static records of type TXT stand beside members that are names",
        "\"cdn 60 TXT y\"",
        "example.com: a zone's apex cannot be a CNAME, as its members are",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("svcb"), "{said}");
}
