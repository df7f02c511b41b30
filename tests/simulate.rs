//! `simulate` and `diff` with the real binary: from a file, between two files, and asked of
//! a running server, which goes on answering as before.

#![allow(clippy::unwrap_used)] // a panic is a failed test

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for a server to be there.
const WITHIN: Duration = Duration::from_secs(20);
const SITES: &str = "[zone.\"gslb.example.com\"]\nnameservers = [\"ns1.example.com\"]\n\
    hostmaster = \"hostmaster@example.com\"\n\
    [datacenter.fra]\nvip = \"127.0.31.1\"\nlocation = { country = \"DE\" }\n\
    [datacenter.iad]\nvip = \"127.0.31.2\"\nlocation = { country = \"US\" }\n\
    [wip_defaults]\nmembers = [\"fra\", \"iad\"]\n";
const WIPS: &str = "[wip.\"shop.gslb.example.com\"]\n\
    [wip.\"ledger.gslb.example.com\"]\npolicy = \"failover\"\n\
    [wip.\"turn.gslb.example.com\"]\npolicy = \"round-robin\"\n\
    [wip.\"solo.gslb.example.com\"]\nmembers = [\"fra\"]\n";

/// Files of one test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windrose"));
        command.args(arguments).env_clear().current_dir(self.0.path()).output().unwrap()
    }

    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.printed(arguments)).unwrap()
    }
}

/// A name's entry.
fn moves<'a>(simulation: &'a Value, wip: &str) -> &'a Value {
    let name = format!("{wip}.gslb.example.com");
    let listed = simulation["wips"].as_array().unwrap();
    listed
        .iter()
        .find(|moves| moves["wip"] == name)
        .unwrap_or_else(|| panic!("{name} is not listed"))
}

#[test]
fn a_file_is_simulated_with_all_up() {
    let place = Place::new();
    place.write("windrose.toml", &format!("{SITES}{WIPS}"));
    let told = place.json(&["simulate", "--config", "windrose.toml", "--down", "fra", "--json"]);
    assert_eq!((&told["wips_total"], &told["wips_lost"]), (&json!(4), &json!(1)));
    assert_eq!(moves(&told, "ledger")["moved"], json!(1.0));
    assert_eq!(moves(&told, "turn")["moved"], json!(0.5));
    let shop = &moves(&told, "shop")["moved"].as_f64().unwrap();
    assert!((0.1..0.9).contains(shop), "{shop}");
    // It fails open: nobody moves, and it is lost all the same.
    assert_eq!(moves(&told, "solo")["change"], json!("lost"));
    assert_eq!(moves(&told, "solo")["moved"], json!(0.0));
    // Drained, it is the better last resort, and no loss.
    let told = place.json(&["simulate", "--config", "windrose.toml", "--drain", "fra", "--json"]);
    assert_eq!((&told["wips_moved"], &told["wips_lost"]), (&json!(3), &json!(0)));
    let text = place.printed(&["simulate", "--config", "windrose.toml", "--down", "fra"]);
    for line in ["answers of 3 of 4 WIPs move", "  fra → iad ", "ONLY A LAST RESORT is left"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_weights_file_takes_the_place_of_the_address_space() {
    let place = Place::new();
    place.write("windrose.toml", &format!("{SITES}{WIPS}"));
    place.write("weights", "# per day\n10.0.0.0/8 30\n192.168.0.0/16 10 # of no known place\n");
    let ask = ["simulate", "--config", "windrose.toml", "--down", "fra", "--json", "--weights"];
    let told = place.json(&[&ask[..], &["weights"]].concat());
    assert_eq!(told["measure"], json!("weights"));
    // Clients of no known place have the order of the config.
    assert_eq!(moves(&told, "shop")["moved"], json!(1.0));
    place.write("weights", "10.0.0.0/8 30\n10.0.0.0/33 1\n");
    let output = place.run(&[&ask[..], &["weights"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("weights: line 2: \"10.0.0.0/33\" is no network"), "{errors}");
}

#[test]
fn a_diff_of_two_files_says_what_moves() {
    let place = Place::new();
    place.write("old.toml", &format!("{SITES}{WIPS}"));
    let new = WIPS.replace("\"failover\"", "\"failover\"\nmembers = [\"iad\", \"fra\"]");
    place.write("new.toml", &format!("{SITES}{}", new.replace("turn", "turns")));
    let told = place.json(&["diff", "old.toml", "new.toml", "--json"]);
    assert_eq!((&told["names_added"], &told["names_removed"]), (&json!(1), &json!(1)));
    assert_eq!(
        moves(&told, "ledger")["flows"],
        json!([{"from": "fra", "to": "iad", "share": 1.0}])
    );
    assert_eq!(moves(&told, "turns")["change"], json!("added"));
    assert_eq!(moves(&told, "turn")["change"], json!("removed"));
    let same = place.printed(&["diff", "old.toml", "old.toml"]);
    assert!(same.starts_with("answers of 0 of 4 WIPs move\n0.0 % of client networks"), "{same}");
    place.write("bad.toml", "[wip.\"x\"]\nwrong = 1\n");
    let output = place.run(&["diff", "old.toml", "bad.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bad.toml:2"));
    assert_eq!(place.run(&["simulate"]).status.code(), Some(2), "nothing to simulate");
}

/// Members that nobody checks share one verdict: thinking one site down must not take the
/// others with it.
#[test]
fn explain_thinks_one_site_down_and_no_other() {
    let place = Place::new();
    place.write("windrose.toml", &format!("{SITES}{WIPS}"));
    let ask = ["explain", "--config", "windrose.toml", "ledger.gslb.example.com", "--down"];
    let text = place.printed(&[&ask[..], &["fra"]].concat());
    assert!(text.contains("decision iad (stage: available)"), "{text}");
    let text = place.printed(&[&ask[..], &["iad"]].concat());
    assert!(text.contains("decision fra (stage: available)"), "{text}");
}

//------------ A running server -----------------------------------------------

struct Server {
    child: Child,
    admin: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(place: &Place) -> Server {
        let (port, admin) = (free_port(), free_port());
        let head = format!(
            "[server]\nlisten = [\"127.0.0.1:{port}\"]\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n"
        );
        let path = place.write("windrose.toml", &format!("{head}{SITES}{WIPS}"));
        let child = Command::new(env!("CARGO_BIN_EXE_windrose"))
            .args(["serve", "--config"])
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, admin };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", admin)).is_err() {
            assert!(started.elapsed() < WITHIN, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn simulate(&self, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        write!(
            stream,
            "POST /api/v1/simulate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}")))
    }
}

#[test]
fn a_running_server_simulates_and_refuses_what_makes_no_sense() {
    let place = Place::new();
    let server = Server::start(&place);
    let (status, told) = server.simulate(r#"{"down": ["fra"]}"#);
    assert_eq!((status, &told["wips_total"]), (200, &json!(4)), "{told}");
    assert_eq!(moves(&told, "ledger")["moved"], json!(1.0));
    let shop =
        r#"{"overrides": [{"kind": "drain", "target": {"datacenter": "fra", "wip": "shop.*"}}]}"#;
    let (status, told) = server.simulate(shop);
    assert_eq!((status, &told["wips_moved"]), (200, &json!(1)), "{told}");
    assert_eq!(told["wips"][0]["wip"], json!("shop.gslb.example.com"));
    let (status, told) = server.simulate(r#"{"down": ["fra"], "limit": 1}"#);
    assert_eq!((status, told["wips"].as_array().unwrap().len()), (200, 1));
    let weights = vec![json!({"network": "10.0.0.0/8", "weight": 1.0}); 1_001];
    for (body, expected) in [
        ("{}".to_owned(), 400),
        (r#"{"down": ["mars"]}"#.to_owned(), 404),
        (r#"{"down": "fra"}"#.to_owned(), 400),
        (r#"{"dwon": ["fra"]}"#.to_owned(), 400),
        (r#"{"down": ["fra"], "limit": 1001}"#.to_owned(), 400),
        (r#"{"down": ["fra"], "weights": [{"network": "x", "weight": 1}]}"#.to_owned(), 400),
        (r#"{"down": ["fra"], "weights": [{"network": "::/0", "weight": 0}]}"#.to_owned(), 400),
        (json!({"down": ["fra"], "weights": weights}).to_string(), 400),
        (r#"{"overrides": [{"kind": "drain", "target": {}}]}"#.to_owned(), 400),
        (r#"{"overrides": [{"kind": "drain", "target": {"datacenter": "mars"}}]}"#.to_owned(), 404),
    ] {
        let (status, problem) = server.simulate(&body);
        assert_eq!(status, expected, "{body}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    }
    // The command line asks the same.
    let url = format!("http://127.0.0.1:{}", server.admin);
    let told = place.json(&["simulate", "--server", &url, "--down", "fra", "--json"]);
    assert_eq!(moves(&told, "turn")["moved"], json!(0.5));
    let output = place.run(&["simulate", "--server", &url, "--down", "mars"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("there is no datacenter \"mars\"; there are fra, iad"), "{errors}");
    // Nothing of it was done.
    let text = place.printed(&["explain", "--server", &url, "ledger.gslb.example.com"]);
    assert!(text.contains("decision fra (stage: available)"), "{text}");
}
