//! A database's bytes, a few pages at a time: a city database is larger than the
//! table that is made of it, and need not be held.
//!
//! It must not know where the bytes lie: files belong to those who open them.

use std::io;

/// Bytes of a page; a search tree is read from front to back.
const PAGE_LENGTH: usize = 16 * 1024;
/// Pages held: 2 MiB.
const PAGES: usize = 128;
/// No page has this number: it would begin beyond 2⁶⁴ bytes.
const NO_PAGE: u64 = u64::MAX;

//------------ DatabaseBytes --------------------------------------------------

/// Where a database's bytes are. They must stay as they are while they are read;
/// what changes meanwhile makes a table that is wrong or refused, and no more.
pub trait DatabaseBytes {
    /// How many there are.
    fn length(&self) -> u64;

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// When they cannot be read, or are fewer.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

impl DatabaseBytes for &[u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..));
        let found = from.and_then(|from| from.get(..into.len()));
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl DatabaseBytes for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(at, into)
    }
}

//------------ Pages ----------------------------------------------------------

/// The pages read last, each where its number says.
pub(super) struct Pages<'a> {
    from: &'a dyn DatabaseBytes,
    length: u64,
    numbers: Box<[u64]>,
    bytes: Box<[u8]>,
}

/// Why bytes were not to be had.
#[derive(Debug)]
pub(super) enum Missing {
    /// There are none.
    Beyond,
    /// There should be, but they could not be read.
    Unreadable(io::Error),
}

impl<'a> Pages<'a> {
    pub(super) fn new(from: &'a dyn DatabaseBytes) -> Pages<'a> {
        let length = from.length();
        let pages = length.div_ceil(PAGE_LENGTH as u64).clamp(1, PAGES as u64) as usize;
        Pages {
            from,
            length,
            numbers: vec![NO_PAGE; pages].into(),
            bytes: vec![0; pages * PAGE_LENGTH].into(),
        }
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills `into` with the bytes from `at` on.
    #[inline]
    pub(super) fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Missing> {
        let (mut at, mut into) = (at, into);
        while !into.is_empty() {
            let page = self.page(at / PAGE_LENGTH as u64)?;
            let found = page.get((at % PAGE_LENGTH as u64) as usize..).unwrap_or_default();
            let count = found.len().min(into.len());
            if count == 0 {
                return Err(Missing::Beyond);
            }
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(&found[..count]);
            (at, into) = (at.saturating_add(count as u64), later);
        }
        Ok(())
    }

    /// A page, as far as there are bytes.
    #[inline]
    fn page(&mut self, number: u64) -> Result<&[u8], Missing> {
        let first = number * PAGE_LENGTH as u64;
        let rest = self.length.checked_sub(first).ok_or(Missing::Beyond)?;
        let length = rest.min(PAGE_LENGTH as u64) as usize;
        let place = (number % self.numbers.len() as u64) as usize;
        let bytes = &mut self.bytes[place * PAGE_LENGTH..][..length];
        if self.numbers[place] != number {
            self.numbers[place] = NO_PAGE;
            self.from.read_at(first, bytes).map_err(Missing::Unreadable)?;
            self.numbers[place] = number;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_is_what_is_there(
            length in 0usize..4 * PAGE_LENGTH,
            reads in prop::collection::vec((any::<prop::sample::Index>(), 0usize..300), 1..50),
        ) {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut pages = Pages::new(&bytes);
            for (at, count) in reads {
                let at = at.index(length + 10);
                let mut into = vec![0; count];
                let read = pages.read(at as u64, &mut into);
                match bytes.get(at..at + count) {
                    Some(expected) => prop_assert_eq!(expected, &into[..]),
                    None => prop_assert!(count == 0 || matches!(read, Err(Missing::Beyond))),
                }
            }
        }
    }

    #[test]
    fn more_pages_than_are_held_take_turns() {
        let bytes: Vec<u8> = (0..(PAGES + 9) * PAGE_LENGTH).map(|at| (at / 7) as u8).collect();
        let mut pages = Pages::new(&bytes);
        for _ in 0..2 {
            for at in (0..bytes.len() - 8).step_by(5_003) {
                let mut into = [0; 8];
                pages.read(at as u64, &mut into).unwrap();
                assert_eq!(into, bytes[at..at + 8]);
            }
        }
    }
}
