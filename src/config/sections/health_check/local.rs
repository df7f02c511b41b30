//! Types `exec` and `file`: verdicts of other programs on this host.

use std::path::PathBuf;

use super::{refuse_others, required};
use crate::config::keys::health_check as h;
use crate::config::mistakes;
use crate::config::reader::{Context, Item, Table};
use crate::config::values::Bad;
use crate::health::check::{ExecProbe, FileProbe, ProbeKind};
use crate::problem::Problem;

/// Most words of a command.
const WORDS_MAX: usize = 256;
/// Most bytes of a command's words: systems take at least 128 KiB, environment included.
const WORDS_LENGTH_MAX: usize = 65_536;

pub(super) fn exec(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ProbeKind> {
    refuse_others(table, "exec", &[&h::COMMAND], cx);
    required(table, &h::COMMAND, "the program, then its arguments", cx);
    let command = table.value(&h::COMMAND, cx, command)?;
    Some(ProbeKind::Exec(ExecProbe { command, host: None }))
}

pub(super) fn file(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ProbeKind> {
    refuse_others(table, "file", &[&h::FILE, &h::MAX_AGE], cx);
    required(table, &h::FILE, "the file that holds the verdict", cx);
    let max_age_ms = table.value(&h::MAX_AGE, cx, Item::duration_ms);
    Some(ProbeKind::File(FileProbe { path: table.value(&h::FILE, cx, verdict_file)?, max_age_ms }))
}

//------------ Values ---------------------------------------------------------

/// The program as a resolved path, and its arguments.
fn command(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<String>> {
    let words = item.elements(cx);
    let Some((first, rest)) = words.split_first() else {
        let empty = item.value.get_ref().is_array();
        let bad = Bad::new("empty-list", "is empty").label("needs a program");
        return if empty { item.bad(&bad, cx) } else { None };
    };
    let mut command = vec![program(first, cx)?];
    for word in rest {
        let text = word.text(cx)?;
        if text.contains('\0') {
            let bad = Bad::new("bad-command", "has a word with a zero byte");
            return word.bad(&bad.label("no program could be given it"), cx);
        }
        placeholders(word, text, &["address", "host"], cx);
        command.push(text.to_owned());
    }
    let length: usize = command.iter().map(|word| word.len() + 1).sum();
    if command.len() > WORDS_MAX || length > WORDS_LENGTH_MAX {
        let bad = Bad::new("out-of-range", "is too long")
            .label(format!("at most {WORDS_MAX} words and {WORDS_LENGTH_MAX} bytes"));
        return item.bad(&bad, cx);
    }
    Some(command)
}

/// A path with a slash in it, so that nothing on the way takes it for a name to
/// be looked for in PATH: which program runs must not depend on the environment
/// that the server happened to be started in.
fn program(item: &Item<'_>, cx: &mut Context<'_>) -> Option<String> {
    let path = item.path(cx)?;
    if !cx.files.exists(&path) {
        let title = format!("{} names a program that is not there", mistakes::path(item));
        let mut problem = Problem::error("file-missing", title)
            .at_with(item.spot, format!("looked for {}", path.display()));
        if !item.text(cx)?.contains('/') {
            problem = problem.help(
                "write its whole path: PATH is not searched, for it depends on how the server was \
                 started",
            );
        }
        cx.problems
            .push(problem.help("paths are relative to the directory of the file they stand in"));
        return None;
    }
    match path.to_str() {
        Some(text) if text.contains('/') => Some(text.to_owned()),
        Some(text) => Some(format!("./{text}")),
        None => item.bad(&Bad::new("bad-path", "lies in a directory whose name is not UTF-8"), cx),
    }
}

/// The file, its name to be filled in or not.
fn verdict_file(item: &Item<'_>, cx: &mut Context<'_>) -> Option<PathBuf> {
    let text = item.text(cx)?;
    placeholders(item, text, &["address"], cx);
    // Whether it is there is looked at with the other files that checks name.
    item.path(cx)
}

/// Warns of `{adress}`, which would be taken as it is.
fn placeholders(item: &Item<'_>, text: &str, known: &[&str], cx: &mut Context<'_>) {
    for part in text.split('{').skip(1) {
        let Some((word, _)) = part.split_once('}') else { continue };
        let likely = mistakes::likely(word, ["address", "host"].into_iter());
        let other = ["address", "host"].contains(&word) && !known.contains(&word);
        if known.contains(&word) || (likely.is_none() && !other) {
            continue;
        }
        let filled: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
        cx.problems.push(
            Problem::warning(
                "unknown-placeholder",
                format!("{} has \"{{{word}}}\", which nothing fills in", mistakes::path(item)),
            )
            .at_with(item.spot, "taken as it stands")
            .help(format!("filled in here: {}", filled.join(" and "))),
        );
    }
}
