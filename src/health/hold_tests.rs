//! Holds and ramps: by hand, and in seeded worlds against what they should come to.

use proptest::prelude::*;

use super::*;
use crate::health::check::{ProbeKind, TcpProbe};
use crate::health::plan::{Identity, Plan, Target, Thresholds};
use crate::health::table::{State, TTL_CAP_NONE, Word};
use crate::health::{Engine, Event, Failure, FailureKind, Outcome, ProbeKey};

const MANUAL: (Failback, u32) = (Failback::Manual, 0);
const RAMP_MS: u32 = 64_000;
const RAMP: (Failback, u32) = (Failback::Auto, RAMP_MS);

fn at(mono_ms: u64) -> Now {
    Now { mono_ms, unix_s: 1_000_000 + (mono_ms / 1_000) as u32 }
}

fn target(member: &str, port: u16) -> Target {
    let probe = ProbeKind::Tcp(TcpProbe { port, ..TcpProbe::default() });
    Target {
        identity: Identity { probe, address: std::net::IpAddr::from([192, 0, 2, 1]).into() },
        check: "ready".to_owned(),
        member: member.to_owned(),
        wip: Some("shop".to_owned()),
        datacenter: None,
        thresholds: Thresholds { fall: 1, rise: 1, clear: 1 },
        interval_ms: 1_000,
        timeout_ms: 500,
        confirm_interval_ms: 1_000,
    }
}

/// A target on each port, and a verdict on each with its way back.
fn plan(rules: &[(Failback, u32)]) -> Plan {
    let members = ["fra", "iad", "sin", "gru"];
    let targets = rules.iter().enumerate().map(|(i, _)| target(members[i % 4], 80 + i as u16));
    let verdicts = rules.iter().zip(0..).map(|(&(failback, ramp_ms), target)| Verdict {
        targets: vec![target],
        failback,
        ramp_ms,
        ..Verdict::default()
    });
    Plan { verdicts: verdicts.collect(), targets: targets.collect(), ..Plan::default() }
}

/// An engine whose targets are told what they are, between probes.
struct Run {
    engine: Engine,
    now_ms: u64,
    events: Vec<Event>,
}

impl Run {
    fn new(plan: Plan) -> Run {
        Run { engine: Engine::new(plan, None, at(0)), now_ms: 0, events: Vec::new() }
    }

    fn up(rules: (Failback, u32)) -> Run {
        let mut run = Run::new(plan(&[rules]));
        run.tell(0, true);
        run
    }

    /// Results of target `id` until it is so, flap damping or not.
    fn tell(&mut self, id: u32, passes: bool) {
        self.tell_once(id, passes);
        while self.engine.status(id).unwrap().eligible != passes {
            self.tell_once(id, passes);
        }
    }

    fn tell_once(&mut self, id: u32, passes: bool) {
        let result = if passes { Ok(()) } else { Err(Failure::new(FailureKind::Refused, "no")) };
        let outcome = Outcome { result, duration_ms: 1, certificate_expires_s: None };
        self.events.extend(self.engine.result(self.key(id), outcome, at(self.now_ms)));
    }

    fn key(&self, id: u32) -> ProbeKey {
        let keys = 0..self.engine.plan().targets.len() as u64 * 4;
        let mut keys = keys.filter(|key| self.engine.target_id(*key) == Some(id));
        keys.next().expect("every target has a key")
    }

    /// Time passes; targets that were up or down say so again.
    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(next_ms) = self.engine.next_ms().filter(|next_ms| *next_ms <= end_ms) {
            self.now_ms = self.now_ms.max(next_ms);
            while let Some(due) = self.engine.take_due(at(self.now_ms)) {
                let eligible = self.engine.status(due.target).unwrap().eligible;
                self.tell_once(due.target, eligible);
            }
            self.events.extend(self.engine.expire(at(self.now_ms)));
        }
        self.now_ms = end_ms;
    }

    /// Time passes in which no probe ends.
    fn hush(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(next_ms) = self.engine.next_ms().filter(|next_ms| *next_ms <= end_ms) {
            self.now_ms = self.now_ms.max(next_ms);
            while self.engine.take_due(at(self.now_ms)).is_some() {}
            self.events.extend(self.engine.expire(at(self.now_ms)));
        }
        self.now_ms = end_ms;
    }

    fn word(&self, id: VerdictId) -> Word {
        self.engine.table().word(id)
    }

    /// Available, held.
    fn seen(&self, id: VerdictId) -> (bool, bool) {
        (self.word(id).available(), self.word(id).is_held())
    }

    fn reload(&mut self, plan: Plan) {
        self.engine = Engine::new(plan, Some(&self.engine), at(self.now_ms));
    }

    /// Ends the process and starts another `gap_ms` later, on a clock of its own; what
    /// targets were is known as it is with saved state.
    fn restart(&mut self, gap_ms: u64, watched: bool) {
        let kept: Vec<Return> = self.engine.returns().collect();
        let states: Vec<bool> = (0..self.engine.plan().targets.len() as u32)
            .map(|id| self.engine.status(id).unwrap().eligible)
            .collect();
        let plan = Plan::clone(self.engine.plan());
        self.now_ms += gap_ms;
        self.engine = Engine::new(plan, None, at(self.now_ms));
        for (id, passes) in (0..).zip(states) {
            self.tell(id, passes);
        }
        self.engine.restore_returns(&kept, watched, at(self.now_ms));
    }
}

//------------ Manual ---------------------------------------------------------

#[test]
fn with_manual_failback_a_lost_verdict_stays_out_until_an_operator_lets_it_in() {
    let mut run = Run::up(MANUAL);
    assert_eq!(run.word(0), Word::UP);
    run.pass(10_000);
    run.tell(0, false);
    assert_eq!(run.seen(0), (false, false));
    let lost_at_s = run.word(0).lost_at_s();
    run.pass(5_000);
    run.tell(0, true);
    assert_eq!(run.seen(0), (false, true));
    assert_eq!(run.word(0).state(), State::Up, "probed up all the same");
    assert_eq!((run.word(0).ttl_cap_s(), run.word(0).lost_at_s()), (TTL_CAP_NONE, lost_at_s));
    assert!(run.events.contains(&Event::Held { verdict: 0, held: true }), "{:?}", run.events);
    run.pass(10_000_000);
    assert_eq!(run.seen(0), (false, true), "no time is long enough");
    assert_eq!(run.engine.fail_back(|_| false, at(run.now_ms)), (vec![], 0));
    let (events, count) = run.engine.fail_back(|id| id == 0, at(run.now_ms));
    assert_eq!(count, 1);
    assert!(events.contains(&Event::Held { verdict: 0, held: false }), "{events:?}");
    assert!(events.contains(&Event::Available { verdict: 0, available: true }), "{events:?}");
    assert_eq!(run.seen(0), (true, false));
    assert_eq!(run.engine.fail_back(|_| true, at(run.now_ms)).1, 0, "only what is held");
    run.tell(0, false);
    run.tell(0, true);
    assert_eq!(run.seen(0), (false, true), "each loss needs its operator");
}

#[test]
fn what_was_never_up_was_never_lost() {
    for rules in [MANUAL, (Failback::AfterMs(60_000), 60_000), RAMP] {
        let mut run = Run::new(plan(&[rules]));
        assert_eq!(run.word(0), Word::UNKNOWN);
        run.tell(0, false);
        assert_eq!(run.seen(0), (false, false));
        run.pass(60_000);
        run.tell(0, true);
        assert_eq!(run.seen(0), (true, false), "{rules:?}");
        assert_eq!(run.word(0).share(), SHARE_FULL);
    }
}

#[test]
fn silence_neither_loses_nor_frees_a_verdict() {
    let mut run = Run::up(MANUAL);
    let silent = |run: &mut Run| {
        run.events.clear();
        run.hush(60_000);
        assert!(run.events.iter().any(|event| matches!(event, Event::Silent { .. })));
        assert_eq!(run.word(0).state(), State::Unknown);
    };
    silent(&mut run);
    assert_eq!(run.seen(0), (true, false));
    run.tell(0, true);
    assert_eq!(run.seen(0), (true, false), "unknown is no loss");
    run.tell(0, false);
    run.tell(0, true);
    silent(&mut run);
    assert_eq!(run.seen(0), (false, true));
    run.tell(0, true);
    assert_eq!(run.seen(0), (false, true));
}

#[test]
fn a_verdict_lost_with_its_datacenter_is_held_too() {
    let mut plan = plan(&[MANUAL, (Failback::Auto, 0)]);
    plan.verdicts[0].gate = Some(1);
    let mut run = Run::new(plan);
    run.tell(0, true);
    run.tell(1, true);
    run.tell(1, false);
    assert_eq!(run.seen(0), (false, false));
    run.tell(1, true);
    assert_eq!((run.seen(0), run.seen(1)), ((false, true), (true, false)));
    assert_eq!(run.engine.fail_back(|_| true, at(run.now_ms)).1, 1);
    assert_eq!(run.seen(0), (true, false));
}

#[test]
fn a_held_verdict_that_is_lost_again_is_down_and_the_loss_is_dated_anew() {
    let mut run = Run::up(MANUAL);
    run.tell(0, false);
    run.tell(0, true);
    run.pass(30_000);
    run.tell(0, false);
    assert_eq!((run.seen(0), run.word(0).state()), ((false, false), State::Down));
    assert_eq!(run.word(0).lost_at_s(), at(run.now_ms).unix_s);
}

#[test]
fn an_undone_loss_leaves_what_was_before_it() {
    let verdict = |(failback, ramp_ms)| Verdict { failback, ramp_ms, ..Verdict::default() };
    let up = Probed { available: true, up: true, undone: false };
    let down = Probed { available: false, up: false, undone: false };
    let undone = Probed { undone: true, ..up };
    for rules in [MANUAL, RAMP] {
        let (mut returns, verdict) = (Returns::default(), verdict(rules));
        let mut judge = |probed, ms| returns.judge(0, &verdict, probed, at(ms));
        // In service.
        judge(up, 0);
        judge(down, 1_000);
        assert_eq!(judge(undone, 2_000), Standing::IN_SERVICE, "{rules:?}");
        // On its way back.
        judge(down, 10_000);
        let before = judge(up, 20_000);
        assert_eq!(before, Standing { held: rules == MANUAL, share: before.share });
        judge(up, 52_000);
        judge(down, 52_000);
        let after = judge(undone, 52_000);
        assert_eq!(after.held, rules == MANUAL);
        assert_eq!(after.share, if rules == RAMP { 128 } else { SHARE_FULL });
        assert_eq!(judge(up, 84_000).held, rules == MANUAL, "it goes on");
    }
}

#[test]
fn while_the_prober_stands_still_no_time_without_a_break_passes() {
    let mut run = Run::up((Failback::AfterMs(60_000), 0));
    run.tell(0, false);
    run.tell(0, true);
    run.pass(30_000);
    run.now_ms += 600_000;
    run.pass(20_000);
    assert_eq!(run.seen(0), (false, true));
    run.pass(12_000);
    assert_eq!(run.seen(0), (true, false));
}

#[test]
fn a_wall_clock_that_jumps_moves_since_when_and_no_timer() {
    let mut run = Run::up((Failback::AfterMs(60_000), 0));
    run.tell(0, false);
    run.tell(0, true);
    let since_s = run.engine.return_of(0).unwrap().since_s;
    run.pass(30_000);
    let jumped = Now { unix_s: at(run.now_ms).unix_s + 86_400, ..at(run.now_ms + 1) };
    run.engine.expire(jumped);
    assert_eq!(run.engine.return_of(0).unwrap().since_s, since_s + 86_400);
    assert_eq!(run.seen(0), (false, true));
}

//------------ After a time ---------------------------------------------------

#[test]
fn after_a_time_without_a_break_a_verdict_is_let_in() {
    let mut run = Run::up((Failback::AfterMs(60_000), 0));
    run.tell(0, false);
    run.pass(1_500);
    run.tell(0, true);
    run.pass(59_000);
    assert_eq!(run.seen(0), (false, true));
    run.tell(0, false);
    run.tell(0, true);
    run.pass(59_999);
    assert_eq!(run.seen(0), (false, true), "the time begins anew");
    run.pass(1);
    assert_eq!(
        (run.seen(0), run.word(0)),
        ((true, false), {
            Word::new(State::Up, true, Default::default(), TTL_CAP_NONE, run.word(0).lost_at_s())
        })
    );
    assert_eq!(run.engine.returns().count(), 0);
}

#[test]
fn time_alone_lets_nobody_in_that_is_unknown() {
    let mut run = Run::up((Failback::AfterMs(60_000), 0));
    run.tell(0, false);
    run.tell(0, true);
    run.hush(120_000);
    assert_eq!((run.word(0).state(), run.seen(0)), (State::Unknown, (false, true)));
    run.tell(0, true);
    assert_eq!(run.seen(0), (true, false), "the first result that says so does");
}

#[test]
fn an_operator_may_let_in_before_the_time() {
    let mut run = Run::up((Failback::AfterMs(600_000), RAMP_MS));
    run.tell(0, false);
    run.tell(0, true);
    assert_eq!(run.engine.fail_back(|_| true, at(run.now_ms)).1, 1);
    assert_eq!((run.seen(0), run.word(0).share()), ((true, false), 1), "with its ramp");
}

//------------ Ramp -----------------------------------------------------------

#[test]
fn a_share_grows_evenly_from_the_least_to_all() {
    let mut run = Run::up(RAMP);
    assert_eq!(run.word(0), Word::UP, "a first start is no return");
    run.tell(0, false);
    assert_eq!(run.word(0).share(), SHARE_FULL);
    run.pass(2_500);
    run.tell(0, true);
    let start_ms = run.now_ms;
    assert_eq!((run.seen(0), run.word(0).share()), ((true, false), 1));
    let mut last = 0;
    while run.word(0).share() < SHARE_FULL {
        let passed_ms = run.now_ms - start_ms;
        let expected = passed_ms * 256 / u64::from(RAMP_MS);
        let share = u64::from(run.word(0).share());
        // A step behind at most.
        assert!(share <= expected.max(1) && share + 5 >= expected, "{passed_ms}: {share}");
        assert!(share >= last);
        last = share;
        run.pass(250);
    }
    assert_eq!(run.now_ms - start_ms, u64::from(RAMP_MS));
    assert_eq!(run.engine.returns().count(), 0, "in service, it is forgotten");
}

#[test]
fn a_loss_on_the_way_begins_the_ramp_anew() {
    let mut run = Run::up(RAMP);
    run.tell(0, false);
    run.tell(0, true);
    run.pass(u64::from(RAMP_MS) / 2);
    assert!(run.word(0).share().abs_diff(128) <= 4);
    run.tell(0, false);
    run.tell(0, true);
    assert_eq!(run.word(0).share(), 1);
    run.pass(u64::from(RAMP_MS) / 2);
    assert!(run.word(0).share().abs_diff(128) <= 4, "{:?}", run.word(0).share());
}

/// Words are written often enough to look even, and no oftener than said.
#[test]
fn a_hundred_thousand_ramps_take_a_bounded_number_of_steps_a_second() {
    const VERDICTS: u32 = 100_000;
    let verdict = Verdict { ramp_ms: 300_000, ..Verdict::default() };
    let mut returns = Returns::default();
    let (up, down) = (
        Probed { available: true, up: true, undone: false },
        Probed { available: false, up: false, undone: false },
    );
    for id in 0..VERDICTS {
        returns.judge(id, &verdict, up, at(0));
        returns.judge(id, &verdict, down, at(0));
        assert_eq!(returns.judge(id, &verdict, up, at(1_000)).share, 1);
    }
    let mut steps = 0;
    let mut now_ms = 1_000;
    let mut windows = BTreeMap::new();
    while let Some(next_ms) = returns.next_ms() {
        now_ms = next_ms.max(now_ms);
        while let Some(id) = returns.pop_due(at(now_ms)) {
            returns.judge(id, &verdict, up, at(now_ms));
            *windows.entry(now_ms / WINDOW_MS).or_insert(0) += 1;
            steps += 1;
        }
    }
    assert!(windows.values().all(|taken| *taken <= STEPS_PER_WINDOW_MAX));
    assert!(returns.entries.is_empty() && now_ms <= 312_000, "{now_ms}");
    // So many for each that its share is behind by a twentieth at most.
    assert!((20..=64).contains(&(steps / u64::from(VERDICTS))), "{steps}");
}

//------------ Reload, restart ------------------------------------------------

#[test]
fn holds_and_ramps_survive_a_reload_and_follow_its_rules() {
    let mut run = Run::new(plan(&[MANUAL, RAMP, MANUAL, (Failback::AfterMs(60_000), 0)]));
    (0..4).for_each(|id| run.tell(id, true));
    (0..4).for_each(|id| run.tell(id, false));
    (0..2).for_each(|id| run.tell(id, true));
    run.tell(3, true);
    run.pass(u64::from(RAMP_MS) / 2);
    let words: Vec<Word> = (0..4).map(|id| run.word(id)).collect();
    // Turned around, with another probe of one: its verdict is inherited.
    let mut turned = plan(&[(Failback::AfterMs(60_000), 0), MANUAL, RAMP, MANUAL]);
    turned.targets.reverse();
    let mut original = plan(&[MANUAL, RAMP, MANUAL, (Failback::AfterMs(60_000), 0)]).targets;
    original.reverse();
    turned.targets = original;
    turned.targets[3].identity.probe =
        ProbeKind::Tcp(TcpProbe { port: 8_080, ..TcpProbe::default() });
    turned.verdicts[2].failback = Failback::Auto;
    let rules = [(Failback::AfterMs(60_000), 0), MANUAL, RAMP, MANUAL];
    for (verdict, (failback, ramp_ms)) in turned.verdicts.iter_mut().zip(rules) {
        (verdict.failback, verdict.ramp_ms) = (failback, ramp_ms);
    }
    run.reload(turned);
    assert_eq!(run.seen(3), (false, true), "another probe of a held member: held");
    assert_eq!(run.word(2).share(), words[1].share());
    assert_eq!(run.word(1), words[2], "lost");
    run.tell(1, true);
    assert_eq!(run.seen(1), (false, true), "and held when it comes back");
    assert_eq!(run.seen(0), (false, true));
    run.pass(60_000 - u64::from(RAMP_MS) / 2);
    assert_eq!(run.seen(0), (true, false), "the time went on");
    // The hold ends with the rule that asked for it, and another begins no hold.
    let mut auto = Plan::clone(run.engine.plan());
    auto.verdicts.iter_mut().for_each(|verdict| verdict.failback = Failback::Auto);
    run.reload(auto);
    assert!((0..4).all(|id| run.seen(id) == (true, false)));
    let mut manual = Plan::clone(run.engine.plan());
    manual.verdicts.iter_mut().for_each(|verdict| verdict.failback = Failback::Manual);
    run.reload(manual);
    assert!((0..4).all(|id| run.seen(id) == (true, false)));
}

/// One member with `ports` as its checks, judged together.
fn together(ports: &[u16], gate: Option<u16>) -> Plan {
    let mut plan = Plan::default();
    let all = ports.iter().chain(&gate);
    plan.targets = all.map(|port| target(if *port < 90 { "fra" } else { "dc" }, *port)).collect();
    let targets = (0..ports.len() as u32).collect();
    if gate.is_some() {
        let targets = vec![ports.len() as u32];
        plan.verdicts.push(Verdict { targets, ..Verdict::default() });
    }
    let gate = gate.map(|_| 0);
    plan.verdicts.push(Verdict { targets, gate, failback: Failback::Manual, ..Verdict::default() });
    plan
}

#[test]
fn a_hold_survives_another_order_of_checks_one_more_one_less_and_a_first_gate() {
    let held = || {
        let mut run = Run::new(together(&[80, 81], None));
        (0..2).for_each(|id| run.tell(id, true));
        run.tell(0, false);
        run.tell(0, true);
        assert_eq!(run.seen(0), (false, true));
        run
    };
    for (ports, gate) in [
        (&[81, 80][..], None),
        (&[80, 81, 82], None),
        (&[82, 81, 80], None),
        (&[81], None),
        (&[82, 80], None),
        (&[80, 81], Some(99)),
    ] {
        let mut run = held();
        run.reload(together(ports, gate));
        let id = gate.map_or(0, |_| 1);
        assert_eq!(run.seen(id), (false, true), "{ports:?} {gate:?}");
        (0..run.engine.plan().targets.len() as u32).for_each(|id| run.tell(id, true));
        assert_eq!(run.seen(id), (false, true), "{ports:?} {gate:?}: up");
    }
    // All of it is another's: never lost.
    let mut run = held();
    run.reload(together(&[93], None));
    assert_eq!(run.seen(0), (true, false));
}

#[test]
fn a_member_elsewhere_is_not_held_for_a_check_that_it_shares_with_one_that_is() {
    // Two members and a database that both need.
    let mut before = plan(&[MANUAL, MANUAL, MANUAL, MANUAL]);
    before.verdicts.truncate(2);
    before.verdicts.iter_mut().for_each(|verdict| verdict.targets.push(3));
    for (at, target) in before.targets.iter_mut().enumerate() {
        target.identity.address = std::net::IpAddr::from([192, 0, 2, at as u8]).into();
    }
    let mut run = Run::new(before.clone());
    (0..4).for_each(|id| run.tell(id, true));
    run.tell(0, false);
    run.tell(0, true);
    // A third; then one more check for all, a WIP's own before the others'.
    let mut third = before;
    third.verdicts.push(Verdict { targets: vec![2, 3], ..third.verdicts[0].clone() });
    run.reload(third.clone());
    let all = |run: &Run| (run.seen(0), run.seen(1), run.seen(2));
    assert_eq!(all(&run), ((false, true), (true, false), (true, false)));
    let mut more = third;
    more.targets.push(target("db", 5_432));
    more.verdicts.iter_mut().for_each(|verdict| verdict.targets.push(4));
    run.reload(more);
    run.tell(4, true);
    assert_eq!(all(&run), ((false, true), (true, false), (true, false)));
}

#[test]
fn a_verdict_that_is_down_when_manual_failback_is_configured_is_held_later() {
    let mut run = Run::up((Failback::Auto, 0));
    run.tell(0, false);
    run.reload(plan(&[MANUAL]));
    run.tell(0, true);
    assert_eq!(run.seen(0), (false, true));
}

#[test]
fn wips_that_share_a_probe_and_not_a_failback_come_back_each_in_its_way() {
    let mut both = plan(&[MANUAL]);
    both.verdicts.push(Verdict { targets: vec![0], ..Verdict::default() });
    let mut run = Run::new(both.clone());
    run.tell(0, true);
    run.tell(0, false);
    run.tell(0, true);
    assert_eq!((run.seen(0), run.seen(1)), ((false, true), (true, false)));
    both.verdicts.reverse();
    run.reload(both);
    assert_eq!((run.seen(1), run.seen(0)), ((false, true), (true, false)));
}

#[test]
fn holds_and_ramps_survive_a_restart() {
    let after = (Failback::AfterMs(60_000), 0);
    for watched in [true, false] {
        let mut run = Run::new(plan(&[MANUAL, RAMP, MANUAL, after]));
        (0..4).for_each(|id| run.tell(id, true));
        (0..4).for_each(|id| run.tell(id, false));
        for id in [0, 1, 3] {
            run.tell(id, true);
        }
        run.pass(30_000);
        run.restart(2_000, watched);
        assert_eq!(run.seen(0), (false, true));
        assert_eq!(run.word(1).share(), 128, "half of the ramp's time has passed");
        run.tell(2, true);
        assert_eq!(run.seen(2), (false, true), "lost before, back after");
        run.pass(28_000);
        assert_eq!(run.seen(3), (watched, !watched), "nobody watched: anew");
        run.pass(32_000);
        assert_eq!(run.seen(3), (true, false));
        assert_eq!(run.word(1).share(), SHARE_FULL);
        assert_eq!(run.seen(0), (false, true));
    }
}

#[test]
fn a_time_that_begins_anew_begins_anew_for_the_next_restart_too() {
    let held = || {
        let mut run = Run::up((Failback::AfterMs(3_600_000), 0));
        run.tell(0, false);
        run.tell(0, true);
        run
    };
    // Away for an hour, and restarted again ten seconds later.
    let mut run = held();
    run.restart(3_600_000, false);
    run.pass(10_000);
    run.restart(1_000, true);
    run.tell(0, true);
    assert_eq!(run.seen(0), (false, true), "away");
    run.pass(3_588_000);
    assert_eq!(run.seen(0), (false, true));
    run.pass(2_000);
    assert_eq!(run.seen(0), (true, false));
    // Stopped for an hour, and restarted.
    let mut run = held();
    run.pass(1_000);
    run.now_ms += 3_600_000;
    run.pass(10_000);
    run.restart(1_000, true);
    run.tell(0, true);
    assert_eq!(run.seen(0), (false, true), "stood still");
}

#[test]
fn a_clock_that_was_set_back_over_a_restart_makes_no_time_negative() {
    let mut returns = Returns::default();
    let verdict = Verdict { ramp_ms: RAMP_MS, ..Verdict::default() };
    let kept = Return { verdict: 0, phase: ReturnPhase::Ramping, since_s: u32::MAX };
    returns.restore(kept, true, at(0));
    let up = Probed { available: true, up: true, undone: false };
    assert_eq!(returns.judge(0, &verdict, up, at(0)).share, 1);
    let kept = Return { since_s: 0, ..kept };
    returns.restore(kept, true, Now { mono_ms: 0, unix_s: u32::MAX });
    assert_eq!(returns.judge(0, &verdict, up, at(0)), Standing::IN_SERVICE);
}

#[test]
fn phases_keep_their_numbers() {
    for (number, phase) in
        [(1, ReturnPhase::Away), (2, ReturnPhase::Held), (3, ReturnPhase::Ramping)]
    {
        assert_eq!((phase.number(), ReturnPhase::from_number(number)), (number, Some(phase)));
    }
    assert_eq!(ReturnPhase::from_number(0), None);
    assert_eq!(ReturnPhase::from_number(4), None);
}

//------------ Worlds ---------------------------------------------------------

/// What happens next: a result, time, an operator, a reload, a restart.
fn any_step() -> impl Strategy<Value = (u8, u32, u64)> {
    (0..24u8, 0..4u32, 1..90_000u64)
}

/// What a verdict should come to, kept by rules that are as plain as can be.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    proven: bool,
    down: bool,
    /// Since when it is up again and kept out.
    held_ms: Option<u64>,
    /// Since when it is back.
    back_ms: Option<u64>,
}

impl Model {
    fn tell(&mut self, passes: bool, now_ms: u64) {
        match (self.down, passes) {
            (false, false) => {
                *self = Model { proven: self.proven, down: true, ..Model::default() };
            }
            (true, true) => {
                let held_ms = self.proven.then_some(now_ms);
                *self = Model { proven: true, down: false, held_ms, back_ms: None };
            }
            (false, true) => self.proven = true,
            (true, false) => {}
        }
    }

    /// Available, held, share.
    fn settle(&mut self, (failback, ramp_ms): (Failback, u32), now_ms: u64) -> (bool, bool, u16) {
        if let Some(held_ms) = self.held_ms {
            let ends_ms = match failback {
                Failback::Auto => held_ms,
                Failback::Manual => u64::MAX,
                Failback::AfterMs(ms) => held_ms + u64::from(ms),
            };
            if ends_ms > now_ms {
                return (false, true, SHARE_FULL);
            }
            (self.held_ms, self.back_ms) = (None, Some(ends_ms));
        }
        let passed_ms = self.back_ms.map_or(u64::MAX, |back_ms| now_ms - back_ms);
        if self.down || passed_ms >= u64::from(ramp_ms) {
            return (!self.down, false, SHARE_FULL);
        }
        (true, false, (passed_ms * 256 / u64::from(ramp_ms)).max(1) as u16)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens in whatever order, words are what plain rules say, a step of
    /// the ramp behind at most.
    #[test]
    fn words_are_what_plain_rules_say(
        steps in prop::collection::vec(any_step(), 1..120),
        after_ms in 1..100_000u32,
        ramp_ms in 1..200_000u32,
    ) {
        let rules = [MANUAL, RAMP, (Failback::AfterMs(after_ms), ramp_ms), (Failback::Auto, 0)];
        let mut run = Run::new(plan(&rules));
        let mut models = [Model::default(); 4];
        for (what, id, ms) in steps {
            match what {
                0..10 => {
                    let passes = what % 2 == 0;
                    run.tell(id, passes);
                    models[id as usize].tell(passes, run.now_ms);
                }
                10..21 => run.pass(ms),
                21 => {
                    run.engine.fail_back(|verdict| verdict == id, at(run.now_ms));
                    let model = &mut models[id as usize];
                    model.settle(rules[id as usize], run.now_ms);
                    if model.held_ms.take().is_some() {
                        model.back_ms = Some(run.now_ms);
                    }
                }
                _ => run.reload(plan(&rules)),
            }
            // Passing time tells what was so already.
            let now_ms = run.now_ms;
            for (id, model) in (0..).zip(&mut models) {
                let judged = run.engine.status(id).unwrap().state != State::Unknown;
                if judged && !model.down {
                    model.proven = true;
                }
                let word = run.word(id);
                let (available, held, share) = model.settle(rules[id as usize], now_ms);
                prop_assert_eq!((word.available(), word.is_held()), (available, held), "{}", id);
                prop_assert!(
                    word.share() <= share && share - word.share() <= 8 + late(rules[id as usize].1),
                    "{}: {} of {}", id, word.share(), share
                );
            }
        }
    }
}

/// How far a short ramp may be behind, whose steps are longer than a 64th.
fn late(ramp_ms: u32) -> u16 {
    (STEP_MS_MIN * 256 / u64::from(ramp_ms.max(1))).min(255) as u16
}
