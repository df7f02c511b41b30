//! The real binary's admin listener over each transport (unix socket, TCP with a token, TLS),
//! asked by the real command line.

#![allow(clippy::unwrap_used)] // a panic is a failed test

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Longest wait for anything that is to happen.
const WITHIN: Duration = Duration::from_secs(20);
const NAME: &str = "shop.gslb.example.com";

struct Server {
    process: Child,
    directory: tempfile::TempDir,
    /// For `--server`; TLS is asked by the name "localhost".
    url: String,
    port: u16,
}

impl Server {
    /// Starts with these further lines in `[admin]`; `url` has `PORT` for the port.
    fn start(directory: tempfile::TempDir, admin: &str, url: &str) -> Server {
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\n[admin]\n{admin}\n\
             [zone.\"gslb.example.com\"]\nnameservers = [\"ns1.example.net\"]\n\
             hostmaster = \"hostmaster@example.net\"\n\
             [datacenter.fra]\nvip = \"127.0.9.1\"\n[datacenter.iad]\nvip = \"127.0.9.2\"\n\
             [health_check.none]\ntype = \"always\"\n\
             [wip.\"{NAME}\"]\nmembers = [\"fra\", \"iad\"]\nhealth_check = \"none\"\n"
        );
        fs::write(directory.path().join("windrose.toml"), config).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_windrose"))
            .args(["serve", "--config", "windrose.toml"])
            .env_clear()
            .current_dir(directory.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let wants_port = url.contains("PORT");
        let (mut port, mut seen) = (0, String::new());
        loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {seen}");
            seen.push_str(&line);
            if wants_port && line.contains("admin listener is up") {
                let json: serde_json::Value = serde_json::from_str(&line).unwrap();
                let address = json["address"].as_str().unwrap();
                port = address.rsplit_once(':').unwrap().1.parse().unwrap();
                break;
            }
            if !wants_port && line.contains("answering over") {
                break;
            }
        }
        // Somebody has to read on.
        std::thread::spawn(move || drop(std::io::copy(&mut log, &mut std::io::sink())));
        let url = url.replace("PORT", &port.to_string());
        Server { process, directory, url, port }
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
        let (command, rest) = arguments.split_first().unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_windrose"));
        program.arg(command);
        if *command == "limiter" {
            program.arg(rest[0]).args(["--server", &self.url]).args(&rest[1..]);
        } else {
            program.args(["--server", &self.url]).args(rest);
        }
        program.env_clear().envs(variables.iter().copied()).output().unwrap()
    }

    /// Every command that asks a server, and what it prints.
    fn battery(&self, variables: &[(&str, &Path)]) {
        for (arguments, expected) in [
            (vec!["status"], "ready"),
            (vec!["status", "--json"], "\"generation\""),
            (vec!["status", "--checks"], "iad"),
            (vec!["explain", NAME], "decision"),
            (vec!["explain", "--json", "--down", "fra", NAME], "127.0.9.2"),
            (vec!["reload"], "loaded: generation"),
            (vec!["overrides"], ""),
            (vec!["drain", "--datacenter", "fra", "--reason", "works"], "fra"),
            (vec!["overrides", "--json"], "works"),
            (vec!["clear", "--datacenter", "fra"], ""),
            (vec!["simulate", "--down", "fra"], "fra"),
        ] {
            let output = self.run(&arguments, variables);
            let (out, errors) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{} {arguments:?}: {errors}", self.url);
            assert!(out.contains(expected), "{} {arguments:?}: {out}", self.url);
        }
        for (arguments, reason) in [
            (vec!["failback"], "There is nothing to do"),
            (vec!["limiter", "release"], "There is nothing to do"),
            (vec!["explain", "--down", "mars", NAME], "there is no datacenter \"mars\""),
        ] {
            let output = self.run(&arguments, variables);
            assert_eq!(output.status.code(), Some(1), "{} {arguments:?}", self.url);
            let errors = text(&output.stderr);
            assert!(errors.contains(reason), "{} {arguments:?}: {errors}", self.url);
        }
        // Without end, so that it is followed until its first line.
        let mut follower = Command::new(env!("CARGO_BIN_EXE_windrose"))
            .args(["events", "--server", &self.url, "--kept", "--json"])
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(follower.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let _ = follower.kill();
        let _ = follower.wait();
        assert!(first.contains("\"config_loaded\""), "{} events: {first}", self.url);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn with_token() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "correct-horse-battery\n").unwrap();
    (directory, token)
}

/// An authority whose certificate stands in `ca.crt`.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    fn new(directory: &Path) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(directory.join("ca.crt"), certificate.pem()).unwrap();
        Authority(Issuer::new(params, key))
    }

    /// Writes a certificate for `name`, and its key.
    fn issue(&self, directory: &Path, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        fs::write(directory.join("admin.crt"), certificate.pem()).unwrap();
        fs::write(directory.join("admin.key"), key.serialize_pem()).unwrap();
    }
}

const TLS: &str = "listen = \"127.0.0.1:0\"\ntoken_file = \"token\"\n\
                   tls_certificate = \"admin.crt\"\ntls_key = \"admin.key\"";

#[test]
fn every_command_works_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("unix:{}/admin.sock", directory.path().display());
    let server = Server::start(directory, "listen = \"unix:admin.sock\"", &url);
    server.battery(&[]);
}

#[test]
fn every_command_works_over_tcp_with_a_token() {
    let (directory, token) = with_token();
    let admin = "listen = \"127.0.0.1:0\"\ntoken_file = \"token\"";
    let server = Server::start(directory, admin, "http://127.0.0.1:PORT");
    server.battery(&[("WINDROSE_TOKEN_FILE", &token)]);
    let without = server.run(&["status"], &[]);
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without.stderr).contains("--token-file"), "{}", text(&without.stderr));
}

#[test]
fn every_command_works_over_tls_and_a_certificate_that_is_not_right_is_told() {
    let (directory, token) = with_token();
    let authority = Authority::new(directory.path());
    authority.issue(directory.path(), "localhost");
    let ca = directory.path().join("ca.crt");
    let server = Server::start(directory, TLS, "https://localhost:PORT");
    let trusted = [("WINDROSE_TOKEN_FILE", &*token), ("WINDROSE_CA_FILE", &*ca)];
    server.battery(&trusted);

    let fails = |server: &Server, variables: &[(&str, &Path)], reason: &str| {
        let output = server.run(&["status"], variables);
        assert_eq!(output.status.code(), Some(1));
        let errors = text(&output.stderr);
        assert!(errors.contains(reason), "{errors}");
    };
    fails(&server, &trusted[..1], "an authority that is not trusted here");
    let none = server.directory.path().join("none.crt");
    fails(&server, &[("WINDROSE_CA_FILE", &none)], "cannot use the CA file");
    fails(&server, &[("WINDROSE_CA_FILE", &token)], "no certificate in it");

    // A renewed certificate counts without a word: here one for another name.
    authority.issue(server.directory.path(), "gtm1.example.net");
    let begun = Instant::now();
    loop {
        let output = server.run(&["status"], &trusted);
        if !output.status.success() {
            let errors = text(&output.stderr);
            assert!(errors.contains("its certificate is for other names"), "{errors}");
            assert!(errors.contains("gtm1.example.net"), "{errors}");
            break;
        }
        assert!(begun.elapsed() < WITHIN, "the new certificate does not count");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_that_speaks_tls_says_nothing_in_clear_and_the_other_way_round() {
    let (directory, token) = with_token();
    Authority::new(directory.path()).issue(directory.path(), "localhost");
    let mut server = Server::start(directory, TLS, "http://localhost:PORT");
    let mut plain = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    plain.set_read_timeout(Some(WITHIN)).unwrap();
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    let _ = plain.read_to_end(&mut reply);
    assert!(!text(&reply).contains("HTTP"), "{}", text(&reply));
    let output = server.run(&["status"], &[("WINDROSE_TOKEN_FILE", &token)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("say https://"), "{}", text(&output.stderr));

    let (directory, token) = with_token();
    let admin = "listen = \"127.0.0.1:0\"\ntoken_file = \"token\"";
    server = Server::start(directory, admin, "https://localhost:PORT");
    let output = server.run(&["status"], &[("WINDROSE_TOKEN_FILE", &token)]);
    assert!(text(&output.stderr).contains("does not speak TLS"), "{}", text(&output.stderr));
}

#[test]
fn a_config_with_half_of_tls_or_files_of_no_use_is_refused_with_its_place() {
    let (directory, _) = with_token();
    Authority::new(directory.path()).issue(directory.path(), "localhost");
    let other = KeyPair::generate().unwrap().serialize_pem();
    fs::write(directory.path().join("other.key"), other).unwrap();
    let check = |admin: &str| {
        let path = directory.path().join("windrose.toml");
        fs::write(&path, format!("[admin]\n{admin}\n")).unwrap();
        let arguments = ["check", "--config", path.to_str().unwrap()];
        let mut program = Command::new(env!("CARGO_BIN_EXE_windrose"));
        let output = program.args(arguments).env_clear().output().unwrap();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    for (admin, good, expected) in [
        ("tls_certificate = \"admin.crt\"", false, "tls_key is missing"),
        ("tls_key = \"admin.key\"", false, "tls_certificate is missing"),
        ("tls_certificate = \"admin.crt\"\ntls_key = \"none.key\"", false, "not there"),
        (
            "tls_certificate = \"admin.crt\"\ntls_key = \"other.key\"",
            false,
            "not the key of tls_certificate",
        ),
        ("tls_certificate = \"token\"\ntls_key = \"admin.key\"", false, "no certificate in it"),
        (
            "listen = \"unix:a.sock\"\ntls_certificate = \"admin.crt\"\ntls_key = \"admin.key\"",
            false,
            "a unix socket does not speak TLS",
        ),
        ("listen = \"0.0.0.0:8053\"\ntoken_file = \"token\"", true, "travels in clear text"),
    ] {
        let (is_good, shown) = check(admin);
        assert_eq!(is_good, good, "{admin}: {shown}");
        assert!(shown.contains(expected), "{admin}: {shown}");
        assert!(shown.contains("windrose.toml:"), "{admin}: no place: {shown}");
    }
    let with_tls = "listen = \"0.0.0.0:8053\"\ntoken_file = \"token\"\n\
                    tls_certificate = \"admin.crt\"\ntls_key = \"admin.key\"";
    let (is_good, shown) = check(with_tls);
    assert!(is_good && !shown.contains("travels"), "{shown}");
}
