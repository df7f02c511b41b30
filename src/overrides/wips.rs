//! Which WIPs a pattern means, among a million of them.

use std::collections::HashMap;

use super::pattern::Pattern;
use crate::config::model::Wips;
use crate::dns::{Name, name};

/// All pairs of a WIP and the index of a pattern that matches its name or an alias, in
/// the order of WIPs, then patterns; no pair twice.
pub(super) fn matching<'p>(
    wips: &Wips,
    patterns: impl Iterator<Item = (u32, &'p Pattern)>,
) -> Vec<(u32, u32)> {
    let patterns = Patterns::new(patterns);
    let mut found = Vec::new();
    if patterns.is_empty() {
        return found;
    }
    let mut text = String::new();
    for (wip, wire, _) in wips.iter() {
        patterns.each_match(wire, &mut text, |index| found.push((wip, index)));
    }
    for (alias, wip) in wips.aliases() {
        patterns.each_match(alias.wire(), &mut text, |index| found.push((wip, index)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Names are looked up, globs are tried one by one.
struct Patterns<'p> {
    names: HashMap<Box<[u8]>, Vec<u32>>,
    globs: Vec<(u32, &'p Pattern)>,
}

impl<'p> Patterns<'p> {
    fn new(patterns: impl Iterator<Item = (u32, &'p Pattern)>) -> Patterns<'p> {
        let mut all = Patterns { names: HashMap::new(), globs: Vec::new() };
        for (index, pattern) in patterns {
            match pattern.name().map(Name::parse) {
                Some(Ok(name)) => {
                    all.names.entry(name.to_lowercase().wire().into()).or_default().push(index);
                }
                // No WIP has it.
                Some(Err(_)) => {}
                None => all.globs.push((index, pattern)),
            }
        }
        all
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.globs.is_empty()
    }

    /// `text` is room that is used again.
    fn each_match(&self, wire: &[u8], text: &mut String, mut emit: impl FnMut(u32)) {
        if !self.names.is_empty() {
            self.names.get(wire).into_iter().flatten().for_each(|&index| emit(index));
        }
        if self.globs.is_empty() {
            return;
        }
        text.clear();
        // Writing to a string cannot fail.
        let _ = name::write_presentation(wire, text);
        for (index, glob) in &self.globs {
            if glob.matches(text) {
                emit(*index);
            }
        }
    }
}
