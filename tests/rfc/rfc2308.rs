//! RFC 2308: Negative caching of DNS queries.

use crate::support::Server;

fn of_soa(ttl: u32, minimum: u32) -> Server {
    let zone = format!(
        "@ {ttl} SOA ns h 1 2 3 4 {minimum}\n@ 9 NS ns\nns 9 A 192.0.2.1\n\
         c 7 CNAME no\ncn 7 CNAME ns\nb.ent 9 TXT \"t\"\n*.w 9 TXT \"t\"\nd 7 DNAME @\n"
    );
    Server::new("[zone.\"example.com\"]\nfile = \"zone\"\n", &[("zone", &zone)])
}

fn soa(ttl: u32, minimum: u32) -> String {
    format!("authority example.com. {ttl} SOA ns.example.com. h.example.com. 1 2 3 4 {minimum}")
}

/// Point 6, sections 3 and 5.
#[test]
fn a_denial_lives_as_long_as_the_lesser_of_soa_ttl_and_minimum() {
    for (ttl, minimum) in [(60, 300), (300, 60), (0, 300), (300, 0), (86400, 86400)] {
        let mut server = of_soa(ttl, minimum);
        let soa = soa(ttl.min(minimum), minimum);
        // No such name, no data of the type, and an empty non-terminal.
        server.gets("no.example.com A", &format!("NXDOMAIN aa\n{soa}"));
        server.gets("ns.example.com MX", &format!("NOERROR aa\n{soa}"));
        server.gets("ent.example.com A", &format!("NOERROR aa\n{soa}"));
        server.gets("x.w.example.com A", &format!("NOERROR aa\n{soa}"));
        server.gets("example.com A", &format!("NOERROR aa\n{soa}"));
    }
}

/// Point 6, section 3: the SOA asked for keeps its own TTL.
#[test]
fn the_soa_as_an_answer_has_its_own_ttl() {
    of_soa(3600, 60).gets(
        "example.com SOA",
        "NOERROR aa
         answer example.com. 3600 SOA ns.example.com. h.example.com. 1 2 3 4 60",
    );
}

/// Points 6 and 7, sections 2.1 and 2.2.
#[test]
fn a_denial_behind_a_chain_has_the_chain_and_the_soa() {
    let mut server = of_soa(60, 60);
    let soa = soa(60, 60);
    server.gets(
        "c.example.com A",
        &format!(
            "NXDOMAIN aa
             answer c.example.com. 7 CNAME no.example.com.
             {soa}"
        ),
    );
    server.gets(
        "cn.example.com MX",
        &format!(
            "NOERROR aa
             answer cn.example.com. 7 CNAME ns.example.com.
             {soa}"
        ),
    );
    server.gets(
        "no.d.example.com A",
        &format!(
            "NXDOMAIN aa
             answer d.example.com. 7 DNAME example.com.
             answer no.d.example.com. 7 CNAME no.example.com.
             {soa}"
        ),
    );
}

/// Point 6, section 5: and at a name that is steered it lives no longer than an answer
/// there would.
#[test]
fn a_denial_at_a_wip_lives_no_longer_than_its_health_allows() {
    let config = "
[zone.\"example.com\"]
nameservers = [\"ns1.example.com\"]
hostmaster = \"hostmaster@example.com\"
serial = 1
negative_ttl = \"1h\"
[datacenter.fra]
vip = \"192.0.2.10\"
[health_check.port]
type = \"tcp\"
port = 443
[wip.\"www.example.com\"]
members = [\"fra\"]
policy = \"failover\"
health_check = \"port\"
ttl = \"30s\"
";
    let mut server = Server::new(config, &[]);
    let ttl = |server: &mut Server| {
        let reply = server.ask("www.example.com AAAA");
        assert_eq!((reply.rcode(), reply.records.len()), (0, 1));
        assert_eq!(reply.records[0].rtype, 6);
        reply.records[0].ttl
    };
    assert_eq!(ttl(&mut server), 30);
    server.set_member("fra", "pending");
    assert_eq!(ttl(&mut server), 5);
}
