//! A limited reply: of which class it was, and the short one that may go out instead;
//! and how a worker says which networks it limits without waiting for who writes that down.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use super::limit::Limiter;
use super::{Context, Outcome, Prepared, Scratch, finish, rare};
use crate::dns::cookie::CookieState;
use crate::dns::encode::Status;
use crate::dns::types::Rcode;
use crate::metrics::{DropReason, RateAction, RateClass};
use crate::snapshot::{Serving, WorkerState};

impl Prepared<'_> {
    /// What goes out in place of `outcome`, whose reply stands in `out`; and what was done
    /// to it, if anything was.
    pub fn limit(
        &self,
        limiter: &mut Limiter,
        serving: &Serving,
        worker: &WorkerState,
        scratch: &Scratch,
        outcome: Outcome,
        out: &mut [u8],
    ) -> (Outcome, Option<(RateClass, RateAction)>) {
        let Outcome::Reply { rcode, cookie, .. } = outcome else { return (outcome, None) };
        if cookie == CookieState::Valid {
            return (outcome, None);
        }
        let (class, subject) = self.class_of(rcode, scratch, out);
        let Some(limited) = limiter.judge(self.peer.address, class, subject) else {
            return (outcome, None);
        };
        if cookie != CookieState::None
            && let Some(reply) = self.bad_cookie(serving, scratch, out)
        {
            return (reply, Some((limited.0, RateAction::Slip)));
        }
        let instead = match (limited.1, &self.parsed) {
            (RateAction::Drop, _) => Outcome::Drop(DropReason::RateLimited),
            // An error is as short as a truncated reply, and says more.
            (RateAction::Slip, Ok(query)) if class != RateClass::Error => {
                let rare = query.edns.filter(|edns| rare::has_any(serving, edns));
                let rare =
                    rare.map(|edns| rare::of(serving, scratch, &edns, query.qname, self.peer));
                let rare = rare.as_ref();
                let context = Context { serving, worker, peer: self.peer, query, rare };
                let opt = context.opt();
                let writer = context.writer(out, &opt);
                let status =
                    Status { rcode: Rcode::NOERROR, authoritative: false, truncated: true };
                finish(writer, status, &opt)
            }
            (RateAction::Slip, _) => outcome,
        };
        (instead, Some(limited))
    }

    /// The class of the reply in `out`, and what it is about: a name that exists, or a zone.
    /// What a wildcard or a site's base makes up counts by zone, or no limit would hold
    /// against names at random.
    #[inline]
    fn class_of(&self, rcode: Rcode, scratch: &Scratch, out: &[u8]) -> (RateClass, u64) {
        let zone = u64::from(scratch.zone);
        let (is_authoritative, is_truncated) = (out[2] & 4 != 0, out[2] & 2 != 0);
        match rcode {
            Rcode::NOERROR if out[6..8] != [0, 0] || is_truncated => {
                (RateClass::Answer, if self.located.is_found() { self.hash } else { zone })
            }
            Rcode::NOERROR if is_authoritative => (RateClass::NoData, zone),
            Rcode::NOERROR => (RateClass::Referral, zone),
            Rcode::NXDOMAIN => (RateClass::NxDomain, zone),
            _ => (RateClass::Error, 0),
        }
    }
}

//------------ News -----------------------------------------------------------

/// A network of clients that is limited.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Limited {
    /// Its bits, IPv4 as mapped into IPv6.
    pub network: u128,
    /// For which limit.
    pub class: RateClass,
}

impl Limited {
    /// Its first address.
    pub fn address(&self) -> IpAddr {
        Ipv6Addr::from(self.network).to_canonical()
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address().is_ipv4()
    }
}

/// Networks that wait to be written down.
const SLOTS: u64 = 64;

/// A ring from one worker to one reader. Neither waits: what finds no room is left out.
#[derive(Debug)]
pub struct News {
    slots: [[AtomicU64; 3]; SLOTS as usize],
    /// How many were ever pushed; the worker's.
    pushed: AtomicU64,
    /// How many were ever taken; the reader's.
    taken: AtomicU64,
}

impl Default for News {
    fn default() -> News {
        News {
            slots: [const { [const { AtomicU64::new(0) }; 3] }; SLOTS as usize],
            pushed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }
}

impl News {
    /// Says that a network is limited; the worker alone does.
    pub(super) fn push(&self, limited: Limited) {
        let pushed = self.pushed.load(Ordering::Relaxed);
        // Acquire: the reader is through with the slot.
        if pushed - self.taken.load(Ordering::Acquire) == SLOTS {
            return;
        }
        let slot = &self.slots[(pushed % SLOTS) as usize];
        let words = [(limited.network >> 64) as u64, limited.network as u64, limited.class as u64];
        for (cell, word) in slot.iter().zip(words) {
            cell.store(word, Ordering::Relaxed);
        }
        self.pushed.store(pushed + 1, Ordering::Release);
    }

    /// The oldest that was not yet taken; one reader alone does.
    pub fn take(&self) -> Option<Limited> {
        let taken = self.taken.load(Ordering::Relaxed);
        if self.pushed.load(Ordering::Acquire) == taken {
            return None;
        }
        let [high, low, class] = &self.slots[(taken % SLOTS) as usize];
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let network = u128::from(read(high)) << 64 | u128::from(read(low));
        let class = RateClass::ALL[read(class) as usize % RateClass::ALL.len()];
        self.taken.store(taken + 1, Ordering::Release);
        Some(Limited { network, class })
    }
}
