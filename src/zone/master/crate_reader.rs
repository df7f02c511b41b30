//! Record data read by the `domain` crate, one record at a time.
//!
//! The crate reads whole files and stops at the first error; given one record
//! whose tokens are checked already, it is a reader of record data. What it
//! makes is parsed back from the wire, because it takes some text for names
//! that are none.

use bytes::Bytes;
use domain::base::iana::{Class, Rtype};
use domain::base::name::ParsedName;
use domain::base::rdata::{ComposeRecordData, ParseRecordData};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};

use super::MasterError;
use super::tokens::Token;
use crate::dns::Name;

/// Longest text of one record's data: no type's data is longer than that.
const TEXT_LENGTH_MAX: usize = 4 * 65_535;

/// Reads record data relative to one origin.
pub(super) struct CrateReader {
    origin: domain::base::Name<Bytes>,
}

impl CrateReader {
    /// For names relative to `origin`.
    pub(super) fn new(origin: &Name) -> CrateReader {
        let origin = Bytes::copy_from_slice(origin.wire());
        let origin = domain::base::Name::from_octets(origin)
            .expect("a Name is a whole wire name of at most 255 bytes");
        CrateReader { origin }
    }

    /// Reads the data of a record of type `rtype`.
    pub(super) fn read(
        &self,
        rtype: u16,
        tokens: &[Token<'_>],
        last: Token<'_>,
    ) -> Result<Box<[u8]>, MasterError> {
        let first = *tokens.first().unwrap_or(&last);
        let mut text = format!(". 0 IN TYPE{rtype}").into_bytes();
        for token in tokens {
            append(&mut text, token);
        }
        text.push(b'\n');
        if text.len() > TEXT_LENGTH_MAX {
            return Err(first.error("longer than any record's data"));
        }
        let mut file = Zonefile::from(text.as_slice());
        file.set_origin(self.origin.clone());
        file.set_default_class(Class::IN);
        let entry = file.next_entry().map_err(|error| {
            let reason = error.to_string();
            // The crate puts its own line and column in front.
            let reason = reason.splitn(3, ':').nth(2).unwrap_or(&reason).trim().to_owned();
            first.error(match reason.as_str() {
                "unknown record type with concrete data" => format!(
                    "the data of {} records must be given as \\# (RFC 3597 5)",
                    Rtype::from_int(rtype)
                ),
                _ => format!("{reason} in the data of a {} record", Rtype::from_int(rtype)),
            })
        })?;
        let Some(Entry::Record(record)) = entry else {
            return Err(first.error("the record's data is missing"));
        };
        let mut rdata = Vec::new();
        let composed = record.data().compose_rdata(&mut rdata);
        if composed.is_err() || rdata.len() > usize::from(u16::MAX) {
            return Err(first.error("longer than 65,535 bytes"));
        }
        check(rtype, &rdata).map_err(|reason| first.error(reason))?;
        Ok(rdata.into())
    }
}

/// Says whether `rdata` is data of type `rtype` as the crate knows it: the
/// same bytes when parsed and written again. Other types are opaque.
pub(super) fn check(rtype: u16, rdata: &[u8]) -> Result<(), String> {
    let bad = || format!("not the data of a {} record", Rtype::from_int(rtype));
    let mut parser = Parser::from_ref(rdata);
    let parsed = ZoneRecordData::<&[u8], ParsedName<&[u8]>>::parse_rdata(
        Rtype::from_int(rtype),
        &mut parser,
    );
    let Some(parsed) = parsed.map_err(|_| bad())? else { return Ok(()) };
    let mut again = Vec::with_capacity(rdata.len());
    let composed = parsed.compose_rdata(&mut again);
    if composed.is_err() || parser.remaining() != 0 || again != rdata {
        return Err(bad());
    }
    Ok(())
}

/// Writes a token so that the crate reads the same bytes.
fn append(text: &mut Vec<u8>, token: &Token<'_>) {
    if !token.glued {
        text.push(b' ');
    }
    if token.quoted {
        text.push(b'"');
    }
    for &byte in token.raw {
        // The crate takes the text for UTF-8 and bytes outside of ASCII for errors.
        match byte {
            0x20..=0x7e => text.push(byte),
            _ => text.extend(format!("\\{byte:03}").into_bytes()),
        }
    }
    if token.quoted {
        text.push(b'"');
    }
}
