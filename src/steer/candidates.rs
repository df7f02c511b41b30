//! Which VIPs each stage of a decision takes (docs/STEERING.md).

use super::choose::Stage;
use crate::health::table::{Override, State, Word};

/// Which VIPs a stage takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Candidates {
    Available,
    DrainedHealthy,
    NotForcedDown,
    LostLast { at_s: u32 },
}

impl Candidates {
    pub(super) fn of(stage: Stage) -> Candidates {
        match stage {
            Stage::Available | Stage::BelowMinimum => Candidates::Available,
            Stage::Drained => Candidates::DrainedHealthy,
            Stage::AllDown | Stage::ForcedDown => Candidates::NotForcedDown,
        }
    }

    #[inline]
    pub(super) fn takes(self, word: Word) -> bool {
        match self {
            Candidates::Available => word.available(),
            Candidates::DrainedHealthy => {
                word.over() == Override::Drained && word.state() != State::Down
            }
            Candidates::NotForcedDown => word.over() != Override::ForcedDown,
            Candidates::LostLast { at_s } => {
                word.over() != Override::ForcedDown && word.lost_at_s() == at_s
            }
        }
    }
}
