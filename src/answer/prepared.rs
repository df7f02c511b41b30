//! An answer in steps, so that the requests of a group wait for memory together.
//!
//! ```text
//! read (parse, hash) ─► touch (table) ─► locate ─► touch_located (name, WIP)
//!      ─► touch_place (the client's place on the map) ─► answer
//! ```
//! A name among a million is in no cache: one request alone waits for its slot of the
//! table, then for its name and its WIP, then for the WIP's turn; and a client is in a part
//! of the map that nobody asked of lately. Each step done for all requests before the next
//! step begins, those of the whole group are on their way at once. The steps up to the last
//! change nothing, and skipping a touch changes nothing but the time. It must not know how many requests make a group.

use std::hint::black_box;

use super::{Context, Outcome, Peer, Scratch, rare, refusal};
use crate::dns::query::{Query, Unanswerable};
use crate::dns::types::Rcode;
use crate::metrics::{DropReason, Refusal};
use crate::snapshot::{Serving, WorkerState};
use crate::zone::{Located, hash_of};

/// Takes all requests as far as their answers, to be made in their order. The
/// [`Serving`] and the worker are those to be answered from.
///
/// A processor looks some hundred instructions ahead and no further, and only a load
/// that it sees can overlap another one: so the loops that read memory are short, and
/// nothing in them depends on what they read.
pub fn prepare_all<'q>(
    serving: &Serving,
    worker: &WorkerState,
    requests: impl Iterator<Item = (&'q [u8], Peer)>,
    prepared: &mut [Option<Prepared<'q>>],
) {
    let mut touched = 0;
    for (prepared, (request, peer)) in prepared.iter_mut().zip(requests) {
        *prepared = Some(Prepared::read(request, peer));
    }
    if serving.snapshot.access.is_some() {
        prepared.iter_mut().flatten().for_each(|prepared| prepared.admit(serving));
    }
    for prepared in prepared.iter().flatten() {
        touched ^= prepared.touch(serving);
    }
    for prepared in prepared.iter_mut().flatten() {
        prepared.locate(serving);
    }
    for prepared in prepared.iter().flatten() {
        touched ^= prepared.touch_located(serving, worker);
    }
    for prepared in prepared.iter().flatten() {
        touched ^= prepared.touch_place(serving);
    }
    // Used, so that the reading is not left out.
    black_box(touched);
}

/// A request that was read, who sent it, and where its name may be.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'q> {
    pub(super) parsed: Result<Query<'q>, Unanswerable<'q>>,
    pub(super) peer: Peer,
    pub(super) hash: u64,
    pub(super) located: Located,
}

impl<'q> Prepared<'q> {
    /// Parses a request and hashes its name.
    #[inline]
    pub(super) fn read(request: &'q [u8], peer: Peer) -> Prepared<'q> {
        let parsed = Query::parse(request);
        let qname = parsed.as_ref().map_or(&[][..], |query| query.qname);
        Prepared { parsed, peer, hash: hash_of(qname), located: Located::default() }
    }

    /// Makes what was read a refusal where its sender may not ask (docs/ABUSE.md).
    #[inline]
    pub(super) fn admit(&mut self, serving: &Serving) {
        let Some(access) = &serving.snapshot.access else { return };
        if !access.allows(self.peer.address, self.peer.transport) {
            self.deny();
        }
    }

    #[cold]
    fn deny(&mut self) {
        let (header, question, edns) = match self.parsed {
            Ok(query) => (query.header, query.question, query.edns),
            Err(Unanswerable::Error { header, question, edns, .. }) => (header, question, edns),
            Err(Unanswerable::CookieOnly { header, edns }) => (header, &[][..], Some(edns)),
            Err(Unanswerable::Special { message }) => {
                (super::signed::echoed(message).0, &[][..], None)
            }
            Err(Unanswerable::Short | Unanswerable::Response) => return,
        };
        self.parsed = Err(Unanswerable::Error { header, rcode: Rcode::REFUSED, question, edns });
    }

    /// Reads what [`Prepared::locate`] will.
    #[inline]
    fn touch(&self, serving: &Serving) -> u32 {
        serving.snapshot.zones.touch(self.hash)
    }

    /// Finds where the name may be.
    #[inline]
    pub(super) fn locate(&mut self, serving: &Serving) {
        self.located = serving.snapshot.zones.locate(self.hash);
    }

    /// Reads what [`Prepared::answer`] will.
    #[inline]
    fn touch_located(&self, serving: &Serving, worker: &WorkerState) -> u32 {
        let snapshot = &serving.snapshot;
        let length = self.parsed.as_ref().map_or(0, |query| query.qname.len());
        let zones = snapshot.zones.touch_located(self.located, length);
        let wip = snapshot.zones.likely_wip(self.located);
        let entry = wip.and_then(|wip| snapshot.wips.get(wip as usize));
        entry.map_or(zones, |entry| zones ^ entry.strategy ^ worker.turn(entry.turn))
    }

    /// Reads the map where the client probably is: where a subnet stands in the query
    /// it nearly always counts.
    #[inline]
    fn touch_place(&self, serving: &Serving) -> u32 {
        let snapshot = &serving.snapshot;
        let wip = snapshot.zones.likely_wip(self.located);
        let entry = wip.and_then(|wip| snapshot.wips.get(wip as usize));
        let map = entry.and_then(|entry| snapshot.strategy(entry).map.as_deref());
        let (Some(map), Ok(query)) = (map, &self.parsed) else { return 0 };
        let subnet = query.edns.and_then(|edns| edns.subnet?.address());
        let address = subnet.unwrap_or(self.peer.address);
        u32::from(map.touch(address, map.locate(address)))
    }

    /// Answers into `out`: see [`super::answer()`], which does the same.
    pub fn answer(
        &self,
        serving: &Serving,
        worker: &WorkerState,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Outcome {
        match &self.parsed {
            Ok(query) => {
                let rare;
                let mut context = Context { serving, worker, peer: self.peer, query, rare: None };
                if let Some(edns) = &query.edns
                    && rare::has_any(serving, edns)
                {
                    rare = rare::of(serving, scratch, edns, query.qname, self.peer);
                    context.rare = Some(&rare);
                    if let Some(rcode) = rare::refusal(serving, scratch, edns, &rare, self.peer) {
                        return match rcode {
                            Rcode::FORMERR => context.refuse(rcode, Refusal::Format, out),
                            _ => context.rcode(rcode, out),
                        };
                    }
                }
                context.respond(self.located, scratch, out)
            }
            Err(Unanswerable::Short) => Outcome::Drop(DropReason::Short),
            Err(Unanswerable::Response) => Outcome::Drop(DropReason::Response),
            &Err(Unanswerable::CookieOnly { header, edns }) => {
                rare::cookie_only(serving, scratch, header, edns, self.peer, out)
            }
            Err(Unanswerable::Special { message }) => {
                super::signed::respond(serving, worker, scratch, message, self.peer, out)
            }
            &Err(Unanswerable::Error { header, rcode, question, edns }) => {
                let refusal = refusal::of_rcode(rcode);
                if refusal == Refusal::Access
                    && serving.snapshot.access.as_ref().is_some_and(|access| access.is_silent)
                {
                    return Outcome::Drop(DropReason::Denied);
                }
                let rare = edns.filter(|edns| rare::has_any(serving, edns));
                let rare = rare.map(|edns| rare::of(serving, scratch, &edns, &[0], self.peer));
                let reply = rare::empty(serving, header, rcode, question, edns, rare.as_ref(), out);
                refusal::refused(reply, refusal)
            }
        }
    }
}
