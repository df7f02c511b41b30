//! Static data: the algorithm of RFC 1034 4.3.2 with DNAME (RFC 6672), bounded.
//!
//! A chain of CNAMEs is followed inside our zones; its rcode is the last name's
//! (RFC 6604). A chain that comes to a WIP ends in a decided answer, unless the
//! query carries a client subnet: one scope describes one answer (RFC 7871 7.2.1).

mod additional;
mod decided;

use super::{Context, Outcome as Reply, Scratch, alias, finish};
use crate::dns::encode::{Full, Opt, Section, Status, Writer};
use crate::dns::name::{self, NAME_LENGTH_MAX};
use crate::dns::types::{Rcode, rtype};
use crate::snapshot::SiteEntry;
use crate::steer::choose::Room;
use crate::steer::strategy::Record;
use crate::zone::{Lookup, Node, Outcome, Rrset, Zone, hash_of};

/// Names of one chain. More are not followed; resolvers give up no later.
const CHAIN_MAX: usize = 16;

/// Two names that a chain with DNAMEs goes through, one read while the other is written.
#[derive(Debug)]
pub(super) struct Names([[u8; NAME_LENGTH_MAX]; 2]);

impl Default for Names {
    fn default() -> Names {
        Names([[0; NAME_LENGTH_MAX]; 2])
    }
}

//------------ respond --------------------------------------------------------

/// Answers a query whose own name is not a WIP's.
pub(super) fn respond(
    context: &Context<'_>,
    zone: &Zone,
    outcome: Outcome<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    let opt = context.opt();
    let writer = context.writer(out, &opt);
    let mut walk = Walk {
        context,
        writer,
        opt,
        status: Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false },
        dnames: [0; CHAIN_MAX],
    };
    if walk.chain(zone, outcome, scratch).is_err() {
        walk.status.truncated = true;
    }
    finish(walk.writer, walk.status, &walk.opt)
}

/// Puts the zone's SOA into the authority section, at the negative TTL or less
/// (RFC 2308 5).
pub(super) fn put_soa(writer: &mut Writer<'_>, zone: &Zone, ttl_max_s: u32) -> Result<(), Full> {
    let ttl_s = zone.negative_ttl_s().min(ttl_max_s);
    // Without a record yet the zone is the question's own, at or above its name.
    let ready = zone.ready_soa().filter(|_| writer.is_empty());
    // Where it does not fit, it may with more of it compressed.
    if ready.is_some_and(|soa| writer.put_soa(soa, ttl_s).is_ok()) {
        return Ok(());
    }
    writer.put_rrset(
        Section::Authority,
        zone.origin().wire(),
        rtype::SOA,
        ttl_s,
        zone.soa().rdatas(),
    )
}

//------------ Walk -----------------------------------------------------------

/// A reply while a chain is followed.
struct Walk<'c, 'a, 'o> {
    context: &'c Context<'a>,
    writer: Writer<'o>,
    opt: Opt<'a>,
    status: Status,
    /// DNAMEs gone through, by where their owners stand in the zones' memory.
    dnames: [usize; CHAIN_MAX],
}

/// Where a chain goes on.
enum Next<'z> {
    /// Nowhere: the answer is whole.
    End,
    /// At a name in zone data.
    Name(&'z [u8]),
    /// At the name that a DNAME made.
    Made(usize),
}

impl<'a> Walk<'_, 'a, '_> {
    fn chain(
        &mut self,
        zone: &'a Zone,
        outcome: Outcome<'a>,
        scratch: &mut Scratch,
    ) -> Result<(), Full> {
        let Scratch { room, names, .. } = scratch;
        let qname = self.context.query.qname;
        match self.step(zone, outcome, 0, qname, &mut names.0[1], room)? {
            Next::End => Ok(()),
            next => self.follow(next, names, room),
        }
    }

    /// Goes on from the query's own name.
    #[inline(never)]
    fn follow<'z>(&mut self, next: Next<'z>, names: &mut Names, room: &mut Room) -> Result<(), Full>
    where
        'a: 'z,
    {
        let Names([current, made]) = names;
        let mut seen = [0u64; CHAIN_MAX];
        seen[0] = hash_of(self.context.query.qname);
        let mut next: Next<'z> = next;
        for hop in 1..=CHAIN_MAX {
            let length = match next {
                Next::End => return Ok(()),
                Next::Name(target) => {
                    current[..target.len()].copy_from_slice(target);
                    target.len()
                }
                Next::Made(length) => {
                    std::mem::swap(current, made);
                    length
                }
            };
            let target = &current[..length];
            let hash = hash_of(target);
            if hop == CHAIN_MAX || seen[..hop].contains(&hash) {
                return Ok(()); // too long, or a loop: what stands so far is the answer
            }
            seen[hop] = hash;
            let zones = &self.context.serving.snapshot.zones;
            match zones.lookup(target, self.context.query.qtype) {
                Lookup::NotOurs => return Ok(()),
                Lookup::Found { zone, outcome } => {
                    next = self.step(zone, outcome, hop, target, made, room)?;
                }
            }
        }
        Ok(())
    }

    /// One name of the chain.
    fn step<'z>(
        &mut self,
        zone: &Zone,
        outcome: Outcome<'z>,
        hop: usize,
        qname: &[u8],
        made: &mut [u8; NAME_LENGTH_MAX],
        room: &mut Room,
    ) -> Result<Next<'z>, Full>
    where
        'a: 'z,
    {
        match outcome {
            Outcome::Node(node) => self.node(zone, node, qname),
            Outcome::Site { site, node } => self.site(zone, site, node, qname),
            Outcome::Wip { wip, .. } if alias::strategy(self.context, wip).is_some() => {
                self.alias(zone, wip, hop, qname, room)
            }
            Outcome::Wip { wip, node } => self.wip(zone, wip, node, qname, room),
            Outcome::Dname { node, owner_length } => {
                // A chain may come under one DNAME again: it stands there once.
                let place = node.name().as_ptr() as usize;
                let is_new = !self.dnames[..hop].contains(&place);
                self.dnames[hop] = place;
                self.dname(node, owner_length, is_new, qname, made)
            }
            Outcome::Referral { cut, owner_length } => {
                let owner = &qname[qname.len().saturating_sub(owner_length)..];
                self.referral(cut, owner, hop)?;
                Ok(Next::End)
            }
            Outcome::NxDomain => {
                self.status.rcode = Rcode::NXDOMAIN;
                put_soa(&mut self.writer, zone, u32::MAX)?;
                Ok(Next::End)
            }
        }
    }

    fn node<'z>(&mut self, zone: &Zone, node: Node<'z>, qname: &[u8]) -> Result<Next<'z>, Full> {
        let qtype = self.context.query.qtype;
        let found = match qtype {
            // One RRset is enough for ANY (RFC 8482 4.1).
            rtype::ANY => node.rrsets().next(),
            _ => node.rrset(qtype),
        };
        if let Some(rrset) = found {
            self.put(Section::Answer, qname, rrset)?;
            self.addresses_of(qname, rrset);
            return Ok(Next::End);
        }
        if let Some(cname) = node.rrset(rtype::CNAME) {
            self.put(Section::Answer, qname, cname)?;
            return Ok(cname.rdatas().next().map_or(Next::End, Next::Name));
        }
        put_soa(&mut self.writer, zone, u32::MAX)?;
        Ok(Next::End)
    }

    /// A name under a site's wildcard: its VIPs, whatever their health.
    fn site<'z>(
        &mut self,
        zone: &Zone,
        site: u32,
        node: Node<'z>,
        qname: &[u8],
    ) -> Result<Next<'z>, Full> {
        let empty = SiteEntry::default();
        let sites = &self.context.serving.snapshot.sites;
        let site = sites.get(site as usize).unwrap_or(&empty);
        let records = match self.context.query.qtype {
            rtype::A => &site.a,
            rtype::AAAA => &site.aaaa,
            rtype::ANY if node.is_empty() => {
                if site.a.is_empty() {
                    &site.aaaa
                } else {
                    &site.a
                }
            }
            _ => return self.node(zone, node, qname),
        };
        if records.is_empty() {
            put_soa(&mut self.writer, zone, u32::MAX)?;
        }
        self.put_addresses(qname, records.first().map_or(0, Record::ttl_s), records.iter())?;
        Ok(Next::End)
    }

    /// DNAME and the CNAME it makes (RFC 6672 3.1).
    fn dname<'z>(
        &mut self,
        node: Node<'z>,
        owner_length: usize,
        is_new: bool,
        qname: &[u8],
        made: &mut [u8; NAME_LENGTH_MAX],
    ) -> Result<Next<'z>, Full> {
        let Some(dname) = node.rrset(rtype::DNAME) else { return Ok(Next::End) };
        let Some(target) = dname.rdatas().next() else { return Ok(Next::End) };
        let (prefix, owner) = qname.split_at(qname.len().saturating_sub(owner_length));
        if is_new {
            self.put(Section::Answer, owner, dname)?;
        }
        let length = prefix.len() + target.len();
        let Some(room) = made.get_mut(..length) else {
            self.status.rcode = Rcode::YXDOMAIN;
            return Ok(Next::End);
        };
        room[..prefix.len()].copy_from_slice(prefix);
        room[prefix.len()..].copy_from_slice(target);
        let rdata = [&*room].into_iter();
        self.writer.put_rrset(Section::Answer, qname, rtype::CNAME, dname.ttl_s(), rdata)?;
        match self.context.query.qtype {
            rtype::CNAME | rtype::ANY => Ok(Next::End),
            // Its target lies under it: every further name would, longer each time.
            _ if name::is_at_or_below(target, owner) => Ok(Next::End),
            _ => Ok(Next::Made(length)),
        }
    }

    fn put(&mut self, section: Section, owner: &[u8], rrset: Rrset<'_>) -> Result<(), Full> {
        self.writer.put_rrset(section, owner, rrset.rtype(), rrset.ttl_s(), rrset.rdatas())
    }

    /// Records of one family as one RRset.
    fn put_addresses<'r>(
        &mut self,
        owner: &[u8],
        ttl_s: u32,
        records: impl Iterator<Item = &'r Record>,
    ) -> Result<(), Full> {
        let mut records = records.peekable();
        let rtype = records.peek().map_or(rtype::A, |record| record.rtype());
        let rdatas = records.map(Record::rdata);
        self.writer.put_rrset(Section::Answer, owner, rtype, ttl_s, rdatas)
    }

    /// Adds an extended error.
    fn tell(&mut self, extended_error: Option<(u16, &'static str)>) {
        self.opt.extended_error = extended_error;
    }
}
