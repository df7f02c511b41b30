//! The machine against text cases and long random runs.

use proptest::prelude::*;

use super::*;

/// Runs one case: "fall=3 rise=2 clear=2: f f f -> DOWN". Results: `s` success,
/// `f` failure, `i` internal, `u` forget, `w` forget while a result is to come, `+N` N seconds pass (else one each).
fn run(case: &str) {
    let (setup, rest) = case.split_once(':').unwrap();
    let mut thresholds = Thresholds { fall: 3, rise: 2, clear: 2 };
    for word in setup.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        let value = value.parse().unwrap();
        match key {
            "fall" => thresholds.fall = value,
            "rise" => thresholds.rise = value,
            "clear" => thresholds.clear = value,
            other => panic!("unknown key {other}"),
        }
    }
    let mut machine = Machine::default();
    let mut now_ms = 0;
    let mut checked = false;
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        now_ms += 1_000;
        match word {
            "s" => drop(machine.step(&thresholds, Ok(()), now_ms)),
            "f" => drop(machine.step(&thresholds, Err(FailureKind::Timeout), now_ms)),
            "i" => drop(machine.step(&thresholds, Err(FailureKind::Internal), now_ms)),
            "u" => drop(machine.forget(false)),
            "w" => drop(machine.forget(true)),
            "->" => {
                let expected = words.next().unwrap();
                let (state, needed) = expected.split_once('/').unwrap_or((expected, ""));
                let seen = format!("{:?}", machine.state()).to_uppercase();
                assert_eq!(seen, state, "in {case:?} at {now_ms} ms: {machine:?}");
                if !needed.is_empty() {
                    let pending = if machine.contrary_pending() { "" } else { "calm" };
                    let seen = format!("{}{pending}", machine.results_needed(&thresholds));
                    assert_eq!(seen, needed, "in {case:?}: {machine:?}");
                }
                checked = true;
            }
            seconds => now_ms += seconds.strip_prefix('+').unwrap().parse::<u64>().unwrap() * 1_000,
        }
    }
    assert!(checked, "{case:?} checks nothing");
}

#[test]
fn the_machine_follows_its_cases() {
    for case in [
        // Never judged: one success is UP, `fall` failures are DOWN.
        ": -> UNKNOWN/3calm s -> UP/3calm",
        ": f -> UNKNOWN/2 f -> UNKNOWN/1 f -> DOWN/2calm",
        "fall=1: f -> DOWN",
        ": f s -> UP/2",
        // The third failure takes it down, not the fourth.
        ": s f f -> UP/1 f -> DOWN",
        // Failures add up; only `clear` successes in a row forget them.
        ": s f s f s f -> DOWN",
        ": s f s s f s s f -> UP/2",
        "clear=1: s f s -> UP/3calm",
        "clear=3: s f s s f s s f -> DOWN",
        // DOWN: `rise` in a row, any failure starts again.
        "rise=3: s f f f s s -> DOWN/1 f -> DOWN/3calm s s -> DOWN s -> UP/3calm",
        "rise=1: s f f f s -> UP",
        // Our own failures never count, in either direction.
        ": i i i i i i -> UNKNOWN/3calm",
        ": s f f i i i -> UP/1 f -> DOWN s i s -> UP",
        // UNKNOWN keeps the verdict beneath: agreeing results lift it at once.
        ": s u -> UNKNOWN s -> UP",
        ": s u f -> UNKNOWN f -> UNKNOWN f -> DOWN",
        ": s f f f u -> UNKNOWN f -> DOWN",
        ": s f f f u s -> UNKNOWN s -> UP",
        // Silence forgets no failure, and breaks no row of successes it waited in.
        ": s f f u -> UNKNOWN/1 f -> DOWN",
        ": f u f u f -> DOWN",
        ": s f f f s w s -> UP",
        // Flap damping doubles rise while UP does not last ten minutes.
        ": s f f f -> DOWN/2calm s s f f f -> DOWN/4calm s s s s f f f -> DOWN/8calm",
        ": f f f s s f f f -> DOWN/4calm",
        // Ten minutes UP reset it, with or without a probe in between.
        ": f f f s s f f f s s s s +600 f f f -> DOWN/2calm",
        ": f f f s s f f f s s s s +600 s f f f -> DOWN/2calm",
        ": f f f s s f f f s s s s +590 f f f -> DOWN/8calm",
        // The first DOWN after the start is no flap: it never came UP from DOWN.
        ": s f f f -> DOWN/2calm",
        "rise=40: f f f -> DOWN/40calm",
    ] {
        run(case);
    }
}

#[test]
fn damping_stops_at_32() {
    let thresholds = Thresholds { fall: 1, rise: 3, clear: 1 };
    let mut machine = Machine::default();
    let mut seen = Vec::new();
    for now_ms in 0..2_000 {
        let up = machine.state() == State::Up;
        let outcome = if up { Err(FailureKind::Refused) } else { Ok(()) };
        let step = machine.step(&thresholds, outcome, now_ms);
        if step.transition.is_some_and(|t| t.to == State::Down) {
            seen.push(machine.rise_effective(&thresholds));
        }
    }
    assert_eq!(seen[..7], [3, 6, 12, 24, 32, 32, 32]);
}

#[test]
fn ten_minutes_up_show_as_no_damping() {
    let thresholds = Thresholds { fall: 1, rise: 2, clear: 1 };
    let mut machine = Machine::default();
    let mut step = |outcome, now_ms| {
        machine.step(&thresholds, outcome, now_ms);
        machine.rise_effective(&thresholds)
    };
    let failed = Err(FailureKind::Status);
    step(failed, 0);
    step(Ok(()), 0);
    assert_eq!(step(Ok(()), 1_000), 2, "up");
    assert_eq!(step(failed, 2_000), 4, "a flap");
    for now_ms in 3_000..3_004 {
        step(Ok(()), now_ms);
    }
    assert_eq!(step(Ok(()), 3_003 + FLAP_WINDOW_MS - 1), 4);
    assert_eq!(step(Ok(()), 3_003 + FLAP_WINDOW_MS), 2);
}

/// A small generator, so that long runs are the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Runs a member that fails `loss_percent` of probes at 5 s and 1 s confirm.
/// Returns (share of time UP, times DOWN).
fn lossy(loss_permille: u64, seconds: u64, skip_s: u64, seed: u64) -> (f64, u64) {
    let thresholds = Thresholds { fall: 3, rise: 2, clear: 2 };
    let mut random = Random(seed);
    let mut machine = Machine::default();
    let (mut now_ms, mut up_ms, mut downs) = (0_u64, 0_u64, 0_u64);
    while now_ms < seconds * 1_000 {
        let outcome =
            if random.below(1_000) < loss_permille { Err(FailureKind::Timeout) } else { Ok(()) };
        let step = machine.step(&thresholds, outcome, now_ms);
        let counted = now_ms >= skip_s * 1_000;
        let gap_ms = if step.contrary_pending { 1_000 } else { 5_000 };
        if counted && step.transition.is_some_and(|t| t.to == State::Down) {
            downs += 1;
        }
        if counted && machine.state() == State::Up {
            up_ms += gap_ms;
        }
        now_ms += gap_ms;
    }
    (up_ms as f64 / ((seconds - skip_s) * 1_000) as f64, downs)
}

#[test]
fn a_member_that_loses_a_third_of_its_probes_is_not_up() {
    let day = 86_400;
    for loss_permille in [300, 400, 500] {
        let shares: Vec<f64> =
            (1..=20).map(|seed| lossy(loss_permille, day, 3_600, seed).0).collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!(mean < 0.01, "{loss_permille} ‰: up {mean} of the time: {shares:?}");
    }
}

#[test]
fn one_failure_in_a_hundred_takes_a_member_down_less_than_once_in_ten_days() {
    let days = 2_000;
    let (_, downs) = lossy(10, days * 86_400, 0, 7);
    assert!(downs as f64 / days as f64 <= 0.1, "{downs} in {days} days");
    assert!(downs > 0, "the run must be long enough to see any");
}

fn outcomes() -> impl Strategy<Value = Vec<(u8, u32)>> {
    prop::collection::vec((0_u8..4, 0_u32..300_000), 1..200)
}

proptest! {
    #[test]
    fn verdicts_change_only_as_the_thresholds_say(
        fall in 1_u8..6, rise in 1_u8..6, clear in 1_u8..6, outcomes in outcomes(),
    ) {
        let thresholds = Thresholds { fall, rise, clear };
        let mut machine = Machine::default();
        let mut now_ms = 0;
        // What really happened, kept apart from the machine's own counting.
        let (mut failures_since, mut in_a_row) = (0_u32, 0_u32);
        for (code, gap_ms) in outcomes {
            now_ms += u64::from(gap_ms);
            let outcome = match code {
                0 => Err(FailureKind::Internal),
                1 => Err(FailureKind::Refused),
                _ => Ok(()),
            };
            match outcome {
                Ok(()) => in_a_row += 1,
                Err(FailureKind::Internal) => {}
                Err(_) => { failures_since += 1; in_a_row = 0; }
            }
            let before = machine.clone();
            let step = machine.step(&thresholds, outcome, now_ms);
            prop_assert!(step.results_needed >= 1);
            prop_assert!(machine.rise_effective(&thresholds) <= RISE_DAMPED_MAX);
            prop_assert_eq!(step.contrary_pending, machine.contrary_pending());
            match step.transition {
                Some(Transition { from, to: State::Down }) => {
                    prop_assert!(from != State::Down && failures_since >= u32::from(fall));
                    prop_assert_eq!(before.results_needed(&thresholds), 1);
                    failures_since = 0;
                }
                Some(Transition { from: State::Down, to: State::Up }) => {
                    prop_assert!(in_a_row >= u32::from(rise));
                    failures_since = 0;
                }
                Some(Transition { to: State::Unknown, .. }) => prop_assert!(false),
                _ => {}
            }
            if outcome == Err(FailureKind::Internal) {
                prop_assert_eq!(&before, &machine);
            }
        }
    }

    #[test]
    fn results_needed_is_exactly_how_many_more_it_takes(
        fall in 1_u8..6, rise in 1_u8..6, clear in 1_u8..6, outcomes in outcomes(),
    ) {
        let thresholds = Thresholds { fall, rise, clear };
        let mut machine = Machine::default();
        let mut now_ms = 0;
        for (code, gap_ms) in outcomes {
            now_ms += u64::from(gap_ms);
            let outcome = if code == 1 { Err(FailureKind::Timeout) } else { Ok(()) };
            machine.step(&thresholds, outcome, now_ms);
        }
        let was = machine.eligible();
        let contrary = if was { Err(FailureKind::Timeout) } else { Ok(()) };
        let needed = machine.results_needed(&thresholds);
        for step in 1..=needed {
            machine.step(&thresholds, contrary, now_ms);
            prop_assert_eq!(machine.eligible() != was, step == needed);
        }
    }
}
