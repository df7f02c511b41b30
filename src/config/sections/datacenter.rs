//! `[datacenter.…]`, and what members share with it: VIPs, places, clients.

use std::net::IpAddr;

use crate::config::keys::{datacenter as d, location as l, vip as v};
use crate::config::mistakes;
use crate::config::model::Vip;
use crate::config::raw::{Raw, RawDatacenter};
use crate::config::reader::{At, Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::geo::{Location, Serves};
use crate::health::check::Require;

/// Most VIPs of one datacenter or member.
const VIPS_MAX: usize = 64;
/// Most checks or pools that one table names.
const NAMES_MAX: usize = 255;

pub(super) fn datacenter(table: &Table<'_>, name: &str, raw: &mut Raw, cx: &mut Context<'_>) {
    if let Err(bad) = values::object_name(name) {
        cx.problems.push(mistakes::bad_table_name(table, &bad));
    }
    let datacenter = RawDatacenter {
        name: name.to_owned(),
        spot: table.spot,
        vips: table.value_or(&d::VIP, cx, vips),
        location: table.value(&d::LOCATION, cx, location),
        serves: table.value_or(&d::SERVES, cx, serves),
        bias: table.value_or(&d::BIAS, cx, Item::number),
        weight: table.value_or(&d::WEIGHT, cx, Item::number),
        wildcard: table.value(&d::WILDCARD, cx, |item, cx| {
            Some(item.at(item.parse(cx, values::plain_name)?.to_lowercase()))
        }),
        health_checks: table.value_or(&d::HEALTH_CHECK, cx, names),
        require: table.get(&d::REQUIRE, cx).and_then(|item| require(&item, cx)),
        ramp_ms: table.value(&d::RAMP, cx, Item::duration_ms),
    };
    raw.datacenters.push(datacenter);
}

/// Names of other tables.
pub(super) fn names(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<At<String>>> {
    let written = item.elements(cx).len();
    if written > NAMES_MAX {
        let bad = Bad::new("out-of-range", format!("has {written} names"));
        return item.bad(&bad.label(format!("at most {NAMES_MAX}")), cx);
    }
    let list = item.list(cx, |item, cx| item.text(cx).map(str::to_owned));
    mistakes::twice(item, &list, |name| format!("\"{name}\""), cx.problems);
    Some(list)
}

/// "all", "any" or a number.
pub(super) fn require(item: &Item<'_>, cx: &mut Context<'_>) -> Option<At<Require>> {
    let value = if item.is_integer() {
        Require::AtLeast(item.number(cx)?)
    } else if item.value.get_ref().is_str() {
        match item.choice(cx)? {
            "any" => Require::Any,
            _ => Require::All,
        }
    } else {
        return item.wrong_type(cx);
    };
    Some(item.at(value))
}

/// One or more VIPs; an address alone, or a table with `for`.
pub(super) fn vips(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<At<Vip>>> {
    let written = item.elements(cx).len();
    if written == 0 && item.value.get_ref().is_array() {
        let bad = Bad::new("empty-list", "is empty").label("needs an address");
        return item.bad(&bad, cx);
    }
    if written > VIPS_MAX {
        return item
            .bad(&Bad::new("out-of-range", "has more than 64 addresses").label("too many"), cx);
    }
    let list = item.list(cx, vip);
    let addresses: Vec<At<IpAddr>> =
        list.iter().map(|at| At { value: at.value.address, spot: at.spot }).collect();
    mistakes::twice(item, &addresses, IpAddr::to_string, cx.problems);
    Some(list)
}

fn vip(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vip> {
    if !item.is_table() {
        return Some(Vip { address: item.parse(cx, values::address)?, clients: Vec::new() });
    }
    let table = item.table(cx)?;
    let clients = table
        .get(&v::FOR, cx)
        .map(|item| item.list(cx, |item, cx| item.parse(cx, values::network)));
    let address = table.get(&v::ADDRESS, cx)?.parse(cx, values::address)?;
    let clients = clients.unwrap_or_default().into_iter().map(|at| at.value).collect();
    Some(Vip { address, clients })
}

/// A point or a country.
pub(super) fn location(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Location> {
    let table = item.table(cx)?;
    let written = (table.has(&l::LATITUDE), table.has(&l::LONGITUDE), table.has(&l::COUNTRY));
    match written {
        (true, true, false) => Some(Location::Point {
            latitude: table.get(&l::LATITUDE, cx)?.float(cx)?,
            longitude: table.get(&l::LONGITUDE, cx)?.float(cx)?,
        }),
        (false, false, true) => {
            table.get(&l::COUNTRY, cx)?.parse(cx, values::country).map(Location::Country)
        }
        _ => {
            let bad = Bad::new("bad-location", "must be a point or a country").help(
                "{ latitude = 50.11, longitude = 8.68 } or { country = \"DE\" }, and nothing else",
            );
            item.bad(&bad, cx)
        }
    }
}

/// Rules of `serves`.
pub(super) fn serves(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<At<Serves>>> {
    Some(item.list(cx, |item, cx| item.parse(cx, values::serves)))
}
