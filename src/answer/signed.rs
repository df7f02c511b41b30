//! Messages that are read as a whole and not as queries: signed ones (TSIG, RFC 8945),
//! NOTIFY (RFC 1996) and UPDATE (RFC 2136).
//!
//! All of it is off the path of plain queries, and bounded: a message costs one HMAC at
//! most, none without a key of ours, and a walk over its records. It must not know
//! sockets: that a primary has news is a mark, which the daemon looks at.

use super::refusal::refused;
use super::{Context, Outcome, Peer, Prepared, STREAM_SIZE_MAX, Scratch, finish, rare};
use crate::dns::Name;
use crate::dns::cookie::CookieState;
use crate::dns::edns::{Edns, UDP_SIZE_MIN};
use crate::dns::encode::{Opt, Status, Writer};
use crate::dns::message::Message;
use crate::dns::query::{Header, Query, Unanswerable};
use crate::dns::tsig::{self, Refused, Session};
use crate::dns::types::{Rcode, class, opcode, rtype};
use crate::metrics::{Refusal, Transport};
use crate::snapshot::{Serving, Snapshot, WorkerState};

/// Extended errors (RFC 8914 4.19, 4.22).
const EXTENDED_ERROR_PROHIBITED: u16 = 18;
const EXTENDED_ERROR_NOT_SUPPORTED: u16 = 21;
/// A reply has room for the question and this much before it is cut for the signature.
const ANSWER_ROOM_MIN: usize = 128;

/// A message with its signature judged.
pub(super) enum Taken {
    /// FORMERR.
    Malformed,
    /// There is none.
    NotSigned,
    /// It is right; the message as it was without it.
    Signed { session: Box<Session>, plain: Vec<u8> },
    /// It is not: NOTAUTH, signed where there is a session.
    Refused { session: Option<Box<Session>>, plain: Vec<u8>, error: u16 },
}

/// Judges the signature of a message.
pub(super) fn take(snapshot: &Snapshot, message: &[u8], now_s: u64) -> Taken {
    let Ok(found) = tsig::find(message) else { return Taken::Malformed };
    let Some(tsig) = found else { return Taken::NotSigned };
    let plain = || tsig::stripped(message, &tsig);
    match tsig::verify(&snapshot.keys, message, &tsig, now_s) {
        Ok(session) => Taken::Signed { session: Box::new(session), plain: plain() },
        Err(Refused::Malformed) => Taken::Malformed,
        Err(Refused::Unsigned(error)) => Taken::Refused { session: None, plain: plain(), error },
        Err(Refused::Signed(error, session)) => {
            Taken::Refused { session: Some(session), plain: plain(), error }
        }
    }
}

/// Answers a message that [`Query::parse`] found to be special.
#[cold]
pub(super) fn respond(
    serving: &Serving,
    worker: &WorkerState,
    scratch: &mut Scratch,
    message: &[u8],
    peer: Peer,
    out: &mut [u8],
) -> Outcome {
    let now_s = u64::from(scratch.now_s());
    match take(&serving.snapshot, message, now_s) {
        Taken::Malformed => {
            let (header, question) = echoed(message);
            refused(
                rare::empty(serving, header, Rcode::FORMERR, question, None, None, out),
                Refusal::Format,
            )
        }
        Taken::NotSigned => unsigned(serving, message, peer, None, out),
        Taken::Refused { session, plain, error } => {
            let (header, question) = echoed(&plain);
            let status = Status { rcode: Rcode::NOTAUTH, authoritative: false, truncated: false };
            let writer = Writer::new(out, STREAM_SIZE_MAX, header, question);
            let length = writer.finish(status, &Opt { query: edns(&plain), ..Opt::default() });
            let length = match (session, tsig::find(message)) {
                (Some(mut session), _) => session.sign_error(out, length, error, now_s),
                (None, Ok(Some(tsig))) => tsig::put_unsigned(out, length, &tsig, error),
                _ => None,
            };
            let (length, rcode) = (length.unwrap_or(0), Rcode::NOTAUTH);
            let (refusal, cookie) = (Some(Refusal::Signature), CookieState::None);
            Outcome::Reply { length, rcode, refusal, cookie }
        }
        Taken::Signed { mut session, plain } => {
            let key = session.key().name().clone();
            let limit = size_limit(&plain, peer).min(out.len());
            let room = limit.saturating_sub(session.length());
            let (_, question) = echoed(&plain);
            let outcome = if room < question.len() + ANSWER_ROOM_MIN {
                // Question and signature alone, cut (RFC 8945 5.3).
                let (header, question) = echoed(&plain);
                let status =
                    Status { rcode: Rcode::NOERROR, authoritative: false, truncated: true };
                finish(Writer::new(out, STREAM_SIZE_MAX, header, question), status, &Opt::default())
            } else {
                under_signature(serving, worker, scratch, &plain, peer, &key, &mut out[..room])
            };
            match outcome {
                Outcome::Reply { length, rcode, refusal, .. } => {
                    let length = session.sign(out, length, now_s).unwrap_or(0);
                    // Its address is proven better than by a cookie.
                    Outcome::Reply { length, rcode, refusal, cookie: CookieState::Valid }
                }
                dropped => dropped,
            }
        }
    }
}

/// The reply to what was signed, before it is signed itself.
fn under_signature(
    serving: &Serving,
    worker: &WorkerState,
    scratch: &mut Scratch,
    plain: &[u8],
    peer: Peer,
    key: &Name,
    out: &mut [u8],
) -> Outcome {
    let mut prepared = Prepared::read(plain, peer);
    match &prepared.parsed {
        Err(Unanswerable::Special { message }) => unsigned(serving, message, peer, Some(key), out),
        Ok(query) if matches!(query.qtype, rtype::AXFR | rtype::IXFR) => {
            let context = Context { serving, worker, peer, query, rare: None };
            super::transfer::alone(&context, Some(key), out)
        }
        _ => {
            prepared.locate(serving);
            prepared.answer(serving, worker, scratch, out)
        }
    }
}

/// NOTIFY and UPDATE.
fn unsigned(
    serving: &Serving,
    message: &[u8],
    peer: Peer,
    key: Option<&Name>,
    out: &mut [u8],
) -> Outcome {
    let (header, question) = echoed(message);
    let asked = Message::parse(message).and_then(|message| message.question());
    let edns = edns(message);
    let (rcode, refusal, extended_error) = match asked {
        Ok(Some(asked)) => {
            let zone = serving.snapshot.zones.origin(asked.name.wire());
            let zone = zone.filter(|_| asked.qclass == class::IN && asked.qtype == rtype::SOA);
            match (zone, header.opcode) {
                (None, _) => (Rcode::NOTAUTH, Some(Refusal::NotOurs), None),
                (Some(zone), opcode::NOTIFY) => {
                    let id = zone.id().0;
                    if is_from_primary(&serving.snapshot, id, peer, key) {
                        serving.snapshot.secondaries.notified(id);
                        (Rcode::NOERROR, None, None)
                    } else {
                        (Rcode::REFUSED, Some(Refusal::Notify), Some(EXTENDED_ERROR_PROHIBITED))
                    }
                }
                (Some(_), _) => {
                    (Rcode::REFUSED, Some(Refusal::Update), Some(EXTENDED_ERROR_NOT_SUPPORTED))
                }
            }
        }
        _ => (Rcode::FORMERR, Some(Refusal::Format), None),
    };
    let opt = Opt {
        query: edns,
        extended_error: extended_error.map(|code| (code, "")),
        ..Opt::default()
    };
    let mut writer = Writer::new(out, STREAM_SIZE_MAX, header, question);
    writer.reserve(opt.length());
    let status = Status { rcode, authoritative: rcode == Rcode::NOERROR, truncated: false };
    let outcome = finish(writer, status, &opt);
    refusal.map_or(outcome, |reason| refused(outcome, reason))
}

/// Whether a NOTIFY comes from one the zone is transferred from: by its address, or by its
/// key. More would be in vain: all that it does is to have the SOA asked for, which is
/// signed where there is a key.
fn is_from_primary(snapshot: &Snapshot, zone: u32, peer: Peer, key: Option<&Name>) -> bool {
    let primaries = snapshot.config.zones.get(zone as usize).map(|zone| &zone.primaries);
    let client = peer.address.to_canonical();
    primaries.is_some_and(|primaries| {
        primaries.iter().any(|primary| {
            primary.address.ip() == client || key.is_some() && primary.key.as_ref() == key
        })
    })
}

/// What a reply echoes: of a message of at least a header.
pub(super) fn echoed(message: &[u8]) -> (Header, &[u8]) {
    let byte = |at: usize| message.get(at).copied().unwrap_or(0);
    let header = Header {
        id: [byte(0), byte(1)],
        opcode: byte(2) >> 3 & 0x0f,
        recursion_desired: byte(2) & 1 != 0,
    };
    let question = Query::question_of(message).filter(|_| byte(4) == 0 && byte(5) == 1);
    (header, question.unwrap_or_default())
}

/// The OPT record of a message that is read as a whole.
fn edns(message: &[u8]) -> Option<Edns<'_>> {
    let message = Message::parse(message).ok()?;
    let mut entries = message.entries().map_while(Result::ok);
    let opt = entries.find(|entry| entry.rtype == rtype::OPT)?;
    let read = Edns::parse(opt.class, opt.ttl_s.to_be_bytes(), opt.raw_data());
    Some(read.unwrap_or_else(|edns| edns))
}

/// Most bytes of a reply.
fn size_limit(message: &[u8], peer: Peer) -> usize {
    match peer.transport {
        Transport::Udp => edns(message).map_or(usize::from(UDP_SIZE_MIN), |edns| edns.udp_limit()),
        _ => STREAM_SIZE_MAX,
    }
}
