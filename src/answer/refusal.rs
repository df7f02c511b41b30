//! The one table of refusals: what each is answered with, its extended error (RFC 8914)
//! included, which tells clients whether to try elsewhere.
//!
//! Codes go without a text: they say it all, and a refusal is to be small.

use super::{Context, Outcome, finish};
use crate::dns::encode::Opt;
use crate::dns::types::{Rcode, rtype};

/// Forbidden to this client (RFC 8914 4.19).
const PROHIBITED: u16 = 18;
/// Of a zone that is not served here (RFC 8914 4.21).
const NOT_AUTHORITATIVE: u16 = 20;
/// An operation or type that this server does not have (RFC 8914 4.22).
const NOT_SUPPORTED: u16 = 21;

/// Why a query that could be read is not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The name is outside every zone.
    NotOurs,
    /// The class is neither IN nor CHAOS with a name that is configured.
    Class,
    /// A transfer that is not granted.
    Transfer,
    /// A type that is a service this server does not have: MAILA, MAILB, TKEY.
    Service,
    /// A type that makes no sense in a question: OPT, TSIG, the unknown meta types.
    Meta,
    /// A client that may not ask.
    Client,
}

impl Refusal {
    /// The response code, and the extended error for clients that speak EDNS.
    pub const fn reply(self) -> (Rcode, Option<u16>) {
        match self {
            Refusal::NotOurs => (Rcode::REFUSED, Some(NOT_AUTHORITATIVE)),
            Refusal::Class => (Rcode::REFUSED, Some(NOT_SUPPORTED)),
            Refusal::Transfer | Refusal::Client => (Rcode::REFUSED, Some(PROHIBITED)),
            Refusal::Service => (Rcode::NOTIMP, Some(NOT_SUPPORTED)),
            Refusal::Meta => (Rcode::FORMERR, None),
        }
    }

    /// That of a type that is no data.
    pub(super) fn of_type(qtype: u16) -> Option<Refusal> {
        match qtype {
            rtype::AXFR | rtype::IXFR => Some(Refusal::Transfer),
            rtype::MAILA | rtype::MAILB | rtype::TKEY => Some(Refusal::Service),
            _ if rtype::is_meta(qtype) => Some(Refusal::Meta),
            _ => None,
        }
    }
}

impl Context<'_> {
    /// Answers with a refusal.
    pub(super) fn refuse(&self, refusal: Refusal, out: &mut [u8]) -> Outcome {
        let (rcode, code) = refusal.reply();
        let opt = Opt { extended_error: code.map(|code| (code, "")), ..self.opt() };
        let writer = self.writer(out, &opt);
        finish(writer, self.failure(rcode), &opt)
    }
}
