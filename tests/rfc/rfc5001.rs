//! RFC 5001: The name server identifier option.

use crate::support::Server;

const IDENTITY: &str = "[server]\nidentity = \"gtm1\"";

/// Point 15, section 2.2.
#[test]
fn the_identifier_is_given_to_those_alone_who_ask() {
    let mut server = Server::configured(IDENTITY, &[]);
    let shown = server.shows("www.example.com A nsid");
    assert!(shown.ends_with("opt size=1232 nsid=\"gtm1\"\n"), "{shown}");
    assert!(server.shows("www.example.com A edns").ends_with("opt size=1232\n"));
    assert!(!server.shows("www.example.com A").contains("opt"));
}

/// Point 15, section 2.1: data that a client sends with the option is ignored.
#[test]
fn data_in_the_question_for_it_is_ignored() {
    let mut server = Server::configured(IDENTITY, &[]);
    let shown = server.shows("www.example.com A option=3:ffff");
    assert!(shown.ends_with("opt size=1232 nsid=\"gtm1\"\n"), "{shown}");
}

/// Point 15: errors have it too, and a server without an identity has nothing to give.
#[test]
fn errors_say_who_made_them() {
    let mut server = Server::configured(IDENTITY, &[]);
    server.gets("example.net A nsid", "REFUSED\nopt size=1232 nsid=\"gtm1\" ede=20:\"\"");
    let mut nobody = Server::configured("", &[]);
    assert!(nobody.shows("www.example.com A nsid").ends_with("opt size=1232\n"));
}
