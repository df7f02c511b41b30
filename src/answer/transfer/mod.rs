//! Zones handed to other servers: AXFR (RFC 5936), and IXFR (RFC 1995) that is answered
//! as AXFR or, for who is current, with the SOA alone.
//!
//! ```text
//! request ─► signature ─► whose zone? ─► who may? ─► SOA … records … SOA
//!              NOTAUTH      NOTAUTH       REFUSED      message by message, each signed
//! ```
//! A transfer holds what is served when it begins, so a reload does not tear it. It must
//! not know sockets; when to make the next message is the caller's.

mod alone;
mod render;

use std::net::IpAddr;
use std::sync::Arc;

use super::refusal::PROHIBITED as EXTENDED_ERROR_PROHIBITED;
use super::signed::{self, Taken};
use super::{Context, Outcome, Peer};
use crate::config::model;
use crate::dns::Name;
use crate::dns::edns::Edns;
use crate::dns::encode::{Full, Opt, Section, Status, Writer};
use crate::dns::message::Message;
use crate::dns::name;
use crate::dns::query::{HEADER_LENGTH, Header, Query};
use crate::dns::tsig::{self, Session};
use crate::dns::types::{Rcode, class, is_newer, opcode, rtype};
use crate::metrics::Refusal;
use crate::snapshot::Serving;
use crate::zone::{Record, Zone};
pub(super) use alone::alone;
use render::Render;

/// Extended error of something that is not done over UDP (RFC 8914 4.22).
const EXTENDED_ERROR_NOT_SUPPORTED: u16 = 21;
/// Extended error of a zone whose data is not here (RFC 8914 4.15).
const EXTENDED_ERROR_NOT_READY: u16 = 14;
/// A message is sent once it has so many bytes: behind them names are no longer
/// compressed (RFC 1035 4.1.4).
const MESSAGE_FULL: usize = 16_000;
/// Longest message.
const MESSAGE_MAX: usize = 65_535;

/// Whether a message asks for a zone's transfer: a look at the question.
pub fn is_asked(request: &[u8]) -> bool {
    let Some((fixed, body)) = request.split_first_chunk::<HEADER_LENGTH>() else { return false };
    if fixed[2] & 0xf8 != opcode::QUERY << 3 || fixed[4..6] != [0, 1] {
        return false;
    }
    let Ok(length) = name::wire_length(body) else { return false };
    // AXFR and IXFR share their upper byte, 0.
    matches!(body.get(length..length + 2), Some(&[0, qtype]) if [rtype::AXFR, rtype::IXFR].contains(&u16::from(qtype)))
}

//------------ Transfer -------------------------------------------------------

/// One transfer, or what is said instead.
pub struct Transfer {
    /// Held to the end: its snapshot is what is sent.
    serving: Arc<Serving>,
    session: Option<Session>,
    now_s: u64,
    header: Header,
    question: Vec<u8>,
    /// The request without its signature, for its OPT.
    request: Vec<u8>,
    /// The request as it came, where its signature is refused unsigned.
    original: Vec<u8>,
    state: State,
    verdict: Verdict,
}

enum State {
    /// One message that says no, or who is current.
    Alone(Alone),
    /// A zone on its way.
    Sending(Box<Sending>),
    Done,
}

#[derive(Clone, Copy)]
enum Alone {
    Refused { rcode: Rcode, extended_error: Option<u16>, tsig_error: Option<u16> },
    Current { zone: u32 },
}

struct Sending {
    zone: u32,
    render: Render,
    /// Records of the last name that was taken.
    pending: std::vec::IntoIter<Record>,
    /// One that had no room in the message before.
    held: Option<Record>,
    is_begun: bool,
}

/// What became of a request for a transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Of the first message.
    pub rcode: Rcode,
    /// Why not, if not.
    pub refusal: Option<Refusal>,
    /// The zone that is sent, by its place in the config; none: it is not.
    pub zone: Option<u32>,
}

impl Transfer {
    /// Begins the reply to a request over a stream that [`is_asked`] for a transfer; none:
    /// it is malformed, which [`answer`](super::answer()) says.
    pub fn begin(
        serving: Arc<Serving>,
        request: &[u8],
        peer: Peer,
        now_s: u32,
    ) -> Option<Transfer> {
        let now_s = u64::from(now_s);
        let access = serving.snapshot.access.as_ref();
        if access.is_some_and(|access| !access.allows(peer.address, peer.transport)) {
            return None;
        }
        let (session, plain, error) = match signed::take(&serving.snapshot, request, now_s) {
            Taken::Malformed => return None,
            Taken::NotSigned => (None, request.to_vec(), None),
            Taken::Signed { session, plain } => (Some(*session), plain, None),
            Taken::Refused { session, plain, error } => {
                (session.map(|session| *session), plain, Some(error))
            }
        };
        let query = Query::parse(&plain).ok()?;
        let key = session.as_ref().map(|session| session.key().name().clone());
        let (state, verdict) = match error {
            Some(error) => refusal(Rcode::NOTAUTH, None, Some(error)),
            None => decide(&serving, &query, &plain, peer.address, key.as_ref()),
        };
        let (header, question) = (query.header, query.question.to_vec());
        let original = error.map_or_else(Vec::new, |_| request.to_vec());
        let request = plain;
        Some(Transfer {
            serving,
            session,
            now_s,
            header,
            question,
            request,
            original,
            state,
            verdict,
        })
    }

    /// What became of it.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether a zone is being sent.
    pub fn is_sending(&self) -> bool {
        matches!(self.state, State::Sending(_))
    }

    /// Writes the next message, at `now_s`, and says how long it is; 0: there is no more.
    pub fn next(&mut self, out: &mut [u8], now_s: u32) -> usize {
        self.now_s = u64::from(now_s);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Done => 0,
            State::Alone(alone) => self.alone(alone, out),
            State::Sending(sending) => self.send(sending, out),
        }
    }

    fn edns(&self) -> Option<Edns<'_>> {
        Query::parse(&self.request).ok()?.edns
    }

    fn alone(&mut self, alone: Alone, out: &mut [u8]) -> usize {
        let (status, extended_error, tsig_error) = match alone {
            Alone::Refused { rcode, extended_error, tsig_error } => (
                Status { rcode, authoritative: false, truncated: false },
                extended_error,
                tsig_error,
            ),
            Alone::Current { .. } => (
                Status { rcode: Rcode::NOERROR, authoritative: true, truncated: false },
                None,
                None,
            ),
        };
        let opt = Opt {
            query: self.edns(),
            extended_error: extended_error.map(|code| (code, "")),
            ..Opt::default()
        };
        let mut writer = Writer::new(out, MESSAGE_MAX, self.header, &self.question);
        writer.reserve(opt.length());
        if let Alone::Current { zone } = alone
            && let Some(zone) = self.serving.snapshot.zones.zones().nth(zone as usize)
        {
            // Header, question and one SOA always have room.
            let _ = put_soa(&mut writer, zone);
        }
        let length = writer.finish(status, &opt);
        match (tsig_error, &mut self.session) {
            (None, Some(session)) => session.sign(out, length, self.now_s).unwrap_or(0),
            (Some(error), Some(session)) => {
                session.sign_error(out, length, error, self.now_s).unwrap_or(0)
            }
            (Some(error), None) => match tsig::find(&self.original) {
                Ok(Some(tsig)) => tsig::put_unsigned(out, length, &tsig, error).unwrap_or(0),
                _ => 0,
            },
            (None, None) => length,
        }
    }

    /// One message of a zone.
    fn send(&mut self, mut sending: Box<Sending>, out: &mut [u8]) -> usize {
        let serving = Arc::clone(&self.serving);
        let Some(zone) = serving.snapshot.zones.zones().nth(sending.zone as usize) else {
            return 0;
        };
        let is_first = !sending.is_begun;
        let question = if is_first { &self.question[..] } else { &[] };
        let opt = Opt { query: self.edns().filter(|_| is_first), ..Opt::default() };
        let reserved = opt.length() + self.session.as_ref().map_or(0, Session::length);
        let mut writer = Writer::new(out, MESSAGE_MAX, self.header, question);
        writer.reserve(reserved);
        let ended = sending.fill(&mut writer, zone);
        let rcode = match ended {
            // A record that no message has room for: all of the zone, or an error.
            Err(Full) => {
                writer.clear(question.len());
                Rcode::SERVFAIL
            }
            Ok(_) => Rcode::NOERROR,
        };
        let status = Status { rcode, authoritative: rcode == Rcode::NOERROR, truncated: false };
        let length = writer.finish(status, &opt);
        if ended == Ok(false) {
            self.state = State::Sending(sending);
        }
        match &mut self.session {
            Some(session) => session.sign(out, length, self.now_s).unwrap_or(0),
            None => length,
        }
    }
}

impl Sending {
    /// Fills a message; true: the zone is whole.
    fn fill(&mut self, writer: &mut Writer<'_>, zone: &Zone) -> Result<bool, Full> {
        if !self.is_begun {
            self.is_begun = true;
            put_soa(writer, zone)?;
        }
        while writer.len() < MESSAGE_FULL {
            let next = self.held.take().or_else(|| self.pending.next());
            let Some(record) = next else {
                match self.render.next() {
                    Some(records) => self.pending = records.into_iter(),
                    None if put_soa(writer, zone).is_ok() => return Ok(true),
                    None => return Ok(false),
                }
                continue;
            };
            let rdata = [&record.rdata[..]].into_iter();
            let (owner, rtype) = (record.owner.wire(), record.rtype);
            if writer.put_rrset(Section::Answer, owner, rtype, record.ttl_s, rdata).is_err() {
                if writer.is_empty() {
                    return Err(Full);
                }
                self.held = Some(record);
                return Ok(false);
            }
        }
        Ok(false)
    }
}

fn put_soa(writer: &mut Writer<'_>, zone: &Zone) -> Result<(), Full> {
    let soa = zone.soa();
    writer.put_rrset(Section::Answer, zone.origin().wire(), rtype::SOA, soa.ttl_s(), soa.rdatas())
}

//------------ Who may --------------------------------------------------------

fn refusal(rcode: Rcode, extended_error: Option<u16>, tsig_error: Option<u16>) -> (State, Verdict) {
    let reason = if tsig_error.is_some() { Refusal::Signature } else { Refusal::Transfer };
    let alone = Alone::Refused { rcode, extended_error, tsig_error };
    (State::Alone(alone), Verdict { rcode, refusal: Some(reason), zone: None })
}

fn decide(
    serving: &Serving,
    query: &Query<'_>,
    request: &[u8],
    client: IpAddr,
    key: Option<&Name>,
) -> (State, Verdict) {
    let snapshot = &serving.snapshot;
    let zone = snapshot.zones.origin(query.qname).filter(|_| query.qclass == class::IN);
    let Some(zone) = zone else { return refusal(Rcode::NOTAUTH, None, None) };
    let id = zone.id().0;
    if !is_granted(serving, zone, client, key) {
        return refusal(Rcode::REFUSED, Some(EXTENDED_ERROR_PROHIBITED), None);
    }
    if snapshot.secondaries.is_down(id) {
        return refusal(Rcode::SERVFAIL, Some(EXTENDED_ERROR_NOT_READY), None);
    }
    let verdict = Verdict { rcode: Rcode::NOERROR, refusal: None, zone: Some(id) };
    if query.qtype == rtype::IXFR {
        match held_serial(request) {
            None => return refusal(Rcode::FORMERR, None, None),
            Some(held) if !is_newer(zone.serial(), held) => {
                return (
                    State::Alone(Alone::Current { zone: id }),
                    Verdict { zone: None, ..verdict },
                );
            }
            Some(_) => {}
        }
    }
    let render = Render::new(serving, zone.id());
    let pending = Vec::new().into_iter();
    let sending = Sending { zone: id, render, pending, held: None, is_begun: false };
    (State::Sending(Box::new(sending)), verdict)
}

/// Whether a client may have a zone.
fn is_granted(serving: &Serving, zone: &Zone, client: IpAddr, key: Option<&Name>) -> bool {
    let config = serving.snapshot.config.zones.get(zone.id().0 as usize);
    let client = client.to_canonical();
    let fits = |grant: &model::Grant| {
        grant.network.is_none_or(|network| network.contains(&client))
            && grant.key.as_ref().is_none_or(|wanted| key == Some(wanted))
    };
    config.is_some_and(|config| config.allow_transfer.iter().any(fits))
}

/// The serial that an IXFR says its sender has: of the SOA in its authority section.
fn held_serial(request: &[u8]) -> Option<u32> {
    let message = Message::parse(request).ok()?;
    let soa = message
        .entries()
        .map_while(Result::ok)
        .find(|entry| entry.section == Section::Authority && entry.rtype == rtype::SOA)?;
    let data = soa.rdata().ok()?;
    let fields = data.last_chunk::<20>()?;
    Some(u32::from_be_bytes([fields[0], fields[1], fields[2], fields[3]]))
}
