//! SOA serials: fixed by the config, or the time of the load that changed a
//! zone's content, strictly increasing (docs/CONFIG.md; RFC 1912 2.2).

use std::collections::BTreeMap;

use crate::dns::Name;
use crate::dns::types::is_newer;

/// A zone's serial and the content it stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Serial {
    /// The number in the SOA.
    pub number: u32,
    /// Hash of the content.
    pub content_hash: u64,
}

/// Serials by zone, kept from load to load and over restarts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Serials(pub BTreeMap<Name, Serial>);

impl Serials {
    /// The serial of `origin` with this content at `now_s`. A clock that went
    /// back does not take the serial with it.
    pub fn next(&self, origin: &Name, content_hash: u64, now_s: u64) -> Serial {
        match self.0.get(origin) {
            Some(serial) if serial.content_hash == content_hash => *serial,
            Some(serial) => {
                let number = (now_s as u32).max(serial.number.wrapping_add(1));
                Serial { number, content_hash }
            }
            None => Serial { number: now_s as u32, content_hash },
        }
    }

    /// The serial of `origin` where its master file gives one: that, unless it did not
    /// move though the content did. Then it is one more than the last, or secondaries
    /// would never learn of a change of the WIPs in the zone.
    pub fn next_given(&self, origin: &Name, content_hash: u64, given: u32) -> Serial {
        let number = match self.0.get(origin) {
            Some(serial) if serial.content_hash == content_hash => serial.number,
            Some(serial) if !is_newer(given, serial.number) => serial.number.wrapping_add(1),
            _ => given,
        };
        Serial { number, content_hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_the_serial_unless_content_moved_without_it() {
        let origin = Name::parse("example").unwrap();
        let mut serials = Serials::default();
        let mut next = |hash, given| {
            let serial = serials.next_given(&origin, hash, given);
            serials.0.insert(origin.clone(), serial);
            serial.number
        };
        assert_eq!(next(1, 10), 10);
        assert_eq!(next(1, 10), 10, "nothing changed");
        assert_eq!(next(2, 10), 11, "a WIP changed");
        assert_eq!(next(3, 20), 20, "the file's moved too");
        assert_eq!(next(4, 15), 21, "the file's went back");
        assert_eq!(next(5, u32::MAX), 22, "far ahead is back (RFC 1982)");
        assert!(is_newer(1, u32::MAX) && !is_newer(u32::MAX, 1) && !is_newer(1 << 31, 0));
    }

    #[test]
    fn a_serial_grows_with_content_alone_whatever_the_clock_does() {
        let origin = Name::parse("example").unwrap();
        let mut serials = Serials::default();
        let mut next = |hash, now| {
            let serial = serials.next(&origin, hash, now);
            serials.0.insert(origin.clone(), serial);
            serial.number
        };
        assert_eq!(next(1, 1_000), 1_000);
        assert_eq!(next(1, 2_000), 1_000, "unchanged content");
        assert_eq!(next(2, 3_000), 3_000);
        assert_eq!(next(3, 500), 3_001, "clock went back");
        assert_eq!(next(4, 3_001), 3_002, "two loads in one second");
    }
}
