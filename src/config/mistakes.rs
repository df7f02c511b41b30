//! Words for the mistakes that any section can hold, with hints.

use std::path::Path;

use toml::de::DeValue;

use super::keys::{Fallback, Form, Key, Kind, SECTIONS, Section, quoted_list};
use super::reader::{At, Item, Table};
use super::values::Bad;
use crate::problem::{FileId, Problem, Problems, Spot};

/// Least likeness (0 to 1, Jaro-Winkler) for "did you mean".
const LIKENESS_MIN: f64 = 0.82;
/// Most names listed as allowed.
const LISTED_MAX: usize = 12;

/// `` `pool.europe.policy` ``
pub(super) fn path(item: &Item<'_>) -> String {
    key_path(item.table.section, item.table.name, item.key.name)
}

/// `` `pool.europe.policy` ``, from its parts.
pub(super) fn key_path(section: &Section, name: Option<&str>, key: &str) -> String {
    match (section.form, name) {
        (Form::Root, _) => format!("`{key}`"),
        (_, Some(name)) if name.contains('.') => format!("`{}.\"{name}\".{key}`", section.name),
        (_, Some(name)) => format!("`{}.{name}.{key}`", section.name),
        (Form::Inline, None) => format!("`{key}`"),
        (_, None) => format!("`{}.{key}`", section.name),
    }
}

/// More WIPs than can be.
pub(super) fn too_many_wips(max: usize, file: FileId) -> Problem {
    Problem::error("too-many-wips", format!("there are more than {max} WIPs")).in_file(file)
}

/// A key its section does not have.
pub(super) fn unknown_key(section: &Section, name: Option<&str>, key: &str, spot: Spot) -> Problem {
    let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
    let title = format!("unknown key {}", key_path(section, name, key));
    let problem = Problem::error("unknown-key", title)
        .at_with(spot, format!("{} has no such key", section.header()));
    if let Some(likely) = likely(key, known.iter().copied()) {
        return problem.help(format!("did you mean `{likely}`?"));
    }
    let elsewhere: Vec<String> =
        SECTIONS.iter().filter(|other| other.key(key).is_some()).map(|s| s.header()).collect();
    if !elsewhere.is_empty() {
        return problem.help(format!("`{key}` is a key of {}", elsewhere.join(", ")));
    }
    problem.help(format!("allowed: {}", known.join(", ")))
}

/// `[wip.shop.example.com]`, which TOML reads as tables within tables.
pub(super) fn unquoted_name(section: &Section, whole: &str, spot: Spot) -> Problem {
    Problem::error("unquoted-name", format!("the name {whole} is not in quotes"))
        .at_with(spot, "read as a table within a table")
        .help(format!("write [{}.\"{whole}\"]", section.name))
}

/// A table of the top level that is no section.
pub(super) fn unknown_section(key: &str, spot: Spot) -> Problem {
    let known = || SECTIONS.iter().map(|section| section.name).chain(["include"]);
    let problem = Problem::error("unknown-section", format!("unknown section `{key}`"))
        .at_with(spot, "no such section");
    if let Some(likely) = likely(key, known()) {
        return problem.help(format!("did you mean `{likely}`?"));
    }
    let owners: Vec<String> =
        SECTIONS.iter().filter(|s| s.key(key).is_some()).map(|s| s.header()).collect();
    if !owners.is_empty() {
        return problem.help(format!("`{key}` is a key of {}", owners.join(", ")));
    }
    problem.help(format!("allowed: {}", known().collect::<Vec<_>>().join(", ")))
}

/// A section of named tables, used without names.
pub(super) fn section_without_name(section: &Section, spot: Spot) -> Problem {
    let Form::Named { what, example } = section.form else {
        return Problem::error("wrong-type", format!("`{}` must be a table", section.name))
            .at(spot)
            .help(format!("write [{}] and its keys on the lines below", section.name));
    };
    Problem::error("missing-name", format!("[{}] needs a name", section.name))
        .at_with(spot, "not a table with a name")
        .help(format!("write [{}.{example}], with {what}", section.name))
}

/// A key that must be given.
pub(super) fn missing_key(table: &Table<'_>, key: &Key) -> Problem {
    let path = key_path(table.section, table.name, key.name);
    Problem::error("missing-key", format!("{path} is missing"))
        .at_with(table.spot, format!("needs `{}`", key.name))
        .help(format!("add: {} = {}", key.name, key.kind.example()))
}

/// A value of another type than its key takes.
pub(super) fn wrong_type(item: &Item<'_>) -> Problem {
    let value = item.value.get_ref();
    let expected = item.kind.expected();
    let title = format!("{} must be {expected}", path(item));
    let problem = Problem::error("wrong-type", title).at_with(item.spot, found(value));
    let number = match value {
        DeValue::Integer(number) => Some(number.as_str()),
        _ => None,
    };
    let whole = std::ptr::eq(item.kind, &raw const item.key.kind);
    let default = match item.key.fallback {
        Fallback::Is(value) if !matches!(value, "[]" | "{}") => value.to_owned(),
        _ => item.key.kind.example(),
    };
    let write = match (item.kind, number) {
        (Kind::Duration { .. } | Kind::Seconds { .. }, Some(number)) => {
            return problem.help(format!(
                "put a unit behind the number: {} = \"{number}s\" (units: ms, s, m, h, d)",
                item.key.name
            ));
        }
        _ if whole => default,
        (kind, _) => kind.example(),
    };
    if whole {
        problem.help(format!("for example: {} = {write}", item.key.name))
    } else {
        problem.help(format!("for example: {write}"))
    }
}

/// A text that is none of the choices.
pub(super) fn unknown_value(item: &Item<'_>, text: &str, values: &[&str]) -> Problem {
    let title = format!("{} cannot be \"{text}\"", path(item));
    Problem::error("unknown-value", title)
        .at_with(item.spot, "unknown value")
        .help_if(likely(text, values.iter().copied()).map(|v| format!("did you mean \"{v}\"?")))
        .help(match item.kind {
            Kind::Either(_) => format!("allowed: {}", item.kind.expected()),
            _ => format!("allowed: {}", quoted_list(values)),
        })
}

/// A text that its reader did not understand.
pub(super) fn bad_value(item: &Item<'_>, bad: &Bad) -> Problem {
    let mut problem = Problem::error(bad.code, format!("{} {}", path(item), bad.reason))
        .at_with(item.spot, bad.label.clone());
    problem.help.extend(bad.help.clone());
    problem
}

/// A table whose own name is not usable.
pub(super) fn bad_table_name(table: &Table<'_>, bad: &Bad) -> Problem {
    let name = table.name.unwrap_or_default();
    let title = format!("the name of [{}.\"{name}\"] {}", table.section.name, bad.reason);
    let mut problem = Problem::error(bad.code, title).at_with(table.spot, bad.label.clone());
    problem.help.extend(bad.help.clone());
    problem
}

/// A file that is named and is not there.
pub(super) fn file_missing(item: &Item<'_>, found: &Path) -> Problem {
    Problem::error("file-missing", format!("{} names a file that is not there", path(item)))
        .at_with(item.spot, format!("looked for {}", found.display()))
        .help("paths are relative to the directory of the file they stand in")
}

/// More files than a place can tell apart.
pub(super) fn too_many_files() -> Problem {
    Problem::error("too-many-files", "more than 65,535 files are read")
        .help("put more WIPs into each file, or records into the configuration (`records`)")
}

/// A name that nothing has.
pub(super) fn unknown_reference<'n>(
    what: &str,
    section: &str,
    name: &str,
    spot: Spot,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Problem {
    let problem = Problem::error("unknown-reference", format!("there is no {what} \"{name}\""))
        .at_with(spot, format!("no [{section}.{name}] anywhere"));
    if let Some(likely) = likely(name, known.clone()) {
        return problem.help(format!("did you mean \"{likely}\"?"));
    }
    let mut names: Vec<&str> = known.collect();
    names.sort_unstable();
    match names.len() {
        0 => problem.help(format!("no {what} is defined yet: add [{section}.{name}]")),
        1..=LISTED_MAX => problem.help(format!("defined: {}", names.join(", "))),
        many => problem.help(format!("{many} are defined: {}, …", names[..LISTED_MAX].join(", "))),
    }
}

/// Elements that stand twice in a list.
pub(super) fn twice<T: PartialEq>(
    item: &Item<'_>,
    list: &[At<T>],
    show: impl Fn(&T) -> String,
    problems: &mut Problems,
) {
    for (index, at) in list.iter().enumerate() {
        if let Some(first) = list[..index].iter().find(|other| other.value == at.value) {
            let title = format!("{} has {} twice", path(item), show(&at.value));
            problems.push(
                Problem::error("duplicate-value", title)
                    .at_with(at.spot, "again here")
                    .at_with(first.spot, "first here"),
            );
        }
    }
}

/// The known name that is most like `name`, if any is like it.
pub(super) fn likely<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    known
        .map(|one| {
            let other = one.to_ascii_lowercase().replace('_', "-");
            (one, strsim::jaro_winkler(&lower, &other))
        })
        .filter(|(one, likeness)| *likeness >= LIKENESS_MIN && *one != name)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(one, _)| one)
}

/// "a string", "an integer": what was written.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
    .to_owned()
}
