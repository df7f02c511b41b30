//! HTTPS and SVCB at a WIP's name (RFC 9460): the hints are what the same client is given
//! for A and AAAA, for one turn of the WIP decides both.

use super::wip::{decide_at, extended_error};
use super::{Context, Outcome as Reply, Scratch, finish, resolve, wip};
use crate::dns::encode::{Full, Opt, Status, Writer};
use crate::dns::types::{Rcode, rtype};
use crate::steer::binding::{Binding, Hints};
use crate::steer::choose::{Decision, Outcome, Room};
use crate::steer::strategy::Strategy;
use crate::zone::Zone;

/// The record of the asked type that a WIP has.
pub(super) fn of<'a>(context: &Context<'a>, wip: u32) -> Option<&'a Binding> {
    if !matches!(context.query.qtype, rtype::HTTPS | rtype::SVCB) {
        return None;
    }
    let snapshot = &context.serving.snapshot;
    let entry = snapshot.wips.get(wip as usize)?;
    snapshot.strategy(entry).binding(context.query.qtype)
}

/// What is decided for both families at once.
pub(super) struct Bound<'a> {
    pub(super) strategy: &'a Strategy,
    pub(super) decision: Decision,
    pub(super) scope: u8,
    hints: Hints,
}

/// Decides for the query's client, and counts it once.
pub(super) fn decide<'a>(
    context: &Context<'a>,
    wip: u32,
    binding: &Binding,
    room: &mut Room,
) -> Option<Bound<'a>> {
    let mut hints = Hints::default();
    // A type's own turns: those of A and AAAA would be out of step with one another.
    let of_type = if binding.rtype == rtype::HTTPS { 2 } else { 3 };
    let mut turn = 0;
    let v4 = decide_at(context, wip, rtype::A, room, |first| {
        turn = context.worker.take_turn(first + of_type);
        turn
    })?;
    add(&mut hints, v4.strategy, &v4.decision, rtype::A, room);
    let counted = v4.decision.outcome == Outcome::Members && !room.chosen().is_empty();
    if counted {
        wip::count(context, &v4, room);
    }
    let v6 = decide_at(context, wip, rtype::AAAA, room, |_| turn)?;
    add(&mut hints, v6.strategy, &v6.decision, rtype::AAAA, room);
    if !counted {
        wip::count(context, &v6, room);
    }
    let decision = joined(&v4.decision, &v6.decision, &hints);
    Some(Bound { strategy: v4.strategy, decision, scope: v4.scope.max(v6.scope), hints })
}

/// Adds what a decision answers for one family.
fn add(hints: &mut Hints, strategy: &Strategy, decision: &Decision, family: u16, room: &Room) {
    match decision.outcome {
        Outcome::Members => {
            let vips = room.chosen().iter().map(|chosen| usize::from(chosen.vip));
            vips.for_each(|vip| hints.add(&strategy.vips[vip].record));
        }
        Outcome::Addresses => {
            let of_family = strategy.fallback.iter().filter(|record| record.rtype() == family);
            of_family.for_each(|record| hints.add(record));
        }
        Outcome::NoData | Outcome::ServFail | Outcome::Refuse => {}
    }
}

/// One decision of two. They differ where families are decided each for itself: then one
/// that has an address is enough, and the answer lives no longer than either.
fn joined(v4: &Decision, v6: &Decision, hints: &Hints) -> Decision {
    let has_failed =
        |decision: &&Decision| matches!(decision.outcome, Outcome::ServFail | Outcome::Refuse);
    let outcome = if !hints.is_empty() {
        Outcome::Members
    } else {
        [v4, v6].into_iter().find(has_failed).map_or(Outcome::NoData, |decision| decision.outcome)
    };
    let (ttl_s, stage) = (v4.ttl_s.min(v6.ttl_s), v4.stage.max(v6.stage));
    Decision { outcome, ttl_s, stage, pool: v4.pool }
}

impl Bound<'_> {
    /// Writes what was decided at `owner`: the record, or the SOA of the zone.
    pub(super) fn put(
        &self,
        binding: &Binding,
        zone: &Zone,
        owner: &[u8],
        writer: &mut Writer<'_>,
    ) -> Result<(), Full> {
        match self.decision.outcome {
            Outcome::Members | Outcome::Addresses => {
                binding.put(writer, owner, self.decision.ttl_s, &self.hints)
            }
            Outcome::NoData => resolve::put_soa(writer, zone, self.decision.ttl_s),
            Outcome::ServFail | Outcome::Refuse => Ok(()),
        }
    }

    /// The rcode of a decision that tells nothing of the name.
    pub(super) fn failure(&self) -> Option<Rcode> {
        match self.decision.outcome {
            Outcome::ServFail => Some(Rcode::SERVFAIL),
            Outcome::Refuse => Some(Rcode::REFUSED),
            _ => None,
        }
    }
}

/// Answers a query whose own name is the WIP's.
#[inline(never)]
pub(super) fn respond(
    context: &Context<'_>,
    zone: &Zone,
    wip: u32,
    binding: &Binding,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    let Some(bound) = decide(context, wip, binding, &mut scratch.room) else {
        return context.rcode(Rcode::SERVFAIL, out);
    };
    let extended_error = extended_error(bound.strategy, &bound.decision);
    let opt = Opt { scope: bound.scope, extended_error, ..context.opt() };
    let mut writer = context.writer(out, &opt);
    let mut status = Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false };
    if let Some(rcode) = bound.failure() {
        status = context.failure(rcode);
    }
    let owner = context.query.qname;
    status.truncated = bound.put(binding, zone, owner, &mut writer).is_err();
    finish(writer, status, &opt)
}
