//! Every mistake has its message, pinned word for word.
//!
//! `tests/config_errors/NAME.toml` is loaded as `windrose.toml`; parts that
//! begin with `# file: PATH` are further files. `NAME.txt` is what `check`
//! would print. `BLESS=1 cargo test --test config_errors` writes the texts.

#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

mod config_support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use config_support::MemoryFiles;
use windrose::config::{Loaded, load};

/// A small sound config that cases include, so that each shows one mistake.
const BASE: &str = r#"
[zone."example.com"]
nameservers = ["ns1.example.net"]
hostmaster = "hostmaster@example.net"

[datacenter.fra]
vip = "203.0.113.10"
location = { country = "DE" }

[datacenter.iad]
vip = "198.51.100.10"
location = { country = "US" }

[health_check.readiness]
type = "https"

[pool.both]
members = ["fra", "iad"]

[wip."base.example.com"]
pools = ["both"]
health_check = "readiness"
"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors")
}

fn cases() -> Vec<(String, Vec<u8>)> {
    let mut cases: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    cases.sort();
    cases
}

fn load_case(text: &str) -> Loaded {
    let mut files = MemoryFiles::parse("windrose.toml", text);
    files.insert("base.toml", BASE);
    load(Path::new("windrose.toml"), &files)
}

#[test]
fn every_mistake_has_its_message() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut failures = Vec::new();
    for (name, text) in cases() {
        let loaded = load_case(&String::from_utf8(text).unwrap());
        let problems = &loaded.problems;
        let shown = format!("{}{}\n", problems.render(&loaded.sources, false), problems.summary());
        assert!(!problems.is_empty(), "{name}: nothing was found");
        assert_eq!(loaded.config.is_none(), problems.has_errors(), "{name}");
        let path = folder().join(format!("{name}.txt"));
        if bless {
            std::fs::write(&path, &shown).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != shown {
            failures.push(format!("--- {name}\n{shown}"));
        }
    }
    assert!(failures.is_empty(), "BLESS=1 accepts these:\n{}", failures.join("\n"));
}

#[test]
fn at_least_forty_kinds_of_mistake_are_pinned() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let codes: BTreeSet<&str> = cases
        .iter()
        .flat_map(|(_, text)| {
            let loaded = load_case(&String::from_utf8_lossy(text));
            loaded.problems.iter().map(|problem| problem.code).collect::<Vec<_>>()
        })
        .collect();
    assert!(codes.len() >= 40, "{} codes: {codes:?}", codes.len());
}

#[test]
fn every_message_says_where_and_what_to_do() {
    for (name, text) in cases() {
        let loaded = load_case(&String::from_utf8(text).unwrap());
        for problem in loaded.problems.iter() {
            let place = problem.places.first().unwrap();
            assert!(!loaded.sources.name(place.file).is_empty(), "{name}: {problem:?}");
            let said = !place.label.is_empty()
                || !problem.help.is_empty()
                || !problem.notes.is_empty()
                || matches!(problem.code, "toml-syntax" | "file-missing" | "bad-pattern");
            assert!(said, "{name}: {problem:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_placed_by_line_and_column() {
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", b"include = [\"b.toml\"]\n".as_slice());
    files.insert("b.toml", b"[server]\nidentity = \"gr\xfc\xdfe\"\n".as_slice());
    let loaded = load(Path::new("windrose.toml"), &files);
    assert_eq!(
        loaded.problems.render(&loaded.sources, false),
        "error[not-utf8]: b.toml is not UTF-8 text
 --> b.toml:2:15
  |
2 | identity = \"gr\u{fffd}\u{fffd}e\"
  |               ^^^^
  |
  = note: byte 0xfc cannot stand here
  = help: save the file as UTF-8

"
    );
}

#[test]
fn a_missing_main_file_is_named() {
    let loaded = load(Path::new("nowhere.toml"), &MemoryFiles::default());
    let text = loaded.problems.render(&loaded.sources, false);
    assert!(text.starts_with("error[file-missing]: nowhere.toml is not there"), "{text}");
}

#[test]
fn what_a_broken_file_would_define_is_not_missed() {
    let loaded = load_case(
        "include = [\"base.toml\", \"broken.toml\"]\n\
         [wip.\"a.example.com\"]\nmembers = [\"ams\"]\n\
         # file: broken.toml\n[datacenter.ams]\nvip = \n",
    );
    let codes: Vec<&str> = loaded.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["toml-syntax"]);
}
