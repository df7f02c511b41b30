//! Overrides and changes of them in words, for a terminal.

use std::fmt::Write;

use jiff::Zoned;

use crate::admin::types::{
    BrokenRule, OverrideDone, OverrideEffect, OverrideKind, OverrideStatus, OverridesPage,
};
use crate::cli::fleet::{Account, Outcome, Part};
use crate::cli::{counted, when};

/// WIPs named one by one; more are counted.
const WIPS_NAMED: usize = 10;

/// Words at a moment, in a time zone.
pub(in crate::cli) struct Words {
    pub(in crate::cli) now: Zoned,
}

/// Of a drain that has nobody to take the place of its members.
pub(super) const LAST_RESORT: &str = "where nobody else is available they are still answered as the last resort; force-down ends that";

/// Whether the server knows of no moment at which a drain in force will be done.
fn is_last_resort(status: &OverrideStatus) -> bool {
    let is_in_force = matches!(status.phase.as_str(), "in-force" | "overdue");
    let is_drain = status.kind == OverrideKind::Drain;
    is_drain && is_in_force && status.members > 0 && status.drained_at_s.is_none()
}

impl Words {
    /// What became of a change, server by server.
    pub(super) fn account(&self, account: &Account) -> String {
        if let [part] = &account.servers[..] {
            return match &part.done {
                Some(done) => self.done(done),
                None => refusal(part, true),
            };
        }
        let mut text = String::new();
        let refused = !account.done && !account.begun;
        if refused {
            let _ = writeln!(text, "nothing was changed on any server:");
        }
        for part in &account.servers {
            let _ = write!(text, "{}: ", part.server);
            match (&part.done, part.outcome) {
                (Some(done), _) if refused => text += &would_take(done),
                (Some(done), _) => text += &self.done(done),
                (None, _) => text += &refusal(part, false),
            }
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        text += &ending(account);
        text
    }

    /// What a server did, or would do.
    fn done(&self, done: &OverrideDone) -> String {
        let would = if done.dry_run { "would be " } else { "" };
        let mut text = String::new();
        match &done.added {
            Some(added) => {
                let what = past(added.kind);
                let whom = &added.target;
                let number = match done.dry_run {
                    true => String::new(),
                    false => format!(" (override {})", added.id),
                };
                let when = match added.at_s {
                    Some(at_s) => format!(" from {} on", self.time(at_s)),
                    None => String::new(),
                };
                let end = match added.until_s {
                    Some(until_s) => format!(" until {}", self.time(until_s)),
                    None => String::new(),
                };
                let _ = writeln!(text, "{would}{what}: {whom}{when}{end}{number}");
            }
            None => {
                let _ = writeln!(text, "{would}cleared:");
            }
        }
        for removed in &done.removed {
            let of = match done.added {
                Some(_) => "takes the place of ",
                None => "",
            };
            let _ = writeln!(text, "  {of}{}", self.said(removed));
        }
        effect(&mut text, &done.effect);
        let is_planned = done.added.as_ref().is_some_and(|added| added.break_glass.is_none());
        let head = match is_planned {
            true => "WOULD BE REFUSED if it began now: ",
            false => "passed over, as told: ",
        };
        broken(&mut text, &done.broken, head);
        if let Some(drained_at_s) = done.drained_at_s {
            let in_s = when::span(drained_at_s.saturating_sub(done.now_s));
            let at = self.time(drained_at_s);
            let _ = writeln!(text, "  the last answer that names them expires at {at} (in {in_s})");
        }
        if done.added.as_ref().is_some_and(is_last_resort) {
            let _ = writeln!(text, "  {LAST_RESORT}");
        }
        text
    }

    /// All overrides of a server.
    pub(super) fn page(&self, page: &OverridesPage) -> String {
        let mut text = String::new();
        if page.overrides.is_empty() {
            return "nothing is overridden: health decides\n".to_owned();
        }
        for status in &page.overrides {
            self.status(&mut text, status, page.now_s);
        }
        text
    }

    /// One override, in a few lines.
    pub(in crate::cli) fn status(&self, text: &mut String, status: &OverrideStatus, now_s: u64) {
        let members = counted(status.members, "member");
        let state = match status.phase.as_str() {
            "in-force" => format!("decides of {members}"),
            "planned" | "announced" => {
                let at = self.time(status.at_s.unwrap_or_default());
                let short = if status.phase == "announced" { ", TTLs are short" } else { "" };
                format!("PLANNED for {at}{short}")
            }
            "refused" => "REFUSED when its time came".to_owned(),
            "overdue" => format!("OVERDUE: its end is refused; decides of {members}"),
            other => other.to_owned(),
        };
        let _ = writeln!(text, "{} {}: {state}", status.id, self.said(status));
        let _ = writeln!(text, "    why: {}", status.reason);
        let since = self.time(status.created_at_s);
        let _ = writeln!(text, "    by {}, said at {since}", status.actor);
        if let Some(until_s) = status.until_s {
            let _ = writeln!(text, "    until {}", self.time(until_s));
        }
        if let Some(drained_at_s) = status.drained_at_s.filter(|at_s| *at_s > now_s) {
            let at = self.time(drained_at_s);
            let left = when::span(drained_at_s - now_s);
            let _ = writeln!(text, "    answers that name them are valid until {at} (for {left})");
        }
        if is_last_resort(status) {
            let _ = writeln!(text, "    {LAST_RESORT}");
        }
        if let Some(why) = &status.refused {
            let _ = writeln!(text, "    the safety rules: {why}");
        }
        if let Some(why) = &status.break_glass {
            let _ = writeln!(text, "    safety rules passed over: {why}");
        }
    }

    /// "drain datacenter fra, WIP shop.gslb.example.com"
    fn said(&self, status: &OverrideStatus) -> String {
        format!("{} {}", status.kind.as_str(), status.target)
    }

    fn time(&self, unix_s: u64) -> String {
        when::text(unix_s, &self.now)
    }
}

fn would_take(done: &OverrideDone) -> String {
    let OverrideEffect { members_changed, wips_changed, .. } = &done.effect;
    let (members, wips) = (counted(*members_changed, "member"), counted(*wips_changed, "WIP"));
    format!("would take it ({members} of {wips})")
}

fn refusal(part: &Part, is_only: bool) -> String {
    let head = match part.outcome {
        _ if is_only => "",
        Outcome::Unreachable => "NOT REACHED: ",
        Outcome::Unknown => "NOT KNOWN: ",
        Outcome::NothingToClear => "nothing to clear: ",
        _ => "REFUSED: ",
    };
    if part.outcome == Outcome::Unknown {
        let why = part.error.as_deref().unwrap_or("it did not say in time");
        return format!("{head}{why}\n  It may be in force or not: `windrose overrides` tells.");
    }
    let Some(problem) = part.problem.as_ref().filter(|problem| !problem.broken.is_empty()) else {
        return format!("{head}{}", part.error.as_deref().unwrap_or("it did not say why"));
    };
    let server = if is_only { format!("{}: ", part.server) } else { String::new() };
    let mut text = format!("{head}{server}{}\n", problem.title);
    broken(&mut text, &problem.broken, "");
    if is_only {
        text += "Nothing was changed. If it must be: --break-glass \"why\".\n";
    }
    text
}

/// What is to be done where not all have it.
fn ending(account: &Account) -> String {
    let with = |outcome: Outcome| {
        let parts = account.servers.iter().filter(|part| part.outcome == outcome);
        parts.map(|part| part.server.as_str()).collect::<Vec<_>>()
    };
    let unreachable = with(Outcome::Unreachable);
    if account.done {
        return match unreachable[..] {
            [] => String::new(),
            _ => format!(
                "NOT on {}: say it there once it is back, or it will answer as before\n",
                unreachable.join(", ")
            ),
        };
    }
    if account.begun {
        let mut missing = with(Outcome::Refused);
        missing.extend(&unreachable);
        missing.extend(with(Outcome::Unknown));
        let applied = with(Outcome::Applied);
        let applied = if applied.is_empty() { "no server".to_owned() } else { applied.join(", ") };
        return format!(
            "THE SERVERS DIFFER: changed on {applied}; not, or not surely, on {}.\n\
             Say it again there, or take it back where it is.\n",
            missing.join(", ")
        );
    }
    let others = with(Outcome::WouldApply);
    match (unreachable.is_empty(), others.is_empty()) {
        (false, false) => "To change the others all the same: --even-if-unreachable.\n".to_owned(),
        _ => String::new(),
    }
}

fn effect(text: &mut String, effect: &OverrideEffect) {
    let OverrideEffect { members_matched, members_changed, wips_changed, .. } = effect;
    let members = counted(*members_changed, "member");
    let wips = counted(*wips_changed, "WIP");
    let _ = match *members_changed {
        0 => writeln!(text, "  changes no member's state now, of {members_matched} it means"),
        _ => writeln!(text, "  {members} of {wips}, of {members_matched} it means"),
    };
    for wip in effect.wips.iter().take(WIPS_NAMED) {
        let _ = writeln!(
            text,
            "  {}: {}; {} available, {} before",
            wip.wip,
            wip.members.join(", "),
            wip.available_after,
            wip.available_before
        );
    }
    let more = effect.wips_changed.saturating_sub(effect.wips.len().min(WIPS_NAMED) as u64);
    if more > 0 {
        let _ = writeln!(text, "  … and {}", counted(more, "more WIP"));
    }
}

fn broken(text: &mut String, rules: &[BrokenRule], head: &str) {
    for rule in rules {
        let _ = writeln!(text, "  {head}{}: {}", rule.rule, rule.detail);
        for wip in rule.wips.iter().take(WIPS_NAMED) {
            let _ = writeln!(text, "    {wip}");
        }
        let more = rule.wips_total.saturating_sub(rule.wips.len().min(WIPS_NAMED) as u64);
        if more > 0 {
            let _ = writeln!(text, "    … and {}", counted(more, "more WIP"));
        }
    }
}

fn past(kind: OverrideKind) -> &'static str {
    match kind {
        OverrideKind::Drain => "drained",
        OverrideKind::ForceUp => "forced up",
        OverrideKind::ForceDown => "forced down",
    }
}
