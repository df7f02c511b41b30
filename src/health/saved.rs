//! Health history as a file: what outlives the process (docs/HEALTH.md).
//!
//! ```text
//! "windrose health 1\n"    what this is, and its version
//! written at               u64, unix seconds
//! section…                 name (4 bytes), length of an entry (u16), count (u32),
//!                          entries: "targ", "hold"
//! "end\n"                  entries in all (u64), XXH3-128 of all before it
//! ```
//!
//! Numbers are little-endian. A section of another name is passed over, and so is
//! what follows the known part of an entry, so that an older release can read what
//! a newer one wrote in the same version.
//!
//! Decoding takes any bytes. What is cut or changed anywhere is refused as a
//! whole: half a history would bring back half of the members.
//!
//! It must not know files or the clock.

use xxhash_rust::xxh3::xxh3_128;

use super::machine::KeptMachine;
use super::stable::StableKey;

/// How a file of any version begins.
const MAGIC: &[u8] = b"windrose health ";
/// How ours goes on.
const VERSION: &[u8] = b"1\n";
const TARGETS: [u8; 4] = *b"targ";
const HOLDS: [u8; 4] = *b"hold";
const END: [u8; 4] = *b"end\n";
const TARGET_LENGTH: usize = 44;
const HOLD_LENGTH: usize = 37;

/// Bits of a target's flags.
const ELIGIBLE: u8 = 1;
const KNOWN: u8 = 2;
const STALE: u8 = 4;

/// History of all targets at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// Unix second at which it was taken.
    pub written_at_s: u32,
    /// By [`super::stable::target_key`].
    pub targets: Vec<(StableKey, KeptTarget)>,
    /// Verdicts that may not take part again by themselves.
    pub holds: Vec<SavedHold>,
}

/// What is kept of one target.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeptTarget {
    /// Verdict and counters.
    pub machine: KeptMachine,
    /// The verdict was an earlier process's by then. Of no concern once a process has
    /// ended; another that takes its place goes on with it.
    pub stale: bool,
    /// Unix second of the last change of state; 0: none yet.
    pub since_s: u32,
    /// Unix second at which it last stopped being eligible; 0: never.
    pub lost_at_s: u32,
    /// How often it became unknown, up and down.
    pub transitions: [u32; 3],
}

/// What is kept of one held verdict.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SavedHold {
    /// By [`super::stable::return_key`]: what it judges and how it comes back.
    pub verdict: StableKey,
    /// By [`super::stable::verdict_key`]: what it judges.
    pub judged: StableKey,
    /// What holds it: the owner of the holds numbers them; 0: nothing, but another
    /// of the same `judged` is held.
    pub kind: u8,
    /// Unix second since when.
    pub since_s: u32,
}

/// Why bytes are no history. In each case it is ignored as a whole.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// It does not begin as one.
    #[error("it is not a file of health state")]
    Foreign,
    /// Another version's.
    #[error("it is of version {0}, this release reads version 1")]
    Version(String),
    /// It stops short.
    #[error("it is cut short: {0} bytes without an end")]
    Cut(usize),
    /// The checksum is another.
    #[error("it is damaged: the checksum does not match")]
    Checksum,
    /// The checksum is right and the content is not: a bug of who wrote it.
    #[error("it is damaged: {0}")]
    Content(&'static str),
}

//------------ Encoding -------------------------------------------------------

impl Saved {
    /// The file.
    pub fn encode(&self) -> Vec<u8> {
        let entries = self.targets.len() * TARGET_LENGTH + self.holds.len() * HOLD_LENGTH;
        let mut out = Vec::with_capacity(entries + 128);
        out.extend(MAGIC);
        out.extend(VERSION);
        out.extend(u64::from(self.written_at_s).to_le_bytes());
        section(&mut out, TARGETS, TARGET_LENGTH, self.targets.len());
        for (key, kept) in &self.targets {
            encode_target(&mut out, *key, kept);
        }
        section(&mut out, HOLDS, HOLD_LENGTH, self.holds.len());
        for hold in &self.holds {
            out.extend(hold.verdict.to_le_bytes());
            out.extend(hold.judged.to_le_bytes());
            out.push(hold.kind);
            out.extend(hold.since_s.to_le_bytes());
        }
        out.extend(END);
        out.extend((self.targets.len() as u64 + self.holds.len() as u64).to_le_bytes());
        let checksum = xxh3_128(&out);
        out.extend(checksum.to_le_bytes());
        out
    }
}

fn section(out: &mut Vec<u8>, name: [u8; 4], entry_length: usize, count: usize) {
    out.extend(name);
    out.extend((entry_length as u16).to_le_bytes());
    // Targets and verdicts are numbered in 32 bits.
    out.extend((count as u32).to_le_bytes());
}

fn encode_target(out: &mut Vec<u8>, key: StableKey, kept: &KeptTarget) {
    let machine = &kept.machine;
    let flags = u8::from(machine.eligible) * ELIGIBLE
        + u8::from(machine.known) * KNOWN
        + u8::from(kept.stale) * STALE;
    out.extend(key.to_le_bytes());
    out.extend([flags, machine.failures, machine.successes, machine.doublings]);
    out.extend(machine.flap_left_ms.to_le_bytes());
    out.extend(kept.since_s.to_le_bytes());
    out.extend(kept.lost_at_s.to_le_bytes());
    for count in kept.transitions {
        out.extend(count.to_le_bytes());
    }
}

//------------ Decoding -------------------------------------------------------

impl Saved {
    /// Reads a file. Takes no more memory than a small multiple of its length.
    ///
    /// # Errors
    /// What [`Unusable`] says.
    pub fn decode(bytes: &[u8]) -> Result<Saved, Unusable> {
        let (body, promised) = verified(bytes)?;
        let mut reader = Reader(body);
        let written_at_s = reader.number().map(u64::from_le_bytes).ok_or(TOO_SHORT)?;
        let mut saved = Saved {
            written_at_s: u32::try_from(written_at_s).unwrap_or(u32::MAX),
            ..Saved::default()
        };
        let mut entries = 0;
        while !reader.0.is_empty() {
            let section = Section::read(&mut reader).ok_or(TOO_SHORT)?;
            entries += section.count;
            match section.name {
                TARGETS => saved.targets = section.entries(decode_target).ok_or(TOO_SHORT)?,
                HOLDS => saved.holds = section.entries(decode_hold).ok_or(TOO_SHORT)?,
                _ => {}
            }
        }
        if entries as u64 != promised {
            return Err(Unusable::Content("another number of entries than it says"));
        }
        Ok(saved)
    }
}

const TOO_SHORT: Unusable = Unusable::Content("a part is longer than what there is of it");

/// What stands between the version and the trailer, and how many entries there
/// are said to be.
fn verified(bytes: &[u8]) -> Result<(&[u8], u64), Unusable> {
    let cut = Unusable::Cut(bytes.len());
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(if MAGIC.starts_with(bytes) { cut } else { Unusable::Foreign });
    };
    if !rest.starts_with(VERSION) {
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let shown = &line[..line.len().min(VERSION_SHOWN_MAX)];
        let version = || Unusable::Version(String::from_utf8_lossy(shown).escape_debug().collect());
        return Err(if VERSION.starts_with(rest) { cut } else { version() });
    }
    let (content, checksum) = bytes.split_last_chunk().ok_or(cut.clone())?;
    let (content_to_end, count) = content.split_last_chunk().ok_or(cut.clone())?;
    let body = content_to_end.strip_suffix(&END).ok_or(cut.clone())?;
    let body = body.get(MAGIC.len() + VERSION.len()..).ok_or(cut)?;
    if xxh3_128(content) != u128::from_le_bytes(*checksum) {
        return Err(Unusable::Checksum);
    }
    Ok((body, u64::from_le_bytes(*count)))
}

/// Most bytes of another version's number that are shown.
const VERSION_SHOWN_MAX: usize = 20;

/// What is left to be read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_le_bytes)
    }
}

/// Entries of one kind.
struct Section<'b> {
    name: [u8; 4],
    entry_length: usize,
    count: usize,
    bytes: &'b [u8],
}

impl<'b> Section<'b> {
    fn read(reader: &mut Reader<'b>) -> Option<Section<'b>> {
        let name = reader.number()?;
        let entry_length = usize::from(reader.number().map(u16::from_le_bytes)?);
        let count = reader.u32()? as usize;
        let bytes = reader.take(entry_length.checked_mul(count)?)?;
        Some(Section { name, entry_length, count, bytes })
    }

    /// None when entries are shorter than what `decode` reads of them. The number of
    /// entries is bounded by the bytes that are there, for none has no length.
    fn entries<T>(&self, decode: impl Fn(&mut Reader<'b>) -> Option<T>) -> Option<Vec<T>> {
        if self.entry_length == 0 {
            return (self.count == 0).then(Vec::new);
        }
        self.bytes.chunks_exact(self.entry_length).map(|entry| decode(&mut Reader(entry))).collect()
    }
}

fn decode_target(entry: &mut Reader<'_>) -> Option<(StableKey, KeptTarget)> {
    let key = entry.number().map(u128::from_le_bytes)?;
    let [flags, failures, successes, doublings] = entry.number()?;
    let machine = KeptMachine {
        eligible: flags & ELIGIBLE != 0,
        known: flags & KNOWN != 0,
        failures,
        successes,
        doublings,
        flap_left_ms: entry.u32()?,
    };
    let kept = KeptTarget {
        machine,
        stale: flags & STALE != 0,
        since_s: entry.u32()?,
        lost_at_s: entry.u32()?,
        transitions: [entry.u32()?, entry.u32()?, entry.u32()?],
    };
    Some((key, kept))
}

fn decode_hold(entry: &mut Reader<'_>) -> Option<SavedHold> {
    Some(SavedHold {
        verdict: entry.number().map(u128::from_le_bytes)?,
        judged: entry.number().map(u128::from_le_bytes)?,
        kind: u8::from_le_bytes(entry.number()?),
        since_s: entry.u32()?,
    })
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
