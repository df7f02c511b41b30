//! The engine driven by hand: results in, words and due probes out.

use super::super::check::{HttpProbe, ProbeKind, TcpProbe};
use super::super::plan::VerdictId;
use super::super::plan::{Identity, Target, Thresholds, Verdict};
use super::super::table::{State, TTL_CAP_NONE, Word};
use super::*;
use crate::health::{Due, Failure, FailureKind};

#[path = "engine/ours_tests.rs"]
mod ours;

fn tcp(port: u16) -> ProbeKind {
    ProbeKind::Tcp(TcpProbe { port, ..TcpProbe::default() })
}

fn target(member: &str, address: &str, probe: ProbeKind) -> Target {
    Target {
        identity: Identity { probe, address: address.parse::<std::net::IpAddr>().unwrap().into() },
        check: "ready".to_owned(),
        member: member.to_owned(),
        wip: Some("shop".to_owned()),
        datacenter: None,
        thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
        interval_ms: 5_000,
        timeout_ms: 2_000,
        confirm_interval_ms: 1_000,
    }
}

fn single(target: TargetId) -> Verdict {
    Verdict { targets: vec![target], ..Verdict::default() }
}

/// Targets a, b, … at 192.0.2.1, .2, …, one verdict each.
fn plan(members: &[&str]) -> Plan {
    let targets = members.iter().zip(1..).map(|(m, n)| target(m, &format!("192.0.2.{n}"), tcp(80)));
    let targets: Vec<Target> = targets.collect();
    let verdicts = (0..targets.len() as u32).map(single).collect();
    Plan { verdicts, targets, ..Plan::default() }
}

fn at(mono_ms: u64) -> Now {
    Now { mono_ms, unix_s: 1_000_000 + (mono_ms / 1_000) as u32 }
}

fn passed() -> Outcome {
    Outcome { result: Ok(()), duration_ms: 10, certificate_expires_s: None }
}

fn failed(kind: FailureKind) -> Outcome {
    Outcome {
        result: Err(Failure::new(kind, "as told")),
        duration_ms: 10,
        certificate_expires_s: None,
    }
}

/// An engine and the time; every due probe ends as `world` says.
struct Run {
    engine: Engine,
    now_ms: u64,
    events: Vec<Event>,
    started: Vec<(u64, TargetId)>,
}

impl Run {
    fn new(plan: Plan) -> Run {
        Run { engine: Engine::new(plan, None, at(0)), now_ms: 0, events: vec![], started: vec![] }
    }

    fn until(&mut self, end_ms: u64, world: impl Fn(&Target, u64) -> Outcome) {
        while let Some(next_ms) = self.engine.next_ms().filter(|next_ms| *next_ms <= end_ms) {
            self.now_ms = self.now_ms.max(next_ms);
            let now = at(self.now_ms);
            while let Some(due) = self.engine.take_due(now) {
                self.started.push((self.now_ms, due.target));
                let plan = Arc::clone(self.engine.plan());
                let outcome = world(&plan.targets[due.target as usize], self.now_ms);
                let ended = at(self.now_ms + u64::from(outcome.duration_ms));
                self.events.extend(self.engine.result(due.key, outcome, ended));
            }
            self.events.extend(self.engine.expire(now));
        }
        self.now_ms = end_ms;
    }

    fn word(&self, id: VerdictId) -> Word {
        self.engine.table().word(id)
    }

    fn reload(&mut self, plan: Plan) {
        self.engine = Engine::new(plan, Some(&self.engine), at(self.now_ms));
    }
}

#[test]
fn a_new_plan_is_available_at_the_least_ttl_until_first_verdicts_are_in() {
    let mut run = Run::new(plan(&["fra", "iad"]));
    assert_eq!(run.word(0), Word::UNKNOWN);
    assert!(!run.engine.first_verdicts_done());
    run.until(1_100, |_, _| passed());
    assert!(run.engine.first_verdicts_done());
    assert_eq!((run.word(0), run.word(1)), (Word::UP, Word::UP));
}

#[test]
fn a_dying_member_is_lost_within_an_interval_and_two_confirm_probes() {
    let mut run = Run::new(plan(&["fra", "iad"]));
    run.until(60_000, |_, _| passed());
    assert_eq!(run.events.len(), 2, "two transitions to UP: {:?}", run.events);
    run.events.clear();
    let dies = |target: &Target, _| match target.member.as_str() {
        "fra" => failed(FailureKind::Refused),
        _ => passed(),
    };
    run.until(60_000 + 5_250 + 2 * 1_100 + 10, dies);
    let word = run.word(0);
    assert_eq!((word.state(), word.available()), (State::Down, false));
    assert_eq!(word.ttl_cap_s(), TTL_CAP_NONE);
    assert!((1_000_060..=1_000_067).contains(&word.lost_at_s()));
    assert_eq!(run.word(1), Word::UP);
    let status = run.engine.status(0).unwrap();
    assert_eq!((status.transitions, status.failing), ([0, 1, 1], true));
    let [Event::Transition { from, to, failure, .. }, Event::Available { verdict, available }] =
        run.events.as_slice()
    else {
        panic!("{:?}", run.events)
    };
    assert_eq!((*from, *to, *verdict, *available), (State::Up, State::Down, 0, false));
    assert_eq!(failure.as_ref().unwrap().kind, FailureKind::Refused);
}

#[test]
fn the_ttl_shrinks_with_each_contrary_result_and_comes_back() {
    let mut engine = Engine::new(plan(&["fra"]), None, at(0));
    let mut seen = Vec::new();
    let outcomes = ["s", "f", "f", "s", "s", "f", "f", "f", "s", "f", "s", "s"];
    for (step, outcome) in outcomes.into_iter().enumerate() {
        let now = at(step as u64 * 400);
        while engine.take_due(now).is_some() {}
        let outcome = if outcome == "s" { passed() } else { failed(FailureKind::Status) };
        engine.result(0, outcome, now);
        let word = engine.table().word(0);
        seen.push(match (word.available(), word.ttl_cap_s()) {
            (available, TTL_CAP_NONE) => format!("{available}"),
            (available, cap) => format!("{available} {cap}"),
        });
    }
    let expected = [
        "true", "true 2", "true 1", "true 1", "true", "true 2", "true 1", "false", "false 1",
        "false", "false 1", "true",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn our_own_failures_never_take_a_member_down_but_make_it_unknown() {
    let mut run = Run::new(plan(&["fra"]));
    run.until(60_000, |_, _| passed());
    run.events.clear();
    run.until(120_000, |_, _| failed(FailureKind::Internal));
    let word = run.word(0);
    assert_eq!((word.state(), word.available(), word.ttl_cap_s()), (State::Unknown, true, 0));
    let silent = |event: &&Event| matches!(event, Event::Silent { failure: Some(_), .. });
    assert_eq!(run.events.iter().filter(silent).count(), 1, "{:?}", run.events);
    run.until(130_000, |_, _| passed());
    assert_eq!(run.word(0), Word::UP);
}

#[test]
fn a_member_that_was_down_stays_out_while_unknown() {
    let mut run = Run::new(plan(&["fra"]));
    run.until(60_000, |_, _| failed(FailureKind::Timeout));
    run.until(120_000, |_, _| failed(FailureKind::Internal));
    let word = run.word(0);
    assert_eq!((word.state(), word.available()), (State::Unknown, false));
    assert!(word.lost_at_s() < 1_000_010, "the loss is the first one: {word:?}");
}

#[test]
fn a_prober_that_stops_shows_as_unknown() {
    let mut run = Run::new(plan(&["fra"]));
    run.until(60_000, |_, _| passed());
    // Probes start and never end.
    let mut events = Vec::new();
    for second in 60..90 {
        while run.engine.take_due(at(second * 1_000)).is_some() {}
        events.extend(run.engine.expire(at(second * 1_000)));
    }
    assert_eq!(run.word(0).state(), State::Unknown);
    let silent = |event: &&Event| matches!(event, Event::Silent { failure: None, .. });
    assert_eq!(events.iter().filter(silent).count(), 1, "said once: {events:?}");
}

#[test]
fn a_prober_that_is_always_late_still_notices() {
    let mut run = Run::new(plan(&["fra", "iad"]));
    run.until(60_000, |_, _| passed());
    // Too much work: it is called every 700 ms, and results wait as long.
    let mut waiting: Vec<Due> = Vec::new();
    for turn in 0..60 {
        let now = at(60_000 + turn * 700);
        for due in waiting.drain(..) {
            let outcome = Outcome { duration_ms: 700, ..failed(FailureKind::Refused) };
            // The second's probes end for reasons of our own.
            let outcome = match due.target {
                0 => outcome,
                _ => Outcome { duration_ms: 700, ..failed(FailureKind::Internal) },
            };
            run.engine.result(due.key, outcome, now);
        }
        waiting.extend(std::iter::from_fn(|| run.engine.take_due(now)));
        run.engine.expire(now);
    }
    assert_eq!((run.word(0).state(), run.word(1).state()), (State::Down, State::Unknown));
}

#[test]
fn steady_probes_come_once_an_interval_and_confirm_probes_once_a_second() {
    let mut slow_to_fall = plan(&["fra"]);
    slow_to_fall.targets[0].thresholds.fall = 200;
    let mut run = Run::new(slow_to_fall);
    run.until(600_000, |_, _| passed());
    let count = run.started.len();
    assert!((119..=123).contains(&count), "{count} probes in 600 s at 5 s");
    run.started.clear();
    run.until(660_000, |_, _| failed(FailureKind::Timeout));
    assert!((54..=61).contains(&run.started.len()), "{}", run.started.len());
}

#[test]
fn always_is_up_at_once_and_never_probed() {
    let mut plan = plan(&["fra"]);
    plan.targets[0].identity.probe = ProbeKind::Always;
    plan.verdicts.push(Verdict::default());
    let run = Run::new(plan);
    assert!(run.engine.first_verdicts_done());
    assert_eq!((run.word(0), run.word(1)), (Word::UP, Word::UP));
    assert_eq!(run.engine.next_ms(), None);
}

#[test]
fn a_gate_takes_all_of_its_members_down_and_brings_them_back() {
    let mut plan = plan(&["gate", "a", "b"]);
    plan.verdicts[1].gate = Some(0);
    plan.verdicts[2].gate = Some(0);
    plan.verdicts.push(Verdict { gate: Some(0), ..Verdict::default() });
    let mut run = Run::new(plan);
    let gate_dies = |target: &Target, _| match target.member.as_str() {
        "gate" => failed(FailureKind::Unreachable),
        _ => passed(),
    };
    run.until(30_000, |_, _| passed());
    run.until(60_000, gate_dies);
    for id in 0..4 {
        assert!(!run.word(id).available(), "verdict {id}");
        assert!(run.word(id).lost_at_s() >= 1_000_030);
    }
    assert_eq!(run.word(1).state(), State::Up);
    assert_eq!(run.word(3).state(), State::Down);
    run.until(90_000, |_, _| passed());
    assert!((0..4).all(|id| run.word(id).available()));
}

#[test]
fn a_family_without_a_route_copies_the_others_verdict() {
    let mut plan = plan(&["fra"]);
    plan.targets.push(target("fra", "2001:db8::1", tcp(80)));
    plan.verdicts.push(single(1));
    let mut run = Run::new(plan);
    let unrouted = || Outcome {
        result: Err(Failure::unrouted("no route")),
        duration_ms: 1,
        certificate_expires_s: None,
    };
    let six_unrouted =
        |target: &Target, four: Outcome| match target.identity.address.ip().unwrap().is_ipv6() {
            true => unrouted(),
            false => four,
        };
    run.until(30_000, |target, _| six_unrouted(target, passed()));
    assert!(run.engine.first_verdicts_done());
    assert_eq!(run.word(1), Word::UP);
    run.until(60_000, |target, _| six_unrouted(target, failed(FailureKind::Refused)));
    assert_eq!((run.word(0).available(), run.word(1).available()), (false, false));
    // A route comes: it speaks for itself.
    run.until(90_000, |target, _| match target.identity.address.ip().unwrap().is_ipv6() {
        true => passed(),
        false => failed(FailureKind::Refused),
    });
    assert_eq!((run.word(0).available(), run.word(1).available()), (false, true));
}

//------------ Reload ---------------------------------------------------------

#[test]
fn a_reload_keeps_every_probe_that_is_still_there() {
    let mut run = Run::new(plan(&["a", "b", "c"]));
    run.until(60_000, |target, _| match target.member.as_str() {
        "b" => failed(FailureKind::Timeout),
        _ => passed(),
    });
    let old = run.word(1);
    // "a" goes, the order turns, thresholds change, "d" is new.
    let mut next = plan(&["a", "b", "c", "d"]);
    next.targets.remove(0);
    next.targets.reverse();
    for target in &mut next.targets {
        target.thresholds.fall = 5;
        target.check = "renamed".to_owned();
    }
    next.verdicts.truncate(3);
    run.reload(next);
    assert_eq!(run.word(0), Word::UNKNOWN, "d was never judged");
    assert_eq!(run.word(1), Word::UP);
    assert_eq!(run.word(2), old);
    assert!(!run.engine.first_verdicts_done());
}

#[test]
fn a_changed_probe_of_the_same_member_inherits_its_verdict_with_zero_counters() {
    let http = |path: &str| {
        ProbeKind::Http(HttpProbe {
            tls: None,
            port: 80,
            host: Some("shop".to_owned()),
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: vec![],
            expect_status: vec![(200, 299)],
            expect_body: None,
            max_body: 1_024,
            ..HttpProbe::default()
        })
    };
    let with_path = |path: &str| {
        let mut plan = plan(&["a", "b", "c"]);
        for target in &mut plan.targets {
            target.identity.probe = http(path);
        }
        plan
    };
    let mut run = Run::new(with_path("/old"));
    run.until(60_000, |target, _| match target.member.as_str() {
        "b" => failed(FailureKind::Timeout),
        _ => passed(),
    });
    run.engine.result(0, failed(FailureKind::Timeout), at(60_000));
    assert_eq!(run.word(0).ttl_cap_s(), 2);
    let lost_at_s = run.word(1).lost_at_s();
    run.reload(with_path("/new"));
    assert_eq!(run.word(0), Word::UP, "the counted failure belongs to the old probe");
    assert_eq!((run.word(1).state(), run.word(1).lost_at_s()), (State::Down, lost_at_s));
    assert!(run.engine.first_verdicts_done());
    // A result of the old probe, still in flight, does not count for the new one.
    assert_eq!(run.engine.result(1, passed(), at(60_001)), []);
    assert_eq!(run.engine.result(1, passed(), at(60_002)), []);
    assert_eq!(run.word(1).state(), State::Down);
}

#[test]
fn probes_in_flight_survive_a_reload() {
    let mut run = Run::new(plan(&["a", "b"]));
    let due = run.engine.take_due(at(1_000)).unwrap();
    let mut next = plan(&["a", "b"]);
    next.targets.reverse();
    run.reload(next);
    let mut again = Vec::new();
    while let Some(due) = run.engine.take_due(at(1_000)) {
        again.push(due.key);
    }
    assert_eq!(again.len(), 1, "only the one not in flight");
    assert_ne!(again[0], due.key);
    let events = run.engine.result(due.key, passed(), at(1_001));
    let expected = 1 - due.target;
    assert!(
        matches!(events[..], [Event::Transition { target, .. }] if target == expected),
        "{events:?}"
    );
}

#[test]
fn a_shorter_interval_neither_bursts_nor_alarms() {
    let members: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
    let names: Vec<&str> = members.iter().map(String::as_str).collect();
    let with_interval = |interval_ms| {
        let mut plan = plan(&names);
        for target in &mut plan.targets {
            target.interval_ms = interval_ms;
        }
        plan
    };
    let mut run = Run::new(with_interval(60_000));
    run.until(150_000, |_, _| passed());
    run.events.clear();
    run.started.clear();
    run.reload(with_interval(2_000));
    run.until(152_300, |_, _| passed());
    assert_eq!(run.events, []);
    assert!(run.started.len() >= 200);
    let in_first_200_ms = run.started.iter().filter(|(at_ms, _)| *at_ms < 150_200).count();
    assert!(in_first_200_ms < 60, "{in_first_200_ms}");
}

#[test]
fn confirm_probes_of_a_great_outage_keep_to_their_budget() {
    let count = 2_000_u32;
    let targets: Vec<Target> = (0..count)
        .map(|n| target("m", &format!("10.0.{}.{}", n / 250, n % 250), tcp(80)))
        .collect();
    let mut run =
        Run::new(Plan { verdicts: (0..count).map(single).collect(), targets, ..Plan::default() });
    run.until(30_000, |_, _| passed());
    run.started.clear();
    run.until(50_000, |_, _| failed(FailureKind::Timeout));
    assert!((0..count).all(|id| !run.word(id).available()));
    let mut per_second = [0; 20];
    for (at_ms, _) in &run.started {
        per_second[((at_ms - 30_000) / 1_000).min(19) as usize] += 1;
    }
    // Steady is 400 a second; confirm adds at most 800.
    assert!(per_second.iter().all(|probes| *probes <= 450 + 800), "{per_second:?}");
    assert!(per_second[12..].iter().all(|probes| *probes < 480), "{per_second:?}");
}
