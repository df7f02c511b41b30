//! One reader per section: a table in, a part of [`Raw`] out, every mistake reported.

mod abuse;
mod cookies;
mod datacenter;
mod health_check;
mod members;
mod process;
mod records;
mod transfers;
pub(super) mod transports;
mod watching;
mod wip;
mod zone;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Form, SECTIONS, Section};
use super::mistakes;
use super::raw::Raw;
use super::reader::{Context, Table};
use crate::problem::{Problem, Sources, Spot};

/// Reads all tables of one file but its root keys.
pub(super) fn read(root: &DeTable<'_>, raw: &mut Raw, sources: &mut Sources, cx: &mut Context<'_>) {
    for (key, value) in root {
        let spot = cx.spot(&key.span());
        let section = SECTIONS.iter().find(|section| section.name == key.get_ref());
        match (section, value.get_ref()) {
            (Some(section), DeValue::Table(table)) if section.form == Form::Single => {
                if first_definition(section, "", spot, raw, cx) {
                    single(Table::new(section, None, spot, table, cx), raw, cx);
                }
            }
            (Some(section), DeValue::Table(table)) => named(section, table, raw, sources, cx),
            (Some(section), _) => {
                cx.problems.push(mistakes::section_without_name(section, spot));
            }
            (None, _) if key.get_ref() == "include" => {}
            (None, _) => cx.problems.push(mistakes::unknown_section(key.get_ref(), spot)),
        }
    }
}

/// What holds where nobody wrote a section.
pub(super) fn builtin(raw: &mut Raw, spot: Spot, cx: &mut Context<'_>) {
    let nothing = DeTable::new();
    for section in SECTIONS.iter().filter(|section| section.form == Form::Single) {
        single(Table::new(section, None, spot, &nothing, cx), raw, cx);
    }
}

fn single(table: Table<'_>, raw: &mut Raw, cx: &mut Context<'_>) {
    match table.section.name {
        "server" => raw.server = process::server(&table, cx),
        "tls" => (raw.tls, raw.listens) = transports::tls(&table, cx),
        "proxy" => raw.proxy = transports::proxy(&table, cx),
        "access" => raw.access = abuse::access(&table, cx),
        "rate_limit" => raw.rate_limit = abuse::rate_limit(&table, cx),
        "cookies" => raw.cookies = cookies::cookies(&table, cx),
        "admin" => raw.admin = process::admin(&table, cx),
        "geo" => raw.geo = process::geo(&table, cx),
        "health" => (raw.health, raw.reference_spots) = process::health(&table, cx),
        "safety" => raw.safety = process::safety(&table, cx),
        "metrics" => raw.metrics = process::metrics(&table, cx),
        "log" => raw.log = process::log(&table, cx),
        "query_log" => raw.query_log = watching::query_log(&table, cx),
        _ => raw.defaults = wip::settings(&table, cx),
    }
}

/// Reads `[section.NAME]` tables in the order they stand in.
fn named(
    section: &'static Section,
    tables: &DeTable<'_>,
    raw: &mut Raw,
    sources: &mut Sources,
    cx: &mut Context<'_>,
) {
    let mut list: Vec<(&Spanned<_>, &Spanned<DeValue<'_>>)> = tables.iter().collect();
    list.sort_unstable_by_key(|(key, _)| key.span().start);
    for (key, value) in list {
        let (name, spot) = (&**key.get_ref(), cx.spot(&key.span()));
        let DeValue::Table(table) = value.get_ref() else {
            cx.problems.push(mistakes::section_without_name(section, spot));
            continue;
        };
        if let Some(whole) = unquoted(section, name, table) {
            cx.problems.push(mistakes::unquoted_name(section, &whole, spot));
            continue;
        }
        let table = Table::new(section, Some(name), spot, table, cx);
        match section.name {
            "wip" => wip::wip(&table, name, raw, cx),
            "zone" => zone::zone(&table, name, raw, sources, cx),
            _ => {
                if !first_definition(section, name, spot, raw, cx) {
                    continue;
                }
                match section.name {
                    "datacenter" => datacenter::datacenter(&table, name, raw, cx),
                    "webhook" => watching::webhook(&table, name, raw, cx),
                    "tsig" => transfers::tsig(&table, name, raw, cx),
                    "health_check" => health_check::health_check(&table, name, raw, cx),
                    _ => members::pool(&table, name, raw, cx),
                }
            }
        }
    }
}

/// The name that `[wip.shop.example.com]` without quotes was to be.
fn unquoted(section: &Section, name: &str, table: &DeTable<'_>) -> Option<String> {
    match section.form {
        Form::Named { example, .. } if example.starts_with('"') => {}
        _ => return None,
    }
    let mut whole = name.to_owned();
    let mut at = table;
    // The TOML reader bounds nesting, so this ends.
    while let Some((key, inner)) = at.iter().find_map(|(key, value)| {
        let inner = value.get_ref().as_table()?;
        section.key(key.get_ref()).is_none().then_some((key.get_ref(), inner))
    }) {
        whole = format!("{whole}.{key}");
        at = inner;
    }
    (whole != name).then_some(whole)
}

/// Notes that `name` of `section` is defined here; false, with a problem that
/// shows both places, when it was before.
fn first_definition(
    section: &'static Section,
    name: &str,
    spot: Spot,
    raw: &mut Raw,
    cx: &mut Context<'_>,
) -> bool {
    if let Some(first) = raw.defined.get(&(section.name, name.to_owned())) {
        let title = match name {
            "" => format!("[{}] is given twice", section.name),
            name => format!("{} \"{name}\" is defined twice", section.name),
        };
        cx.problems.push(
            Problem::error("duplicate-definition", title)
                .at_with(spot, "again here")
                .at_with(*first, "first here"),
        );
        return false;
    }
    raw.defined.insert((section.name, name.to_owned()), spot);
    true
}
