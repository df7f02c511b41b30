//! The records of a zone, as a server without steering would hold them.
//!
//! Each WIP is asked as a query is, on behalf of a client of whom nothing is known, with
//! every member up, no override and nobody asked before: so what is transferred is what
//! is answered, whatever records WIPs learn to have, and it changes with the config
//! alone. That is what the zone's serial stands for (docs/ZONES.md).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::answer::{Outcome, Peer, Scratch, answer};
use crate::dns::Name;
use crate::dns::encode::Section;
use crate::dns::message::Message;
use crate::dns::types::{Rcode, class, rtype};
use crate::health::table::Table;
use crate::metrics::Transport;
use crate::snapshot::{Serving, SiteEntry, WorkerState};
use crate::zone::{Node, Record, Standing, ZoneId, rdata};

/// Types that may be decided at a WIP's name.
const DECIDED: [u16; 5] = [rtype::A, rtype::AAAA, rtype::HTTPS, rtype::SVCB, rtype::SRV];
/// A client that no map knows: no host has this address.
const NOBODY: Peer = Peer { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), transport: Transport::Tcp };
/// Longest reply over a stream.
const REPLY_MAX: usize = 65_535;

/// Goes through a zone's names.
pub(super) struct Render {
    /// The snapshot in its calm state.
    serving: Serving,
    /// Counts nothing: every turn is the first.
    worker: WorkerState,
    zone: ZoneId,
    at: usize,
    scratch: Scratch,
    reply: Vec<u8>,
}

impl Render {
    pub(super) fn new(serving: &Serving, zone: ZoneId) -> Render {
        let calm = Serving {
            snapshot: Arc::clone(&serving.snapshot),
            // A word that is not there reads as up.
            health: Arc::new(Table::default()),
            overlay: Arc::default(),
            workers: Arc::default(),
            counted_before: Arc::default(),
        };
        let worker = WorkerState::default();
        Render {
            serving: calm,
            worker,
            zone,
            at: 0,
            scratch: Scratch::default(),
            reply: Vec::new(),
        }
    }

    /// The records of the next name, without the SOA; none: there is no more.
    pub(super) fn next(&mut self) -> Option<Vec<Record>> {
        let snapshot = Arc::clone(&self.serving.snapshot);
        let zones = &snapshot.zones;
        let (standing, next) = zones.name_from(self.zone, self.at)?;
        self.at = next;
        let mut records = Vec::new();
        let Ok(owner) = Name::from_wire(standing.node.name()) else { return Some(records) };
        if standing.wip.is_some() {
            self.decided(&owner, &mut records);
        }
        let decided: Vec<u16> = records.iter().map(|record: &Record| record.rtype).collect();
        for rrset in standing.node.rrsets() {
            let is_given = rrset.rtype() == rtype::SOA || decided.contains(&rrset.rtype());
            if !is_given {
                records.extend(rrset.rdatas().map(|rdata| Record {
                    owner: owner.clone(),
                    rtype: rrset.rtype(),
                    ttl_s: rrset.ttl_s(),
                    rdata: rdata.into(),
                }));
            }
        }
        if standing.is_parent_side {
            glue(&snapshot.zones, &standing, &mut records);
        }
        let sites = &snapshot.sites;
        let site_of = |site: u32| sites.get(site as usize);
        if let Some(site) = standing.site.and_then(site_of) {
            addresses(&owner, site, &mut records);
        }
        if let (Some(site), Ok(star)) = (standing.site_below.and_then(site_of), owner.child(b"*")) {
            addresses(&star, site, &mut records);
        }
        Some(records)
    }

    /// What a WIP answers.
    fn decided(&mut self, owner: &Name, records: &mut Vec<Record>) {
        self.reply.resize(REPLY_MAX, 0);
        for qtype in DECIDED {
            let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            query.extend_from_slice(owner.wire());
            query.extend_from_slice(&qtype.to_be_bytes());
            query.extend_from_slice(&class::IN.to_be_bytes());
            let (serving, scratch) = (&self.serving, &mut self.scratch);
            let asked = answer(serving, &self.worker, scratch, &query, NOBODY, &mut self.reply);
            let Outcome::Reply { length, rcode: Rcode::NOERROR, .. } = asked else { continue };
            let Ok(message) = Message::parse(&self.reply[..length]) else { continue };
            for entry in message.entries().map_while(Result::ok) {
                let is_answer = entry.section == Section::Answer;
                let is_asked = entry.rtype == qtype || entry.rtype == rtype::CNAME;
                let (Ok(at), Ok(rdata)) = (entry.owner(), entry.rdata()) else { continue };
                // What a CNAME leads to is another name's.
                if is_answer && is_asked && at == *owner {
                    let record =
                        Record { owner: at, rtype: entry.rtype, ttl_s: entry.ttl_s, rdata };
                    records.push(record);
                }
            }
            if records.iter().any(|record| record.rtype == rtype::CNAME) {
                return;
            }
        }
    }
}

fn addresses(owner: &Name, site: &SiteEntry, records: &mut Vec<Record>) {
    records.extend(site.a.iter().chain(&site.aaaa).map(|record| Record {
        owner: owner.clone(),
        rtype: record.rtype(),
        ttl_s: record.ttl_s(),
        rdata: record.rdata().into(),
    }));
}

/// Addresses of name servers inside a zone of ours below: they stand there, and without
/// them here nobody finds the way.
fn glue(zones: &crate::zone::Zones, standing: &Standing<'_>, records: &mut Vec<Record>) {
    let Some(ns) = standing.node.rrset(rtype::NS) else { return };
    let targets = ns.rdatas().filter_map(|rdata| rdata::target(rtype::NS, rdata));
    for target in targets {
        let node = zones
            .additional(target)
            .filter(|node| crate::dns::name::is_at_or_below(node.name(), standing.node.name()));
        let Some((node, owner)) = node.and_then(|node| Some((node, Name::from_wire(target).ok()?)))
        else {
            continue;
        };
        for rrset in addresses_of(node) {
            records.extend(rrset.rdatas().map(|rdata| Record {
                owner: owner.clone(),
                rtype: rrset.rtype(),
                ttl_s: rrset.ttl_s(),
                rdata: rdata.into(),
            }));
        }
    }
}

fn addresses_of(node: Node<'_>) -> impl Iterator<Item = crate::zone::Rrset<'_>> {
    [rtype::A, rtype::AAAA].into_iter().filter_map(move |rtype| node.rrset(rtype))
}
