//! Records as a master file, all data as RFC 3597 5 has it: what is read back is what was
//! written, whatever the type.

use std::fmt::Write;

use crate::dns::name::write_presentation;
use crate::zone::Record;

/// The text of a master file with these records, in their order.
pub fn write(records: &[Record]) -> String {
    let mut text = String::with_capacity(records.len() * 80);
    for record in records {
        // Writing into a String cannot fail.
        let _ = write_presentation(record.owner.wire(), &mut text);
        let dot = if record.owner.is_root() { "" } else { "." };
        let length = record.rdata.len();
        let _ = write!(text, "{dot} {} IN TYPE{} \\# {length} ", record.ttl_s, record.rtype);
        for byte in &record.rdata {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}
