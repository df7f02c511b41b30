//! Domain names in wire form (RFC 1035 3.1), compared without case (RFC 4343).
//!
//! A [`Name`] is always absolute and at most 255 bytes. The spelling it was
//! given in is kept, so that answers can show it; equality, order and hashing
//! ignore ASCII case. Functions on `&[u8]` serve the query path, which never
//! owns a name.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Longest name on the wire, the root label included (RFC 1035 2.3.4).
pub const NAME_LENGTH_MAX: usize = 255;
/// Longest label (RFC 1035 2.3.4).
pub const LABEL_LENGTH_MAX: usize = 63;

//------------ Name -----------------------------------------------------------

/// An absolute domain name: wire bytes, uncompressed, ending in the root label.
#[derive(Clone)]
pub struct Name {
    wire: Box<[u8]>,
}

impl Name {
    /// The root name.
    pub fn root() -> Name {
        Name { wire: Box::new([0]) }
    }

    /// Reads presentation form ("www.example.com", the final dot optional,
    /// `\.` and `\DDD` escapes as in RFC 1035 5.1).
    pub fn parse(text: &str) -> Result<Name, NameError> {
        if text == "." {
            return Ok(Name::root());
        }
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::with_capacity(LABEL_LENGTH_MAX);
        let mut bytes = text.bytes();
        let mut ended = false;
        while let Some(byte) = bytes.next() {
            ended = false;
            match byte {
                b'.' => {
                    push_label(&mut wire, &mut label)?;
                    ended = true;
                }
                b'\\' => label.push(unescape(&mut bytes)?),
                _ => label.push(byte),
            }
        }
        if !ended {
            push_label(&mut wire, &mut label)?;
        }
        wire.push(0);
        if wire.len() > NAME_LENGTH_MAX {
            return Err(NameError::TooLong);
        }
        Ok(Name { wire: wire.into() })
    }

    /// Takes wire bytes that hold one uncompressed name and nothing else.
    pub fn from_wire(wire: &[u8]) -> Result<Name, NameError> {
        if wire_length(wire)? != wire.len() {
            return Err(NameError::TrailingBytes);
        }
        Ok(Name { wire: wire.into() })
    }

    /// The wire form, ending in the root label's zero byte.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The same name in lower case: the canonical form (RFC 4034 6.2).
    pub fn to_lowercase(&self) -> Name {
        Name { wire: self.wire.to_ascii_lowercase().into() }
    }

    /// Labels from the left, the root label left out.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.wire }
    }

    /// How many labels, the root left out.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// True for the root name.
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// True when the leftmost label is `*` (RFC 4592 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.wire.starts_with(b"\x01*")
    }

    /// The name without its leftmost label; none for the root.
    pub fn parent(&self) -> Option<Name> {
        parent(&self.wire).map(|wire| Name { wire: wire.into() })
    }

    /// True when `self` is `ancestor` or lies under it.
    pub fn is_at_or_below(&self, ancestor: &Name) -> bool {
        is_at_or_below(&self.wire, &ancestor.wire)
    }

    /// `label` put in front of this name.
    pub fn child(&self, label: &[u8]) -> Result<Name, NameError> {
        let mut wire = Vec::with_capacity(self.wire.len() + label.len() + 1);
        push_label(&mut wire, &mut label.to_vec())?;
        wire.extend_from_slice(&self.wire);
        if wire.len() > NAME_LENGTH_MAX {
            return Err(NameError::TooLong);
        }
        Ok(Name { wire: wire.into() })
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.wire.eq_ignore_ascii_case(&other.wire)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in &self.wire {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    /// Canonical order (RFC 4034 6.1): label by label from the right.
    fn cmp(&self, other: &Name) -> Ordering {
        let left: Vec<_> = self.labels().map(<[u8]>::to_ascii_lowercase).collect();
        let right: Vec<_> = other.labels().map(<[u8]>::to_ascii_lowercase).collect();
        left.iter().rev().cmp(right.iter().rev())
    }
}

impl fmt::Display for Name {
    /// Presentation form without the final dot; the root is ".".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_presentation(&self.wire, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

//------------ Labels ---------------------------------------------------------

/// Labels of a wire name from the left, the root label left out.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.rest.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(label)
    }
}

//------------ On wire bytes --------------------------------------------------

/// Length in bytes of the uncompressed name at the start of `bytes`, the root
/// label included. Compression pointers are refused.
pub fn wire_length(bytes: &[u8]) -> Result<usize, NameError> {
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at).ok_or(NameError::Truncated)?);
        if length > LABEL_LENGTH_MAX {
            return Err(NameError::LabelTooLong);
        }
        at += 1 + length;
        if at > NAME_LENGTH_MAX {
            return Err(NameError::TooLong);
        }
        if length == 0 {
            return Ok(at);
        }
    }
}

/// The wire name without its leftmost label; none for the root.
pub fn parent(wire: &[u8]) -> Option<&[u8]> {
    match wire.first() {
        None | Some(0) => None,
        Some(&length) => wire.get(1 + usize::from(length)..),
    }
}

/// True when wire name `name` is `ancestor` or lies under it, without case.
pub fn is_at_or_below(name: &[u8], ancestor: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > ancestor.len() {
        match parent(rest) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    rest.eq_ignore_ascii_case(ancestor)
}

/// Labels of an uncompressed wire name.
pub fn labels(wire: &[u8]) -> Labels<'_> {
    Labels { rest: wire }
}

/// Writes a wire name in presentation form, without the final dot.
pub fn write_presentation(wire: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    let mut first = true;
    for label in labels(wire) {
        if !first {
            f.write_char('.')?;
        }
        first = false;
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(f, "\\{}", char::from(byte))?;
                }
                0x21..=0x7e => f.write_char(char::from(byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
    }
    if first {
        f.write_char('.')?;
    }
    Ok(())
}

fn push_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), NameError> {
    match label.len() {
        0 => return Err(NameError::EmptyLabel),
        1..=LABEL_LENGTH_MAX => wire.push(label.len() as u8),
        _ => return Err(NameError::LabelTooLong),
    }
    wire.append(label);
    Ok(())
}

fn unescape(bytes: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

//------------ NameError ------------------------------------------------------

/// Why some text or bytes are not a domain name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// No text at all.
    #[error("the name is empty")]
    Empty,
    /// Two dots in a row, or one in front.
    #[error("a label is empty (two dots in a row, or a dot in front)")]
    EmptyLabel,
    /// A label over 63 bytes, or a compression pointer where none may be.
    #[error("a label is longer than 63 bytes")]
    LabelTooLong,
    /// More than 255 bytes on the wire.
    #[error("the name is longer than 255 bytes")]
    TooLong,
    /// A backslash that is followed by neither a character nor three digits up to 255.
    #[error("a backslash must be followed by a character or by three digits up to 255")]
    BadEscape,
    /// The bytes end inside the name.
    #[error("the name ends too early")]
    Truncated,
    /// Bytes follow the name.
    #[error("bytes follow the name")]
    TrailingBytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presentation_and_wire_round_trip() {
        for text in ["example.com", ".", "a\\.b.example", "\\000x.example", "*.example.com"] {
            let name = Name::parse(text).unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(Name::from_wire(name.wire()).unwrap(), name);
        }
    }

    #[test]
    fn names_compare_without_case_and_keep_their_spelling() {
        let upper = Name::parse("WWW.Example.com.").unwrap();
        assert_eq!(upper, Name::parse("www.example.COM").unwrap());
        assert_eq!(upper.to_string(), "WWW.Example.com");
    }

    #[test]
    fn bad_names_are_refused_with_their_reason() {
        let long_label = "a".repeat(64);
        let long_name = ["abcdefg."; 32].concat();
        for (text, error) in [
            ("", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            (long_label.as_str(), NameError::LabelTooLong),
            (long_name.as_str(), NameError::TooLong),
            ("a\\25", NameError::BadEscape),
            ("a\\256", NameError::BadEscape),
        ] {
            assert_eq!(Name::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn at_or_below_respects_label_boundaries() {
        let zone = Name::parse("example.com").unwrap();
        assert!(Name::parse("a.EXAMPLE.com").unwrap().is_at_or_below(&zone));
        assert!(!Name::parse("badexample.com").unwrap().is_at_or_below(&zone));
        assert!(zone.is_at_or_below(&Name::root()));
    }

    #[test]
    fn order_is_canonical() {
        let mut names: Vec<Name> =
            ["z.example", "a.example", "example", "Z.a.example", "*.z.example"]
                .iter()
                .map(|n| Name::parse(n).unwrap())
                .collect();
        names.sort();
        let texts: Vec<String> = names.iter().map(Name::to_string).collect();
        assert_eq!(texts, ["example", "a.example", "Z.a.example", "z.example", "*.z.example"]);
    }
}
