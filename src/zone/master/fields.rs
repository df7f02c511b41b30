//! Record data that is a row of simple fields, one row of [`Field`]s for each
//! type, and `\#` (RFC 3597 5).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::location;
use super::mnemonics::{ALGORITHMS, CERTIFICATE_TYPES, mnemonic};
use super::number::{base64, hex, time_s, whole};
use super::tokens::Token;
use super::{MasterError, read_name, read_type};
use crate::dns::Name;

/// One part of a record's data, as text and on the wire.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// A number of one, two or four bytes.
    U8,
    U16,
    U32,
    /// Four bytes of seconds; units are allowed.
    Time,
    Name,
    Ipv4,
    Ipv6,
    /// A character-string: at most 255 bytes behind their length.
    Text,
    /// The same, or nothing at the end of the data.
    TextOrNothing,
    /// One character-string or more, to the end.
    Texts,
    /// A string without a length, to the end.
    LongText,
    /// To the end, in one token or several.
    Hex,
    Base64,
    /// So many bytes as "00-11-22".
    Eui(usize),
    /// Eight bytes as "0000:1111:2222:3333".
    Locator,
    /// A CERT type: a number or a mnemonic.
    CertificateType,
    /// A DNSSEC algorithm: a number or a mnemonic.
    Algorithm,
    /// A record type.
    Type,
    /// Types as bit map (RFC 4034 4.1.2), to the end; may be none.
    Types,
    /// Address prefixes (RFC 3123), to the end; may be none.
    Prefixes,
    /// "0x" and hexadecimal digits, with dots in between.
    Nsap,
    /// A host identity and its rendezvous servers (RFC 8005 6), to the end.
    HostIdentity,
}

use Field::*;

fn fields_of(rtype: u16) -> Option<&'static [Field]> {
    Some(match rtype {
        1 => &[Ipv4],
        // NS MD MF CNAME MB MG MR PTR NSAP-PTR DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 23 | 39 => &[Name],
        6 => &[Name, Name, U32, Time, Time, Time, Time],
        // HINFO
        13 => &[Text, Text],
        // MINFO RP TALINK
        14 | 17 | 58 => &[Name, Name],
        // MX AFSDB RT KX LP
        15 | 18 | 21 | 36 | 107 => &[U16, Name],
        // TXT NINFO SPF AVC RESINFO WALLET CLA
        16 | 56 | 99 | 258 | 261 | 262 | 263 => &[Texts],
        // X25
        19 => &[Text],
        // ISDN
        20 => &[Text, TextOrNothing],
        22 => &[Nsap],
        // KEY DNSKEY RKEY CDNSKEY
        25 | 48 | 57 | 60 => &[U16, U8, Algorithm, Base64],
        26 => &[U16, Name, Name],
        // GPOS
        27 => &[Text, Text, Text],
        28 => &[Ipv6],
        // EID NIMLOC
        31 | 32 => &[Hex],
        33 => &[U16, U16, U16, Name],
        35 => &[U16, U16, Text, Text, Text, Name],
        37 => &[CertificateType, U16, Algorithm, Base64],
        42 => &[Prefixes],
        // DHCID HHIT BRID
        49 | 67 | 68 => &[Base64],
        // SMIMEA
        53 => &[U8, U8, U8, Hex],
        62 => &[U32, U16, Types],
        // DSYNC
        66 => &[Type, U8, U16, Name],
        // NID L64
        104 | 106 => &[U16, Locator],
        105 => &[U16, Ipv4],
        108 => &[Eui(6)],
        109 => &[Eui(8)],
        256 => &[U16, U16, LongText],
        // HIP
        55 => &[HostIdentity],
        // DS CDS TA DLV
        43 | 59 | 32768 | 32769 => &[U16, Algorithm, U8, Hex],
        _ => return None,
    })
}

/// Reads the data of a type with simple fields; none for other types.
pub(super) fn read(
    rtype: u16,
    tokens: &[Token<'_>],
    origin: &Name,
    last: Token<'_>,
) -> Option<Result<Box<[u8]>, MasterError>> {
    const LOC: u16 = 29;
    if rtype == LOC {
        return Some(location::read(tokens, last));
    }
    let fields = fields_of(rtype)?;
    let mut row = Row { tokens, origin, last, out: Vec::with_capacity(32) };
    Some(row.read(fields).map(|()| row.out.into()))
}

/// Reads `\#`'s length and hexadecimal digits.
pub(super) fn unknown(tokens: &[Token<'_>], marker: Token<'_>) -> Result<Box<[u8]>, MasterError> {
    let (length, digits) =
        tokens.split_first().ok_or_else(|| marker.error("\\# needs a length (RFC 3597 5)"))?;
    let bytes = hex(digits, *digits.last().unwrap_or(length))?;
    if bytes.len() != usize::from(whole::<u16>(*length)?) {
        return Err(length.error(format!(
            "\\# says {} bytes and {} follow (RFC 3597 5)",
            length.shown(),
            bytes.len()
        )));
    }
    Ok(bytes.into())
}

//------------ Row ------------------------------------------------------------

/// The tokens still to be read and the bytes made so far.
struct Row<'a> {
    tokens: &'a [Token<'a>],
    origin: &'a Name,
    last: Token<'a>,
    out: Vec<u8>,
}

impl<'a> Row<'a> {
    fn read(&mut self, fields: &[Field]) -> Result<(), MasterError> {
        for &field in fields {
            self.field(field)?;
        }
        match self.tokens.first() {
            None => Ok(()),
            Some(token) => Err(token.error(format!("{} is more than belongs here", token.shown()))),
        }
    }

    fn field(&mut self, field: Field) -> Result<(), MasterError> {
        match field {
            TextOrNothing if self.tokens.is_empty() => return Ok(()),
            Texts => return self.texts(),
            Types => return self.types(),
            Prefixes => return self.prefixes(),
            HostIdentity => return self.host_identity(),
            Hex => return self.rest(hex),
            Base64 => return self.rest(base64),
            _ => {}
        }
        let token = self.token()?;
        match field {
            U8 => self.out.push(whole(token)?),
            U16 => self.out.extend(whole::<u16>(token)?.to_be_bytes()),
            U32 => self.out.extend(whole::<u32>(token)?.to_be_bytes()),
            Time => self.out.extend(time_s(token)?.to_be_bytes()),
            Name => self.out.extend_from_slice(read_name(token, self.origin)?.wire()),
            Ipv4 => self.out.extend(address::<Ipv4Addr>(token, "an IPv4 address")?.octets()),
            Ipv6 => self.out.extend(address::<Ipv6Addr>(token, "an IPv6 address")?.octets()),
            Text | TextOrNothing => self.text(token)?,
            LongText => self.out.extend(token.bytes()),
            Eui(length) => self.groups(token, '-', length, 2)?,
            Locator => self.groups(token, ':', 4, 4)?,
            CertificateType => {
                let number = mnemonic(token, CERTIFICATE_TYPES).map_or_else(|| whole(token), Ok)?;
                self.out.extend(number.to_be_bytes());
            }
            Algorithm => {
                let number = mnemonic(token, ALGORITHMS).map(|number| number as u8);
                self.out.push(number.map_or_else(|| whole(token), Ok)?);
            }
            Type => self.out.extend(record_type(token)?.to_be_bytes()),
            Nsap => self.nsap(token)?,
            Texts | Hex | Base64 | Types | Prefixes | HostIdentity => {}
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token<'a>, MasterError> {
        let (&token, rest) = self
            .tokens
            .split_first()
            .ok_or_else(|| self.last.error("the record's data ends too early"))?;
        self.tokens = rest;
        Ok(token)
    }

    /// Everything left, as one value of at least a byte.
    fn rest(
        &mut self,
        decode: impl Fn(&[Token<'a>], Token<'a>) -> Result<Vec<u8>, MasterError>,
    ) -> Result<(), MasterError> {
        let bytes = decode(self.tokens, self.last)?;
        if bytes.is_empty() {
            return Err(self.last.error("the record's data ends too early"));
        }
        self.out.extend(bytes);
        self.tokens = &[];
        Ok(())
    }

    fn text(&mut self, token: Token<'_>) -> Result<(), MasterError> {
        let start = self.out.len();
        self.out.push(0);
        self.out.extend(token.bytes());
        let length = self.out.len() - start - 1;
        self.out[start] = u8::try_from(length)
            .map_err(|_| token.error(format!("a string of {length} bytes; the most is 255")))?;
        Ok(())
    }

    fn texts(&mut self) -> Result<(), MasterError> {
        let first = self.token()?;
        self.text(first)?;
        while !self.tokens.is_empty() {
            let token = self.token()?;
            self.text(token)?;
        }
        Ok(())
    }

    fn types(&mut self) -> Result<(), MasterError> {
        let mut types = Vec::with_capacity(self.tokens.len());
        while !self.tokens.is_empty() {
            types.push(record_type(self.token()?)?);
        }
        types.sort_unstable();
        for window in types.chunk_by(|left, right| left >> 8 == right >> 8) {
            let mut map = [0_u8; 32];
            let mut length = 0;
            for rtype in window {
                let bit = usize::from(rtype & 0xff);
                map[bit / 8] |= 0x80 >> (bit % 8);
                length = bit / 8 + 1;
            }
            self.out.extend([(window[0] >> 8) as u8, length as u8]);
            self.out.extend_from_slice(&map[..length]);
        }
        Ok(())
    }

    /// `[!]family:address/prefix` (RFC 3123 5).
    fn prefixes(&mut self) -> Result<(), MasterError> {
        while !self.tokens.is_empty() {
            let token = self.token()?;
            let bad = || token.error(format!("{} is not [!]family:address/prefix", token.shown()));
            let word = token.word().ok_or_else(bad)?;
            let negated = word.starts_with('!');
            let (family, rest) = word.trim_start_matches('!').split_once(':').ok_or_else(bad)?;
            let (address, prefix) = rest.split_once('/').ok_or_else(bad)?;
            let prefix: u8 = prefix.parse().map_err(|_| bad())?;
            let (family, bytes) = match family {
                "1" => {
                    let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
                    (1_u16, address.octets().to_vec())
                }
                "2" => {
                    let address: Ipv6Addr = address.parse().map_err(|_| bad())?;
                    (2, address.octets().to_vec())
                }
                _ => return Err(bad()),
            };
            if usize::from(prefix) > bytes.len() * 8 {
                return Err(bad());
            }
            let length = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            self.out.extend(family.to_be_bytes());
            self.out.extend([prefix, u8::from(negated) << 7 | length as u8]);
            self.out.extend_from_slice(&bytes[..length]);
        }
        Ok(())
    }

    /// So many groups of so many hexadecimal digits.
    fn groups(
        &mut self,
        token: Token<'_>,
        separator: char,
        count: usize,
        digits: usize,
    ) -> Result<(), MasterError> {
        let bad = || {
            let form = vec!["0".repeat(digits); count].join(&separator.to_string());
            token.error(format!("{} is not of the form {form}", token.shown()))
        };
        let word = token.word().ok_or_else(bad)?;
        let groups: Vec<&str> = word.split(separator).collect();
        if groups.len() != count {
            return Err(bad());
        }
        for group in groups {
            let value = u16::from_str_radix(group, 16).map_err(|_| bad())?;
            // EUI digits are all there (RFC 7043 3.2); locators leave zeros out.
            let fits = if digits == 2 { group.len() == 2 } else { group.len() <= 4 };
            if !fits || group.starts_with('+') {
                return Err(bad());
            }
            match digits {
                2 => self.out.push(value as u8),
                _ => self.out.extend(value.to_be_bytes()),
            }
        }
        Ok(())
    }

    /// `algorithm tag key [server…]`; on the wire the lengths come first.
    fn host_identity(&mut self) -> Result<(), MasterError> {
        let algorithm: u8 = whole(self.token()?)?;
        let tag_token = self.token()?;
        let tag = hex(&[tag_token], tag_token)?;
        let key_token = self.token()?;
        let key = base64(&[key_token], key_token)?;
        let tag_length = u8::try_from(tag.len()).ok().filter(|&length| length > 0);
        let tag_length = tag_length.ok_or_else(|| tag_token.error("a tag has 1 to 255 bytes"))?;
        let key_length = u16::try_from(key.len()).ok().filter(|&length| length > 0);
        let key_length = key_length.ok_or_else(|| key_token.error("a key has 1 to 65535 bytes"))?;
        self.out.extend([tag_length, algorithm]);
        self.out.extend(key_length.to_be_bytes());
        self.out.extend(tag);
        self.out.extend(key);
        while !self.tokens.is_empty() {
            let server = self.token()?;
            self.out.extend_from_slice(read_name(server, self.origin)?.wire());
        }
        Ok(())
    }

    fn nsap(&mut self, token: Token<'_>) -> Result<(), MasterError> {
        let bad = || token.error(format!("{} is not 0x and hexadecimal digits", token.shown()));
        let word = token.word().ok_or_else(bad)?;
        let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).ok_or_else(bad)?;
        let digits = digits.replace('.', "");
        let token = Token { raw: digits.as_bytes(), ..token };
        self.out.extend(hex(&[token], token).map_err(|_| bad())?);
        Ok(())
    }
}

//------------ Values ---------------------------------------------------------

fn address<T: std::str::FromStr>(token: Token<'_>, what: &str) -> Result<T, MasterError> {
    let parsed = token.word().and_then(|word| word.parse().ok());
    parsed.ok_or_else(|| token.error(format!("{} is not {what}", token.shown())))
}

fn record_type(token: Token<'_>) -> Result<u16, MasterError> {
    let found = token.word().and_then(read_type);
    found.ok_or_else(|| token.error(format!("{} is not a record type", token.shown())))
}
