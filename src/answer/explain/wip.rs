//! A WIP's decision in words.

use super::{
    ClientExplanation, MemberExplanation, PoolExplanation, Request, VipExplanation, WipExplanation,
    place_text,
};
use crate::answer::client::{Client, Source};
use crate::config::model::{Member, Pool, WipSettings};
use crate::dns::types::rtype;
use crate::health::plan::VerdictId;
use crate::health::table::{Override, SHARE_FULL, State, TTL_CAP_NONE, Word};
use crate::snapshot::{Serving, Snapshot};
use crate::steer::choose::{Decision, Outcome, Question, Room, Stage, choose};
use crate::steer::hash::ClientNetwork;
use crate::steer::order::{ClientPlace, Match, Rank, Site};
use crate::steer::strategy::Strategy;
use crate::steer::{Policy, Ramp};

/// All that a description is drawn from.
struct View<'a> {
    serving: &'a Serving,
    request: &'a Request<'a>,
    wip: u32,
    strategy: &'a Strategy,
    settings: &'a WipSettings,
    question: Question<'a>,
    place: ClientPlace<'a>,
}

pub(super) fn explain(
    serving: &Serving,
    request: &Request<'_>,
    wip: u32,
    room: &mut Room,
) -> Option<WipExplanation> {
    let snapshot = &serving.snapshot;
    let entry = snapshot.wips.get(wip as usize)?;
    let strategy = snapshot.strategy(entry);
    let client = client_of(snapshot, strategy, request);
    let (row, scope) = client.place(strategy);
    let mut question = Question {
        strategy,
        verdicts: snapshot.verdicts(entry, strategy),
        table: &serving.health,
        laid: serving.overlay.row(wip, entry.strategy),
        row,
        network: ClientNetwork::of(client.address),
        turn: 0,
        rtype: strategy.decided_type(match request.rtype {
            rtype::AAAA => rtype::AAAA,
            _ => rtype::A,
        }),
    };
    let mut decision = choose(&question, room);
    // HTTPS and SVCB are of both families: a site that has IPv6 alone is chosen all the same.
    if request.rtype != rtype::A && question.rtype == rtype::A && room.chosen().is_empty() {
        question.rtype = rtype::AAAA;
        decision = choose(&question, room);
    }
    let (class, _) = snapshot.base.lookup(client.address);
    let networks: Vec<_> = strategy
        .networks
        .iter()
        .filter(|network| network.contains(&client.address))
        .copied()
        .collect();
    let settings_id = snapshot.strategy_settings[entry.strategy as usize];
    let view = View {
        serving,
        request,
        wip,
        strategy,
        settings: &snapshot.config.wip_settings[settings_id as usize],
        question,
        place: ClientPlace { place: &snapshot.base.place(class), networks: &networks },
    };
    let pools = view.pools(&decision, room);
    Some(WipExplanation {
        name: snapshot.wip_name(wip),
        client: ClientExplanation {
            address: client.address,
            source: source_text(client.source),
            place: place_text(view.place.place),
            networks: networks.iter().map(ToString::to_string).collect(),
            scope,
        },
        policy: (strategy.pools.len() > 1).then(|| strategy.policy.as_str().to_owned()),
        pools,
        stage: stage_text(decision.stage).to_owned(),
        decision: view.decision_text(&decision, room),
        ttl_s: decision.ttl_s,
        ttl_calm_s: strategy.ttl_s,
    })
}

fn client_of(snapshot: &Snapshot, strategy: &Strategy, request: &Request<'_>) -> Client {
    let raw = request.subnet.map(super::reply::subnet_option);
    let subnet = raw.as_deref().and_then(crate::dns::ecs::ClientSubnet::parse);
    Client::of(strategy, snapshot.config.server.ecs, subnet, request.client)
}

impl View<'_> {
    fn pools(&self, decision: &Decision, room: &Room) -> Vec<PoolExplanation> {
        let config = &self.serving.snapshot.config;
        let order: Vec<u16> = match self.strategy.policy {
            Policy::Geo if self.strategy.pools.len() > 1 => self.question.row.pools.to_vec(),
            _ => (0..self.strategy.pools.len() as u16).collect(),
        };
        order
            .into_iter()
            .filter_map(|index| {
                let id = *self.settings.pools.get(usize::from(index))?;
                let pool = &config.pools[id as usize];
                Some(self.pool(index, pool, decision, room))
            })
            .collect()
    }

    fn pool(&self, index: u16, pool: &Pool, decision: &Decision, room: &Room) -> PoolExplanation {
        let entry = &self.strategy.pools[usize::from(index)];
        let range = usize::from(entry.members.start)..usize::from(entry.members.end);
        let order = self.question.row.members.get(range).unwrap_or_default();
        let members: Vec<MemberExplanation> = order
            .iter()
            .filter_map(|&at| {
                let member = pool.members.get(usize::from(at - entry.members.start))?;
                Some(self.member(at, pool, member, room))
            })
            .collect();
        PoolExplanation {
            name: pool.name.clone().unwrap_or_else(|| "members".to_owned()),
            policy: pool.policy.as_str().to_owned(),
            available: members.iter().filter(|member| member.available).count(),
            min_available: pool.min_available,
            chosen: decision.outcome == Outcome::Members && decision.pool == index,
            members,
        }
    }

    fn member(&self, at: u16, pool: &Pool, member: &Member, room: &Room) -> MemberExplanation {
        let entry = &self.strategy.members[usize::from(at)];
        let vips: Vec<VipExplanation> = entry.vips.clone().map(|vip| self.vip(vip, at)).collect();
        let ranked = pool.policy == Policy::Geo || self.strategy.policy == Policy::Geo;
        MemberExplanation {
            name: member.name.clone(),
            available: vips.iter().any(|vip| vip.visible && vip.available),
            chosen: room.chosen().iter().any(|chosen| chosen.member == at),
            weight: member.weight,
            rank: if ranked { self.rank_text(member) } else { String::new() },
            said: (self.request.said_of)(self.wip, usize::from(at)),
            vips,
        }
    }

    fn vip(&self, vip: u16, member: u16) -> VipExplanation {
        let verdict = self.question.verdicts.get(usize::from(vip)).copied();
        let word = verdict.map_or(Word::UP, |verdict| self.question.table.word(verdict));
        let laid = self.question.laid.get(usize::from(vip)).copied().unwrap_or_default();
        let word = laid.over(word);
        VipExplanation {
            address: self.strategy.shown(vip),
            visible: self.question.row.sees(vip),
            state: self.state_text(word, verdict),
            over: match word.over() {
                Override::None => laid.leaves_soon.then(|| "to be taken out soon".to_owned()),
                Override::Drained => Some("drained".to_owned()),
                Override::ForcedUp => Some("forced-up".to_owned()),
                Override::ForcedDown => Some("forced-down".to_owned()),
            },
            way_back: self.way_back_text(word, verdict, member),
            available: word.available(),
            ttl_cap_s: (word.ttl_cap_s() != TTL_CAP_NONE).then(|| word.ttl_cap_s()),
            detail: verdict.and_then(|verdict| (self.request.detail_of)(verdict)),
        }
    }

    fn state_text(&self, word: Word, verdict: Option<VerdictId>) -> String {
        let plan = &self.serving.snapshot.plan;
        let unchecked = verdict
            .and_then(|verdict| plan.verdicts.get(verdict as usize))
            .is_none_or(|verdict| verdict.targets.is_empty() && verdict.gate.is_none());
        match word.state() {
            _ if unchecked && word.available() => "up (not checked)",
            State::Down => "down",
            _ if !self.request.probed => "assumed up",
            State::Up => "up",
            State::Unknown => "unknown",
        }
        .to_owned()
    }

    fn way_back_text(&self, word: Word, verdict: Option<VerdictId>, member: u16) -> Option<String> {
        if word.is_held() {
            let plan = &self.serving.snapshot.plan;
            let failback = plan.verdicts.get(verdict? as usize)?.failback;
            return Some(format!("held (failback {})", failback.as_str()));
        }
        let percent = u32::from(word.share()) * 100 / u32::from(SHARE_FULL);
        let whom = match self.question.ramp_of(member, word) {
            Ramp::Over => return None,
            Ramp::OfClients { this: true } => "of clients, this one too",
            Ramp::OfClients { this: false } => "of clients, not this one yet",
            Ramp::OfQueries => "of queries",
        };
        word.available().then(|| format!("ramp {percent} % {whom}"))
    }

    fn rank_text(&self, member: &Member) -> String {
        let site = Site::new(member.location, member.serves.clone(), member.bias);
        let rank = Rank::of(&site, &self.place);
        let mut parts = Vec::new();
        match rank.matched {
            Match::Network(_) => parts.push("serves the client's network".to_owned()),
            Match::Asn => parts.push("serves the client's AS".to_owned()),
            Match::Region => parts.push("serves the client's region".to_owned()),
            Match::Country => parts.push("serves the client's country".to_owned()),
            Match::Continent => parts.push("serves the client's continent".to_owned()),
            Match::None => {}
        }
        if rank.own_country {
            parts.push("in the client's country".to_owned());
        }
        if rank.distance_km.is_finite() {
            let biased = if member.bias == 0 { "" } else { " with its bias" };
            parts.push(format!("{:.0} km away{biased}", rank.distance_km));
        }
        parts.join(", ")
    }

    fn decision_text(&self, decision: &Decision, room: &Room) -> String {
        let family = if self.question.rtype == rtype::AAAA { "IPv6" } else { "IPv4" };
        match decision.outcome {
            Outcome::Members if room.chosen().is_empty() => {
                format!("the chosen site has no {family} address: an empty answer (NODATA)")
            }
            Outcome::Members => {
                let names = &self.serving.snapshot.config.pools;
                let chosen = room.chosen().iter().filter_map(|chosen| {
                    let pool = *self.settings.pools.get(usize::from(decision.pool))?;
                    let start = self.strategy.pools[usize::from(decision.pool)].members.start;
                    let members = &names[pool as usize].members;
                    members.get(usize::from(chosen.member - start)).map(|member| &*member.name)
                });
                let chosen: Vec<&str> = chosen.collect();
                let chosen = chosen.join(", ");
                match decision.stage {
                    Stage::AllDown => format!("nobody is available: failing open to {chosen}"),
                    Stage::Drained => {
                        format!("only sites that are drained or held are healthy: {chosen}")
                    }
                    Stage::BelowMinimum => {
                        format!("no pool has its min_available; the first with any: {chosen}")
                    }
                    _ => chosen,
                }
            }
            Outcome::Addresses => "nobody is available: the addresses of on_all_down".to_owned(),
            Outcome::NoData if decision.stage == Stage::ForcedDown => {
                "every member is forced down: an empty answer (NODATA)".to_owned()
            }
            Outcome::NoData => "nobody is available: an empty answer (NODATA)".to_owned(),
            Outcome::ServFail => "nobody is available: SERVFAIL".to_owned(),
            Outcome::Refuse => "nobody is available: REFUSED".to_owned(),
        }
    }
}

fn source_text(source: Source) -> String {
    match source {
        Source::Packet => "the packet's source".to_owned(),
        Source::Subnet => "the client subnet option".to_owned(),
        Source::SubnetDeclined => {
            "the packet's source (the client subnet is declined or switched off)".to_owned()
        }
        Source::SubnetUnroutable(_) => {
            "the packet's source (the client subnet is private and no network here covers it)"
                .to_owned()
        }
    }
}

fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Available => "available",
        Stage::BelowMinimum => "below min_available",
        Stage::Drained => "drained",
        Stage::AllDown => "all down",
        Stage::ForcedDown => "all forced down",
    }
}
