//! What a change would do to answers: `simulate` and `diff`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OverrideKind, OverrideTarget};

/// `POST /api/v1/simulate`: the running config and its live health, and what is thought.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulateRequest {
    /// Datacenters to think down, by name.
    #[schema(example = json!(["fra"]))]
    #[serde(default)]
    pub down: Vec<String>,
    /// Words of operators to think said, oldest first.
    #[serde(default)]
    pub overrides: Vec<ThoughtOverride>,
    /// Networks of clients and what each weighs; empty: address space counts.
    #[serde(default)]
    pub weights: Vec<WeightedNetwork>,
    /// Most WIPs to list: 100 unless said, [`MOVES_MAX`] at most. Totals count all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Most entries of [`Simulation::wips`] over the API.
pub const MOVES_MAX: usize = 1_000;
/// Most networks in a request.
pub const WEIGHTS_MAX: usize = 1_000;

/// An override that is thought of.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThoughtOverride {
    /// What.
    pub kind: OverrideKind,
    /// Of whom.
    pub target: OverrideTarget,
}

/// A network of clients.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedNetwork {
    /// "192.0.2.0/24"
    pub network: String,
    /// Its weight beside the others', from 1e-9 to 1e15.
    pub weight: f64,
}

/// How answers move. Shares are of all clients, from 0 to 1: of the IPv4 and IPv6 address
/// space with a known place, each family half, or of the weights given. IPv4 clients ask
/// for A, IPv6 clients for AAAA, where a WIP has either; otherwise for the other.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Simulation {
    /// WIPs in all.
    pub wips_total: u64,
    /// WIPs some of whose answers move.
    pub wips_moved: u64,
    /// WIPs that have nobody left to answer with but a last resort, and had somebody.
    pub wips_lost: u64,
    /// Names that come, aliases included: of a change of the config alone.
    #[serde(default)]
    pub names_added: u64,
    /// Names that go.
    #[serde(default)]
    pub names_removed: u64,
    /// Over the WIPs that are there before and after, each weighing the same.
    pub all: Moves,
    /// WIPs whose answers move, those that move most first.
    pub wips: Vec<WipMoves>,
    /// What shares are of: "address space" or "weights".
    pub measure: String,
}

/// How the answers of one WIP move.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WipMoves {
    /// Its name.
    pub wip: String,
    /// True of an alias that comes, goes or changes to another WIP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_alias: bool,
    /// "moved"; "lost": only a last resort is left; "added" or "removed": the name itself is.
    pub change: String,
    /// How.
    #[serde(flatten)]
    pub moves: Moves,
}

/// Who answers before and after, and who takes over from whom.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Moves {
    /// Share of clients whose answer moves.
    pub moved: f64,
    /// The same of IPv4 clients.
    pub moved_v4: f64,
    /// The same of IPv6 clients.
    pub moved_v6: f64,
    /// Where clients are sent, largest first. Datacenters by name, other members by theirs;
    /// "nobody" where no address is given.
    pub shares: Vec<Share>,
    /// Who takes over from whom, largest first; the same on both sides: by another of its
    /// addresses.
    pub flows: Vec<Flow>,
}

/// The share of one destination.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Share {
    /// Datacenter or member.
    pub to: String,
    /// Share before.
    pub before: f64,
    /// And after.
    pub after: f64,
}

/// Clients that move.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Flow {
    /// Where they were sent.
    pub from: String,
    /// Where they are sent after.
    pub to: String,
    /// Their share.
    pub share: f64,
}
