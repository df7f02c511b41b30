//! One engine's history in another: what comes back, what it does, what ends it.

use super::*;
use crate::health::check::{ProbeKind, TcpProbe};
use crate::health::machine::KeptMachine;
use crate::health::plan::{Identity, Target, Thresholds, Verdict};
use crate::health::table::TTL_CAP_NONE;
use crate::health::{Failure, FailureKind, Outcome};

const THEN_S: u32 = 1_800_000_000;

/// Targets at 192.0.2.1, .2, …, with a verdict each.
fn plan(ports: &[u16]) -> Plan {
    let target = |port: &u16| Target {
        identity: Identity {
            probe: ProbeKind::Tcp(TcpProbe { port: *port, ..TcpProbe::default() }),
            address: std::net::IpAddr::from([192, 0, 2, 1]).into(),
        },
        check: "ready".to_owned(),
        member: format!("member{port}"),
        wip: Some("shop".to_owned()),
        datacenter: None,
        thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
        interval_ms: 5_000,
        timeout_ms: 2_000,
        confirm_interval_ms: 1_000,
    };
    let verdicts = (0..ports.len() as u32)
        .map(|id| Verdict { targets: vec![id], ..Verdict::default() })
        .collect();
    Plan { targets: ports.iter().map(target).collect(), verdicts, ..Plan::default() }
}

/// An engine and its own time.
struct Run {
    engine: Engine,
    now: Now,
}

impl Run {
    fn start(ports: &[u16], unix_s: u32) -> Run {
        let now = Now { mono_ms: 3, unix_s };
        Run { engine: Engine::new(plan(ports), None, now), now }
    }

    /// Waits for the next probe of target `id` and lets it end so; others say nothing.
    fn probe(&mut self, id: TargetId, result: Result<(), FailureKind>) {
        loop {
            while let Some(due) = self.engine.take_due(self.now) {
                let ours = due.target == id;
                let result = if ours { result } else { Err(FailureKind::Internal) };
                let result = result.map_err(|kind| Failure::new(kind, "as told"));
                let outcome = Outcome { result, duration_ms: 1, certificate_expires_s: None };
                self.engine.result(due.key, outcome, self.now);
                if ours {
                    return;
                }
            }
            self.pass(10);
            self.engine.expire(self.now);
        }
    }

    fn pass(&mut self, ms: u64) {
        let unix_s = self.now.unix_s + ((self.now.mono_ms + ms) / 1_000) as u32
            - (self.now.mono_ms / 1_000) as u32;
        self.now = Now { mono_ms: self.now.mono_ms + ms, unix_s };
    }

    fn word(&self, id: u32) -> Word {
        self.engine.table().word(id)
    }

    /// What a file has of it.
    fn saved(&self) -> Saved {
        let history = self.engine.history(self.now);
        let keys: Vec<StableKey> =
            history.plan.targets.iter().map(|target| target_key(&target.identity)).collect();
        Saved::decode(&history.named(&keys).encode()).unwrap()
    }

    /// Another process, so many seconds later.
    fn restart(&self, ports: &[u16], seconds: u32) -> (Run, Restored) {
        let mut next = Run::start(ports, self.now.unix_s + seconds);
        let restored = next.engine.restore(&self.saved(), next.now);
        (next, restored)
    }
}

const REFUSED: Result<(), FailureKind> = Err(FailureKind::Refused);

/// Target 0 is down, target 1 is up with two of three failures counted.
fn before() -> Run {
    let mut run = Run::start(&[80, 81], THEN_S);
    run.probe(1, Ok(()));
    for _ in 0..3 {
        run.probe(0, REFUSED);
    }
    assert_eq!(run.word(0).state(), State::Down);
    run.probe(1, REFUSED);
    run.probe(1, REFUSED);
    assert_eq!(run.engine.status(1).unwrap().results_needed, 1);
    run
}

#[test]
fn a_young_history_brings_verdicts_and_counters_back_at_the_least_ttl() {
    let old = before();
    let (mut run, restored) = old.restart(&[80, 81], 599);
    assert_eq!(restored, Restored { targets: 2, age_s: Some(599), counters: true });
    let (down, up) = (run.word(0), run.word(1));
    assert_eq!((down.state(), down.available(), down.ttl_cap_s()), (State::Down, false, 0));
    assert_eq!((up.state(), up.available(), up.ttl_cap_s()), (State::Up, true, 0));
    assert_eq!(down.lost_at_s(), old.word(0).lost_at_s());
    for id in [0, 1] {
        let (was, is) = (old.engine.status(id).unwrap(), run.engine.status(id).unwrap());
        assert!(is.stale && !was.stale);
        assert_eq!((is.since_s, is.transitions), (was.since_s, was.transitions));
        assert_eq!(is.results_needed, was.results_needed);
    }
    // It had two of three.
    run.probe(1, REFUSED);
    assert_eq!(run.word(1).state(), State::Down);
    assert!(!run.engine.status(1).unwrap().stale);
}

#[test]
fn a_process_at_work_hands_over_verdicts_as_good_as_its_own() {
    let old = before();
    let mut run = Run::start(&[80, 81], old.now.unix_s);
    let restored = run.engine.take_over(&old.saved(), run.now);
    assert_eq!(restored, Restored { targets: 2, age_s: Some(0), counters: true });
    for id in [0, 1] {
        assert_eq!(run.word(id), old.word(id), "state and TTL are what they were");
        let (was, is) = (old.engine.status(id).unwrap(), run.engine.status(id).unwrap());
        assert_eq!(
            (is.stale, is.failures, is.results_needed),
            (false, was.failures, was.results_needed)
        );
    }
    assert!(run.engine.first_verdicts_done(), "readiness waits for nothing");
    // It had two of three.
    run.probe(1, REFUSED);
    assert_eq!(run.word(1).state(), State::Down);
}

#[test]
fn what_was_stale_or_unknown_there_is_so_here() {
    let (stale, _) = before().restart(&[80, 81, 82], 5);
    let mut run = Run::start(&[80, 81, 82], stale.now.unix_s);
    run.engine.take_over(&stale.saved(), run.now);
    assert!(run.engine.status(0).unwrap().stale && run.engine.status(1).unwrap().stale);
    assert_eq!(run.word(2).state(), State::Unknown);
    assert!(!run.engine.first_verdicts_done());
}

#[test]
fn an_old_history_brings_verdicts_back_alone_and_so_does_one_from_the_future() {
    let old = before();
    for (seconds, age_s) in [(600, Some(600)), (40_000_000, Some(40_000_000))] {
        let (run, restored) = old.restart(&[80, 81], seconds);
        assert_eq!(restored, Restored { targets: 2, age_s, counters: false });
        assert_eq!((run.word(0).state(), run.word(0).ttl_cap_s()), (State::Down, 0));
        assert_eq!(run.engine.status(1).unwrap().results_needed, 3);
    }
    // The clock was set back by a day.
    let mut run = Run::start(&[80, 81], old.now.unix_s - 86_400);
    let restored = run.engine.restore(&old.saved(), run.now);
    assert_eq!(restored, Restored { targets: 2, age_s: None, counters: false });
    assert_eq!((run.word(0).state(), run.word(1).state()), (State::Down, State::Up));
    assert_eq!(run.engine.status(1).unwrap().results_needed, 3);
}

#[test]
fn a_restart_turns_no_verdict_with_one_result() {
    let (mut run, _) = before().restart(&[80, 81], 3_600);
    run.probe(0, Ok(()));
    let word = run.word(0);
    assert_eq!((word.state(), word.available(), word.ttl_cap_s()), (State::Down, false, 1));
    run.probe(0, Ok(()));
    assert_eq!(
        run.word(0),
        Word::new(State::Up, true, Override::None, TTL_CAP_NONE, word.lost_at_s())
    );
    for left in [2, 1] {
        run.probe(1, REFUSED);
        assert_eq!(run.word(1).state(), State::Up);
        assert_eq!(run.word(1).ttl_cap_s(), left);
    }
    run.probe(1, REFUSED);
    assert_eq!(run.word(1).state(), State::Down);
}

#[test]
fn readiness_waits_for_a_result_of_this_process() {
    let (mut run, _) = before().restart(&[80, 81], 5);
    assert!(!run.engine.first_verdicts_done());
    run.probe(0, REFUSED);
    run.probe(1, Ok(()));
    assert!(run.engine.first_verdicts_done());
}

#[test]
fn a_failure_of_ours_confirms_nothing_and_silence_ends_in_unknown() {
    let (mut run, _) = before().restart(&[80, 81], 5);
    run.probe(0, Err(FailureKind::Internal));
    assert!(run.engine.status(0).unwrap().stale);
    assert_eq!(run.word(0).state(), State::Down);
    while run.now.mono_ms < 16_000 {
        run.probe(0, Err(FailureKind::Internal));
    }
    let word = run.word(0);
    assert_eq!((word.state(), word.available(), word.ttl_cap_s()), (State::Unknown, false, 0));
    assert!(!run.engine.status(0).unwrap().stale);
}

#[test]
fn only_what_is_in_the_file_and_in_the_plan_comes_back() {
    let (run, restored) = before().restart(&[82, 80], 5);
    assert_eq!(restored.targets, 1);
    assert_eq!(run.word(0), Word::UNKNOWN);
    assert_eq!(run.word(1).state(), State::Down);
}

#[test]
fn a_stale_verdict_stays_one_over_a_reload() {
    let (mut run, _) = before().restart(&[80, 81], 5);
    run.engine = Engine::new(plan(&[81, 80]), Some(&run.engine), run.now);
    assert_eq!((run.word(1).state(), run.word(1).ttl_cap_s()), (State::Down, 0));
    assert!(run.engine.status(1).unwrap().stale && !run.engine.first_verdicts_done());
    // Another probe of the same member inherits it with the verdict.
    let mut changed = plan(&[80, 81]);
    changed.targets[0].identity.probe = ProbeKind::Tcp(TcpProbe {
        port: 80,
        expect: Some("220".to_owned()),
        ..TcpProbe::default()
    });
    run.engine = Engine::new(changed, Some(&run.engine), run.now);
    assert_eq!((run.word(0).state(), run.word(0).ttl_cap_s()), (State::Down, 0));
    assert!(run.engine.status(0).unwrap().stale);
}

#[test]
fn flap_damping_goes_on_and_the_time_away_counts() {
    let mut old = before();
    old.probe(0, Ok(()));
    old.probe(0, Ok(()));
    assert_eq!(old.word(0).state(), State::Up);
    for (away_s, doubled) in [(30, true), (599, false)] {
        let (mut run, _) = old.restart(&[80, 81], away_s);
        for _ in 0..3 {
            run.probe(0, REFUSED);
        }
        let status = run.engine.status(0).unwrap();
        assert_eq!(status.state, State::Down);
        assert_eq!(status.rise_effective, if doubled { 4 } else { 2 }, "after {away_s} s");
    }
}

#[test]
fn a_machine_of_any_numbers_goes_on() {
    for byte in [0, 1, 127, 255] {
        let kept = KeptTarget {
            machine: KeptMachine {
                eligible: byte % 2 == 0,
                known: true,
                failures: byte,
                successes: byte,
                doublings: byte,
                flap_left_ms: u32::MAX,
            },
            ..KeptTarget::default()
        };
        let mut run = Run::start(&[80], THEN_S);
        let key = target_key(&run.engine.plan().targets[0].identity);
        let saved = Saved { written_at_s: THEN_S, targets: vec![(key, kept)], ..Saved::default() };
        run.engine.restore(&saved, run.now);
        for turn in 0..100 {
            run.probe(0, if turn % 40 < 20 { REFUSED } else { Ok(()) });
        }
        assert!(run.engine.status(0).unwrap().rise_effective <= 32);
    }
}

#[test]
fn a_verdict_that_waits_for_an_operator_goes_on_waiting() {
    let held = |ports: &[u16]| {
        let mut plan = plan(ports);
        for verdict in &mut plan.verdicts {
            verdict.failback = Failback::Manual;
        }
        plan
    };
    let mut old = Run::start(&[80, 81], THEN_S);
    old.engine = Engine::new(held(&[80, 81]), None, old.now);
    old.probe(0, Ok(()));
    (0..3).for_each(|_| old.probe(0, REFUSED));
    (0..2).for_each(|_| old.probe(0, Ok(())));
    assert!(old.word(0).is_held() && !old.word(0).available());
    for seconds in [5, 100_000] {
        // Its place in the plan is another.
        let mut run = Run::start(&[81, 80], old.now.unix_s + seconds);
        run.engine = Engine::new(held(&[81, 80]), None, run.now);
        run.engine.restore(&old.saved(), run.now);
        assert!(run.word(1).is_held() && !run.word(1).available(), "after {seconds} s");
        assert!(!run.word(0).is_held() && run.word(0).available());
        run.probe(1, Ok(()));
        assert!(run.word(1).is_held());
        assert_eq!(run.engine.fail_back(|_| true, run.now).1, 1);
        assert!(run.word(1).available());
        // A config without failback has nothing to wait for.
        let mut run = Run::start(&[80], old.now.unix_s + seconds);
        run.engine.restore(&old.saved(), run.now);
        assert!(!run.word(0).is_held() && run.word(0).available());
    }
}

#[test]
fn a_hold_and_a_loss_outlive_the_process_however_old_the_history() {
    for seconds in [5, 100_000] {
        let mut old = before();
        let mut plan = Plan::clone(old.engine.plan());
        plan.verdicts.iter_mut().for_each(|verdict| verdict.failback = Failback::Manual);
        old.engine = Engine::new(plan.clone(), Some(&old.engine), old.now);
        // Target 1 goes down and comes back: held. Then it goes down for good.
        old.probe(1, REFUSED);
        old.probe(1, Ok(()));
        old.probe(1, Ok(()));
        assert!(old.word(1).is_held());
        let now = Now { mono_ms: 0, unix_s: old.now.unix_s + seconds };
        let restart = |old: &Run| {
            let mut engine = Engine::new(plan.clone(), None, now);
            engine.restore(&old.saved(), now);
            engine
        };
        let engine = restart(&old);
        let word = engine.table().word(1);
        assert_eq!((word.state(), word.available(), word.is_held()), (State::Up, false, true));
        let (is, was) = (engine.return_of(1).unwrap(), old.engine.return_of(1).unwrap());
        let since_s = if seconds == 5 { was.since_s } else { now.unix_s };
        assert_eq!(is, Return { since_s, ..was }, "nobody saw it meanwhile");
        for _ in 0..3 {
            old.probe(1, REFUSED);
        }
        let mut run = Run { engine: restart(&old), now };
        assert_eq!(run.word(1).state(), State::Down);
        for _ in 0..32 {
            run.probe(1, Ok(()));
        }
        assert!(run.word(1).is_held(), "lost before, held after");
    }
}

#[test]
fn a_restart_holds_nobody_for_another_wip_that_comes_back_in_another_way() {
    let ways = |ways: &[(Failback, u32)]| {
        let twin = |&(failback, ramp_ms): &(Failback, u32)| Verdict {
            targets: vec![0],
            failback,
            ramp_ms,
            ..Verdict::default()
        };
        Plan { verdicts: ways.iter().map(twin).collect(), ..plan(&[80]) }
    };
    const WAYS: [(Failback, u32); 3] =
        [(Failback::Manual, 0), (Failback::AfterMs(600_000), 0), (Failback::Auto, 300_000)];
    let mut old = Run::start(&[80], THEN_S);
    old.engine = Engine::new(ways(&WAYS), None, old.now);
    old.probe(0, Ok(()));
    (0..3).for_each(|_| old.probe(0, REFUSED));
    (0..2).for_each(|_| old.probe(0, Ok(())));
    // All are back but the first.
    old.engine.fail_back(|id| id == 1, old.now);
    while old.engine.returns().count() > 1 {
        old.probe(0, Ok(()));
    }
    let restart = |config: &[(Failback, u32)]| {
        let now = Now { mono_ms: 0, unix_s: old.now.unix_s + 5 };
        let mut engine = Engine::new(ways(config), None, now);
        engine.restore(&old.saved(), now);
        let phases = (0..config.len() as u32).map(|id| engine.return_of(id).map(|at| at.phase));
        phases.collect::<Vec<_>>()
    };
    assert_eq!(restart(&WAYS), [Some(ReturnPhase::Held), None, None]);
    // What was manual is to come back after a time: it is held still, and it alone.
    let changed = [(Failback::AfterMs(6_000_000), 0), WAYS[1], WAYS[2]];
    assert_eq!(restart(&changed), [Some(ReturnPhase::Held), None, None]);
}

#[test]
fn what_waits_for_a_time_says_so_and_what_waits_for_an_operator_does_not() {
    for (failback, waits) in [(Failback::AfterMs(60_000), true), (Failback::Manual, false)] {
        let mut run = Run::start(&[80], THEN_S);
        let mut plan = plan(&[80]);
        plan.verdicts[0].failback = failback;
        run.engine = Engine::new(plan, None, run.now);
        run.probe(0, Ok(()));
        (0..3).for_each(|_| run.probe(0, REFUSED));
        assert!(!run.engine.history(run.now).waits_for_time(), "away, not held");
        (0..2).for_each(|_| run.probe(0, Ok(())));
        assert_eq!(run.engine.history(run.now).waits_for_time(), waits);
    }
}
