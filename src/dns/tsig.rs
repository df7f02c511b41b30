//! Signed messages (TSIG, RFC 8945): found, checked and made.
//!
//! ```text
//! request ─► find ─┬─ none: not signed          reply ─► Session::sign ─► … sign
//!                  ├─ FORMERR: not last, or twice      (first under the request's MAC,
//!                  └─ Tsig ─► verify ─► Session         each later one under the MAC before)
//!                               └─ BADKEY, BADSIG: unsigned; BADTIME, BADTRUNC: signed
//! ```
//! A message costs one HMAC at most, and none without a key that is configured. MACs
//! are compared in constant time. Truncated MACs are known for what they are and not
//! taken (BADTRUNC). The time comes in as a value; it must not know zones or sockets.

mod key;
mod session;

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::Name;
use super::encode::Section;
use super::message::{Malformed, Message, read_name};
use super::query::HEADER_LENGTH;
use super::types::rtype;

pub use key::{Algorithm, Key, Keys};
pub use session::{ReplyError, Session, sign_request};

/// Seconds that clocks may differ in what we sign (RFC 8945 10).
const FUDGE_S: u16 = 300;
/// Class ANY, which every TSIG record has.
const CLASS_ANY: u16 = 255;
/// Longest MAC: that of SHA-512.
const MAC_LENGTH_MAX: usize = 64;
/// Messages of a stream that may come unsigned between two signed ones (RFC 8945 5.3.1).
const UNSIGNED_MAX: u32 = 99;
/// Where ARCOUNT stands.
const ARCOUNT_AT: usize = 10;

//------------ Mac ------------------------------------------------------------

/// A MAC, whole or cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Mac {
    bytes: [u8; MAC_LENGTH_MAX],
    length: usize,
}

impl Mac {
    fn of(bytes: &[u8]) -> Mac {
        let mut mac = Mac { bytes: [0; MAC_LENGTH_MAX], length: bytes.len().min(MAC_LENGTH_MAX) };
        mac.bytes[..mac.length].copy_from_slice(&bytes[..mac.length]);
        mac
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// As it stands in front of what the next MAC is over.
    fn feed(&self, context: &mut hmac::Context) {
        context.update(&(self.length as u16).to_be_bytes());
        context.update(self.as_slice());
    }
}

//------------ Tsig -----------------------------------------------------------

/// The TSIG record of a message, read.
#[derive(Clone, Debug)]
pub struct Tsig<'a> {
    /// Where it begins: the message without it ends here.
    pub start: usize,
    /// The key's name as sent.
    pub key: Name,
    algorithm: Name,
    time_s: u64,
    fudge_s: u16,
    mac: &'a [u8],
    original_id: [u8; 2],
    /// The extended error.
    pub error: u16,
    other: &'a [u8],
}

/// Finds the TSIG record of a message: the last record of all, of class ANY and TTL 0.
/// Anywhere else, or twice, it makes the message malformed (RFC 8945 5.2).
pub fn find(message: &[u8]) -> Result<Option<Tsig<'_>>, Malformed> {
    let mut found = None;
    for entry in Message::parse(message)?.entries() {
        let entry = entry?;
        if found.is_some() {
            return Err(Malformed);
        }
        if entry.rtype == rtype::TSIG {
            if entry.section != Section::Additional || entry.class != CLASS_ANY || entry.ttl_s != 0
            {
                return Err(Malformed);
            }
            found = Some(entry);
        }
    }
    let Some(entry) = found else { return Ok(None) };
    let (algorithm, at) = read_name(message, entry.data.start)?;
    let rest = message.get(at..entry.data.end).ok_or(Malformed)?;
    let (fixed, rest) = rest.split_first_chunk::<10>().ok_or(Malformed)?;
    let [a, b, c, d, e, f, g, h, i, j] = *fixed;
    let (mac, rest) =
        rest.split_at_checked(usize::from(u16::from_be_bytes([i, j]))).ok_or(Malformed)?;
    let (&[id_a, id_b, k, l, m, n], other) = rest.split_first_chunk::<6>().ok_or(Malformed)?;
    if other.len() != usize::from(u16::from_be_bytes([m, n])) {
        return Err(Malformed);
    }
    Ok(Some(Tsig {
        start: entry.start,
        key: entry.owner()?,
        algorithm,
        time_s: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
        fudge_s: u16::from_be_bytes([g, h]),
        mac,
        original_id: [id_a, id_b],
        error: u16::from_be_bytes([k, l]),
        other,
    }))
}

/// `message` as it was before its TSIG record was added.
pub fn stripped(message: &[u8], tsig: &Tsig<'_>) -> Vec<u8> {
    let mut stripped = message[..tsig.start].to_vec();
    if let Some(header) = stripped.first_chunk_mut::<HEADER_LENGTH>() {
        *header = header_before(header, tsig);
    }
    stripped
}

/// A header with the ID it was signed under and one additional record less.
fn header_before(header: &[u8; HEADER_LENGTH], tsig: &Tsig<'_>) -> [u8; HEADER_LENGTH] {
    let mut header = *header;
    header[..2].copy_from_slice(&tsig.original_id);
    let count = u16::from_be_bytes([header[ARCOUNT_AT], header[ARCOUNT_AT + 1]]);
    header[ARCOUNT_AT..].copy_from_slice(&count.saturating_sub(1).to_be_bytes());
    header
}

fn feed_message(context: &mut hmac::Context, message: &[u8], tsig: &Tsig<'_>) {
    let before = &message[..tsig.start];
    if let Some((header, body)) = before.split_first_chunk() {
        context.update(&header_before(header, tsig));
        context.update(body);
    }
}

/// What is signed besides the message: all that is in the record but the MAC.
struct Variables<'a> {
    time_s: u64,
    fudge_s: u16,
    error: u16,
    other: &'a [u8],
}

impl Variables<'_> {
    fn feed(&self, context: &mut hmac::Context, key: &Key) {
        context.update(key.name.wire());
        context.update(&CLASS_ANY.to_be_bytes());
        context.update(&0u32.to_be_bytes());
        context.update(key.algorithm.wire());
        self.feed_timers(context);
        context.update(&self.error.to_be_bytes());
        context.update(&(self.other.len() as u16).to_be_bytes());
        context.update(self.other);
    }

    fn feed_timers(&self, context: &mut hmac::Context) {
        context.update(&self.time_s.to_be_bytes()[2..]);
        context.update(&self.fudge_s.to_be_bytes());
    }
}

/// What of a record's own is signed.
fn variables<'a>(tsig: &Tsig<'a>) -> Variables<'a> {
    Variables { time_s: tsig.time_s, fudge_s: tsig.fudge_s, error: tsig.error, other: tsig.other }
}

//------------ verify ---------------------------------------------------------

/// Errors in a TSIG record (RFC 8945 3).
pub mod error {
    /// The MAC is not that of the message.
    pub const BADSIG: u16 = 16;
    /// The key is not known.
    pub const BADKEY: u16 = 17;
    /// The time is too far from ours.
    pub const BADTIME: u16 = 18;
    /// The MAC is cut shorter than is taken here.
    pub const BADTRUNC: u16 = 22;
}

/// Why a signed request is not taken.
#[derive(Debug)]
pub enum Refused {
    /// The record cannot be right whatever the key: FORMERR.
    Malformed,
    /// NOTAUTH with this error, in a record that is not signed.
    Unsigned(u16),
    /// NOTAUTH with this error, signed by the session.
    Signed(u16, Box<Session>),
}

/// Checks a request's record at `now_s`, in the order of RFC 8945 5.2: key, MAC, time,
/// length of the MAC.
pub fn verify(
    keys: &Keys,
    message: &[u8],
    tsig: &Tsig<'_>,
    now_s: u64,
) -> Result<Session, Refused> {
    let key = keys
        .find(&tsig.key)
        .filter(|key| key.algorithm.wire().eq_ignore_ascii_case(tsig.algorithm.wire()));
    let Some(key) = key else { return Err(Refused::Unsigned(error::BADKEY)) };
    let whole = key.algorithm.length();
    if tsig.mac.len() > whole || tsig.mac.len() < (whole / 2).max(10) {
        // Nobody may cut it so short (RFC 8945 5.2.2.1).
        return Err(Refused::Malformed);
    }
    let mut context = hmac::Context::with_key(&key.hmac);
    feed_message(&mut context, message, tsig);
    variables(tsig).feed(&mut context, key);
    if !is_mac(&context.sign(), tsig.mac) {
        return Err(Refused::Unsigned(error::BADSIG));
    }
    let session = Session {
        key: Arc::clone(key),
        prior: Mac::of(tsig.mac),
        request_time_s: tsig.time_s,
        is_first: true,
        pending: None,
        unsigned: 0,
    };
    if now_s.abs_diff(tsig.time_s) > u64::from(tsig.fudge_s) {
        return Err(Refused::Signed(error::BADTIME, Box::new(session)));
    }
    if tsig.mac.len() < whole {
        return Err(Refused::Signed(error::BADTRUNC, Box::new(session)));
    }
    Ok(session)
}

fn is_mac(tag: &hmac::Tag, mac: &[u8]) -> bool {
    let cut = tag.as_ref().get(..mac.len()).unwrap_or_default();
    verify_slices_are_equal(cut, mac).is_ok()
}

//------------ Records --------------------------------------------------------

/// Adds a record with an error and no MAC to a reply to `tsig`, and says how long the reply
/// is then; none where there is no room.
pub fn put_unsigned(out: &mut [u8], length: usize, tsig: &Tsig<'_>, error: u16) -> Option<usize> {
    let variables = Variables { time_s: tsig.time_s, fudge_s: tsig.fudge_s, error, other: &[] };
    put_record(out, length, &tsig.key, tsig.algorithm.wire(), &variables, &[])
}

/// Adds the record to the message in the first `length` bytes of `out`, and counts it.
fn put_record(
    out: &mut [u8],
    length: usize,
    key: &Name,
    algorithm: &[u8],
    variables: &Variables<'_>,
    mac: &[u8],
) -> Option<usize> {
    let id = *out.first_chunk::<2>()?;
    let mut at = length;
    let mut put = |bytes: &[u8]| {
        let room = out.get_mut(at..at + bytes.len())?;
        room.copy_from_slice(bytes);
        at += bytes.len();
        Some(())
    };
    let data_length = algorithm.len() + 16 + mac.len() + variables.other.len();
    put(key.wire())?;
    put(&rtype::TSIG.to_be_bytes())?;
    put(&CLASS_ANY.to_be_bytes())?;
    put(&0u32.to_be_bytes())?;
    put(&(data_length as u16).to_be_bytes())?;
    put(algorithm)?;
    put(&variables.time_s.to_be_bytes()[2..])?;
    put(&variables.fudge_s.to_be_bytes())?;
    put(&(mac.len() as u16).to_be_bytes())?;
    put(mac)?;
    put(&id)?;
    put(&variables.error.to_be_bytes())?;
    put(&(variables.other.len() as u16).to_be_bytes())?;
    put(variables.other)?;
    let count = out.get_mut(ARCOUNT_AT..ARCOUNT_AT + 2)?;
    let counted = u16::from_be_bytes([count[0], count[1]]).checked_add(1)?;
    count.copy_from_slice(&counted.to_be_bytes());
    Some(at)
}

#[cfg(test)]
mod tests;
