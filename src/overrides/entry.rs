//! One override: what is said, of whom, by whom, from when and until when.

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::health::table::Override;

/// What an operator says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Out of new answers while health goes on being measured.
    Drain,
    /// In answers whatever health and the site's own checks say.
    ForceUp,
    /// Never answered.
    ForceDown,
}

impl Kind {
    /// All there are.
    pub const ALL: [Kind; 3] = [Kind::Drain, Kind::ForceUp, Kind::ForceDown];

    /// As it is laid over a verdict.
    pub fn over(self) -> Override {
        match self {
            Kind::Drain => Override::Drained,
            Kind::ForceUp => Override::ForcedUp,
            Kind::ForceDown => Override::ForcedDown,
        }
    }

    /// The word for the log, metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Drain => "drain",
            Kind::ForceUp => "force-up",
            Kind::ForceDown => "force-down",
        }
    }

    /// Whether it takes members out of answers.
    pub fn takes_out(self) -> bool {
        self != Kind::ForceUp
    }
}

/// Where an override stands. Only [`super::tick`] moves it on, because every step is
/// judged when it takes effect.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Stage {
    /// It starts at [`Entry::at_s`].
    Planned,
    /// It decides of the members of which nothing newer is said.
    InForce,
    /// Its time came and the safety rules forbade it. It is not tried again: an operator
    /// says it anew, or clears it.
    Refused {
        /// The rules, and what they would have been left with.
        why: String,
    },
    /// Its end came and the safety rules forbid it. It stays in force, and its end is
    /// tried again until they do not.
    Overdue {
        /// The rules, and what they would be left with.
        why: String,
    },
}

impl Stage {
    /// Whether it decides of members.
    pub fn is_in_force(&self) -> bool {
        matches!(self, Stage::InForce | Stage::Overdue { .. })
    }
}

/// One override.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// Its number: the revision of the book that it came with. Newer is greater.
    pub id: u64,
    /// What is said.
    pub kind: Kind,
    /// Of whom.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub actor: String,
    /// When it was said, unix seconds.
    pub created_at_s: u64,
    /// In force from then on; none: since it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_s: Option<u64>,
    /// Until then; none: until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<u64>,
    /// Why the safety rules are passed over, at its start and at its end; none: they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// Where it stands.
    pub stage: Stage,
}
