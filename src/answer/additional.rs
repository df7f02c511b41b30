//! Additional data: addresses of the hosts that an answer names, where we hold
//! them. It must not know how the answer came about.

use super::resolve::Walk;
use crate::dns::encode::{Full, Section};
use crate::dns::name;
use crate::dns::types::rtype;
use crate::zone::{Node, Rrset};

/// Hosts whose addresses are added for one RRset, a referral's aside. More hardly
/// fit into a UDP answer.
const HOSTS_MAX: usize = 32;

impl<'a> Walk<'_, 'a, '_> {
    /// Addresses of the hosts an RRset names, as far as there is room: their
    /// absence is no truncation (RFC 2181 9).
    pub(super) fn addresses_of(&mut self, rrset: Rrset<'_>) {
        let skip = match rrset.rtype() {
            rtype::NS => 0,
            rtype::MX | rtype::SVCB | rtype::HTTPS => 2,
            rtype::SRV => 6,
            _ => return,
        };
        // Several records may name one host (SRV with many ports): once is enough.
        let mut hosts = Hosts::default();
        for rdata in rrset.rdatas() {
            let target = rdata.get(skip..).unwrap_or_default();
            let Ok(length) = name::wire_length(target) else { continue };
            let Some(node) = self.addresses(&target[..length]).filter(|&node| hosts.add(node))
            else {
                continue;
            };
            if self.put_addresses_of(&target[..length], node).is_err() {
                return;
            }
        }
    }

    /// Where a host's addresses stand, if they are ours or glue.
    pub(super) fn addresses(&self, host: &[u8]) -> Option<Node<'a>> {
        self.context.serving.snapshot.zones.additional(host)
    }

    pub(super) fn put_addresses_of(&mut self, host: &[u8], node: Node<'_>) -> Result<(), Full> {
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
