//! File checks of real files, and of what only looks like one.

use std::fs;
use std::time::SystemTime;

use super::*;
use crate::health::check::FileProbe;

async fn read(path: &str, max_age_ms: Option<u32>) -> String {
    let mut target = target(ProbeKind::File(FileProbe { path: path.into(), max_age_ms }));
    target.timeout_ms = 10_000;
    probe_target(target).await.replace(path, "FILE")
}

#[tokio::test]
async fn the_first_word_is_the_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("verdict");
    let neither = "internal: FILE: its first word is neither \"up\" nor \"down\"";
    for (text, expected) in [
        ("up", "ok"),
        ("up\n", "ok"),
        ("\n  up since noon\n", "ok"),
        ("down", "status: the file says down"),
        ("down\nlater lines do not count", "status: the file says down"),
        ("down\r\nlater", "status: the file says down"),
        ("down  for upgrade \nmore", "status: the file says down: for upgrade"),
        ("down\t\u{1b}[31mred", "status: the file says down:  [31mred"),
        ("", "internal: FILE: empty"),
        (" \n\n", "internal: FILE: empty"),
        ("UP", neither),
        ("upward", neither),
        ("up,", neither),
        ("\u{0}up", neither),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(read(path.to_str().unwrap(), None).await, expected, "{text:?}");
    }
    let mut long = b"up ".to_vec();
    long.resize(4_096, b'x');
    fs::write(&path, &long).unwrap();
    assert_eq!(read(path.to_str().unwrap(), None).await, "ok");
    long.push(b'x');
    fs::write(&path, &long).unwrap();
    let seen = read(path.to_str().unwrap(), None).await;
    assert_eq!(seen, "internal: FILE: longer than 4096 bytes");
}

#[tokio::test]
async fn what_cannot_be_read_is_no_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let seen = read(missing.to_str().unwrap(), None).await;
    assert_eq!(seen, "internal: FILE: no such file or directory");
    let seen = read(directory.path().to_str().unwrap(), None).await;
    assert_eq!(seen, "internal: FILE: not a regular file");
    assert_eq!(read("/dev/zero", None).await, "internal: FILE: not a regular file");
    let fifo = directory.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    // Nobody writes to it, and nobody waits.
    let seen = read(fifo.to_str().unwrap(), None).await;
    assert_eq!(seen, "internal: FILE: not a regular file");
}

#[tokio::test]
async fn an_old_verdict_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("verdict");
    fs::write(&path, "up").unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    let path = path.to_str().unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).unwrap();
    assert_eq!(read(path, None).await, "ok");
    assert_eq!(read(path, Some(7_200_000)).await, "ok");
    let seen = read(path, Some(60_000)).await;
    assert!(seen.starts_with("internal: FILE: written 360"), "{seen}");
    assert!(seen.ends_with(" s ago, max_age is 60 s"), "{seen}");
    // Clocks are set back now and then.
    file.set_modified(SystemTime::now() + Duration::from_secs(3_600)).unwrap();
    assert_eq!(read(path, Some(60_000)).await, "ok");
}

#[tokio::test]
async fn each_address_may_have_a_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("127.0.0.1.up"), "down as told").unwrap();
    let path = directory.path().join("{address}.up");
    let seen = read(path.to_str().unwrap(), None).await;
    assert_eq!(seen, "status: the file says down: as told");
}
