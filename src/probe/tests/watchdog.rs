//! The judge at any time, and the thread over a prober that hangs.

use super::*;

/// A prober that does as it should, looked at in time.
const WELL: Seen = Seen {
    now_ms: 60_000,
    turn_ms: 59_900,
    result_ms: 59_000,
    in_flight: true,
    timeout_ms_max: 2_000,
};

fn judge() -> Judge {
    Judge { looked_ms: WELL.now_ms - LOOK_EVERY_MS, spared_ms: 0 }
}

#[test]
fn a_prober_is_stuck_when_it_does_not_turn_or_probes_do_not_end() {
    for (what, seen, stall) in [
        ("well", WELL, None),
        ("no turn, yet", Seen { turn_ms: 57_000, ..WELL }, None),
        ("no turn", Seen { turn_ms: 56_999, ..WELL }, Some(Stall::NoTurn(3_001))),
        ("late results", Seen { result_ms: 55_000, ..WELL }, None),
        ("no result", Seen { result_ms: 54_999, ..WELL }, Some(Stall::NoResult(5_001))),
        ("a longer timeout", Seen { result_ms: 54_999, timeout_ms_max: 2_001, ..WELL }, None),
        ("none to come", Seen { result_ms: 0, in_flight: false, ..WELL }, None),
    ] {
        assert_eq!(judge().look(&seen), stall, "{what}");
    }
}

#[test]
fn a_process_that_was_stopped_is_not_held_against_its_prober() {
    let mut judge = judge();
    assert_eq!(judge.look(&WELL), None);
    // All stood still for ten seconds; the watchdog is the first to run again.
    let woken = Seen { now_ms: 70_500, ..WELL };
    assert_eq!(judge.look(&woken), None);
    let at = |now_ms| Seen { now_ms, ..WELL };
    let mut looks = (71_000..80_000).step_by(500).map(|now_ms| (now_ms, judge.look(&at(now_ms))));
    let stall = looks.find_map(|(now_ms, stall)| stall.map(|stall| (now_ms, stall)));
    assert_eq!(stall, Some((74_000, Stall::NoTurn(3_500))), "unless it stays behind");
}

#[test]
fn a_host_too_busy_for_looks_in_time_does_not_hide_a_dead_prober() {
    let mut judge = judge();
    judge.look(&WELL);
    let at = |now_ms| Seen { now_ms, ..WELL };
    assert_eq!(judge.look(&at(62_000)), None, "late: spared");
    assert_eq!(judge.look(&at(64_000)), None, "late again, and not three seconds yet");
    assert_eq!(judge.look(&at(66_000)), Some(Stall::NoTurn(4_000)));
}

#[test]
fn a_runner_and_a_watchdog_that_race_leave_no_veil_behind() {
    use crate::health::table::Word;
    const WORDS: u32 = 64;
    let shared = Arc::new(Shared::default());
    let table = Arc::new(Table::new(WORDS as usize));
    let judge_all = |table: &Table| (0..WORDS).for_each(|id| table.set(id, Word::UP));
    judge_all(&table);
    shared.watched.publish(&table, 2_000, false);
    let stop = Arc::new(AtomicBool::new(false));
    let watchdog = {
        let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                shared.watched.veil();
                shared.watched.veil.store(LIFTED, Ordering::Release);
                thread::yield_now();
            }
        })
    };
    let mut lifted = 0;
    while lifted < 2_000 {
        table.set(lifted % WORDS, Word::UP);
        shared.watched.lift(|| {
            judge_all(&table);
            lifted += 1;
        });
    }
    stop.store(true, Ordering::Relaxed);
    watchdog.join().unwrap();
    shared.watched.lift(|| judge_all(&table));
    assert!(!shared.watched.is_stalled());
    assert!((0..WORDS).all(|id| table.word(id) == Word::UP));
}
