//! RFC 9460: Service binding (SVCB and HTTPS records).

use std::collections::BTreeSet;

use crate::dns_support::Random;
use crate::dns_support::message::Message;
use crate::support::Server;

const HTTPS: u16 = 65;
const IPV4HINT: u16 = 4;
const IPV6HINT: u16 = 6;
/// States of members, as a random world has them.
const STATES: [&str; 6] = ["up", "up", "down", "drained", "pending", "forced-down"];

/// Sites with both families; the last digit says whose an address is.
const SITES: &str = "
[zone.\"example.com\"]
nameservers = [\"ns1.example.net\"]
hostmaster = \"hostmaster@example.com\"
serial = 1
negative_ttl = \"1m\"
records = [
  \"@ 300 HTTPS 0 plain\",
  \"plain 300 A 192.0.2.80\",
  \"plain 300 HTTPS 1 . alpn=h2\",
  \"svc 300 HTTPS 1 shop port=8443\",
  \"toshop 300 CNAME shop\",
  \"many 300 HTTPS 2 . alpn=h2\",
]
[datacenter.one]
vip = [\"192.0.2.1\", \"2001:db8::1\"]
location = { country = \"DE\" }
serves = [\"10.1.0.0/16\"]
[datacenter.two]
vip = [\"192.0.2.2\", \"2001:db8::2\"]
location = { country = \"US\" }
serves = [\"10.2.0.0/16\"]
[datacenter.three]
vip = [\"192.0.2.3\", \"2001:db8::3\"]
location = { country = \"JP\" }
serves = [\"10.3.0.0/16\"]
[health_check.port]
type = \"tcp\"
port = 443
[wip_defaults]
members = [\"one\", \"two\", \"three\"]
health_check = \"port\"
ttl = \"30s\"
https = true
";

fn server(wips: &str) -> Server {
    Server::new(&format!("{SITES}\n{wips}"), &[])
}

/// Parameters of the only answer, with their numbers.
fn parameters(message: &Message) -> Vec<(u16, Vec<u8>)> {
    let answers: Vec<_> = message.records.iter().filter(|record| record.section == 0).collect();
    let [record] = answers.as_slice() else { panic!("{answers:?}") };
    // Priority, and the root as target.
    let mut rest = record.raw.strip_prefix(&[0, 1, 0]).unwrap();
    let mut parameters = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (value, tail) = tail.split_at(length);
        parameters.push((u16::from_be_bytes([head[0], head[1]]), value.to_vec()));
        rest = tail;
    }
    assert!(rest.is_empty(), "{record:?}");
    parameters
}

/// Addresses of a hint, in order.
fn hints(message: &Message, number: u16) -> Vec<Vec<u8>> {
    let length = if number == IPV4HINT { 4 } else { 16 };
    let parameters = parameters(message);
    let found = parameters.iter().find(|(known, _)| *known == number);
    found.map_or_else(Vec::new, |(_, value)| value.chunks(length).map(<[u8]>::to_vec).collect())
}

/// Addresses answered, in order.
fn addresses(message: &Message) -> Vec<Vec<u8>> {
    let answers = message.records.iter().filter(|record| record.section == 0);
    answers.map(|record| record.raw.clone()).collect()
}

/// Point 27, sections 2.2 and 7: parameters stand in the order of their numbers, each once,
/// and another reader takes them for what they are.
#[test]
fn parameters_stand_in_the_order_of_their_numbers() {
    let mut server = server(
        "[wip.\"shop.example.com\"]
         policy = \"failover\"
         https = { ech = \"AAQAAQID\", mandatory = [\"ech\", \"alpn\", \"port\"], port = 8443, \
         alpn = [\"h2\", \"h3\"], no_default_alpn = true }
         svcb = { mandatory = \"port\", port = 853, alpn = \"dot\", priority = 1 }",
    );
    let reply = server.ask("shop.example.com HTTPS");
    let numbers: Vec<u16> = parameters(&reply).iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    // `port` is mandatory for HTTPS in any case, and not listed.
    assert_eq!(parameters(&reply)[0].1, [0, 1, 0, 5]);
    assert_eq!(parameters(&reply)[1].1, b"\x02h2\x02h3");
    assert_eq!(parameters(&reply)[5].1, [0, 4, 0, 1, 2, 3]);
    let svcb = server.ask("shop.example.com SVCB");
    assert_eq!(parameters(&svcb)[0], (0, vec![0, 3]));

    let message = server.raw("shop.example.com HTTPS");
    let read = hickory_proto::op::Message::from_vec(&message).unwrap();
    let text = read.answers[0].data.to_string();
    for part in ["h2", "h3", "no-default-alpn", "8443", "192.0.2.1", "2001:db8::1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let again = hickory_proto::op::Message::from_vec(&read.to_vec().unwrap()).unwrap();
    assert_eq!(again.answers[0].data, read.answers[0].data);
}

/// Point 27, sections 2.4.3 and 7.3: `https = true` says nothing but where.
#[test]
fn a_record_of_defaults_has_hints_alone() {
    let mut server = server(
        "[wip.\"shop.example.com\"]
         [wip.\"bare.example.com\"]
         https = { hints = false, alpn = \"h2\" }
         [wip.\"none.example.com\"]
         https = false
         [wip.\"else.example.com\"]
         https = { target = \"cdn.example.net\", alpn = \"h2\" }",
    );
    let reply = server.ask("shop.example.com HTTPS");
    let numbers: Vec<u16> = parameters(&reply).iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [IPV4HINT, IPV6HINT]);
    let bare = parameters(&server.ask("bare.example.com HTTPS"));
    assert_eq!(bare, [(1, b"\x02h2".to_vec())]);
    server.gets(
        "none.example.com HTTPS",
        "NOERROR aa
         authority example.com. 30 SOA ns1.example.net. hostmaster.example.com. 1 3600 600 1209600 60",
    );
    let raw = server.ask("else.example.com HTTPS").records[0].raw.clone();
    assert_eq!(
        raw, b"\x00\x01\x03cdn\x07example\x03net\x00\x00\x01\x00\x03\x02h2",
        "no hints of ours"
    );
}

/// Point 27: over policies, health and clients, the hints are what A and AAAA answer the
/// same client; where each query has its turn, hints of one reply name the same sites.
#[test]
fn hints_are_the_addresses_that_a_and_aaaa_give() {
    let wips = ["geo", "failover", "hash", "round-robin", "weighted"];
    let mut config = String::new();
    for policy in wips {
        for max in 1..=3 {
            config += &format!(
                "[wip.\"{policy}{max}.example.com\"]\npolicy = \"{policy}\"\nmax_answers = {max}\n"
            );
        }
    }
    let mut server = server(&config);
    let mut random = Random(27);
    for _ in 0..60 {
        for member in ["one", "two", "three"] {
            let state: &&str = random.pick(&STATES);
            server.set_member(member, state);
        }
        for policy in wips {
            let max = 1 + random.below(3);
            let client = format!("10.{}.{}.9", 1 + random.below(4), random.below(200));
            let ask = |server: &mut Server, rtype: &str| {
                server.ask(&format!("{policy}{max}.example.com {rtype} ecs={client}/24"))
            };
            let https = ask(&mut server, "HTTPS");
            let (a, aaaa) = (ask(&mut server, "A"), ask(&mut server, "AAAA"));
            if addresses(&a).is_empty() {
                assert!(addresses(&https).is_empty(), "{policy}: {https:?}");
                assert_eq!(https.rcode(), a.rcode());
                continue;
            }
            let (v4, v6) = (hints(&https, IPV4HINT), hints(&https, IPV6HINT));
            let last = |list: &[Vec<u8>]| {
                list.iter().map(|bytes| *bytes.last().unwrap()).collect::<Vec<u8>>()
            };
            assert_eq!(last(&v4), last(&v6), "{policy}: one reply names the same sites");
            let distinct: BTreeSet<u8> = last(&v4).into_iter().collect();
            assert_eq!(distinct.len(), v4.len(), "{policy}: no site twice");
            assert_eq!(https.opt(), a.opt(), "{policy}: the same scope and extended error");
            assert_eq!(https.records[0].ttl, a.records[0].ttl, "{policy}");
            if !matches!(policy, "round-robin" | "weighted") {
                assert_eq!(v4, addresses(&a), "{policy} {client}");
                assert_eq!(v6, addresses(&aaaa), "{policy} {client}");
            }
        }
    }
}

/// Point 27: HTTPS has turns of its own, so that a browser that asks for A, AAAA and HTTPS
/// does not see every third site alone.
#[test]
fn questions_for_https_do_not_move_the_turns_of_a() {
    let mut server = server("[wip.\"turns.example.com\"]\npolicy = \"round-robin\"\n");
    let mut seen = [0; 3];
    for _ in 0..300 {
        let https = hints(&server.ask("turns.example.com HTTPS"), IPV4HINT);
        assert_eq!(https.len(), 1);
        server.ask("turns.example.com AAAA");
        let a = addresses(&server.ask("turns.example.com A"));
        seen[usize::from(a[0][3]) - 1] += 1;
    }
    assert_eq!(seen, [100, 100, 100]);
}

/// Point 27: a family that is not there, or a site without it, has no hint.
#[test]
fn a_family_without_an_address_has_no_hint() {
    let mut server = server(
        "[wip.\"four.example.com\"]
         members = [{ address = \"198.51.100.4\" }]
         [wip.\"six.example.com\"]
         members = [{ address = \"2001:db8::66\" }]",
    );
    let four = parameters(&server.ask("four.example.com HTTPS"));
    assert_eq!(four, [(IPV4HINT, vec![198, 51, 100, 4])]);
    let six = server.ask("six.example.com HTTPS");
    assert_eq!((hints(&six, IPV4HINT).len(), hints(&six, IPV6HINT).len()), (0, 1));
}

/// Point 27: when all are down the answer is as for A, whatever was configured.
#[test]
fn when_all_are_down_it_is_answered_as_a_is() {
    let mut server = server(
        "[wip.\"all.example.com\"]
         policy = \"failover\"
         [wip.\"nodata.example.com\"]
         on_all_down = \"nodata\"
         [wip.\"servfail.example.com\"]
         on_all_down = \"servfail\"
         [wip.\"refuse.example.com\"]
         on_all_down = \"refuse\"
         [wip.\"fixed.example.com\"]
         on_all_down = { addresses = [\"192.0.2.99\", \"2001:db8::99\"] }",
    );
    for member in ["one", "two", "three"] {
        server.set_member(member, "down");
    }
    server.gets(
        "nodata.example.com HTTPS edns",
        "NOERROR aa
         authority example.com. 5 SOA ns1.example.net. hostmaster.example.com. 1 3600 600 1209600 60
         opt size=1232 ede=0:\"all members down\"",
    );
    server.gets(
        "servfail.example.com HTTPS edns",
        "SERVFAIL\nopt size=1232 ede=0:\"all members down\"",
    );
    server
        .gets("refuse.example.com HTTPS edns", "REFUSED\nopt size=1232 ede=0:\"all members down\"");
    let all = server.ask("all.example.com HTTPS edns");
    assert_eq!((hints(&all, IPV4HINT), all.records[0].ttl), (vec![vec![192, 0, 2, 1]], 5));
    let fixed = server.ask("fixed.example.com HTTPS");
    assert_eq!(hints(&fixed, IPV4HINT), [[192, 0, 2, 99]]);
    assert_eq!(hints(&fixed, IPV6HINT).len(), 1);
}

/// Point 27, section 2.4.2: AliasMode is data as written, with the target's addresses; a
/// steered target has none beside it, for those are the client's.
#[test]
fn static_records_carry_addresses_of_targets_that_do_not_depend_on_the_client() {
    let mut server = server("[wip.\"shop.example.com\"]\npolicy = \"failover\"\n");
    server.gets(
        "example.com HTTPS",
        "NOERROR aa
         answer example.com. 300 HTTPS \\# 21 000005706c61696e076578616d706c6503636f6d00
         additional plain.example.com. 300 A 192.0.2.80",
    );
    let service = server.ask("svc.example.com HTTPS ecs=10.1.1.0/24");
    assert_eq!(service.records.iter().filter(|record| record.section == 2).count(), 1, "OPT alone");
    assert_eq!(service.records[0].raw[..2], [0, 1]);
}

/// Points 7 and 27: behind a CNAME stands what the WIP answers, unless two scopes would be
/// told as one.
#[test]
fn a_cname_to_a_wip_leads_to_its_record() {
    let mut server = server("[wip.\"shop.example.com\"]\naliases = \"other.example.com\"\n");
    let reply = server.ask("toshop.example.com HTTPS client=10.2.0.1");
    let types: Vec<u16> = reply.records.iter().map(|record| record.rtype).collect();
    assert_eq!(types, [5, HTTPS]);
    assert_eq!(reply.records[1].owner, "shop.example.com.");
    let subnet = server.ask("toshop.example.com HTTPS ecs=10.2.0.0/24");
    assert_eq!(subnet.records.iter().filter(|record| record.section == 0).count(), 1);
    let alias = server.ask("other.example.com HTTPS client=10.2.0.1");
    assert_eq!(hints(&alias, IPV4HINT), [[192, 0, 2, 2]]);
}

/// Point 10: ANY stays small.
#[test]
fn any_at_a_wip_is_still_hinfo() {
    let mut server = server("[wip.\"shop.example.com\"]\n");
    let reply = server.ask("shop.example.com ANY");
    assert_eq!(reply.records.iter().map(|record| record.rtype).collect::<Vec<_>>(), [13]);
}
