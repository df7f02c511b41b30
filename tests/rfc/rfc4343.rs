//! RFC 4343: Domain name system case insensitivity clarification.

use crate::support::{SOA, Server};

/// Point 1, sections 3 and 4.1.
#[test]
fn names_are_found_whatever_their_case_and_come_back_in_the_case_asked() {
    let mut server = Server::of_zone("MiXed A 192.0.2.2\n*.W A 192.0.2.3\nD DNAME Mixed");
    for name in ["mixed.example.com", "MIXED.EXAMPLE.COM", "mIxEd.eXaMpLe.cOm"] {
        server.gets(&format!("{name} A"), &format!("NOERROR aa\nanswer {name}. 3600 A 192.0.2.2"));
    }
    server.gets("X.w.ExAmple.com A", "NOERROR aa\nanswer X.w.ExAmple.com. 3600 A 192.0.2.3");
    let made = server.ask("X.d.EXAMPLE.com A");
    assert_eq!(made.records[1].owner, "X.d.EXAMPLE.com.");
}

/// Point 1, section 3: only letters of ASCII have case.
#[test]
fn bytes_beyond_ascii_have_no_case() {
    let mut server = Server::of_zone("\\200 A 192.0.2.5\n\\064 A 192.0.2.6\n[ A 192.0.2.7");
    server.gets("\\200.example.com A", "NOERROR aa\nanswer \\200.example.com. 3600 A 192.0.2.5");
    for near in ["\\232", "\\096", "{"] {
        server.gets(&format!("{near}.example.com A"), &format!("NXDOMAIN aa\n{SOA}"));
    }
}

/// Point 1, section 4.2: names in data keep the case they were given.
#[test]
fn data_keeps_its_case() {
    let mut server = Server::of_zone("m MX 1 MaIl.Example.NET.");
    server
        .gets("m.example.com MX", "NOERROR aa\nanswer m.example.com. 3600 MX 1 MaIl.Example.NET.");
}
