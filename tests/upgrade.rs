//! Upgrades in place of the real binary (decision 0045): under load from every side no
//! query is lost or answered wrongly, whatever becomes of the new process.
//!
//! `.ci/run upgrade` runs the long one too.
#![allow(clippy::unwrap_used)] // a panic here is a failed test
#![allow(clippy::print_stderr)] // what the long one counted

mod upgrade_support;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use upgrade_support::load::Load;
use upgrade_support::{Server, is_alive};

/// Says to [`pretended_successor`] what it is to do.
const PRETEND: &str = "WINDROSE_TEST_PRETEND";

/// Runs `act` under load; what was lost or wrong is a failure. The counts are told.
fn under_load(server: &mut Server, what: &str, act: impl FnOnce(&mut Server, &Load)) {
    let load = Load::default();
    let addresses = server.addresses.clone();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        load.start(scope, &addresses);
        // A panic within would wait for clients that go on.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            grows(server, &load);
            act(server, &load);
            grows(server, &load);
        }));
        load.stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    let faults = load.faults.lock().unwrap();
    assert!(faults.is_empty(), "{what}: {faults:#?}\n{}", server.log());
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    eprintln!(
        "{what}: {} queries over UDP, {} over TCP in {} connections, in {:.1} s; none lost, none wrong",
        count(&load.udp),
        count(&load.tcp),
        count(&load.connections),
        begun.elapsed().as_secs_f64()
    );
}

/// Waits until a good number of queries were answered.
fn grows(server: &Server, load: &Load) {
    let enough = load.asked() + 500;
    server.until("queries are answered", || {
        load.asked() >= enough || !load.faults.lock().unwrap().is_empty()
    });
}

/// Upgrades and reloads in turn, while a member comes and goes.
fn replace_times(server: &mut Server, load: &Load, times: usize) {
    for turn in 0..times {
        load.must_be.store(0, Ordering::SeqCst);
        let expected = server.flip(turn % 2 == 1);
        load.must_be.store(expected, Ordering::SeqCst);
        server.upgrade();
        grows(server, load);
        server.reload();
        grows(server, load);
    }
}

#[test]
fn upgrades_and_reloads_under_load_lose_nothing() {
    let mut server = Server::start(2);
    under_load(&mut server, "2 upgrades and 2 reloads", |server, load| {
        replace_times(server, load, 2);
    });
}

#[test]
#[ignore = "takes a minute; .ci/run upgrade runs it on the release build"]
fn twenty_upgrades_and_reloads_are_as_a_run_without_any() {
    let mut server = Server::start(2);
    let begun = Instant::now();
    under_load(&mut server, "20 upgrades and 20 reloads", |server, load| {
        replace_times(server, load, 20);
    });
    // As long, but no longer than it takes to see that such a load loses nothing by itself.
    let took = begun.elapsed().min(Duration::from_secs(30));
    under_load(&mut server, "control run", |_, _| std::thread::sleep(took));
}

#[test]
fn a_server_that_nobody_asks_is_replaced_and_round_robin_goes_on() {
    let mut server = Server::start(1);
    let client = server.client();
    let turn = |server: &Server| server.ask_from(&client, "turns.g.example").unwrap();
    let mut last = turn(&server);
    for round in 0..12 {
        match round {
            // Twice one after the other: what was handed over is handed on.
            3 | 4 | 9 => server.upgrade(),
            6 => server.reload(),
            _ => {}
        }
        let next = turn(&server);
        assert_eq!(next, last % 3 + 1, "round {round}");
        last = next;
    }
    assert_eq!(server.path("admin.sock").metadata().map(|_| ()).ok(), Some(()));
    let events = server.log();
    assert_eq!(events.matches("\"upgraded\"").count(), 3, "{events}");
}

#[test]
fn a_successor_that_fails_in_any_way_changes_nothing() {
    let mut server = Server::start(2);
    let config = std::fs::read_to_string(server.path("windrose.toml")).unwrap();
    under_load(&mut server, "successors that fail", |server, load| {
        let fails = |server: &Server, script: &str, why: &str| {
            server.replace_binary(script);
            let said = server.upgrade_fails();
            assert!(said.contains(why), "{script}: {said}");
            grows(server, load);
        };
        fails(server, "exit 3", "exit status: 3");
        fails(server, "kill -9 $$", "signal: 9");
        fails(
            server,
            "printf 'HTTP/1.1 400 Bad Request\\r\\n\\r\\n' >&0; sleep 100",
            "something else",
        );
        fails(server, "exec 0<&-; exec sleep 100", "it ended");
        std::fs::remove_file(server.path("windrose")).unwrap();
        assert!(server.upgrade_fails().contains("cannot start"));
        let pretend = |stage: &str| {
            let test = std::env::current_exe().unwrap();
            format!("{PRETEND}={stage} exec {} pretended_successor --exact", test.display())
        };
        fails(server, &pretend("die-offered"), "signal: 9");
        fails(server, &pretend("refuse"), "of its own reasons");
        // These have all sockets and the state.
        fails(server, &pretend("die-prepared"), "signal: 9");
        fails(server, &pretend("close-prepared"), "did not become ready");
        server.restore_binary();
        server.write("windrose.toml", &format!("{config}\n[wip.\"bad\"]\nttll = 3\n"));
        assert!(server.upgrade_fails().contains("ttll"));
        server.write("windrose.toml", &config);
        // And then one that does not.
        server.upgrade();
    });
    assert!(server.log().contains("no upgrade: this server goes on"));
}

#[test]
fn an_override_is_refused_during_an_upgrade_and_taken_after_it() {
    let mut server = Server::start(1);
    let drain = |server: &Server| {
        server.run(&["drain", "--datacenter", "a", "--wip", "first.g.example", "--reason", "test"])
    };
    let overrides = |server: &Server| {
        let page = String::from_utf8_lossy(&server.command("overrides").stdout).into_owned();
        page.matches("\"created_at_s\"").count()
    };
    // One that takes its time, and then fails.
    let begun = server.path("begun");
    server.replace_binary(&format!("touch {}; sleep 2; exit 3", begun.display()));
    std::thread::scope(|scope| {
        let failing = scope.spawn(|| server.upgrade_fails());
        server.until("it has begun", || begun.exists());
        let output = drain(&server);
        let said = format!("{output:?}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("an upgrade is under way") && said.contains("503"), "{said}");
        assert!(failing.join().unwrap().contains("exit status: 3"));
    });
    assert_eq!((overrides(&server), server.ask("first.g.example")), (0, Some(1)));
    assert!(drain(&server).status.success(), "the one at work goes on");
    assert_eq!(server.ask("first.g.example"), Some(2));
    let clear = ["clear", "--datacenter", "a", "--wip", "first.g.example"];
    assert!(server.run(&clear).status.success());
    // One that does not: whichever of the two answers, what it took is there afterwards.
    server.restore_binary();
    server.upgrade();
    let output = drain(&server);
    assert!(output.status.success(), "{output:?}");
    assert_eq!((overrides(&server), server.ask("first.g.example")), (1, Some(2)));
    server.upgrade();
    assert_eq!((overrides(&server), server.ask("first.g.example")), (1, Some(2)));
}

#[test]
#[ignore = "waits for a limit of ten seconds; .ci/run upgrade runs it"]
fn a_successor_that_hangs_is_given_up() {
    let mut server = Server::start(2);
    let pid_file = server.path("hanging");
    under_load(&mut server, "a successor that hangs", |server, _| {
        server.replace_binary(&format!("echo $$ >{}; exec sleep 1000", pid_file.display()));
        assert!(server.upgrade_fails().contains("nothing came from it in time"));
        server.restore_binary();
        server.upgrade();
    });
    let hung = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    assert!(!is_alive(hung));
}

#[test]
fn a_stop_during_an_upgrade_ends_both_processes_and_answers_what_came_before() {
    let mut server = Server::start(1);
    let pid_file = server.path("hanging");
    // It has the sockets, and says no more.
    let test = std::env::current_exe().unwrap();
    server.replace_binary(&format!(
        "echo $$ >{}; {PRETEND}=hang exec {} pretended_successor --exact",
        pid_file.display(),
        test.display()
    ));
    server.signal(Signal::USR2);
    let hung = || std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok();
    server.until("the new process is there", || hung().is_some());
    std::thread::sleep(Duration::from_millis(500));
    let client = server.client();
    let query = upgrade_support::load::query(1, "first.g.example", 1);
    for _ in 0..20 {
        client.send(&query).unwrap();
    }
    let begun = Instant::now();
    assert!(server.terminate().success(), "{}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(!is_alive(hung().unwrap()), "the new process lives on");
    for _ in 0..20 {
        client.recv(&mut [0; 1_500]).unwrap();
    }
}

#[test]
fn a_successor_without_its_parent_does_not_become_another_server() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("windrose.toml");
    std::fs::write(&config, "[server]\nlisten = [\"127.0.0.1:0\"]\n").unwrap();
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let mut server = std::process::Command::new(upgrade_support::BINARY)
        .args(["serve", "--config"])
        .arg(&config)
        .env("WINDROSE_TAKE_OVER", "1")
        .stdin(std::os::fd::OwnedFd::from(theirs))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while server.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = server.kill();
    let output = server.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot take over from the server at work"), "{said}");
}

/// No test: what [`a_successor_that_fails_in_any_way_changes_nothing`] starts, which goes
/// some way and then fails.
#[test]
fn pretended_successor() {
    let Ok(stage) = std::env::var(PRETEND) else { return };
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut line = UnixStream::from(stdin);
    let mut say = |kind: u8, payload: &[u8]| {
        let mut frame = vec![kind, 0, 0, 0];
        frame.extend((payload.len() as u32).to_le_bytes());
        frame.extend(payload);
        line.write_all(&frame).unwrap();
    };
    let hello = format!("{{\"version\":\"9\",\"pid\":{}}}", std::process::id());
    say(1, hello.as_bytes());
    if stage == "refuse" {
        say(10, b"of its own reasons");
    }
    let prepared = stage.ends_with("-prepared");
    if prepared {
        say(4, b"{}");
    }
    // All that comes, until there is no more for a while.
    line.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    if stage == "hang" {
        std::thread::sleep(Duration::from_secs(100));
    }
    let mut bytes = Vec::new();
    let _ = line.read_to_end(&mut bytes);
    assert!(!bytes.is_empty() || stage == "refuse");
    if stage.starts_with("die") {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, Signal::KILL).unwrap();
    }
    // Its end of the line closes, and it lives on for a while.
    drop(line);
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null").unwrap()).unwrap();
    std::thread::sleep(Duration::from_secs(100));
}

/// Takes deliveries and gives the bodies of all.
fn receiver() -> (u16, std::sync::Arc<std::sync::Mutex<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = std::sync::Arc::<std::sync::Mutex<String>>::default();
    let bodies = std::sync::Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = std::io::BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while std::io::BufRead::read_line(&mut stream, &mut line).unwrap() > 2 {
                let (name, value) = line.split_once(':').unwrap_or_default();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let said = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            // Counted even where nobody is left to hear of it.
            let _ = stream.get_mut().write_all(said);
            *bodies.lock().unwrap() += &(String::from_utf8(body).unwrap() + "\n");
        }
    });
    (port, taken)
}

#[test]
fn webhooks_are_told_once_and_the_query_log_ends_well() {
    let mut server = Server::start(1);
    let (port, taken) = receiver();
    let config = std::fs::read_to_string(server.path("windrose.toml")).unwrap();
    let log = server.path("queries");
    let config = format!(
        "{config}[query_log]\nfile = \"{}\"\n[webhook.hook]\nurl = \"http://127.0.0.1:{port}/\"\nevents = [\"config\"]\n",
        log.display()
    );
    server.write("windrose.toml", &config);
    assert!(server.command("reload").status.success());
    let told = |what: &str| taken.lock().unwrap().matches(what).count();
    let (loaded, upgraded) = ("\"event\":\"config_loaded\"", "\"cause\":\"upgrade\"");
    server.until("the reload is told", || told(loaded) >= 1);
    server.until("the log is begun", || log.exists());
    let before = told(loaded);
    server.ask("first.g.example");
    for turn in 1..=2 {
        server.upgrade();
        server.until("the upgrade is told", || {
            told(upgraded) >= turn && told(loaded) >= before + turn
        });
    }
    server.until("the log is begun anew", || server.path("queries.2").exists());
    assert_eq!((told(loaded), told(upgraded)), (before + 2, 2), "{}", taken.lock().unwrap());
    for file in ["queries.1", "queries.2"] {
        let bytes = std::fs::read(server.path(file)).unwrap();
        assert!(bytes.ends_with(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]), "{file}: {bytes:?}");
    }
}
