//! A VIP that many WIPs probe with their own names, and that falls silent.

use std::collections::VecDeque;

use super::*;
use crate::health::check::{HttpProbe, ProbeKind};
use crate::health::plan::{Identity, Target, Thresholds, Verdict};
use crate::health::{Engine, Failure, FailureKind, Now, Outcome};

const TURN_MS: u64 = 100;
const SILENT_FROM_MS: u64 = 30_000;

fn plan(count: u32) -> Plan {
    let target = |number: u32| Target {
        identity: Identity {
            probe: ProbeKind::Http(HttpProbe {
                host: Some(format!("w{number}.example")),
                ..HttpProbe::default()
            }),
            address: ProbeAddress::Ip([192, 0, 2, 1].into()),
        },
        check: String::new(),
        member: String::new(),
        wip: None,
        datacenter: None,
        thresholds: Thresholds { fall: 3, rise: 2, clear: 2 },
        interval_ms: 5_000,
        timeout_ms: 2_000,
        confirm_interval_ms: 1_000,
    };
    let verdict = |id| Verdict { targets: vec![id], ..Verdict::default() };
    Plan {
        targets: (0..count).map(target).collect(),
        verdicts: (0..count).map(verdict).collect(),
        ..Plan::default()
    }
}

/// How long after it fell silent all `count` WIPs had lost it; none: not in ten minutes.
fn all_down_after_ms(count: u32, limits: ProbeLimits) -> Option<u64> {
    let plan = plan(count);
    let mut slots = Slots::new(limits);
    slots.set_plan(&plan);
    let mut engine = Engine::new(plan, None, Now::default());
    let place = Place::of(&ProbeAddress::Ip([192, 0, 2, 1].into()));
    // Probes that answer end at once, the others in the order in which they started.
    let mut running: VecDeque<(u64, ProbeKey)> = VecDeque::new();
    for now_ms in (0..SILENT_FROM_MS + 600_000).step_by(TURN_MS as usize) {
        let now = Now { mono_ms: now_ms, unix_s: 1_000 + (now_ms / 1_000) as u32 };
        while let Some((_, key)) = running.pop_front_if(|(until_ms, _)| *until_ms <= now_ms) {
            slots.release(place);
            let result = match now_ms >= SILENT_FROM_MS + 2_000 {
                true => Err(Failure::new(FailureKind::Timeout, "silent")),
                false => Ok(()),
            };
            let outcome = Outcome { result, duration_ms: 2_000, certificate_expires_s: None };
            engine.result(key, outcome, now);
        }
        while let Some(due) = engine.take_due(now) {
            slots.want(Wanted { key: due.key, place, due_ms: due.due_ms });
        }
        while let Some(wanted) = slots.next() {
            let took_ms = if now_ms < SILENT_FROM_MS { TURN_MS } else { 2_000 };
            running.push_back((now_ms + took_ms, wanted.key));
        }
        engine.expire(now);
        // Where results are far between some are UNKNOWN again by then, and as lost.
        let lost = |id| !engine.table().word(id).available();
        if now_ms > SILENT_FROM_MS && now_ms % 1_000 == 0 && (0..count).all(lost) {
            return Some(now_ms - SILENT_FROM_MS);
        }
    }
    None
}

#[test]
fn a_vip_that_falls_silent_is_down_for_all_its_wips_in_time() {
    // (1.05 + 3 / 2) * 5 s + 2 s, and what the turns here are too coarse.
    for count in [150, 520] {
        let took_ms = all_down_after_ms(count, ProbeLimits::default());
        assert!(took_ms.is_some_and(|ms| ms <= 15_500), "{count}: {took_ms:?}");
    }
}

#[test]
fn results_that_are_far_between_for_want_of_slots_add_up() {
    // 16 results a second: each target waits for 32 s, six intervals and more.
    let limits = ProbeLimits { concurrency: 32, concurrency_per_address: 64 };
    let took_ms = all_down_after_ms(520, limits);
    assert!(took_ms.is_some_and(|ms| ms <= 120_000), "{took_ms:?}");
}
