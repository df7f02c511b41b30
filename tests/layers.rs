//! The shape of the code, enforced: which module may know which, what is banned
//! below the IO layer, where `unsafe` may stand, and that files do not grow.
//! docs/ARCHITECTURE.md has the table and the reasons.

#![allow(clippy::unwrap_used)] // a panic is a failed test

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the bottom. A module may use those of lower layers.
const LAYERS: [&[&str]; 6] = [
    &["dns", "geo", "metrics", "problem"],
    &["health", "steer", "zone"],
    &["answer", "config", "overrides", "snapshot", "whatif"],
    &["admin", "clock", "listen", "log", "notify", "probe", "querylog", "service", "tls"],
    &["daemon"],
    &["cli", "demo", "main"],
];

/// Uses within one layer that are meant: who, whom, why.
const WITHIN_LAYER: [(&str, &str, &str); 20] = [
    ("steer", "health", "a choice reads verdict words"),
    ("snapshot", "config", "a snapshot is a compiled config"),
    ("answer", "snapshot", "an answer is read from a snapshot"),
    ("answer", "config", "explain tells of the config's names"),
    ("overrides", "snapshot", "what is said is laid over a snapshot's VIPs"),
    ("overrides", "config", "people say the config's names"),
    ("whatif", "snapshot", "states of snapshots are compared"),
    ("whatif", "config", "their names and sites are the config's"),
    ("probe", "clock", "probes are timed"),
    ("admin", "log", "noisy messages are thinned out"),
    ("admin", "clock", "uptime"),
    ("admin", "tls", "its certificate is renewed as others are"),
    ("listen", "tls", "its certificate is renewed as others are"),
    ("probe", "tls", "when a certificate expires is read in one way"),
    ("listen", "log", "noisy messages are thinned out"),
    ("notify", "admin", "events are the journal's"),
    ("notify", "clock", "deliveries are dated"),
    ("notify", "log", "noisy messages are thinned out"),
    ("querylog", "log", "noisy messages are thinned out"),
    ("cli", "demo", "a command starts it"),
];

/// What may not stand below layer 3, and what to use instead.
const BANNED_BELOW_IO: [(&str, &str); 12] = [
    ("tokio", "async belongs to the hands"),
    ("async fn", "async belongs to the hands"),
    ("std::fs", "take text or bytes"),
    ("fs::File", "take text or bytes"),
    ("UdpSocket", "sockets belong to the hands"),
    ("TcpStream", "sockets belong to the hands"),
    ("TcpListener", "sockets belong to the hands"),
    ("Instant::now", "take the time as an argument"),
    ("SystemTime", "take the time as an argument"),
    ("thread::spawn", "threads belong to the hands"),
    ("std::env", "take values as arguments"),
    ("RandomState", "hidden randomness"),
];

/// Files may have so many lines, tests aside.
const LINES_MAX: usize = 400;
/// Files that are longer, with a ceiling each that may only sink.
const LONGER: [(&str, usize); 1] = [
    ("listen/udp_batch.rs", 490), // the one unsafe file: gathered on purpose
];

/// The one file with `unsafe` code.
const UNSAFE_FILE: &str = "listen/udp_batch.rs";

struct Source {
    /// Path below src, with slashes.
    name: String,
    module: String,
    /// The code without its tests and comments.
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    assert!(paths.len() > 50, "the sources were not found");
    paths.into_iter().filter_map(|path| read(&root, &path)).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// None for files that are tests as a whole.
fn read(root: &Path, path: &Path) -> Option<Source> {
    let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    let is_test = |part: &str| {
        part == "tests"
            || part == "tests.rs"
            || part.ends_with("_tests.rs")
            || part == "test_support"
    };
    if name.split('/').any(is_test) {
        return None;
    }
    let module = name.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
    let text = fs::read_to_string(path).unwrap();
    // The tests of a file stand at its end, in a module of their own.
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let is_comment = |line: &&str| !line.trim_start().starts_with("//");
    let code = text.lines().filter(is_comment).collect::<Vec<_>>().join("\n");
    Some(Source { name, module, code, lines: text.lines().count() })
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// First path segments behind every `crate::` in the code, those in braces included.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let ident = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            None => used.push(ident(rest)),
            Some(list) => {
                // Only the outer level of the braces names modules.
                let mut depth = 0;
                let mut start = true;
                for (index, character) in list.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            used.push(ident(&list[index..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    used
}

#[test]
fn every_module_has_a_layer() {
    for source in sources() {
        assert!(
            source.module == "lib" || layer_of(&source.module).is_some(),
            "src/{}: module {} is in no layer: add it to LAYERS",
            source.name,
            source.module
        );
    }
}

#[test]
fn modules_use_lower_layers_alone() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = layer_of(&source.module) else { continue };
        for used in used_modules(&source.code) {
            if used == source.module {
                continue;
            }
            let Some(other) = layer_of(&used) else { continue };
            let meant =
                WITHIN_LAYER.iter().any(|(who, whom, _)| *who == source.module && *whom == used);
            if other > own || other == own && !meant {
                wrong.push(format!(
                    "src/{} (layer {own}) uses crate::{used} (layer {other})",
                    source.name
                ));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn below_the_io_layer_nothing_touches_the_world() {
    let mut wrong = Vec::new();
    for source in sources() {
        if layer_of(&source.module).is_none_or(|layer| layer >= 3) {
            continue;
        }
        for (banned, instead) in BANNED_BELOW_IO {
            if source.code.contains(banned) {
                wrong.push(format!("src/{} has `{banned}`: {instead}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_in_one_file() {
    let mut wrong = Vec::new();
    for source in sources() {
        let has = source.code.contains("unsafe {")
            || source.code.contains("unsafe fn")
            || source.code.contains("unsafe impl")
            || source.code.contains("allow(unsafe_code)");
        let own = source.name == UNSAFE_FILE || source.name.starts_with("listen/udp_batch/");
        if has && !own {
            wrong.push(format!("src/{}", source.name));
        }
    }
    assert!(wrong.is_empty(), "unsafe outside src/{UNSAFE_FILE}:\n{}", wrong.join("\n"));
}

#[test]
fn files_stay_short() {
    let ceilings: BTreeMap<&str, usize> = LONGER.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let ceiling = ceilings.get(source.name.as_str()).copied().unwrap_or(LINES_MAX);
        if source.lines > ceiling {
            wrong.push(format!("src/{}: {} lines, at most {ceiling}", source.name, source.lines));
        }
    }
    assert!(wrong.is_empty(), "split these by what they are about:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    for source in sources() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&source.name);
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("//! "), "src/{} does not open with what it is", source.name);
    }
}
