//! A zone on its way in: messages of AXFR (RFC 5936) and IXFR (RFC 1995) to records.
//!
//! ```text
//! message ─► take ─┬─ more to come
//!                  └─ Current │ Whole(records) │ Changes ─► apply to what is held ─► check
//! ```
//! Nothing is believed: names outside the zone, data that is not of its type, a stream
//! without its end or larger than allowed are errors, and what is held stays. It must not
//! know sockets, files or signatures: messages come checked, and without them.

use std::collections::BTreeMap;

use super::{Builder, Record, TTL_S_MAX, rdata};
use crate::dns::Name;
use crate::dns::encode::Section;
use crate::dns::message::{Entry, Malformed, Message};
use crate::dns::types::{class, is_newer, opcode, rtype};

/// What one transfer may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most records.
    pub records: usize,
    /// Most bytes of messages.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { records: 5_000_000, bytes: 256 << 20 }
    }
}

/// What came of a transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Received {
    /// The primary has nothing newer.
    Current,
    /// The zone, its SOA first and once.
    Whole(Vec<Record>),
    /// What changed since the serial that is held, oldest first; at least one.
    Changes(Vec<Change>),
}

/// From one serial to the next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The SOA before.
    pub from: Record,
    /// Records that are no more.
    pub removed: Vec<Record>,
    /// The SOA after.
    pub to: Record,
    /// Records that are new.
    pub added: Vec<Record>,
}

/// Why a transfer is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransferError {
    /// It cannot be read.
    #[error("a message is malformed")]
    Malformed,
    /// It answers something else.
    #[error("a message answers something else than was asked")]
    NotAsked,
    /// The primary says no.
    #[error("the primary answers with rcode {0}")]
    Rcode(u16),
    /// It does not begin with the SOA, or goes on with one that does not fit.
    #[error("the SOA records are not where they belong")]
    Soa,
    /// The serial is older than what is held.
    #[error("the serial goes back from {held} to {offered}")]
    GoesBack {
        /// Ours.
        held: u32,
        /// Theirs.
        offered: u32,
    },
    /// A record of another zone or class.
    #[error("a record of {0} is not of this zone")]
    OutOfZone(Name),
    /// Data that is not of its type.
    #[error("the {rtype} record of {owner} is malformed: {reason}", rtype = rtype::text(*.rtype))]
    BadRecord {
        /// Whose.
        owner: Name,
        /// Its type.
        rtype: u16,
        /// What is wrong.
        reason: &'static str,
    },
    /// More than may come.
    #[error("it is larger than a zone may be ({0})")]
    TooLarge(&'static str),
    /// Changes to something else than what is held.
    #[error("the changes do not fit what is held: {0}")]
    DoesNotFit(String),
    /// Records that cannot stand together.
    #[error("the zone cannot be served: {0}")]
    Unservable(String),
}

impl From<Malformed> for TransferError {
    fn from(_: Malformed) -> TransferError {
        TransferError::Malformed
    }
}

//------------ Incoming -------------------------------------------------------

/// A transfer being read.
#[derive(Debug)]
pub struct Incoming {
    origin: Name,
    id: [u8; 2],
    /// What is held, for IXFR; none: the whole zone is asked for.
    held: Option<u32>,
    bounds: Bounds,
    bytes: usize,
    count: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing came yet.
    Start,
    /// The SOA came, and no more.
    First(Record),
    Whole {
        soa: Record,
        records: Vec<Record>,
    },
    Changes {
        soa: Record,
        done: Vec<Change>,
        now: Half,
    },
}

/// Where a sequence of changes is.
#[derive(Debug)]
enum Half {
    Removing { from: Record, removed: Vec<Record> },
    Adding(Change),
}

impl Incoming {
    /// Of `origin`, asked for under message ID `id`: changes since `held`, or all of it.
    pub fn new(origin: &Name, id: [u8; 2], held: Option<u32>, bounds: Bounds) -> Incoming {
        let (origin, state) = (origin.clone(), State::Start);
        Incoming { origin, id, held, bounds, bytes: 0, count: 0, state }
    }

    /// Takes the next message; none: there is more to come.
    pub fn take(&mut self, message: &[u8]) -> Result<Option<Received>, TransferError> {
        self.bytes += message.len();
        if self.bytes > self.bounds.bytes {
            return Err(TransferError::TooLarge("bytes"));
        }
        let message = Message::parse(message)?;
        let is_reply = message.is_response() && message.opcode() == opcode::QUERY;
        if !is_reply || message.id() != self.id || message.is_truncated() {
            return Err(TransferError::NotAsked);
        }
        if message.rcode() != 0 {
            return Err(TransferError::Rcode(message.rcode()));
        }
        if let Some(question) = message.question()?
            && (question.name != self.origin || question.qclass != class::IN)
        {
            return Err(TransferError::NotAsked);
        }
        let mut received = None;
        for entry in message.entries() {
            let entry = entry?;
            if entry.section != Section::Answer {
                continue;
            }
            if received.is_some() {
                return Err(TransferError::Soa);
            }
            let record = self.record(&entry)?;
            received = self.step(record)?;
        }
        match (&self.state, received) {
            // One SOA that is not newer, and nothing behind it: that is all.
            (State::First(soa), None) => {
                let offered = serial_of(soa);
                match self.held {
                    Some(held) if held == offered => Ok(Some(Received::Current)),
                    Some(held) if !is_newer(offered, held) => {
                        Err(TransferError::GoesBack { held, offered })
                    }
                    _ => Ok(None),
                }
            }
            (State::Start, None) => Err(TransferError::Soa),
            (_, received) => Ok(received),
        }
    }

    /// A record of this zone, checked by itself.
    fn record(&mut self, entry: &Entry<'_>) -> Result<Record, TransferError> {
        self.count += 1;
        if self.count > self.bounds.records {
            return Err(TransferError::TooLarge("records"));
        }
        let owner = entry.owner()?;
        if entry.class != class::IN || !owner.is_at_or_below(&self.origin) {
            return Err(TransferError::OutOfZone(owner));
        }
        let (rtype, data) = (entry.rtype, entry.rdata()?);
        if let Err(reason) = rdata::check(rtype, &data) {
            return Err(TransferError::BadRecord { owner, rtype, reason });
        }
        // With the highest bit set it counts as 0 (RFC 2181 8).
        let ttl_s = if entry.ttl_s > TTL_S_MAX { 0 } else { entry.ttl_s };
        Ok(Record { owner, rtype, ttl_s, rdata: data })
    }

    fn step(&mut self, record: Record) -> Result<Option<Received>, TransferError> {
        let is_soa = record.rtype == rtype::SOA;
        if is_soa && record.owner != self.origin {
            return Err(TransferError::Soa);
        }
        let (state, received) = match std::mem::replace(&mut self.state, State::Start) {
            State::Start if is_soa => (State::First(record), None),
            State::Start => return Err(TransferError::Soa),
            State::First(soa) => self.second(soa, record)?,
            State::Whole { soa, mut records } if is_soa => {
                if record.rdata != soa.rdata {
                    return Err(TransferError::Soa);
                }
                let whole = Received::Whole(std::mem::take(&mut records));
                (State::Whole { soa, records }, Some(whole))
            }
            State::Whole { soa, mut records } => {
                records.push(record);
                (State::Whole { soa, records }, None)
            }
            State::Changes { soa, done, now } => change(soa, done, now, record)?,
        };
        self.state = state;
        Ok(received)
    }

    /// The record behind the first SOA tells which of the two forms this is.
    fn second(
        &self,
        soa: Record,
        record: Record,
    ) -> Result<(State, Option<Received>), TransferError> {
        let offered = serial_of(&soa);
        if let Some(held) = self.held.filter(|&held| !is_newer(offered, held)) {
            return Err(TransferError::GoesBack { held, offered });
        }
        if record.rtype != rtype::SOA {
            let records = vec![soa.clone(), record];
            return Ok((State::Whole { soa, records }, None));
        }
        if record.rdata == soa.rdata {
            let whole = Received::Whole(vec![soa.clone()]);
            return Ok((State::Whole { soa, records: Vec::new() }, Some(whole)));
        }
        match self.held {
            Some(held) if serial_of(&record) == held => {
                let now = Half::Removing { from: record, removed: Vec::new() };
                Ok((State::Changes { soa, done: Vec::new(), now }, None))
            }
            _ => Err(TransferError::Soa),
        }
    }
}

/// One more record of a sequence of changes.
fn change(
    soa: Record,
    mut done: Vec<Change>,
    now: Half,
    record: Record,
) -> Result<(State, Option<Received>), TransferError> {
    let is_soa = record.rtype == rtype::SOA;
    let now = match now {
        Half::Removing { from, mut removed } if !is_soa => {
            removed.push(record);
            Half::Removing { from, removed }
        }
        Half::Removing { from, removed } => {
            if !is_newer(serial_of(&record), serial_of(&from)) {
                return Err(TransferError::Soa);
            }
            Half::Adding(Change { from, removed, to: record, added: Vec::new() })
        }
        Half::Adding(mut change) if !is_soa => {
            change.added.push(record);
            Half::Adding(change)
        }
        Half::Adding(change) => {
            if serial_of(&change.to) != serial_of(&record) {
                return Err(TransferError::Soa);
            }
            done.push(change);
            if record.rdata == soa.rdata {
                let changes = Received::Changes(std::mem::take(&mut done));
                let now = Half::Removing { from: record, removed: Vec::new() };
                return Ok((State::Changes { soa, done, now }, Some(changes)));
            }
            Half::Removing { from: record, removed: Vec::new() }
        }
    };
    Ok((State::Changes { soa, done, now }, None))
}

/// The serial of an SOA record.
pub fn serial_of(soa: &Record) -> u32 {
    let fields = soa.rdata.last_chunk::<20>();
    fields.map_or(0, |fields| u32::from_be_bytes([fields[0], fields[1], fields[2], fields[3]]))
}

//------------ apply, check ---------------------------------------------------

/// `held` after all of `changes`; the SOA comes first.
pub fn apply(held: Vec<Record>, changes: &[Change]) -> Result<Vec<Record>, TransferError> {
    let misfit = |what: &str, record: &Record| {
        let rtype = rtype::text(record.rtype);
        TransferError::DoesNotFit(format!("{what}: {} {rtype}", record.owner))
    };
    let key = |record: &Record| {
        let rdata = rdata::canonical(record.rtype, &record.rdata).into_owned();
        (record.owner.to_lowercase().wire().to_vec(), record.rtype, rdata)
    };
    let mut records: BTreeMap<_, Record> = BTreeMap::new();
    let mut soa = None;
    for record in held {
        if record.rtype == rtype::SOA {
            soa = Some(record);
        } else {
            records.insert(key(&record), record);
        }
    }
    for change in changes {
        if soa.as_ref().map(serial_of) != Some(serial_of(&change.from)) {
            return Err(misfit("another serial is held", &change.from));
        }
        for record in &change.removed {
            if records.remove(&key(record)).is_none() {
                return Err(misfit("not there to be removed", record));
            }
        }
        for record in &change.added {
            records.insert(key(record), record.clone());
        }
        soa = Some(change.to.clone());
    }
    Ok(soa.into_iter().chain(records.into_values()).collect())
}

/// Whether the records are a zone that can be served.
pub fn check(origin: &Name, records: &[Record]) -> Result<(), TransferError> {
    let mut alone = Builder::new();
    alone.add_zone(origin.clone(), records.to_vec());
    match alone.build() {
        Ok(_) => Ok(()),
        Err(errors) => {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            Err(TransferError::Unservable(first))
        }
    }
}

#[cfg(test)]
#[path = "transfer_in_tests.rs"]
mod tests;
