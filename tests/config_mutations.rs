//! Whatever the bytes: a config or problems, never a panic.

mod config_support;

use std::path::Path;

use config_support::MemoryFiles;
use proptest::prelude::*;
use windrose::config::{default_file, load};

fn try_load(bytes: Vec<u8>) {
    let mut files = MemoryFiles::default();
    files.insert("windrose.toml", bytes);
    let loaded = load(Path::new("windrose.toml"), &files);
    assert_eq!(loaded.config.is_none(), loaded.problems.has_errors());
    let text = loaded.problems.render(&loaded.sources, false);
    assert_eq!(text.is_empty(), loaded.problems.is_empty());
    let json = loaded.problems.to_json(&loaded.sources);
    assert_eq!(json.as_array().map(Vec::len), Some(loaded.problems.iter().count()));
}

/// The documented file with its commented keys in force: every key is there.
fn every_key() -> String {
    let lines = default_file().lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Pieces that mean something to TOML or to a value's reader.
const PIECES: [&str; 25] = [
    "[",
    "]",
    "[[",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "=",
    ",",
    ".",
    "#",
    "\n",
    "\r\n",
    "\\",
    "0",
    "-1",
    "1e9",
    "true",
    "\"\"",
    "[]",
    "{}",
    "9999999999999999999999",
    "*.",
    "\u{fc}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn mutations_of_every_key_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..24usize, 0..12usize), 1..6),
    ) {
        let mut text = every_key().into_bytes();
        for (at, piece, cut) in edits {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, PIECES[piece].bytes());
        }
        try_load(text);
    }

    #[test]
    fn lines_in_any_order_never_panic(order in Just(()).prop_perturb(|(), mut rng| {
        let text = every_key();
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
        for index in (1..lines.len()).rev() {
            lines.swap(index, (rng.next_u32() as usize) % (index + 1));
        }
        lines.truncate(40);
        lines.join("\n")
    })) {
        try_load(order.into_bytes());
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        try_load(bytes);
    }

    #[test]
    fn values_of_any_type_never_panic(key in 0..200usize, piece in 0..24usize) {
        let text = every_key();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let keyed: Vec<usize> = (0..lines.len()).filter(|at| {
            lines[*at].contains(" = ") && !lines[*at].starts_with('#')
        }).collect();
        let at = keyed[key % keyed.len()];
        let name = lines[at].split(" = ").next().unwrap_or_default().to_owned();
        lines[at] = format!("{name} = {}", PIECES[piece]);
        try_load(lines.join("\n").into_bytes());
    }
}
