//! RFC 8906: A common operational problem in DNS servers: failure to communicate.
//!
//! The tests of its section 8, each with the reply that section wants; `e2e:compliance`
//! asks them with dig over real sockets.

use std::net::IpAddr;

use windrose::answer::Peer;
use windrose::metrics::Transport;

use crate::support::Server;

const ANSWER: &str =
    "answer example.com. 3600 SOA ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 300";

fn server() -> Server {
    Server::of_zone("www A 192.0.2.80")
}

/// Point 1, section 8.1.1 (`+noad +norec zone SOA`).
#[test]
fn a_plain_query_for_the_soa_is_answered() {
    server().gets("example.com SOA", &format!("NOERROR aa\n{ANSWER}"));
}

/// Point 11, section 8.1.2 (`TYPE1000 zone`).
#[test]
fn an_unknown_type_is_no_data() {
    let reply = server().ask("example.com TYPE1000");
    assert_eq!((reply.rcode(), reply.flags[0] & 4), (0, 4));
    assert_eq!(reply.records.iter().map(|record| record.rtype).collect::<Vec<_>>(), [6]);
}

/// Point 1, sections 8.1.3.1 to 8.1.3.4 (`+cd`, `+ad`, `+zflag`, `+rec`).
#[test]
fn header_flags_do_not_change_the_answer() {
    for flags in ["cd", "ad", "z"] {
        server().gets(&format!("example.com SOA {flags}"), &format!("NOERROR aa\n{ANSWER}"));
    }
    server().gets("example.com SOA rd", &format!("NOERROR aa rd\n{ANSWER}"));
}

/// Point 3, section 8.1.4 (`+opcode=15 +header-only`), whatever the counts say.
#[test]
fn an_unknown_opcode_is_notimp_with_a_header_alone() {
    let peer = Peer { address: IpAddr::from([192, 0, 2, 53]), transport: Transport::Udp };
    for opcode in [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15_u8] {
        for counts in [[0; 8], [0, 1, 0, 0, 0, 0, 0, 1], [0xff; 8]] {
            for rd in [0, 1] {
                let mut request = vec![0xab, 0xcd, opcode << 3 | rd, 0];
                request.extend(counts);
                request.extend([3, b'w', b'w', b'w', 0, 0, 1]);
                let reply = server().send(&request, peer).unwrap();
                assert_eq!(reply, [0xab, 0xcd, 0x80 | opcode << 3 | rd, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
    }
}

/// Point 20, section 8.1.5 (`+tcp`).
#[test]
fn a_query_over_tcp_is_answered_as_over_udp() {
    let mut server = server();
    for query in ["example.com SOA", "www.example.com A", "no.example.com A", "example.net A"] {
        assert_eq!(server.raw(query), server.raw(&format!("{query} tcp")));
    }
}

/// Point 13, section 8.2.1 (`+edns=0`).
#[test]
fn an_edns_query_is_answered_with_opt() {
    server().gets("example.com SOA edns", &format!("NOERROR aa\n{ANSWER}\nopt size=1232"));
}

/// Point 13, sections 8.2.2 to 8.2.5 (`+edns=1`, with an option, with a flag).
#[test]
fn an_unknown_version_is_badvers_with_version_0_and_no_answer() {
    for version in [1, 2, 100, 255] {
        for also in ["", "option=100:", "ednsflags=0040", "ednsflags=0040 option=100:01"] {
            let query = format!("example.com SOA version={version} {also}");
            server().gets(&query, "BADVERS\nopt size=1232");
        }
    }
}

/// Point 13, section 8.2.3 (`+ednsopt=100`).
#[test]
fn an_unknown_option_is_ignored_and_not_echoed() {
    for option in ["100:", "100:0102", "65001:ffffffff", "4:00", "26946:00"] {
        server().gets(
            &format!("example.com SOA option={option}"),
            &format!("NOERROR aa\n{ANSWER}\nopt size=1232"),
        );
    }
}

/// Point 13, section 8.2.4 (`+ednsflags=0x40`).
#[test]
fn unknown_edns_flags_are_cleared_in_the_reply() {
    for flags in ["0040", "0080", "0001", "4000", "7fff"] {
        server().gets(
            &format!("example.com SOA ednsflags={flags}"),
            &format!("NOERROR aa\n{ANSWER}\nopt size=1232"),
        );
    }
}

/// Point 14, section 8.2.6 (`+bufsize=512 +dnssec`).
#[test]
fn a_size_of_512_is_kept_to() {
    let mut server = Server::of_zone("$GENERATE 1-60 big A 198.51.100.$");
    for size in [0, 1, 511, 512] {
        assert!(server.raw(&format!("big.example.com A do size={size}")).len() <= 512);
        assert!(server.raw(&format!("example.com DNSKEY do size={size}")).len() <= 512);
    }
}

/// Point 16, section 8.2.7 (`+dnssec`).
#[test]
fn do_is_echoed() {
    server().gets("example.com SOA do", &format!("NOERROR aa\n{ANSWER}\nopt size=1232 do"));
    server().gets("example.net SOA do", "REFUSED\nopt size=1232 do ede=20:\"\"");
    server().gets("example.com SOA do version=1", "BADVERS\nopt size=1232 do");
}
