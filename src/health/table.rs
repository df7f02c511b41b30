//! The health table: one atomic word per verdict, written by one task, read by
//! every query.
//!
//! ```text
//! bit  0-1   probed state: 0 unknown, 1 up, 2 down
//! bit  2     available: may be answered, gate and override counted in
//! bit  3-4   override: 0 none, 1 drained, 2 forced up, 3 forced down; never in the table:
//!            laid over by who reads (steer::overlay)
//! bit  5     held: was lost, came back, and may not take part yet; never with bit 2
//! bit  8-15  share of clients it may take in 1/256, less one; 255: all, which all
//!            have but those that ramp up after a return
//! bit 16-31  most seconds of TTL; 65535: no limit; 0: the least allowed
//! bit 32-63  unix second at which it last stopped being available; 0: never
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::VerdictId;

/// A probed state (docs/HEALTH.md).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum State {
    /// Not judged yet, or no verdict for too long.
    #[default]
    Unknown,
    /// Passing.
    Up,
    /// Failing.
    Down,
}

impl State {
    /// The word for logs, labels and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Up => "up",
            State::Down => "down",
        }
    }
}

/// An operator's word over health.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Override {
    /// Health decides.
    #[default]
    None,
    /// Out of new answers while health goes on being measured.
    Drained,
    /// Available whatever health and gate say.
    ForcedUp,
    /// Never answered.
    ForcedDown,
}

/// [`Word::ttl_cap_s`] of a verdict that does not shorten TTLs.
pub const TTL_CAP_NONE: u16 = u16::MAX;

/// Parts of clients that [`Word::share`] counts in.
pub const SHARE_FULL: u16 = 256;

/// The bits of a share that is whole.
const WHOLE: u64 = 0xff << 8;
const HELD: u64 = 1 << 5;

/// The bits of a word that is available, takes every client and shortens no TTL.
const CALM: u64 = 0b100 | WHOLE | (TTL_CAP_NONE as u64) << 16;

/// The bits that a veil takes away: the state and the seconds of TTL.
const VEIL: u64 = 0b11 | 0xffff << 16;

/// One verdict as queries see it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Word(u64);

impl Word {
    /// Never judged: available, at the least TTL.
    pub const UNKNOWN: Word = Word(0b100 | WHOLE);
    /// Up with nothing pending.
    pub const UP: Word = Word(0b101 | WHOLE | (TTL_CAP_NONE as u64) << 16);

    /// Packs the parts: not held, and taking every client.
    pub fn new(
        state: State,
        available: bool,
        over: Override,
        ttl_cap_s: u16,
        lost_at_s: u32,
    ) -> Word {
        Word(
            state as u64
                | u64::from(available) << 2
                | (over as u64) << 3
                | WHOLE
                | u64::from(ttl_cap_s) << 16
                | u64::from(lost_at_s) << 32,
        )
    }

    /// The same, kept out of answers although probes say it is up.
    pub fn held(self) -> Word {
        Word(self.0 & !0b100 | HELD)
    }

    /// The same, taking `share` of [`SHARE_FULL`] parts of its clients; at least one.
    pub fn with_share(self, share: u16) -> Word {
        Word(self.0 & !WHOLE | u64::from(share.clamp(1, SHARE_FULL) - 1) << 8)
    }

    /// The same under an operator's word, which settles whether it may be answered.
    pub fn with_override(self, over: Override) -> Word {
        let settled =
            Word(self.0 & !(0b111 << 2) | (over as u64) << 3).with_ttl_cap_s(TTL_CAP_NONE);
        match over {
            Override::None => self,
            Override::Drained | Override::ForcedDown => settled,
            Override::ForcedUp => Word(settled.0 & !HELD | 0b100 | WHOLE),
        }
    }

    /// The same with another [`Word::ttl_cap_s`].
    pub fn with_ttl_cap_s(self, ttl_cap_s: u16) -> Word {
        Word(self.0 & !(0xffff << 16) | u64::from(ttl_cap_s) << 16)
    }

    /// What probes say.
    pub fn state(self) -> State {
        match self.0 & 0b11 {
            1 => State::Up,
            2 => State::Down,
            _ => State::Unknown,
        }
    }

    /// Whether it may be answered: health, gate and override counted in.
    #[inline]
    pub fn available(self) -> bool {
        self.0 & 0b100 != 0
    }

    /// Whether it came back after a loss and may not take part yet.
    #[inline]
    pub fn is_held(self) -> bool {
        self.0 & HELD != 0
    }

    /// How many of [`SHARE_FULL`] parts of its clients it takes; fewer than all while
    /// it ramps up after a return.
    #[inline]
    pub fn share(self) -> u16 {
        ((self.0 & WHOLE) >> 8) as u16 + 1
    }

    /// What queries see, in a word for logs, the API and the page: an operator's word,
    /// "held", or what probes say.
    pub fn effective(self) -> &'static str {
        match self.over() {
            Override::None if self.is_held() => "held",
            Override::None => self.state().as_str(),
            Override::Drained => "drained",
            Override::ForcedUp => "forced-up",
            Override::ForcedDown => "forced-down",
        }
    }

    /// The operator's word.
    pub fn over(self) -> Override {
        match self.0 >> 3 & 0b11 {
            1 => Override::Drained,
            2 => Override::ForcedUp,
            3 => Override::ForcedDown,
            _ => Override::None,
        }
    }

    /// Most seconds an answer that depends on it may live; [`TTL_CAP_NONE`]: no limit.
    #[inline]
    pub fn ttl_cap_s(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The same, lost at another second.
    pub fn with_lost_at_s(self, lost_at_s: u32) -> Word {
        Word(self.0 & u64::from(u32::MAX) | u64::from(lost_at_s) << 32)
    }

    /// Unix second at which it last stopped being available; 0: never.
    pub fn lost_at_s(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// All words of one snapshot.
#[derive(Debug, Default)]
pub struct Table {
    words: Box<[AtomicU64]>,
}

impl Table {
    /// A table of `length` words, all unknown.
    pub fn new(length: usize) -> Table {
        Table { words: (0..length).map(|_| AtomicU64::new(Word::UNKNOWN.0)).collect() }
    }

    /// Reads one word; a word out of range reads as up.
    #[inline]
    pub fn word(&self, id: VerdictId) -> Word {
        self.words.get(id as usize).map_or(Word::UP, |word| Word(word.load(Ordering::Relaxed)))
    }

    /// Whether all of `ids` are available, take every client and shorten no TTL:
    /// nothing to judge.
    #[inline]
    pub fn all_calm(&self, ids: &[VerdictId]) -> bool {
        // Without a branch on what is read: they are all calm nearly always.
        let mut all = CALM;
        for &id in ids {
            all &= self.word(id).0;
        }
        all == CALM
    }

    /// Writes one word. One task alone may do so.
    pub fn set(&self, id: VerdictId, word: Word) {
        if let Some(slot) = self.words.get(id as usize) {
            slot.store(word.0, Ordering::Relaxed);
        }
    }

    /// Makes every word unknown and keeps what was answered, at the least TTL: for
    /// whoever finds that the one task that writes them does so no more. That task
    /// must write every word again before it goes on.
    pub fn veil(&self) {
        for word in &self.words {
            // Another veil, or the task come back to life: its word is veiled too.
            word.fetch_and(!VEIL, Ordering::Relaxed);
        }
    }

    /// The words as they are now: a look at many of them that no flip comes between.
    pub fn frozen(&self) -> Table {
        let words = self.words.iter();
        Table { words: words.map(|w| AtomicU64::new(w.load(Ordering::Relaxed))).collect() }
    }

    /// How many words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_veil_leaves_what_is_answered_and_takes_away_the_rest() {
        let table = Table::new(3);
        table.set(0, Word::UP);
        table.set(1, Word::new(State::Down, false, Override::Drained, 9, 1_800_000_000));
        table.veil();
        assert_eq!(table.word(0), Word::new(State::Unknown, true, Override::None, 0, 0));
        let lost = Word::new(State::Unknown, false, Override::Drained, 0, 1_800_000_000);
        assert_eq!((table.word(1), table.word(2)), (lost, Word::UNKNOWN));
    }

    #[test]
    fn a_word_gives_back_its_parts() {
        for state in [State::Unknown, State::Up, State::Down] {
            for over in
                [Override::None, Override::Drained, Override::ForcedUp, Override::ForcedDown]
            {
                let word = Word::new(state, true, over, 17, 1_800_000_000);
                assert_eq!(
                    (
                        word.state(),
                        word.available(),
                        word.over(),
                        word.ttl_cap_s(),
                        word.lost_at_s()
                    ),
                    (state, true, over, 17, 1_800_000_000)
                );
            }
        }
    }

    #[test]
    fn only_a_word_that_takes_every_client_is_calm() {
        let table = Table::new(2);
        table.set(0, Word::UP);
        table.set(1, Word::UP);
        assert!(table.all_calm(&[0, 1]));
        for share in 1..SHARE_FULL {
            let word = Word::UP.with_share(share);
            table.set(1, word);
            assert_eq!((word.share(), word.available()), (share, true));
            assert!(!table.all_calm(&[0, 1]), "{share}");
        }
        assert_eq!(Word::UP.with_share(0).share(), 1, "a member that returns takes somebody");
        assert_eq!(Word::UP.with_share(SHARE_FULL), Word::UP);
        assert_eq!(Word::UNKNOWN.share(), SHARE_FULL);
    }

    #[test]
    fn a_held_word_is_up_and_not_available() {
        let word = Word::UP.held();
        assert_eq!((word.state(), word.available(), word.is_held()), (State::Up, false, true));
        assert!(!Word::UP.is_held());
        let table = Table::new(1);
        table.set(0, word);
        assert!(!table.all_calm(&[0]));
    }
}
