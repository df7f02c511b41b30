//! The data section of a MaxMind DB file: values, read where they lie.
//!
//! Nothing is built of what is not asked for: entries are visited, values skipped
//! without a look at what they point to. Hostile files are held off by a budget:
//! values looked at, over the whole load, in proportion to the file's length.
//! Format: <https://maxmind.github.io/MaxMind-DB/>, "Output Data Section".

use super::pages::{DatabaseBytes, Missing, Pages};

/// Values that a load may look at: those of a sound file are shared by a few
/// records each.
const VALUES_PER_BYTE_MAX: u64 = 64;
const VALUES_MIN: u64 = 1 << 20;
/// Longest text of interest; longer ones are neither codes nor numbers.
const TEXT_LENGTH_MAX: usize = 256;
/// The values of each size class of pointers begin after those of the one before.
const POINTER_BASES: [u64; 4] = [0, 2_048, 526_336, 0];

/// What is wrong with a file, in words.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged(String),
    Unreadable(String),
}

impl Fault {
    pub(super) fn damaged(what: &str) -> Fault {
        Fault::Damaged(what.to_owned())
    }
}

impl From<Missing> for Fault {
    fn from(missing: Missing) -> Fault {
        match missing {
            Missing::Beyond => Fault::damaged("a record reaches beyond the file's end"),
            Missing::Unreadable(error) => Fault::Unreadable(error.to_string()),
        }
    }
}

/// A value's kind, and how many bytes or entries it has.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u8,
    size: u64,
    /// Where its payload begins.
    payload: u64,
}

/// The kinds of interest, as numbered by the format.
mod kind {
    pub(super) const POINTER: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const DOUBLE: u8 = 3;
    pub(super) const UINT16: u8 = 5;
    pub(super) const UINT32: u8 = 6;
    pub(super) const MAP: u8 = 7;
    pub(super) const INT32: u8 = 8;
    pub(super) const UINT64: u8 = 9;
    pub(super) const LIST: u8 = 11;
    pub(super) const BOOLEAN: u8 = 14;
    pub(super) const FLOAT: u8 = 15;
}

//------------ Data -----------------------------------------------------------

/// A value of interest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    /// Where its entries begin, and how many there are.
    Map(Entries),
    List(Entries),
    /// Of another kind.
    Other,
}

/// The entries of a map or list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entries {
    at: u64,
    count: u64,
}

/// A section of values.
pub(super) struct Data<'a> {
    pages: Pages<'a>,
    /// What pointers count from.
    start: u64,
    budget: u64,
}

impl<'a> Data<'a> {
    pub(super) fn new(from: &'a dyn DatabaseBytes, start: u64) -> Data<'a> {
        let pages = Pages::new(from);
        let budget = pages.length().saturating_mul(VALUES_PER_BYTE_MAX).max(VALUES_MIN);
        Data { pages, start, budget }
    }

    /// The value at an offset into the section.
    pub(super) fn value(&mut self, offset: u64) -> Result<Value, Fault> {
        self.value_at(self.start.saturating_add(offset)).map(|(value, _)| value)
    }

    /// Visits a map's entries: key and value.
    pub(super) fn for_each_entry(
        &mut self,
        entries: Entries,
        visit: &mut dyn FnMut(&mut Data<'a>, &str, u64) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut at = entries.at;
        for _ in 0..entries.count {
            let (key, value) = self.value_at(at)?;
            let Value::Text(key) = key else {
                return Err(Fault::damaged("a record's field has no name"));
            };
            visit(self, &key, value - self.start)?;
            at = self.after(value)?;
        }
        Ok(())
    }

    /// Where a list's first value is, as an offset into the section.
    pub(super) fn first_of(&self, entries: Entries) -> Option<u64> {
        (entries.count > 0).then_some(entries.at - self.start)
    }

    /// The value, and where the next one is.
    fn value_at(&mut self, at: u64) -> Result<(Value, u64), Fault> {
        let mut head = self.head(at)?;
        let mut next = None;
        if head.kind == kind::POINTER {
            let (target, after) = self.pointer(head)?;
            next = Some(after);
            head = self.head(target)?;
        }
        let size = head.size as usize;
        let value = match head.kind {
            kind::POINTER => return Err(Fault::damaged("a pointer in it points to a pointer")),
            kind::TEXT => {
                let mut text = vec![0; size.min(TEXT_LENGTH_MAX)];
                self.pages.read(head.payload, &mut text)?;
                String::from_utf8(text).map_or(Value::Other, Value::Text)
            }
            kind::DOUBLE if size == 8 => {
                Value::Number(f64::from_be_bytes(self.array(head.payload)?))
            }
            kind::FLOAT if size == 4 => {
                Value::Number(f32::from_be_bytes(self.array(head.payload)?).into())
            }
            kind::UINT16 | kind::UINT32 | kind::UINT64 if size <= 8 => {
                Value::Number(self.integer(head.payload, size)? as f64)
            }
            kind::INT32 if size <= 4 => {
                let number = self.integer(head.payload, size)? as u32;
                // Shorter ones are positive.
                Value::Number(f64::from(number.cast_signed()))
            }
            kind::MAP => Value::Map(Entries { at: head.payload, count: head.size }),
            kind::LIST => Value::List(Entries { at: head.payload, count: head.size }),
            _ => Value::Other,
        };
        let next = match next {
            Some(next) => next,
            // What is inside is skipped again by whoever goes on after it.
            None if matches!(value, Value::Map(_) | Value::List(_)) => head.payload,
            None => head.payload.saturating_add(payload_length(head)),
        };
        Ok((value, next))
    }

    /// Where the value after this one is.
    fn after(&mut self, mut at: u64) -> Result<u64, Fault> {
        // Values that are still to be passed; each takes a byte or more.
        let mut left = 1u64;
        while left > 0 {
            let head = self.head(at)?;
            left -= 1;
            at = match head.kind {
                kind::POINTER => self.pointer(head)?.1,
                kind::MAP => {
                    left += 2 * head.size;
                    head.payload
                }
                kind::LIST => {
                    left += head.size;
                    head.payload
                }
                _ => head.payload.saturating_add(payload_length(head)),
            };
        }
        Ok(at)
    }

    fn head(&mut self, at: u64) -> Result<Head, Fault> {
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or_else(|| Fault::damaged("its records refer to one another without end"))?;
        let [control] = self.array(at)?;
        let mut payload = at + 1;
        let mut kind = control >> 5;
        if kind == 0 {
            let [more] = self.array(payload)?;
            kind = more.saturating_add(7);
            payload += 1;
        }
        let short = u64::from(control & 0x1f);
        if kind == kind::POINTER {
            return Ok(Head { kind, size: short, payload });
        }
        let (bytes, least) = match short {
            29 => (1, 29),
            30 => (2, 285),
            31 => (3, 65_821),
            _ => (0, short),
        };
        let size = least + self.integer(payload, bytes)?;
        Ok(Head { kind, size, payload: payload + bytes as u64 })
    }

    /// Where a pointer leads, and where the value after it is.
    fn pointer(&mut self, head: Head) -> Result<(u64, u64), Fault> {
        let class = (head.size >> 3) as usize;
        let bytes = class + 1;
        let low = self.integer(head.payload, bytes)?;
        // The longest leave no room for more bits in the first byte.
        let high = if bytes < 4 { (head.size & 7) << (8 * bytes) } else { 0 };
        let target = self.start.saturating_add((high | low) + POINTER_BASES[class & 3]);
        Ok((target, head.payload + bytes as u64))
    }

    /// A big-endian number of at most eight bytes.
    fn integer(&mut self, at: u64, bytes: usize) -> Result<u64, Fault> {
        let mut number = [0; 8];
        self.pages.read(at, &mut number[8 - bytes..])?;
        Ok(u64::from_be_bytes(number))
    }

    fn array<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        self.pages.read(at, &mut array)?;
        Ok(array)
    }
}

/// Bytes of a value that holds no others.
fn payload_length(head: Head) -> u64 {
    // A boolean's size is its value.
    if head.kind == kind::BOOLEAN { 0 } else { head.size }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of the map at the start, as far as they can be read.
    fn entries(bytes: &[u8]) -> Result<Vec<(String, Value)>, Fault> {
        let mut data = Data::new(&bytes, 0);
        let Value::Map(map) = data.value(0)? else { return Err(Fault::damaged("no map")) };
        let mut found = Vec::new();
        data.for_each_entry(map, &mut |data, key, value| {
            found.push((key.to_owned(), data.value(value)?));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn every_kind_of_value_is_read_or_passed_over() {
        let mut bytes = vec![0xe0 | 9];
        // uint16 of one byte; of none, which is 0.
        bytes.extend(b"\x41a\xa1\x07");
        bytes.extend(b"\x41b\xa0");
        // int32 of four bytes, and of one, which is never negative.
        bytes.extend(b"\x41c\x04\x01\xff\xff\xff\xfe");
        bytes.extend(b"\x41d\x01\x01\xfe");
        // true, float, and a list of a boolean and a uint128.
        bytes.extend(b"\x41e\x01\x07");
        bytes.extend(b"\x41f\x04\x08\x3f\x80\x00\x00");
        bytes.extend(b"\x41g\x02\x04\x00\x07\x10\x03");
        bytes.extend([0; 16]);
        // Text that is not UTF-8, and a pointer to the first key.
        bytes.extend(b"\x41h\x42\xff\xff");
        bytes.extend(b"\x41i\x20\x01");
        let found = entries(&bytes).unwrap();
        let numbers: Vec<Option<f64>> = found
            .iter()
            .map(|(_, value)| if let Value::Number(number) = value { Some(*number) } else { None })
            .collect();
        assert_eq!(numbers[..4], [Some(7.0), Some(0.0), Some(-2.0), Some(254.0)]);
        assert_eq!((&found[4].1, numbers[5]), (&Value::Other, Some(1.0)));
        assert!(matches!(found[6].1, Value::List(_)), "{found:?}");
        assert_eq!(found[7].1, Value::Other);
        assert_eq!(found[8], ("i".to_owned(), Value::Text("a".to_owned())));
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for (bytes, reason) in [
            (&b"\xe1\x41a\x20\x05\x20\x00"[..], "a pointer in it points to a pointer"),
            (b"\xe1\x41a\x20\xff", "a record reaches beyond the file's end"),
            (b"\xff\xff\xff\xff\x41a\xe0", "a record reaches beyond the file's end"),
            (b"\xe1\xa0\xa0", "a record's field has no name"),
            (b"\xe1\x5f\xff\xff\xff", "a record reaches beyond the file's end"),
        ] {
            let Err(Fault::Damaged(found)) = entries(bytes) else { panic!("{bytes:?}") };
            assert_eq!(found, reason, "{bytes:?}");
        }
    }

    #[test]
    fn maps_that_are_looked_through_again_and_again_end() {
        // A map of 100 fields; each look takes 200 values.
        let mut bytes = vec![0xfd, 100 - 29];
        bytes.extend(b"\x41a\xa0".repeat(100));
        let mut data = Data::new(&bytes, 0);
        let Value::Map(map) = data.value(0).unwrap() else { panic!("no map") };
        let looks = (0..1_000_000)
            .take_while(|_| data.for_each_entry(map, &mut |_, _, _| Ok(())).is_ok())
            .count();
        assert!((1_000..10_000).contains(&looks), "{looks}");
    }
}
