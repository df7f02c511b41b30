//! Addresses that tell whether this host's network works (`[health] reference`).
//!
//! It must not know targets of services.

use super::super::plan::TargetId;

/// What a result of a reference came to.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Answer {
    /// The probe passed.
    pub passed: bool,
    /// It passed, and has often enough in a row to forget failures.
    pub calm: bool,
    /// It is DOWN.
    pub down: bool,
}

#[derive(Clone, Copy, Debug)]
struct Reference {
    target: TargetId,
    /// It has passed at least once.
    passed: bool,
    failing: bool,
    calm: bool,
    /// When it went DOWN; none: it is not.
    down_ms: Option<u64>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct References(Vec<Reference>);

impl References {
    pub(super) fn new(targets: &[TargetId]) -> References {
        let new = |target: &TargetId| Reference {
            target: *target,
            passed: false,
            failing: false,
            calm: false,
            down_ms: None,
        };
        References(targets.iter().map(new).collect())
    }

    /// Goes on with what `previous` knows.
    pub(super) fn carry(
        &mut self,
        previous: &References,
        old_id: impl Fn(TargetId) -> Option<TargetId>,
    ) {
        for reference in &mut self.0 {
            let old = old_id(reference.target);
            let old = previous.0.iter().find(|other| Some(other.target) == old);
            if let Some(old) = old {
                *reference = Reference { target: reference.target, ..*old };
            }
        }
    }

    /// Takes in a result; false: target `id` is no reference.
    pub(super) fn take(&mut self, id: TargetId, answer: Answer, now_ms: u64) -> bool {
        let Some(reference) = self.0.iter_mut().find(|reference| reference.target == id) else {
            return false;
        };
        reference.passed |= answer.passed;
        reference.failing = !answer.passed;
        reference.calm = answer.calm;
        reference.down_ms = answer.down.then(|| reference.down_ms.unwrap_or(now_ms));
        true
    }

    /// Whether all fail that worked before: one that was DOWN before `since_ms`, or
    /// never passed, knows nothing about now.
    pub(super) fn fail_too(&self, since_ms: u64) -> bool {
        let recent = |reference: &Reference| reference.down_ms.is_none_or(|ms| ms >= since_ms);
        let mut speaking = self.0.iter().filter(|r| r.passed && recent(r)).peekable();
        speaking.peek().is_some() && speaking.all(|reference| reference.failing)
    }

    /// Whether all that ever worked fail still. One success in a row of failures is not
    /// an end to them, enough in a row are.
    pub(super) fn fail_still(&self) -> bool {
        let mut speaking = self.0.iter().filter(|reference| reference.passed).peekable();
        speaking.peek().is_some() && speaking.all(|reference| !reference.calm)
    }
}
