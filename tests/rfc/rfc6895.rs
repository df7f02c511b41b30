//! RFC 6895: DNS IANA considerations: types that are no data.

use crate::support::{SOA, Server};

/// Point 10, section 3.1: TKEY, MAILA and MAILB are functions that are not implemented;
/// OPT, TSIG and meta types without a meaning are no questions.
#[test]
fn meta_types_have_their_refusals() {
    let mut server = Server::of_zone("www A 192.0.2.80");
    for name in ["www.example.com", "example.com", "no.example.com", "example.net"] {
        for rtype in ["TYPE249", "TYPE253", "TYPE254"] {
            server.gets(&format!("{name} {rtype}"), "NOTIMP");
        }
        for rtype in ["TYPE0", "TYPE41", "TYPE128", "TYPE200", "TYPE250"] {
            server.gets(&format!("{name} {rtype}"), "FORMERR");
        }
    }
}

/// Point 11, section 3.1: every other number is data that may be there or not.
#[test]
fn every_data_type_is_answered() {
    let mut server = Server::of_zone("www A 192.0.2.80");
    for rtype in (2..=40).chain(42..128).chain(256..400).chain([32768, 65279, 65534]) {
        server.gets(&format!("www.example.com TYPE{rtype}"), &format!("NOERROR aa\n{SOA}"));
    }
}
