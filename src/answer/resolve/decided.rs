//! WIPs on a chain: decided answers behind a CNAME, and WIPs whose members are names.

use super::{Next, Walk, put_soa};
use crate::answer::wip::{self, Decided};
use crate::answer::{alias, binding};
use crate::dns::encode::{Full, Section};
use crate::dns::types::{Rcode, rtype};
use crate::steer::binding::Binding;
use crate::steer::choose::{Outcome as Decision, Room};
use crate::zone::{Node, Zone};

impl<'a> Walk<'_, 'a, '_> {
    /// A WIP behind a CNAME.
    pub(super) fn wip<'z>(
        &mut self,
        zone: &Zone,
        wip: u32,
        node: Node<'z>,
        qname: &[u8],
        room: &mut Room,
    ) -> Result<Next<'z>, Full> {
        let qtype = self.context.query.qtype;
        let binding = binding::of(self.context, wip);
        if binding.is_none() && !matches!(qtype, rtype::A | rtype::AAAA) {
            if node.rrset(qtype).is_none() && qtype != rtype::ANY {
                put_soa(&mut self.writer, zone, wip::negative(self.context, wip, room).0)?;
                return Ok(Next::End);
            }
            return self.node(zone, node, qname);
        }
        if self.would_mix_scopes(wip) {
            return Ok(Next::End);
        }
        if let Some(binding) = binding {
            return self.binding(zone, wip, binding, qname, room);
        }
        let Some(decided) = wip::decide(self.context, wip, qtype, room) else {
            self.status.rcode = Rcode::SERVFAIL;
            return Ok(Next::End);
        };
        wip::count(self.context, &decided, room);
        let Decided { strategy, decision, .. } = decided;
        self.tell(wip::extended_error(strategy, &decision));
        let before = self.writer.count(Section::Answer);
        match decision.outcome {
            Decision::Members => {
                let vips = room.chosen().iter().map(|chosen| usize::from(chosen.vip));
                let records = vips.map(|vip| &strategy.vips[vip].record);
                self.put_addresses(qname, decision.ttl_s, records)?;
            }
            Decision::Addresses => {
                let family = strategy.fallback.iter().filter(|record| record.rtype() == qtype);
                self.put_addresses(qname, decision.ttl_s, family)?;
            }
            Decision::NoData => {}
            Decision::ServFail => self.status = self.context.failure(Rcode::SERVFAIL),
            Decision::Refuse => self.status = self.context.failure(Rcode::REFUSED),
        }
        let answered = self.writer.count(Section::Answer) > before;
        if !answered && self.status.rcode == Rcode::NOERROR {
            put_soa(&mut self.writer, zone, decision.ttl_s)?;
        }
        Ok(Next::End)
    }

    /// Whether a WIP's answer would be of another scope than the one that is told.
    fn would_mix_scopes(&self, wip: u32) -> bool {
        let snapshot = &self.context.serving.snapshot;
        let depends = |wip: u32| {
            let entry = snapshot.wips.get(wip as usize);
            entry.is_some_and(|entry| snapshot.strategy(entry).depends_on_client())
        };
        self.context.query.edns.is_some_and(|edns| edns.subnet.is_some()) && depends(wip)
    }

    /// A WIP whose members are names: the CNAME of the one chosen. The first name of the
    /// chain gives the reply its scope.
    pub(super) fn alias<'z>(
        &mut self,
        zone: &Zone,
        wip: u32,
        hop: usize,
        qname: &[u8],
        room: &mut Room,
    ) -> Result<Next<'z>, Full>
    where
        'a: 'z,
    {
        if hop > 0 && self.would_mix_scopes(wip) {
            return Ok(Next::End);
        }
        let Some((decided, target)) = alias::decide(self.context, wip, room) else {
            self.status.rcode = Rcode::SERVFAIL;
            return Ok(Next::End);
        };
        let Decided { strategy, decision, scope, .. } = decided;
        if hop == 0 {
            self.opt.scope = scope;
        }
        self.tell(wip::extended_error(strategy, &decision));
        match decision.outcome {
            Decision::ServFail => self.status = self.context.failure(Rcode::SERVFAIL),
            Decision::Refuse => self.status = self.context.failure(Rcode::REFUSED),
            _ => {}
        }
        let Some(target) = target else {
            if self.status.rcode == Rcode::NOERROR {
                put_soa(&mut self.writer, zone, decision.ttl_s)?;
            }
            return Ok(Next::End);
        };
        let rdata = [target].into_iter();
        self.writer.put_rrset(Section::Answer, qname, rtype::CNAME, decision.ttl_s, rdata)?;
        match self.context.query.qtype {
            rtype::CNAME | rtype::ANY => Ok(Next::End),
            _ => Ok(Next::Name(target)),
        }
    }

    /// The HTTPS or SVCB record of a WIP behind a CNAME.
    fn binding<'z>(
        &mut self,
        zone: &Zone,
        wip: u32,
        binding: &Binding,
        qname: &[u8],
        room: &mut Room,
    ) -> Result<Next<'z>, Full> {
        let Some(bound) = binding::decide(self.context, wip, binding, room) else {
            self.status.rcode = Rcode::SERVFAIL;
            return Ok(Next::End);
        };
        self.tell(wip::extended_error(bound.strategy, &bound.decision));
        if let Some(rcode) = bound.failure() {
            self.status = self.context.failure(rcode);
        }
        bound.put(binding, zone, qname, &mut self.writer)?;
        Ok(Next::End)
    }
}
