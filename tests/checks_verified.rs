//! Checks that cannot work here are refused where they stand, by every command alike.

#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use windrose::daemon::load::{self, Candidate, Refused};
use windrose::snapshot::{self, Input, Serials, Snapshot};

const BASE: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"off\"\n\
    [zone.\"example.com\"]\nnameservers = \"ns1.example.net\"\n\
    hostmaster = \"hostmaster@example.net\"\n[datacenter.fra]\nvip = \"127.0.0.1\"\n\
    [wip.\"a.example.com\"]\nmembers = [\"fra\"]\nhealth_check = \"x\"\n[health_check.x]\n";

/// A directory with a config whose check has these keys, and the files that some name.
fn directory(check: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("windrose.toml", &format!("{BASE}{check}"), 0o644);
    write("check.sh", "#!/bin/sh\nexit 0\n", 0o755);
    write("plain.sh", "#!/bin/sh\nexit 0\n", 0o644);
    write("empty.pem", "", 0o644);
    write("verdict", "up\n", 0o644);
    directory
}

fn load_in(directory: &Path) -> Result<Candidate, Box<Refused>> {
    load::load(&directory.join("windrose.toml"))
}

/// What is said of a check, without the directory's own name.
fn said(check: &str) -> (bool, String) {
    let directory = directory(check);
    let (accepted, problems, sources) = match load_in(directory.path()) {
        Ok(candidate) => (true, candidate.problems, candidate.sources),
        Err(refused) => (false, refused.problems, refused.sources),
    };
    let shown = problems.render(&sources, false);
    (accepted, shown.replace(&directory.path().display().to_string(), "DIR"))
}

#[test]
fn checks_that_work_are_taken_without_a_word() {
    for check in [
        "type = \"exec\"\ncommand = [\"check.sh\", \"{address}\"]\n",
        "type = \"file\"\nfile = \"verdict\"\n",
        "type = \"file\"\nfile = \"verdict-{address}\"\n",
        "type = \"tcp\"\nport = 1\naddress = \"localhost\"\nsource = \"127.0.0.1\"\n",
    ] {
        assert_eq!(said(check), (true, String::new()), "{check}");
    }
}

#[test]
fn a_check_that_cannot_work_is_shown_where_it_stands() {
    let (accepted, shown) = said("type = \"exec\"\ncommand = [\"plain.sh\"]\n");
    assert!(!accepted);
    assert_eq!(
        shown,
        "error[not-executable]: the check \"x\" cannot work: DIR/plain.sh is not executable
  --> DIR/windrose.toml:15:11
   |
15 | command = [\"plain.sh\"]
   |           ^^^^^^^^^^^^
   |
   = help: make it so: chmod +x

"
    );
    let (accepted, shown) = said("type = \"https\"\nca_file = \"empty.pem\"\n");
    assert!(!accepted);
    let expected = "error[bad-certificate]: the check \"x\" cannot work: ca_file DIR/empty.pem: \
                    no certificate in it\n  --> DIR/windrose.toml:15:11";
    assert!(shown.starts_with(expected), "{shown}");
    let (accepted, shown) = said("type = \"file\"\nfile = \"none/{address}\"\n");
    assert!(!accepted);
    let expected = "error[file-unreadable]: the check \"x\" cannot work: DIR/none is not there";
    assert!(shown.starts_with(expected), "{shown}");
}

#[test]
fn what_may_yet_come_is_a_warning() {
    let (accepted, shown) = said("type = \"icmp\"\nsource = \"192.0.2.77\"\n");
    assert!(accepted);
    let expected = "warning[source-not-here]: the check \"x\" may fail: 192.0.2.77 is no address \
                    of this host\n  --> DIR/windrose.toml:15:10";
    assert!(shown.starts_with(expected), "{shown}");
}

#[test]
fn other_problems_are_shown_beside_it() {
    let check = "type = \"exec\"\ncommand = [\"plain.sh\"]\n\
                 [zone.\"example.org\"]\nnameservers = \"ns1.example.net\"\n\
                 hostmaster = \"hostmaster@example.net\"\nrecords = [\"www IN A 300\"]\n";
    let (accepted, shown) = said(check);
    assert!(!accepted);
    assert!(shown.contains("plain.sh is not executable"), "{shown}");
    assert!(shown.contains("www IN A 300"), "{shown}");
}

#[test]
fn check_and_serve_refuse_alike() {
    let directory = directory("type = \"exec\"\ncommand = [\"plain.sh\"]\n");
    let path = directory.path().join("windrose.toml");
    for command in ["check", "serve"] {
        let output = Command::new(env!("CARGO_BIN_EXE_windrose"))
            .args([command, "--config", path.to_str().unwrap()])
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {shown}");
        assert!(shown.contains("plain.sh is not executable"), "{command}: {shown}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_its_key() {
    for (check, place) in [
        ("type = \"file\"\nfile = \"nowhere\"\n", "DIR/windrose.toml:15:8"),
        ("type = \"https\"\nca_file = \"nowhere\"\n", "DIR/windrose.toml:15:11"),
        (
            "type = \"https\"\nclient_certificate = \"nowhere\"\nclient_key = \"nowhere\"\n",
            "DIR/windrose.toml:15:22",
        ),
    ] {
        let (accepted, shown) = said(check);
        assert!(!accepted && shown.starts_with("error[") && shown.contains(place), "{shown}");
    }
}

#[test]
fn what_is_gone_since_does_not_keep_another_change_from_being_loaded() {
    let directory = directory("type = \"file\"\nfile = \"verdict\"\n");
    let first = load_in(directory.path()).unwrap();
    fs::remove_file(directory.path().join("verdict")).unwrap();
    assert!(load_in(directory.path()).is_err(), "a start is refused");
    let path = directory.path().join("windrose.toml");
    let again = || {
        let snapshot = Some(Arc::new(load_in_force(&first)));
        load::load_after(&path, load::Before { snapshot, generation: 1, ..Default::default() })
    };
    let taken = again().unwrap();
    let warned = taken.problems.render(&taken.sources, false);
    assert!(warned.starts_with("warning[file-unreadable]"), "{warned}");
    // A check that changed must work.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("file = \"verdict\"", "file = \"other\"")).unwrap();
    assert!(again().is_err());
}

/// The snapshot that a load gave, as if it were in force.
fn load_in_force(candidate: &Candidate) -> Snapshot {
    let input = Input {
        config: Arc::clone(&candidate.config),
        base: Arc::clone(&candidate.geo.table),
        serials: Serials::default(),
        now_s: 1,
        generation: 1,
    };
    snapshot::compile(input).unwrap().0
}
