//! The sums of the query path's counters, as a scrape reads them.

use super::counters::{
    DropReason, DropStage, FAMILIES, RATE_ACTIONS, RATE_CLASSES, RCODE_SLOTS, REASONS, REFUSALS,
    TRANSPORTS,
};
use super::histogram::HistogramTotals;
#[cfg(doc)]
use super::{Family, RateAction, RateClass, Refusal, Transport};

/// The sum of all counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// By [`Transport`] and [`Family`].
    pub queries: [[u64; FAMILIES]; TRANSPORTS],
    /// By [`Transport`] and slot of the response code; the last is "other".
    pub responses: [[u64; RCODE_SLOTS]; TRANSPORTS],
    /// By [`DropReason`]. What the listeners count for themselves is added here.
    pub dropped: [u64; REASONS],
    /// By [`Refusal`].
    pub refused: [u64; REFUSALS],
    /// By [`RateClass`] and [`RateAction`].
    pub rate_limited: [[u64; RATE_ACTIONS]; RATE_CLASSES],
    /// Times that sampled answers took to make.
    pub response_time: HistogramTotals,
}

impl Totals {
    /// All requests.
    pub fn queries_sum(&self) -> u64 {
        self.queries.iter().flatten().sum()
    }

    /// All replies.
    pub fn responses_sum(&self) -> u64 {
        self.responses.iter().flatten().sum()
    }

    /// All requests whose outcome was a drop.
    pub fn dropped_outcomes_sum(&self) -> u64 {
        let outcome = |reason: &&DropReason| reason.stage() == DropStage::Outcome;
        DropReason::ALL.iter().filter(outcome).map(|reason| self.dropped[*reason as usize]).sum()
    }
}
