//! Messages of a transfer: whatever a primary sends, what is taken is a zone with one SOA,
//! and what is written of it is read back.

use windrose::dns::Name;
use windrose::zone::master;
use windrose::zone::transfer_in::{Bounds, Incoming, Received, apply, check};

pub(crate) fn run(data: &[u8]) {
    let origin = Name::parse("example").unwrap();
    let Some((&held, rest)) = data.split_first() else { return };
    let held = (held & 1 == 1).then_some(u32::from(held >> 1));
    let bounds = Bounds { records: 1_000, bytes: 1 << 16 };
    let mut incoming = Incoming::new(&origin, [0, 0], held, bounds);
    let mut rest = rest;
    while let Some((length, body)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(body.len());
        let (message, next) = body.split_at(length);
        rest = next;
        match incoming.take(message) {
            Ok(None) => {}
            Ok(Some(Received::Whole(records))) => {
                if check(&origin, &records).is_ok() {
                    let text = master::write(&records);
                    let again = master::parse(text.as_bytes(), &origin, 0);
                    if let Ok(again) = again {
                        assert_eq!(again, records);
                    }
                }
                return;
            }
            Ok(Some(Received::Changes(changes))) => {
                let _ = apply(Vec::new(), &changes);
                return;
            }
            Ok(Some(Received::Current)) | Err(_) => return,
        }
    }
}
