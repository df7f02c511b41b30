//! The one table of refusals: what each is answered with, its extended error (RFC 8914)
//! included, which tells clients whether to try elsewhere.
//!
//! Codes go without a text: they say it all, and a refusal is to be small.

use super::{Context, Outcome, finish};
use crate::dns::encode::Opt;
use crate::dns::types::{Rcode, rtype};
use crate::metrics::Refusal;

/// Forbidden to this client (RFC 8914 4.19).
pub(super) const PROHIBITED: u16 = 18;
/// Of a zone that is not served here (RFC 8914 4.21).
const NOT_AUTHORITATIVE: u16 = 20;
/// An operation or type that this server does not have (RFC 8914 4.22).
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
}

/// The extended error for clients that speak EDNS.
pub(super) const fn extended_error(refusal: Refusal) -> Option<(u16, &'static str)> {
    match refusal {
        Refusal::NotOurs => Some((NOT_AUTHORITATIVE, "")),
        Refusal::Class | Refusal::Chaos | Refusal::Type => Some((NOT_SUPPORTED, "")),
        Refusal::Transfer | Refusal::Access => Some((PROHIBITED, "")),
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
        let opt = Opt { extended_error: extended_error(refusal), ..self.opt() };
        let writer = self.writer(out, &opt);
        refused(finish(writer, self.failure(rcode), &opt), refusal)
    }
}
