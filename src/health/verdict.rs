//! From targets to one table word: require, gate, and the seconds of TTL.
//!
//! A verdict may change as soon as enough of its targets could: with slack of
//! one, the second-soonest target decides, not the soonest. So an answer's TTL is
//! short exactly while the answer may be about to change.
//!
//! It must not know machines, schedules or overrides' owners.

use super::check::Require;
use super::table::{State, TTL_CAP_NONE, Word};

/// What one target contributes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Vote {
    /// Probed state.
    pub state: State,
    /// Last verdict UP, or never judged.
    pub eligible: bool,
    /// Seconds before it may be overturned; [`TTL_CAP_NONE`]: calm; 0: unknown.
    pub ttl_cap_s: u16,
}

/// What a verdict comes to, before overrides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ruling {
    /// Of its targets, or of the gate when it has none.
    pub state: State,
    /// Require satisfied and the gate not down.
    pub available: bool,
    /// Seconds before `available` may change.
    pub ttl_cap_s: u16,
}

/// Judges `votes` under `require`, and the gate's word if there is one. Reorders
/// `votes`.
pub(super) fn rule(votes: &mut [Vote], require: Require, gate: Option<Word>) -> Ruling {
    let own = rule_targets(votes, require);
    let Some(gate) = gate else { return own };
    let state = if votes.is_empty() { gate.state() } else { own.state };
    let ttl_cap_s = match (own.available, gate.available()) {
        (true, true) => own.ttl_cap_s.min(gate.ttl_cap_s()),
        (true, false) => gate.ttl_cap_s(),
        (false, true) => own.ttl_cap_s,
        (false, false) => own.ttl_cap_s.max(gate.ttl_cap_s()),
    };
    Ruling { state, available: own.available && gate.available(), ttl_cap_s }
}

fn rule_targets(votes: &mut [Vote], require: Require) -> Ruling {
    let need = match require {
        Require::All => votes.len(),
        Require::Any => votes.len().min(1),
        Require::AtLeast(number) => votes.len().min(usize::from(number)),
    };
    let count = |state| votes.iter().filter(|vote| vote.state == state).count();
    let (up, unknown) = (count(State::Up), count(State::Unknown));
    let eligible = votes.iter().filter(|vote| vote.eligible).count();
    let available = eligible >= need;
    // So many must turn before availability does; those that would turn soonest.
    let turn = if available { eligible + 1 - need } else { need - eligible };
    votes.sort_unstable_by_key(|vote| (vote.eligible != available, vote.ttl_cap_s));
    let turning = &votes[..if available { eligible } else { votes.len() - eligible }];
    let ttl_cap_s = turning.get(turn - 1).map_or(TTL_CAP_NONE, |vote| vote.ttl_cap_s);
    let state = if up >= need {
        State::Up
    } else if up + unknown >= need {
        State::Unknown
    } else {
        State::Down
    };
    Ruling { state, available, ttl_cap_s }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::table::Override;
    use super::*;

    /// "U" up, "D" down, "?" never judged, "!" unknown but down before; a number
    /// after it is a pending cap.
    fn votes(text: &str) -> Vec<Vote> {
        text.split_whitespace()
            .map(|word| {
                let (kind, cap) = word.split_at(1);
                let cap = cap.parse().ok();
                match kind {
                    "U" | "D" => Vote {
                        state: if kind == "U" { State::Up } else { State::Down },
                        eligible: kind == "U",
                        ttl_cap_s: cap.unwrap_or(TTL_CAP_NONE),
                    },
                    _ => Vote { state: State::Unknown, eligible: kind == "?", ttl_cap_s: 0 },
                }
            })
            .collect()
    }

    fn show(ruling: Ruling) -> String {
        let available = if ruling.available { "available" } else { "lost" };
        let cap = match ruling.ttl_cap_s {
            TTL_CAP_NONE => String::new(),
            seconds => format!(" {seconds}"),
        };
        format!("{:?} {available}{cap}", ruling.state)
    }

    #[test]
    fn verdicts_follow_require_and_name_the_soonest_change() {
        use Require::{All, Any, AtLeast};
        for (text, require, expected) in [
            ("", All, "Up available"),
            ("", Any, "Up available"),
            ("", AtLeast(2), "Up available"),
            ("U", All, "Up available"),
            ("U U2", All, "Up available 2"),
            ("U D", All, "Down lost"),
            ("U D7", All, "Down lost 7"),
            ("U1 D7", All, "Down lost 7"),
            ("D3 D7", All, "Down lost 7"),
            ("U D", Any, "Up available"),
            ("U2 D", Any, "Up available 2"),
            ("U2 U", Any, "Up available"),
            ("U2 U5", Any, "Up available 5"),
            ("D7 D3", Any, "Down lost 3"),
            ("U U U1", AtLeast(2), "Up available"),
            ("U U4 U1", AtLeast(2), "Up available 4"),
            ("U D4 D9", AtLeast(2), "Down lost 4"),
            ("U U", AtLeast(9), "Up available"),
            ("?", All, "Unknown available 0"),
            ("!", All, "Unknown lost 0"),
            ("U ?", All, "Unknown available 0"),
            ("D ?", All, "Down lost"),
            ("D ?", Any, "Unknown available 0"),
            ("U !", Any, "Up available"),
        ] {
            assert_eq!(show(rule(&mut votes(text), require, None)), expected, "{text} {require:?}");
        }
    }

    #[test]
    fn a_gate_takes_its_members_with_it() {
        let gate = |state, available, cap| Word::new(state, available, Override::None, cap, 0);
        for (text, gate, expected) in [
            ("U", Word::UP, "Up available"),
            ("U", gate(State::Up, true, 2), "Up available 2"),
            ("U1", gate(State::Up, true, 2), "Up available 1"),
            ("U1", gate(State::Down, false, 9), "Up lost 9"),
            ("D3", gate(State::Down, false, 9), "Down lost 9"),
            ("D3", gate(State::Up, true, 1), "Down lost 3"),
            ("U", Word::UNKNOWN, "Up available 0"),
            ("", gate(State::Down, false, TTL_CAP_NONE), "Down lost"),
            ("", Word::UNKNOWN, "Unknown available 0"),
        ] {
            assert_eq!(show(rule(&mut votes(text), Require::All, Some(gate))), expected, "{text}");
        }
    }

    fn any_votes() -> impl Strategy<Value = Vec<Vote>> {
        let vote =
            (any::<bool>(), 1_u16..50, any::<bool>()).prop_map(|(eligible, cap, calm)| Vote {
                state: if eligible { State::Up } else { State::Down },
                eligible,
                ttl_cap_s: if calm { TTL_CAP_NONE } else { cap },
            });
        prop::collection::vec(vote, 0..8)
    }

    proptest! {
        /// Turning every target whose cap has passed changes availability at the
        /// cap's second and not before.
        #[test]
        fn the_cap_is_the_first_second_at_which_availability_can_change(
            votes in any_votes(), number in 0_u8..8, kind in 0_u8..3,
        ) {
            let require = [Require::All, Require::Any, Require::AtLeast(number)][usize::from(kind)];
            let ruling = rule(&mut votes.clone(), require, None);
            let at = |second: u16| {
                // Only turns in the one direction that could change the verdict.
                let mut later = votes.clone();
                for vote in &mut later {
                    if vote.eligible == ruling.available && vote.ttl_cap_s <= second {
                        vote.eligible = !vote.eligible;
                    }
                }
                rule(&mut later, require, None).available
            };
            let first = (0..60).find(|second| at(*second) != ruling.available);
            let cap = (ruling.ttl_cap_s != TTL_CAP_NONE).then_some(ruling.ttl_cap_s);
            prop_assert_eq!(first, cap);
        }
    }
}
