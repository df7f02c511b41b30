//! How answers move, for people: totals, who takes over, then the names that move most.

use std::fmt::Write;

use super::{Failed, MeasureArguments, counted};
use crate::admin::types::{Flow, Simulation, WipMoves};
use crate::whatif::{self, Weighted};

/// Destinations shown of all, and of one name.
const FLOWS_OF_ALL: usize = 20;
const FLOWS_OF_ONE: usize = 3;

/// The weights that the arguments name.
pub(super) fn weights(arguments: &MeasureArguments) -> Result<Vec<Weighted>, Failed> {
    let Some(path) = &arguments.weights else { return Ok(Vec::new()) };
    let failed = |error: String| Failed(format!("the list of weights {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    whatif::parse_weights(&text).map_err(failed)
}

pub(super) fn text(simulation: &Simulation) -> String {
    let mut text = String::new();
    totals(&mut text, simulation);
    if simulation.wips.is_empty() {
        return text;
    }
    let width = simulation.wips.iter().map(|name| name.wip.len()).max().unwrap_or(0).max(4);
    let _ = writeln!(text, "\n{:width$}    moves  how", "name");
    for name in &simulation.wips {
        let share = percent(name.moves.moved);
        let _ = writeln!(text, "{:width$} {share:>8}  {}", name.wip, how(name));
    }
    let changed = simulation.wips.len() as u64;
    if changed < changed_total(simulation) {
        let _ = writeln!(text, "the first {changed}; --limit says how many are listed");
    }
    text
}

/// At least so many names change: moved and lost may be the same.
fn changed_total(simulation: &Simulation) -> u64 {
    simulation.wips_moved.max(simulation.wips_lost)
        + simulation.names_added
        + simulation.names_removed
}

fn totals(text: &mut String, simulation: &Simulation) {
    let Simulation { wips_total, wips_moved, wips_lost, all, .. } = simulation;
    let of = match simulation.measure.as_str() {
        "weights" => "of the weighted networks",
        _ => "of the address space whose place is known",
    };
    let _ = writeln!(text, "answers of {wips_moved} of {} move", counted(*wips_total, "WIP"));
    if *wips_lost > 0 {
        let _ = writeln!(text, "{wips_lost} LEFT WITH A LAST RESORT or nobody, for some clients");
    }
    if simulation.names_added + simulation.names_removed > 0 {
        let (added, removed) = (simulation.names_added, simulation.names_removed);
        let _ = writeln!(text, "{} added, {removed} removed", counted(added, "name"));
    }
    if all.shares.is_empty() {
        // No name is there before and after.
        return;
    }
    let _ = writeln!(
        text,
        "{} of client networks move (IPv4 {}, IPv6 {}), {of}",
        percent(all.moved),
        percent(all.moved_v4),
        percent(all.moved_v6)
    );
    let width = all.shares.iter().map(|share| share.to.len()).max().unwrap_or(0).max(2);
    let _ = writeln!(text, "\n{:width$}   before    after", "to");
    for share in &all.shares {
        let (before, after) = (percent(share.before), percent(share.after));
        let _ = writeln!(text, "{:width$} {before:>8} {after:>8}", share.to);
    }
    for flow in all.flows.iter().take(FLOWS_OF_ALL) {
        let _ = writeln!(text, "  {}", flow_text(flow));
    }
}

fn how(name: &WipMoves) -> String {
    let what = if name.is_alias { "alias " } else { "" };
    let mut parts = match name.change.as_str() {
        "lost" => vec!["ONLY A LAST RESORT is left".to_owned()],
        "moved" => Vec::new(),
        other => vec![format!("{what}{other}")],
    };
    if name.change == "added" {
        let to = name.moves.shares.iter().filter(|share| share.after > 0.0).take(FLOWS_OF_ONE);
        parts.extend(to.map(|share| format!("{} {}", share.to, percent(share.after))));
    } else if name.change != "removed" {
        parts.extend(name.moves.flows.iter().take(FLOWS_OF_ONE).map(flow_text));
        let more = name.moves.flows.len().saturating_sub(FLOWS_OF_ONE);
        if more > 0 {
            parts.push(format!("{more} more"));
        }
    }
    parts.join(", ")
}

/// "fra → iad 12.5 %"
fn flow_text(flow: &Flow) -> String {
    let Flow { from, to, share } = flow;
    let share = percent(*share);
    match from == to {
        true => format!("{from} → another address of it {share}"),
        false => format!("{from} → {to} {share}"),
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 0.05 => "< 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}
