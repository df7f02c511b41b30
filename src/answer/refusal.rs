//! The one table of refusals and the extended errors (RFC 8914) that tell clients why, and
//! so whether to try elsewhere; and replies that are no more than an rcode.
//!
//! Codes go without a text: they say it all, and a refusal is to be small.

use super::{Context, Outcome, finish, refused};
use crate::dns::encode::{Opt, Rare, Status, Writer};
use crate::dns::types::{Rcode, rtype};
use crate::metrics::{Refusal, DropReason};
use crate::dns::edns::{Edns, UDP_SIZE_MIN};
use crate::dns::query::Header;
use crate::snapshot::Serving;

/// Forbidden to this client (RFC 8914 4.19).
pub(super) const PROHIBITED: u16 = 18;
/// Of a zone that is not served here (RFC 8914 4.21).
const NOT_AUTHORITATIVE: u16 = 20;
/// An operation, type or class that this server does not have (RFC 8914 4.22).
const NOT_SUPPORTED: u16 = 21;

/// That of a type that is no data: transfers are granted to nobody, MAILA, MAILB and TKEY
/// are services this server does not have, and OPT, TSIG and the unknown meta types make
/// no sense in a question.
pub(super) fn of_type(qtype: u16) -> Option<(Rcode, Refusal)> {
    match qtype {
        rtype::AXFR | rtype::IXFR => Some((Rcode::REFUSED, Refusal::Transfer)),
        rtype::MAILA | rtype::MAILB | rtype::TKEY => Some((Rcode::NOTIMP, Refusal::Type)),
        _ if rtype::is_meta(qtype) => Some((Rcode::FORMERR, Refusal::Type)),
        _ => None,
    }
}

/// That of a message which could not be read as a query.
pub(super) const fn of_rcode(rcode: Rcode) -> Refusal {
    match rcode {
        Rcode::NOTIMP => Refusal::Opcode,
        Rcode::BADVERS => Refusal::EdnsVersion,
        // No message is that bad: its sender is.
        Rcode::REFUSED => Refusal::Access,
        _ => Refusal::Format,
    }
/// The extended error of a refusal.
pub(super) fn extended_error(reason: Refusal) -> Option<(u16, &'static str)> {
    let code = match reason {
        Refusal::NotOurs => NOT_AUTHORITATIVE,
        Refusal::Access | Refusal::Transfer => PROHIBITED,
        Refusal::Chaos | Refusal::Class | Refusal::Type => NOT_SUPPORTED,
        // The rcode says it.
        Refusal::Format | Refusal::Opcode | Refusal::EdnsVersion => return None,
    };
    Some((code, ""))
}

/// A reply that is an rcode alone, to a message that is not answered as a query.
#[derive(Clone, Copy)]
pub(super) struct Bare<'q> {
    pub(super) header: Header,
    pub(super) rcode: Rcode,
    pub(super) question: &'q [u8],
    pub(super) edns: Option<Edns<'q>>,
}

impl Bare<'_> {
    /// Writes it as a refusal, by its rcode.
    pub(super) fn refuse(
        &self,
        serving: &Serving,
        rare: Option<&Rare<'_>>,
        out: &mut [u8],
    ) -> Outcome {
        let reason = match self.rcode {
            Rcode::NOTIMP => Refusal::Opcode,
            Rcode::BADVERS => Refusal::EdnsVersion,
            // No message is that bad: its sender is.
            Rcode::REFUSED => Refusal::Access,
            _ => Refusal::Format,
        };
        if reason == Refusal::Access
            && serving.snapshot.access.as_ref().is_some_and(|access| access.is_silent)
        {
            return Outcome::Drop(DropReason::Denied);
        }
        refused(self.write(serving, rare, extended_error(reason), out), reason)
    }
}

/// The extended error for clients that speak EDNS.
pub(super) const fn extended_error(rcode: Rcode, refusal: Refusal) -> Option<(u16, &'static str)> {
    match (refusal, rcode) {
        (Refusal::NotOurs, _) => Some((NOT_AUTHORITATIVE, "")),
        (Refusal::Class | Refusal::Chaos, _) | (Refusal::Type, Rcode::NOTIMP) => {
            Some((NOT_SUPPORTED, ""))
        }
        (Refusal::Transfer | Refusal::Access, _) => Some((PROHIBITED, "")),
        _ => None,
    }
}

/// The same reply, as a refusal.
pub(super) fn refused(outcome: Outcome, reason: Refusal) -> Outcome {
    match outcome {
        Outcome::Reply { length, rcode, cookie, .. } => {
            Outcome::Reply { length, rcode, refusal: Some(reason), cookie }
        }
        dropped => dropped,
    }
}

impl Context<'_> {
    /// Answers with a refusal.
    pub(super) fn refuse(&self, rcode: Rcode, refusal: Refusal, out: &mut [u8]) -> Outcome {
        let opt = Opt { extended_error: extended_error(rcode, refusal), ..self.opt() };
        let writer = self.writer(out, &opt);
        refused(finish(writer, self.failure(rcode), &opt), refusal)
    }
    /// Writes it.
    pub(super) fn write(
        &self,
        serving: &Serving,
        rare: Option<&Rare<'_>>,
        extended_error: Option<(u16, &'static str)>,
        out: &mut [u8],
    ) -> Outcome {
        let mut writer = Writer::new(out, usize::from(UDP_SIZE_MIN), self.header, self.question);
        let identity = serving.snapshot.identity();
        let opt = Opt { query: self.edns, identity, extended_error, rare, ..Opt::default() };
        writer.reserve(opt.length());
        let status = Status { rcode: self.rcode, authoritative: false, truncated: false };
        finish(writer, status, &opt)
    }
}
