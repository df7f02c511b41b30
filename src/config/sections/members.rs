//! Members, as names or tables, and `[pool.…]`.

use super::datacenter::{location, serves, vips};
use crate::config::keys::{member as m, pool as p};
use crate::config::mistakes;
use crate::config::model::POOL_MEMBERS_MAX;
use crate::config::raw::{ExactLocation, Raw, RawMember, RawPool};
use crate::config::reader::{At, Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::problem::Problem;
use crate::steer::Policy;

pub(super) fn pool(table: &Table<'_>, name: &str, raw: &mut Raw, cx: &mut Context<'_>) {
    if let Err(bad) = values::object_name(name) {
        cx.problems.push(mistakes::bad_table_name(table, &bad));
    }
    let written = table.get(&p::MEMBERS, cx).and_then(|item| members(&item, cx));
    let min_available = table.value(&p::MIN_AVAILABLE, cx, Item::number).unwrap_or(1);
    if let Some(members) = &written
        && usize::from(min_available) > members.value.len()
    {
        let path = mistakes::key_path(table.section, table.name, p::MIN_AVAILABLE.name);
        let count = members.value.len();
        cx.problems.push(
            Problem::error("out-of-range", format!("{path} is more than the pool has members"))
                .at_with(table.spot_of(&p::MIN_AVAILABLE, cx), "could never be met")
                .at_with(members.spot, format!("{count} here")),
        );
    }
    raw.pools.push(RawPool {
        name: name.to_owned(),
        spot: table.spot,
        policy: table.value_or(&p::POLICY, cx, policy),
        members: written.unwrap_or(At { value: Vec::new(), spot: table.spot }),
        min_available: At { value: min_available, spot: table.spot_of(&p::MIN_AVAILABLE, cx) },
    });
}

/// A policy's name.
pub(super) fn policy(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Policy> {
    Some(match item.choice(cx)? {
        "round-robin" => Policy::RoundRobin,
        "weighted" => Policy::Weighted,
        "failover" => Policy::Failover,
        "hash" => Policy::Hash,
        _ => Policy::Geo,
    })
}

/// 1 to 256 members.
pub(super) fn members(item: &Item<'_>, cx: &mut Context<'_>) -> Option<At<Vec<At<RawMember>>>> {
    let written = item.elements(cx).len();
    if written == 0 && item.value.get_ref().is_array() {
        let bad = Bad::new("empty-list", "is empty").label("needs a member");
        return item.bad(&bad, cx);
    }
    if written > POOL_MEMBERS_MAX {
        let bad = Bad::new("out-of-range", format!("has {written} members"))
            .label(format!("at most {POOL_MEMBERS_MAX}"))
            .help("split it into pools");
        return item.bad(&bad, cx);
    }
    let list = item.list(cx, member);
    if list.len() < written {
        return None;
    }
    Some(item.at(list))
}

fn member(item: &Item<'_>, cx: &mut Context<'_>) -> Option<RawMember> {
    if item.value.get_ref().is_str() {
        let name = item.text(cx)?;
        if let Ok(address) = values::address(name) {
            let bad = Bad::new("bad-member", "names datacenters; an address is a table")
                .label("an address")
                .help(format!("write {{ address = \"{address}\" }}"));
            return item.bad(&bad, cx);
        }
        let datacenter = Some(item.at(name.to_owned()));
        return Some(RawMember { datacenter, ..RawMember::default() });
    }
    if !item.is_table() {
        return item.wrong_type(cx);
    }
    let table = item.table(cx)?;
    let member = RawMember {
        name: table.value(&m::NAME, cx, |item, cx| item.parse(cx, values::object_name)),
        datacenter: table
            .value(&m::DATACENTER, cx, |item, cx| Some(item.at(item.text(cx)?.to_owned()))),
        vips: table.value(&m::ADDRESS, cx, vips),
        cname: table.value(&m::CNAME, cx, |item, cx| {
            Some(item.at(item.parse(cx, values::plain_name)?.to_lowercase()))
        }),
        weight: table.value(&m::WEIGHT, cx, Item::number),
        location: table.value(&m::LOCATION, cx, location).map(ExactLocation),
        serves: table.value(&m::SERVES, cx, serves),
        bias: table.value(&m::BIAS, cx, Item::number),
        ramp_ms: table.value(&m::RAMP, cx, Item::duration_ms),
    };
    if !table.has(&m::DATACENTER) && !table.has(&m::ADDRESS) && !table.has(&m::CNAME) {
        let bad = Bad::new("missing-key", "has a member without address")
            .label("needs `datacenter`, `address` or `cname`")
            .help("for example: { datacenter = \"fra\" } or { address = \"203.0.113.10\" }");
        return item.bad(&bad, cx);
    }
    if let (Some(address), Some(cname)) = (table.get(&m::ADDRESS, cx), table.get(&m::CNAME, cx)) {
        cx.problems.push(
            Problem::error("conflicting-keys", "`address` and `cname` exclude each other")
                .at_with(cname.spot, "a name")
                .at_with(address.spot, "addresses")
                .help("a member is answered as the one or as the other"),
        );
    }
    Some(member)
}
