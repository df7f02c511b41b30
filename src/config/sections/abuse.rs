//! `[access]`, `[rate_limit]`.

use ipnet::IpNet;

use crate::config::keys::{Key, access as a, access_lists as lists, rate_limit as r};
use crate::config::mistakes;
use crate::config::model::{Access, AccessLists, RateLimit};
use crate::config::reader::{At, Context, Item, Table};
use crate::config::values::{self, Bad};
use crate::metrics::RateClass;
use crate::problem::Problem;

/// Most networks of one list.
const NETWORKS_MAX: usize = 100_000;

//------------ [access] -------------------------------------------------------

pub(super) fn access(table: &Table<'_>, cx: &mut Context<'_>) -> Access {
    let transports = [&a::UDP, &a::TCP, &a::DOT, &a::DOH, &a::DOQ, &a::DOH3];
    Access {
        general: both_lists(table, (&a::ALLOW, &a::DENY), cx),
        by_transport: transports.map(|key| {
            table.value_or(key, cx, |item, cx| {
                let table = item.table(cx)?;
                Some(both_lists(&table, (&lists::ALLOW, &lists::DENY), cx))
            })
        }),
        is_silent: table.value(&a::ACTION, cx, Item::choice) == Some("drop"),
    }
}

fn both_lists(
    table: &Table<'_>,
    (allow, deny): (&'static Key, &'static Key),
    cx: &mut Context<'_>,
) -> AccessLists {
    let allow = table.value_or(allow, cx, networks);
    let deny = table.value_or(deny, cx, networks);
    let mut allowed: Vec<&At<IpNet>> = allow.iter().collect();
    allowed.sort_unstable_by_key(|at| at.value);
    for denied in &deny {
        if let Ok(found) = allowed.binary_search_by_key(&denied.value, |at| at.value) {
            cx.problems.push(
                Problem::error("contradiction", format!("{} is allowed and denied", denied.value))
                    .at_with(denied.spot, "denied here")
                    .at_with(allowed[found].spot, "allowed here"),
            );
        }
    }
    let plain = |list: Vec<At<IpNet>>| list.into_iter().map(|at| at.value).collect();
    AccessLists { allow: plain(allow), deny: plain(deny) }
}

fn networks(item: &Item<'_>, cx: &mut Context<'_>) -> Option<Vec<At<IpNet>>> {
    let written = item.elements(cx).len();
    if written > NETWORKS_MAX {
        let bad = Bad::new("out-of-range", format!("has {written} networks"))
            .label(format!("at most {NETWORKS_MAX}"));
        return item.bad(&bad, cx);
    }
    Some(item.list(cx, |item, cx| item.parse(cx, values::network)))
}

//------------ [rate_limit] ---------------------------------------------------

pub(super) fn rate_limit(table: &Table<'_>, cx: &mut Context<'_>) -> RateLimit {
    let responses = table.value_or(&r::RESPONSES, cx, Item::number);
    let per_second = RateClass::ALL.map(|class| {
        let key = match class {
            RateClass::Answer => return responses,
            RateClass::NoData => &r::NODATA,
            RateClass::NxDomain => &r::NXDOMAINS,
            RateClass::Referral => &r::REFERRALS,
            RateClass::Error => &r::ERRORS,
            RateClass::All => &r::ALL,
        };
        table.value(key, cx, Item::number).unwrap_or(responses)
    });
    let exempt = table.value_or(&r::EXEMPT, cx, |item, cx| {
        let list = networks(item, cx)?;
        mistakes::twice(item, &list, IpNet::to_string, cx.problems);
        Some(list.into_iter().map(|at| at.value).collect())
    });
    RateLimit {
        per_second,
        window_ms: table.value_or(&r::WINDOW, cx, Item::duration_ms),
        slip: table.value_or(&r::SLIP, cx, Item::number),
        ipv4_prefix: table.value_or(&r::IPV4_PREFIX, cx, Item::number),
        ipv6_prefix: table.value_or(&r::IPV6_PREFIX, cx, Item::number),
        exempt,
        table_size: table.value_or(&r::TABLE_SIZE, cx, Item::number),
    }
}
