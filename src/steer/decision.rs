//! What a decision says: which VIPs, for how long, and at which stage it was made.

//------------ Decision -------------------------------------------------------

/// What was decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What is to be answered.
    pub outcome: Outcome,
    /// TTL of the answer, in seconds; a negative one lives no longer either.
    pub ttl_s: u32,
    /// The stage that decided.
    pub stage: Stage,
    /// The pool that was chosen; without meaning where no member was.
    pub pool: u16,
}

/// Kinds of answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The chosen VIPs; none of the asked family: NODATA.
    Members,
    /// The addresses of `on_all_down`.
    Addresses,
    /// An empty answer.
    NoData,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refuse,
}

/// Stages of a decision, in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// A pool had its minimum of available members.
    Available,
    /// No pool had its minimum; one had an available member.
    BelowMinimum,
    /// Only drained members are healthy.
    Drained,
    /// Nobody is healthy: `on_all_down`.
    AllDown,
    /// Every member is forced down.
    ForcedDown,
}

/// One chosen VIP: indices into the strategy's lists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Chosen {
    /// Index into [`Strategy::members`](super::strategy::Strategy::members).
    pub member: u16,
    /// Index into [`Strategy::vips`](super::strategy::Strategy::vips).
    pub vip: u16,
}
