//! Changes that operators ask for.

use arc_swap::ArcSwap;

use super::audit::{Line, Outcome, rfc3339};
use super::kept::{Kept, OVERRIDES_FILE};
use super::told::Told;
use super::{Changing, Keeper, asked, lock, shown};
use crate::admin::ApiError;
use crate::admin::types::{ClearRequest, EventKind, OverrideDone, OverrideRequest};
use crate::overrides::{Broken, Entry, Judgement, Stage, Target, judge};
use crate::snapshot::Serving;

/// Most overrides at once: more is a program that runs wild.
const OVERRIDES_MAX: usize = 1_000;

/// A change before it is judged.
struct Asked {
    what: &'static str,
    target: Target,
    actor: String,
    reason: Option<String>,
    break_glass: Option<String>,
    dry_run: bool,
    /// Entries that it takes away.
    removed: Vec<Entry>,
    /// Number of the entry that it adds.
    added: Option<u64>,
}

impl Keeper {
    /// Says something of members for somebody at `peer`.
    pub(in crate::daemon) fn say(
        &self,
        cell: &ArcSwap<Serving>,
        request: &OverrideRequest,
        peer: &str,
    ) -> Result<OverrideDone, ApiError> {
        let mut changing = lock(&self.changing);
        changing.check_open()?;
        let now_s = self.now_s();
        let entry = asked::entry(request, peer, now_s)?;
        let was = self.told(cell);
        let before = &was.kept;
        check_revision(before, request.expected_revision)?;
        let (_, removed) = before.book.clear(&entry.target);
        if removed.is_empty() && before.book.entries.len() >= OVERRIDES_MAX {
            let why = format!("there are {OVERRIDES_MAX} overrides, which is the most: clear some");
            return Err(ApiError::Conflict(why));
        }
        let after = before.book.set(entry.clone());
        let asked = Asked {
            what: entry.kind.as_str(),
            target: entry.target,
            actor: entry.actor,
            reason: Some(entry.reason),
            break_glass: entry.break_glass,
            dry_run: request.dry_run,
            removed,
            added: after.entries.last().map(|entry| entry.id),
        };
        let snapshot = &was.serving.snapshot;
        let safety = &snapshot.config.safety;
        let judgement = judge(&was.serving, &before.book, &after, now_s, safety);
        if judgement.effect.members_matched == 0 {
            // A suggestion may take its time: nobody else waits for it.
            drop(changing);
            return Err(asked::means_nobody(&asked.target, &snapshot.config));
        }
        self.make(&mut changing, cell, &was, judgement, &asked)
    }

    /// Takes back what was said of a target.
    pub(in crate::daemon) fn clear(
        &self,
        cell: &ArcSwap<Serving>,
        request: &ClearRequest,
        peer: &str,
    ) -> Result<OverrideDone, ApiError> {
        let mut changing = lock(&self.changing);
        changing.check_open()?;
        let now_s = self.now_s();
        let target = asked::target(&request.target)?;
        let actor = asked::actor(request.actor.as_deref(), peer)?;
        let reason = asked::optional_text("reason", request.reason.as_deref())?;
        let break_glass = asked::optional_text("break_glass", request.break_glass.as_deref())?;
        let was = self.told(cell);
        let before = &was.kept;
        check_revision(before, request.expected_revision)?;
        let (after, removed) = before.book.clear(&target);
        if removed.is_empty() {
            let there: Vec<String> =
                before.book.entries.iter().map(|entry| entry.target.to_string()).collect();
            let there = match there.is_empty() {
                true => "nothing is overridden".to_owned(),
                false => format!("there are overrides of: {}", there.join("; ")),
            };
            return Err(ApiError::NotFound(format!(
                "nothing is said of exactly {target}; {there}"
            )));
        }
        let dry_run = request.dry_run;
        let added = None;
        let asked =
            Asked { what: "clear", target, actor, reason, break_glass, dry_run, removed, added };
        let snapshot = &was.serving.snapshot;
        let safety = &snapshot.config.safety;
        let judgement = judge(&was.serving, &before.book, &after, now_s, safety);
        self.make(&mut changing, cell, &was, judgement, &asked)
    }

    /// Makes a change that was judged, or refuses it whole.
    fn make(
        &self,
        changing: &mut Changing,
        cell: &ArcSwap<Serving>,
        was: &Told,
        judgement: Judgement,
        asked: &Asked,
    ) -> Result<OverrideDone, ApiError> {
        let Judgement { effect, broken, foreseen, book, compiled } = judgement;
        let now_s = self.now_s();
        let before = &was.kept;
        let mut kept = was.kept_after(book, &compiled, now_s);
        let entered = asked.added.and_then(|id| kept.book.entry(id)).cloned();
        let mut line = Line {
            time: rfc3339(now_s),
            at_s: now_s,
            actor: asked.actor.clone(),
            what: asked.what.to_owned(),
            target: Some(asked.target.clone()),
            outcome: Outcome::Accepted,
            revision: kept.book.revision,
            before: asked.removed.clone(),
            after: entered.clone().into_iter().collect(),
            reason: asked.reason.clone(),
            break_glass: asked.break_glass.clone(),
            because: broken.iter().map(broken_text).collect(),
        };
        if changing.state.is_none() {
            return Err(ApiError::NoStateDir(
                "an override is kept on disk before it counts, and this server has no \
                 [server] state_dir: set one, and start it again"
                    .to_owned(),
            ));
        }
        if !broken.is_empty() && asked.break_glass.is_none() {
            let detail = line.because.join("; ");
            // In a dry run too: it is how the command line and the page ask first, so that
            // else no refusal of theirs would be known.
            line.outcome = Outcome::Refused;
            self.refused(changing, &line, asked, &broken, &detail);
            return Err(ApiError::Unsafe { detail, broken: shown::broken(&broken) });
        }
        let done = |kept: &Kept| OverrideDone {
            now_s: self.now_s(),
            revision: if asked.dry_run { before.book.revision } else { kept.book.revision },
            dry_run: asked.dry_run,
            added: entered.as_ref().map(|entry| shown::status(entry, &compiled, kept)),
            removed: asked.removed.iter().map(|e| shown::status(e, &compiled, before)).collect(),
            effect: shown::effect(&effect),
            broken: shown::broken(if broken.is_empty() { &foreseen } else { &broken }),
            drained_at_s: entered.as_ref().and_then(|e| kept.drained_at_s.get(&e.id)).copied(),
        };
        if asked.dry_run {
            return Ok(done(&kept));
        }
        changing.keep(&line, before, &kept)?;
        kept = self.put_in_force(changing, was, &kept, &compiled, cell);
        let done = done(&kept);
        self.tell_change(asked, entered.as_ref(), done.effect.members_changed);
        Ok(done)
    }

    /// Tells of a refusal.
    fn refused(
        &self,
        changing: &mut Changing,
        line: &Line,
        asked: &Asked,
        broken: &[Broken],
        detail: &str,
    ) {
        broken.iter().for_each(|broken| self.count_refusal(broken.rule));
        let (what, actor, target) = (asked.what, &asked.actor, &asked.target);
        tracing::warn!(what, actor, of = %target, detail, "an override was refused as not safe");
        if let Some(audit) = &mut changing.audit {
            audit.append_or_owe(line);
        }
        let change = if asked.added.is_some() { "set" } else { "clear" };
        let entry = line.after.first().or(line.before.first());
        if let Some(entry) = entry {
            self.tell(EventKind::OverrideRefused {
                override_id: None,
                change: change.to_owned(),
                said: shown::said(entry),
                rules: broken.iter().map(|broken| broken.rule.to_owned()).collect(),
                detail: detail.to_owned(),
            });
        }
    }

    /// Tells of a change that is served.
    fn tell_change(&self, asked: &Asked, entered: Option<&Entry>, members: u64) {
        let (what, actor, target) = (asked.what, &asked.actor, &asked.target);
        let (reason, glass) = (asked.reason.as_deref(), asked.break_glass.as_deref());
        tracing::warn!(what, actor, of = %target, reason, break_glass = glass, members, "override");
        match entered {
            Some(entry) => self.tell(EventKind::OverrideSet {
                override_id: entry.id,
                said: shown::said(entry),
                at_s: entry.at_s,
                until_s: entry.until_s,
                break_glass: entry.break_glass.clone(),
                members: if entry.stage == Stage::Planned { 0 } else { members },
            }),
            None => {
                for entry in &asked.removed {
                    self.tell(EventKind::OverrideCleared {
                        override_id: entry.id,
                        said: shown::said(entry),
                        by: asked.actor.clone(),
                        because: asked.reason.clone(),
                    });
                }
            }
        }
    }
}

fn check_revision(kept: &Kept, expected: Option<u64>) -> Result<(), ApiError> {
    let revision = kept.book.revision;
    match expected {
        Some(expected) if expected != revision => {
            let last = kept.book.entries.last();
            let last = last.map_or_else(String::new, |entry| {
                format!(
                    "; the newest override is {} {} by {}",
                    entry.kind.as_str(),
                    entry.target,
                    entry.actor
                )
            });
            Err(ApiError::ChangedMeanwhile(format!(
                "the overrides have revision {revision}, not {expected}{last}"
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn broken_text(broken: &Broken) -> String {
    format!("{}: {}", broken.rule, broken.detail)
}

impl Changing {
    fn check_open(&self) -> Result<(), ApiError> {
        match self.frozen {
            true => Err(ApiError::NotReady(
                "an upgrade is under way: ask again in a few seconds".to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Puts a change on the disk. Where that fails nothing of it is in force, nor will be
    /// after a restart.
    fn keep(&mut self, line: &Line, before: &Kept, after: &Kept) -> Result<(), ApiError> {
        let (Some(state), Some(audit)) = (&self.state, &mut self.audit) else {
            return Err(ApiError::NoStateDir("there is no state_dir".to_owned()));
        };
        let refusal = |file: &str, error: &std::io::Error| {
            ApiError::NotSaved(format!(
                "nothing was changed, for {} cannot be written: {error}",
                state.path().join(file).display()
            ))
        };
        audit.append(line).map_err(|error| refusal(super::audit::AUDIT_FILE, &error))?;
        let bytes = after.encode();
        let Err(error) = state.write_overrides(&bytes) else {
            self.is_unwritten = false;
            return Ok(());
        };
        // The last step may have failed alone: then the new file is in place, and would
        // count after a restart.
        if state.read_overrides().is_ok_and(|found| found.is_some_and(|found| found == bytes)) {
            let put_back = state.write_overrides(&before.encode());
            if let Err(error) = put_back {
                tracing::error!(%error, "an override that was refused may be in force after a restart");
            }
        }
        let because = vec![format!("{OVERRIDES_FILE} cannot be written: {error}")];
        audit.append_or_owe(&Line { outcome: Outcome::Failed, because, ..line.clone() });
        Err(refusal(OVERRIDES_FILE, &error))
    }
}
