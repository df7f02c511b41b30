//! RFC 8482: Minimal-sized responses to queries of type ANY.

use crate::support::{SOA, Server};

const WORLD: &str = "
www A 192.0.2.80
www AAAA 2001:db8::80
www TXT \"text\"
www MX 1 www
one CNAME www
*.w A 192.0.2.60
*.w TXT \"text\"
e.nt TXT \"text\"
$GENERATE 1-200 huge TXT \"number $ of a set that is far larger than any answer over UDP may be\"
huge A 192.0.2.1
";

/// Point 10, section 4.1.
#[test]
fn any_gets_one_rrset() {
    let mut server = Server::of_zone(WORLD);
    for name in ["www", "one", "x.w", "*.w"] {
        let reply = server.ask(&format!("{name}.example.com ANY"));
        let answer = reply.records.iter().filter(|record| record.section == 0);
        assert_eq!(answer.count(), 1, "{name}");
        assert_eq!((reply.rcode(), reply.flags[0] & 4), (0, 4));
    }
    server.gets(
        "one.example.com ANY",
        "NOERROR aa\nanswer one.example.com. 3600 CNAME www.example.com.",
    );
}

/// Point 10, section 4.1: what does not exist is denied as for any type.
#[test]
fn any_is_denied_where_there_is_nothing() {
    let mut server = Server::of_zone(WORLD);
    server.gets("no.example.com ANY", &format!("NXDOMAIN aa\n{SOA}"));
    server.gets("nt.example.com ANY", &format!("NOERROR aa\n{SOA}"));
}

/// Points 10 and 26, section 7: it gives an attacker nothing that a type would not.
#[test]
fn any_does_not_amplify() {
    let mut server = Server::of_zone(WORLD);
    for name in ["huge", "www"] {
        let any = server.raw(&format!("{name}.example.com ANY size=65535")).len();
        let of_types = ["A", "AAAA", "TXT", "MX"]
            .map(|rtype| server.raw(&format!("{name}.example.com {rtype} size=65535")).len());
        assert!(of_types.contains(&any) && any <= 512, "{any} of {of_types:?}");
    }
}
