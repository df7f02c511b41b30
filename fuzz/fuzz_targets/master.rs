//! Any text as a master file: records or errors, each error in the text; and what
//! is read makes zones or errors.

use windrose::dns::Name;
use windrose::zone::{Builder, TTL_S_MAX, master};

pub(crate) fn run(text: &[u8]) {
    let origin = Name::parse("example.com").unwrap();
    let records = match master::parse(text, &origin, 3600) {
        Ok(records) => records,
        Err(errors) => {
            let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
            assert!(!errors.is_empty() && errors.len() <= 1_000);
            for error in errors {
                assert!((1..=lines).contains(&(error.line as usize)), "{error}");
                assert!(error.column >= 1, "{error}");
                assert!(!error.message.is_empty());
            }
            return;
        }
    };
    for record in &records {
        assert!(record.owner.is_at_or_below(&origin));
        assert!(record.ttl_s <= TTL_S_MAX);
        assert!(record.rdata.len() <= 65_535);
    }
    let mut builder = Builder::new();
    builder.add_zone(origin, records.clone());
    if let Ok(zones) = builder.build() {
        for record in &records {
            zones.lookup(record.owner.wire(), record.rtype);
        }
    }
}
