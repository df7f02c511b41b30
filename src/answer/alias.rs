//! Answers of a WIP whose members are names: the CNAME of the one that was chosen, to
//! every type, and what stands behind it in our own zones.

use super::wip::decide_at;
use super::{Context, Outcome as Reply, Scratch, resolve, wip};
use crate::dns::types::rtype;
use crate::steer::choose::{Outcome, Room};
use crate::steer::strategy::Strategy;
use crate::zone::{self, Node, Zone};

/// Where a chosen name's decision counts its turns: behind those of A and AAAA.
const TURN: u32 = 2;

/// The strategy of a WIP whose members are names.
pub(super) fn strategy<'a>(context: &Context<'a>, wip: u32) -> Option<&'a Strategy> {
    let snapshot = &context.serving.snapshot;
    let entry = snapshot.wips.get(wip as usize)?;
    Some(snapshot.strategy(entry)).filter(|strategy| strategy.is_alias())
}

/// Decides for the query's client and counts it: the target, where one was chosen.
pub(super) fn decide<'a>(
    context: &Context<'a>,
    wip: u32,
    room: &mut Room,
) -> Option<(wip::Decided<'a>, Option<&'a [u8]>)> {
    let turn_of = |first| context.worker.take_turn(first + TURN);
    let decided = decide_at(context, wip, rtype::CNAME, room, turn_of)?;
    wip::count(context, &decided, room);
    let strategy = decided.strategy;
    let chosen = room.chosen().first().filter(|_| decided.decision.outcome == Outcome::Members);
    let target = chosen.and_then(|chosen| strategy.target(chosen.vip));
    Some((decided, target))
}

/// Answers a query whose own name is the WIP's.
#[inline(never)]
pub(super) fn respond(
    context: &Context<'_>,
    zone: &Zone,
    wip: u32,
    node: Node<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    resolve::respond(context, zone, zone::Outcome::Wip { wip, node }, scratch, out)
}
