//! The README's config and commands, tried: what it shows is what the program
//! prints. `BLESS=1 cargo test --test readme` writes the output into it.

#![allow(clippy::unwrap_used)] // a panic in a test is a failed test

use std::path::{Path, PathBuf};
use std::process::Command;

fn readme_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// The bodies of the fenced blocks of one language, with where they start.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let opening = format!("```{language}\n");
    let body = |(at, _): (usize, &str)| {
        let start = at + opening.len();
        (start, text[start..].split("```").next().unwrap())
    };
    text.match_indices(&opening).map(body).collect()
}

/// What a command of the README prints, run beside its config.
fn run(command: &str, directory: &Path) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("windrose"), "{command}");
    let output = Command::new(env!("CARGO_BIN_EXE_windrose"))
        .args(words)
        .env_clear()
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let readme = std::fs::read_to_string(readme_path()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = blocks(&readme, "toml")[0].1;
    std::fs::write(directory.path().join("windrose.toml"), config).unwrap();
    let mut written = readme.clone();
    let consoles = blocks(&readme, "console");
    assert_eq!(consoles.len(), 2);
    for &(start, block) in consoles.iter().rev() {
        let (command, shown) = block.strip_prefix("$ ").unwrap().split_once('\n').unwrap();
        let printed = run(command, directory.path());
        if std::env::var_os("BLESS").is_some() {
            let at = start + "$ ".len() + command.len() + 1;
            written.replace_range(at..at + shown.len(), &printed);
        } else {
            assert_eq!(shown, printed, "{command}: BLESS=1 writes it");
        }
    }
    if written != readme {
        std::fs::write(readme_path(), written).unwrap();
    }
}

#[test]
fn the_readmes_other_config_is_understood_too() {
    let readme = std::fs::read_to_string(readme_path()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("admin.token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let configs = blocks(&readme, "toml");
    assert_eq!(configs.len(), 2);
    let made = rcgen::generate_simple_self_signed(["gtm1.example.net".to_owned()]).unwrap();
    std::fs::write(directory.path().join("admin.crt"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("admin.key"), made.signing_key.serialize_pem()).unwrap();
    let text = configs[1].1.replace("/etc/windrose", directory.path().to_str().unwrap());
    // It is an addition to the first one, which has the zone.
    std::fs::write(
        directory.path().join("windrose.toml"),
        [text, configs[0].1.to_owned()].concat(),
    )
    .unwrap();
    run("windrose check --config windrose.toml", directory.path());
}

#[test]
fn every_page_the_readme_links_to_is_there() {
    let readme = std::fs::read_to_string(readme_path()).unwrap();
    let links = readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let files = links.filter(|link| !link.starts_with("http") && !link.starts_with('#'));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_there = |link: &&str| match link.split_once('#') {
        Some((file, section)) => {
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            let headings = text.lines().filter(|line| line.starts_with('#'));
            let anchor = |line: &str| line.trim_start_matches('#').trim().to_lowercase();
            headings.map(anchor).any(|words| words.replace(' ', "-") == section)
        }
        None => root.join(link).exists(),
    };
    let missing: Vec<&str> = files.filter(|link| !is_there(link)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
