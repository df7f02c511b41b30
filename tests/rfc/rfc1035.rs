//! RFC 1035: Domain names, implementation and specification.

use crate::support::Server;

/// Point 1, section 4.1.1.
#[test]
fn answers_are_authoritative_and_recursion_is_never_available() {
    let mut server = Server::of_zone("www A 192.0.2.80");
    let answer = "answer www.example.com. 3600 A 192.0.2.80";
    server.gets("www.example.com A", &format!("NOERROR aa\n{answer}"));
    server.gets("www.example.com A rd", &format!("NOERROR aa rd\n{answer}"));
    server.gets("www.example.com A rd ra", &format!("NOERROR aa rd\n{answer}"));
}
