//! `https`, `svcb` and `srv` of WIPs.

use crate::config::keys::{ALPN_MAX, binding as b, service as s};
use crate::config::mistakes;
use crate::config::model::{ServiceBinding, ServiceRecord};
use crate::config::reader::{Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::dns::Name;
use crate::steer::binding::key;

/// A table, or true for one with all its defaults; false is none.
pub(super) fn binding(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Option<ServiceBinding>> {
    if item.value.get_ref().is_bool() {
        return Some(item.bool(cx)?.then(plain));
    }
    let table = item.table(cx)?;
    let alpn = table.get(&b::ALPN, cx).map_or(Some(Vec::new()), |item| alpn(&item, cx))?;
    let no_default_alpn = table.value_or(&b::NO_DEFAULT_ALPN, cx, Item::bool);
    if no_default_alpn && alpn.is_empty() {
        let bad = Bad::new("no-protocol", "leaves the client no protocol at all")
            .label("and `alpn` is empty")
            .help("add, for example: alpn = [\"h2\"]");
        return table.get(&b::NO_DEFAULT_ALPN, cx)?.bad(&bad, cx);
    }
    let target = table.value(&b::TARGET, cx, |item, cx| item.parse(cx, values::target))?;
    let mut binding = ServiceBinding {
        priority: table.value(&b::PRIORITY, cx, Item::number)?,
        hints: table.value(&b::HINTS, cx, Item::bool).unwrap_or(target.is_root()),
        target,
        alpn,
        no_default_alpn,
        port: table.value(&b::PORT, cx, Item::number),
        ech: table.value(&b::ECH, cx, |item, cx| item.parse(cx, values::ech)),
        mandatory: Vec::new(),
    };
    binding.mandatory = mandatory(&table, &binding, cx);
    Some(Some(binding))
}

/// All defaults.
fn plain() -> ServiceBinding {
    ServiceBinding {
        priority: 1,
        target: Name::root(),
        alpn: Vec::new(),
        no_default_alpn: false,
        port: None,
        ech: None,
        mandatory: Vec::new(),
        hints: true,
    }
}

fn alpn(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<String>> {
    let list = item.list(cx, |item, cx| item.parse(cx, values::alpn));
    if list.len() > ALPN_MAX {
        let bad = Bad::new("out-of-range", format!("has {} protocols", list.len()))
            .label(format!("at most {ALPN_MAX}"));
        return item.bad(&bad, cx);
    }
    mistakes::twice(item, &list, |name| format!("\"{name}\""), cx.problems);
    Some(list.into_iter().map(|at| at.value).collect())
}

/// Parameters that must be understood: what is not there cannot be (RFC 9460 8).
fn mandatory(table: &Table<'_>, binding: &ServiceBinding, cx: &mut Context<'_>) -> Vec<u16> {
    let Some(item) = table.get(&b::MANDATORY, cx) else { return Vec::new() };
    let list = item.list(cx, |item, cx| {
        let name = item.choice(cx)?;
        let (number, is_there) = match name {
            "alpn" => (key::ALPN, !binding.alpn.is_empty()),
            "no_default_alpn" => (key::NO_DEFAULT_ALPN, binding.no_default_alpn),
            "port" => (key::PORT, binding.port.is_some()),
            _ => (key::ECH, binding.ech.is_some()),
        };
        if !is_there {
            let bad = Bad::new("missing-key", format!("names `{name}`, which is not given"))
                .label("nothing to understand")
                .help(format!("give `{name}`, or leave it out here"));
            return item.bad(&bad, cx);
        }
        Some(number)
    });
    mistakes::twice(&item, &list, |number| format!("parameter {number}"), cx.problems);
    let mut numbers: Vec<u16> = list.into_iter().map(|at| at.value).collect();
    numbers.sort_unstable();
    numbers
}

/// SRV records by service.
pub(super) fn services(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<ServiceRecord>> {
    if !item.is_table() {
        return item.wrong_type(cx);
    }
    let mut services: Vec<ServiceRecord> = Vec::new();
    for (name, item) in item.map(cx) {
        let prefix = match values::service(name.value) {
            Ok(prefix) => prefix.to_lowercase(),
            Err(bad) => {
                item.bad::<()>(&bad, cx);
                continue;
            }
        };
        let Some(table) = item.table(cx) else { continue };
        let port = table.value(&s::PORT, cx, Item::number);
        let priority = table.value_or(&s::PRIORITY, cx, Item::number);
        let weight = table.value_or(&s::WEIGHT, cx, Item::number);
        if services.iter().any(|known| known.prefix == prefix) {
            let bad = Bad::new("duplicate-value", format!("has {prefix} twice"));
            item.bad::<()>(&bad, cx);
        }
        services.extend(port.map(|port| ServiceRecord { prefix, port, priority, weight }));
    }
    Some(services)
}
