//! Labels of what is refused and what is limited: bounded, and never from a query.

use super::families::{DNS_REFUSED, RATE_LIMITED};
use super::text::{Page, Value};
use super::totals::Totals;

/// Why a request got a refusal instead of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// FORMERR: no well-formed query.
    Format,
    /// NOTIMP: another opcode than those spoken.
    Opcode,
    /// BADVERS: another version of EDNS than 0.
    EdnsVersion,
    /// REFUSED: a name of class CHAOS that is not configured.
    Chaos,
    /// REFUSED: a class that is not served.
    Class,
    /// FORMERR or NOTIMP: a type that no record has.
    Type,
    /// REFUSED: a zone's transfer that is not granted.
    Transfer,
    /// REFUSED: a name outside every zone.
    NotOurs,
    /// REFUSED: a client that may not ask.
    Access,
}

impl Refusal {
    /// All, in the order of their numbers.
    pub const ALL: [Refusal; 9] = [
        Refusal::Format,
        Refusal::Opcode,
        Refusal::EdnsVersion,
        Refusal::Chaos,
        Refusal::Class,
        Refusal::Type,
        Refusal::Transfer,
        Refusal::NotOurs,
        Refusal::Access,
    ];

    /// The `reason` label.
    pub fn label(self) -> &'static str {
        match self {
            Refusal::Format => "format",
            Refusal::Opcode => "opcode",
            Refusal::EdnsVersion => "edns_version",
            Refusal::Chaos => "chaos",
            Refusal::Class => "class",
            Refusal::Type => "type",
            Refusal::Transfer => "transfer",
            Refusal::NotOurs => "not_ours",
            Refusal::Access => "access",
        }
    }
}

/// What kind of reply was limited.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RateClass {
    /// Data, of one name.
    Answer,
    /// A name without such data, in one zone.
    NoData,
    /// A name that does not exist, in one zone.
    NxDomain,
    /// A referral, from one zone.
    Referral,
    /// An error.
    Error,
    /// Any, all counted together.
    All,
}

impl RateClass {
    /// All, in the order of their numbers.
    pub const ALL: [RateClass; 6] = [
        RateClass::Answer,
        RateClass::NoData,
        RateClass::NxDomain,
        RateClass::Referral,
        RateClass::Error,
        RateClass::All,
    ];

    /// The `class` label.
    pub fn label(self) -> &'static str {
        match self {
            RateClass::Answer => "answer",
            RateClass::NoData => "nodata",
            RateClass::NxDomain => "nxdomain",
            RateClass::Referral => "referral",
            RateClass::Error => "error",
            RateClass::All => "all",
        }
    }
}

/// What a limited client got instead of the reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RateAction {
    /// Nothing.
    Drop,
    /// A short reply from which a real client goes on: it is truncated and empty.
    Slip,
}

impl RateAction {
    /// All, in the order of their numbers.
    pub const ALL: [RateAction; 2] = [RateAction::Drop, RateAction::Slip];

    /// The `action` label.
    pub fn label(self) -> &'static str {
        match self {
            RateAction::Drop => "drop",
            RateAction::Slip => "slip",
        }
    }
}

/// Writes what was refused and what was limited.
pub(super) fn render(page: &mut Page<'_>, totals: &Totals) {
    let mut samples = page.begin(&DNS_REFUSED);
    for reason in Refusal::ALL {
        samples.sample(&[reason.label()], Value::Whole(totals.refused[reason as usize]));
    }
    let mut samples = page.begin(&RATE_LIMITED);
    for class in RateClass::ALL {
        for action in RateAction::ALL {
            let count = totals.rate_limited[class as usize][action as usize];
            samples.sample(&[class.label(), action.label()], Value::Whole(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_at_their_numbers() {
        assert!(Refusal::ALL.iter().enumerate().all(|(number, one)| *one as usize == number));
        assert!(RateClass::ALL.iter().enumerate().all(|(number, one)| *one as usize == number));
        assert!(RateAction::ALL.iter().enumerate().all(|(number, one)| *one as usize == number));
    }
}
