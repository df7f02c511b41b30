//! Faults of our own: the limiter's witnesses, pauses.

use super::*;
use crate::health::LimiterPhase;
use crate::health::check::{FileProbe, Require};
use crate::health::table::Override;

/// `count` targets in each of `datacenters`, and a reference, which comes last.
fn sites(datacenters: u32, count: u32) -> Plan {
    let members: Vec<String> = (0..datacenters * count + 1).map(|n| format!("m{n}")).collect();
    let names: Vec<&str> = members.iter().map(String::as_str).collect();
    let mut plan = plan(&names);
    let reference = datacenters * count;
    for (id, target) in (0..reference).zip(&mut plan.targets) {
        target.datacenter = Some(id / count);
    }
    plan.verdicts.pop();
    plan.references = vec![reference];
    plan
}

#[test]
fn a_reference_that_fails_for_reasons_of_ours_is_not_calm() {
    let mut run = Run::new(sites(1, 20));
    run.until(60_000, |_, _| passed());
    run.until(180_000, |target, _| match target.datacenter {
        Some(_) => failed(FailureKind::Timeout),
        None => failed(FailureKind::Internal),
    });
    let limiter = run.engine.limiter();
    assert_eq!((limiter.phase, limiter.trips), (LimiterPhase::Tripped, 1));
    run.until(200_000, |_, _| passed());
    assert_eq!(run.engine.limiter().phase, LimiterPhase::Armed);
}

#[test]
fn a_pause_within_a_long_probe_is_seen_though_nothing_was_due() {
    for (paused, failures) in [(true, 0), (false, 1)] {
        let mut plan = plan(&["fra"]);
        plan.targets[0].interval_ms = 30_000;
        let mut run = Run::new(plan);
        run.until(60_000, |_, _| passed());
        let start_ms = run.engine.next_ms().unwrap();
        let due = run.engine.take_due(at(start_ms)).unwrap();
        for now_ms in (start_ms..start_ms + 10_000).step_by(500) {
            if paused && (start_ms + 4_000..start_ms + 9_000).contains(&now_ms) {
                continue;
            }
            run.engine.expire(at(now_ms));
            run.engine.promise(now_ms + 500);
        }
        let outcome = Outcome { duration_ms: 10_000, ..failed(FailureKind::Timeout) };
        run.engine.result(due.key, outcome, at(start_ms + 10_000));
        assert_eq!(run.engine.status(0).unwrap().failures, failures, "paused: {paused}");
    }
}

/// Two datacenters of ten members, each with an address of both families.
fn dual() -> Plan {
    let mut plan = sites(2, 20);
    plan.references.clear();
    plan.targets.pop();
    for (n, target) in (0..).zip(&mut plan.targets).filter(|(n, _)| n % 2 == 1) {
        target.identity.address = std::net::IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]).into();
    }
    plan
}

fn is_v6(target: &Target) -> bool {
    target.identity.address.ip().is_some_and(|address| address.is_ipv6())
}

fn unrouted() -> Outcome {
    Outcome { result: Err(Failure::unrouted("no route")), ..passed() }
}

#[test]
fn targets_without_a_route_do_not_keep_the_limiter_from_tripping() {
    let mut run = Run::new(dual());
    let routed = |target: &Target, four: Outcome| if is_v6(target) { unrouted() } else { four };
    run.until(60_000, |target, _| routed(target, passed()));
    let counted = |run: &Run| {
        let status = run.engine.limiter();
        status.datacenters.iter().map(|loss| (loss.targets, loss.counted)).collect::<Vec<_>>()
    };
    assert_eq!(counted(&run), [(10, 10), (10, 10)]);
    run.reload(dual());
    assert_eq!(counted(&run), [(10, 10), (10, 10)], "over a reload");
    run.until(90_000, |target, _| routed(target, failed(FailureKind::Timeout)));
    let limiter = run.engine.limiter();
    assert_eq!((limiter.phase, limiter.trips, limiter.held), (LimiterPhase::Tripped, 1, 20));
    assert!((0..40).all(|id| run.word(id).available()));
    // The route of the cut family goes as well: what is held stays held.
    run.until(120_000, |_, _| unrouted());
    assert_eq!(
        (run.engine.limiter().phase, run.engine.limiter().held),
        (LimiterPhase::Tripped, 20)
    );
    // Both come back, and count.
    run.until(150_000, |_, _| passed());
    assert_eq!(run.engine.limiter().phase, LimiterPhase::Armed);
    assert_eq!(counted(&run), [(20, 20), (20, 20)]);
}

#[test]
fn files_neither_count_for_the_limiter_nor_are_held() {
    let mut plan = dual();
    for (n, target) in plan.targets.iter_mut().enumerate().filter(|(n, _)| n % 2 == 1) {
        target.identity.probe =
            ProbeKind::File(FileProbe { path: format!("/{n}").into(), ..FileProbe::default() });
    }
    let mut run = Run::new(plan);
    let is_file = |target: &Target| matches!(target.identity.probe, ProbeKind::File(_));
    run.until(60_000, |_, _| passed());
    run.until(90_000, |target, _| match is_file(target) {
        true => passed(),
        false => failed(FailureKind::Timeout),
    });
    assert_eq!(run.engine.limiter().held, 20);
    run.until(120_000, |target, _| match target.member == "m1" || !is_file(target) {
        true => failed(FailureKind::Status),
        false => passed(),
    });
    assert_eq!((run.word(1).available(), run.word(0).available()), (false, true));
}

#[test]
fn a_reload_tells_whom_it_takes_out_of_answers() {
    // Three members with two targets each, of which the second is dead; one needs both.
    let with_require = |require: [Require; 3]| {
        let mut plan = plan(&["a0", "a1", "b0", "b1", "c0", "c1"]);
        let verdicts = (0..).zip(require);
        plan.verdicts = verdicts
            .map(|(n, require)| Verdict { targets: vec![2 * n, 2 * n + 1], require, ..single(0) })
            .collect();
        plan
    };
    let mut run = Run::new(with_require([Require::Any, Require::Any, Require::All]));
    run.until(60_000, |target, _| match target.member.ends_with('1') {
        true => failed(FailureKind::Refused),
        false => passed(),
    });
    let next = Engine::new(
        with_require([Require::All, Require::Any, Require::Any]),
        Some(&run.engine),
        at(60_000),
    );
    let expected =
        [(0, false), (2, true)].map(|(verdict, available)| Event::Available { verdict, available });
    assert_eq!(next.changed_since(&run.engine), expected);
    let same = Engine::new(next.plan().as_ref().clone(), Some(&next), at(60_000));
    assert_eq!(same.changed_since(&next), []);
}

#[test]
fn what_is_judged_again_under_a_lifted_veil_is_told() {
    let mut run = Run::new(plan(&["fra"]));
    run.until(60_000, |_, _| passed());
    // As the watchdog and a runner half alive may leave it.
    run.engine.table().set(0, Word::new(State::Unknown, false, Override::None, 0, 0));
    let events = run.engine.rejudge_all(at(60_000));
    assert_eq!(events, [Event::Available { verdict: 0, available: true }]);
}
