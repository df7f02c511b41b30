//! The real binary, with nothing else installed: it starts, answers, follows
//! health, reloads, refuses and stops. tests/interop has the same among other
//! people's programs.

#![allow(clippy::unwrap_used)] // a panic is a failed test

#[allow(dead_code)]
#[path = "dns_support/message.rs"]
mod message;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use windrose::health::saved::{KeptTarget, Saved};

/// Longest wait for anything that is to happen.
const WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

//------------ What it does ---------------------------------------------------

#[test]
fn it_answers_over_udp_and_tcp_and_ends_with_0_when_told() {
    let server = Server::start("[wip.\"shop.gslb.example.com\"]\n");
    for tcp in [false, true] {
        assert_eq!(server.ask("shop.gslb.example.com", tcp), "NOERROR 127.0.9.1");
        assert_eq!(server.ask("none.gslb.example.com", tcp), "NXDOMAIN");
        assert_eq!(server.ask("elsewhere.org", tcp), "REFUSED");
    }
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(server.get("/readyz").0, 200);
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("windrose_dns_queries_total{transport=\"tcp\",family=\"ipv4\"} 3\n"));

    let asked = Instant::now();
    server.signal("TERM");
    let (code, log) = server.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn answers_follow_a_back_end_that_stops_and_returns() {
    let fra = BackEnd::start("127.0.9.1", 0);
    let port = fra.port;
    let iad = BackEnd::start("127.0.9.2", port);
    let wip = format!(
        "[health_check.ready]\ntype = \"tcp\"\nport = {port}\ninterval = \"200ms\"\n\
         timeout = \"150ms\"\nconfirm_interval = \"100ms\"\n\
         [wip.\"shop.gslb.example.com\"]\nhealth_check = \"ready\"\n",
    );
    let server = Server::start(&wip);
    let name = "shop.gslb.example.com";
    let is = |answer: &str| server.ask(name, false) == answer;
    assert!(is("NOERROR 127.0.9.1"));
    fra.stop();
    until("fra is out", || is("NOERROR 127.0.9.2"));
    let text = server.command(&["explain", name]);
    assert!(text.contains("refused"), "{text}");
    iad.stop();
    // Failing open: the first of the order, though it is down.
    until("nobody is up", || is("NOERROR 127.0.9.1"));
    let counted = "windrose_wip_fail_open_total{wip=\"shop.gslb.example.com\"} ";
    assert!(!server.get("/metrics").1.contains(&format!("{counted}0\n")));
    let _iad = BackEnd::start("127.0.9.2", port);
    until("iad is back", || is("NOERROR 127.0.9.2"));
    let _fra = BackEnd::start("127.0.9.1", port);
    until("fra is back", || is("NOERROR 127.0.9.1"));
    assert!(server.log().contains("check is down"), "{}", server.log());
}

#[test]
fn a_reader_of_the_log_that_hangs_holds_up_nothing() {
    let fra = BackEnd::start("127.0.9.1", 0);
    let port = fra.port;
    let _iad = BackEnd::start("127.0.9.2", port);
    let wip = format!(
        "[health_check.ready]\ntype = \"tcp\"\nport = {port}\ninterval = \"200ms\"\n\
         timeout = \"150ms\"\nconfirm_interval = \"100ms\"\n\
         [wip.\"shop.gslb.example.com\"]\nhealth_check = \"ready\"\n",
    );
    // Open until the server has ended, and never read; full before it starts.
    let (_reader, log) = std::io::pipe().unwrap();
    let mut filler = log.try_clone().unwrap();
    let (filled, is_filled) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = filler.write_all(&[b'-'; 64 << 10]);
        let _ = filled.send(());
    });
    // It is smaller where many pipes are open, and the write then blocks.
    let _ = is_filled.recv_timeout(Duration::from_secs(1));
    let server = Server::start_logging_to(&wip, Some(Stdio::from(log)));
    let is = |answer: &str| server.ask("shop.gslb.example.com", false) == answer;
    assert!(is("NOERROR 127.0.9.1"));
    fra.stop();
    until("fra is out", || is("NOERROR 127.0.9.2"));
    let _fra = BackEnd::start("127.0.9.1", port);
    until("fra is back", || is("NOERROR 127.0.9.1"));
    let asked = Instant::now();
    server.signal("TERM");
    assert_eq!(server.ended().0, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}

#[test]
fn a_changed_file_is_loaded_and_a_broken_one_changes_nothing() {
    let server = Server::start("[wip.\"shop.gslb.example.com\"]\n");
    let name = "new.gslb.example.com";
    assert_eq!(server.ask(name, false), "NXDOMAIN");
    let two = "[wip.\"shop.gslb.example.com\"]\n[wip.\"new.gslb.example.com\"]\n";
    server.write(two);
    until("the new name", || server.ask(name, false) == "NOERROR 127.0.9.1");

    server.write(&format!("{two}polcy = \"geo\"\n"));
    let refused = "windrose_config_reload_success 0\n";
    until("the refusal", || server.get("/metrics").1.contains(refused));
    assert!(server.log().contains("polcy"), "{}", server.log());
    assert_eq!(server.ask(name, false), "NOERROR 127.0.9.1");
    let output = server.run(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("polcy"), "{}", text(&output.stderr));

    // One of two names gone is too much for a change nobody vouched for.
    server.write("[wip.\"shop.gslb.example.com\"]\n");
    until("it is held", || server.log().contains("1 of 2 WIPs"));
    assert_eq!(server.ask(name, false), "NOERROR 127.0.9.1");
    server.signal("HUP");
    until("SIGHUP vouches", || server.ask(name, false) == "NXDOMAIN");
    assert!(server.get("/metrics").1.contains("windrose_config_reload_success 1\n"));
}

#[test]
fn a_file_that_its_writer_has_not_closed_is_not_loaded() {
    let server = Server::start("[wip.\"shop.gslb.example.com\"]\n");
    let whole = fs::read_to_string(&server.path).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&server.path).unwrap();
    // What stands there so far is a config, and not the one that is meant.
    file.write_all(b"[wip.\"half.gslb.example.com\"]\n").unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(server.ask("half.gslb.example.com", false), "NXDOMAIN");
    file.set_len(whole.len() as u64).unwrap();
    file.write_all(b"[wip.\"new.gslb.example.com\"]\n").unwrap();
    drop(file);
    until("it is loaded", || server.ask("new.gslb.example.com", false) == "NOERROR 127.0.9.1");
    assert_eq!(server.ask("half.gslb.example.com", false), "NXDOMAIN");
    assert_eq!(server.log().matches("config loaded").count(), 1, "{}", server.log());
}

#[test]
fn files_of_a_refused_config_are_watched_too() {
    let server = Server::start("[wip.\"a.gslb.example.com\"]\n[wip.\"b.gslb.example.com\"]\n");
    let path = |name: &str| server.directory.path().join(name);
    let wip = |name: &str| format!("[wip.\"{name}.gslb.example.com\"]\n");
    let is_served =
        |name: &str| server.ask(&format!("{name}.gslb.example.com"), false) == "NOERROR 127.0.9.1";
    let main = config(server.port, server.admin, "");
    // Held back, because half of the WIPs would be gone.
    fs::write(path("wips.toml"), wip("a")).unwrap();
    server.write_whole(&format!("include = [\"wips.toml\"]\n{main}"));
    until("half of the WIPs are gone", || server.log().contains("1 of 2 WIPs"));
    assert!(is_served("b"));
    fs::write(path("wips.toml"), ["a", "b", "new"].map(wip).concat()).unwrap();
    until("it is whole", || is_served("new"));

    // Refused, because one file is not there.
    server.write_whole(&format!("include = [\"wips.toml\", \"more.toml\"]\n{main}"));
    until("there is no such file", || server.log().contains("more.toml"));
    assert!(!is_served("more"));
    fs::write(path("more.toml"), wip("more")).unwrap();
    until("it is there", || is_served("more"));
}

#[test]
fn a_directory_that_was_replaced_is_watched_as_the_one_before() {
    let server = Server::start("");
    let path = |name: &str| server.directory.path().join(name);
    let wip = |name: &str| format!("[wip.\"{name}.gslb.example.com\"]\n");
    let is_served =
        |name: &str| server.ask(&format!("{name}.gslb.example.com"), false) == "NOERROR 127.0.9.1";
    fs::create_dir(path("wips.d")).unwrap();
    fs::write(path("wips.d/w.toml"), wip("first")).unwrap();
    let main = config(server.port, server.admin, "");
    server.write_whole(&format!("include = [\"wips.d/*.toml\"]\n{main}"));
    until("the first directory", || is_served("first"));

    fs::create_dir(path("next.d")).unwrap();
    fs::write(path("next.d/w.toml"), wip("first") + &wip("second")).unwrap();
    fs::rename(path("wips.d"), path("old.d")).unwrap();
    fs::rename(path("next.d"), path("wips.d")).unwrap();
    until("the second directory", || is_served("second"));

    // That a file is open is known from notices alone: so there are some.
    let mut file = fs::OpenOptions::new().append(true).open(path("wips.d/w.toml")).unwrap();
    file.write_all(wip("half").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert!(!is_served("half"));
    drop(file);
    until("it is closed", || is_served("half"));
}

#[test]
fn status_and_explain_speak_json() {
    let server = Server::start("[wip.\"shop.gslb.example.com\"]\n");
    let status: serde_json::Value =
        serde_json::from_str(&server.command(&["status", "--json"])).unwrap();
    assert_eq!(status["config"]["wips"], 1);
    assert_eq!(status["not_ready"], serde_json::Value::Null);
    let text = server.command(&["explain", "shop.gslb.example.com", "--json"]);
    let online: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(online["reply"]["answer"][0], "shop.gslb.example.com 30 IN A 127.0.9.1");
    let path = server.path.to_str().unwrap();
    let offline = windrose(&["explain", "shop.gslb.example.com", "--config", path, "--json"]);
    let offline: serde_json::Value = serde_json::from_slice(&offline.stdout).unwrap();
    assert_eq!(offline["reply"], online["reply"]);
}

#[test]
fn the_log_level_is_set_while_it_runs_and_goes_back_by_itself() {
    let server = Server::start("[wip.\"shop.gslb.example.com\"]\n");
    assert_eq!(server.command(&["log"]), "info, the default\n");
    let set = server.command(&["log", "windrose=debug", "--for", "1s"]);
    assert!(set.starts_with("windrose=debug, set by an operator for "), "{set}");
    until("it goes back", || server.command(&["log"]) == "info, the default\n");
    // Both are said, at whatever level.
    until("its end is logged", || server.log().contains("is what is configured again"));
    assert!(server.log().contains("log level set over the admin listener"));

    let bad = server.run(&["log", "loud"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("\"loud\" is not a log level"), "{}", text(&bad.stderr));
    assert!(server.command(&["log", "warn"]).contains("until the server ends"));
    assert_eq!(server.command(&["log", "config"]), "info, the default\n");
}

#[test]
fn a_support_bundle_has_what_is_needed_and_no_secret() {
    let place = tempfile::tempdir().unwrap();
    let secret = place.path().join("secret");
    fs::write(&secret, "hunter2-secret-file\n").unwrap();
    let server = Server::start(&format!(
        "# hunter2-comment\n[health_check.web]\ntype = \"http\"\nport = 1\n\
         path = \"/ready?key=hunter2-query\"\n\
         headers = {{ Authorization = \"Bearer hunter2-header\" }}\n\
         [health_check.login]\ntype = \"tcp\"\nport = 1\nsend = \"AUTH hunter2-send\\r\\n\"\n\
         [webhook.oncall]\nevents = [\"check\"]\n\
         url = \"http://me:hunter2-user@127.0.0.1:1/hunter2-path?key=hunter2-key\"\n\
         secret_file = \"{}\"\nheaders = {{ X-Api-Key = \"hunter2-webhook\" }}\n\
         [wip.\"shop.gslb.example.com\"]\nhealth_check = [\"web\", \"login\"]\n",
        secret.display()
    ));
    server.command(&["log", "trace,notify=info"]);
    until("deliveries fail", || server.log().contains("the webhook fails"));
    let unpacked = |arguments: &[&str], name: &str| {
        let file = place.path().join(format!("{name}.tar.gz"));
        let said = server
            .run(&[&["support-bundle", "--output", file.to_str().unwrap()], arguments].concat());
        assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
        let directory = place.path().join(name);
        fs::create_dir(&directory).unwrap();
        let tar = Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(&directory).status();
        assert!(tar.unwrap().success());
        let all = Command::new("grep").args(["-r", ""]).arg(&directory).output().unwrap();
        text(&all.stdout)
    };
    let whole = unpacked(&[], "running");
    assert!(!whole.contains("hunter2"), "{}", &whole[whole.find("hunter2").unwrap() - 200..]);
    for part in [
        "status.json",
        "checks.json",
        "metrics.txt",
        "events.jsonl",
        "log.txt",
        "host.txt",
        "state.txt",
        "webhooks.json",
        "log-level.json",
        "last_result",
        "Authorization",
        "windrose_dns_queries_total",
        "/ready?[redacted]",
        "config_loaded",
        "udp-",
    ] {
        assert!(whole.contains(part), "{part}");
    }
    let config = server.path.to_str().unwrap();
    let stopped = unpacked(&["--config", config], "stopped");
    assert!(!stopped.contains("hunter2") && stopped.contains("Authorization"), "{stopped}");
    fs::write(&server.path, "headers = \"hunter2-broken\n").unwrap();
    let broken = unpacked(&["--config", config], "broken");
    assert!(!broken.contains("hunter2") && broken.contains("not TOML"), "{broken}");
}

#[test]
fn a_lost_member_is_seen_in_checks_events_and_metrics() {
    let fra = BackEnd::start("127.0.9.1", 0);
    let port = fra.port;
    let _iad = BackEnd::start("127.0.9.2", port);
    let check = format!(
        "[health_check.ready]\ntype = \"tcp\"\nport = {port}\ninterval = \"200ms\"\n\
         timeout = \"150ms\"\nconfirm_interval = \"100ms\"\n",
    );
    // Two WIPs that share their probes.
    let wip = |name: &str| format!("[wip.\"{name}.gslb.example.com\"]\nhealth_check = \"ready\"\n");
    let server = Server::start(&(check + &wip("shop") + &wip("mail")));
    let mut follower = Command::new(env!("CARGO_BIN_EXE_windrose"))
        .args(["events", "--kept", "--json", "--server"])
        .arg(format!("http://127.0.0.1:{}", server.admin))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    fra.stop();
    let mut seen = Vec::new();
    for line in BufReader::new(follower.stdout.take().unwrap()).lines() {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let is_last = event["event"] == "available" && event["address"] == "127.0.9.1";
        seen.push(event);
        if is_last {
            break;
        }
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert_eq!((&seen[0]["event"], &seen[0]["generation"]), (&"config_loaded".into(), &1.into()));
    let [down, lost] = &seen[seen.len() - 2..] else { panic!("{seen:?}") };
    assert_eq!((&down["to"], &down["reason"]), (&"down".into(), &"refused".into()), "{down}");
    assert_eq!((&lost["available"], &lost["wip"]), (&false.into(), &down["wip"]), "{lost}");
    assert_eq!(server.ask("shop.gslb.example.com", false), "NOERROR 127.0.9.2");

    for wip in ["shop", "mail"] {
        let name = format!("{wip}.gslb.example.com");
        let list = ["status", "--checks", "--wip", &name, "--state", "down", "--json"];
        let page: serde_json::Value = serde_json::from_str(&server.command(&list)).unwrap();
        assert_eq!(page["total"], 1, "{page}");
        let check = &page["checks"][0];
        assert_eq!((&check["member"], &check["datacenter"]), (&"fra".into(), &"fra".into()));
        assert_eq!((&check["state"], &check["last_failure"]), (&"down".into(), &"refused".into()));
        assert!(check["failed"]["refused"].as_u64().unwrap() >= 3, "{check}");
        assert_eq!(check["transitions"]["down"], 1, "{check}");
        assert!(check["next_probe_ms"].as_u64().unwrap() <= 300, "{check}");
    }
    let nobody = server.run(&["status", "--checks", "--wip", "nobody.example"]);
    assert!(text(&nobody.stderr).contains("there is no WIP"), "{}", text(&nobody.stderr));
    let listed = server.command(&["status", "--checks", "--member", "fra"]);
    assert!(listed.contains("  DOWN ") && listed.contains("refused: "), "{listed}");
    let counted = "windrose_health_targets{check=\"ready\",state=\"down\"} 1\n";
    until("the count", || server.get("/metrics").1.contains(counted));
    assert!(server.command(&["status"]).contains("probes: 1 up, 1 down, 0 unknown"));
}

#[test]
fn state_survives_kills_and_is_whole_after_each() {
    let fra = BackEnd::start("127.0.9.1", 0);
    let port = fra.port;
    let _iad = BackEnd::start("127.0.9.2", port);
    let place = Place::with_state(&format!(
        "[health_check.ready]\ntype = \"tcp\"\nport = {port}\ninterval = \"200ms\"\n\
         timeout = \"150ms\"\nconfirm_interval = \"100ms\"\n\
         [wip.\"shop.gslb.example.com\"]\nhealth_check = \"ready\"\n",
    ));
    let name = "shop.gslb.example.com";
    // It flips while servers start, save and are killed at any moment.
    let mut fra = Some(fra);
    for round in 0..10_u64 {
        let mut server = Server::start_in(&place);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(900 + 70 * round) {
            fra = match fra {
                Some(fra) => {
                    fra.stop();
                    None
                }
                None => Some(BackEnd::start("127.0.9.1", port)),
            };
            std::thread::sleep(Duration::from_millis(350));
        }
        let mut child = server.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!server.log().contains("ignored as a whole"), "{}", server.log());
        // At first there may be none yet; what there is, is whole.
        if let Ok(bytes) = fs::read(place.directory.path().join("state/health")) {
            assert_eq!(Saved::decode(&bytes).unwrap().targets.len(), 2);
        }
    }
    if let Some(fra) = fra {
        fra.stop();
    }
    let mut server = Server::start_in(&place);
    let eligible = || place.saved().iter().filter(|target| target.machine.eligible).count();
    until("it is saved that fra is down", || eligible() == 1);
    let mut child = server.child.take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    // fra would be the first answer of a server that knows nothing.
    let server = Server::start_in(&place);
    assert_eq!(server.ask(name, false), "NOERROR 127.0.9.2");
    until("it is ready", || server.get("/readyz").0 == 200);
    assert_eq!(server.ask(name, false), "NOERROR 127.0.9.2");
    assert!(server.log().contains("health state of an earlier run"), "{}", server.log());
    assert!(!place.directory.path().join("state/health.new").exists());

    // A clean stop saves what a kill may lose.
    let _fra = BackEnd::start("127.0.9.1", port);
    until("fra is back", || server.ask(name, false) == "NOERROR 127.0.9.1");
    server.signal("TERM");
    assert_eq!(server.ended().0, Some(0));
    assert_eq!(eligible(), 2);
}

#[test]
fn a_state_directory_has_one_server() {
    let place = Place::with_state("[wip.\"shop.gslb.example.com\"]\n");
    let _first = Server::start_in(&place);
    let second = config(free_port(), free_port(), "").replace(
        "[admin]",
        &format!("state_dir = {:?}\n[admin]", place.directory.path().join("state")),
    );
    let path = place.directory.path().join("second.toml");
    fs::write(&path, second).unwrap();
    let output = windrose(&["serve", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("in use by another server (process "), "{errors}");
}

#[test]
fn a_server_that_was_stopped_and_goes_on_blames_nobody() {
    let fra = BackEnd::start("127.0.9.1", 0);
    let _iad = BackEnd::start("127.0.9.2", fra.port);
    let server = Server::start(&format!(
        "[health_check.ready]\ntype = \"tcp\"\nport = {}\ninterval = \"200ms\"\n\
         timeout = \"150ms\"\nconfirm_interval = \"100ms\"\n\
         [wip.\"shop.gslb.example.com\"]\nhealth_check = \"ready\"\n",
        fra.port
    ));
    server.signal("STOP");
    std::thread::sleep(Duration::from_secs(10));
    server.signal("CONT");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        assert_eq!(server.ask("shop.gslb.example.com", false), "NOERROR 127.0.9.1");
        std::thread::sleep(LOOK_EVERY);
    }
    assert!(server.get("/metrics").1.contains("windrose_prober_stalled 0\n"));
    let log = server.log();
    assert!(!log.contains("check is down") && !log.contains("prober is stuck"), "{log}");
}

//------------ What it refuses ------------------------------------------------

#[test]
fn exit_statuses_are_0_done_1_refused_2_usage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("windrose.toml");
    let file = path.to_str().unwrap();
    let check = || windrose(&["check", "--config", file]);
    fs::write(&path, config(53, 8053, "[wip.\"shop.gslb.example.com\"]\n")).unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("good. 1 zone, 1 WIP"), "{}", text(&output.stdout));

    let bad = "[wip.\"shop.gslb.example.com\"]\nttle = 1\n[wip.\"out.side.org\"]\n";
    fs::write(&path, config(53, 8053, bad)).unwrap();
    for command in ["check", "serve"] {
        let output = windrose(&[command, "--config", file]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let report = text(&output.stderr);
        assert!(report.contains("ttle") && report.contains("windrose.toml:"), "{report}");
    }
    let output = windrose(&["check", "--config", file, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();

    let none = directory.path().join("none.toml");
    let output = windrose(&["serve", "--config", none.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("none.toml"), "{}", text(&output.stderr));
    assert_eq!(windrose(&["serv"]).status.code(), Some(2));
    // Nobody listens there.
    let output = windrose(&["status", "--server", "http://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("windrose.toml");
    let port = taken.local_addr().unwrap().port();
    fs::write(&path, config(port, free_port(), "[wip.\"shop.gslb.example.com\"]\n")).unwrap();
    let output = windrose(&["serve", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains(&format!("127.0.0.1:{port}")) && errors.contains("in use"), "{errors}");
    let said = errors.lines().filter(|line| !line.starts_with('{'));
    assert_eq!(said.count(), 1, "besides the log: {errors}");
}

//------------ What it shows --------------------------------------------------

#[test]
fn the_demos_tour_sees_the_answers_move() {
    let (port, admin) = (free_port().to_string(), free_port().to_string());
    let output = windrose(&["demo", "--tour", "--port", &port, "--admin-port", &admin]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
    for line in ["ledger.gslb.example (failover) → 127.0.0.12 (iad)", "> start fra"] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn what_is_printed_for_people_and_editors_is_whole() {
    let default = windrose(&["config", "default"]);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/windrose.toml");
    assert_eq!(text(&default.stdout), fs::read_to_string(shipped).unwrap());
    let schema = windrose(&["config", "schema"]);
    serde_json::from_slice::<serde_json::Value>(&schema.stdout).unwrap();
    let info = windrose(&["geo", "info"]);
    assert_eq!(info.status.code(), Some(0));
    assert!(text(&info.stdout).contains("CC"), "the attribution: {}", text(&info.stdout));
}

//------------ Server ---------------------------------------------------------

/// `windrose serve` with a config of its own; killed when dropped.
struct Server {
    child: Option<Child>,
    path: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
    admin: u16,
}

/// A directory with a config, where servers start one after another.
struct Place {
    directory: tempfile::TempDir,
    port: u16,
    admin: u16,
}

impl Place {
    /// With WIPs and what they need, and a state directory, "state".
    fn with_state(wips: &str) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let state = format!("state_dir = {:?}\n[admin]", directory.path().join("state"));
        let config = config(port, admin, wips).replace("[admin]", &state);
        fs::write(directory.path().join("windrose.toml"), config).unwrap();
        Place { directory, port, admin }
    }

    /// What the state file has of each target; nothing while there is none.
    fn saved(&self) -> Vec<KeptTarget> {
        let Ok(bytes) = fs::read(self.directory.path().join("state/health")) else {
            return Vec::new();
        };
        let saved = Saved::decode(&bytes).unwrap();
        saved.targets.into_iter().map(|(_, target)| target).collect()
    }
}

impl Server {
    /// Starts it in a place that others have used before, and waits until it answers.
    fn start_in(place: &Place) -> Server {
        let path = place.directory.path().join("windrose.toml");
        // Its log is its own.
        let directory = tempfile::tempdir().unwrap();
        let (port, admin) = (place.port, place.admin);
        let child = Some(spawn(&path, directory.path(), None));
        let server = Server { child, path, directory, port, admin };
        until("it answers", || server.get("/healthz").0 == 200);
        server
    }

    /// Starts it with WIPs and what they need, and waits until it is ready.
    fn start(wips: &str) -> Server {
        Server::start_logging_to(wips, None)
    }

    /// None: to a file.
    fn start_logging_to(wips: &str, log: Option<Stdio>) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("windrose.toml");
        let (port, admin) = (free_port(), free_port());
        fs::write(&path, config(port, admin, wips)).unwrap();
        let child = spawn(&path, directory.path(), log);
        let server = Server { child: Some(child), path, directory, port, admin };
        until("it is ready", || server.get("/readyz").0 == 200);
        server
    }

    /// Puts other WIPs in the config's place, by a rename.
    fn write(&self, wips: &str) {
        self.write_whole(&config(self.port, self.admin, wips));
    }

    fn write_whole(&self, config: &str) {
        let aside = self.directory.path().join("new");
        fs::write(&aside, config).unwrap();
        fs::rename(aside, &self.path).unwrap();
    }

    /// Asks for a name's A records: the response code and the addresses.
    fn ask(&self, name: &str, tcp: bool) -> String {
        let query = query(name);
        let address = (Ipv4Addr::LOCALHOST, self.port);
        let mut reply = vec![0; 4_096];
        let length = if tcp {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(WITHIN)).unwrap();
            stream.write_all(&(query.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&query).unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let length = usize::from(u16::from_be_bytes(length));
            stream.read_exact(&mut reply[..length]).unwrap();
            length
        } else {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_read_timeout(Some(WITHIN)).unwrap();
            socket.connect(address).unwrap();
            socket.send(&query).unwrap();
            socket.recv(&mut reply).unwrap()
        };
        let reply = message::read(&reply[..length]).unwrap();
        assert_eq!(reply.id, query[..2], "another query's reply");
        let code = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]
            [usize::from(reply.rcode())];
        let answer = reply.records.iter().filter(|record| record.section == 0);
        answer.fold(code.to_owned(), |text, record| format!("{text} {}", record.rdata))
    }

    /// A page of the admin listener: status and body; status 0 while nobody listens.
    fn get(&self, path: &str) -> (u16, String) {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin)) else {
            return (0, String::new());
        };
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let status = reply.get(9..12).and_then(|digits| digits.parse().ok()).unwrap();
        (status, reply)
    }

    /// Runs a command against it.
    fn run(&self, arguments: &[&str]) -> Output {
        let url = format!("http://127.0.0.1:{}", self.admin);
        windrose(&[arguments, &["--server", &url]].concat())
    }

    /// Runs a command against it that succeeds; its standard output.
    fn command(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id();
        let command = format!("kill -{name} {pid}");
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits for its end: exit status and log.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut child = self.child.take().unwrap();
        let mut code = None;
        until("it has ended", || {
            code = child.try_wait().unwrap();
            code.is_some()
        });
        (code.and_then(|status| status.code()), self.log())
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

/// One zone, two sites in order, and what a test adds.
fn config(port: u16, admin: u16, more: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\
         [zone.\"gslb.example.com\"]\nnameservers = [\"ns1.example.com\"]\n\
         hostmaster = \"hostmaster@example.com\"\n\
         [datacenter.fra]\nvip = \"127.0.9.1\"\n[datacenter.iad]\nvip = \"127.0.9.2\"\n\
         [wip_defaults]\nmembers = [\"fra\", \"iad\"]\npolicy = \"failover\"\n{more}"
    )
}

//------------ Tools ----------------------------------------------------------

/// A TCP back end at a site's address that accepts and closes; it ends with the
/// test's process at the latest.
struct BackEnd {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl BackEnd {
    /// Listens at an address; port 0 is any.
    fn start(address: &str, port: u16) -> BackEnd {
        let listener = TcpListener::bind((address, port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                if listener.accept().is_err() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        BackEnd { port, stop, thread }
    }

    /// Refuses connections when it returns.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Starts a server whose log goes to a directory, or to `other`.
fn spawn(config: &Path, directory: &Path, other: Option<Stdio>) -> Child {
    let log = fs::File::create(directory.join("log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_windrose"))
        .args(["serve", "--config", config.to_str().unwrap()])
        .stdin(Stdio::null())
        .stderr(other.unwrap_or(log.into()))
        .spawn()
        .unwrap()
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

/// A query for a name's A records.
fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0x17, 0x2a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
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
