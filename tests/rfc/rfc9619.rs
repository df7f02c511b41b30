//! RFC 9619: In the DNS, QDCOUNT is (usually) one.

use std::net::IpAddr;

use windrose::answer::Peer;
use windrose::metrics::Transport;

use crate::support::Server;

/// Point 3, section 4.
#[test]
fn a_query_with_no_question_or_with_several_is_a_format_error() {
    let mut server = Server::of_zone("www A 192.0.2.80");
    let question = b"\x03www\x07example\x03com\0\0\x01\0\x01";
    for transport in [Transport::Udp, Transport::Tcp] {
        let peer = Peer { address: IpAddr::from([192, 0, 2, 53]), transport };
        for count in [0, 2, 3, 255, 256, 0xffff_u16] {
            for copies in [0, 1, 2, 3] {
                let mut request = vec![0xab, 0xcd, 1, 0];
                request.extend(count.to_be_bytes());
                request.extend([0; 6]);
                request.extend(question.repeat(copies));
                let reply = server.send(&request, peer).unwrap();
                assert_eq!(reply, [0xab, 0xcd, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
    }
}
