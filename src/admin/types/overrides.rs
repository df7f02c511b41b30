//! Overrides: an operator's word over health, what it does, and why it is refused.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whom an override means: names, or globs of them (`*` any run of characters, `?`
/// one). What is left out means all; at least one is given.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideTarget {
    /// Members of these datacenters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// In these WIPs, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wip: Option<String>,
    /// Members of these names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// "datacenter fra, WIP shop.gslb.example.com"
impl std::fmt::Display for OverrideTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let OverrideTarget { datacenter, wip, member } = self;
        let mut before = "";
        for (what, part) in [("datacenter", datacenter), ("WIP", wip), ("member", member)] {
            if let Some(part) = part {
                write!(f, "{before}{what} {part}")?;
                before = ", ";
            }
        }
        Ok(())
    }
}

/// What an operator says of members.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OverrideKind {
    /// Out of new answers, while health goes on being measured; the first to come
    /// back when nobody else is left.
    #[default]
    Drain,
    /// In answers whatever health and the site's own checks say.
    ForceUp,
    /// Never answered.
    ForceDown,
}

impl OverrideKind {
    /// The word of the API, the log and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            OverrideKind::Drain => "drain",
            OverrideKind::ForceUp => "force-up",
            OverrideKind::ForceDown => "force-down",
        }
    }
}

//------------ Requests -------------------------------------------------------

/// `POST /api/v1/overrides`: says something of members. Of the overrides that match a
/// member the newest wins.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// What.
    pub kind: OverrideKind,
    /// Of whom.
    pub target: OverrideTarget,
    /// Why: 1 to 500 characters.
    pub reason: String,
    /// Who says so, as they call themselves; the server notes where they came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// In force from this unix second on; none: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_s: Option<u64>,
    /// Until this unix second; none: until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<u64>,
    /// Why the safety rules are to be passed over; none: they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// Judge and show the effect, change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Refuse unless the overrides still have this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<u64>,
}

/// `POST /api/v1/overrides/clear`: takes back what was said of exactly that target.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearRequest {
    /// Of whom: as it was given, globs and all.
    pub target: OverrideTarget,
    /// Why; may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why the safety rules are to be passed over; none: they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// Judge and show the effect, change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Refuse unless the overrides still have this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<u64>,
}

//------------ Replies --------------------------------------------------------

/// `GET /api/v1/overrides`
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct OverridesPage {
    /// When this was so, by the server's clock.
    #[serde(default)]
    pub now_s: u64,
    /// Grows with every change.
    pub revision: u64,
    /// All there are, oldest first.
    pub overrides: Vec<OverrideStatus>,
}

/// One override as it stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct OverrideStatus {
    /// Its number: the revision that brought it.
    pub id: u64,
    /// What is said.
    pub kind: OverrideKind,
    /// Of whom.
    pub target: OverrideTarget,
    /// Why.
    pub reason: String,
    /// Who said so, and from where: "kim (127.0.0.1:41234)".
    pub actor: String,
    /// When.
    pub created_at_s: u64,
    /// In force from then on; none: since it was said.
    pub at_s: Option<u64>,
    /// Until then; none: until it is cleared.
    pub until_s: Option<u64>,
    /// Why the safety rules were passed over; none: they held.
    pub break_glass: Option<String>,
    /// "planned", "announced" (answers get short TTLs already), "in-force", "refused" (its
    /// time came and the safety rules forbade it), "overdue" (its end came and the safety
    /// rules forbid it).
    pub phase: String,
    /// Why it is refused or overdue; none: it is neither.
    #[serde(default)]
    pub refused: Option<String>,
    /// Members of WIPs that it decides now: of those it matches, the ones of which
    /// nothing newer is said.
    pub members: u64,
    /// When the longest-lived answer that names a member it took out has expired; none:
    /// it took none out, or not yet, or one that it drains is still answered as the last
    /// resort, for nobody else was available.
    #[serde(default)]
    pub drained_at_s: Option<u64>,
}

/// A change that was taken, or would be.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct OverrideDone {
    /// When this was so, by the server's clock.
    #[serde(default)]
    pub now_s: u64,
    /// The revision now in force.
    pub revision: u64,
    /// Nothing was changed.
    pub dry_run: bool,
    /// The override that was added; none: some were cleared.
    pub added: Option<OverrideStatus>,
    /// Overrides taken away: cleared, or said anew of exactly that target.
    pub removed: Vec<OverrideStatus>,
    /// What it does to answers.
    pub effect: OverrideEffect,
    /// Rules that were broken, and passed over by breaking the glass; of one that is
    /// planned, those that it would break if it began now.
    pub broken: Vec<BrokenRule>,
    /// When the longest-lived answer that names a member taken out has expired; none:
    /// none was taken out, or not yet, or one that is drained is still answered as the
    /// last resort, for nobody else is available.
    pub drained_at_s: Option<u64>,
}

/// Most entries of [`OverrideEffect::wips`] and [`BrokenRule::wips`].
pub const WIPS_SHOWN_MAX: usize = 100;

/// What a change does to the members of WIPs, health being what it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct OverrideEffect {
    /// Members of WIPs that the target matches.
    pub members_matched: u64,
    /// Those whose state changes.
    pub members_changed: u64,
    /// WIPs that have one.
    pub wips_changed: u64,
    /// Their datacenters.
    pub datacenters: Vec<String>,
    /// The first [`WIPS_SHOWN_MAX`] of those WIPs.
    pub wips: Vec<WipEffect>,
}

/// What a change does to one WIP.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct WipEffect {
    /// Its name.
    pub wip: String,
    /// Members whose state changes.
    pub members: Vec<String>,
    /// Members available before.
    pub available_before: u64,
    /// And after.
    pub available_after: u64,
}

/// A safety rule that a change breaks. A refusal is the problem document
/// "unsafe-change" (409), which has them as `broken`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct BrokenRule {
    /// The key in `[safety]`: "min_members", "min_datacenters", "max_datacenters_changed".
    pub rule: String,
    /// What would be, in a sentence.
    pub detail: String,
    /// The first [`WIPS_SHOWN_MAX`] WIPs that break it; none: it is not about WIPs.
    pub wips: Vec<String>,
    /// How many there are.
    pub wips_total: u64,
}
