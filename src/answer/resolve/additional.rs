//! Addresses of the hosts that records name: glue of referrals, and what saves
//! the client its next question (RFC 1034 4.3.2 6).

use super::Walk;
use crate::dns::encode::{Full, Section};
use crate::dns::name;
use crate::dns::types::rtype;
use crate::zone::{Node, Rrset};

/// Hosts whose addresses are added for one RRset, a referral's aside. More hardly
/// fit into a UDP answer.
const HOSTS_MAX: usize = 32;
impl<'a> Walk<'_, 'a, '_> {
    /// A referral: NS, and the glue without which it is of no use (RFC 9471).
    pub(super) fn referral(&mut self, cut: Node<'_>, owner: &[u8], hop: usize) -> Result<(), Full> {
        let Some(ns) = cut.rrset(rtype::NS) else { return Ok(()) };
        // The answer's first name decides AA (RFC 1035 4.1.1).
        self.status.authoritative = hop > 0;
        self.put(Section::Authority, owner, ns)?;
        for required in [true, false] {
            for target in ns.rdatas() {
                if name::is_at_or_below(target, owner) == required
                    && let Some(node) = self.addresses(target)
                {
                    let written = self.put_addresses_of(target, node);
                    if required {
                        written?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Addresses of the hosts an RRset names, as far as there is room: their
    /// absence is no truncation (RFC 2181 9).
    pub(super) fn addresses_of(&mut self, owner: &[u8], rrset: Rrset<'_>) {
        let skip = match rrset.rtype() {
            rtype::NS => 0,
            rtype::MX | rtype::SVCB | rtype::HTTPS => 2,
            rtype::SRV => 6,
            _ => return,
        };
        let is_binding = matches!(rrset.rtype(), rtype::SVCB | rtype::HTTPS);
        // Several records may name one host (SRV with many ports): once is enough.
        let mut hosts = Hosts::default();
        for rdata in rrset.rdatas() {
            let target = rdata.get(skip..).unwrap_or_default();
            let Ok(length) = name::wire_length(target) else { continue };
            let host = match &target[..length] {
                // In ServiceMode "." is the owner itself (RFC 9460 2.5.2).
                [0] if is_binding && !rdata.starts_with(&[0, 0]) => owner,
                host => host,
            };
            let Some(node) = self.addresses(host).filter(|&node| hosts.add(node)) else {
                continue;
            };
            if self.put_addresses_of(host, node).is_err() {
                return;
            }
        }
    }

    /// Where a host's addresses stand, if they are ours or glue.
    fn addresses(&self, host: &[u8]) -> Option<Node<'a>> {
        self.context.serving.snapshot.zones.additional(host)
    }

    fn put_addresses_of(&mut self, host: &[u8], node: Node<'_>) -> Result<(), Full> {
        for rtype in [rtype::A, rtype::AAAA] {
            if let Some(rrset) = node.rrset(rtype) {
                self.put(Section::Additional, host, rrset)?;
            }
        }
        Ok(())
    }
}

//------------ Hosts ----------------------------------------------------------

/// Hosts whose addresses stand in the additional section, by where their names
/// stand in the zones' memory.
#[derive(Default)]
struct Hosts {
    places: [usize; HOSTS_MAX],
    count: usize,
}

impl Hosts {
    /// Remembers a host; false if it is there already or there is no room.
    fn add(&mut self, node: Node<'_>) -> bool {
        let place = node.name().as_ptr() as usize;
        if self.count == HOSTS_MAX || self.places[..self.count].contains(&place) {
            return false;
        }
        self.places[self.count] = place;
        self.count += 1;
        true
    }
}
