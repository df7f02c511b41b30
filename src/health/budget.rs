//! How many probes may come on top of the steady ones.
//!
//! First and confirm probes together never exceed twice the steady rate, in any
//! second whatever: what is counted are probes handed out, millisecond by
//! millisecond, over the second that ends now. A bucket that fills up would let two
//! seconds' worth out at once.
//!
//! ```text
//!   confirm, target up      all that is left
//!   confirm, target down    at most half: noticing a loss must not wait behind
//!                           dead members that twitch
//!   first                   what the targets before them may need is kept
//! ```
//!
//! It must not know which target asks.

/// First and confirm probes may always come this often, in probes per second: a
/// small config needs no protection from itself.
pub const BURST_RATE_MIN: u64 = 100;

/// The time over which probes are counted, in milliseconds.
const WINDOW_MS: u64 = 1_000;

/// Who asks the budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asker {
    /// A confirm probe of a target that is up, or was never judged.
    Up,
    /// A confirm probe of a target that is down.
    Down,
    /// A first probe.
    First,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Probes of the second that ends at `at_ms`, by millisecond and asker.
    slots: Vec<[u32; 3]>,
    /// Their sums.
    sums: [u64; 3],
    at_ms: u64,
    most: u64,
    first_most: u64,
}

/// The most first and confirm probes per second under `steady_per_s`.
fn most_per_s(steady_per_s: f64) -> u64 {
    ((2.0 * steady_per_s).floor() as u64).max(BURST_RATE_MIN)
}

/// What first probes may take of it beside targets that settle at `old_per_s`.
pub(super) fn first_per_s(steady_per_s: f64, old_per_s: f64) -> u64 {
    most_per_s(steady_per_s).saturating_sub((2.0 * old_per_s).floor() as u64).max(1)
}

impl Budget {
    /// The budget of a plan that settles at `steady_per_s`, `old_per_s` of them of
    /// targets that were probed before. What `previous` granted still counts.
    pub(super) fn new(
        steady_per_s: f64,
        old_per_s: f64,
        previous: Option<&Budget>,
        now_ms: u64,
    ) -> Budget {
        let empty = || Budget {
            slots: vec![[0; 3]; WINDOW_MS as usize],
            sums: [0; 3],
            at_ms: now_ms,
            most: 0,
            first_most: 0,
        };
        let mut budget = previous.cloned().unwrap_or_else(empty);
        budget.most = most_per_s(steady_per_s);
        budget.first_most = first_per_s(steady_per_s, old_per_s);
        budget
    }

    /// Takes one probe that starts now out of the budget, if there is one.
    pub(super) fn take(&mut self, asker: Asker, now_ms: u64) -> bool {
        self.advance(now_ms);
        let room = match asker {
            Asker::Up => u64::MAX,
            Asker::Down => self.most / 2,
            Asker::First => self.first_most,
        };
        let granted = self.sums.iter().sum::<u64>() < self.most && self.sums[asker as usize] < room;
        if granted {
            self.slots[(self.at_ms % WINDOW_MS) as usize][asker as usize] += 1;
            self.sums[asker as usize] += 1;
        }
        granted
    }

    /// When a probe that was refused may be asked for again.
    pub(super) fn again_ms(&self) -> u64 {
        self.at_ms + 1
    }

    /// Forgets what is a second old. Time that goes back stands still.
    fn advance(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms).min(WINDOW_MS);
        for step in 1..=passed_ms {
            // The slot of a millisecond to come is that of a second before it.
            let slot = &mut self.slots[((now_ms - passed_ms + step) % WINDOW_MS) as usize];
            for (sum, count) in self.sums.iter_mut().zip(std::mem::take(slot)) {
                *sum -= u64::from(count);
            }
        }
        self.at_ms = self.at_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twice_the_steady_rate_half_of_it_for_members_that_are_down() {
        let mut budget = Budget::new(1_000.0, 1_000.0, None, 0);
        let mut drain = |asker, now_ms| (0..10_000).filter(|_| budget.take(asker, now_ms)).count();
        assert_eq!(drain(Asker::Down, 0), 1_000);
        assert_eq!(drain(Asker::Up, 500), 1_000);
        assert_eq!(drain(Asker::Up, 999), 0);
        // Time that stands still or goes back grants nothing.
        assert_eq!(drain(Asker::Up, 100), 0);
        assert_eq!(drain(Asker::Down, 1_000), 1_000);
        assert_eq!(drain(Asker::Up, 1_499), 0);
        assert_eq!(drain(Asker::Up, 1_500), 1_000);
        assert_eq!(drain(Asker::Up, 1_000_000), 2_000);
    }

    #[test]
    fn first_probes_leave_room_for_the_targets_before_them() {
        let mut budget = Budget::new(1_000.0, 900.0, None, 0);
        let mut drain = |asker, now_ms| (0..10_000).filter(|_| budget.take(asker, now_ms)).count();
        assert_eq!(drain(Asker::First, 0), 200);
        assert_eq!(drain(Asker::Up, 0), 1_800);
        assert_eq!((first_per_s(1_000.0, 0.0), first_per_s(20.0, 15.0)), (2_000, 70));
        assert_eq!(first_per_s(1_000.1, 1_000.0), 1, "never none");
    }

    proptest! {
        #[test]
        fn no_second_whatever_sees_more_than_the_budget(
            steady in 0.0..200.0_f64,
            asked in prop::collection::vec((0_u64..400, 0_u8..3, 0_usize..150), 1..60),
        ) {
            let mut budget = Budget::new(steady, 0.0, None, 0);
            let most = ((2.0 * steady) as usize).max(BURST_RATE_MIN as usize);
            let mut granted: Vec<(u64, Asker)> = Vec::new();
            let mut now_ms = 0;
            for (gap_ms, asker, count) in asked {
                now_ms += gap_ms;
                // A reload in between starts no new second.
                budget = Budget::new(steady, 0.0, Some(&budget), now_ms);
                let asker = [Asker::Up, Asker::Down, Asker::First][usize::from(asker)];
                let times = (0..count).filter(|_| budget.take(asker, now_ms)).count();
                granted.extend(std::iter::repeat_n((now_ms, asker), times));
                let second = granted.iter().filter(|(at_ms, _)| at_ms + 1_000 > now_ms);
                let down = second.clone().filter(|(_, asker)| *asker == Asker::Down).count();
                let second = second.count();
                prop_assert!(second <= most && down <= most / 2);
                // What is refused is refused for want of room.
                prop_assert!(times == count || second == most || down == most / 2);
            }
        }
    }
}
