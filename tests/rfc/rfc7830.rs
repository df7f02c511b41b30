//! RFC 7830: The EDNS(0) padding option, with the sizes of RFC 8467.

use crate::support::Server;

fn server() -> Server {
    Server::configured("", &[])
}

/// Point 15, RFC 7830 section 4, RFC 8467 section 4.1.
#[test]
fn replies_over_encrypted_transports_have_a_multiple_of_468_bytes_for_those_who_pad() {
    for transport in ["dot", "doh", "doq"] {
        for name in ["www", "big", "no", "ns1"] {
            let query = format!("{name}.example.com A {transport} option=12:0000");
            let reply = server().raw(&query);
            assert!(reply.len().is_multiple_of(468), "{query}: {} bytes", reply.len());
            let plain = server().raw(&format!("{name}.example.com A {transport} edns"));
            assert!((1..468 + 4).contains(&(reply.len() - plain.len())), "no block too many");
        }
        let refused = server().raw(&format!("example.net A {transport} option=12:"));
        assert_eq!(refused.len(), 468);
    }
}

/// Point 15, RFC 7830 section 3: the padding is zeros, whatever was there before.
#[test]
fn padding_is_zeros() {
    let mut server = server();
    server.raw("big.example.com A dot");
    let opt = server.ask("www.example.com A dot option=12:").opt().unwrap().clone();
    assert_eq!(opt.raw[..2], [0, 12]);
    assert!(opt.raw.len() > 300 && opt.raw[4..].iter().all(|byte| *byte == 0));
}

/// Point 15, RFC 7830 section 6.
#[test]
fn nothing_is_padded_in_the_clear_or_unasked() {
    for query in ["www.example.com A option=12:0000", "www.example.com A tcp option=12:0000"] {
        assert!(server().shows(query).ends_with("opt size=1232\n"), "{query}");
    }
    assert!(server().shows("www.example.com A dot edns").ends_with("opt size=1232\n"));
}
