//! From a member's death to its verdict: always within the formula of
//! docs/HEALTH.md.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use windrose::health::plan::{Plan, TargetId, Thresholds, Verdict};
use windrose::health::table::State;
use windrose::health::{Engine, Event, Failure, FailureKind, Now, Outcome};

use super::world::{Random, target};

/// Targets that die again and again, each by itself.
const TARGETS: u32 = 24;
const DEATHS: usize = 120;

#[derive(Clone, Copy, Debug)]
struct Check {
    interval_ms: u64,
    timeout_ms: u64,
    confirm_ms: u64,
    fall: u64,
    kind: FailureKind,
}

impl Check {
    /// How long a failing probe takes.
    fn failure_ms(&self) -> u64 {
        if self.kind == FailureKind::Timeout { self.timeout_ms } else { 1 }
    }

    /// The formula; what fails at once takes a millisecond here.
    fn promised_ms(&self) -> f64 {
        1.05 * self.interval_ms as f64
            + (self.fall * self.failure_ms()) as f64
            + (self.fall - 1) as f64 * 1.1 * self.confirm_ms as f64
    }

    /// What is really the most: a confirm probe does not wait for both.
    fn most_ms(&self) -> f64 {
        let between_ms = (self.failure_ms() as f64).max(1.1 * self.confirm_ms as f64);
        1.05 * self.interval_ms as f64
            + (self.fall - 1) as f64 * between_ms
            + self.failure_ms() as f64
    }

    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        for number in 0..TARGETS {
            let mut target = target(number);
            target.thresholds = Thresholds { fall: self.fall as u8, rise: 1, clear: 2 };
            target.interval_ms = self.interval_ms as u32;
            target.timeout_ms = self.timeout_ms as u32;
            target.confirm_interval_ms = self.confirm_ms as u32;
            plan.targets.push(target);
            plan.verdicts.push(Verdict { targets: vec![number], ..Verdict::default() });
        }
        plan.limiter.max_down_fraction = 1.0;
        plan
    }

    /// Times from death to verdict, in milliseconds.
    fn run(&self, random: &mut Random) -> Vec<u64> {
        let mut engine = Engine::new(self.plan(), None, Now::default());
        let mut dies_ms = vec![u64::MAX; TARGETS as usize];
        let mut ends: BinaryHeap<Reverse<(u64, u64, TargetId, bool)>> = BinaryHeap::new();
        let mut took_ms = Vec::new();
        while took_ms.len() < DEATHS {
            let ends_ms = ends.peek().map(|Reverse(end)| end.0);
            let next_ms = engine.next_ms().into_iter().chain(ends_ms).min();
            let now_ms = next_ms.expect("something is always to come");
            let now = Now { mono_ms: now_ms, unix_s: 1_900_000_000 };
            while let Some(Reverse((_, key, id, passed))) =
                ends.peek().copied().filter(|Reverse(end)| end.0 <= now_ms)
            {
                ends.pop();
                let failed = Err(Failure::new(self.kind, "simulated"));
                let result = if passed { Ok(()) } else { failed };
                let duration_ms = if passed { 1 } else { self.failure_ms() as u32 };
                let outcome = Outcome { result, duration_ms, certificate_expires_s: None };
                for event in engine.result(key, outcome, now) {
                    let Event::Transition { to, .. } = event else { continue };
                    let dies_ms = &mut dies_ms[id as usize];
                    if to == State::Down {
                        took_ms.push(now_ms - *dies_ms);
                        // It lives again, to die some time after it is up.
                        *dies_ms = u64::MAX;
                    } else {
                        *dies_ms = now_ms + random.below(3 * self.interval_ms);
                    }
                }
            }
            while let Some(due) = engine.take_due(now) {
                let passes = now_ms < dies_ms[due.target as usize];
                let lasts_ms = if passes { 1 } else { self.failure_ms() };
                ends.push(Reverse((now_ms + lasts_ms, due.key, due.target, passes)));
            }
            engine.expire(now);
        }
        took_ms
    }
}

#[test]
fn a_death_is_a_verdict_within_the_formula_always() {
    let mut random = Random(5);
    let mut closest: f64 = 0.0;
    for kind in [FailureKind::Refused, FailureKind::Timeout, FailureKind::Status] {
        for (interval_ms, timeout_ms) in [(700, 300), (5_000, 2_000), (5_000, 500), (10_000, 9_000)]
        {
            for confirm_ms in [200, 1_000, 20_000] {
                for fall in [1, 2, 3, 5] {
                    let check = Check { interval_ms, timeout_ms, confirm_ms, fall, kind };
                    let most_ms = check.run(&mut random).into_iter().max().unwrap_or(0) as f64;
                    assert!(most_ms <= check.promised_ms(), "{most_ms} ms: {check:?}");
                    // A confirm interval above the interval is none: probes are steady.
                    let confirms = check.confirm_ms < check.interval_ms;
                    if confirms {
                        assert!(most_ms <= check.most_ms() + 1.0, "{most_ms} ms: {check:?}");
                        closest = closest.max(most_ms / check.most_ms());
                    }
                }
            }
        }
    }
    println!("the worst took {closest:.3} of what it may");
    assert!(closest > 0.95, "{closest}: the trials must come close to the bound");
}
