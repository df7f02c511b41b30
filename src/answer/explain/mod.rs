//! Why a client gets an answer: the same query through the same functions, and
//! in words what they saw.
//!
//! The reply comes from [`answer`] itself, from a message built
//! here. What is told beside it (the client's place, each pool and member) is
//! read from the same strategy, row and health words.

mod reply;
mod text;
mod wip;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Outcome, Peer, Scratch, answer};
use crate::dns::Name;
use crate::dns::types::rtype;
use crate::geo::Place;
use crate::health::plan::VerdictId;
use crate::metrics::Transport;
use crate::snapshot::{Serving, Snapshot, WorkerState};
use crate::steer::choose::Room;
use crate::steer::strategy::Strategy;
use crate::zone::{self, Lookup};

//------------ Explanation ----------------------------------------------------

/// What is to be explained.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The name asked for.
    pub name: &'a Name,
    /// The type asked for.
    pub rtype: u16,
    /// Source address of the packet.
    pub client: IpAddr,
    /// Client subnet option: address and source prefix length.
    pub subnet: Option<(IpAddr, u8)>,
    /// What is known of a verdict besides its word: why it is down, since when.
    pub detail_of: &'a dyn Fn(VerdictId) -> Option<String>,
    /// What an operator says of a member of a WIP, by their numbers: who, why, since when.
    pub said_of: &'a dyn Fn(u32, usize) -> Option<String>,
    /// False offline, where nothing was probed and all count as up.
    pub probed: bool,
}

/// An answer and its reasons.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Explanation {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The zone it is in; none: REFUSED.
    pub zone: Option<String>,
    /// What the name is.
    pub found: String,
    /// How a WIP decided.
    pub wip: Option<WipExplanation>,
    /// What went out.
    pub reply: Reply,
}

/// A reply, read back.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Reply {
    /// "NOERROR" and so on; "none" where the query is not answered at all.
    pub rcode: String,
    /// Flags that are set, of "aa" and "tc".
    pub flags: Vec<String>,
    /// Answer section, a record a line.
    pub answer: Vec<String>,
    /// Authority section.
    pub authority: Vec<String>,
    /// Additional section, OPT left out.
    pub additional: Vec<String>,
    /// Scope of the client subnet option.
    pub ecs_scope: Option<u8>,
}

/// How a WIP decided.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct WipExplanation {
    /// Its own name.
    pub name: String,
    /// Whom it decided for.
    pub client: ClientExplanation,
    /// Policy over its pools; none where there is one pool.
    pub policy: Option<String>,
    /// Pools in the order in which they were considered.
    pub pools: Vec<PoolExplanation>,
    /// Where the decision fell: "available", "below min_available", "drained", "all down", "all forced down".
    pub stage: String,
    /// What was decided, in a sentence.
    pub decision: String,
    /// TTL of the answer, in seconds.
    pub ttl_s: u32,
    /// The WIP's own TTL, in seconds.
    pub ttl_calm_s: u32,
}

/// Whom a WIP decides for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ClientExplanation {
    /// The address looked up.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Where it came from.
    pub source: String,
    /// What the geo databases know of it, in words.
    pub place: String,
    /// Operator networks that contain it.
    pub networks: Vec<String>,
    /// Length of the largest network with the same order.
    pub scope: u8,
}

/// One pool.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct PoolExplanation {
    /// Its name, or "members".
    pub name: String,
    /// Its policy.
    pub policy: String,
    /// How many members are available.
    pub available: usize,
    /// How many it needs to be usable.
    pub min_available: u16,
    /// True for the pool the answer came from.
    pub chosen: bool,
    /// Members in this client's order.
    pub members: Vec<MemberExplanation>,
}

/// One member.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct MemberExplanation {
    /// Its name.
    pub name: String,
    /// Whether it could be chosen.
    pub available: bool,
    /// True when it stands in the answer.
    pub chosen: bool,
    /// Weight under weighted and hash.
    pub weight: u32,
    /// Why it stands where it does, in words; empty where order is the config's.
    pub rank: String,
    /// The operator's word that decides of it, whose and why; none: health does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Its VIPs.
    pub vips: Vec<VipExplanation>,
}

/// One VIP.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct VipExplanation {
    /// Its address, or the name that the member is.
    pub address: String,
    /// Whether this client may be given it (`for`).
    pub visible: bool,
    /// "up", "down", "unknown", or "assumed up" where nothing is probed.
    pub state: String,
    /// "drained", "forced-up", "forced-down", "to be taken out soon".
    pub over: Option<String>,
    /// On its way back after a loss: "held (failback manual)", "ramp 37 % of …".
    pub way_back: Option<String>,
    /// True when it may be answered.
    pub available: bool,
    /// Most seconds that health lets an answer live.
    pub ttl_cap_s: Option<u16>,
    /// Why, and since when.
    pub detail: Option<String>,
}

//------------ explain --------------------------------------------------------

/// Answers `request` as a query over TCP and says why.
pub fn explain(serving: &Serving, request: &Request<'_>) -> Explanation {
    let message = reply::query_message(request);
    let mut out = vec![0; 65_535];
    let mut scratch = Scratch::default();
    let peer = Peer { address: request.client, transport: Transport::Tcp };
    // A worker state of its own: explaining counts nowhere and moves no turn.
    let worker = WorkerState::default();
    let outcome = answer(serving, &worker, &mut scratch, &message, peer, &mut out);
    let reply = match outcome {
        Outcome::Reply { length, rcode, .. } => reply::read(&out[..length], rcode),
        Outcome::Drop(_) => Reply { rcode: "none".to_owned(), ..Reply::default() },
    };
    let (zone, found, wip) = found(serving, request);
    Explanation {
        name: request.name.to_string(),
        rtype: rtype::text(request.rtype),
        zone,
        found,
        wip,
        reply,
    }
}

fn found(
    serving: &Serving,
    request: &Request<'_>,
) -> (Option<String>, String, Option<WipExplanation>) {
    let snapshot = &serving.snapshot;
    let qname = request.name.to_lowercase();
    let Lookup::Found { zone, outcome } = snapshot.zones.lookup(qname.wire(), request.rtype) else {
        return (None, "in none of our zones".to_owned(), None);
    };
    let origin = Some(zone.origin().to_string());
    let text = |wire: &[u8]| {
        Name::from_wire(wire).map_or_else(|_| "?".to_owned(), |name| name.to_string())
    };
    let found = match outcome {
        zone::Outcome::Wip { wip, .. } => {
            let own = snapshot.wip_name(wip);
            let found = if own == qname.to_string() {
                "a WIP".to_owned()
            } else {
                format!("another name of the WIP {own}")
            };
            if !is_decided(snapshot, wip, request.rtype) {
                let kind = rtype::text(request.rtype);
                return (origin, format!("{found}, which does not decide {kind}"), None);
            }
            let explained = wip::explain(serving, request, wip, &mut Room::default());
            return (origin, found, explained);
        }
        zone::Outcome::Site { site, .. } => {
            let datacenter = snapshot.config.datacenters.get(site as usize);
            let name = datacenter.map_or("?", |datacenter| datacenter.name.as_str());
            format!("a name of datacenter {name}'s own (its wildcard): health does not matter")
        }
        zone::Outcome::Node(node) if node.is_wildcard() => {
            format!("static records of the wildcard {}", text(node.name()))
        }
        zone::Outcome::Node(node) if node.is_empty() => {
            "an empty non-terminal: names exist below it, records do not".to_owned()
        }
        zone::Outcome::Node(_) => "static records".to_owned(),
        zone::Outcome::Dname { node, .. } => format!("below the DNAME {}", text(node.name())),
        zone::Outcome::Referral { cut, .. } => {
            format!("delegated away at {}", text(cut.name()))
        }
        zone::Outcome::NxDomain => "no such name".to_owned(),
    };
    (origin, found, None)
}

/// Whether a WIP's decision makes the answer to a type.
fn is_decided(snapshot: &Snapshot, wip: u32, rtype: u16) -> bool {
    let entry = snapshot.wips.get(wip as usize);
    let decides = |strategy: &Strategy| strategy.is_alias() || strategy.binding(rtype).is_some();
    matches!(rtype, rtype::A | rtype::AAAA)
        || entry.is_some_and(|entry| decides(snapshot.strategy(entry)))
}

/// What is known of a place, in words.
fn place_text(place: &Place) -> String {
    let mut parts = Vec::new();
    let code = |code: [u8; 2]| String::from_utf8_lossy(&code).into_owned();
    if let Some(continent) = place.continent {
        parts.push(format!("continent {}", code(continent)));
    }
    if let Some(country) = place.country {
        parts.push(format!("country {}", code(country)));
    }
    if let Some(region) = &place.region {
        parts.push(format!("region {region}"));
    }
    if let Some(point) = place.point {
        let kind = if place.point_is_centroid { " (the country's centre)" } else { "" };
        parts.push(format!("at {:.2}, {:.2}{kind}", point.latitude, point.longitude));
    }
    if let Some(asn) = place.asn {
        parts.push(format!("AS{asn}"));
    }
    if parts.is_empty() { "unknown".to_owned() } else { parts.join(", ") }
}
