//! `[wip."…"]` and `[wip_defaults]`.

use super::datacenter::{names, require};
use super::members::{members, policy};
use super::records::{binding, services};
use crate::config::keys::{on_all_down as o, wip as w};
use crate::config::mistakes;
use crate::config::raw::{Raw, RawSettings, WIPS_MAX};
use crate::config::reader::{At, Context, Item, Table};
use crate::config::values;
use crate::health::plan::Failback;
use crate::problem::Problem;
use crate::steer::{Families, OnAllDown};

/// Most addresses of `on_all_down`.
const ADDRESSES_MAX: usize = 32;

pub(super) fn wip(table: &Table<'_>, name: &str, raw: &mut Raw, cx: &mut Context<'_>) {
    let settings = settings(table, cx);
    let name = match values::name(name) {
        Ok(name) => name,
        Err(bad) => return cx.problems.push(mistakes::bad_table_name(table, &bad)),
    };
    if raw.wips.len() >= WIPS_MAX {
        return cx.problems.push(mistakes::too_many_wips(WIPS_MAX, cx.file));
    }
    let wips = &mut raw.wips.reading;
    let row = wips.push(&name, settings, table.spot);
    if let Some(item) = table.get(&w::ALIASES, cx) {
        for alias in item.list(cx, |item, cx| item.parse(cx, values::name)) {
            wips.push_alias(&alias.value, row, alias.spot);
        }
    }
    if let Some(item) = table.get(&w::CHECK_HOST, cx)
        && let Some(host) = item.parse(cx, values::host)
    {
        wips.set_check_host(row, host);
    }
}

/// What a WIP or `[wip_defaults]` says; the latter with its defaults filled in.
pub(super) fn settings(table: &Table<'_>, cx: &mut Context<'_>) -> RawSettings {
    if let (Some(members), Some(pools)) = (table.get(&w::MEMBERS, cx), table.get(&w::POOLS, cx)) {
        cx.problems.push(
            Problem::error("conflicting-keys", "`members` and `pools` exclude each other")
                .at_with(pools.spot, "pools")
                .at_with(members.spot, "members")
                .help("put the members into a pool of their own: [pool.NAME]"),
        );
    }
    RawSettings {
        // A list that was refused reads as empty: it was given, and is not missed.
        members: table
            .get(&w::MEMBERS, cx)
            .map(|item| members(&item, cx).unwrap_or_else(|| item.at(Vec::new()))),
        pools: table.get(&w::POOLS, cx).map(|item| item.at(pools(&item, cx).unwrap_or_default())),
        policy: table.value(&w::POLICY, cx, |item, cx| Some(item.at(policy(item, cx)?))),
        health_checks: table
            .value(&w::HEALTH_CHECK, cx, |item, cx| Some(item.at(names(item, cx)?))),
        require: table.value(&w::REQUIRE, cx, require),
        ttl_s: table.value(&w::TTL, cx, |item, cx| Some(item.at(item.seconds(cx)?))),
        ttl_min_s: table.value(&w::TTL_MIN, cx, |item, cx| Some(item.at(item.seconds(cx)?))),
        max_answers: table.value(&w::MAX_ANSWERS, cx, |item, cx| Some(item.at(item.number(cx)?))),
        on_all_down: table
            .value(&w::ON_ALL_DOWN, cx, |item, cx| Some(item.at(on_all_down(item, cx)?))),
        ecs: table.value(&w::ECS, cx, |item, cx| Some(item.at(item.bool(cx)?))),
        families: table.value(&w::FAMILIES, cx, |item, cx| {
            Some(item.at(match item.choice(cx)? {
                "independent" => Families::Independent,
                _ => Families::Together,
            }))
        }),
        failback: table.value(&w::FAILBACK, cx, |item, cx| Some(item.at(failback(item, cx)?))),
        ramp_ms: table.value(&w::RAMP, cx, |item, cx| Some(item.at(item.duration_ms(cx)?))),
        https: table.value(&w::HTTPS, cx, |item, cx| Some(item.at(binding(item, cx)?))),
        svcb: table.value(&w::SVCB, cx, |item, cx| Some(item.at(binding(item, cx)?))),
        srv: table.get(&w::SRV, cx).and_then(|item| Some(item.at(services(&item, cx)?))),
    }
}

fn pools(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<At<String>>> {
    let pools = names(item, cx)?;
    if pools.is_empty() && item.value.get_ref().is_array() {
        let bad = values::Bad::new("empty-list", "is empty").label("needs a pool");
        return item.bad(&bad, cx);
    }
    Some(pools)
}

/// "auto", "manual" or "after:10m".
fn failback(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Failback> {
    if let Some(duration) = item.text(cx)?.strip_prefix("after:") {
        return match values::after(duration) {
            Ok(ms) => Some(Failback::AfterMs(ms)),
            Err(bad) => item.bad(&bad, cx),
        };
    }
    let text = item.text(cx)?;
    if values::duration_ms(text).is_ok() {
        let bad = values::Bad::new("unknown-value", format!("cannot be \"{text}\""))
            .help(format!("to wait for so long: \"after:{text}\""));
        return item.bad(&bad, cx);
    }
    Some(match item.choice(cx)? {
        "manual" => Failback::Manual,
        _ => Failback::Auto,
    })
}

fn on_all_down(item: &Item<'_>, cx: &mut Context<'_>) -> Option<OnAllDown> {
    if item.is_table() {
        let table = item.table(cx)?;
        let list = table.get(&o::ADDRESSES, cx)?;
        let written = list.elements(cx).len();
        if written == 0 || written > ADDRESSES_MAX {
            let reason = format!("must have 1 to {ADDRESSES_MAX} addresses");
            let bad = values::Bad::new("out-of-range", reason).label(format!("{written} here"));
            return list.bad(&bad, cx);
        }
        let addresses = list.list(cx, |item, cx| item.parse(cx, values::address));
        return Some(OnAllDown::Addresses(addresses.into_iter().map(|at| at.value).collect()));
    }
    if !item.value.get_ref().is_str() {
        return item.wrong_type(cx);
    }
    Some(match item.choice(cx)? {
        "first" => OnAllDown::First,
        "last-known-good" => OnAllDown::LastKnownGood,
        "nodata" => OnAllDown::NoData,
        "servfail" => OnAllDown::ServFail,
        "refuse" => OnAllDown::Refuse,
        _ => OnAllDown::All,
    })
}
