//! docs/RFCS.md names tests that exist, for each of its points, and this folder has no
//! RFC that it does not name.
//!
//! Code spans that name a test, by their shape:
//!
//! | written | where it must be found |
//! |---|---|
//! | `rfc1035::a_name` | a test function in tests/rfc/rfc1035.rs |
//! | `tests/daemon.rs::a_name`, `src/dns/query.rs::a_name` | a function in that file |
//! | `tests/answer/static.case`, `src/dns/query.rs` | a file or folder |
//! | `e2e:listen`, `faults:names` | a story of tests/interop, tests/faults |

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const POINTS: usize = 32;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/RFCS.md")).unwrap()
}

/// Code spans of a line.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// What is not there of what a code span names; none where it names no test.
fn missing(span: &str) -> Option<String> {
    let story = |folder: &str, name: &str| {
        let path = PathBuf::from(format!("tests/{folder}/stories/{name}.py"));
        (!root().join(&path).is_file()).then(|| format!("{span}: no {}", path.display()))
    };
    if let Some(name) = span.strip_prefix("e2e:") {
        return story("interop", name);
    }
    if let Some(name) = span.strip_prefix("faults:") {
        return story("faults", name);
    }
    let in_repository = span.starts_with("tests/") || span.starts_with("src/");
    let (path, function) = match span.split_once("::") {
        Some((path, function)) if in_repository => (path.to_owned(), Some(function)),
        Some((module, function)) if is_module(module) => {
            (format!("tests/rfc/{module}.rs"), Some(function))
        }
        None if in_repository || span.starts_with("fuzz/") => (span.to_owned(), None),
        _ => return None,
    };
    let Some(function) = function else {
        return (!root().join(&path).exists()).then(|| format!("{span}: no {path}"));
    };
    let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
        return Some(format!("{span}: no {path}"));
    };
    (!is_test(&text, function)).then(|| format!("{span}: no such test in {path}"))
}

/// A test function, in Rust or of a story.
fn is_test(text: &str, function: &str) -> bool {
    let mut attributed = false;
    text.lines().map(str::trim).any(|line| {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            attributed = true;
        }
        let name = line.trim_start_matches("async ").strip_prefix("fn ");
        let python = line.strip_prefix("def ").is_some_and(|rest| rest.starts_with("test_"));
        let found = |rest: &str| rest.split('(').next() == Some(function);
        let is_it = attributed && name.is_some_and(found)
            || python && line.strip_prefix("def ").is_some_and(found);
        if name.is_some() {
            attributed = false;
        }
        is_it
    })
}

fn is_module(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The modules of this folder that hold tests of an RFC.
fn modules() -> BTreeSet<String> {
    let files = std::fs::read_dir(root().join("tests/rfc")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name.starts_with("rfc"))
        .collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let document = document();
    let named: Vec<&str> = document.lines().flat_map(spans).collect();
    let missing: Vec<String> = named.iter().filter_map(|span| missing(span)).collect();
    assert!(missing.is_empty(), "docs/RFCS.md:\n{}", missing.join("\n"));
    let tests = named.iter().filter(|span| span.contains("::")).count();
    assert!(tests > 100, "only {tests} tests are named");
}

#[test]
fn every_point_of_the_checklist_has_a_test() {
    let document = document();
    for point in 1..=POINTS {
        let row = document.lines().find(|line| line.starts_with(&format!("| {point} |")));
        let row = row.unwrap_or_else(|| panic!("docs/RFCS.md has no row for point {point}"));
        let tests = spans(row).filter(|span| span.contains("::") || span.starts_with("e2e:"));
        assert!(tests.count() > 0, "point {point} names no test");
    }
}

#[test]
fn every_rfc_with_tests_has_its_row() {
    let document = document();
    for module in modules() {
        let number = module.trim_start_matches("rfc").split('_').next().unwrap();
        let row = document.lines().any(|line| line.starts_with(&format!("| {number} |")));
        assert!(row, "docs/RFCS.md has no row for RFC {number}, which {module} tests");
    }
}

#[test]
fn every_test_of_an_rfc_says_which_point_or_section_it_holds() {
    for module in modules() {
        let path = root().join(format!("tests/rfc/{module}.rs"));
        let text = std::fs::read_to_string(&path).unwrap();
        let mut said = false;
        for line in text.lines() {
            if line.starts_with("///") {
                said |= ["Point", "point", "ection", "RFC"].iter().any(|word| line.contains(word));
            } else if line.starts_with("fn ") || line.starts_with("async fn ") {
                said = false;
            } else if line == "#[test]" {
                assert!(said, "{module}: a test's doc names no point and no section");
            }
        }
    }
}
