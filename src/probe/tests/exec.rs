//! Exec checks with real commands, and what is left of them afterwards.

use std::path::Path;

use super::*;
use crate::health::check::ExecProbe;

fn shell(script: &str) -> Target {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let mut target = target(ProbeKind::Exec(ExecProbe { command, host: None }));
    target.timeout_ms = 10_000;
    target
}

async fn run(script: &str) -> String {
    probe_target(shell(script)).await
}

/// Waits until the process with the number in the file is no more, not even a zombie.
async fn gone(file: &Path) {
    let read = || std::fs::read_to_string(file).unwrap_or_default();
    let number = eventually_some("a number", || read().trim().parse::<u32>().ok()).await;
    let process = format!("/proc/{number}");
    eventually_some("gone", || (!Path::new(&process).exists()).then_some(())).await;
}

async fn eventually_some<T>(what: &str, of: impl Fn() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(value) = of() {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within ten seconds: {what}");
}

#[tokio::test]
async fn the_exit_status_decides() {
    for (script, expected) in [
        ("exit 0", "ok"),
        ("echo fine; exit 0", "ok"),
        ("exit 2", "status: exit status 2"),
        ("echo; echo ' no route '; echo more; exit 2", "status: exit status 2: no route"),
        ("echo broken >&2; exit 255", "status: exit status 255: broken"),
        ("echo last; kill -TERM $$", "status: killed by signal 15: last"),
        ("printf 'a\\033[31mb\\tc\\377'; exit 1", "status: exit status 1: a [31mb c\u{fffd}"),
    ] {
        assert_eq!(run(script).await, expected, "{script:?}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_run_is_our_failure() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "exit 0").unwrap();
    for (program, expected) in [
        ("/nowhere/at/all", "internal: /nowhere/at/all: no such file or directory".to_owned()),
        (plain.to_str().unwrap(), format!("internal: {}: permission denied", plain.display())),
    ] {
        let probe = ExecProbe { command: vec![program.to_owned()], host: None };
        assert_eq!(probe_target(target(ProbeKind::Exec(probe))).await, expected);
    }
    let nothing = target(ProbeKind::Exec(ExecProbe::default()));
    assert_eq!(probe_target(nothing).await, "internal: no command");
}

#[tokio::test]
async fn a_relative_program_is_found_from_where_the_server_was_started() {
    let here = std::env::current_dir().unwrap();
    let root = "../".repeat(here.components().count() - 1);
    let command = vec![format!("{root}bin/sh"), "-c".to_owned(), "exit 7".to_owned()];
    let mut target = target(ProbeKind::Exec(ExecProbe { command, host: None }));
    target.timeout_ms = 10_000;
    assert_eq!(probe_target(target).await, "status: exit status 7");
}

#[tokio::test]
async fn a_command_finds_what_is_documented_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let seen = directory.path().join("seen");
    let script = format!(
        "{{ env | grep -v '^_=\\|^SHLVL=\\|^OLDPWD=' | sort; echo \"$0 $1\"; cat; }} > {}",
        seen.display()
    );
    let words = ["/bin/sh", "-c", script.as_str(), "at={address}", "{host}/{address}"];
    let probe = ExecProbe {
        command: words.map(str::to_owned).to_vec(),
        host: Some("shop.example.com".to_owned()),
    };
    let mut target = target(ProbeKind::Exec(probe));
    target.timeout_ms = 10_000;
    assert_eq!(probe_target(target).await, "ok");
    assert_eq!(
        std::fs::read_to_string(seen).unwrap(),
        "LANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n\
         WINDROSE_ADDRESS=127.0.0.1\nWINDROSE_CHECK=ready\nWINDROSE_HOST=shop.example.com\n\
         at=127.0.0.1 shop.example.com/127.0.0.1\n"
    );
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_the_command_nor_is_kept() {
    let seen = run("echo first; head -c 8000000 /dev/zero; exit 3").await;
    assert_eq!(seen, "status: exit status 3: first");
}

#[tokio::test]
async fn a_command_that_hangs_ends_at_the_deadline_with_all_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let (parent, child) = (file("parent"), file("child"));
    let mut target = shell(&format!(
        "trap '' TERM; sleep 1000 & echo $! > {}; echo $$ > {}; wait; wait",
        child.display(),
        parent.display(),
    ));
    target.timeout_ms = 3_000;
    assert_eq!(probe_target(target).await, "timeout: no exit of the command within 3000 ms");
    gone(&child).await;
    gone(&parent).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it_and_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let child = directory.path().join("child");
    // It holds the pipe of the output open.
    let script = format!("sleep 1000 & echo $! > {}; echo left; exit 1", child.display());
    assert_eq!(run(&script).await, "status: exit status 1: left");
    gone(&child).await;
}

#[tokio::test]
async fn a_probe_given_up_ends_its_command() {
    let directory = tempfile::tempdir().unwrap();
    let number = directory.path().join("number");
    let script = format!("echo $$ > {}; sleep 1000; sleep 1000", number.display());
    let probe = tokio::spawn(async move { run(&script).await });
    eventually_some("started", || {
        std::fs::read_to_string(&number).ok().filter(|text| text.ends_with('\n'))
    })
    .await;
    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    gone(&number).await;
}

#[tokio::test]
async fn waiting_for_a_turn_is_no_fault_of_the_target() {
    let commons = Commons::default();
    let mut turns = Vec::new();
    for _ in 0..32 {
        turns.push(commons.turns.take().await.unwrap());
    }
    let mut target = shell("exit 0");
    let run = async |target: &Target| {
        let (tools, mut progress) = (Tools::default(), Progress::default());
        match attempt(target, &tools, &commons, Clock::start(), &mut progress).await {
            Ok(()) => "ok".to_owned(),
            Err(failure) => failure.to_string(),
        }
    };
    target.timeout_ms = 400;
    assert_eq!(run(&target).await, "internal: no turn for its command within 400 ms");
    // A turn that came late leaves too little time to blame the command.
    let hanging = Target { timeout_ms: 1_000, ..shell("sleep 1000") };
    let late = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        turns.pop();
    };
    let (seen, ()) = tokio::join!(run(&hanging), late);
    assert!(seen.starts_with("internal: no exit of the command within 1000 ms, "), "{seen}");
    assert!(seen.ends_with(" ms of them with no turn for its command"), "{seen}");
    target.timeout_ms = 10_000;
    assert_eq!(run(&target).await, "ok");
}

#[test]
fn a_command_that_does_not_start_in_time_is_our_failure() {
    let runtime = runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    // The one thread that could start it hangs, as in a start from a network that does.
    let (release, hang) = std::sync::mpsc::channel::<()>();
    let wanted = |timeout_ms| Target { timeout_ms, ..shell("sleep 1000") };
    runtime.block_on(async {
        let hung = tokio::task::spawn_blocking(move || hang.recv());
        let seen = probe_target(wanted(300)).await;
        assert_eq!(seen, "internal: no start of the command within 300 ms");
        let late = async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            drop(release);
        };
        let (seen, ()) = tokio::join!(probe_target(wanted(1_000)), late);
        assert!(seen.starts_with("internal: no exit of the command within 1000 ms, "), "{seen}");
        assert!(seen.ends_with(" ms of them with no start of the command"), "{seen}");
        assert!(hung.await.unwrap().is_err());
    });
}
