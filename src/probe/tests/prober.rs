//! The prober as a whole: plan in, words out.

use std::sync::atomic::AtomicU16;
use std::sync::mpsc as blocking;

use super::*;
use crate::health::LimiterPhase;
use crate::health::check::ExecProbe;
use crate::health::plan::Verdict;
use crate::health::table::{State, Table, Word};

/// A site whose answer can be changed while it runs.
async fn site(status: Arc<AtomicU16>) -> SocketAddr {
    serve(move |mut stream| {
        let status = Arc::clone(&status);
        async move {
            read_head(&mut stream).await;
            let status = status.load(Ordering::Relaxed);
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(text.as_bytes()).await;
        }
    })
    .await
}

fn single(id: u32) -> Verdict {
    Verdict { targets: vec![id], ..Verdict::default() }
}

/// Waits until `done`, at most twenty seconds.
async fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within twenty seconds: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_site_that_stops_is_lost_and_comes_back() {
    let status = Arc::new(AtomicU16::new(200));
    let port = site(Arc::clone(&status)).await.port();
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let (told, notices) = std::sync::mpsc::channel();
    prober.listen(move |noticed| told.send(noticed).unwrap()).unwrap();
    assert!(!prober.ready(), "nothing applied yet");
    let plan = Plan {
        targets: vec![target(ProbeKind::Http(http_probe(port))), target(ProbeKind::Always)],
        verdicts: vec![single(0), single(1)],
        ..Plan::default()
    };
    let table = prober.apply(plan.clone()).unwrap();
    assert_eq!((table.word(0), table.word(1)), (Word::UNKNOWN, Word::UP));
    eventually("ready", || prober.ready()).await;
    assert_eq!(table.word(0), Word::UP);

    status.store(503, Ordering::Relaxed);
    eventually("down", || !table.word(0).available()).await;
    let view = prober.view().await.unwrap();
    let (_, seen) = view.iter().next().unwrap();
    assert_eq!(seen.state, State::Down);
    assert_eq!(seen.last_failure.as_ref().unwrap().kind, FailureKind::Status);

    // A reload keeps it down, in a new table.
    let table = prober.apply(plan).unwrap();
    assert!(!table.word(0).available());
    status.store(200, Ordering::Relaxed);
    eventually("up", || table.word(0).available()).await;

    let mut seen = Vec::new();
    while let Ok(noticed) = notices.try_recv() {
        seen.push(match noticed.notice {
            Notice::Transition { from, to, .. } => format!("{} {}", from.as_str(), to.as_str()),
            Notice::Available { available, .. } => format!("{available}"),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["unknown up", "up down", "false", "down up", "true"]);
    let metrics = prober.metrics();
    let counters = &metrics.checks["ready"];
    assert!(counters.failed[FailureKind::Status as usize] >= 3);
    assert!(counters.passed >= 3);
    assert!(metrics.lag_s < 2.0);
    prober.shutdown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn thousands_of_targets_start_within_their_spread_and_caps() {
    let running = Arc::new(AtomicU16::new(0));
    let most = Arc::new(AtomicU16::new(0));
    let (count, seen_most) = (Arc::clone(&running), Arc::clone(&most));
    let server = serve(move |mut stream| {
        let (running, most) = (Arc::clone(&count), Arc::clone(&seen_most));
        async move {
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            running.fetch_sub(1, Ordering::Relaxed);
        }
    });
    let port = server.await.port();
    let targets: Vec<Target> = (0..2_000)
        .map(|n| {
            let mut probe = http_probe(port);
            probe.host = Some(format!("wip{n}.example.com"));
            let mut target = target(ProbeKind::Http(probe));
            target.interval_ms = 4_000;
            target.timeout_ms = 2_000;
            target
        })
        .collect();
    let verdicts = (0..2_000).map(single).collect();
    let limits = ProbeLimits { concurrency: 64, concurrency_per_address: 16 };
    let prober = Prober::start(limits, Clock::start(), || {}).unwrap();
    let table = prober.apply(Plan { targets, verdicts, ..Plan::default() }).unwrap();
    eventually("all judged", || prober.ready()).await;
    assert!((0..2_000).all(|id| table.word(id).available()));
    // The server may not have seen the end of a probe whose slot is taken again.
    assert!(most.load(Ordering::Relaxed) <= 2 * 16, "{most:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_unreadable_ca_file_is_our_failure_and_takes_nobody_down() {
    let port = site(Arc::new(AtomicU16::new(200))).await.port();
    let mut probe = http_probe(port);
    probe.tls = Some(crate::health::check::TlsProbe {
        sni: None,
        verify: true,
        ca_file: Some("/nonexistent/ca.pem".into()),
        ..Default::default()
    });
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let plan = Plan {
        targets: vec![target(ProbeKind::Http(probe))],
        verdicts: vec![single(0)],
        ..Plan::default()
    };
    let table = prober.apply(plan).unwrap();
    let failed = || {
        let metrics = prober.metrics();
        let counters = metrics.checks.get("ready");
        counters.is_some_and(|counters| counters.failed[FailureKind::Internal as usize] >= 4)
    };
    eventually("four probes", failed).await;
    assert!(table.word(0).available());
    assert_eq!(table.word(0).state(), State::Unknown);
    let view = prober.view().await.unwrap();
    let detail = &view.targets[0].last_failure.as_ref().unwrap().detail;
    assert!(detail.starts_with("ca_file /nonexistent/ca.pem: No such file"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stopped_prober_says_so() {
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let commands = prober.commands.clone();
    commands.send(Command::Stop).unwrap();
    eventually("stopped", || commands.is_closed()).await;
    assert_eq!(prober.apply(Plan::default()).unwrap_err(), NotApplied::Stopped);
    assert!(prober.view().await.is_err());
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(prober.metrics().lag_s > 0.2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stuck_prober_is_not_waited_for_and_never_takes_what_was_given_up() {
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let of = |targets: usize| Plan {
        targets: vec![target(ProbeKind::Always); targets],
        ..Plan::default()
    };
    prober.apply(of(1)).unwrap();
    let (release, hang) = blocking::channel();
    let hangs = Command::Look(Box::new(move |_, _| {
        let _ = hang.recv();
    }));
    prober.commands.send(hangs).unwrap();
    let soon = Duration::from_millis(20);
    assert_eq!(prober.apply_within(soon, of(2)).unwrap_err(), NotApplied::Stuck);
    let looked = Arc::new(AtomicBool::new(false));
    let look = Arc::clone(&looked);
    assert_eq!(prober.look_within(soon, move |_, _| look.store(true, Ordering::Relaxed)), None);
    release.send(()).unwrap();
    let view = prober.view().await.unwrap();
    assert_eq!(view.targets.len(), 1, "nobody reads the words of two");
    assert!(!looked.load(Ordering::Relaxed), "nobody waits for what it copies");
    prober.apply(of(3)).unwrap();
    assert_eq!(prober.view().await.unwrap().targets.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn words_of_a_prober_that_hangs_become_unknown_and_come_back() {
    let status = Arc::new(AtomicU16::new(200));
    let up = site(Arc::clone(&status)).await.port();
    let down = site(Arc::new(AtomicU16::new(503))).await.port();
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let plan = Plan {
        targets: [up, down].map(|port| target(ProbeKind::Http(http_probe(port)))).to_vec(),
        verdicts: vec![single(0), single(1)],
        ..Plan::default()
    };
    let table = prober.apply(plan.clone()).unwrap();
    let judged = |table: &Table| (table.word(0).state(), table.word(1).state());
    eventually("judged", || judged(&table) == (State::Up, State::Down)).await;
    assert!(!prober.metrics().stalled);
    let lost_at_s = table.word(1).lost_at_s();

    let (release, hang) = blocking::channel();
    let hangs = Command::Look(Box::new(move |_, _| {
        let _ = hang.recv();
    }));
    prober.commands.send(hangs).unwrap();
    eventually("veiled", || judged(&table) == (State::Unknown, State::Unknown)).await;
    assert!(prober.metrics().stalled && prober.metrics().lag_s > 2.0);
    for (id, available) in [(0, true), (1, false)] {
        let word = table.word(id);
        assert_eq!((word.available(), word.ttl_cap_s()), (available, 0));
    }
    assert_eq!(table.word(1).lost_at_s(), lost_at_s);

    release.send(()).unwrap();
    eventually("lifted", || !prober.metrics().stalled).await;
    eventually("judged anew", || judged(&table) == (State::Up, State::Down)).await;
    assert_eq!(table.word(1).lost_at_s(), lost_at_s);

    // A thread that is gone does not come back, nor do verdicts.
    let breaks = Command::Look(Box::new(|_, _| panic!("as a bug would")));
    prober.commands.send(breaks).unwrap();
    eventually("veiled for ever", || judged(&table) == (State::Unknown, State::Unknown)).await;
    assert!(prober.metrics().stalled && prober.apply(plan).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn threads_that_are_too_busy_blame_no_target() {
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..HELPERS {
        let stop = Arc::clone(&stop);
        prober.helpers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(450));
                tokio::task::yield_now().await;
            }
        });
    }
    let command = ["/bin/sleep", "60"].map(str::to_owned).to_vec();
    let mut slow = target(ProbeKind::Exec(ExecProbe { command, host: None }));
    slow.timeout_ms = 600;
    let plan = Plan { targets: vec![slow], verdicts: vec![single(0)], ..Plan::default() };
    let _table = prober.apply(plan).unwrap();
    let failed = || prober.metrics().checks.values().map(|check| check.failed).next();
    let all = || failed().map_or(0, |failed| failed.iter().sum::<u64>());
    eventually("three failures", || all() >= 3).await;
    let internal = failed().unwrap()[FailureKind::Internal as usize];
    assert_eq!(all(), internal, "{:?}", prober.view().await.unwrap().targets);
    assert!(prober.metrics().lag_s > 0.1, "{}", prober.metrics().lag_s);
    stop.store(true, Ordering::Relaxed);
    let timeouts = || failed().unwrap()[FailureKind::Timeout as usize];
    eventually("the target is blamed once there is time", || timeouts() > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn threads_that_hang_veil_the_words_of_this_plan_and_the_next() {
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    // Commands are started on the helpers, not on the runner's own thread.
    let command = vec!["/bin/true".to_owned()];
    let plan = Plan {
        targets: vec![target(ProbeKind::Exec(ExecProbe { command, host: None }))],
        verdicts: vec![single(0)],
        ..Plan::default()
    };
    let table = prober.apply(plan.clone()).unwrap();
    eventually("up", || table.word(0).state() == State::Up).await;
    let channels = [(); HELPERS].map(|()| blocking::channel::<()>());
    let release = channels.each_ref().map(|(release, _)| release.clone());
    for (_, hang) in channels {
        prober.helpers.spawn(async move { hang.recv() });
    }
    eventually("noticed", || prober.stalled()).await;
    eventually("veiled", || table.word(0).state() == State::Unknown).await;
    assert!(table.word(0).available());
    let next = prober.apply(plan).unwrap();
    assert_eq!((next.word(0).state(), next.word(0).available()), (State::Unknown, true));
    drop(release);
    eventually("lifted", || !prober.metrics().stalled).await;
    eventually("judged", || next.word(0).state() == State::Up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_history_goes_from_one_prober_to_the_next() {
    let hangs = Arc::new(AtomicBool::new(false));
    let hanging = Arc::clone(&hangs);
    let site = serve(move |mut stream| {
        let hangs = hanging.load(Ordering::Relaxed);
        async move {
            read_head(&mut stream).await;
            if hangs {
                tokio::time::sleep(Duration::from_secs(600)).await;
            }
            let _ = stream.write_all(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let mut wanted = target(ProbeKind::Http(http_probe(site.await.port())));
    let plan = |target: &Target| Plan {
        targets: vec![target.clone()],
        verdicts: vec![single(0)],
        ..Plan::default()
    };
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let table = prober.apply(plan(&wanted)).unwrap();
    eventually("down", || table.word(0).state() == State::Down).await;
    let history = prober.look(Engine::history).await.unwrap();
    prober.shutdown();

    // No probe ends from here on.
    hangs.store(true, Ordering::Relaxed);
    (wanted.timeout_ms, wanted.interval_ms) = (300_000, 600_000);
    let keys = [crate::health::stable::target_key(&wanted.identity)];
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    prober.restore(history.named(&keys)).unwrap();
    let next = prober.apply(plan(&wanted)).unwrap();
    let word = next.word(0);
    assert_eq!((word.state(), word.available(), word.ttl_cap_s()), (State::Down, false, 0));
    assert_eq!(word.lost_at_s(), table.word(0).lost_at_s());
    assert!(prober.view().await.unwrap().targets[0].stale);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn losses_that_the_limiter_holds_are_seen_and_let_go_by_an_operator() {
    let status = Arc::new(AtomicU16::new(200));
    let port = site(Arc::clone(&status)).await.port();
    let prober = Prober::start(ProbeLimits::default(), Clock::start(), || {}).unwrap();
    let (told, notices) = std::sync::mpsc::channel();
    prober.listen(move |noticed| drop(told.send(noticed))).unwrap();
    let targets: Vec<Target> = (0..12)
        .map(|n| {
            let mut probe = http_probe(port);
            probe.host = Some(format!("wip{n}.example.com"));
            Target { datacenter: Some(n % 2), ..target(ProbeKind::Http(probe)) }
        })
        .collect();
    let verdicts = (0..12).map(single).collect();
    let table = prober.apply(Plan { targets, verdicts, ..Plan::default() }).unwrap();
    eventually("ready", || prober.ready()).await;
    status.store(503, Ordering::Relaxed);
    let phase = || prober.summary().limiter.phase;
    eventually("tripped", || phase() == LimiterPhase::Tripped).await;
    eventually("all are held", || prober.summary().limiter.held == 12).await;
    assert!((0..12).all(|id| table.word(id).available()));

    let held = prober.act(|engine, now| {
        let held = engine.limiter().held;
        (engine.release_limiter(now), held)
    });
    assert_eq!(held.await.unwrap(), 12);
    eventually("all are lost", || (0..12).all(|id| !table.word(id).available())).await;
    eventually("overruled", || phase() == LimiterPhase::Overruled).await;
    let seen: Vec<Notice> = notices.try_iter().map(|noticed| noticed.notice).collect();
    let trips = |notice: &&Notice| matches!(notice, Notice::LimiterTripped { targets: 12, .. });
    assert_eq!(seen.iter().filter(trips).count(), 1, "{seen:?}");
    let released = |notice: &&Notice| {
        matches!(notice, Notice::LimiterReleased { held: 12, by_operator: true })
    };
    assert_eq!(seen.iter().filter(released).count(), 1, "{seen:?}");
}
