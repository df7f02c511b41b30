//! What operators say of VIPs, laid over what health says.
//!
//! ```text
//! WIP ──► its own row, or its strategy's, or none ──► one [`Laid`] for each VIP
//! verdict word of a VIP, under its `Laid` ──► the word that decides
//! ```
//!
//! Health's table knows nothing of operators: a drain is a new overlay in the next
//! batch's `Serving`, not a store into words that other WIPs share. A WIP that nobody
//! said anything of has no row, and costs a query one look at an empty overlay.
//!
//! It must not know who said it, why, until when, or any name.

use std::collections::HashMap;

use crate::health::table::{Override, State, TTL_CAP_NONE, Word};

/// No row.
const NONE: u32 = u32::MAX;

/// What is laid over one VIP's word.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Laid {
    /// The operator's word.
    pub over: Override,
    /// It will soon be taken out: answers that depend on it get the least TTL.
    pub leaves_soon: bool,
    /// It is thought to have been lost just now, whatever probes say.
    pub lost: bool,
}

impl Laid {
    /// The word that decides.
    #[inline]
    pub fn over(self, word: Word) -> Word {
        let word = if self.lost { lost_last() } else { word };
        let word = word.with_override(self.over);
        if self.leaves_soon { word.with_ttl_cap_s(0) } else { word }
    }
}

/// The word of a VIP that is down, and went down after all others.
fn lost_last() -> Word {
    Word::new(State::Down, false, Override::None, TTL_CAP_NONE, u32::MAX)
}

/// All that operators say of one snapshot's VIPs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    rows: Vec<Box<[Laid]>>,
    /// Of each strategy; shorter where the last have none.
    by_strategy: Vec<u32>,
    /// Of WIPs whose row is not their strategy's.
    by_wip: HashMap<u32, u32>,
}

impl Overlay {
    /// True when nobody said anything.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What is laid over the VIPs of a WIP, in the order of its strategy; empty: nothing.
    #[inline]
    pub fn row(&self, wip: u32, strategy: u32) -> &[Laid] {
        if self.is_empty() {
            return &[];
        }
        self.find(wip, strategy)
    }

    /// This one, changed: `lay` gets a strategy and the row that is laid there, empty for
    /// nothing, and says what is to be. `strategy_of` tells of a WIP.
    #[must_use]
    pub fn changed(
        &self,
        strategies: u32,
        strategy_of: impl Fn(u32) -> u32,
        mut lay: impl FnMut(u32, &[Laid]) -> Vec<Laid>,
    ) -> Overlay {
        let mut builder = Builder::default();
        for strategy in 0..strategies {
            // No WIP has this number: the strategy's own row.
            builder.of_strategy(strategy, &lay(strategy, self.row(NONE, strategy)));
        }
        for &wip in self.by_wip.keys() {
            let strategy = strategy_of(wip);
            builder.of_wip(wip, &lay(strategy, self.row(wip, strategy)));
        }
        builder.build()
    }

    /// This one with a newer one over it: its word wins where it says one.
    #[must_use]
    pub fn under(
        &self,
        newer: &Overlay,
        strategies: u32,
        strategy_of: impl Fn(u32) -> u32,
    ) -> Overlay {
        let mut builder = Builder::default();
        for strategy in 0..strategies {
            let row = joined(self.row(NONE, strategy), newer.row(NONE, strategy));
            builder.of_strategy(strategy, &row);
        }
        for &wip in self.by_wip.keys().chain(newer.by_wip.keys()) {
            let strategy = strategy_of(wip);
            builder.of_wip(wip, &joined(self.row(wip, strategy), newer.row(wip, strategy)));
        }
        builder.build()
    }

    #[inline(never)]
    fn find(&self, wip: u32, strategy: u32) -> &[Laid] {
        let of_strategy = || self.by_strategy.get(strategy as usize).copied().unwrap_or(NONE);
        let row = self.by_wip.get(&wip).copied().unwrap_or_else(of_strategy);
        self.rows.get(row as usize).map_or(&[], |row| row)
    }
}

/// One row over another.
fn joined(older: &[Laid], newer: &[Laid]) -> Vec<Laid> {
    let at = |row: &[Laid], vip: usize| row.get(vip).copied().unwrap_or_default();
    (0..older.len().max(newer.len()))
        .map(|vip| match (at(older, vip), at(newer, vip)) {
            (older, newer) if newer.over == Override::None => older,
            (older, newer) => Laid { lost: older.lost || newer.lost, ..newer },
        })
        .collect()
}

//------------ Building -------------------------------------------------------

/// An overlay that grows. Equal rows are one.
#[derive(Debug, Default)]
pub struct Builder {
    overlay: Overlay,
    known: HashMap<Box<[Laid]>, u32>,
}

impl Builder {
    /// Lays `row` over every WIP of a strategy that has none of its own.
    pub fn of_strategy(&mut self, strategy: u32, row: &[Laid]) {
        let row = self.intern(row);
        let slots = &mut self.overlay.by_strategy;
        if slots.len() <= strategy as usize {
            slots.resize(strategy as usize + 1, NONE);
        }
        slots[strategy as usize] = row;
    }

    /// Lays `row` over one WIP, whatever its strategy has.
    pub fn of_wip(&mut self, wip: u32, row: &[Laid]) {
        let row = self.intern(row);
        self.overlay.by_wip.insert(wip, row);
    }

    /// The overlay.
    pub fn build(self) -> Overlay {
        let Builder { overlay, .. } = self;
        // Rows that say nothing are kept nowhere; without any other it is empty.
        if overlay.rows.is_empty() { Overlay::default() } else { overlay }
    }

    fn intern(&mut self, row: &[Laid]) -> u32 {
        if row.iter().all(|laid| *laid == Laid::default()) {
            return NONE;
        }
        let rows = &mut self.overlay.rows;
        if let Some(&known) = self.known.get(row) {
            return known;
        }
        rows.push(row.into());
        let index = (rows.len() - 1) as u32;
        self.known.insert(row.into(), index);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAINED: Laid = Laid { over: Override::Drained, leaves_soon: false, lost: false };

    #[test]
    fn a_wips_own_row_wins_over_its_strategys() {
        let mut builder = Builder::default();
        builder.of_strategy(1, &[DRAINED, Laid::default()]);
        builder.of_wip(7, &[Laid::default(), DRAINED]);
        builder.of_wip(8, &[Laid::default(), Laid::default()]);
        let overlay = builder.build();
        assert_eq!(overlay.row(6, 1), [DRAINED, Laid::default()]);
        assert_eq!(overlay.row(7, 1), [Laid::default(), DRAINED]);
        assert_eq!(overlay.row(8, 1), [], "said to have nothing, whatever its strategy has");
        assert_eq!((overlay.row(6, 0), overlay.row(6, 2)), (&[][..], &[][..]));
    }

    #[test]
    fn a_changed_overlay_keeps_what_is_said_of_others() {
        let mut builder = Builder::default();
        builder.of_strategy(1, &[DRAINED, Laid::default()]);
        builder.of_wip(7, &[Laid::default(), DRAINED]);
        let lost = Laid { lost: true, ..Laid::default() };
        let changed = builder.build().changed(
            3,
            |_| 1,
            |strategy, row| match strategy {
                1 => vec![row[0], Laid { lost: true, ..row[1] }],
                2 => vec![lost],
                _ => row.to_vec(),
            },
        );
        assert_eq!(changed.row(0, 0), []);
        assert_eq!(changed.row(6, 1), [DRAINED, lost]);
        assert_eq!(changed.row(7, 1), [Laid::default(), Laid { lost: true, ..DRAINED }]);
        assert_eq!(changed.row(6, 2), [lost]);
        let word = lost.over(Word::UP);
        assert_eq!(
            (word.state(), word.available(), word.lost_at_s()),
            (State::Down, false, u32::MAX)
        );
        let forced = Laid { over: Override::ForcedUp, ..lost }.over(Word::UP);
        assert!(forced.available(), "an operator's word wins over a thought loss too");
    }

    #[test]
    fn a_newer_overlay_wins_where_it_says_a_word() {
        let up = Laid { over: Override::ForcedUp, ..Laid::default() };
        let none = Laid::default();
        let mut older = Builder::default();
        older.of_strategy(0, &[DRAINED, DRAINED]);
        older.of_wip(7, &[none, DRAINED]);
        let mut newer = Builder::default();
        newer.of_strategy(0, &[up, none]);
        newer.of_wip(8, &[none, up]);
        let both = older.build().under(&newer.build(), 1, |_| 0);
        assert_eq!(both.row(1, 0), [up, DRAINED]);
        assert_eq!(both.row(7, 0), [up, DRAINED]);
        assert_eq!(both.row(8, 0), [DRAINED, up]);
    }

    #[test]
    fn rows_that_say_nothing_leave_it_empty() {
        let mut builder = Builder::default();
        builder.of_strategy(0, &[Laid::default()]);
        builder.of_wip(3, &[Laid::default()]);
        assert!(builder.build().is_empty());
    }

    #[test]
    fn an_operators_word_wins_over_health() {
        let laid = |over, leaves_soon| Laid { over, leaves_soon, lost: false };
        let down = Word::new(State::Down, false, Override::None, 7, 9);
        let forced = laid(Override::ForcedUp, false).over(down.held().with_share(3));
        assert!(forced.available() && !forced.is_held());
        assert_eq!((forced.share(), forced.ttl_cap_s()), (256, TTL_CAP_NONE));
        assert_eq!((forced.state(), forced.lost_at_s()), (State::Down, 9), "probes go on");
        for over in [Override::Drained, Override::ForcedDown] {
            let word = laid(over, false).over(Word::UP);
            assert_eq!((word.available(), word.over(), word.state()), (false, over, State::Up));
        }
        assert_eq!(laid(Override::None, false).over(down), down);
        let soon = laid(Override::None, true).over(Word::UP);
        assert_eq!((soon.available(), soon.ttl_cap_s()), (true, 0));
    }
}
