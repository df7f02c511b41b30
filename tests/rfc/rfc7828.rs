//! RFC 7828: The edns-tcp-keepalive option.

use crate::support::Server;

fn server() -> Server {
    Server::configured("[server]\ntcp_idle_timeout = \"12s\"", &[])
}

/// Point 15, section 3.2.2: in units of 100 milliseconds.
#[test]
fn the_idle_timeout_is_told_over_tcp_and_tls_to_those_who_ask() {
    for transport in ["tcp", "dot"] {
        let shown = server().shows(&format!("www.example.com A {transport} option=11:"));
        assert!(shown.ends_with("opt size=1232 option11=0078\n"), "{shown}");
        let shown = server().shows(&format!("www.example.com A {transport} edns"));
        assert!(shown.ends_with("opt size=1232\n"), "{shown}");
    }
}

/// Point 15, section 3.2.1 (ignored over UDP), RFC 9250 5.5.2 (not over QUIC).
#[test]
fn it_means_nothing_over_udp_https_and_quic() {
    for transport in ["", "doh", "doq"] {
        for data in ["", "0078"] {
            let query = format!("www.example.com A {transport} option=11:{data}");
            let shown = server().shows(&query);
            assert!(shown.starts_with("NOERROR aa\n"), "{shown}");
            assert!(shown.ends_with("opt size=1232\n"), "{shown}");
        }
    }
}

/// Point 15, section 3.2.1: a client's option has no data.
#[test]
fn data_from_a_client_is_a_format_error() {
    for transport in ["tcp", "dot"] {
        let query = format!("www.example.com A {transport} option=11:0078");
        server().gets(&query, "FORMERR\nopt size=1232");
    }
}
