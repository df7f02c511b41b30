//! Type `dns`.

use super::{refuse_others, required};
use crate::config::keys::{Key, health_check as h};
use crate::config::reader::{Context, Item, Table};
use crate::config::values;
use crate::dns::types::{Rcode, rtype};
use crate::health::check::{DnsProbe, ProbeKind};
use crate::problem::Problem;

const DNS: [&Key; 8] = [
    &h::PORT,
    &h::TRANSPORT,
    &h::QUERY_NAME,
    &h::QUERY_TYPE,
    &h::EXPECT_RCODE,
    &h::EXPECT_ANSWER,
    &h::EXPECT_AUTHORITATIVE,
    &h::SOURCE,
];
/// Where servers listen.
const PORT: u16 = 53;

pub(super) fn dns(table: &Table<'_>, cx: &mut Context<'_>) -> Option<ProbeKind> {
    refuse_others(table, "dns", &DNS, cx);
    required(table, &h::QUERY_NAME, "a name that the server must know, and is to stay", cx);
    let rtype = table
        .value(&h::QUERY_TYPE, cx, |item, cx| item.parse(cx, values::query_type))
        .unwrap_or(rtype::A);
    let expect_rcode =
        table.value(&h::EXPECT_RCODE, cx, Item::choice).map_or(Rcode::NOERROR, rcode);
    let expect_answers: Vec<String> = table.value_or(&h::EXPECT_ANSWER, cx, |item, cx| {
        let list =
            item.list(cx, |item, cx| item.parse(cx, |text| values::record_data(text, rtype)));
        Some(list.into_iter().map(|at| at.value).collect())
    });
    if expect_rcode != Rcode::NOERROR && !expect_answers.is_empty() {
        let title = "`expect_answer` needs the response code NOERROR";
        cx.problems.push(
            Problem::error("conflicting-keys", title)
                .at_with(table.spot_of(&h::EXPECT_ANSWER, cx), "no answer comes with that code")
                .at_with(table.spot_of(&h::EXPECT_RCODE, cx), expect_rcode.mnemonic())
                .help("leave one of the two out"),
        );
    }
    Some(ProbeKind::Dns(DnsProbe {
        port: table.value(&h::PORT, cx, Item::number).unwrap_or(PORT),
        route: super::stream::route(table, cx),
        tcp: table.value(&h::TRANSPORT, cx, Item::choice) == Some("tcp"),
        name: table.value(&h::QUERY_NAME, cx, |item, cx| item.parse(cx, values::query_name))?,
        rtype,
        expect_rcode: expect_rcode.0,
        expect_answers,
        expect_authoritative: table.value_or(&h::EXPECT_AUTHORITATIVE, cx, Item::bool),
    }))
}

fn rcode(mnemonic: &str) -> Rcode {
    match mnemonic {
        "FORMERR" => Rcode::FORMERR,
        "SERVFAIL" => Rcode::SERVFAIL,
        "NXDOMAIN" => Rcode::NXDOMAIN,
        "NOTIMP" => Rcode::NOTIMP,
        "REFUSED" => Rcode::REFUSED,
        _ => Rcode::NOERROR,
    }
}
