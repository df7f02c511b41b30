//! A record whose data is put together while it is written.

use super::{Full, Section, Writer};

impl Writer<'_> {
    /// Writes a record whose data stands in pieces, names in it as they are, or nothing.
    pub fn put_pieces(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: u16,
        ttl_s: u32,
        pieces: &[&[u8]],
    ) -> Result<(), Full> {
        let (at, offset_count) = (self.at, self.offset_count);
        let written = self.put_head(owner, rtype, ttl_s).and_then(|length_at| {
            pieces.iter().try_for_each(|piece| self.put(piece))?;
            self.end_record(section, length_at);
            Ok(())
        });
        if written.is_err() {
            (self.at, self.offset_count) = (at, offset_count);
        }
        written
    }
}
