//! Faults of our own: the limiter's witnesses, pauses.

use super::*;
use crate::health::LimiterPhase;

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
