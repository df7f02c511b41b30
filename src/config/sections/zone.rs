//! `[zone."…"]`.

use std::io::ErrorKind;

use super::transfers;
use crate::config::keys::{Key, zone as z};
use crate::config::mistakes;
use crate::config::model::{MasterFile, Zone};
use crate::config::raw::{Raw, RawZone};
use crate::config::reader::{Context, Item, Table};
use crate::config::values;
use crate::problem::{FileId, Problem, Sources};

/// Negative TTL where `nameservers` make the SOA, in seconds: a WIP that is
/// added must be seen soon.
const NEGATIVE_TTL_DEFAULT_S: u32 = 30;

pub(super) fn zone(
    table: &Table<'_>,
    name: &str,
    raw: &mut Raw,
    sources: &mut Sources,
    cx: &mut Context<'_>,
) {
    let origin = match values::plain_name(name) {
        Ok(origin) => origin.to_lowercase(),
        Err(bad) => return cx.problems.push(mistakes::bad_table_name(table, &bad)),
    };
    if !super::first_definition(table.section, &origin.to_string(), table.spot, raw, cx) {
        return;
    }
    if !transfers::is_secondary(table, cx) {
        authority_is_whole(table, cx);
    }
    let (file, master_file) = master_file(table, sources, cx).unzip();
    let nameservers = table.value_or(&z::NAMESERVERS, cx, |item, cx| {
        let list = item.list(cx, |item, cx| item.parse(cx, values::plain_name));
        Some(list.into_iter().map(|at| at.value).collect::<Vec<_>>())
    });
    let negative_ttl_s = table
        .value(&z::NEGATIVE_TTL, cx, Item::seconds)
        .or(table.has(&z::NAMESERVERS).then_some(NEGATIVE_TTL_DEFAULT_S));
    let (records, record_spots) = table
        .value_or(&z::RECORDS, cx, |item, cx| {
            Some(item.list(cx, |item, cx| item.text(cx).map(str::to_owned)))
        })
        .into_iter()
        .map(|at| (at.value, at.spot))
        .unzip();
    let mut zone = Zone {
        origin,
        nameservers,
        hostmaster: table.value(&z::HOSTMASTER, cx, |item, cx| item.parse(cx, values::mailbox)),
        file,
        records,
        ttl_s: table.value_or(&z::TTL, cx, Item::seconds),
        negative_ttl_s,
        serial: table.value(&z::SERIAL, cx, Item::number),
        primaries: Vec::new(),
        notify: Vec::new(),
        allow_transfer: Vec::new(),
    };
    let keys = transfers::of_zone(table, &mut zone, cx);
    raw.zones.push(RawZone { zone, spot: table.spot, master_file, record_spots, keys });
}

/// SOA and NS come from `nameservers` and `hostmaster`, or from the file.
fn authority_is_whole(table: &Table<'_>, cx: &mut Context<'_>) {
    let missing: &[&'static Key] =
        match (table.has(&z::NAMESERVERS), table.has(&z::HOSTMASTER), table.has(&z::FILE)) {
            (true, false, _) => &[&z::HOSTMASTER],
            (false, true, _) => &[&z::NAMESERVERS],
            (false, false, false) => &[&z::NAMESERVERS, &z::HOSTMASTER],
            _ => &[],
        };
    for key in missing {
        cx.problems.push(
            mistakes::missing_key(table, key)
                .help("or give neither, and SOA and NS in the master file (`file`)"),
        );
    }
    if let Some(item) = table.get(&z::NAMESERVERS, cx)
        && item.elements(cx).is_empty()
        && item.value.get_ref().is_array()
    {
        cx.problems.push(
            Problem::error("empty-list", format!("{} is empty", mistakes::path(&item)))
                .at_with(item.spot, "a zone has at least one name server"),
        );
    }
}

fn master_file(
    table: &Table<'_>,
    sources: &mut Sources,
    cx: &mut Context<'_>,
) -> Option<(MasterFile, FileId)> {
    let item = table.get(&z::FILE, cx)?;
    let path = item.path(cx)?;
    match cx.files.read(&path) {
        Ok(text) => {
            let Some(id) = sources.find(&path).or_else(|| sources.add(&path)) else {
                cx.problems.push(mistakes::too_many_files().at(item.spot));
                return None;
            };
            Some((MasterFile { path, text }, id))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            cx.problems.push(mistakes::file_missing(&item, &path));
            None
        }
        Err(error) => {
            let title = format!("{} cannot be read: {error}", mistakes::path(&item));
            cx.problems.push(
                Problem::error("file-unreadable", title)
                    .at_with(item.spot, path.display().to_string()),
            );
            None
        }
    }
}
