//! `[tsig.…]`, and what zones say of other servers.

use std::sync::Arc;

use crate::config::keys::{grant as g, server_with_key as s, tsig as t, zone as z};
use crate::config::mistakes;
use crate::config::model::{Grant, Remote, TsigKey, Zone};
use crate::config::raw::Raw;
use crate::config::reader::{At, Context, Item, Table};
use crate::config::values;
use crate::dns::Name;
use crate::dns::tsig::{Algorithm, Key};
use crate::problem::Problem;

/// Most keys, and most servers or grants of a zone.
const KEYS_MAX: usize = 1_000;
const SERVERS_MAX: usize = 64;
/// Secrets shorter than this can be guessed, in bytes (RFC 8945 9).
const SECRET_LENGTH_MIN: usize = 16;

pub(super) fn tsig(table: &Table<'_>, name: &str, raw: &mut Raw, cx: &mut Context<'_>) {
    let name = match values::key_name(name) {
        Ok(name) => name,
        Err(bad) => return cx.problems.push(mistakes::bad_table_name(table, &bad)),
    };
    if raw.tsig.len() == KEYS_MAX {
        let title = format!("there are more than {KEYS_MAX} TSIG keys");
        cx.problems.push(Problem::error("out-of-range", title).at(table.spot));
        return;
    }
    // What is wrong with the key is no reason to call it missing where it is used.
    raw.tsig_names.insert(name.clone());
    let word = table.value(&t::ALGORITHM, cx, Item::choice);
    let found = Algorithm::ALL.iter().find(|(text, _)| word == Some(*text));
    let algorithm = found.map_or(Algorithm::Sha256, |(_, algorithm)| *algorithm);
    let secret_file = table.value(&t::SECRET_FILE, cx, Item::existing_file);
    let Some((secret, text)) = secret(table, cx) else { return };
    if secret.len() < SECRET_LENGTH_MIN {
        let title = format!("the secret of TSIG key {name} has {} bytes", secret.len());
        cx.problems.push(
            Problem::warning("short-secret", title)
                .at_with(table.spot, format!("less than {SECRET_LENGTH_MIN} can be guessed"))
                .help("make a longer one on both sides: openssl rand -base64 32"),
        );
    }
    let key = Arc::new(Key::new(&name, algorithm, &secret));
    raw.tsig.push(TsigKey { key, secret: text, secret_file });
}

/// The secret and its text, of the one key or the other.
fn secret(table: &Table<'_>, cx: &mut Context<'_>) -> Option<(Vec<u8>, String)> {
    match (table.get(&t::SECRET_FILE, cx), table.get(&t::SECRET, cx)) {
        (Some(_), Some(_)) => {
            cx.problems.push(
                Problem::error("contradiction", "the key has both `secret_file` and `secret`")
                    .at_with(table.spot_of(&t::SECRET_FILE, cx), "one of them")
                    .at_with(table.spot_of(&t::SECRET, cx), "or the other"),
            );
            None
        }
        (None, None) => {
            if !table.has(&t::SECRET_FILE) {
                cx.problems.push(mistakes::missing_key(table, &t::SECRET_FILE));
            }
            None
        }
        (None, Some(item)) => {
            let secret = item.parse(cx, values::secret)?;
            Some((secret, item.text(cx)?.to_owned()))
        }
        (Some(item), None) => {
            let path = item.path(cx)?;
            let text = match cx.files.read(&path) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
                // One that is not there was told of already.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
                Err(error) => {
                    let title = format!("{} cannot be read: {error}", mistakes::path(&item));
                    cx.problems.push(Problem::error("file-unreadable", title).at(item.spot));
                    return None;
                }
            };
            match values::secret(&text) {
                Ok(secret) => Some((secret, text)),
                Err(bad) => item.bad(&bad, cx),
            }
        }
    }
}

/// Fills in what a zone says of other servers, and gives the keys it names.
pub(super) fn of_zone(table: &Table<'_>, zone: &mut Zone, cx: &mut Context<'_>) -> Vec<At<Name>> {
    let mut keys = Vec::new();
    let mut remotes = |key, cx: &mut Context<'_>| {
        let list = table.value_or(key, cx, |item, cx| Some(item.list(cx, remote)));
        bounded(table, list.len(), cx);
        list.into_iter()
            .map(|at| {
                let (address, key): (_, Option<At<Name>>) = at.value;
                keys.extend(key.clone());
                Remote { address, key: key.map(|key| key.value) }
            })
            .collect::<Vec<_>>()
    };
    zone.primaries = remotes(&z::PRIMARIES, cx);
    zone.notify = remotes(&z::NOTIFY, cx);
    let grants = table.value_or(&z::ALLOW_TRANSFER, cx, |item, cx| Some(item.list(cx, grant)));
    bounded(table, grants.len(), cx);
    for At { value: (network, key), .. } in grants {
        keys.extend(key.clone());
        zone.allow_transfer.push(Grant { network, key: key.map(|key| key.value) });
    }
    keys
}

fn bounded(table: &Table<'_>, length: usize, cx: &mut Context<'_>) {
    if length > SERVERS_MAX {
        let title = format!("a list of the zone has {length} entries, at most {SERVERS_MAX}");
        cx.problems.push(Problem::error("out-of-range", title).at(table.spot));
    }
}

fn remote(
    item: &Item<'_>,
    cx: &mut Context<'_>,
) -> Option<(std::net::SocketAddr, Option<At<Name>>)> {
    if !item.is_table() {
        return Some((item.parse(cx, values::remote)?, None));
    }
    let table = item.table(cx)?;
    let address = table.value(&s::ADDRESS, cx, |item, cx| item.parse(cx, values::remote))?;
    Some((address, table.value(&s::KEY, cx, key_name)))
}

fn grant(
    item: &Item<'_>,
    cx: &mut Context<'_>,
) -> Option<(Option<ipnet::IpNet>, Option<At<Name>>)> {
    if !item.is_table() {
        let (network, key) = item.parse(cx, values::grant)?;
        return Some((network, key.map(|key| item.at(key))));
    }
    let table = item.table(cx)?;
    let network = table.value(&g::ADDRESS, cx, |item, cx| item.parse(cx, values::network));
    let key = table.value(&g::KEY, cx, key_name);
    // One of the two alone would grant more than was meant.
    Some((Some(network?), Some(key?)))
}

fn key_name(item: &Item<'_>, cx: &mut Context<'_>) -> Option<At<Name>> {
    Some(item.at(item.parse(cx, values::key_name)?))
}

/// A zone that comes from primaries has nothing of its own. True: it is one.
pub(super) fn is_secondary(table: &Table<'_>, cx: &mut Context<'_>) -> bool {
    let Some(primaries) = table.get(&z::PRIMARIES, cx) else { return false };
    if primaries.value.get_ref().is_array() && primaries.elements(cx).is_empty() {
        return false;
    }
    for key in
        [&z::NAMESERVERS, &z::HOSTMASTER, &z::FILE, &z::RECORDS, &z::NEGATIVE_TTL, &z::SERIAL]
    {
        if let Some(item) = table.get(key, cx) {
            cx.problems.push(
                Problem::error("contradiction", "a zone with `primaries` has no data of its own")
                    .at_with(item.spot, format!("`{}` would be lost", key.name))
                    .at_with(primaries.spot, "all of it comes from here")
                    .help("put the records into the zone at its primary, or remove `primaries`"),
            );
        }
    }
    true
}
