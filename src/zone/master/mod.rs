//! Master files (RFC 1035 5): text in, records or all errors out.
//!
//! Entries, owners, TTLs, classes and directives are read here, so that a bad
//! entry costs one entry and every error has its place. Record data of the
//! types with intricate forms (SVCB, DNSSEC, CAA, …) is read by the `domain`
//! crate's zonefile reader, one record at a time; `fields` reads the simple
//! ones and those the crate does not know. Every type may be given as `\#`
//! (RFC 3597 5); data of a known type must then have that type's form.
//!
//! Directives: `$ORIGIN`, `$TTL` and `$GENERATE`; `$INCLUDE` is refused,
//! because nothing here opens files. TTLs and the SOA's times may have units
//! ("1h30m"), as BIND has them.

mod crate_reader;
mod fields;
mod generate;
mod location;
mod mnemonics;
mod number;
mod tokens;
mod write;

use std::str::FromStr;

use domain::base::iana::{Class, Rtype};

use super::{Record, TTL_S_MAX, rdata};
use crate::dns::{Name, name};
use crate_reader::CrateReader;
use tokens::{Entry, Scanner, Token};
pub use write::write;

/// Most errors reported: a file that is no master file has one on every line.
const ERRORS_MAX: usize = 1_000;

/// What is wrong in a master file, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct MasterError {
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    pub column: u32,
    /// What is wrong, without a final dot.
    pub message: String,
}

/// Reads a zone's master file. Relative names end in `origin` until
/// `$ORIGIN` says otherwise; owners outside of `origin` are errors, and so is
/// any class but IN. `default_ttl_s` is for records before any TTL or `$TTL`.
/// Reports as many errors as it can, at most 1,000.
pub fn parse(
    text: &[u8],
    origin: &Name,
    default_ttl_s: u32,
) -> Result<Vec<Record>, Vec<MasterError>> {
    let mut reader = Reader {
        zone: origin,
        origin: origin.clone(),
        owner: None,
        default_ttl_s,
        dollar_ttl_s: None,
        last_ttl_s: None,
        crate_reader: CrateReader::new(origin),
        records: Vec::new(),
    };
    let mut errors = Vec::new();
    let mut scanner = Scanner::new(text, 1);
    let mut entry = Entry::default();
    while errors.len() < ERRORS_MAX {
        match scanner.next(&mut entry) {
            Ok(false) => break,
            Ok(true) => {
                if let Err(error) = reader.entry(&entry) {
                    errors.push(error);
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(reader.records) } else { Err(errors) }
}

//------------ Reader ---------------------------------------------------------

/// What one entry passes on to the next.
struct Reader<'a> {
    zone: &'a Name,
    origin: Name,
    owner: Option<Name>,
    default_ttl_s: u32,
    /// From `$TTL` (RFC 2308 4): what records without a TTL get.
    dollar_ttl_s: Option<u32>,
    /// The last TTL on a record: what they get without `$TTL` (RFC 1035 5.1).
    last_ttl_s: Option<u32>,
    crate_reader: CrateReader,
    records: Vec<Record>,
}

impl Reader<'_> {
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), MasterError> {
        let Some(&first) = entry.tokens.first() else { return Ok(()) };
        if !entry.indented && !first.quoted && first.raw.starts_with(b"$") {
            return self.directive(first, &entry.tokens[1..]);
        }
        self.record(first, entry)
    }

    fn directive(&mut self, name: Token<'_>, rest: &[Token<'_>]) -> Result<(), MasterError> {
        match name.raw.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => {
                self.origin = read_name(one(name, rest)?, &self.origin)?;
                self.crate_reader = CrateReader::new(&self.origin);
                Ok(())
            }
            b"$TTL" => {
                self.dollar_ttl_s = Some(read_ttl(one(name, rest)?)?);
                Ok(())
            }
            b"$GENERATE" => self.generate(name, rest),
            b"$INCLUDE" => {
                Err(name.error("$INCLUDE is not supported: put the records into this file"))
            }
            _ => Err(name.error(format!(
                "unknown directive {}; known are $ORIGIN, $TTL and $GENERATE",
                name.shown()
            ))),
        }
    }

    fn generate(&mut self, name: Token<'_>, rest: &[Token<'_>]) -> Result<(), MasterError> {
        for line in generate::lines(name, rest)? {
            let mut scanner = Scanner::new(&line, name.line);
            let mut entry = Entry::default();
            let read = scanner.next(&mut entry).and_then(|_| match entry.tokens.first() {
                Some(&first) => self.record(first, &entry),
                None => Ok(()),
            });
            read.map_err(|error| {
                name.error(format!(
                    "the generated record \"{}\": {}",
                    String::from_utf8_lossy(&line),
                    error.message
                ))
            })?;
        }
        Ok(())
    }

    fn record(&mut self, first: Token<'_>, entry: &Entry<'_>) -> Result<(), MasterError> {
        let mut tokens = entry.tokens.as_slice();
        let owner = if entry.indented {
            self.owner.clone().ok_or_else(|| {
                first.error("a record without an owner, and there is none before it")
            })?
        } else {
            tokens = &tokens[1..];
            let owner = read_name(first, &self.origin)?;
            self.owner = Some(owner.clone());
            owner
        };
        let last = *entry.tokens.last().unwrap_or(&first);
        let (ttl_s, rtype) = self.ttl_class_type(&mut tokens, last)?;
        if !owner.is_at_or_below(self.zone) {
            return Err(first.error(format!("{owner} is outside of the zone {}", self.zone)));
        }
        let rdata = self.rdata(rtype, tokens, last)?;
        let data = *tokens.first().unwrap_or(&last);
        rdata::check(rtype, &rdata).map_err(|reason| data.error(reason))?;
        self.records.push(Record { owner, rtype, ttl_s, rdata });
        Ok(())
    }

    /// Reads `[TTL] [class] type` or `[class] [TTL] type`.
    fn ttl_class_type(
        &mut self,
        tokens: &mut &[Token<'_>],
        last: Token<'_>,
    ) -> Result<(u32, u16), MasterError> {
        let (mut ttl_s, mut class) = (None, None);
        loop {
            let Some((&token, rest)) = tokens.split_first() else {
                return Err(last.error("the record's type is missing"));
            };
            *tokens = rest;
            let word = token.word().filter(|_| !token.quoted).unwrap_or_default();
            if ttl_s.is_none() && word.starts_with(|start: char| start.is_ascii_digit()) {
                ttl_s = Some(read_ttl(token)?);
            } else if let Some(rtype) = read_type(word) {
                if class.is_some_and(|class| class != Class::IN) {
                    return Err(token.error("only class IN is served"));
                }
                let implied = self.dollar_ttl_s.or(self.last_ttl_s).unwrap_or(self.default_ttl_s);
                self.last_ttl_s = ttl_s.or(self.last_ttl_s);
                return Ok((ttl_s.unwrap_or(implied), rtype));
            } else if let Some(found) = read_class(word)
                && class.is_none()
            {
                if found != Class::IN {
                    return Err(token.error("only class IN is served"));
                }
                class = Some(found);
            } else {
                return Err(token
                    .error(format!("{} is not a TTL, a class or a record type", token.shown())));
            }
        }
    }

    fn rdata(
        &self,
        rtype: u16,
        tokens: &[Token<'_>],
        last: Token<'_>,
    ) -> Result<Box<[u8]>, MasterError> {
        if let Some((marker, rest)) = tokens.split_first()
            && marker.raw == b"\\#"
            && !marker.quoted
        {
            let rdata = fields::unknown(rest, *marker)?;
            crate_reader::check(rtype, &rdata).map_err(|reason| marker.error(reason))?;
            return Ok(rdata);
        }
        if let Some(read) = fields::read(rtype, tokens, &self.origin, last) {
            return read;
        }
        self.crate_reader.read(rtype, tokens, last)
    }
}

//------------ Words ----------------------------------------------------------

fn one<'a>(name: Token<'_>, rest: &[Token<'a>]) -> Result<Token<'a>, MasterError> {
    match rest {
        [token] => Ok(*token),
        [] => Err(name.error(format!("{} needs a value", name.shown()))),
        [_, second, ..] => Err(second.error(format!("{} has one value", name.shown()))),
    }
}

/// A name, relative to `origin` unless it ends in a dot; `@` is the origin.
fn read_name(token: Token<'_>, origin: &Name) -> Result<Name, MasterError> {
    let bad = |error: crate::dns::NameError| token.error(format!("{}: {error}", token.shown()));
    match token.raw {
        b"@" if !token.quoted => return Ok(origin.clone()),
        b"." => return Ok(Name::root()),
        b"" => return Err(bad(crate::dns::NameError::Empty)),
        _ => {}
    }
    let mut wire = Vec::with_capacity(token.raw.len() + 1 + origin.wire().len());
    let mut start = 0;
    wire.push(0);
    for (byte, escaped) in token.symbols() {
        if byte == b'.' && !escaped {
            end_label(&mut wire, start).map_err(bad)?;
            start = wire.len();
            wire.push(0);
        } else {
            wire.push(byte);
        }
    }
    if wire.len() > start + 1 {
        end_label(&mut wire, start).map_err(bad)?;
        wire.extend_from_slice(origin.wire());
    }
    Name::from_wire(&wire).map_err(bad)
}

fn end_label(wire: &mut [u8], start: usize) -> Result<(), crate::dns::NameError> {
    match wire.len() - start - 1 {
        0 => Err(crate::dns::NameError::EmptyLabel),
        length if length > name::LABEL_LENGTH_MAX => Err(crate::dns::NameError::LabelTooLong),
        length => {
            wire[start] = length as u8;
            Ok(())
        }
    }
}

fn read_ttl(token: Token<'_>) -> Result<u32, MasterError> {
    let ttl_s = number::time_s(token)?;
    if ttl_s > TTL_S_MAX {
        return Err(token.error("a TTL is at most 2147483647 seconds (RFC 2181 8)"));
    }
    Ok(ttl_s)
}

/// A type's number from its mnemonic or TYPE123.
fn read_type(word: &str) -> Option<u16> {
    if word.eq_ignore_ascii_case("NSAP-PTR") {
        return Some(23);
    }
    Rtype::from_str(word).ok().map(Rtype::to_int)
}

fn read_class(word: &str) -> Option<Class> {
    Class::from_str(word).ok()
}

#[cfg(test)]
mod tests;
