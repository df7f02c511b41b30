//! SOA serials: fixed by the config, or the time of the load that changed a
//! zone's content, strictly increasing (docs/CONFIG.md; RFC 1912 2.2).

use std::collections::BTreeMap;

use crate::dns::Name;

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
