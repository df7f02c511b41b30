//! Answers at a WIP's name: decided A and AAAA, static records of other types,
//! and never NXDOMAIN (docs/STEERING.md).

use super::client::Client;
use super::{Context, Outcome as Reply, Scratch, alias, binding, finish, resolve};
use crate::dns::encode::{Opt, Section, Status};
use crate::dns::types::{Rcode, rtype};
use crate::snapshot::{NONE, WipEntry};
use crate::steer::OnAllDown;
use crate::steer::choose::{Decision, Outcome, Question, Room, Stage, choose};
use crate::steer::hash::ClientNetwork;
use crate::steer::strategy::Strategy;
use crate::zone::{self, Node, Zone};

/// HINFO's data in an ANY answer that has nothing static to show (RFC 8482 4.2).
const ANY_HINFO: &[u8] = b"\x07RFC8482\0";
/// Extended DNS errors (RFC 8914 4).
const EXTENDED_ERROR_OTHER: u16 = 0;
const EXTENDED_ERROR_STALE: u16 = 3;
const ALL_DOWN_TEXT: &str = "all members down";

/// A decision and what it was made for.
pub(super) struct Decided<'a> {
    pub(super) strategy: &'a Strategy,
    pub(super) entry: &'a WipEntry,
    pub(super) decision: Decision,
    pub(super) scope: u8,
}

/// Decides for the query's client and counts it. The chosen VIPs stand in `room`.
pub(super) fn decide<'a>(
    context: &Context<'a>,
    wip: u32,
    qtype: u16,
    room: &mut Room,
) -> Option<Decided<'a>> {
    let of_family = u32::from(qtype == rtype::AAAA);
    decide_at(context, wip, qtype, room, |first| context.worker.take_turn(first + of_family))
}

/// The TTL and the scope of a negative answer for a type that is not decided:
/// those of a decided one (docs/STEERING.md). No turn is taken, nothing is counted.
pub(super) fn negative(context: &Context<'_>, wip: u32, room: &mut Room) -> (u32, u8) {
    let families = [rtype::A, rtype::AAAA].into_iter();
    let decided = families.filter_map(|family| {
        let of_family = u32::from(family == rtype::AAAA);
        decide_at(context, wip, family, room, |first| context.worker.turn(first + of_family))
    });
    let both = decided.map(|decided| (decided.decision.ttl_s, decided.scope));
    both.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0))
}

/// Decides for one family and counts nothing. `turn_of` gives the turn, from the WIP's
/// first turn counter.
pub(super) fn decide_at<'a>(
    context: &Context<'a>,
    wip: u32,
    family: u16,
    room: &mut Room,
    turn_of: impl FnOnce(u32) -> u32,
) -> Option<Decided<'a>> {
    let snapshot = &context.serving.snapshot;
    let entry = snapshot.wips.get(wip as usize)?;
    let strategy = snapshot.strategy(entry);
    let subnet = context.query.edns.and_then(|edns| edns.subnet);
    let ecs_enabled = snapshot.config.server.ecs;
    let client = Client::of(strategy, ecs_enabled, subnet, context.peer.address);
    let (row, scope) = client.place(strategy);
    let turn = match entry.turn {
        NONE => 0,
        first => turn_of(first),
    };
    let question = Question {
        strategy,
        verdicts: snapshot.verdicts(entry, strategy),
        table: &context.serving.health,
        laid: context.serving.overlay.row(wip, entry.strategy),
        row,
        network: ClientNetwork::of(client.address),
        turn,
        rtype: family,
    };
    let decision = choose(&question, room);
    Some(Decided { strategy, entry, decision, scope })
}

/// Answers a query whose own name is a WIP's.
pub(super) fn respond(
    context: &Context<'_>,
    zone: &Zone,
    wip: u32,
    node: Node<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    let qtype = context.query.qtype;
    if !matches!(qtype, rtype::A | rtype::AAAA) {
        return respond_undecided(context, zone, wip, node, scratch, out);
    }
    let Some(decided) = decide(context, wip, qtype, &mut scratch.room) else {
        return context.rcode(Rcode::SERVFAIL, out);
    };
    let Decided { strategy, decision, scope, .. } = decided;
    let opt = Opt { scope, extended_error: extended_error(strategy, &decision), ..context.opt() };
    let mut writer = context.writer(out, &opt);
    let mut status = Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false };
    match decision.outcome {
        Outcome::Members => {
            for chosen in scratch.room.chosen() {
                let record = &strategy.vips[usize::from(chosen.vip)].record;
                status.truncated |= record.put(&mut writer, decision.ttl_s).is_err();
            }
        }
        Outcome::Addresses => {
            for record in strategy.fallback.iter().filter(|record| record.rtype() == qtype) {
                status.truncated |= record.put(&mut writer, decision.ttl_s).is_err();
            }
        }
        Outcome::NoData => {}
        Outcome::ServFail => status = context.failure(Rcode::SERVFAIL),
        Outcome::Refuse => status = context.failure(Rcode::REFUSED),
    }
    if status.truncated {
        // RRsets are not split (RFC 2181 9).
        writer.clear(context.query.question.len());
    } else if writer.is_empty() && status.rcode == Rcode::NOERROR {
        if strategy.is_alias() {
            return alias::respond(context, zone, wip, node, scratch, out);
        }
        // A negative answer lives no longer than a positive one would.
        status.truncated = resolve::put_soa(&mut writer, zone, decision.ttl_s).is_err();
    }
    count(context, &decided, &scratch.room);
    finish(writer, status, &opt)
}

/// Answers types that are not decided at a WIP's name.
fn respond_undecided(
    context: &Context<'_>,
    zone: &Zone,
    wip: u32,
    node: Node<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    if alias::strategy(context, wip).is_some() {
        return alias::respond(context, zone, wip, node, scratch, out);
    }
    if let Some(binding) = binding::of(context, wip) {
        return binding::respond(context, zone, wip, binding, scratch, out);
    }
    if context.query.qtype == rtype::ANY && node.is_empty() {
        let opt = context.opt();
        let mut writer = context.writer(out, &opt);
        let rdata = [ANY_HINFO].into_iter();
        let ttl_s = zone.negative_ttl_s();
        let written =
            writer.put_rrset(Section::Answer, context.query.qname, rtype::HINFO, ttl_s, rdata);
        let truncated = written.is_err();
        return finish(
            writer,
            Status { rcode: Rcode::NOERROR, authoritative: true, truncated },
            &opt,
        );
    }
    if context.query.qtype != rtype::ANY && node.rrset(context.query.qtype).is_none() {
        let (ttl_s, scope) = negative(context, wip, &mut scratch.room);
        let opt = Opt { scope, ..context.opt() };
        let mut writer = context.writer(out, &opt);
        let truncated = resolve::put_soa(&mut writer, zone, ttl_s).is_err();
        return finish(
            writer,
            Status { rcode: Rcode::NOERROR, authoritative: true, truncated },
            &opt,
        );
    }
    resolve::respond(context, zone, zone::Outcome::Node(node), scratch, out)
}

/// Clients that speak EDNS are told when an answer is a last resort (docs/STEERING.md).
pub(super) fn extended_error(
    strategy: &Strategy,
    decision: &Decision,
) -> Option<(u16, &'static str)> {
    if decision.stage < Stage::AllDown {
        return None;
    }
    let code = match strategy.on_all_down {
        OnAllDown::LastKnownGood => EXTENDED_ERROR_STALE,
        _ => EXTENDED_ERROR_OTHER,
    };
    Some((code, ALL_DOWN_TEXT))
}

pub(super) fn count(context: &Context<'_>, decided: &Decided<'_>, room: &Room) {
    let counter = decided.entry.counter;
    if counter == NONE {
        return;
    }
    if decided.decision.stage >= Stage::AllDown {
        context.worker.add(counter, 1);
    }
    if decided.decision.outcome == Outcome::Members {
        for chosen in room.chosen() {
            context.worker.add(counter + 1 + u32::from(chosen.member), 1);
        }
    }
}
