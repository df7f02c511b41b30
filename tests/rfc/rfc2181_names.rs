//! RFC 2181 10.1 where the members of a WIP are names: a CNAME stands alone.

use crate::support::Server;

const CONFIG: &str = "
[zone.\"example.com\"]
nameservers = [\"ns1.example.net\"]
hostmaster = \"hostmaster@example.com\"
serial = 1
records = [\"inner 300 A 192.0.2.80\", \"to 300 CNAME shop\"]
[datacenter.home]
vip = \"192.0.2.1\"
serves = [\"10.1.0.0/16\"]
[health_check.port]
type = \"tcp\"
port = 443
[wip_defaults]
health_check = \"port\"
ttl = \"20s\"
https = true
max_answers = 3
[wip.\"shop.example.com\"]
policy = \"failover\"
members = [{ name = \"cdn\", cname = \"shop.cdn.example.net\" }, { name = \"own\", cname = \"Inner.example.com\" }]
[wip.\"place.example.com\"]
policy = \"geo\"
members = [
  { name = \"near\", cname = \"near.example.net\", serves = [\"10.1.0.0/16\"] },
  { name = \"far\", cname = \"far.example.net\", serves = [\"10.2.0.0/16\"] },
  { name = \"steered\", cname = \"deep.example.com\", serves = [\"10.3.0.0/16\"] },
]
[wip.\"deep.example.com\"]
policy = \"geo\"
members = [
  { name = \"a\", address = \"192.0.2.7\", serves = [\"10.3.1.0/24\"] },
  { name = \"b\", address = \"192.0.2.8\", serves = [\"10.3.2.0/24\"] },
]
[wip.\"turns.example.com\"]
policy = \"round-robin\"
members = [{ cname = \"one.example.net\" }, { cname = \"two.example.net\" }]
[wip.\"gone.example.com\"]
on_all_down = \"nodata\"
members = [{ name = \"cdn\", cname = \"shop.cdn.example.net\" }]
[wip.\"*.any.example.com\"]
check_host = \"x.any.example.com\"
members = [{ cname = \"one.example.net\" }]
";

/// Point 7: whatever is asked, the CNAME is what stands there.
#[test]
fn every_type_is_answered_with_the_chosen_name() {
    let mut server = Server::new(CONFIG, &[]);
    for rtype in ["A", "AAAA", "HTTPS", "SVCB", "MX", "TXT", "CNAME", "ANY", "NS", "TYPE65280"] {
        server.gets(
            &format!("shop.example.com {rtype}"),
            "NOERROR aa\nanswer shop.example.com. 20 CNAME shop.cdn.example.net.",
        );
    }
    server.gets(
        "b.any.example.com A",
        "NOERROR aa\nanswer b.any.example.com. 20 CNAME one.example.net.",
    );
}

/// Point 7: a target in our own zones comes along; a CNAME asked for is given alone.
#[test]
fn a_target_that_is_ours_is_followed() {
    let mut server = Server::new(CONFIG, &[]);
    server.set_member("cdn", "down");
    server.gets(
        "shop.example.com A",
        "NOERROR aa
         answer shop.example.com. 20 CNAME inner.example.com.
         answer inner.example.com. 300 A 192.0.2.80",
    );
    server.gets(
        "shop.example.com CNAME",
        "NOERROR aa\nanswer shop.example.com. 20 CNAME inner.example.com.",
    );
    server.gets(
        "to.example.com A",
        "NOERROR aa
         answer to.example.com. 300 CNAME shop.example.com.
         answer shop.example.com. 20 CNAME inner.example.com.
         answer inner.example.com. 300 A 192.0.2.80",
    );
}

/// Points 7 and 15: one scope tells of one decision; a second one is not made for a subnet.
#[test]
fn the_scope_is_the_first_decisions_and_a_second_is_left_to_the_resolver() {
    let mut server = Server::new(CONFIG, &[]);
    server.gets(
        "place.example.com A ecs=10.2.9.0/24",
        "NOERROR aa
         answer place.example.com. 20 CNAME far.example.net.
         opt size=1232 ecs=1:0a0209/24/16",
    );
    server.gets(
        "place.example.com A ecs=10.3.2.0/24",
        "NOERROR aa
         answer place.example.com. 20 CNAME deep.example.com.
         opt size=1232 ecs=1:0a0302/24/16",
    );
    let whole = server.shows("place.example.com A client=10.3.2.9");
    assert!(whole.contains("answer deep.example.com. 20 A 192.0.2.8"), "{whole}");
}

/// Point 7: names take their turns, whichever types are asked.
#[test]
fn names_take_their_turns_over_all_types() {
    let mut server = Server::new(CONFIG, &[]);
    let mut counts = [0, 0];
    for turn in 0..100 {
        let rtype = ["A", "AAAA", "MX"][turn % 3];
        let shown = server.shows(&format!("turns.example.com {rtype}"));
        counts[usize::from(shown.contains("two.example.net"))] += 1;
    }
    assert_eq!(counts, [50, 50]);
}

/// Points 6 and 7: with nobody left it is as configured, and never that the name is not there.
#[test]
fn all_down_is_as_configured() {
    let mut server = Server::new(CONFIG, &[]);
    server.set_member("cdn", "down");
    server.set_member("own", "down");
    server.gets(
        "shop.example.com MX edns",
        "NOERROR aa
         answer shop.example.com. 5 CNAME shop.cdn.example.net.
         opt size=1232 ede=0:\"all members down\"",
    );
    let gone = server.ask("gone.example.com TXT");
    assert_eq!((gone.rcode(), gone.records[0].rtype, gone.records[0].ttl), (0, 6, 5));
}
